"""The stationary curve: all stationary points of the effective loss, at all weight decays at once.

Every stationary point of the depth-D landscape is a ridge solution beta = (N A0 + mu)^-1 E[xy].
With z = 1/mu = e^s, G = |E[xy] - N A0 beta|^2 and q_i = N a_i z / (1 + N a_i z), the stationarity
condition u^(D-1) sum_i e_i^2 / (N a_i u^D + gamma_e)^2 = 1 for L2 decay is solved explicitly by

    gamma_e^(D+1) = z^(D-1) G^D,   u^(D+1) = z^2 G = |beta|^2,   u = B^2.

The penalty gamma T with T = R^(p/2) and R = g (D+1) u, where g is the geometric mean of the decay
ratios, has the same stationary points at gamma = gamma_e (2/p) g^(-p/2) ((D+1) u)^(1 - p/2).
Along the curve the data loss f falls with T at the rate df/dT = -gamma, T rises with s, so
L(gamma) = min_T [f(T) + gamma T]: minima lie where gamma falls with s, maxima where it rises, and

    (D+1) dln(gamma)/ds = D + 1 - p - (2D + 2 - p) P(s),  P = sum_i w_i q_i, w_i ~ e_i^2 (1-q_i)^2.

The turning points, P = (D+1-p)/(2D+2-p), are the spinodals; there are none for p >= D+1. Because
-1/2 <= dP/ds <= 1/4 for every spectrum (dP/ds = P (1-P) - 3 Var_w q), and dln(P)/ds lies in
[-2, 1], a sampled P proves where no root can be.
"""

from dataclasses import dataclass
from functools import cached_property
from math import exp, inf, isclose, isinf, log

import numpy as np
from scipy.optimize import brentq

from phase_utils._check import Array
from phase_utils.theory.inversion import Monotone
from phase_utils.theory.spectrum import TABLE_ERROR, WIDTH, Spectrum, Sums

SLOPE_OF_P = 0.5  # |dP/ds| <= 1/2 for every spectrum
SLOPE_OF_LOG_P = 2.0  # |dln(P)/ds| <= 2
CURVATURE_OF_P = 0.5  # |d2P/ds2| <= 0.4213 for every spectrum, see `_roots`
ROUNDING = 1e-11  # a margin far above the errors of P and its slope, far below what matters
SMALLEST_CELL = 1e-9  # a piece this narrow in s is kept as unresolved and bounded from both ends


@dataclass(frozen=True)
class Piece:
    """A stretch of the curve, s in [left, right]; minima (kind -1), maxima (1), or neither (0)."""

    left: float
    right: float
    kind: int


class Curve:
    """The stationary curve of one problem; `s` is the logarithm of 1 / (equivalent ridge).

    Parameters
    ----------
    eigenvalues, signals : (d,) arrays a_i >= 0 and e_i; modes without signal drop out.
    Eyy : float, E[y^2].
    depth : real D >= 0, or inf.
    log_noise_factor : ln N >= 0, in logarithms because N = (1 + s2/d0)^D overflows; with inf the
        noise drowns the signal and only the trivial state is left.
    penalty_power : p > 0; 2 where the depth is infinite.
    log_decay : ln g, the logarithm of the geometric mean of the decay ratios.
    spectra : the last table of these data by ln N, kept here for curves that differ in depth.
    """

    def __init__(
        self,
        eigenvalues: Array,
        signals: Array,
        Eyy: float,
        depth: float,
        log_noise_factor: float,
        penalty_power: float = 2.0,
        log_decay: float = 0.0,
        spectra: dict[float, Spectrum] | None = None,
    ) -> None:
        active = (signals != 0) & (eigenvalues > 0)
        self.Eyy, self.depth, self.power = Eyy, depth, penalty_power
        self.trivial = not active.any() or isinf(log_noise_factor)
        m, p = depth + 1, penalty_power
        # ln(gamma) = alpha s + beta ln(G) + constant
        self.critical = isclose(m, p, rel_tol=1e-14)
        self.alpha = 0.0 if self.critical else 1 - p / m
        self.beta = 1 - p / (2 * m)
        self.log_scale = log_decay + log(m) if depth < inf else inf  # of R = scale u
        shift = 0.0 if p == 2 else (1 - p / 2) * log(m)
        self.constant = log(2 / p) - p / 2 * log_decay + shift
        if self.trivial:
            return
        spectra = {} if spectra is None else spectra
        if log_noise_factor not in spectra:
            spectra.clear()
            log_a = log_noise_factor + np.log(eigenvalues[active])
            spectra[log_noise_factor] = Spectrum(log_a, 2 * np.log(np.abs(signals[active])))
        self.spectrum = spectra[log_noise_factor]
        self.log_a, self.gain = self.spectrum.log_a, self.spectrum.gain
        self.pieces = self._pieces()

    def critical_gamma(self, signal: float) -> float:
        """Gamma from which on the trivial state is a minimum: 0 for p < D + 1, inf for p > D + 1.

        At p = D + 1, |E[xy]| = `signal` times 2/p g^(-p/2) (D+1)^(1 - p/2).
        """
        if self.trivial or self.alpha > 0:
            return 0.0
        return exp(self.constant) * signal if self.critical else inf

    def log_gain(self, s: Array) -> tuple[Array, Array]:
        """Return ln G and P at s, (n,) each."""
        return self.spectrum.log_gain(s)

    def log_gamma(self, s: Array | Sums) -> tuple[Array, Array]:
        """ln(gamma) and its derivative in s, (n,) each, at any s from -inf to inf.

        This and the next take s, (n,), or the sums there, which serve for all of them.
        """
        at = self._at(s)
        rising = self.alpha * at.s if self.alpha else 0.0
        with np.errstate(invalid="ignore"):
            value = rising + self.beta * at.log_gain + self.constant
        # alpha - 2 beta = -1: in the right tail gamma ~ 1/z at every depth and power
        tail = at.s > self.spectrum.right
        if tail.any():
            value[tail] = self.beta * self.spectrum.log_beta2 + self.constant - at.s[tail]
        return value, self.alpha - 2 * self.beta * at.P

    def norm(self, s: Array | Sums) -> Array:
        """U = B^2 at s, (n,)."""
        return np.exp(self._at(s).log_beta2 / (self.depth + 1))

    def penalty(self, s: Array | Sums) -> Array:
        """T = |w|^p at s, (n,), what gamma multiplies: R^(p/2), R = g (D+1) u."""
        log_u = self._at(s).log_beta2 / (self.depth + 1)
        return np.exp(self.power / 2 * (self.log_scale + log_u))

    def data_loss(self, s: Array | Sums) -> Array:
        """F = E[y^2] - sum_i e_i^2 / (N a_i) (1 - (1-q_i)^2) at s, (n,)."""
        return self.Eyy - self.spectrum.taken(s.s if isinstance(s, Sums) else s)

    def rounding(self, s: Array | Sums) -> Array:
        """Bound on the error of ln(gamma) and of ln(T) at s, (n,)."""
        at = self._at(s)
        size = 1 + abs(self.constant) + abs(self.log_scale) + np.abs(at.s) + np.abs(at.log_gain)
        return 8 * np.finfo(float).eps * max(1, self.power / 2) * size + 2 * TABLE_ERROR

    def _at(self, s: Array | Sums) -> Sums:
        return s if isinstance(s, Sums) else self.spectrum.at(s)

    def invert(self, log_gamma: Array, piece: Piece) -> Array:
        """The s in `piece` (kind -1 or 1) at which ln(gamma) takes the given values, (n,).

        The values must lie in the range of the piece. Beyond the spectrum the tails are straight
        lines; between, s is good to the rounding of ln(gamma).
        """
        spectrum = self.spectrum
        with np.errstate(divide="ignore", invalid="ignore"):
            after = self.beta * spectrum.log_beta2 + self.constant - log_gamma
            before = log_gamma - self.beta * spectrum.log_signal2 - self.constant
            before = before / self.alpha if self.alpha else np.full_like(before, inf)
        s = np.clip(self._inverse(piece)(log_gamma), piece.left, piece.right)
        s = np.where((after > spectrum.right) & (piece.right == inf), after, s)
        return np.where((before < spectrum.left) & (piece.left == -inf), before, s)

    def _inverse(self, piece: Piece) -> Monotone:
        if piece not in self._inverses:
            low = max(piece.left, self.spectrum.left)
            high = min(piece.right, self.spectrum.right)
            self._inverses[piece] = Monotone(self.log_gamma, low, high, piece.kind)
        return self._inverses[piece]

    @cached_property
    def _inverses(self) -> dict[Piece, Monotone]:
        return {}

    def _pieces(self) -> list[Piece]:
        if self.alpha <= 0:  # P > 0 >= threshold: gamma falls everywhere
            return [Piece(-inf, inf, -1)]
        threshold = self.alpha / (2 * self.beta)
        # outside this range every q_i lies on one side of the threshold
        edge = log(threshold / (1 - threshold))
        left, right = edge - self.log_a.max() - WIDTH, edge - self.log_a.min() + WIDTH
        left, right = max(left, self.spectrum.left), min(right, self.spectrum.right)
        pieces, start, kind = [], -inf, 1
        for a, b in self._roots(left, right, threshold):
            pieces.append(Piece(start, a, kind))
            if b > a:
                pieces.append(Piece(a, b, 0))
            start, kind = b, self._slope_sign(b, threshold)
        pieces.append(Piece(start, inf, kind))
        return _joined(pieces)

    def _excess(self, s: float, threshold: float) -> float:
        """P - threshold from the sums themselves, whose relative error is at rounding level."""
        return float(self.spectrum.direct(np.array([s]))[1][0]) - threshold

    def _slope_sign(self, s: float, threshold: float) -> int:
        """Sign of dln(gamma)/ds just right of the turning point s."""
        step = 1e-6
        for _ in range(40):
            excess = self._excess(s + step, threshold)
            if abs(excess) > ROUNDING * threshold:
                return 1 if excess < 0 else -1
            step *= 1.5
        return -1

    def _roots(self, left: float, right: float, threshold: float) -> list[tuple[float, float]]:
        """Turning points in [left, right], each as an interval (a, b), a = b where it is simple.

        A cell without a root is proved by |P - c| > half width * 1/2 at its middle, or by
        |ln(P/c)| > half width * 2; a cell with at most one root by
        |dP/ds| > half width * max |d2P/ds2|. What is neither is halved. With m_k = <q^k>_w,
        d2P/ds2 = (m1 - 3 m2 + 2 m1^2)(1 + 4 m1) - 6 m2 + 12 m3 - 6 m1 m2, linear in (m2, m3) at
        fixed m1, so that two atoms in [0, 1] attain its extremes: at most 0.4213.
        """
        edges = np.linspace(left, right, max(2, int(np.ceil((right - left) / WIDTH))) + 1)
        lows, highs = edges[:-1], edges[1:]
        found: list[tuple[float, float]] = []
        while len(lows):
            middle, half = (lows + highs) / 2, (highs - lows) / 2
            P, slope = self.log_gain(middle)[1], self.spectrum.slope_of_P(middle)
            far = np.abs(P - threshold) > half * SLOPE_OF_P + ROUNDING
            nearest = P + np.clip(threshold - P, -TABLE_ERROR, TABLE_ERROR)
            empty = far | (np.abs(np.log(nearest / threshold)) > half * SLOPE_OF_LOG_P)
            single = ~empty & (np.abs(slope) > half * CURVATURE_OF_P + ROUNDING)
            tiny = ~empty & ~single & (half < SMALLEST_CELL)
            for a, b in zip(lows[single], highs[single], strict=True):
                root = self._root(a, b, threshold)
                if root is not None:
                    found.append((root, root))
            found += [(a, b) for a, b in zip(lows[tiny], highs[tiny], strict=True)]
            rest = ~(empty | single | tiny)
            lows = np.concatenate([lows[rest], middle[rest]])
            highs = np.concatenate([middle[rest], highs[rest]])
        return _merged(sorted(found))

    def _root(self, a: float, b: float, threshold: float) -> float | None:
        at_a, at_b = self._excess(a, threshold), self._excess(b, threshold)
        if at_a == 0 or at_b == 0:
            return a if at_a == 0 else b
        if at_a * at_b > 0:
            return None
        return float(brentq(self._excess, a, b, args=(threshold,), xtol=1e-15, rtol=1e-15))


def _joined(pieces: list[Piece]) -> list[Piece]:
    """One piece where the kind does not change, be there an unresolved piece between.

    Within such a piece |P - c| < 1e-9 over a width of 1e-8 in s: gamma is monotone to rounding.
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
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged
