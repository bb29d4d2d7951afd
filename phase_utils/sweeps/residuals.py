"""The noise of a measured curve, told from what its points deviate from their neighbours."""

import numpy as np

from phase_utils._check import Array

LEAST_ERROR = 1e-8  # of the largest slope or loss: training and rounding leave no smaller errors
TINY = 1e-100  # errors of values that are zero throughout


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


def one_sided(gamma: Array, values: Array, direction: int) -> Array:
    """Noise on one side of every gap, from the residuals; at least that of the whole curve.

    Parameters
    ----------
    gamma, values : (m,) array
        Places, ascending, and values.
    direction : int
        -1 for the points below a gap, +1 for those above it.

    Returns
    -------
    (m-1,) array
        Standard deviations > 0.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 40)
    >>> noisy = gamma + 0.1 * (gamma > 0.5) * (-1.0) ** np.arange(40)
    >>> below, above = (one_sided(gamma, noisy, step)[22] for step in (-1, 1))
    >>> bool(below < above)
    True
    """
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
