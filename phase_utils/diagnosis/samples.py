"""Data as people have them: tensors, arrays, frames, tuples, dicts, datasets and loaders."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from phase_utils._check import kind, shown
from phase_utils.training.tensors import numbers

BATCH = 256  # samples that a dataset is asked for at once
MOST_READ = 4 * 2**30  # bytes of a dataset or loader in float64; tensors of a user's own are taken
# what `gather` takes
Data = tuple[Any, Any] | list[Any] | DataLoader[Any] | Dataset[Any] | Mapping[Any, Any]


@dataclass(frozen=True)
class Gathered:
    """Inputs and targets as trees of tensors; `count` samples along the first axis of y."""

    x: Any
    y: Any
    count: int


def mapped(function: Callable[[Tensor], Any], tree: Any) -> Any:
    """A tree of tensors with a function applied to every tensor; what is no tensor stays."""
    if isinstance(tree, Tensor):
        return function(tree)
    if isinstance(tree, Mapping):
        return {k: mapped(function, v) for k, v in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)([mapped(function, v) for v in tree])
    return tree


def taken(tree: Any, which: slice | Tensor) -> Any:
    """A tree of some of its samples."""
    return mapped(lambda t: t[which], tree)


def leaves(tree: Any) -> Iterator[Tensor]:
    """The tensors of a tree."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, Mapping):
        for value in tree.values():
            yield from leaves(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from leaves(value)


def size(tree: Any) -> int:
    """Bytes of a tree in float64."""
    return sum(8 * t.numel() for t in leaves(tree))


def gather(data: Data, device: torch.device) -> Gathered:
    """All samples of `data` on a device, or ValueError that says what is expected.

    data : (x, y), a DataLoader or a Dataset of such pairs, or a mapping with "labels" (batches of
        Hugging Face models). x and y are arrays or tensors, or tuples or dicts of them.
    """
    if isinstance(data, DataLoader | Dataset):
        data = _read(data)
    if isinstance(data, Mapping):
        pair: Any = (data, data.get("labels", next(iter(data.values()), None)))
    else:
        pair = data
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        many = isinstance(pair, tuple | list)
        rule = "data must be a pair (x, y); several inputs go into x, ((a, b), y)"
        raise ValueError(
            f"{rule}, got {len(pair)} entries" if many else f"{rule}, got {kind(pair)}"
        )
    x, y = (_tree(name, value) for name, value in zip("xy", pair, strict=True))
    x, y = (mapped(lambda t: t.to(device), v) for v in (x, y))
    first = next(leaves(y), None)
    inside = next(leaves(x), None)
    if first is None or inside is None or not len(first):
        raise ValueError("data must hold at least one sample of x and of y")
    single = isinstance(x, Tensor) and isinstance(y, Tensor)
    if single and len(inside) != len(first):
        raise ValueError(
            f"data must have as many x as y, at least one, got {len(inside)} and {len(first)}"
        )
    return Gathered(x, y, len(first))


def _tree(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _tree(name, v) for k, v in value.items()}
    # a list is an array of numbers; a tuple, or a list of tensors, is several inputs
    several = isinstance(value, tuple) or (
        isinstance(value, list) and value and all(isinstance(v, Tensor) for v in value)
    )
    if several and not all(isinstance(v, int | float) for v in value):
        return tuple(_tree(name, v) for v in value)
    if value is None or isinstance(value, bool):
        return value
    return numbers(name, value)


def _read(source: Any) -> Any:
    if isinstance(source, IterableDataset):
        raise ValueError(
            "data must have a length to be read once, got an IterableDataset: pass tensors"
        )
    if isinstance(source, Dataset):
        source = DataLoader(source, batch_size=BATCH)
    batches = _held(source)
    if not batches:
        raise ValueError("data must hold at least one sample, got an empty loader")
    if isinstance(batches[0], Mapping):
        return joined([dict(b) for b in batches])
    if not isinstance(batches[0], tuple | list) or len(batches[0]) != 2:
        raise ValueError(f"data must give pairs (x, y) in batches, got {shown(batches[0])}")
    return tuple(joined([b[i] for b in batches]) for i in (0, 1))


def _held(source: Any) -> list[Any]:
    """All batches, or ValueError as soon as it is clear that they do not fit."""
    batches: list[Any] = []
    held = 0
    for batch in source:
        batches.append(batch)
        held += size(batch)
        try:
            expected = held * max(len(source) / len(batches), 1.0)
        except TypeError:  # a loader of an iterable dataset has no length
            expected = held
        if expected > MOST_READ:
            raise ValueError(
                f"data must fit into {MOST_READ / 2**30:.2g} GiB in float64, since each step takes "
                f"all of it, got about {expected / 2**30:.2g} GiB; some thousand samples will do, "
                "as torch.utils.data.Subset(dataset, range(5000)) gives them"
            )
    return batches


def joined(parts: list[Any]) -> Any:
    """Trees of batches as one tree of all samples."""
    head = parts[0]
    if isinstance(head, Tensor):
        return torch.cat(parts)
    if isinstance(head, Mapping):
        return {k: joined([p[k] for p in parts]) for k in head}
    if isinstance(head, tuple | list):
        return tuple(joined([p[i] for p in parts]) for i in range(len(head)))
    raise ValueError(f"data must give tensors in batches, got {shown(head)}")
