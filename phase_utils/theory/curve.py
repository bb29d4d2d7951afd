"""The stationary curve: all stationary points of the effective loss, at all weight decays at once.

Eliminating all but the end-to-end vector beta from a network leaves, in units in which neither
width nor noise nor the decay ratios appear (`Reduction`), regression with a bridge penalty,

    L(lambda) = E[y^2] + min_beta beta^T A0 beta - 2 beta.E[xy] + lambda |beta|^k,   k = p / (D+1).

Every stationary point is a ridge solution beta = (A0 + mu)^-1 E[xy]. With z = 1/mu = e^s,
G = |E[xy] - A0 beta|^2 and q_i = a_i z / (1 + a_i z), so that |beta|^2 = z^2 G, it is stationary at

    lambda = (2/k) mu |beta|^(2-k) = (2/k) z^(1-k) G^(1 - k/2).

Along the curve the data loss f falls with T = |beta|^k at the rate df/dT = -lambda, T rises with
s, so L(lambda) = min_T [f(T) + lambda T]: minima lie where lambda falls with s, maxima where it
rises, and

    dln(lambda)/ds = 1 - k - (2-k) P(s),  P = sum_i w_i q_i, w_i ~ e_i^2 (1-q_i)^2.

The turning points, P = (1-k)/(2-k), are the spinodals; there are none for k >= 1. Because
-1/2 <= dP/ds <= 1/4 for every spectrum (dP/ds = P (1-P) - 3 Var_w q), and dln(P)/ds lies in
[-2, 1], a sampled P proves where no root can be.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import inf, log

import numpy as np
from scipy.optimize import brentq

from phase_utils._check import Array
from phase_utils.theory.spectrum import TABLE_ERROR, WIDTH, Spectrum, Sums
from phase_utils.theory.units import EPS

SLOPE_OF_P = 0.5  # |dP/ds| <= 1/2 for every spectrum
SLOPE_OF_LOG_P = 2.0  # |dln(P)/ds| <= 2
CURVATURE_OF_P = 0.5  # |d2P/ds2| <= 0.4213 for every spectrum, see `_roots`
MARGIN = 1e-11  # far above the errors of P and its slope, far below what matters
SMALLEST_CELL = 1e-9  # a piece this narrow in s is kept as unresolved and bounded from both ends


@dataclass(frozen=True)
class Piece:
    """A stretch of the curve on which the decay is monotone.

    Attributes
    ----------
    left, right : float
        Its ends in s, -inf and inf among them.
    kind : int
        -1 where its states are minima, 1 maxima, 0 where that is not resolved.
    """

    left: float
    right: float
    kind: int


class Curve:
    """The stationary curve of bridge regression; `s` is the logarithm of 1 / (equivalent ridge).

    Parameters
    ----------
    spectrum : Spectrum
        The sums over the modes, which fix the units.
    exponent : Fraction
        k = p / (D+1) >= 0 of the penalty lambda |beta|^k, exact, so that what is near the critical
        k = 1 keeps its digits. At k = 0, the limit of infinite depth, lambda stands for the limit
        of lambda k / 2.

    Attributes
    ----------
    critical : bool
        Whether k = 1.
    alpha, beta, constant : float
        ln(lambda) = alpha s + beta ln(G) + constant.
    threshold : float
        P at the turning points.
    pieces : list of Piece
        From s = -inf to s = inf.

    Examples
    --------
    >>> curve = Curve(Spectrum(np.array([1.0]), np.array([1.0])), Fraction(2, 3))
    >>> [(round(piece.left, 6), round(piece.right, 6), piece.kind) for piece in curve.pieces]
    [(-inf, -1.098612, 1), (-1.098612, inf, -1)]
    """

    def __init__(self, spectrum: Spectrum, exponent: Fraction) -> None:
        self.spectrum, self.exponent = spectrum, float(exponent)
        self.critical = exponent == 1
        self.alpha, self.beta = float(1 - exponent), float(1 - exponent / 2)
        self.constant = log(2 / exponent) if exponent else 0.0
        self.threshold = float((1 - exponent) / (2 - exponent)) if exponent < 1 else 0.0
        self.pieces = self._pieces()

    def log_decay(self, at: Sums) -> tuple[Array, Array]:
        """Weight decay at which the ridge solutions at s are stationary.

        Parameters
        ----------
        at : Sums
            The sums at s, (n,).

        Returns
        -------
        value, slope : (n,) array
            ln(lambda) and its derivative in s.
        """
        rising = self.alpha * at.s if self.alpha else 0.0
        with np.errstate(invalid="ignore"):
            value = rising + self.beta * at.log_gain + self.constant
        # alpha - 2 beta = -1: in the right tail lambda ~ 1/z at every k
        tail = at.s > self.spectrum.right
        if tail.any():
            value[tail] = self.beta * self.spectrum.log_beta2 + self.constant - at.s[tail]
        return value, self.alpha - 2 * self.beta * at.P

    def log_penalty(self, at: Sums) -> Array:
        """Logarithm of the penalty T = |beta|^k.

        Parameters
        ----------
        at : Sums
            The sums at s, (n,).

        Returns
        -------
        (n,) array
            ln T.
        """
        return self.exponent / 2 * at.log_beta2

    def rounding(self, at: Sums) -> Array:
        """Bound on the rounding of `log_decay`.

        Parameters
        ----------
        at : Sums
            The sums at s, (n,).

        Returns
        -------
        (n,) array
            Bound on the error of ln(lambda).
        """
        size = abs(self.alpha) * np.abs(at.s) + abs(self.beta) * self._size(at)
        return 4 * EPS * (1 + abs(self.constant) + size) + 2 * abs(self.beta) * TABLE_ERROR

    def gain_rounding(self, at: Sums, log_decay: Array, penalty: Array) -> Array:
        """Bound on the error of the gain C - lambda T at s.

        Parameters
        ----------
        at : Sums
            The sums at s, (n,).
        log_decay, penalty : (n,) array
            ln(lambda) and lambda T there.

        Returns
        -------
        (n,) array
            That of C, whose places in the table are rounded as s is, and that of T.
        """
        reach = np.minimum(np.abs(at.s), max(-self.spectrum.left, self.spectrum.right))
        taken = (TABLE_ERROR + 2 * EPS * reach) * self.spectrum.total_gain
        size = np.abs(np.where(penalty > 0, log_decay, 0.0)) + self.exponent * self._size(at)
        return taken + penalty * (4 * EPS * (1 + size) + self.exponent * TABLE_ERROR)

    def _size(self, at: Sums) -> Array:
        """Of the numbers that make ln |beta|; at infinity of those at the end of the table."""
        at_the_end = 3 * self.spectrum.right + abs(self.spectrum.log_beta2)
        return np.where(np.isinf(at.s), at_the_end, np.abs(at.log_gain) + np.abs(at.s))

    def _pieces(self) -> list[Piece]:
        if self.alpha <= 0:  # P > 0 >= threshold: gamma falls everywhere
            return [Piece(-inf, inf, -1)]
        log_a = self.spectrum.log_a
        # outside this range every q_i lies on one side of the threshold
        edge = log(self.threshold / (1 - self.threshold))
        left, right = edge - log_a[-1] - WIDTH, edge - log_a[0] + WIDTH
        left, right = max(left, self.spectrum.left), min(right, self.spectrum.right)
        pieces, start, kind = [], -inf, 1
        for a, b in self._roots(left, right):
            pieces.append(Piece(start, a, kind))
            if b > a:
                pieces.append(Piece(a, b, 0))
            start, kind = b, self._slope_sign(b)
        pieces.append(Piece(start, inf, kind))
        return _joined(pieces)

    def _excess(self, s: float) -> float:
        """P - threshold from the sums themselves, whose relative error is at rounding level."""
        return float(self.spectrum.direct(np.array([s]))[1][0]) - self.threshold

    def _slope_sign(self, s: float) -> int:
        """Sign of dln(lambda)/ds just right of the turning point s."""
        step = 1e-6
        for _ in range(40):
            excess = self._excess(s + step)
            if abs(excess) > MARGIN * self.threshold:
                return 1 if excess < 0 else -1
            step *= 1.5
        return -1

    def _roots(self, left: float, right: float) -> list[tuple[float, float]]:
        """Turning points in [left, right], each as an interval (a, b), a = b where it is simple.

        A cell without a root is proved by |P - c| > half width * 1/2 at its middle, or by
        |ln(P/c)| > half width * 2; a cell with at most one root by
        |dP/ds| > half width * max |d2P/ds2|. What is neither is halved. With m_k = <q^k>_w,
        d2P/ds2 = (m1 - 3 m2 + 2 m1^2)(1 + 4 m1) - 6 m2 + 12 m3 - 6 m1 m2, linear in (m2, m3) at
        fixed m1, so that two atoms in [0, 1] attain its extremes: at most 0.4213.
        """
        threshold = self.threshold
        edges = np.linspace(left, right, max(2, int(np.ceil((right - left) / WIDTH))) + 1)
        lows, highs = edges[:-1], edges[1:]
        found: list[tuple[float, float]] = []
        while len(lows):
            middle, half = (lows + highs) / 2, (highs - lows) / 2
            P, slope = self.spectrum.log_gain(middle)[1], self.spectrum.slope_of_P(middle)
            far = np.abs(P - threshold) > half * SLOPE_OF_P + MARGIN
            nearest = P + np.clip(threshold - P, -TABLE_ERROR, TABLE_ERROR)
            empty = far | (np.abs(np.log(nearest / threshold)) > half * SLOPE_OF_LOG_P)
            single = ~empty & (np.abs(slope) > half * CURVATURE_OF_P + MARGIN)
            tiny = ~empty & ~single & (half < SMALLEST_CELL)
            for a, b in zip(lows[single], highs[single], strict=True):
                root = self._root(a, b)
                if root is not None:
                    found.append((root, root))
            found += [(a, b) for a, b in zip(lows[tiny], highs[tiny], strict=True)]
            rest = ~(empty | single | tiny)
            lows = np.concatenate([lows[rest], middle[rest]])
            highs = np.concatenate([middle[rest], highs[rest]])
        return _merged(sorted(found))

    def _root(self, a: float, b: float) -> float | None:
        at_a, at_b = self._excess(a), self._excess(b)
        if at_a == 0 or at_b == 0:
            return a if at_a == 0 else b
        if at_a * at_b > 0:
            return None
        return float(brentq(self._excess, a, b, xtol=1e-15, rtol=1e-15))


def _joined(pieces: list[Piece]) -> list[Piece]:
    """One piece where the kind does not change, be there an unresolved piece between.

    Within such a piece |P - c| < 1e-9 over a width of 1e-8 in s: lambda is monotone to rounding.
    """
    joined: list[Piece] = []
    for piece in pieces:
        if len(joined) > 1 and joined[-1].kind == 0 and joined[-2].kind == piece.kind:
            joined.pop()
        if joined and joined[-1].kind == piece.kind:
            joined[-1] = Piece(joined[-1].left, piece.right, piece.kind)
        else:
            joined.append(piece)
    return joined


def _merged(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    merged: list[tuple[float, float]] = []
    for a, b in found:
        if merged and a <= merged[-1][1] + SMALLEST_CELL:
            merged[-1] = (merged[-1][0], max(float(b), merged[-1][1]))
        else:
            merged.append((float(a), float(b)))
    return merged
