"""Inversion of a smooth monotone function at many values at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from phase_utils._check import Array

Function = Callable[[Array], tuple[Array, Array]]  # x (n,) -> value and derivative, (n,) each

SPACING = 1 / 32  # of the first table
SMALL_STEP = 3e-8  # Newton's next step after one of this size is below rounding
LAST_DIGIT = 4e-16  # relative: smaller steps change nothing


class Monotone:
    """The inverse of a monotone function.

    Parameters
    ----------
    function : callable
        From x (n,) to its value and its derivative, (n,) each.
    low, high : float
        Where it is to be inverted.
    kind : int
        1 where it rises, -1 where it falls.

    Notes
    -----
    A table gives a bracket and, by cubic Hermite interpolation of the inverse, a start; Newton's
    method, kept inside the bracket by bisection, does the rest. Values outside the range give
    the nearer end.

    Examples
    --------
    >>> root = Monotone(lambda x: (x * x, 2 * x), 0.0, 2.0, 1)
    >>> root(np.array([-1.0, 0.25, 2.0, 9.0])).round(12).tolist()
    [0.0, 0.5, 1.414213562373, 2.0]
    """

    def __init__(self, function: Function, low: float, high: float, kind: int) -> None:
        self.function, self.kind = function, kind
        self.nodes = np.linspace(low, high, 2 + int(np.ceil((high - low) / SPACING)))
        values, slopes = function(self.nodes)
        self.values = np.maximum.accumulate(values * kind)
        self.slopes = slopes * kind

    def __call__(self, target: Array) -> Array:
        """X at which the function takes the values `target`, (n,)."""
        target = target * self.kind
        right = np.clip(np.searchsorted(self.values, target), 1, len(self.nodes) - 1).astype(
            np.intp
        )
        low, high = self.nodes[right - 1].copy(), self.nodes[right].copy()
        x = np.clip(self._start(target, right), low, high)
        x = np.where(target <= self.values[0], self.nodes[0], x)
        x = np.where(target >= self.values[-1], self.nodes[-1], x)
        rows = np.flatnonzero((target > self.values[0]) & (target < self.values[-1]))
        for _ in range(80):
            if not len(rows):
                break
            here = x[rows]
            value, slope = self.function(here)
            residual = value * self.kind - target[rows]
            low[rows] = np.where(residual < 0, here, low[rows])
            high[rows] = np.where(residual > 0, here, high[rows])
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                following = here - residual / (slope * self.kind)
            inside = (following >= low[rows]) & (following <= high[rows])
            following = np.where(inside, following, (low[rows] + high[rows]) / 2)
            following = np.where(residual == 0, here, following)
            x[rows] = following
            step, size = np.abs(following - here), np.maximum(1, np.abs(here))
            # Newton's error after a step is curvature / slope times its square
            newton = inside & (step < SMALL_STEP * np.minimum(1, np.abs(slope)))
            done = newton | (step <= LAST_DIGIT * size) | (residual == 0)
            rows = rows[~done]
        return x

    def _start(self, target: Array, right: NDArray[np.intp]) -> Array:
        """Cubic Hermite interpolation of x as a function of the value."""
        v0, v1 = self.values[right - 1], self.values[right]
        x0, x1 = self.nodes[right - 1], self.nodes[right]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            t = (target - v0) / (v1 - v0)
            d0, d1 = (v1 - v0) / self.slopes[right - 1], (v1 - v0) / self.slopes[right]
            cubic = (1 - t) ** 2 * ((1 + 2 * t) * x0 + t * d0) + t * t * (
                (3 - 2 * t) * x1 - (1 - t) * d1
            )
        return np.where(np.isfinite(cubic), cubic, (x0 + x1) / 2)
