"""The stationary curve: all stationary points of the effective loss, at all weight decays at once.

Every stationary point of the depth-D landscape is a ridge solution beta = (N A0 + mu I)^-1 E[xy]
with an equivalent ridge penalty mu = gamma / u^D, u = B^2. With z = 1 / mu, s = ln z,

    q_i = N a_i z / (1 + N a_i z),   G = sum_i e_i^2 (1 - q_i)^2 = |E[xy] - N A0 beta|^2,

the stationarity condition u^(D-1) sum_i e_i^2 / (N a_i u^D + gamma)^2 = 1 is solved explicitly by

    gamma^(D+1) = z^(D-1) G^D,   u^(D+1) = z^2 G = |beta|^2.

Along it the data loss f falls with the squared norm R = (D+1) u at the rate df/dR = -gamma, so
L(gamma) = min_R [f(R) + gamma R]: minima lie where gamma falls with s, maxima where it rises, and

    (D+1) dln(gamma)/ds = D - 1 - 2 D P(s),   P = sum_i w_i q_i,   w_i ~ e_i^2 (1 - q_i)^2.

The turning points, P = (D-1)/(2D), are the spinodals. Because -1/2 <= dP/ds <= 1/4 for every
spectrum (q lies in [0, 1], dP/ds = P (1-P) - 3 Var_w q), a sampled P proves where no root can be.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, log_expit

from phase_utils._check import Array

SLOPE_OF_P = 0.5  # |dP/ds| <= 1/2 for every spectrum
CURVATURE_OF_P = 0.5  # |d2P/ds2| <= 0.4213 for every spectrum, see `_roots`
ROUNDING = 1e-12  # a margin far above the rounding of P, far below what matters
CELL = 1 / 16  # initial spacing in s
SMALLEST_CELL = 1e-9  # a piece this narrow in s is kept as unresolved and bounded from both ends
MAX_ELEMENTS = 2_000_000  # of one block of (points x modes), bounds the memory


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
    depth : real D >= 0.
    log_noise_factor : ln N >= 0, in logarithms because N = (1 + s2/d0)^D overflows.
    """

    def __init__(
        self, eigenvalues: Array, signals: Array, Eyy: float, depth: float, log_noise_factor: float
    ) -> None:
        active = (signals != 0) & (eigenvalues > 0)
        self.log_a = log_noise_factor + np.log(eigenvalues[active])  # of N a_i
        self.log_e2 = 2 * np.log(np.abs(signals[active]))
        self.gain = np.exp(self.log_e2 - self.log_a)  # what each mode can take off the loss
        self.Eyy, self.depth = Eyy, depth
        self.trivial = not active.any()
        if self.trivial:
            return
        self.threshold = (depth - 1) / (2 * depth) if depth > 0 else -np.inf
        self.s_min, self.s_max = -self.log_a.max() - 40.0, -self.log_a.min() + 40.0
        self.pieces = self._pieces()

    def log_gain(self, s: Array) -> tuple[Array, Array]:
        """Return ln G and P at s, (n,) each."""
        log_G, P = np.empty_like(s), np.empty_like(s)
        block = max(1, MAX_ELEMENTS // len(self.log_e2))
        for i in range(0, len(s), block):
            log_total, weight, q = self._weights(s[i : i + block])
            log_G[i : i + block] = log_total
            P[i : i + block] = (weight * q).sum(axis=1)
        return log_G, P

    def _weights(self, s: Array) -> tuple[Array, Array, Array]:
        """Return ln G (n,), w_i and q_i (n, modes), in logarithms: nothing under- or overflows."""
        x = s[:, None] + self.log_a
        log_weight = self.log_e2 + 2 * log_expit(-x)
        top = log_weight.max(axis=1, keepdims=True)
        weight = np.exp(log_weight - top)
        total = weight.sum(axis=1, keepdims=True)
        return (top + np.log(total))[:, 0], weight / total, expit(x)

    def log_gamma(self, s: Array) -> tuple[Array, Array]:
        """ln(gamma) and its derivative in s, (n,) each."""
        log_G, P = self.log_gain(s)
        D = self.depth
        return ((D - 1) * s + D * log_G) / (D + 1), (D - 1 - 2 * D * P) / (D + 1)

    def norm(self, s: Array) -> Array:
        """U = B^2 at s, (n,)."""
        return np.exp((2 * s + self.log_gain(s)[0]) / (self.depth + 1))

    def data_loss(self, s: Array) -> Array:
        """F = E[y^2] - sum_i e_i^2 / (N a_i) (1 - (1-q_i)^2) at s, (n,)."""
        taken = np.empty_like(s)
        block = max(1, MAX_ELEMENTS // len(self.log_e2))
        for i in range(0, len(s), block):
            q = expit(s[i : i + block, None] + self.log_a)
            taken[i : i + block] = (self.gain * (q * (2 - q))).sum(axis=1)
        return self.Eyy - taken

    def invert(self, log_gamma: Array, piece: Piece) -> Array:
        """The s in `piece` (kind -1 or 1) at which ln(gamma) takes the given values, (n,).

        Newton's method kept inside a bracket by bisection; the values must lie in the range of
        the piece. The residual is at rounding level, which is what the certificate uses.
        """
        nodes = np.linspace(piece.left, piece.right, 513)
        values = self.log_gamma(nodes)[0] * piece.kind
        target = log_gamma * piece.kind
        cell = np.clip(np.searchsorted(values, target), 1, len(nodes) - 1)
        low, high = nodes[cell - 1], nodes[cell]
        s = (low + high) / 2
        open_rows = np.arange(len(s))
        for _ in range(80):
            value, slope = self.log_gamma(s[open_rows])
            residual, slope = value * piece.kind - target[open_rows], slope * piece.kind
            here = s[open_rows]
            low[open_rows] = np.where(residual < 0, here, low[open_rows])
            high[open_rows] = np.where(residual > 0, here, high[open_rows])
            with np.errstate(divide="ignore", invalid="ignore"):
                step = here - residual / slope
            inside = (step >= low[open_rows]) & (step <= high[open_rows])
            following = np.where(inside, step, (low[open_rows] + high[open_rows]) / 2)
            following = np.where(residual == 0, here, following)
            s[open_rows] = following
            moved = np.abs(following - here) > 4e-16 * np.maximum(1, np.abs(here))
            open_rows = open_rows[moved & (np.abs(residual) > 4e-16)]
            if not len(open_rows):
                break
        return s

    def _pieces(self) -> list[Piece]:
        if self.depth <= 1:  # P > 0 >= threshold: gamma falls everywhere
            return [Piece(self.s_min, self.s_max, -1)]
        # outside this range every q_i lies on one side of the threshold
        edge = np.log(self.threshold / (1 - self.threshold))
        left, right = edge - self.log_a.max() - CELL, edge - self.log_a.min() + CELL
        cuts: list[tuple[float, float]] = self._roots(left, right)
        pieces, start, kind = [], self.s_min, 1
        for a, b in cuts:
            pieces.append(Piece(start, a, kind))
            after = self._slope_sign(b)
            if b > a:
                pieces.append(Piece(a, b, 0))
            start, kind = b, after
        pieces.append(Piece(start, self.s_max, kind))
        return [p for p in pieces if p.right > p.left or p.kind == 0]

    def _slope_sign(self, s: float) -> int:
        """Sign of dln(gamma)/ds just right of the turning point s."""
        step = 1e-6
        for _ in range(40):
            gap = self.threshold - float(self.log_gain(np.array([s + step]))[1][0])
            if abs(gap) > ROUNDING:
                return 1 if gap > 0 else -1
            step *= 1.5
        return -1

    def _roots(self, left: float, right: float) -> list[tuple[float, float]]:
        """Turning points in [left, right], each as an interval (a, b), a = b where it is simple.

        A cell without a root is proved by |P - c| > half width * 1/2 at its middle; a cell with
        at most one root by |dP/ds| > half width * max |d2P/ds2|. What is neither is halved. With
        m_k = <q^k>_w, d2P/ds2 = (m1 - 3 m2 + 2 m1^2)(1 + 4 m1) - 6 m2 + 12 m3 - 6 m1 m2, linear in
        (m2, m3) at fixed m1, so that two atoms in [0, 1] attain its extremes: at most 0.4213.
        """
        count = max(2, int(np.ceil((right - left) / CELL)))
        edges = np.linspace(left, right, count + 1)
        lows, highs = edges[:-1], edges[1:]
        found: list[tuple[float, float]] = []
        while len(lows):
            middle, half = (lows + highs) / 2, (highs - lows) / 2
            P, slope = self._p_and_slope(middle)
            distance = np.abs(P - self.threshold)
            empty = distance > half * SLOPE_OF_P + ROUNDING
            single = ~empty & (np.abs(slope) > half * CURVATURE_OF_P + ROUNDING)
            tiny = ~empty & ~single & (half < SMALLEST_CELL)
            for a, b in zip(lows[single], highs[single], strict=True):
                root = self._root(a, b)
                if root is not None:
                    found.append((root, root))
            found += [(a, b) for a, b in zip(lows[tiny], highs[tiny], strict=True)]
            rest = ~(empty | single | tiny)
            lows = np.concatenate([lows[rest], middle[rest]])
            highs = np.concatenate([middle[rest], highs[rest]])
        return self._merge(sorted(found))

    @staticmethod
    def _merge(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
        merged: list[tuple[float, float]] = []
        for a, b in found:
            if merged and a <= merged[-1][1] + SMALLEST_CELL:
                merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
            else:
                merged.append((a, b))
        return merged

    def _p_and_slope(self, s: Array) -> tuple[Array, Array]:
        P, slope = np.empty_like(s), np.empty_like(s)
        block = max(1, MAX_ELEMENTS // len(self.log_e2))
        for i in range(0, len(s), block):
            _, weight, q = self._weights(s[i : i + block])
            mean = (weight * q).sum(axis=1)
            variance = (weight * (q - mean[:, None]) ** 2).sum(axis=1)
            P[i : i + block], slope[i : i + block] = mean, mean * (1 - mean) - 3 * variance
        return P, slope

    def _root(self, a: float, b: float) -> float | None:
        def excess(s: float) -> float:
            return float(self.log_gain(np.array([s]))[1][0]) - self.threshold

        at_a, at_b = excess(a), excess(b)
        if at_a == 0 or at_b == 0:
            return a if at_a == 0 else b
        if at_a * at_b > 0:
            return None
        return float(brentq(excess, a, b, xtol=1e-15, rtol=1e-15))
