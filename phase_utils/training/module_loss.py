"""The loss of any torch module on data as a function of its flattened weights."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from phase_utils._check import function
from phase_utils.training import passes
from phase_utils.training.tensors import floating, samples
from phase_utils.training.trials import LossFunction, applied, compared, copied


class ModuleLoss:
    """The loss l0 of a copy of a module, in float64, of weights (P,) or of several sets (rows, P).

    Samples and sets of weights go through the module in pieces that fit into memory.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        data: tuple[Any, Any],
        device: torch.device,
    ) -> None:
        self.model = copied(model).to(device=device, dtype=torch.float64)
        self.loss_fn: LossFunction = function("loss_fn", loss_fn, "the model's output and y")
        self.x, self.y = (v.double() if v.is_floating_point() else v for v in samples(data, device))
        parameters = dict(self.model.named_parameters())
        self.names = tuple(parameters)
        self.shapes = tuple(p.shape for p in parameters.values())
        self.chunks = [slice(0, len(self.x))]
        self.rows = 1  # sets of weights that are evaluated at once
        flat = [p.detach().reshape(-1) for p in parameters.values()]
        self.start = torch.cat([torch.zeros(0, dtype=torch.float64, device=device), *flat])
        self.parameters = len(self.start)

    def _settle(self, draw: Callable[[Sequence[int]], Tensor]) -> None:
        """Refuse a random loss, and choose the pieces; `draw` makes weights of seeds."""
        self._check_loss(draw([0])[0])
        self._plan(draw)

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.x)

    def losses(self, x: Tensor) -> Tensor:
        """The loss l0 of flattened weights; gradients do not pass.

        Parameters
        ----------
        x : (rows, P) tensor
            Flattened weights.

        Returns
        -------
        Tensor
            (rows,).
        """
        parts = self._alike("x", x, None).split(self.rows)
        with torch.no_grad():
            if self.rows == 1:  # this module cannot be batched over its weights
                return torch.stack([self.loss(part[0]) for part in parts])
            return torch.cat([vmap(self.loss)(part) for part in parts])

    def loss(self, row: Tensor) -> Tensor:
        """The loss l0 of one flattened set of weights, over chunks of samples.

        Parameters
        ----------
        row : (P,) tensor
            Flattened weights.

        Returns
        -------
        Tensor
            A scalar that gradients pass.
        """
        row = self._alike("row", row)
        total = row.new_zeros(())
        for chunk in self.chunks:
            total = total + self._part(row, chunk)
        return total

    def sample_losses(self, row: Tensor) -> Tensor:
        """The loss of every sample.

        Parameters
        ----------
        row : (P,) tensor
            Flattened weights.

        Returns
        -------
        Tensor
            (n,).

        Raises
        ------
        ValueError
            Where the loss is no mean over samples.
        """
        row = self._alike("row", row)
        parts = []
        with torch.no_grad():
            for chunk in self.chunks:
                out = functional_call(self.model, self._named(row), (self.x[chunk],))
                each = vmap(lambda o, t: self.loss_fn(o[None], t[None]))(out, self.y[chunk])
                parts.append(each)
        losses = torch.cat(parts)
        whole = self.losses(row[None])[0]
        if not torch.isclose(losses.mean(), whole, rtol=1e-9, atol=1e-12):
            raise ValueError("loss_fn must be the mean over samples, got another combination")
        return losses

    def evaluate(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Loss l0 and gradient of flattened weights, a few rows at once.

        Parameters
        ----------
        x : (rows, P) tensor
            Flattened weights.

        Returns
        -------
        loss : Tensor
            (rows,).
        gradient : Tensor
            (rows, P).
        """
        x = self._alike("x", x, None).detach()
        loss, gradient = x.new_zeros(len(x)), torch.zeros_like(x)
        for rows in torch.arange(len(x), device=x.device).split(self.rows):
            for chunk in self.chunks:
                g, v = self._differentiated(x[rows], chunk)
                loss[rows] += v
                gradient[rows] += g
        return loss, gradient

    def hessian_product(self, row: Tensor, vector: Tensor) -> Tensor:
        """The Hessian of l0 at one set of weights times a vector.

        Parameters
        ----------
        row : (P,) tensor
            Flattened weights.
        vector : (P,) tensor
            What is multiplied.

        Returns
        -------
        Tensor
            (P,).
        """
        row, vector = self._alike("row", row), self._alike("vector", vector)
        total = torch.zeros_like(row)
        for chunk in self.chunks:
            with torch.enable_grad():
                w = row.detach().requires_grad_()
                (g,) = torch.autograd.grad(self._part(w, chunk), w, create_graph=True)
                if g.requires_grad:
                    (h,) = torch.autograd.grad(g @ vector, w, materialize_grads=True)
                    total += h
        return total

    def named(self, row: Tensor) -> dict[str, Tensor]:
        """A flattened set of weights as parameters by name.

        Parameters
        ----------
        row : (P,) tensor
            Flattened weights.

        Returns
        -------
        dict of str to Tensor
            As `torch.func.functional_call` takes them.
        """
        return self._named(self._alike("row", row))

    def _named(self, row: Tensor) -> dict[str, Tensor]:
        parts = row.split([shape.numel() for shape in self.shapes])
        return {k: p.reshape(s) for k, p, s in zip(self.names, parts, self.shapes, strict=True)}

    def _part(self, row: Tensor, chunk: slice) -> Tensor:
        x, y = self.x[chunk], self.y[chunk]
        value = self._on(row, x, y)
        return value if len(self.chunks) == 1 else value * (len(x) / len(self.x))

    def _on(self, row: Tensor, x: Tensor, y: Tensor) -> Tensor:
        return self.loss_fn(functional_call(self.model, self._named(row), (x,)), y)

    def _alike(self, name: str, value: Any, *shape: int | None) -> Tensor:
        """Flattened weights (..., P) of the problem's own dtype and device."""
        tensor = floating(name, value, *shape, self.parameters)
        if (tensor.dtype, tensor.device) != (self.start.dtype, self.start.device):
            raise ValueError(
                f"{name} must be {self.start.dtype} on {self.start.device} as the problem, "
                f"got {tensor.dtype} on {tensor.device}"
            )
        return tensor

    def _differentiated(self, x: Tensor, chunk: slice) -> tuple[Tensor, Tensor]:
        def part(row: Tensor) -> Tensor:
            return self._part(row, chunk)

        if self.rows > 1:
            g, v = vmap(grad_and_value(part))(x)
            return g.detach(), v.detach()
        pairs = []
        for row in x:
            with torch.enable_grad():
                w = row.detach().requires_grad_()
                value = part(w)
                (g,) = torch.autograd.grad(value, w, materialize_grads=True)
            pairs.append((g, value.detach()))
        return torch.stack([g for g, _ in pairs]), torch.stack([v for _, v in pairs])

    def _check_loss(self, probe: Tensor) -> None:
        """Refuse a loss that is not finite, or not the same twice."""
        with torch.no_grad(), torch.random.fork_rng():
            named = self._named(probe)
            output = applied(lambda x: functional_call(self.model, named, (x,)), self.x)
            first = compared(self.loss_fn, output, self.y)
            second = self.loss(probe)
        if not first.isfinite():
            raise ValueError(f"loss_fn must be finite at random weights, got {float(first)}")
        if not torch.isclose(first, second, rtol=1e-12, atol=0):
            raise ValueError(
                f"model must give the same loss twice, got {float(first):.9g} and "
                f"{float(second):.9g}: a random loss (dropout, sampling) has no landscape; use eval"
            )

    def _plan(self, draw: Callable[[Sequence[int]], Tensor]) -> None:
        """Choose how many samples and how many rows go into one pass."""
        probe = draw([0])[0]
        with passes.counted(self.model) as counts, torch.no_grad():
            whole = self.loss(probe)
        held = max(sum(counts), self.x.numel())
        pieces = passes.cut(len(self.x), held)
        if len(pieces) > 1:
            kept, self.chunks = self.chunks, pieces
            with torch.no_grad():
                if not torch.isclose(self.loss(probe), whole, rtol=1e-9):
                    self.chunks = kept  # no mean over samples: batch statistics, a sum
        self.rows = int(np.clip(passes.ACTIVATIONS / (2 * held), 1, 64))
        if self.rows > 1:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error", UserWarning)  # a slow fallback of vmap
                    self._differentiated(draw([0, 1]), self.chunks[0])
            except (RuntimeError, ValueError, UserWarning):
                self.rows = 1  # this module cannot be batched over its weights
