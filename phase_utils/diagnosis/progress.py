"""Whether a minimisation of l0 + gamma R still has something to win."""

from dataclasses import dataclass, field

RECENT = 10  # iterations over which it is seen how fast the total falls
LITTLE = 0.03  # share of what lies below the blind network, won in a window: the rest is small
AT_LEAST, PATIENT = 20, 3  # iterations, and parts of all, before one above it is given up
HOPE = 3.0  # times its present speed that it may still fall
RESOLVED = 0.1  # of that step of gamma, which a window must win
BLIND_ALREADY = 1e-9  # of the blind total, above it: the state has become the blind one
NOTHING_WON = 1e-12  # of the blind total, below it: nothing was won


@dataclass
class Progress:
    """How a minimisation at one gamma stands to the blind network there.

    What lies below the blind total, over gamma times the R that it costs, is the relative step of
    gamma that it buys. More of it is of no use where that step would hardly change.

    value, square : of the blind network; tolerance : relative step of gamma that is resolved;
    iterations : most that there are. It is for networks all of which decays: what does not may grow
    without end, slowly, and must be given the time.
    """

    gamma: float
    value: float
    square: float
    tolerance: float
    iterations: int
    totals: list[float] = field(default_factory=list)

    def ended(self, total: float, square: float) -> bool:
        """Whether to stop at the lowest total so far, one more iteration later, and its R."""
        self.totals.append(total)
        if len(self.totals) <= RECENT:
            return False
        won = self.totals[-1 - RECENT] - total
        below = self.value - total
        if below > NOTHING_WON * abs(self.value):
            resolved = RESOLVED * self.tolerance * self.gamma * abs(square - self.square)
            return won < max(LITTLE * below, resolved)
        if len(self.totals) < max(AT_LEAST, self.iterations // PATIENT):
            return False
        left = max(self.iterations - len(self.totals), 0)
        return HOPE * won * left / RECENT < -below or -below < BLIND_ALREADY * abs(self.value)
