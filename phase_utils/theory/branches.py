"""Branches of the stationary curve, with certified minima of the loss over them."""

from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import NamedTuple

import numpy as np

from phase_utils._check import Array
from phase_utils.theory.curve import Curve, Piece
from phase_utils.theory.inversion import Monotone
from phase_utils.theory.spectrum import TABLE_ERROR, Sums
from phase_utils.theory.units import LN2

# in s, tried where the slope of lambda is too small for a bound
PROBES = (1e-6, 1e-4, 1e-2, 1.0, 4.0, 16.0, 64.0)
LARGEST_LOG = 300.0  # exponents are cut there: what is that large bounds nothing


class Stationary(NamedTuple):
    """A stationary state.

    Attributes
    ----------
    gain : float
        What it takes off E[y^2], the penalty paid.
    penalty : float
        lambda T.
    log_beta2 : float
        ln |beta|^2.
    """

    gain: float
    penalty: float
    log_beta2: float


TRIVIAL = Stationary(0.0, 0.0, -inf)


@dataclass(frozen=True, eq=False)
class Minima:
    """The states of one branch of minima at given decays, (n,) each.

    Attributes
    ----------
    gain : array
        What they take off E[y^2], the penalty paid.
    penalty : array
        lambda T.
    log_beta2 : array
        ln |beta|^2.
    ceiling : array
        Bound on the gain of any state of the branch, rounding included.
    """

    gain: Array
    penalty: Array
    log_beta2: Array
    ceiling: Array


class StationaryBranch:
    """One piece of the curve with its range of weight decays.

    Parameters
    ----------
    curve : Curve
        The whole curve.
    piece : Piece
        One of its pieces.

    Attributes
    ----------
    kind : int
        -1 for minima, 1 for maxima, 0 where that is not resolved.
    log_low, log_high : float
        The least and the largest ln(lambda).
    first, last : bool
        Whether it begins at s = -inf, or ends at s = inf.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from phase_utils.theory.spectrum import Spectrum
    >>> curve = Curve(Spectrum(np.array([1.0]), np.array([0.45])), Fraction(2, 3))
    >>> maxima, minima = (StationaryBranch(curve, piece) for piece in curve.pieces)
    >>> minima.kind, minima.last, bool(minima.log_high == maxima.log_high)
    (-1, True, True)
    """

    def __init__(self, curve: Curve, piece: Piece) -> None:
        self.curve, self.piece, self.kind = curve, piece, piece.kind
        self.ends = curve.spectrum.at(np.array([piece.left, piece.right]))
        logs = curve.log_decay(self.ends)[0]
        self.log_low, self.log_high = float(logs.min()), float(logs.max())
        self.first, self.last = piece.left == -inf, piece.right == inf

    def invert(self, log_decay: Array) -> Array:
        """Where weight decays stand on this branch.

        Parameters
        ----------
        log_decay : (n,) array
            ln(lambda); outside the range of the branch the nearer end is meant.

        Returns
        -------
        s : (n,) array
            Good to the rounding of ln(lambda). Beyond the spectrum the tails are straight lines.
        """
        curve, spectrum, piece = self.curve, self.curve.spectrum, self.piece
        log_decay = np.clip(log_decay, self.log_low, self.log_high)
        s = np.clip(self._inverse(log_decay), piece.left, piece.right)
        if self.last:
            after = curve.beta * spectrum.log_beta2 + curve.constant - log_decay
            s = np.where(after > spectrum.right, after, s)
        if self.first and curve.alpha:
            before = log_decay - curve.beta * spectrum.log_signal2 - curve.constant
            before /= curve.alpha
            s = np.where(before < spectrum.left, before, s)
        return s

    @cached_property
    def _inverse(self) -> Monotone:
        curve, spectrum = self.curve, self.curve.spectrum
        low, high = max(self.piece.left, spectrum.left), min(self.piece.right, spectrum.right)
        return Monotone(lambda s: curve.log_decay(spectrum.at(s)), low, high, self.kind)

    def minima(self, log_decay: Array) -> Minima:
        """The states of this branch of minima.

        Parameters
        ----------
        log_decay : (n,) array
            ln(lambda), -inf among them.

        Returns
        -------
        Minima
            Their gain and penalty, and a bound on the gain over the branch.
        """
        at = self.curve.spectrum.at(self.invert(log_decay))
        penalty = self._penalty(at, log_decay)
        gain = self.curve.spectrum.taken(at.s) - penalty
        rounding = self.curve.gain_rounding(at, log_decay, penalty)
        ceiling = gain + rounding + self.error(at, log_decay, penalty)
        return Minima(gain, penalty, at.log_beta2, ceiling)

    def _penalty(self, at: Sums, log_decay: Array) -> Array:
        with np.errstate(over="ignore"):
            return np.exp(log_decay + self.curve.log_penalty(at))

    def error(self, at: Sums, log_decay: Array, penalty: Array) -> Array:
        """Bound on how far the loss at s lies above the least over this branch.

        Parameters
        ----------
        at : Sums
            The sums at the s to be judged, (n,).
        log_decay, penalty : (n,) array
            ln(lambda), and lambda T at s.

        Returns
        -------
        (n,) array
            In units of y^2.

        Notes
        -----
        If ln(lambda) is missed by r, the minimum lies at most h away in s, h = 2 r / c where the
        slope c of ln(lambda) is not small beside r (its own slope is at most `bend`). Between, the
        loss changes by at most |lambda(s) - lambda| times the change of T, and ln T has a slope of
        at most k.
        """
        curve, s = self.curve, at.s
        end = np.isneginf(log_decay)  # the end of the branch, exactly
        target = np.where(end, 0.0, log_decay)
        here, slope = curve.log_decay(at)
        with np.errstate(invalid="ignore"):
            r = np.where(end, 0.0, np.abs(here - target) + curve.rounding(at))
        bend = abs(curve.beta)
        c = np.maximum(-slope - 4 * bend * TABLE_ERROR, 0)
        sharp = (4 * bend * r <= c * c) & (c > 0)
        distance = np.divide(2 * r, c, out=np.full_like(r, np.inf), where=sharp)
        vague = unclear = np.flatnonzero(~sharp)
        for probe in PROBES:
            if not len(vague):
                break
            right, left = (curve.spectrum.at(s[vague] + step) for step in (probe, -probe))
            below = curve.log_decay(right)[0] < target[vague] - r[vague]
            above = curve.log_decay(left)[0] > target[vague] + r[vague]
            below |= right.s >= self.piece.right
            above |= left.s <= self.piece.left
            # leftwards T falls by no more than itself, which is less than what it may grow by then
            above |= curve.exponent * probe >= LN2
            enclosed = below & above
            distance[vague[enclosed]] = probe
            vague = vague[~enclosed]
        growth = np.expm1(np.minimum(curve.exponent * distance, LARGEST_LOG))
        if len(unclear):
            growth[unclear] = np.minimum(growth[unclear], self._length(at.log_beta2[unclear]))
        return penalty * np.expm1(np.minimum(r, LARGEST_LOG)) * growth

    def _length(self, log_beta2: Array) -> Array:
        """The difference of T between the ends of the branch, in units of T, (n,)."""
        start, stop = self.curve.exponent / 2 * self.ends.log_beta2
        here = self.curve.exponent / 2 * log_beta2
        return np.expm1(np.minimum(stop - here, LARGEST_LOG)) - np.expm1(start - here)

    def ceiling(self, log_decay: Array) -> Array:
        """Bound on the gain over an unresolved piece, from both its ends.

        Parameters
        ----------
        log_decay : (n,) array
            ln(lambda).

        Returns
        -------
        (n,) array
            In units of y^2.

        Notes
        -----
        lambda on the piece is within its end values widened by the Lipschitz bound of ln(lambda),
        1 in s where k < 1.
        """
        curve = self.curve
        width = self.piece.right - self.piece.left
        log_T = curve.log_penalty(self.ends)
        taken = curve.spectrum.taken(self.ends.s)
        low, high, here = (
            np.exp(np.minimum(log + log_T[0], LARGEST_LOG))  # lambda times T at the left end
            for log in (self.log_low - width, self.log_high + width, log_decay)
        )
        growth = float(np.expm1(log_T[1] - log_T[0]))
        from_left = taken[0] - here + np.maximum(high - here, 0) * growth
        from_right = taken[1] - here * (1 + growth) + np.maximum(here - low, 0) * growth
        left = curve.spectrum.at(np.full_like(log_decay, self.piece.left))
        rounding = 2 * curve.gain_rounding(left, log_decay, here)
        return np.minimum(from_left, from_right) + rounding

    def value(self, log_decay: float) -> Stationary:
        """The state at one weight decay.

        Parameters
        ----------
        log_decay : float
            ln(lambda).

        Returns
        -------
        Stationary
            Its gain, penalty and ln |beta|^2.
        """
        logs = np.array([log_decay])
        at = self.curve.spectrum.at(self.invert(logs))
        penalty = self._penalty(at, logs)
        gain = self.curve.spectrum.taken(at.s) - penalty
        return Stationary(float(gain[0]), float(penalty[0]), float(at.log_beta2[0]))
