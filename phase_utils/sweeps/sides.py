"""A branch of a measured curve continued into every gap of its grid, with its error.

The branch is a polynomial for the slope, fitted to the points on one side of the gap; its integral
continues the loss. The error is that of the noise together with the change that the last degree
made. All gaps are treated at once, for every candidate degree and number of points.
"""

import numpy as np
from numpy.typing import NDArray

from phase_utils._check import Array
from phase_utils.sweeps.residuals import one_sided

Indices = NDArray[np.intp]

# degree and points; the larger windows average noise, the smaller follow curvature
CANDIDATES = tuple((q, n) for q in range(1, 5) for n in (q + 2, q + 4, 2 * q + 6, 4 * q + 10))
SPARSE = ((1, 2),)  # where a branch has two points only
TERMS = 1 + max(degree for degree, _ in CANDIDATES)


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
        self.noise = one_sided(gamma, slope, direction)
        self.loss_noise = one_sided(gamma, loss, direction)
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
                    best[rows] = self._fit(
                        gamma, loss, slope, degree, index[rows], rows, best[rows]
                    )
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
    ) -> Array:
        """Fit polynomials to the windows `index` of the gaps `rows`; keep those that are better.

        Returns the errors at the middle of the gaps, no larger than the `best` so far.
        """
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
        better = error < best
        rows = rows[better]
        self.fit[rows], self.extra[rows], self.covariance[rows] = 0.0, 0.0, 0.0
        self.fit[rows, : degree + 1], self.extra[rows, : degree + 1] = fit[better], extra[better]
        self.covariance[rows, : degree + 1, : degree + 1] = covariance[better]
        integral = self._integral(t[better], rows)
        levels = loss[index[better]] - integral
        self.anchor[rows] = levels.mean(axis=1)
        self.anchor_error[rows] = np.maximum(
            levels.std(axis=1, ddof=1), self.loss_noise[rows]
        ) / np.sqrt(index.shape[1])
        return np.where(better, error, best)

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
