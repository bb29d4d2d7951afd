"""In the loop: how much more decay the present state of a training would bear."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import nn

from phase_utils._check import function, integer, one_of, scalar
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import penalty_of
from phase_utils.diagnosis.samples import Data
from phase_utils.training.trials import LossFunction, checked

CONSTANT = 1e-3  # spread of the output, of that at the start, below which it is constant


@dataclass(frozen=True)
class Margin:
    """One reading of a training.

    Attributes
    ----------
    loss : float
        l0 of the present weights.
    square : float
        R of the present weights.
    blind : float
        F(gamma) of the best network that is blind to its input.
    margin : float
        q/gamma: the factor by which decay could grow until the present weights are no better than
        blind ones. Below 1 they are worse already. inf without decay.
    spread : float
        Spread of the output over the samples, in units of that of the first reading.
    collapsed : bool
        Whether the output no longer depends on the input.
    cause : str
        For a collapse, "decay" or "not decay"; "" where nothing collapsed. Decay is cleared by a
        witness, an earlier reading of margin 1 or more: learning pays at this decay. It is cleared
        as well where R has not halved since the first reading.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.Margin(0.1, 2.0, 0.5, 4.0, 0.8, False, "").margin
    4.0
    """

    loss: float
    square: float
    blind: float
    margin: float
    spread: float
    collapsed: bool
    cause: str


class Watch:
    """Readings of a training in any loop: two passes over the samples for each.

    Parameters
    ----------
    model : torch.nn.Module
        The model that is trained, or one like it.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar.
    data : (x, y), Dataset or DataLoader
        Samples to read on, as for `diagnose`; some hundreds will do.
    optimizer : torch.optim.Optimizer, optional
        Says what is decayed, and how much.
    decayed : iterable of str or mapping, optional
        Instead of it, with `gamma`: as for `diagnose`.
    gamma : float, optional
        Decay >= 0, the factor of |w|^2: half of torch's `weight_decay`; default the optimiser's.
    seed : int
        Of the noise of a model.
    device : str
        "auto", "cpu", "cuda", ...

    Raises
    ------
    ValueError
        As `diagnose` does; without `optimizer` and `gamma`.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.3, weight_decay=0.01)
    >>> watch = pu.Watch(model, torch.nn.functional.mse_loss, (x, x), sgd)
    >>> for _ in range(300):
    ...     sgd.zero_grad()
    ...     torch.nn.functional.mse_loss(model(x), x).backward()
    ...     sgd.step()
    >>> reading = watch.read(model)
    >>> reading.margin > 5, reading.collapsed
    (True, False)
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        data: Data,
        optimizer: torch.optim.Optimizer | None = None,
        *,
        decayed: Iterable[str] | Mapping[str, float] | None = None,
        gamma: float | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        checked(model)
        function("loss_fn", loss_fn, "the model's output and y")
        seed = integer("seed", seed, minimum=0)
        what = penalty_of(model, decayed, optimizer, None)
        if gamma is not None:
            self.gamma = scalar("gamma", gamma, minimum=0)
        elif optimizer is not None:
            self.gamma = max(float(g.get("weight_decay", 0)) for g in optimizer.param_groups) / 2
        else:
            raise ValueError("gamma must be given where no optimizer says it, got None")
        self._objective = Objective(model, loss_fn, data, what, seed=seed, device=device)
        self._objective.refuse_sum()
        gamma = max(self.gamma, 1e-6)
        self._blind = Reference(self._objective, gamma, seed).at(gamma)
        self._first = self._size = 0.0
        self._best = 0.0
        self.history: list[Margin] = []

    def read(self, model: nn.Module) -> Margin:
        """Read the present state.

        Parameters
        ----------
        model : torch.nn.Module
            With the parameters of the model that the watch was made of.

        Returns
        -------
        Margin
            The reading, which is also appended to `history`.

        Raises
        ------
        ValueError
            For a model that lacks parameters of the watch.

        Examples
        --------
        >>> import torch
        >>> import phase_utils as pu
        >>> model = torch.nn.Linear(1, 1)
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> watch = pu.Watch(model, torch.nn.functional.mse_loss, (x, x), gamma=0.1)
        >>> watch.read(model).spread
        1.0
        """
        checked(model)
        named = dict(model.named_parameters())
        missing = [k for k in self._objective.names if k not in named]
        if missing:
            raise ValueError(
                f"model must have the parameters of the watch, got none of {missing[0]}"
            )
        weights = self._objective.of(model)
        loss, square = self._objective.values(weights)
        blind = self._blind
        # F is concave: its tangent at gamma lies above it
        gain, cost = blind.value - self.gamma * blind.square - loss, square - blind.square
        if self.gamma <= 0:
            margin = float("inf")
        elif cost > 0:
            margin = gain / (self.gamma * cost)
        else:
            margin = float("inf") if gain > 0 else 0.0
        spread = self._objective.spread(weights)
        self._first, self._size = self._first or spread, self._size or square
        share = spread / self._first if self._first > 0 else 0.0
        collapsed = share < CONSTANT
        cause = ""
        if collapsed:
            cause = "decay" if self._best < 1 and square < self._size / 2 else "not decay"
        else:
            self._best = max(self._best, margin)
        reading = Margin(loss, square, blind.value, margin, share, collapsed, cause)
        self.history.append(reading)
        return reading

    def callback(self, library: str) -> Any:
        """A callback that reads at the end of every epoch of a trainer of another library.

        Parameters
        ----------
        library : {"lightning", "transformers"}
            Lightning (`lightning` or `pytorch_lightning`), where margin, spread and blind loss are
            logged, or the Trainer of transformers, where they enter `state.log_history`.

        Returns
        -------
        callback
            To be given to the trainer. The watch must be made of the module that is trained.

        Raises
        ------
        ValueError
            For another library.
        ModuleNotFoundError
            Where it is not installed.

        Examples
        --------
        >>> import torch
        >>> import phase_utils as pu
        >>> x = torch.linspace(-1, 1, 20)[:, None]
        >>> loss = torch.nn.functional.mse_loss
        >>> watch = pu.Watch(torch.nn.Linear(1, 1), loss, (x, x), gamma=0.1)
        >>> watch.callback("keras")
        Traceback (most recent call last):
        ValueError: library must be one of lightning, transformers, got 'keras'
        """
        one_of("library", library, ("lightning", "transformers"))

        def read(model: nn.Module) -> dict[str, float]:
            reading = self.read(model)
            return {"margin": reading.margin, "spread": reading.spread, "blind": reading.blind}

        if library == "lightning":
            base: Any = _imported("lightning.pytorch", "pytorch_lightning").Callback

            def on_train_epoch_end(*given: Any) -> None:  # self, trainer, module
                given[-1].log_dict(read(given[-1]))

            return type("WatchCallback", (base,), {"on_train_epoch_end": on_train_epoch_end})()
        base = _imported("transformers").TrainerCallback

        def on_epoch_end(*given: Any, model: nn.Module, **_: Any) -> None:  # self, args, state, ..
            given[2].log_history.append({"epoch": given[2].epoch, **read(model)})

        return type("WatchCallback", (base,), {"on_epoch_end": on_epoch_end})()


def _imported(*choices: str) -> Any:
    """The first of some modules that is installed."""
    for name in choices:
        try:
            return import_module(name)
        except ModuleNotFoundError:
            continue
    raise ModuleNotFoundError(f"Watch.callback needs the package {choices[-1].partition('.')[0]}")
