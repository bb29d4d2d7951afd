"""Initial weights, drawn on the CPU: one seed, one set of normal deviates."""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import fits, integers, non_negative
from phase_utils.training import devices
from phase_utils.training.tensors import precision


def gaussian_weights(
    shapes: Sequence[tuple[int, ...]], scale: Any, seed: Any, *, device: Any, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    """Tensors (n, *shape) with entries N(0, scale^2), as `LinearNetwork.initial_weights` says."""
    scales = np.atleast_1d(non_negative("scale", scale, ndim=(0, 1)))
    seeds = integers("seed", seed)
    place, dtype = devices.resolve(device), precision("dtype", dtype)
    if len(scales) != len(seeds) and 1 not in (len(scales), len(seeds)):
        raise ValueError(
            "scale and seed must be scalars or have equal length, "
            f"got {len(scales)} and {len(seeds)}"
        )
    scales, seeds = np.broadcast_arrays(scales, seeds)
    distinct, index = np.unique(seeds, return_inverse=True)
    sizes = [prod(shape) for shape in shapes]
    fits("seed", f"{len(seeds)} of them", len(seeds) * sum(sizes), "all networks")
    normals = torch.stack(
        [
            torch.randn(
                sum(sizes),
                generator=torch.Generator().manual_seed(int(s)),
                dtype=torch.float64,
            )
            for s in distinct
        ]
    )
    drawn = normals[torch.from_numpy(index)] * torch.from_numpy(scales.copy())[:, None]
    return tuple(
        part.reshape(-1, *shape).to(device=place, dtype=dtype)
        for part, shape in zip(drawn.split(sizes, dim=1), shapes, strict=True)
    )
