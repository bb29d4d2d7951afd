"""Both branches of a measured curve continued into every gap of its grid, with their errors.

A branch is a polynomial for the slope, fitted to the points on one side of the gap; its integral
continues the loss. The error is that of the noise together with the change that the last degree
made. All gaps are treated at once, for every candidate degree and number of points.
"""

import numpy as np
from numpy.typing import NDArray

from phase_utils._check import Array

Indices = NDArray[np.intp]

LEAST_ERROR = 1e-8  # of the largest slope or loss: training and rounding leave no smaller errors
TINY = 1e-100  # errors of values that are zero throughout
# degree and points; the larger windows average noise, the smaller follow curvature
CANDIDATES = tuple((q, n) for q in range(1, 5) for n in (q + 2, q + 4, 2 * q + 6, 4 * q + 10))
SPARSE = ((1, 2),)  # where a branch has two points only
TERMS = 1 + max(degree for degree, _ in CANDIDATES)
INSIDE = np.linspace(0.0, 1.0, 5)  # places within a gap where the branches are compared


class Side:
    """The slope's branch on one side of every gap.

    Parameters
    ----------
    gamma, loss, slope : (m,) array
        The measured curve, gamma ascending.
    direction : int
        -1 for the points below a gap, the nearest first; +1 for those above it.

    Attributes
    ----------
    known : (m-1,) array of bool
        Whether there are two points or more.
    first : (m-1,) array of int
        Index of the point next to the gap.
    noise, loss_noise : (m-1,) array
        Standard deviation of the noise of slope and loss.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 9)
    >>> below = Side(gamma, gamma**2, 2 * gamma, -1)
    >>> below.slope_at(gamma[1:])[0].round(6)[3:].tolist()
    [1.0, 1.25, 1.5, 1.75, 2.0]
    """

    def __init__(self, gamma: Array, loss: Array, slope: Array, direction: int) -> None:
        m = len(gamma)
        self.first = np.arange(m - 1) + (direction > 0)
        self.edge, self.scale = gamma[self.first], np.diff(gamma)
        self.noise = _one_sided(gamma, slope, direction)
        self.loss_noise = _one_sided(gamma, loss, direction)
        self.fit, self.extra = np.zeros((m - 1, TERMS)), np.zeros((m - 1, TERMS))
        self.covariance = np.zeros((m - 1, TERMS, TERMS))
        self.anchor, self.anchor_error = loss[self.first], self.loss_noise.copy()
        best = np.full(m - 1, np.inf)
        for group in (CANDIDATES, SPARSE):
            for degree, points in group if group is CANDIDATES or np.isinf(best).any() else ():
                index = self.first[:, None] + direction * np.arange(points)
                rows = np.flatnonzero((index.min(axis=1) >= 0) & (index.max(axis=1) < m))
                if group is SPARSE:
                    rows = rows[np.isinf(best[rows])]
                if len(rows):
                    self._fit(gamma, loss, slope, degree, index[rows], rows, best)
        self.known = np.isfinite(best)

    def _fit(
        self,
        gamma: Array,
        loss: Array,
        slope: Array,
        degree: int,
        index: Indices,
        rows: Indices,
        best: Array,
    ) -> None:
        """Fit polynomials to the windows `index` of the gaps `rows`; keep those that are better."""
        t = (gamma[index] - self.edge[rows, None]) / self.scale[rows, None]
        width = np.abs(t[:, -1])[:, None]
        Q, R = np.linalg.qr((t / width)[..., None] ** np.arange(degree + 1))
        inverse = np.linalg.inv(R)
        projected = np.einsum("gpk,gp->gk", Q, slope[index])
        unit = width ** -np.arange(degree + 1.0)  # from powers of t / width to powers of t
        fit = np.einsum("gjk,gk->gj", inverse, projected) * unit
        extra = inverse[:, :, -1] * projected[:, -1:] * unit  # what the last degree added
        rest = slope[index] - np.einsum("gpk,gk->gp", Q, projected)
        freedom = index.shape[1] - degree - 1
        scatter = np.sqrt(np.sum(rest**2, axis=1) / max(freedom, 1))
        noise = np.maximum(self.noise[rows], scatter)
        spread = inverse * unit[:, :, None] * noise[:, None, None]
        covariance = spread @ spread.transpose(0, 2, 1)
        error = _error(extra, covariance, np.sign(-t[:, 1]) * 0.5)
        better = error < best[rows]
        rows = rows[better]
        best[rows] = error[better]
        self.fit[rows], self.extra[rows], self.covariance[rows] = 0.0, 0.0, 0.0
        self.fit[rows, : degree + 1], self.extra[rows, : degree + 1] = fit[better], extra[better]
        self.covariance[rows, : degree + 1, : degree + 1] = covariance[better]
        integral = self._integral(t[better], rows)
        levels = loss[index[better]] - integral
        self.anchor[rows] = levels.mean(axis=1)
        self.anchor_error[rows] = np.maximum(
            levels.std(axis=1, ddof=1), self.loss_noise[rows]
        ) / np.sqrt(index.shape[1])

    def _integral(self, t: Array, rows: Indices | slice) -> Array:
        powers = np.arange(1, TERMS + 1)
        return (
            np.einsum("gpk,gk->gp", t[..., None] ** powers, self.fit[rows] / powers)
            * (self.scale[rows, None])
        )

    def slope_at(self, gamma: Array) -> tuple[Array, Array]:
        """The slope, continued.

        Parameters
        ----------
        gamma : (m-1,) array
            One place per gap.

        Returns
        -------
        value, error : (m-1,) array
            With its standard error.
        """
        t = (gamma - self.edge) / self.scale
        value = np.sum(self.fit * t[:, None] ** np.arange(TERMS), axis=1)
        return value, _error(self.extra, self.covariance, t)

    def derivative_at(self, gamma: Array) -> tuple[Array, Array]:
        """The derivative of the continued slope.

        Parameters
        ----------
        gamma : (m-1,) array
            One place per gap.

        Returns
        -------
        value, error : (m-1,) array
            With its standard error.
        """
        t = (gamma - self.edge) / self.scale
        value = np.sum(self.fit * _powers(t, TERMS, 1), axis=1) / self.scale
        return value, _error(self.extra, self.covariance, t, 1) / self.scale

    def loss_at(self, gamma: Array) -> Array:
        """The loss, continued by the integral of the slope.

        Parameters
        ----------
        gamma : (m-1,) array
            One place per gap.

        Returns
        -------
        (m-1,) array
            One value per gap.
        """
        t = (gamma - self.edge) / self.scale
        return self.anchor + self._integral(t[:, None], slice(None))[:, 0]


class Gaps:
    """The intervals between neighbouring gammas, with the branches below and above each.

    Parameters
    ----------
    gamma, loss, slope : (m,) array
        The measured curve, gamma ascending.

    Attributes
    ----------
    low, high, width : (m-1,) array
        The ends of every gap, and its width.
    below, above : Side
        The branches on both sides.
    known : (m-1,) array of bool
        Whether both branches have two points or more.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 12)
    >>> slope = np.where(gamma < 0.5, 2.0, 1.0)  # a kink of the loss at 0.5
    >>> gaps = Gaps(gamma, np.minimum(2 * gamma, 0.5 + gamma), slope)
    >>> int(np.argmax(gaps.slope_gap()[0])), round(float(gaps.crossing()[0][5]), 6)
    (5, 0.5)
    """

    def __init__(self, gamma: Array, loss: Array, slope: Array) -> None:
        self.low, self.high, self.width = gamma[:-1], gamma[1:], np.diff(gamma)
        self.loss, self.slope = loss, slope
        self.below, self.above = (Side(gamma, loss, slope, step) for step in (-1, 1))
        self.known = self.below.known & self.above.known

    def slope_difference(self, gamma: Array) -> tuple[Array, Array]:
        """Slope of the branch below minus that of the branch above.

        Parameters
        ----------
        gamma : (m-1,) array
            One place per gap.

        Returns
        -------
        difference, error : (m-1,) array
            With its standard error.
        """
        (a, a_error), (b, b_error) = self.below.slope_at(gamma), self.above.slope_at(gamma)
        return a - b, np.hypot(a_error, b_error)

    def slope_gap(self) -> tuple[Array, Array]:
        """How far the branches stay apart all through the gap.

        Returns
        -------
        significance, error : (m-1,) array
            The least distance of the slopes in units of its error; the largest error.
        """
        places = [self.slope_difference(self.low + x * self.width) for x in INSIDE]
        difference, error = (np.array(values) for values in zip(*places, strict=True))
        apart = np.all(difference > 0, axis=0) | np.all(difference < 0, axis=0)
        significance = np.min(np.abs(difference) / error, axis=0)
        return np.where(apart & self.known, significance, 0.0), error.max(axis=0)

    def loss_excess(self) -> tuple[Array, Array]:
        """Change of the loss beyond what the slopes allow by the mean value theorem.

        Returns
        -------
        excess, error : (m-1,) array
            With its standard error.

        Notes
        -----
        Within the gap the slope lies between those at the ends, and outside by no more than the
        curvature of the neighbouring points lets it overshoot.
        """
        change, ends = np.diff(self.loss), np.stack([self.slope[:-1], self.slope[1:]])
        rate = np.diff(self.slope) / self.width
        bend = np.pad(np.abs(np.diff(rate)), 2)
        overshoot = np.maximum(bend[:-3], bend[3:]) / 4
        around = np.pad(rate, 1)
        before, after = around[:-2], around[2:]
        turns = before * after < 0
        overshoot += np.where(turns, np.minimum(np.abs(before), np.abs(after)), 0.0)
        overshoot *= self.width
        low, high = ends.min(axis=0) - overshoot, ends.max(axis=0) + overshoot
        excess = change - np.clip(change, low * self.width, high * self.width)
        slopes = self.width * np.hypot(self.below.noise, self.above.noise)
        return excess, np.hypot(slopes, np.hypot(self.below.loss_noise, self.above.loss_noise))

    def crossing(self) -> tuple[Array, Array]:
        """Where the continued losses are equal.

        Returns
        -------
        gamma, error : (m-1,) array
            Kept within the gap, with its standard error.
        """
        gamma = (self.low + self.high) / 2
        for _ in range(30):
            difference = self.below.loss_at(gamma) - self.above.loss_at(gamma)
            jump = self.slope_difference(gamma)[0]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                step = np.nan_to_num(difference / jump, posinf=0.0, neginf=0.0)
            gamma = np.clip(gamma - step, self.low, self.high)
        jump, error = self.slope_difference(gamma)
        level = np.hypot(self.below.anchor_error, self.above.anchor_error)
        return gamma, np.hypot(level, error * self.width) / np.maximum(np.abs(jump), 1e-300)

    def kinks(self) -> tuple[Array, Array, Array]:
        """Where the continued slopes cross.

        Returns
        -------
        gamma, error, significance : (m-1,) array
            The significance of the kink, the change of the slope's derivative in units of its
            error, is zero where the slopes do not cross within the gap.
        """
        middle = (self.low + self.high) / 2
        difference, error = self.slope_difference(middle)
        (a, a_error), (b, b_error) = (
            side.derivative_at(middle) for side in (self.below, self.above)
        )
        turn = np.where(a == b, np.inf, a - b)
        gamma, gamma_error = middle - difference / turn, error / np.abs(turn)
        inside = np.abs(gamma - middle) <= self.width / 2 + 2 * gamma_error
        spread = np.hypot(a_error, b_error)
        significance = np.divide(np.abs(a - b), spread, out=np.zeros_like(a), where=spread > 0)
        return gamma, gamma_error, np.where(inside & self.known, significance, 0.0)

    def unforeseen(self) -> Array:
        """How well the slope at the other end of a gap is foretold.

        Returns
        -------
        (m-1,) array
            The error of the better of both branches.
        """
        errors = []
        for side, end, seen in (
            (self.below, self.high, self.slope[1:]),
            (self.above, self.low, self.slope[:-1]),
        ):
            value, error = side.slope_at(end)
            errors.append(np.where(side.known, np.abs(value - seen) + error, np.inf))
        return np.minimum(*errors)


def residuals(gamma: Array, values: Array) -> Array:
    """What a curve's points deviate from their neighbours.

    Parameters
    ----------
    gamma, values : (m,) array
        Places, ascending, and values.

    Returns
    -------
    (m-4,) array
        Points 2..m-3 minus the cubic through their four neighbours, scaled so that independent
        noise keeps its standard deviation.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 6)
    >>> residuals(gamma, gamma**3).round(12).tolist()
    [0.0, 0.0]
    """
    centre, offsets = np.arange(2, len(gamma) - 2), (-2, -1, 1, 2)
    weights = []
    for j in offsets:
        weight = np.ones(len(centre))
        for k in offsets:
            if k != j:
                weight *= (gamma[centre] - gamma[centre + k]) / (
                    gamma[centre + j] - gamma[centre + k]
                )
        weights.append(weight)
    expected = sum(w * values[centre + j] for w, j in zip(weights, offsets, strict=True))
    return np.asarray((values[centre] - expected) / np.sqrt(1 + np.sum(np.square(weights), axis=0)))


def _one_sided(gamma: Array, values: Array, direction: int) -> Array:
    """Noise on one side of every gap, from the residuals; at least that of the whole curve."""
    size = np.abs(residuals(gamma, values))
    noise = np.full(len(gamma) - 1, np.median(size))
    for i in range(len(noise)):
        near = size[max(i - 15, 0) : max(i - 3, 0)] if direction < 0 else size[i + 1 : i + 13]
        if len(near):
            noise[i] = max(noise[i], np.median(near))
    # 1.4826: from the median of |x| to the standard deviation of a Gaussian x
    return np.maximum(1.4826 * noise, LEAST_ERROR * np.abs(values).max() + TINY)


def local_noise(gamma: Array, values: Array) -> Array:
    """Noise at every point, from the median over nine neighbouring residuals.

    Parameters
    ----------
    gamma, values : (m,) array
        Places, ascending, and values.

    Returns
    -------
    (m,) array
        Standard deviations.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 20)
    >>> noisy = gamma + 0.1 * (-1.0) ** np.arange(20)
    >>> bool(np.ptp(local_noise(gamma, noisy)) < 1e-12)
    True
    """
    size = np.abs(residuals(gamma, values))
    # a single residual can be small by accident, and more may reach across a transition
    size = np.pad(size, 6, constant_values=(size[:2].max(), size[-2:].max()))
    windows = np.lib.stride_tricks.sliding_window_view(size, 9)
    return 1.4826 * np.asarray(np.median(windows, axis=1))


def _powers(t: Array, count: int, order: int) -> Array:
    """Rows of powers of t whose product with coefficients is the value or (order 1) derivative."""
    k = np.arange(count)
    return t[:, None] ** k if order == 0 else k * t[:, None] ** np.maximum(k - 1, 0)


def _error(extra: Array, covariance: Array, t: Array, order: int = 0) -> Array:
    """Standard error: noise, and the change by the last degree without its cancellations."""
    count = covariance.shape[-1]
    v = _powers(t, count, order)
    noise = np.einsum("gj,gjk,gk->g", v, covariance, v)
    change = np.sum(np.abs(extra * _powers(t, extra.shape[-1], order)), axis=1)
    return np.sqrt(noise + change**2)
