"""Tensors as arguments: samples of data and sets of weights, checked by name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import shown

DTYPES = (torch.float32, torch.float64)
NATIVE = ("f2", "f4", "f8")  # floating numbers of NumPy that torch has


def samples(data: Any, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return x and y of `data` as tensors on a device, without graph, or raise ValueError.

    data : a pair of tensors, arrays, frames or nested lists of real numbers, the same number of
        samples >= 1 along the first axis of both.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(f"data must be a pair (x, y), got {shown(data)}")
    x, y = (numbers(name, value) for name, value in zip("xy", data, strict=True))
    if len(x) != len(y) or not len(x):
        raise ValueError(f"data must have as many x as y, at least one, got {len(x)} and {len(y)}")
    return x.to(device), y.to(device)


def numbers(name: str, value: Any) -> Tensor:
    """Return a tensor, array, frame or nested list of finite real numbers as a tensor."""
    try:
        tensor = value.detach() if isinstance(value, Tensor) else _of_array(value)
    except Exception:  # an object's own conversion may raise anything
        raise ValueError(
            f"data must hold arrays or tensors of real numbers, got {shown(value)} as {name}"
        ) from None
    if tensor.layout != torch.strided or tensor.is_meta or tensor.is_complex():
        raise ValueError(f"data must hold dense real numbers, got {shown(value)} as {name}")
    if tensor.ndim == 0:
        raise ValueError(f"data must have samples along the first axis, got a scalar {name}")
    if tensor.is_floating_point() and not tensor.isfinite().all():
        raise ValueError(f"data must be finite, got nan or inf in {name}")
    return tensor


def _of_array(value: Any) -> Tensor:
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or np.ma.is_masked(value):
        raise TypeError
    if array.dtype.kind == "f" and array.dtype.str[1:] not in NATIVE:
        array = array.astype(np.float64)
    # torch warns of what cannot be written, and refuses backward strides and other byte orders
    array = np.require(array, dtype=array.dtype.newbyteorder("="), requirements=["C", "W"])
    return torch.from_numpy(array)


def floating(name: str, value: Any, *shape: int | None) -> Tensor:
    """Return `value`, a floating-point tensor of a shape, None where any length is allowed."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise ValueError(f"{name} must be a floating-point tensor, got {shown(value)}")
    seen = tuple(value.shape)
    if len(seen) != len(shape) or any(
        n is not None and n != m for n, m in zip(shape, seen, strict=True)
    ):
        wanted = ", ".join("n" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} must have shape ({wanted}), got {seen}")
    return value


def networks(name: str, value: Any, shapes: Sequence[tuple[int, ...]]) -> Sequence[Tensor]:
    """Return weights of n >= 1 networks, a tensor (n, *shape) for each of the shapes."""
    if not isinstance(value, Sequence) or len(value) != len(shapes):
        raise ValueError(f"{name} must be {len(shapes)} tensors, got {shown(value)}")
    if _alike(value, shapes):  # asked at every step of a training
        return value
    for tensor, shape in zip(value, shapes, strict=True):
        floating(name, tensor, None, *shape)
    raise ValueError(
        f"{name} must be of one dtype and one number of networks, got "
        f"{[tuple(w.shape) for w in value]}, {[w.dtype for w in value]}"
    )


def _alike(value: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether these are tensors (n, *shape) of one floating-point dtype."""
    first = value[0]
    if not isinstance(first, Tensor) or not first.is_floating_point() or not first.ndim:
        return False
    n, dtype = first.shape[:1], first.dtype
    return all(
        isinstance(w, Tensor) and w.dtype == dtype and w.shape == n + shape
        for w, shape in zip(value, shapes, strict=True)
    )


def precision(name: str, value: Any) -> torch.dtype:
    """Return `value`, torch.float32 or torch.float64."""
    if not isinstance(value, torch.dtype) or value not in DTYPES:
        raise ValueError(f"{name} must be torch.float32 or torch.float64, got {shown(value)}")
    return value
