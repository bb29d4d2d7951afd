"""The power law by which a slope vanishes: A t^p (1 + c t + ...), t = gamma_c - gamma.

Gamma_c and p are fitted, the coefficients follow from them by linear least squares (variable
projection). The error is that of the noise together with the change made by one coefficient more;
windows towards gamma_c, and one to three coefficients, compete for the smallest error.
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
from scipy.optimize import least_squares

from phase_utils._check import Array

LARGEST = 8.0  # power: beyond it, a smooth decay
BEYOND = 4  # points after the last resolved one until which gamma_c is sought


@dataclass(frozen=True)
class PowerLaw:
    """Gamma_c, the power p and their standard errors; misfit is chi^2 per degree of freedom."""

    gamma: float
    gamma_error: float
    power: float
    power_error: float
    misfit: float


def fit_power_law(gamma: Array, slope: Array, noise: Array, count: int) -> PowerLaw | None:
    """Fit the power law to all points (m,), of which the slope has vanished from `count` on.

    Gamma_c is sought from the last point before until a few points after. None: too few points.
    """
    candidates = []
    for points in sorted({count, (2 * count) // 3, count // 2, count // 4}):
        window = slice(count - points, count + max(3, points // 2))
        fits = [
            _fit(gamma[window], slope[window], noise[window], points, terms)
            for terms in range(1, 5)
            if points >= terms + 2
        ]
        for fit, finer in zip(fits[:-1], fits[1:], strict=True):
            gamma_error = hypot(fit.gamma_error, fit.gamma - finer.gamma)
            power_error = hypot(fit.power_error, fit.power - finer.power)
            candidates.append(
                PowerLaw(finer.gamma, gamma_error, finer.power, power_error, finer.misfit)
            )
    return min(candidates, key=lambda fit: fit.power_error, default=None)


def _fit(gamma: Array, slope: Array, noise: Array, count: int, terms: int) -> PowerLaw:
    """Fit to points of which `count` are before gamma_c, with `terms` coefficients."""
    last, width = float(gamma[count - 1]), float(gamma[count - 1] - gamma[0])
    farthest = float(gamma[min(count + BEYOND, len(gamma)) - 1]) - last

    def rest(q: Array) -> Array:
        t = np.maximum(last + farthest * q[0] - gamma, 0.0) / width
        basis = (t ** q[1])[:, None] * t[:, None] ** np.arange(terms) / noise[:, None]
        basis /= np.linalg.norm(basis, axis=0)
        coefficients = np.linalg.lstsq(basis, slope / noise, rcond=None)[0]
        return np.asarray(basis @ coefficients - slope / noise)

    first = float(gamma[count] - last) / farthest
    found = least_squares(
        rest,
        [0.5 * first, 1.0],
        bounds=([1e-9, 0.01], [1.0, LARGEST]),
        x_scale=[first, 0.3],
        xtol=1e-12,
        ftol=1e-12,
    )
    misfit = 2 * float(found.cost) / max(len(gamma) - terms - 2, 1)
    inverse = np.linalg.pinv(found.jac.T @ found.jac)
    errors = np.sqrt(np.abs(np.diag(inverse)) * max(1.0, misfit))
    return PowerLaw(
        last + farthest * float(found.x[0]),
        farthest * float(errors[0]),
        float(found.x[1]),
        float(errors[1]),
        misfit,
    )
