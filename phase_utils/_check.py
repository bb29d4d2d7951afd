"""Validation of arguments: a message names the argument, the value seen and the rule it breaks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def numeric(name: str, value: Any, *, ndim: tuple[int, ...] | None = None) -> Array:
    """Return `value` as a new finite float64 array, or raise ValueError naming `name`."""
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "biuf":
            raise TypeError
        array = np.array(array, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be real numbers, got {_shown(value)}") from None
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if ndim is not None and array.ndim not in ndim:
        wanted = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name} must have {wanted} dimensions, got shape {array.shape}")
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].ravel()[0]
        raise ValueError(f"{name} must be finite, got {bad}")
    return array


def non_negative(name: str, value: Any, *, ndim: tuple[int, ...] | None = None) -> Array:
    """Return `value` as a finite float64 array without negative entries."""
    array = numeric(name, value, ndim=ndim)
    if np.any(array < 0):
        raise ValueError(f"{name} must be >= 0, got {array[array < 0].ravel()[0]:g}")
    return array


def scalar(name: str, value: Any, *, minimum: float = -np.inf, strict: bool = False) -> float:
    """Return `value` as a finite float that is >= `minimum` (> where `strict`)."""
    number = float(numeric(name, value, ndim=(0,)))
    if number < minimum or (strict and number == minimum):
        raise ValueError(f"{name} must be {'>' if strict else '>='} {minimum:g}, got {number:g}")
    return number


def integer(name: str, value: Any, *, minimum: int) -> int:
    """Return `value` as an int that is >= `minimum`; 2.0 is an integer, 1.5 and True are not."""
    number = numeric(name, value, ndim=(0,))
    if isinstance(value, bool | np.bool_) or number != np.round(number) or number < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {_shown(value)}")
    return int(number)


def per_layer(name: str, value: Any, layers: int) -> tuple[float, ...]:
    """Return one float per layer from a scalar or a sequence of length `layers`."""
    array = numeric(name, value, ndim=(0, 1)) if np.size(value) else np.zeros(0)
    if array.ndim == 0:
        return (float(array),) * layers
    if len(array) != layers:
        raise ValueError(f"{name} must be a scalar or have {layers} entries, got {len(array)}")
    return tuple(float(v) for v in array)


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is among `allowed`."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return str(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
