"""A sweep cut into chunks: what is trained at once, and stored at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

Region = tuple[slice, ...]  # along depth, gamma, init_scale and seed
Values = dict[str, Any]

# what is measured of each network
FIELDS = {
    "loss": np.dtype(np.float64),
    "data_loss": np.dtype(np.float64),
    "slope": np.dtype(np.float64),
    "B": np.dtype(np.float64),
    "status": np.dtype("<U16"),
    "steps": np.dtype(np.int64),
}


def untrained(shape: Sequence[int]) -> Values:
    """The fields of networks that are not trained: NaN, an empty status and no steps."""
    return {
        name: np.full(shape, np.nan) if dtype.kind == "f" else np.zeros(shape, dtype)
        for name, dtype in FIELDS.items()
    }


@dataclass(frozen=True)
class Chunk:
    """Networks of one depth: `region` indexes arrays over (depth, gamma, init_scale, seed)."""

    index: int
    region: Region

    @property
    def shape(self) -> tuple[int, ...]:
        """Lengths along depth (1), gamma, init_scale and seed."""
        return tuple(s.stop - s.start for s in self.region)

    @property
    def networks(self) -> int:
        """The number of networks."""
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class Plan:
    """The chunks of a sweep of `shape` (depth, gamma, init_scale, seed).

    stored : the shape of one piece of an array on disk, of which a chunk holds one or several.
    """

    shape: tuple[int, ...]
    stored: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]
    chunks: tuple[Chunk, ...]

    def describe(self, depths: Sequence[int]) -> str:
        """The plan as text: for each depth the gammas x scales x seeds of a chunk."""
        sizes = (" x ".join(map(str, block)) for block in self.blocks)
        return ", ".join(f"depth {D}: {size}" for D, size in zip(depths, sizes, strict=True))


def cut(shape: Sequence[int], fitting: Sequence[int]) -> Plan:
    """Cut a sweep into chunks of at most `fitting` networks, one number >= 1 for each depth.

    Along the seeds first, then the scales, then the gammas: a chunk is cut along an axis only
    where one value of the axes before it does not fit.
    """
    lengths = tuple(shape[1:])
    least = _block(min(fitting), lengths, (1, 1, 1))
    blocks = tuple(_block(rows, lengths, least) for rows in fitting)
    regions = [
        (slice(level, level + 1), *rows)
        for level, block in enumerate(blocks)
        for rows in product(*map(_slices, lengths, block))
    ]
    chunks = tuple(Chunk(i, region) for i, region in enumerate(regions))
    return Plan(tuple(shape), (1, *least), blocks, chunks)


def _block(fitting: int, lengths: tuple[int, ...], unit: tuple[int, ...]) -> tuple[int, ...]:
    """The longest run of rows, the last axis fastest, that fits and that `unit` divides."""
    block: list[int] = []
    for length, step in zip(reversed(lengths), reversed(unit), strict=True):
        size = min(length, fitting)
        if size < length:
            size -= size % step
        block.append(size)
        fitting //= size  # 1 from the first axis on that is cut
    return tuple(reversed(block))


def _slices(length: int, size: int) -> list[slice]:
    return [slice(i, min(i + size, length)) for i in range(0, length, size)]
