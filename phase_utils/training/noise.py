"""Reproducible noise of many stochastic processes at once, one seed for each."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import Array, integers, numeric


class ChainNoise:
    """Standard normals and exponentials of n chains, each from two streams of its own.

    seed : int >= 0, from which n seeds are spawned; or (n,) distinct ones. ValueError otherwise.
    What a chain draws depends on its seed and on how many numbers it has drawn before, alone.
    """

    def __init__(self, seed: Any, n: int) -> None:
        numbers = numeric("seed", seed, ndim=(0, 1))
        if numbers.ndim == 1 and len(numbers) != n:
            raise ValueError(f"seed must be a scalar or have {n} entries, got {len(numbers)}")
        seeds = integers("seed", numbers).tolist()
        if numbers.ndim == 0:
            keys = [[seeds[0], i] for i in range(n)]
        else:
            if len(set(seeds)) != n:
                raise ValueError("seed must be distinct for every chain, got repeats")
            keys = [[s] for s in seeds]
        pairs = [np.random.SeedSequence(key).spawn(2) for key in keys]
        self.normal = [np.random.default_rng(a) for a, _ in pairs]
        self.uniform = [np.random.default_rng(b) for _, b in pairs]

    def draw(self, rows: Array, steps: int, size: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Normals (steps, len(rows), size) and exponentials (steps, len(rows)) for some chains."""
        xi, waits = np.empty((len(rows), steps, size)), np.empty((len(rows), steps))
        for i, row in enumerate(rows):
            self.normal[row].standard_normal(out=xi[i])
            self.uniform[row].standard_exponential(out=waits[i])
        swapped = np.ascontiguousarray(xi.swapaxes(0, 1)), np.ascontiguousarray(waits.T)
        return torch.from_numpy(swapped[0]).to(like), torch.from_numpy(swapped[1]).to(like)
