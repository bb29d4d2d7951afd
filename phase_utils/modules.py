"""Any small torch module on samples as a problem of many networks, its parameters stacked."""

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from phase_utils._check import numeric
from phase_utils.networks import gaussian_weights
from phase_utils.rows import total_square


class ModuleProblem:
    """Copies of a torch module under a loss over samples (x, y), with L2 decay.

    Every copy is a row of the batch: `torch.func.functional_call` under `torch.func.vmap`, so that
    the module is written for one network. What it does at random is drawn anew for every copy.

    Parameters
    ----------
    module : the network, without buffers; the values of its parameters are not used.
    x, y : (n, ...) samples and targets, arrays or tensors; floats are taken in the dtype and to the
        device of the weights, integer targets (classes) keep theirs.
    loss : (outputs, y) -> scalar tensor, a mean over the samples; default mean squared error.
    undecayed : names of parameters that weight decay leaves out, such as "2.bias".

    Raises
    ------
    ValueError
        For a module with buffers or without parameters, x and y of different length, numbers that
        are not finite, or an unknown name.

    Notes
    -----
    `weights` are tensors (n, *shape) in the order of `module.named_parameters()`.
    """

    def __init__(
        self,
        module: nn.Module,
        x: Any,
        y: Any,
        loss: Callable[[Tensor, Tensor], Tensor] = nn.functional.mse_loss,
        undecayed: Iterable[str] = (),
    ) -> None:
        if not isinstance(module, nn.Module):
            raise ValueError(f"module must be a torch module, got {type(module).__name__}")
        parameters = dict(module.named_parameters())
        if not parameters:
            raise ValueError("module must have parameters, got none")
        buffers = [name for name, _ in module.named_buffers()]
        if buffers:
            raise ValueError(f"module must have no buffers, got {', '.join(buffers)}")
        self.module, self.loss = module, loss
        self.names = tuple(parameters)
        self.shapes = tuple(tuple(p.shape) for p in parameters.values())
        free = set(undecayed)
        if unknown := free - set(self.names):
            raise ValueError(f"undecayed must be among {self.names}, got {sorted(unknown)}")
        self.decayed = tuple(name not in free for name in self.names)
        self._data = (_samples("x", x), _samples("y", y))
        self._moved: dict[Any, tuple[Tensor, Tensor]] = {}
        self.samples = len(self._data[0])
        if len(self._data[1]) != self.samples:
            raise ValueError(f"y must have {self.samples} rows, as x has, got {len(self._data[1])}")

    @property
    def parameters(self) -> int:
        """Weights of one network."""
        return sum(prod(shape) for shape in self.shapes)

    @property
    def intermediates(self) -> int:
        """Numbers beside the weights that one evaluation holds, in the largest of its arrays."""
        return self.samples * sum(shape[0] for shape in self.shapes if shape)

    def initial_weights(
        self, scale: Any, seed: Any, *, device: Any = "cpu", dtype: torch.dtype = torch.float64
    ) -> tuple[Tensor, ...]:
        """Gaussian parameters, as `LinearNetwork.initial_weights` draws them."""
        return gaussian_weights(self.shapes, scale, seed, device=device, dtype=dtype)

    def data_loss(self, weights: tuple[Tensor, ...], rows: Tensor | None = None) -> Tensor:
        """Loss of every network, (n,), on all samples or on those in `rows` (n, b)."""
        x, y = self._data_like(weights[0])
        if rows is None:
            return torch.func.vmap(self._one, in_dims=(0, None, None), randomness="different")(
                weights, x, y
            )
        return torch.func.vmap(self._one, randomness="different")(weights, x[rows], y[rows])

    def penalty(self, weights: tuple[Tensor, ...]) -> Tensor:
        """Sum of squares of the decayed parameters, (n,)."""
        kept = tuple(w for w, decays in zip(weights, self.decayed, strict=True) if decays)
        return total_square(kept) if kept else torch.zeros_like(weights[0].flatten(1)[:, 0])

    def _one(self, weights: tuple[Tensor, ...], x: Tensor, y: Tensor) -> Tensor:
        named = dict(zip(self.names, weights, strict=True))
        return self.loss(torch.func.functional_call(self.module, named, (x,)), y)

    def _data_like(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The samples in the dtype and on the device of `w`."""
        key = (w.device, w.dtype)
        if key not in self._moved:
            x, y = (
                v.to(device=w.device, dtype=w.dtype if v.is_floating_point() else v.dtype)
                for v in self._data
            )
            self._moved[key] = (x, y)
        return self._moved[key]


def _samples(name: str, values: Any) -> Tensor:
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else values
    numeric(name, array)
    tensor = torch.as_tensor(array)
    if tensor.ndim == 0:
        raise ValueError(f"{name} must have one row per sample, got a scalar")
    return tensor if tensor.is_floating_point() or name == "y" else tensor.double()
