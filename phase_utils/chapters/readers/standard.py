"""Samples in units of their own deviations: what no file may lack, and what is left out of it."""

from dataclasses import replace
from math import isqrt

import numpy as np

from phase_utils._check import Array
from phase_utils.chapters.readers import tables

MOST_INPUTS = isqrt(tables.MOST_BYTES // 8)  # so many have a matrix of second moments of that size
NO_SPREAD = 16 * np.finfo(float).eps  # a column whose values differ less, relatively, is constant


def standardised(file: str, samples: tables.Samples) -> tables.Samples:
    """The samples in units of their deviations, without the inputs that are constant."""
    n, d = samples.x.shape
    if n < 2:
        raise ValueError(f"{file} must have at least 2 rows, got {n}")
    if d > MOST_INPUTS:
        raise ValueError(
            f"{file} must have at most {MOST_INPUTS} inputs, got {d}; choose by inputs"
        )
    x, y = _scaled(samples.x), _scaled(samples.y)
    varying = np.ptp(x, axis=0) > NO_SPREAD
    if np.ptp(y) <= NO_SPREAD:
        raise ValueError(
            f"{file}: the label {samples.label!r} must vary, got {samples.y[0]:g} in every row"
        )
    if not varying.any():
        raise ValueError(f"{file}: an input must vary, got constant columns only")
    notes = list(samples.notes)
    if not varying.all():
        constant = [samples.inputs[i] for i in np.flatnonzero(~varying)]
        notes.append(tables.in_words("constant column", constant))
    return replace(
        samples, x=unit_deviations(x[:, varying]), y=unit_deviations(y), notes=tuple(notes)
    )


def _scaled(values: Array) -> Array:
    """Columns in units of a power of two, exactly, so that no square is too large or too small."""
    exponents = np.frexp(np.abs(values).max(axis=0))[1]
    return np.ldexp(values, -exponents)


def unit_deviations(values: Array) -> Array:
    """Columns of mean zero and of deviation one."""
    return (values - values.mean(axis=0)) / values.std(axis=0)
