"""The best network that is blind to its input, under the same penalty: F(gamma)."""

import math
from dataclasses import dataclass

import numpy as np

from phase_utils._check import Array
from phase_utils.diagnosis.objective import Objective

AT_ONCE, FROM_FAR = 400, 600  # iterations of a minimisation that starts near, or far
AT_ONCE_NOISY, FROM_FAR_NOISY = 60, 150  # the same where an evaluation is a mean over draws
USELESS = 1e-5  # decayed weights below it are tried at zero
DOUBLINGS = 80  # steps of the search for a root
SETTLED = 1e-7  # relative width of the bracket of a root


@dataclass(frozen=True)
class Blind:
    """F = l0 + gamma R of the best blind network at one gamma, its R and its weights."""

    value: float
    square: float
    weights: Array


class Reference:
    """F(gamma) = min over blind networks of l0 + gamma R: concave, and constant once R = 0.

    Where biases are decayed a blind network may pay for one, so that F depends on gamma; R of the
    best never grows with gamma.
    """

    def __init__(self, objective: Objective, gamma: float, seed: int = 0) -> None:
        self.objective = objective
        noisy = objective.draws > 0
        self._effort = AT_ONCE_NOISY if noisy else AT_ONCE
        far = FROM_FAR_NOISY if noisy else FROM_FAR
        self._constant: tuple[float, Blind] | None = None
        rng = np.random.default_rng(seed)
        zero = np.where(objective.decays, 0.0, objective.first)
        for name, part in objective.slices.items():
            if "bias" in name.rpartition(".")[2]:
                zero[part] = 0.0
        small = np.where(objective.decays, 0.03 * rng.standard_normal(objective.parameters), zero)
        starts = (zero, small, objective.first)
        ends = [objective.minimise(w, gamma, iterations=far, blind=True) for w in starts]
        self._weights = min(ends, key=lambda e: e[1] + gamma * e[2])[0]
        self._known: dict[float, Blind] = {}

    def at(self, gamma: float) -> Blind:
        """F, R and the weights at one gamma."""
        if self._constant is not None and gamma >= self._constant[0]:
            return self._constant[1]
        if gamma in self._known:
            return self._known[gamma]
        weights, loss, square = self.objective.minimise(
            self._weights, gamma, iterations=self._effort, blind=True
        )
        if self.objective.penalty.function is None:
            tiny = (np.abs(weights) < USELESS) & self.objective.decays & (weights != 0)
            if tiny.any():
                cut, cut_loss, cut_square = self.objective.minimise(
                    np.where(tiny, 0.0, weights), gamma, iterations=self._effort, blind=True
                )
                if cut_loss + gamma * cut_square <= loss + gamma * square + 1e-13:
                    weights, loss, square = cut, cut_loss, cut_square
        self._weights = weights
        found = Blind(loss + gamma * square, square, weights)
        self._known[gamma] = found
        if square < 1e-18:
            self._constant = gamma, found
        return found

    def root(self, loss: float, square: float, low: float) -> float:
        """The largest gamma at which l0 + gamma R <= F, given that it holds at `low`; inf if all.

        From below, to SETTLED: F is concave, so that a tangent of the difference ends above its
        root and a chord below it. What rounding may have added to the difference of the losses is
        taken off: the root is to be a bound.
        """
        blind = self.at(low)
        loss = loss + self.objective.rounding * abs(blind.value)

        def gap(gamma: float, blind: Blind) -> float:
            return blind.value - loss - gamma * square

        below = gap(low, blind)
        if below <= 0:
            return low
        gamma = first = low
        for _ in range(DOUBLINGS):
            if square <= blind.square * (1 + 1e-12) + 1e-300:  # still gaining: look further out
                if gamma > 1e12 * first or blind.square < 1e-30:
                    return math.inf
                gamma *= 2
            else:
                gamma += gap(gamma, blind) / (square - blind.square)
            if (self._constant is not None and low >= self._constant[0]) or gamma > 1e12 * first:
                return gamma  # F is constant, the tangent is the difference itself
            blind = self.at(gamma)
            above = gap(gamma, blind)
            if above >= 0:
                low, below = gamma, above
                if above <= self.objective.rounding * abs(blind.value):
                    return low
                continue
            if gamma - low <= SETTLED * gamma:
                return low
            chord = low + (gamma - low) * below / (below - above)
            there = gap(chord, self.at(chord))
            if there > 0:
                low, below = chord, there
            else:  # F is known to no better than that: it ends above, like a tangent
                gamma, blind = chord, self.at(chord)
            if gamma - low <= SETTLED * gamma:
                return low
        return low

    def offer(self, weights: Array, gamma: float) -> bool:
        """Whether a learned network, made blind, is a better reference; it is then taken."""
        known = self.at(gamma)
        found, loss, square = self.objective.minimise(weights, gamma, iterations=300, blind=True)
        floor = 1e2 * self.objective.rounding * max(abs(known.value), 1e-3)
        if loss + gamma * square >= known.value - floor:
            return False
        self._weights, self._constant, self._known = found, None, {}
        self.at(gamma)
        return True

    def spread(self, gamma: float) -> float:
        """How far the output of the blind weights on the real data is from constant.

        Standard deviation over the samples, in units of that of the network as it was given.
        """

        own = self.objective.spread(self.objective.first)
        return self.objective.spread(self.at(gamma).weights) / own if own > 0 else 0.0
