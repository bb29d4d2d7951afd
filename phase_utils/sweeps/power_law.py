"""The power law by which a slope vanishes: A t^p (1 + c t + ...), t = gamma_c - gamma.

Gamma_c and p are fitted, the coefficients follow from them by linear least squares (variable
projection). The error is that of the noise together with the change made by one coefficient more;
windows towards gamma_c, and one to three coefficients, compete for the smallest error.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from math import hypot

import numpy as np
from scipy.optimize import least_squares
from scipy.special import expit, logit

from phase_utils._check import Array

STEEPEST = 8.0  # power: beyond it, a smooth decay
LEADING = 0.1  # least part of A t^p in the largest term
MISFIT = 10.0  # candidates that fit worse than the best by this factor are left out
BEYOND = 4  # points after the last resolved one until which gamma_c is sought


@dataclass(frozen=True)
class PowerLaw:
    """Gamma_c, the power p and their standard errors; misfit is chi^2 per degree of freedom."""

    gamma: float
    gamma_error: float
    power: float
    power_error: float
    misfit: float
    pinned: bool = False  # gamma_c is at the far end of its range
    leads: bool = True  # A differs from zero; otherwise the power is really p + 1


def fit_power_law(gamma: Array, slope: Array, noise: Array, count: int) -> PowerLaw | None:
    """Fit the power law to all points (m,), of which the slope has vanished from `count` on.

    Gamma_c is sought from the last point before until a few points after. None: too few
    points, or only fits in which the leading coefficient is negligible.
    """
    candidates = []
    for points in sorted({count, (2 * count) // 3, count // 2, count // 4}):
        window = slice(count - points, count + max(3, points // 2))
        fits = [
            _fit(gamma[window], slope[window], noise[window], points, terms)
            for terms in range(1, 5)
            if points >= terms + 2
        ]
        for fit, finer in pairwise(fit for fit in fits if fit.leads):
            gamma_error = hypot(finer.gamma_error, fit.gamma - finer.gamma)
            power_error = hypot(finer.power_error, fit.power - finer.power)
            candidates.append(replace(finer, gamma_error=gamma_error, power_error=power_error))
    if not candidates:
        return None
    limit = MISFIT * max(1.0, min(fit.misfit for fit in candidates))
    candidates = [fit for fit in candidates if fit.misfit <= limit]
    best = min(candidates, key=lambda fit: fit.power_error)
    # an error that is small by accident shows in the distances to the other candidates
    gamma_excess = max(abs(best.gamma - fit.gamma) - fit.gamma_error for fit in candidates)
    power_excess = max(abs(best.power - fit.power) - fit.power_error for fit in candidates)
    return replace(
        best,
        gamma_error=hypot(best.gamma_error, max(gamma_excess, 0.0)),
        power_error=hypot(best.power_error, max(power_excess, 0.0)),
    )


def _fit(gamma: Array, slope: Array, noise: Array, count: int, terms: int) -> PowerLaw:
    """Fit to points of which `count` are before gamma_c, with `terms` coefficients."""
    last, width = float(gamma[count - 1]), float(gamma[count - 1] - gamma[0])
    farthest = float(gamma[min(count + BEYOND, len(gamma)) - 1]) - last

    def solved(q: Array) -> tuple[Array, Array]:
        beyond, power = expit(q) * (farthest, STEEPEST)
        t = np.maximum(last + beyond - gamma, 0.0) / width
        basis = t[:, None] ** (power + np.arange(terms)) / noise[:, None]
        basis /= np.linalg.norm(basis, axis=0) + 1e-300
        coefficients = np.linalg.lstsq(basis, slope / noise, rcond=None)[0]
        return basis @ coefficients - slope / noise, np.abs(coefficients)

    first = float(gamma[count] - last) / farthest
    start = logit([0.5 * first, 1.0 / STEEPEST])
    found = least_squares(lambda q: solved(q)[0], start, method="lm", max_nfev=150)
    part, sizes = expit(found.x), solved(found.x)[1]
    misfit = 2 * float(found.cost) / max(len(gamma) - terms - 2, 1)
    inverse = np.linalg.pinv(found.jac.T @ found.jac)
    errors = np.sqrt(np.abs(np.diag(inverse)) * max(1.0, misfit)) * part * (1 - part)
    return PowerLaw(
        last + farthest * float(part[0]),
        farthest * float(errors[0]),
        STEEPEST * float(part[1]),
        STEEPEST * float(errors[1]),
        misfit,
        bool(part[0] > 0.99),
        bool(sizes[0] > LEADING * sizes.max()),
    )
