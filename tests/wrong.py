"""Values made wrong by one per cent."""

import dataclasses

import numpy as np
import sympy
import torch

FACTOR = 1.01


def scaled(value, part=None):
    """`value`, or its `part`, times FACTOR; what is no number stays."""
    if part is not None:
        if isinstance(value, list):
            return [scaled(v, part) for v in value]
        if isinstance(value, tuple):
            i = int(part)
            return (*value[:i], scaled(value[i]), *value[i + 1 :])
        return dataclasses.replace(value, **{part: scaled(getattr(value, part))})
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, float | sympy.Expr | torch.Tensor):
        return value * FACTOR
    if isinstance(value, np.ndarray | np.floating):
        return value * FACTOR if value.dtype.kind == "f" else value
    if isinstance(value, tuple | list):
        return type(value)(scaled(v) for v in value)
    if isinstance(value, dict):
        return {k: scaled(v) for k, v in value.items()}
    return value


def bent(value):
    """`value` to the power FACTOR, sign kept."""
    return value * abs(value) ** (FACTOR - 1)
