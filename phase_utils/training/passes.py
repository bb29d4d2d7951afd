"""How many samples go through a module at once: as many as its layers have room for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
from torch import Tensor, nn

ACTIVATIONS = 2e7  # numbers that the layers of one forward pass may hold: 160 MB, more with a graph


@contextmanager
def counted(model: nn.Module) -> Iterator[list[int]]:
    """How many numbers every layer gives in the passes that are made meanwhile."""
    counts: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _i, out: counts.append(_numbers(out)))
        for layer in model.modules()
        if not list(layer.children())
    ]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


def cut(samples: int, held: float) -> list[slice]:
    """Pieces of the samples that have room; `held` numbers are those of all of them."""
    pieces = max(1, int(min(np.ceil(held / ACTIVATIONS), samples)))
    edges = np.linspace(0, samples, pieces + 1).astype(int)
    return [slice(int(a), int(b)) for a, b in pairwise(edges)]


def _numbers(output: Any) -> int:
    if isinstance(output, Tensor):
        return output.numel()
    if isinstance(output, Mapping):
        return sum(map(_numbers, output.values()))
    return sum(map(_numbers, output)) if isinstance(output, tuple | list) else 0
