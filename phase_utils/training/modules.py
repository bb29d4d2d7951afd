"""Any torch module and loss as a problem that can be trained, for many sets of weights at once."""

from collections.abc import Iterable, Sequence
from copy import copy, deepcopy
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import grad_and_value, vmap

from phase_utils._check import instance, integer, integers, names, scalar, shown
from phase_utils.training import devices
from phase_utils.training.draws import gaussian_weights
from phase_utils.training.module_loss import ModuleLoss
from phase_utils.training.tensors import floating, networks
from phase_utils.training.train import views
from phase_utils.training.trials import LossFunction


class ModuleProblem(ModuleLoss):
    """The loss of a module on data, l0(w, theta), and its penalty R(w): a problem for `train`.

    Parameters
    ----------
    model : torch.nn.Module
        Copied and cast to float64; its own mode (train or eval) is kept.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar, the mean over samples.
    data : (x, y)
        Tensors or arrays, first axis the n samples; floating numbers become float64, tensors leave
        their graph. A y of shape (n,) beside outputs (n, 1) is refused where the loss compares
        every output with every y.
    decayed : iterable of str, optional
        Names of the decayed parameters, as in `model.named_parameters()`. Default: all of two or
        more dimensions, so that biases and gains are free.
    device : str
        "auto", "cpu", "cuda", ...

    Attributes
    ----------
    names : tuple of str
        Of all parameters, in the order of the weights.
    shapes : tuple of torch.Size
        Of all parameters.
    parameters : int
        P, how many numbers the weights are.
    mask : (P,) boolean tensor
        Which of the flattened weights are decayed.

    Raises
    ------
    ValueError
        For data, names or a loss that do not fit, and for a random loss (dropout in training mode,
        sampling), found by evaluating it twice: a random loss has no landscape.

    Notes
    -----
    Weights are tensors (rows, ...), one per parameter; flattened they are (rows, P). Those of
    another dtype or device than the problem's are evaluated as they are: the data follow them.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> problem = pu.ModuleProblem(model, torch.nn.functional.mse_loss, (x, 0.45 * x))
    >>> result = pu.train(problem, problem.initial_weights(0.1, range(3)), gamma=0.5)
    >>> result.weights[0].ravel().numpy().round(6)
    array([0.3, 0.3, 0.3])
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        data: tuple[Any, Any],
        *,
        decayed: Iterable[str] | None = None,
        device: str = "cpu",
    ) -> None:
        super().__init__(model, loss_fn, data, devices.resolve(device))
        parameters = dict(self.model.named_parameters())
        chosen = {k for k, p in parameters.items() if p.ndim >= 2}
        if decayed is not None:
            chosen = set(names("decayed", decayed, self.names, "parameters of the model"))
        if not chosen:
            raise ValueError(
                "decayed must name parameters of the model, which has none of two or more "
                f"dimensions but {', '.join(self.names) or 'none'}"
            )
        self.decayed = tuple(name for name in self.names if name in chosen)
        self.mask = torch.cat(
            [
                torch.full((p.numel(),), k in chosen, device=self.start.device)
                for k, p in parameters.items()
            ]
        )
        self._moved: dict[Any, ModuleProblem] = {}
        self._settle(lambda seeds: self.random(1.0, seeds))

    def subset(self, samples: int, seed: int = 0) -> "ModuleProblem":
        """The same model on some of the samples.

        Parameters
        ----------
        samples : int
            How many, drawn without replacement; all where there are no more.
        seed : int
            Of the draw.

        Returns
        -------
        ModuleProblem
            On these samples.

        Raises
        ------
        ValueError
            For a number below 1, or a negative seed.
        """
        samples, seed = integer("samples", samples, minimum=1), integer("seed", seed, minimum=0)
        if samples >= len(self.x):
            return self
        generator = torch.Generator().manual_seed(seed)
        chosen = torch.randperm(len(self.x), generator=generator)[:samples].to(self.x.device)
        pair = (self.x[chosen], self.y[chosen])
        return ModuleProblem(
            self.model, self.loss_fn, pair, decayed=self.decayed, device=str(self.start.device)
        )

    def __repr__(self) -> str:
        loss = getattr(self.loss_fn, "__name__", type(self.loss_fn).__name__)
        free = [name for name in self.names if name not in self.decayed]
        return f"ModuleProblem({self.model}, {loss}, {self.samples} samples, free: {free})"

    def initial_weights(
        self,
        scale: ArrayLike,
        seed: ArrayLike,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> tuple[Tensor, ...]:
        """Decayed weights as those of `LinearNetwork.initial_weights`, the others as in the model.

        Parameters
        ----------
        scale : float or (rows,) array_like
            Standard deviation >= 0 of the decayed weights.
        seed : int or (rows,) array_like of int
            In 0..2^53, one set of weights each.
        device : str or torch.device, optional
            Of the weights; default that of the problem.
        dtype : torch.dtype
            Of the weights.

        Returns
        -------
        tuple of tensors
            One per parameter, (rows, ...).
        """
        place = self.start.device if device is None else device
        drawn = gaussian_weights(self.shapes, scale, seed, device=place, dtype=dtype)
        own = views(self.start[None].to(drawn[0]), self.shapes)
        return tuple(
            g if name in self.decayed else w.expand_as(g).clone()
            for name, g, w in zip(self.names, drawn, own, strict=True)
        )

    def random(self, scale: float, seeds: Sequence[int]) -> Tensor:
        """Flattened weights of about unit gain.

        Parameters
        ----------
        scale : float
            The decayed weights are scale times a normal deviate over sqrt(fan-in).
        seeds : sequence of int
            One set of weights each.

        Returns
        -------
        Tensor
            (len(seeds), P).

        Raises
        ------
        ValueError
            For a negative scale, or seeds that are no whole numbers.
        """
        scale, seeds = scalar("scale", scale, minimum=0), integers("seeds", seeds).tolist()
        fan_in = torch.cat(
            [torch.full((s.numel(),), float(max(1, s[1:].numel()))) for s in self.shapes]
        )
        drawn = _flat(self.initial_weights(scale, np.asarray(seeds)))
        return torch.where(self.mask, drawn / fan_in.to(drawn).sqrt(), drawn)

    def data_loss(self, weights: Sequence[Tensor], rows: Tensor | None = None) -> Tensor:
        """The loss l0 without penalty of every set of weights.

        Parameters
        ----------
        weights : sequence of tensors
            One per parameter, (rows, ...).
        rows : (rows, b) tensor of int, optional
            The samples that each set of weights is to use; default all.

        Returns
        -------
        Tensor
            (rows,).
        """
        here, x = self._taken(weights)
        if rows is None:
            return here.losses(x)
        self._check_samples(rows, len(x))
        with torch.no_grad():
            return vmap(here._on)(x, here.x[rows], here.y[rows])

    def penalty(self, weights: Sequence[Tensor]) -> Tensor:
        """The penalty R, the square norm of the decayed weights.

        Parameters
        ----------
        weights : sequence of tensors
            One per parameter, (rows, ...).

        Returns
        -------
        Tensor
            (rows,).
        """
        here, x = self._taken(weights)
        return here.square(x)

    def value_and_gradient(
        self, weights: Sequence[Tensor], gamma: Tensor, rows: Tensor | None = None
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss l0 + gamma R and its gradient for all rows.

        Parameters
        ----------
        weights : sequence of tensors
            One per parameter, (rows, ...).
        gamma : (rows,) tensor
            Weight decays.
        rows : (rows, b) tensor of int, optional
            The samples that each set of weights is to use; default all.

        Returns
        -------
        loss : Tensor
            (rows,).
        gradients : tuple of tensors
            Of the shapes of the weights.
        """
        here, x = self._taken(weights)
        floating("gamma", gamma, len(x))
        if rows is None:
            loss, gradient = here.evaluate(x)
        else:
            self._check_samples(rows, len(x))
            gradient, loss = vmap(grad_and_value(here._on))(x, here.x[rows], here.y[rows])
        kept = x * here.mask
        total = gradient.detach() + 2 * gamma[:, None] * kept
        return loss.detach() + gamma * kept.square().sum(1), views(total, self.shapes)

    def square(self, x: Tensor) -> Tensor:
        """The penalty R of flattened weights.

        Parameters
        ----------
        x : (rows, P) tensor
            Flattened weights.

        Returns
        -------
        Tensor
            (rows,).
        """
        x = self._alike("x", x, None)
        return (x * self.mask).square().sum(1)

    def _taken(self, weights: Sequence[Tensor]) -> tuple["ModuleProblem", Tensor]:
        """The problem in the dtype and on the device of the weights, and those flattened."""
        networks("weights", weights, self.shapes)
        return self._like(weights[0]), _flat(weights)

    def _check_samples(self, rows: Any, n: int) -> None:
        """Samples to use are (n, b) of int64; asking for their range would make a GPU wait."""
        fits = isinstance(rows, Tensor) and rows.dtype == torch.int64 and rows.ndim == 2
        if not fits or len(rows) != n or not rows.numel():
            raise ValueError(
                f"rows must be integers ({n}, b), the samples to use, got {shown(rows)}"
            )
        if rows.device.type == "cpu" and (rows.min() < 0 or rows.max() >= len(self.x)):
            raise ValueError(f"rows must be from 0 to {len(self.x) - 1}, got {shown(rows)}")

    def _like(self, w: Tensor) -> "ModuleProblem":
        """This problem in the dtype and on the device of `w`."""
        if (w.dtype, w.device) == (self.start.dtype, self.start.device):
            return self
        key = (w.dtype, w.device)
        if key not in self._moved:
            moved = copy(self)
            moved.model = deepcopy(self.model).to(device=w.device, dtype=w.dtype)
            moved.x, moved.y = (
                v.to(device=w.device, dtype=w.dtype if v.is_floating_point() else v.dtype)
                for v in (self.x, self.y)
            )
            moved.start, moved.mask = self.start.to(w), self.mask.to(w.device)
            self._moved[key] = moved
        return self._moved[key]


def checked_problem(problem: Any) -> ModuleProblem:
    """Return a problem, or raise ValueError that says how one is made of a module."""
    return instance(
        "problem",
        problem,
        ModuleProblem,
        "a ModuleProblem; ModuleProblem(model, loss_fn, (x, y)) makes one of a module",
    )


def _flat(weights: Sequence[Tensor]) -> Tensor:
    return torch.cat([w.reshape(len(w), -1) for w in weights], dim=1)
