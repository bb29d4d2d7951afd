"""The axes of a grid of runs, as they are given."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from phase_utils._check import shown
from phase_utils.chapters.errors import ChapterError
from phase_utils.chapters.parameters import Parameter

MOST_CELLS = 100_000


def several(axes: Any) -> dict[str, Sequence[Any]]:
    """The values of each parameter that varies, or ChapterError."""
    if not isinstance(axes, Mapping) or not all(isinstance(name, str) for name in axes):
        raise ChapterError(f"axes must be a dict of values by parameter, got {shown(axes)}")
    found: dict[str, Sequence[Any]] = {}
    for name, values in axes.items():
        if isinstance(values, np.ndarray) and values.ndim == 1:
            values = values.tolist()
        if not isinstance(values, list | tuple | range) or not len(values):
            raise ChapterError(f"axes must have a list of values for {name}, got {shown(values)}")
        found[name] = values
    if (cells := prod(len(values) for values in found.values())) > MOST_CELLS:
        raise ChapterError(f"axes must make at most {MOST_CELLS} cells, got {cells}")
    return found


def spaced(parameter: Parameter, text: str, rule: str) -> list[Any]:
    """The values of start:stop:count, or ValueError with the rule."""
    parts = text.split(":")
    try:
        start, stop, count = float(parts[0]), float(parts[1]), int(parts[2])
    except (ValueError, IndexError):
        raise ValueError(rule) from None
    if len(parts) != 3 or not np.isfinite([start, stop]).all() or not 1 <= count <= 10_000:
        raise ValueError(rule)
    values = np.linspace(start, stop, count).tolist()
    if parameter.kind == "int" and all(value == round(value) for value in values):
        return [round(value) for value in values]
    return values
