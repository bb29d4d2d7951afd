"""The best network that is blind to its input, under the same penalty: F(gamma)."""

import math
from dataclasses import dataclass

import numpy as np

from phase_utils._check import Array
from phase_utils.diagnosis.objective import FLAT_ENOUGH, Objective

AT_ONCE, FROM_FAR = 400, 600  # iterations of a minimisation that starts near, or far
AT_ONCE_NOISY, FROM_FAR_NOISY = 60, 150  # the same where an evaluation is a mean over draws
USELESS = 1e-5  # decayed weights below it are tried at zero
DOUBLINGS = 80  # steps of the search for a root
SETTLED = 1e-7  # relative distance from below to a root
CLOSE = 1e-4  # relative step of a tangent after which the root is tried just below its end
FEW = 64  # most weights that differ from zero for Newton's steps
NEWTON = 8  # most of these steps
HELD = 2e7  # numbers of known blind weights that are kept: 160 MB


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
        self._curved: tuple[float, Array, Array] | None = None  # gamma, moving, Hessian

    def at(self, gamma: float) -> Blind:
        """F, R and the weights at one gamma."""
        if self._constant is not None and gamma >= self._constant[0]:
            return self._constant[1]
        if gamma in self._known:
            return self._known[gamma]
        found = self._nearby(gamma) or self._sought(gamma)
        self._weights = found.weights
        while self._known and (len(self._known) + 1) * self.objective.parameters > HELD:
            self._known.pop(next(iter(self._known)))
        self._known[gamma] = found
        if found.square < 1e-18:
            self._constant = gamma, found
        return found

    def _sought(self, gamma: float) -> Blind:
        """F by a minimisation from the weights that were found last."""
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
        return Blind(loss + gamma * square, square, weights)

    def _nearby(self, gamma: float) -> Blind | None:
        """F by Newton's steps from known neighbours, where few weights differ from zero.

        None where that does not end in a minimum at which all other weights stay at zero.
        """
        objective = self.objective
        if objective.penalty.function is not None or not self._known:
            return None
        near = sorted(self._known, key=lambda g: abs(g - gamma))[:2]
        first = self._known[near[0]]
        moving: Array = np.asarray(np.flatnonzero(first.weights))
        if not 0 < len(moving) <= FEW:
            return None
        curved = self._curved
        if curved is None or not np.array_equal(curved[1], moving):
            curved = (near[0], moving, self._curvature(near[0], first.weights, moving))
            self._curved = curved
        at, _, hessian = curved
        hessian = hessian + 2 * (gamma - at) * np.diag(objective.decays[moving].astype(float))
        if not np.isfinite(hessian).all():
            return None
        sizes, axes = np.linalg.eigh(hessian)
        flat = sizes <= 1e-9 * max(sizes[-1], 0.0)
        if sizes[0] < -1e-9 * abs(sizes[-1]):
            return None
        inverse = np.where(flat, 0.0, 1 / np.where(flat, 1.0, sizes))
        w = first.weights.copy()
        if len(near) > 1 and abs(gamma - near[0]) < 2 * abs(near[1] - near[0]):
            other = self._known[near[1]].weights
            if np.array_equal(np.flatnonzero(other), moving):
                w += (gamma - near[0]) / (near[1] - near[0]) * (other - w)
        lowest = math.inf
        for _ in range(NEWTON):
            loss, square, slope = objective.gradient(w, gamma, blind=True)
            total = loss + gamma * square
            if not total <= lowest + objective.rounding * abs(lowest):
                break
            lowest = min(lowest, total)
            step = axes @ (inverse * (axes.T @ slope[moving]))
            if slope[moving] @ step <= 0.1 * objective.rounding * abs(total):
                slope[moving] = axes @ np.where(flat, axes.T @ slope[moving], 0.0)
                small = objective.decays[moving] & (np.abs(w[moving]) < USELESS)
                small &= np.abs(first.weights[moving]) >= USELESS  # else tried already
                if np.abs(slope).max() > FLAT_ENOUGH or small.any():
                    break
                return Blind(total, square, w)
            w = w.copy()
            w[moving] -= step
        self._curved = None
        return None

    def _curvature(self, gamma: float, w: Array, moving: Array) -> Array:
        """Second derivatives of the blind l0 + gamma R by some weights, from differences."""
        step = 1e-4 if self.objective.rounding < 1e-9 else 1e-2
        rows = []
        for i in moving:
            ahead, behind = w.copy(), w.copy()
            ahead[i] += step
            behind[i] -= step
            ends = [self.objective.gradient(v, gamma, blind=True)[2] for v in (ahead, behind)]
            rows.append((ends[0] - ends[1])[moving] / (2 * step))
        hessian = np.array(rows)
        return np.asarray((hessian + hessian.T) / 2)

    def root(self, loss: float, square: float, low: float) -> float:
        """The largest gamma at which l0 + gamma R <= F, given that it holds at `low`; inf if all.

        From below, to SETTLED: F is concave, so that tangents of the difference end above its
        root, closer each time; it is then tried just below. What rounding may have added to the
        difference of the losses is taken off: the root is to be a bound.
        """
        blind = self.at(low)
        loss = loss + self.objective.rounding * abs(blind.value)

        def gap(gamma: float, blind: Blind) -> float:
            return blind.value - loss - gamma * square

        if gap(low, blind) <= 0:
            return low
        gamma = first = low
        for _ in range(DOUBLINGS):
            before = gamma
            if square <= blind.square * (1 + 1e-12) + 1e-300:  # still gaining: look further out
                if gamma > 1e12 * first or blind.square < 1e-30:
                    return math.inf
                gamma *= 2
            else:
                gamma += gap(gamma, blind) / (square - blind.square)
            if (self._constant is not None and low >= self._constant[0]) or gamma > 1e12 * first:
                return gamma  # F is constant, the tangent is the difference itself
            if abs(gamma - before) <= CLOSE * gamma:
                gamma *= 1 - SETTLED
            if gamma <= low:
                return low
            blind = self.at(gamma)
            above = gap(gamma, blind)
            if above >= 0:
                low = gamma
                if abs(gamma - before) <= CLOSE * gamma or (
                    above <= self.objective.rounding * abs(blind.value)
                ):
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
        self._curved = None
        self.at(gamma)
        return True

    def spread(self, gamma: float) -> float:
        """How far the output of the blind weights on the real data is from constant.

        Standard deviation over the samples, in units of that of the network as it was given.
        """

        own = self.objective.spread(self.objective.first)
        return self.objective.spread(self.at(gamma).weights) / own if own > 0 else 0.0
