"""Sums over the spectrum along the curve of ridge solutions, at a cost independent of its size.

With z = e^s the inverse of the ridge penalty and q_i = a_i z / (1 + a_i z),

    G = sum_i e_i^2 (1 - q_i)^2,   P = sum_i w_i q_i,  w_i ~ e_i^2 (1 - q_i)^2,
    C = sum_i e_i^2 / a_i q_i (2 - q_i),

G is the squared residual correlation, dln(G)/ds = -2 P, and C is what the solution takes off the
loss. x and y are measured in powers of two that bring the largest a_i and C(inf) into [1, 4), so
that data in any units give the same numbers.

The sums are evaluated from Chebyshev interpolants, whose error is certified for every spectrum:
at s = x + i t with |t| < pi/2 the terms of G lie in a cone of half angle t about e^(-i t), so that
|sum| >= cos(t) sum|.|, and |q_i| <= 1. Hence ln(G) is analytic there with |dln(G)/ds| <= 2/cos(t),
|P| <= 1/cos(t), |C| <= 3 C(inf). On cells of width 1/2 and with t = 1.3, the Bernstein ellipse has
rho = 10.5, and 4 M rho^-15 / (rho - 1) bounds the errors by 2.1e-15, 8e-16 and 7e-16 C(inf).
Forty units of s outside the spectrum the closed forms of the tails are exact to e^-40.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from phase_utils._check import Array
from phase_utils.theory.inversion import Monotone
from phase_utils.theory.units import LN2

Index = NDArray[np.int64]

WIDTH = 0.5  # of a cell in s
NODES = 16  # Chebyshev nodes of a cell
TABLE_ERROR = 1e-14  # of P, and of C in units of C(inf): the bound above and rounding
TAIL = 40.0  # beyond it e^-TAIL is below rounding
BLOCK = 40_000  # elements of one block of (points x modes): all of them stay in the cache

ANGLES = (np.arange(NODES) + 0.5) * np.pi / NODES
POINTS = np.cos(ANGLES)
CHEBYSHEV = np.cos(np.arange(NODES)[:, None] * ANGLES) * (2 / NODES)  # from values to T_k
CHEBYSHEV[0] /= 2
POWERS = np.stack(  # from T_k to powers
    [
        np.pad(np.polynomial.chebyshev.cheb2poly([0] * k + [1]), (0, NODES - 1 - k))
        for k in range(NODES)
    ]
)


@dataclass(frozen=True, eq=False)
class Sums:
    """The sums at some s.

    Attributes
    ----------
    s, log_gain, P, log_beta2 : (n,) array
        The places, ln G, P, and ln |beta|^2 = 2 s + ln G.
    """

    s: Array
    log_gain: Array
    P: Array
    log_beta2: Array


class Spectrum:
    """The sums ln G, P and C of the modes that carry signal, in units of their own.

    Parameters
    ----------
    eigenvalues : (d,) array
        a_i > 0, in any order; equal ones are merged.
    signals : (d,) array
        e_i != 0.

    Attributes
    ----------
    x, y : int
        The units: x is measured in 2^x, y in 2^y.
    log_a, log_e2, gain : (modes,) array
        ln a_i ascending, ln e_i^2, and e_i^2 / a_i, what each mode can take off the loss.
    total_gain : float
        C(inf), in [1, 4).
    log_signal2, log_beta2 : float
        ln G(-inf) = ln |E[xy]|^2, and ln |beta|^2 of the best linear predictor.
    left, right : float
        The range of s that is tabulated; outside the closed forms of the tails hold.

    Examples
    --------
    >>> spectrum = Spectrum(np.array([1.0, 0.01]), np.array([0.4, 0.05]))
    >>> at = spectrum.at(np.array([-np.inf, 0.0, np.inf]))
    >>> at.P.round(6).tolist()
    [0.0, 0.471706, 1.0]
    >>> (spectrum.taken(at.s) * 4.0**spectrum.y).round(6).tolist()
    [0.0, 0.124926, 0.41]
    """

    def __init__(self, eigenvalues: Array, signals: Array) -> None:
        distinct, index = np.unique(eigenvalues, return_inverse=True)
        a, a_exponent = np.frexp(distinct)
        e, e_exponent = np.frexp(signals)
        top = np.full(len(distinct), e_exponent.min())
        np.maximum.at(top, index, e_exponent)
        power = np.zeros(len(distinct))
        np.add.at(power, index, np.ldexp(e, e_exponent - top[index]) ** 2)
        gain, exponent = power / a, 2 * top - a_exponent
        largest = int(exponent.max())
        total = float(np.sum(np.ldexp(gain, exponent - largest)))
        self.x = int(a_exponent[-1] - 1) // 2
        self.y = (largest + int(np.frexp(total)[1]) - 1) // 2
        self.log_a = np.log(2 * a) + (a_exponent - 1 - 2 * self.x) * LN2
        self.log_e2 = np.log(power) + 2 * (top - self.x - self.y) * LN2
        self.gain = np.ldexp(gain, exponent - 2 * self.y)
        self.total_gain = float(self.gain.sum())
        self.log_signal2 = _log_sum(self.log_e2)
        self.log_beta2 = _log_sum(self.log_e2 - 2 * self.log_a)
        self.left = -float(self.log_a[-1]) - TAIL
        cells = int(np.ceil((TAIL - float(self.log_a[0]) - self.left) / WIDTH))
        self.right = self.left + cells * WIDTH
        self._tabulate(cells)

    def direct(self, s: Array) -> tuple[Array, Array, Array]:
        """The sums over the modes themselves.

        Parameters
        ----------
        s : (n,) array
            Finite places.

        Returns
        -------
        log_G, P, C : (n,) array
            Good to rounding, P and C relative to themselves.
        """
        log_G, P, C = np.empty_like(s), np.empty_like(s), np.empty_like(s)
        rows = max(1, BLOCK // len(self.log_a))
        for i in range(0, len(s), rows):
            here = slice(i, i + rows)
            x = s[here, None] + self.log_a
            q = expit(x)
            C[here] = (q * (2 - q)) @ self.gain
            np.subtract(0, x, out=x)
            # ln(1 - q) = ln expit(-x), without underflow where 1 - q is tiny
            log_weight = np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))
            log_weight *= 2
            log_weight += self.log_e2
            top = log_weight.max(axis=1)
            log_weight -= top[:, None]
            weight = np.exp(log_weight, out=log_weight)
            total = weight.sum(axis=1)
            log_G[here] = top + np.log(total)
            P[here] = np.einsum("ij,ij->i", weight, q) / total
        return log_G, P, C

    def _tabulate(self, cells: int) -> None:
        centres = self.left + (np.arange(cells) + 0.5) * WIDTH
        s = centres[:, None] + POINTS * (WIDTH / 2)
        values = [v.reshape(s.shape) for v in self.direct(s.ravel())]
        self.offset = values[0].mean(axis=1)  # keeps the rounding of ln G out of its polynomial
        values[0] -= self.offset[:, None]
        # in two steps: the rounding of a Chebyshev coefficient then stays a multiple of one T_k
        columns = [((v @ CHEBYSHEV.T) @ POWERS).T for v in values]
        self.table = np.ascontiguousarray(np.stack(columns, axis=1))  # (degrees, 3, cells)

    def _place(self, s: Array) -> tuple[Index, Array]:
        """Cell and the coordinate in it, from -1 to 1, (n,) each."""
        scaled = (s - self.left) / WIDTH
        cell = np.minimum(np.maximum(scaled.astype(np.int64), 0), len(self.offset) - 1)
        return cell, 2 * (scaled - cell) - 1

    def log_gain(self, s: Array) -> tuple[Array, Array]:
        """The squared residual correlation and its slope, from the table.

        Parameters
        ----------
        s : (n,) array
            Any places, -inf and inf among them.

        Returns
        -------
        log_G, P : (n,) array
            ln G, and P = -1/2 dln(G)/ds.
        """
        inside = np.minimum(np.maximum(s, self.left), self.right)
        log_G, P = np.empty_like(inside), np.empty_like(inside)
        for here in _blocks(len(s)):
            cell, x = self._place(inside[here])
            log_G[here], P[here] = _horner(self.table[:, :2], cell, x)
            log_G[here] += self.offset[cell]
        before, after = s < self.left, s > self.right
        if before.any():
            log_G[before], P[before] = self.log_signal2, 0.0
        if after.any():
            log_G[after], P[after] = self.log_beta2 - 2 * s[after], 1.0
        return log_G, P

    def slope_of_P(self, s: Array) -> Array:
        """Derivative of P.

        Parameters
        ----------
        s : (n,) array
            Places inside the table.

        Returns
        -------
        (n,) array
            dP/ds, in [-1/2, 1/4], good to 1e-11.
        """
        cell, x = self._place(s)
        derivative = self.table[1:, 1] * np.arange(1, NODES)[:, None]
        return _horner(derivative, cell, x) * (2 / WIDTH)

    def taken(self, s: Array) -> Array:
        """What the ridge solutions take off the loss, from the table.

        Parameters
        ----------
        s : (n,) array
            Any places, -inf and inf among them.

        Returns
        -------
        (n,) array
            C, in units of y^2, good to `TABLE_ERROR` C(inf).
        """
        inside = np.minimum(np.maximum(s, self.left), self.right)
        C = np.empty_like(inside)
        for here in _blocks(len(s)):
            C[here] = _horner(self.table[:, 2], *self._place(inside[here]))
        return C

    def at(self, s: Array) -> Sums:
        """All sums but C.

        Parameters
        ----------
        s : (n,) array
            Any places, -inf and inf among them.

        Returns
        -------
        Sums
            ln G, P and ln |beta|^2 there.
        """
        log_G, P = self.log_gain(s)
        inside = s <= self.right
        with np.errstate(invalid="ignore"):
            log_beta2 = np.where(inside, 2 * s + log_G, self.log_beta2)
        return Sums(s, log_G, P, log_beta2)

    def of_norm(self, log_beta2: Array) -> Array:
        """Where the ridge solution has a given norm.

        Parameters
        ----------
        log_beta2 : (n,) array
            ln |beta|^2.

        Returns
        -------
        (n,) array
            s; the right end of the table for norms above that of the best linear predictor.
        """
        s = self._inverse_norm(log_beta2)
        before = (log_beta2 - self.log_signal2) / 2
        return np.where(before < self.left, before, s)

    @cached_property
    def _inverse_norm(self) -> Monotone:
        def log_norm(s: Array) -> tuple[Array, Array]:
            at = self.at(s)
            return at.log_beta2, 2 * (1 - at.P)

        return Monotone(log_norm, self.left, self.right, 1)


def _horner(coefficients: Array, cell: Index, x: Array) -> Array:
    """Values of the polynomials of the cells, coefficients (degrees, ..., cells), at x, (n,)."""
    rows = coefficients.take(cell, axis=-1)
    value = rows[-1]
    for row in rows[-2::-1]:
        value *= x
        value += row
    return value


def _blocks(n: int) -> list[slice]:
    """Slices of n points that stay in the cache."""
    size = 4096
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _log_sum(logs: Array) -> float:
    return float(logs.max() + np.log(np.sum(np.exp(logs - logs.max()))))
