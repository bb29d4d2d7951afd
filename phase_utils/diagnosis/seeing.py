"""How a module is called on its inputs: with noise mirrored, or blind to them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from phase_utils.diagnosis.samples import mapped

NORMAL = (torch.randn, torch.randn_like)
LOOKUPS = (
    torch.embedding,
    torch.embedding_bag,
    nn.functional.embedding,
    nn.functional.embedding_bag,
    nn.functional.one_hot,
)


class Mirrored(TorchFunctionMode):
    """Normal noise with the opposite sign."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in NORMAL:
            return -out
        if func is torch.normal:
            return 2 * (args[0] if args else kwargs["mean"]) - out
        return out


class Unseeing(TorchFunctionMode):
    """What an integer input looks up is zero; positions, the same for all samples, stay."""

    def __init__(self, inputs: set[int], count: int) -> None:
        super().__init__()
        self.inputs, self.count = inputs, count

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func in LOOKUPS:
            given = [*args, *(kwargs or {}).values()]
            index = next(
                (a for a in given if isinstance(a, Tensor) and not a.is_floating_point()), None
            )
            if index is not None and self._sees(index):
                return mapped(lambda t: t * 0, out)
        return out

    def _sees(self, index: Tensor) -> bool:
        if index.untyped_storage().data_ptr() in self.inputs:
            return True
        if index.ndim == 0 or len(index) != self.count:
            return False
        positions = torch.arange(len(index), device=index.device)
        positions = positions.reshape(-1, *[1] * (index.ndim - 1)).expand_as(index)
        return not torch.equal(index, positions.to(index.dtype))


def caller(model: nn.Module, x: Any) -> Callable[[Any], Any]:
    """How the module takes its inputs: several of a tuple, named ones of a dict, or one."""
    try:
        signature = inspect.signature(model.forward)
        if isinstance(x, Mapping):
            signature.bind(**x)
            return lambda v: model(**v)
        if isinstance(x, tuple):
            signature.bind(*x)
            return lambda v: model(*v)
    except (TypeError, ValueError):
        pass
    return lambda v: model(v)
