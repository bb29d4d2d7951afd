"""Data that do not fit into memory: read anew, batch by batch, for each loss over all of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
)
from tqdm import tqdm

from phase_utils.diagnosis import samples
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.samples import Data, gather, joined, leaves, mapped, taken

CPU = torch.device("cpu")
MOST_STREAMED = 16  # times what is held, above which nobody waits for a loss over all


@dataclass(frozen=True, eq=False)
class Stream:
    """A data set that is read in batches, always the same.

    part : some of its samples, drawn at random, as `gather` takes them; labels : y of all;
    total : how many there are.
    """

    batches: DataLoader[Any]
    part: Data
    labels: Any
    total: int


def stream_of(data: Data, few: int, seed: int, shows: bool = False) -> Stream | None:
    """A data set or loader that is too large for memory; None for data that are to be gathered.

    few : samples of the part; shows : a progress bar. ValueError where the same samples are not the
    same each time.
    """
    batches = _in_order(data)
    first = next(iter(batches), None) if batches is not None else None
    if batches is None or first is None:
        return None
    total: int = len(batches.dataset)  # type: ignore[arg-type]
    held = samples.size(first) / gather(first, CPU).count * total / samples.MOST_READ
    if not 1 < held <= MOST_STREAMED:
        return None
    again = next(iter(batches))
    if any(not torch.equal(a, b) for a, b in zip(leaves(first), leaves(again), strict=True)):
        raise ValueError(
            "data that do not fit into memory must be the same each time they are read, got others "
            "the second time: leave out random transforms, or pass a part, as "
            "torch.utils.data.Subset(dataset, range(5000)) gives it"
        )
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:few])
    labels, parts, begun = [], [], 0
    for batch in tqdm(batches, "reading data", leave=False, disable=not shows):
        some = gather(batch, CPU)
        labels.append(some.y)
        end = begun + some.count
        rows = chosen[np.searchsorted(chosen, begun) : np.searchsorted(chosen, end)] - begun
        if len(rows):
            index = torch.from_numpy(rows)
            parts.append((taken(some.x, index), taken(some.y, index)))
        begun = end
    return Stream(batches, joined(parts), joined(labels), begun)


def _in_order(data: Data) -> DataLoader[Any] | None:
    """A loader that reads all samples once, in their order; None where none can be made."""
    if isinstance(data, DataLoader):
        sampler = data.sampler
        shuffled = isinstance(sampler, RandomSampler) and not sampler.replacement
        if not (shuffled or isinstance(sampler, SequentialSampler)):
            return None
        batch, collate, workers = data.batch_size, data.collate_fn, data.num_workers
        data = data.dataset
    else:
        batch, collate, workers = None, None, 0
    if not isinstance(data, Dataset) or isinstance(data, IterableDataset):
        return None
    if not hasattr(data, "__len__"):
        return None
    return DataLoader(
        data, batch_size=batch or samples.BATCH, collate_fn=collate, num_workers=workers
    )


class Streamed(Objective):
    """An objective on all samples of a stream; what asks for samples sees its part."""

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        stream: Stream,
        penalty: Penalty,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: bool = False,
    ) -> None:
        self._stream: Stream | None = None  # first as an objective on the part
        super().__init__(model, loss_fn, stream.part, penalty, seed=seed, device=device)
        if not self._few or penalty.takes_output or not self._mean():
            raise ValueError(
                f"data must fit into {samples.MOST_READ / 2**30:.2g} GiB in float64 for a network "
                "that is random or mixes samples, a loss that is no mean over them, or a penalty "
                f"of outputs, got {stream.total} samples; some thousand will do, as "
                "torch.utils.data.Subset(dataset, range(5000)) gives them"
            )
        self._stream, self._shows = stream, progress
        self.total = stream.total
        labels = samples.Gathered((), mapped(lambda t: t.to(self.device), stream.labels), 0)
        self._labels = self._prepared(labels)[1]
        self._last = None

    def _mean(self) -> bool:
        """Whether the loss of the part is the mean of those of two unequal pieces."""
        cut = self.count // 3
        pieces = (slice(None), slice(0, cut), slice(cut, None))
        with torch.no_grad():
            whole, one, two = (float(self._pass(False, piece)[0]) for piece in pieces)
        mean = (cut * one + (self.count - cut) * two) / self.count
        return cut > 0 and math.isclose(mean, whole, rel_tol=1e2 * self.rounding)

    def passes(
        self, blind: bool, seed: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor | float, float]]:
        """Losses, penalties and weights of all batches; of a blind network one, from labels."""
        if self._stream is None:
            yield from super().passes(blind, seed)
            return
        if blind:
            yield *self._of(self.blank, self._labels, True), 1.0
            return
        bar = tqdm(self._stream.batches, "all data", leave=False, disable=not self._shows)
        for batch in bar:
            some = gather(batch, self.device)
            yield *self._of(*self._prepared(some), False), some.count / self.total
