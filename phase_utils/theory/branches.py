"""Branches of the stationary curve, with certified minima of the loss over them."""

from functools import cached_property

import numpy as np

from phase_utils._check import Array
from phase_utils.theory.curve import Curve, Piece
from phase_utils.theory.spectrum import TABLE_ERROR, Sums

STEPS = (1e-6, 1e-4, 1e-2, 1.0)  # in s, tried where the slope of gamma is too small for a bound


class Branch:
    """One piece of the curve with its range of gamma and of the penalty T."""

    def __init__(self, curve: Curve, piece: Piece) -> None:
        self.curve, self.piece, self.kind = curve, piece, piece.kind
        self.ends = np.array([piece.left, piece.right])
        with np.errstate(over="ignore"):
            self.gammas = np.exp(curve.log_gamma(self.ends)[0])
        self.low, self.high = float(self.gammas.min()), float(self.gammas.max())
        self.first = piece.left == -np.inf
        self.last = piece.right == np.inf

    @cached_property
    def penalties(self) -> Array:
        """T at both ends."""
        return self.curve.penalty(self.ends)

    @cached_property
    def losses(self) -> Array:
        """Data loss at both ends."""
        return self.curve.data_loss(self.ends)

    def invert(self, gamma: Array) -> Array:
        """Return s on this branch at gamma (clipped to the ends of the branch)."""
        with np.errstate(divide="ignore"):
            target = np.log(np.clip(gamma, self.low, self.high))
        return self.curve.invert(target, self.piece)

    def minimum(self, gamma: Array) -> tuple[Array, Array, Array, Array]:
        """Loss, u, T, and a lower bound on the loss over this branch of minima."""
        at = self.curve.spectrum.at(self.invert(gamma))
        u, T = self.curve.norm(at), self.curve.penalty(at)
        value = self.curve.data_loss(at) + gamma * T
        return value, u, T, value - self.error(at, gamma, T)

    def error(self, at: Sums, gamma: Array, T: Array) -> Array:
        """Bound on how far the loss there lies above the least over this branch.

        If ln(gamma) is missed by r, the minimum lies at most h away in s, h = 2 r / k where the
        slope k of ln(gamma) is not small beside r (its own slope is at most `bend`). Between, the
        loss changes by at most |gamma(s) - gamma| times the change of T, and ln T has a slope of
        at most p / (D+1).
        """
        curve, s = self.curve, at.s
        end = gamma == 0  # the end of the branch, exactly
        target = np.log(np.where(end, 1.0, gamma))
        log_gamma, slope = curve.log_gamma(at)
        r = np.where(end, 0.0, np.abs(log_gamma - target) + curve.rounding(at))
        k = np.maximum(-slope - 4 * abs(curve.beta) * TABLE_ERROR, 0)
        bend = abs(curve.beta)
        sharp = (4 * bend * r <= k * k) & (k > 0)
        distance = np.divide(2 * r, k, out=np.full_like(r, np.inf), where=sharp)
        vague = np.flatnonzero(~sharp)
        for step in STEPS:
            if not len(vague):
                break
            here, margin = s[vague], r[vague]
            right, left = here + step, here - step
            below = curve.log_gamma(right)[0] < target[vague] - margin
            above = curve.log_gamma(left)[0] > target[vague] + margin
            enclosed = (below | (right >= self.piece.right)) & (above | (left <= self.piece.left))
            distance[vague[enclosed]] = step
            vague = vague[~enclosed]
        growth = np.expm1(np.minimum(curve.power / (curve.depth + 1) * distance, 300.0))
        length = np.minimum(T * growth, self.penalties[1] - self.penalties[0])
        return gamma * np.expm1(np.minimum(r, 300.0)) * length

    def floor(self, gamma: Array) -> Array:
        """A lower bound on data loss + gamma T over an unresolved piece, from both its ends.

        gamma(s) on the piece is within its end values widened by the Lipschitz bound of ln gamma.
        """
        width = self.piece.right - self.piece.left
        low, high = self.low * np.exp(-2 * width), self.high * np.exp(2 * width)
        (T1, T2), (f1, f2) = self.penalties, self.losses
        from_left = f1 + gamma * T1 - np.maximum(high - gamma, 0) * (T2 - T1)
        from_right = f2 + gamma * T2 - np.maximum(gamma - low, 0) * (T2 - T1)
        return np.maximum(from_left, from_right)

    def value(self, gamma: float) -> tuple[float, float, float]:
        """Stationary loss less E[y^2], u and T at one gamma."""
        at = self.curve.spectrum.at(self.invert(np.array([gamma])))
        T = float(self.curve.penalty(at)[0])
        taken = float(self.curve.spectrum.taken(at.s)[0])
        return gamma * T - taken, float(self.curve.norm(at)[0]), T
