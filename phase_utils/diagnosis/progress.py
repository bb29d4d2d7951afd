"""Whether a minimisation of l0 + gamma R still has something to win."""

from dataclasses import dataclass, field

WINDOW = 10  # iterations over which it is seen how fast the total falls
ENOUGH = 0.03  # share of what lies below the blind network, won in a window: the rest is small
PATIENCE, PATIENT = 20, 3  # iterations, and parts of all, before one above it is given up
HOPE = 3.0  # times its present speed that it may still fall
SHARE = 0.1  # of the step of gamma that is resolved
NOTHING = 1e-9  # of the blind total, above it: the state has become the blind one
ROUNDING = 1e-12  # of the blind total, below it: nothing was won


@dataclass
class Progress:
    """How a minimisation at one gamma stands to the blind network there.

    What lies below the blind total, over gamma times the R that it costs, is the relative step of
    gamma that it buys. More of it is of no use where that step would hardly change.

    value, square : of the blind network; tolerance : relative step of gamma that is resolved;
    iterations : most that there are; free : whether something does not decay. It may grow without
    end, slowly, so that only what gamma does not feel is left.
    """

    gamma: float
    value: float
    square: float
    tolerance: float
    iterations: int
    free: bool = False
    totals: list[float] = field(default_factory=list)

    def ended(self, total: float, square: float) -> bool:
        """Whether to stop at the lowest total so far, one more iteration later, and its R."""
        self.totals.append(total)
        if len(self.totals) <= WINDOW:
            return False
        won = self.totals[-1 - WINDOW] - total
        below = self.value - total
        if below > ROUNDING * abs(self.value):
            resolved = SHARE * self.tolerance * self.gamma * abs(square - self.square)
            return won < max(0.0 if self.free else ENOUGH * below, resolved)
        if len(self.totals) < max(PATIENCE, self.iterations // PATIENT):
            return False
        left = max(self.iterations - len(self.totals), 0)
        return HOPE * won * left / WINDOW < -below or -below < NOTHING * abs(self.value)
