"""Branches of the stationary curve, and the transitions and spinodals that follow from them."""

from dataclasses import dataclass
from functools import cached_property
from math import nan

import numpy as np
from scipy.optimize import brentq

from phase_utils._check import Array
from phase_utils.curve import Curve, Piece
from phase_utils.moments import Moments


@dataclass(frozen=True)
class Transition:
    """A phase transition; below and above refer to gamma.

    gamma : where the phases coexist (order 1) or the critical point (order 2).
    order : 0, 1 or 2, Ehrenfest's order in gamma.
    B_below, B_above : order parameter of the two phases.
    latent_heat : gamma times the jump of |w|^2.
    barrier : lowest maximum to be climbed between the phases at coexistence, above L(gamma).
    gamma_error, exponent, exponent_error, latent_heat_error, evidence : of transitions found in
        measured curves; standard errors.
    """

    gamma: float
    order: int
    B_below: float
    B_above: float
    latent_heat: float
    barrier: float
    gamma_error: float = 0.0
    exponent: float = nan
    exponent_error: float = nan
    latent_heat_error: float = 0.0
    evidence: str = ""


@dataclass(frozen=True)
class Spinodal:
    """The end of a branch of minima: weight decay and order parameter."""

    gamma: float
    B: float


class Branch:
    """One piece of the curve with its range of gamma and of the squared norm R."""

    def __init__(self, curve: Curve, piece: Piece) -> None:
        self.curve, self.piece, self.kind = curve, piece, piece.kind
        ends = np.array([piece.left, piece.right])
        self.gammas = np.exp(curve.log_gamma(ends)[0])
        self.low, self.high = float(self.gammas.min()), float(self.gammas.max())
        self.first = piece.left == curve.s_min
        self.last = piece.right == curve.s_max

    @cached_property
    def norms(self) -> Array:
        """R = (D+1) u at both ends."""
        return (self.curve.depth + 1) * self.curve.norm(
            np.array([self.piece.left, self.piece.right])
        )

    @cached_property
    def losses(self) -> Array:
        """Data loss at both ends."""
        return self.curve.data_loss(np.array([self.piece.left, self.piece.right]))

    def invert(self, gamma: Array) -> Array:
        """Return s on this branch at gamma (clipped to the ends of the branch)."""
        with np.errstate(divide="ignore"):
            target = np.log(np.clip(gamma, self.low, self.high))
        return self.curve.invert(target, self.piece)

    def minimum(self, gamma: Array) -> tuple[Array, Array, Array]:
        """Loss, u, and a lower bound on the loss over this branch of minima."""
        s = self.invert(gamma)
        u = self.curve.norm(s)
        R = (self.curve.depth + 1) * u
        value = self.curve.data_loss(s) + gamma * R
        residual = np.abs(np.exp(self.curve.log_gamma(s)[0]) - gamma)
        return value, u, value - residual * (self.norms[1] - self.norms[0])

    def floor(self, gamma: Array) -> Array:
        """A lower bound on data loss + gamma R over an unresolved piece, from both its ends.

        gamma(s) on the piece is within its end values widened by the Lipschitz bound of ln gamma.
        """
        width = self.piece.right - self.piece.left
        low, high = self.low * np.exp(-2 * width), self.high * np.exp(2 * width)
        (R1, R2), (f1, f2) = self.norms, self.losses
        from_left = f1 + gamma * R1 - np.maximum(high - gamma, 0) * (R2 - R1)
        from_right = f2 + gamma * R2 - np.maximum(gamma - low, 0) * (R2 - R1)
        return np.maximum(from_left, from_right)

    def value(self, gamma: float) -> tuple[float, float]:
        """Stationary loss and u at one gamma."""
        s = self.invert(np.array([gamma]))
        u = float(self.curve.norm(s)[0])
        return float(self.curve.data_loss(s)[0]) + gamma * (self.curve.depth + 1) * u, u


def find_spinodals(branches: list[Branch]) -> list[Spinodal]:
    """Turning points of gamma along the curve, ascending in gamma."""
    found = []
    for branch in branches:
        if branch.kind != 0 and not branch.first:
            left = np.array([branch.piece.left])
            gamma = float(np.exp(branch.curve.log_gamma(left)[0][0]))
            found.append(Spinodal(gamma, float(np.sqrt(branch.curve.norm(left)[0]))))
    return sorted(found, key=lambda spinodal: spinodal.gamma)


def find_transitions(branches: list[Branch], moments: Moments, depth: float) -> list[Transition]:
    """Walk the lower envelope of the branches of minima from gamma = 0 upwards.

    The difference of two branches is monotone in gamma, because the one at larger R has the
    steeper slope, so that each pair exchanges the global minimum at most once.
    """
    minima = [branch for branch in branches if branch.kind < 0]
    if not minima or depth < 1:
        return []
    if depth == 1:
        return [Transition(moments.signal, 2, 0.0, 0.0, 0.0, 0.0)]
    current, found = len(minima) - 1, []
    while current >= 0:
        crossings = [
            (gamma, other)
            for other in range(-1, current)
            if (gamma := _crossing(minima, current, other, moments.Eyy)) is not None
        ]
        if not crossings:
            break
        gamma, other = min(crossings)
        found.append(_first_order(branches, minima, current, other, gamma, depth))
        current = other
    return found


def _crossing(minima: list[Branch], upper: int, lower: int, Eyy: float) -> float | None:
    """Gamma above which minimum `lower` (-1: the trivial one) beats `upper`, or None."""
    a = minima[upper]
    start, stop = a.low, a.high
    if lower >= 0:
        start, stop = max(start, minima[lower].low), min(stop, minima[lower].high)
    if start >= stop:
        return None

    def excess(gamma: float) -> float:
        below = Eyy if lower < 0 else minima[lower].value(gamma)[0]
        return a.value(gamma)[0] - below

    if excess(start) > 0 or excess(stop) < 0:
        return None
    return float(brentq(excess, start, stop, xtol=1e-16, rtol=1e-15))


def _first_order(
    branches: list[Branch], minima: list[Branch], upper: int, lower: int, gamma: float, depth: float
) -> Transition:
    loss, u_below = minima[upper].value(gamma)
    u_above = minima[lower].value(gamma)[1] if lower >= 0 else 0.0
    tops = []
    for branch in branches:
        if branch.kind > 0 and branch.low < gamma < branch.high:
            top, u = branch.value(gamma)
            if u_above < u < u_below:
                tops.append(top)
    heat = gamma * (depth + 1) * (u_below - u_above)
    barrier = max(tops) - loss if tops else 0.0
    return Transition(gamma, 1, float(np.sqrt(u_below)), float(np.sqrt(u_above)), heat, barrier)
