"""Training of many networks at once on their exact population loss, or on any batched loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from phase_utils._check import Array, integers, kind, non_negative, shown
from phase_utils.theory.moments import Moments
from phase_utils.training import compiled
from phase_utils.training.descents import Adam, Flow, FullBatch, HeavyBall, RandomBatch, hashed
from phase_utils.training.minimisers import ADVICE, Method, minimise
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.problem import Problem
from phase_utils.training.quasi_newton import Lbfgs
from phase_utils.training.rows import Evaluate, State, total_square
from phase_utils.training.settings import Settings, checked_settings
from phase_utils.training.tensors import DTYPES


@dataclass(frozen=True, eq=False)
class Result:
    """Trained networks, the batch axis first; arrays are NumPy, float64, on the CPU.

    Attributes
    ----------
    weights : tuple of tensors (n, ...)
        In the dtype and on the device of the initial weights.
    loss : (n,) array
        data_loss + gamma * slope.
    data_loss : (n,) array
        The loss without decay.
    slope : (n,) array
        The penalty that gamma multiplies, |w|^2 unless decays differ; at a minimum it is dL/dgamma.
    B : (n,) array
        The order parameter, nan for a problem that defines none.
    status : (n,) array of str
        "converged", the loss is that of the minimum up to what the notes of `Settings` say, and the
        weights are as accurate as its curvature makes them; "max_steps"; "stalled", no step lowers
        the loss although the gradient is more than rounding, as at a kink; "diverged"; "nonfinite",
        loss or gradient not finite at the start; "time", the gradient flow has reached its end. Of
        a network that diverged or was not finite the numbers mean nothing.
    steps : (n,) array of int
        Steps tried, each one evaluation of loss and gradient (six for "flow"); the end is looked
        for about every 10.
    engine : str
        What has trained them: "compiled", by numba, which the extra `fast` brings, linear networks
        on a CPU by "lbfgs", "adam" or "sgd"; or "torch". They agree up to rounding.
    """

    weights: tuple[Tensor, ...]
    loss: Array
    data_loss: Array
    slope: Array
    B: Array
    status: NDArray[np.str_]
    steps: NDArray[np.int64]
    engine: str = "torch"

    def summary(self) -> str:
        """How many networks ended how, and what to try next for those that failed.

        Returns
        -------
        str
            A line for each status.
        """
        kinds, counts = np.unique(self.status, return_counts=True)
        return "\n".join(
            f"{count} {kind}" + (f": {ADVICE[kind]}" if ADVICE[kind] else "")
            for kind, count in zip(kinds.tolist(), counts, strict=True)
        )


class _Differentiated:
    """Any object with `data_loss(weights)`, its gradient taken by automatic differentiation."""

    def __init__(self, problem: Any) -> None:
        self.data_loss = problem.data_loss
        self.penalty = getattr(problem, "penalty", total_square)

    def value_and_gradient(
        self, weights: tuple[Tensor, ...], gamma: Tensor, *drawn: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        with torch.enable_grad():
            leaves = tuple(w.detach().requires_grad_() for w in weights)
            data = _one_per_row("data_loss", self.data_loss(leaves, *drawn), gamma)
            if not data.requires_grad:
                raise ValueError(
                    "problem.data_loss must be differentiable by torch, got a constant"
                )
            loss = data + gamma * _one_per_row("penalty", self.penalty(leaves), gamma)
            gradients = torch.autograd.grad(loss.sum(), leaves, materialize_grads=True)
        return loss.detach(), gradients


def train(
    problem: Problem | Moments,
    init: Sequence[Tensor],
    gamma: ArrayLike,
    settings: Settings | None = None,
    seeds: ArrayLike | None = None,
) -> Result:
    """Minimise data_loss + gamma penalty for many networks, each from its own initial weights.

    Parameters
    ----------
    problem : Moments, LinearNetwork, ModuleProblem or Problem
        What is trained; `Moments` stand for noise-free linear networks of the depth and the widths
        of `init`.
    init : sequence of tensors (n, ...)
        Float32 or float64, one per weight array, left unchanged.
    gamma : float or (n,) array_like
        Weight decay >= 0 of each network.
    settings : Settings, optional
        Default `Settings()`.
    seeds : (n,) array_like of int, optional
        At least 0: of the minibatches of each network; default 0..n-1.

    Returns
    -------
    Result
        A network that fails gets a status of its own and leaves the others alone.

    Raises
    ------
    ValueError
        For initial weights or gammas of the wrong shape, type or range, and for a problem whose
        losses are not one per network.

    Examples
    --------
    At depth one what is learned vanishes continuously at gamma = |E[xy]| = 0.45:

    >>> import phase_utils as pu
    >>> network = pu.LinearNetwork(pu.Moments.isotropic(), depth=1, width=4)
    >>> result = pu.train(network, network.initial_weights(0.5, [0, 0, 0]), [0.25, 0.44, 0.46])
    >>> result.B.round(4).tolist(), set(result.status.tolist())
    ([0.4472, 0.1, 0.0], {'converged'})
    """
    settings = checked_settings(settings, Settings())
    weights = checked_weights(init)
    n = len(weights[0])
    posed = as_problem(problem, weights)
    gammas = non_negative("gamma", gamma, ndim=(0, 1))
    if gammas.ndim and len(gammas) != n:
        raise ValueError(f"gamma must be a scalar or have {n} entries, got {len(gammas)}")
    decay = torch.from_numpy(np.broadcast_to(gammas, (n,)).copy()).to(weights[0])

    shapes = tuple(w.shape[1:] for w in weights)
    method = _method(settings, posed)
    numbers = integers("seeds", np.arange(n) if seeds is None else seeds)
    if len(numbers) != n:
        raise ValueError(f"seeds must be {n} integers, one per network, got {len(numbers)}")
    rows = _settings_of_rows(settings, decay, numbers)
    flat = torch.cat([w.reshape(n, -1) for w in weights], dim=1)
    engine = "compiled" if compiled.suits(posed, settings, flat) else "torch"
    with torch.no_grad():
        if engine == "compiled":
            final, status, steps = compiled.minimise(posed, flat, decay, settings, rows.get("rate"))
        else:
            final, status, steps = minimise(
                flat_evaluate(posed, shapes),
                flat,
                decay,
                method,
                rows,
                tolerance=settings.tolerance,
                max_steps=settings.max_steps,
                capture=decay.is_cuda and isinstance(posed, LinearNetwork),
            )
        trained = tuple(w.contiguous() for w in views(final, shapes))
        data = _array(_one_per_row("data_loss", posed.data_loss(trained), decay))
        slope = _array(getattr(posed, "penalty", total_square)(trained))
        B = np.full(n, np.nan)
        if hasattr(posed, "order_parameter"):
            B = _array(posed.order_parameter(trained))
    with np.errstate(all="ignore"):  # what diverged is infinite, and gamma may be 0
        loss = data + gammas * slope
    return Result(trained, loss, data, slope, B, status, steps, engine)


def _method(settings: Settings, problem: Any) -> Method:
    """The minimiser that the settings describe."""
    batches: FullBatch | RandomBatch = FullBatch()
    if settings.batch_size:
        if not getattr(problem, "samples", 0):
            raise ValueError(
                "settings.batch_size must be 0 for a problem without samples, "
                f"got {settings.batch_size} for {type(problem).__name__}"
            )
        batches = RandomBatch(settings.batch_size, problem.samples)
    if settings.method == "lbfgs":
        return Lbfgs(settings.memory, settings.step_cap)
    if settings.method == "flow":
        return Flow(settings.accuracy)
    if settings.method == "adam":
        return Adam(batches)
    return HeavyBall(settings.momentum, batches)


def _settings_of_rows(settings: Settings, like: Tensor, seeds: NDArray[np.int64]) -> State:
    """What the methods need of each network: learning rate, end of time, stream of samples."""
    rows: State = {}
    n = len(like)
    if settings.method in ("sgd", "adam"):
        rates = np.array(settings.learning_rate)
        if rates.ndim and len(rates) != n:
            raise ValueError(
                f"settings.learning_rate must be a scalar or have {n} entries, got {len(rates)}"
            )
        rows["rate"] = torch.from_numpy(np.broadcast_to(rates, (n,)).copy()).to(like)
    if settings.method == "flow":
        rows["until"] = torch.full_like(like, settings.time)
    if settings.batch_size:
        rows["stream"] = hashed(torch.from_numpy(seeds).to(like.device))
    return rows


def checked_weights(init: Any) -> tuple[Tensor, ...]:
    """Return initial weights (n, ...) as a tuple without graph, or raise ValueError."""
    if not isinstance(init, Sequence) or not all(isinstance(w, Tensor) for w in init):
        raise ValueError(f"init must be a sequence of tensors, got {kind(init)}")
    if not init:
        raise ValueError("init must hold one tensor or more, got none")
    first = init[0]
    for w in init:
        if w.layout != torch.strided or w.is_meta:
            raise ValueError(f"init must be dense tensors of numbers, got {shown(w)}")
        if w.dtype not in DTYPES or w.dtype != first.dtype or w.device != first.device:
            raise ValueError(
                "init must be tensors of one dtype, float32 or float64, on one device, "
                f"got {first.dtype} on {first.device} and {w.dtype} on {w.device}"
            )
        if w.ndim == 0 or len(w) != len(first) or not w.numel():
            raise ValueError(
                "init must have the same number >= 1 of networks along the first axis of every "
                f"tensor, got shapes {[tuple(w.shape) for w in init]}"
            )
    return tuple(w.detach() for w in init)


def trainable(problem: Any) -> Any:
    """Return what can be a problem of `train`, or raise ValueError that says what can."""
    is_one = isinstance(problem, Moments) or callable(getattr(problem, "data_loss", None))
    if not is_one or isinstance(problem, type):
        raise ValueError(
            "problem must be a LinearNetwork, Moments or an object with data_loss(weights), "
            f"got {kind(problem)}; ModuleProblem(model, loss_fn, (x, y)) makes one of a module"
        )
    return problem


def as_problem(problem: Any, weights: tuple[Tensor, ...]) -> Any:
    """The problem itself, or the noise-free linear network that `weights` spans on moments."""
    trainable(problem)
    seen = tuple(tuple(w.shape[1:]) for w in weights)
    if isinstance(problem, Moments):
        if any(len(shape) != 2 for shape in seen):
            raise ValueError(f"init must be matrices for each network, got shapes {seen}")
        widths = [shape[0] for shape in seen[:-1]]
        problem = LinearNetwork(problem, depth=len(seen) - 1, width=widths)
    shapes = getattr(problem, "shapes", seen)
    if seen != tuple(tuple(shape) for shape in shapes):
        raise ValueError(f"init must have shapes {tuple(shapes)} like the problem, got {seen}")
    return problem


def flat_evaluate(problem: Any, shapes: tuple[torch.Size, ...]) -> Evaluate:
    """Value and gradient as functions of the flattened weights (n, P)."""
    if not hasattr(problem, "value_and_gradient"):
        problem = _Differentiated(problem)

    def evaluate(x: Tensor, gamma: Tensor, *drawn: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradients = problem.value_and_gradient(views(x, shapes), gamma, *drawn)
        _one_per_row("value_and_gradient", loss, gamma)
        return loss, torch.cat([g.reshape(len(x), -1) for g in gradients], dim=1)

    return evaluate


def _one_per_row(name: str, values: Any, gamma: Tensor) -> Tensor:
    if not isinstance(values, Tensor) or values.shape != gamma.shape:
        seen = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
        raise ValueError(
            f"problem.{name} must return one number per network, shape {tuple(gamma.shape)}, "
            f"got {seen}"
        )
    return values


def views(x: Tensor, shapes: tuple[torch.Size, ...]) -> tuple[Tensor, ...]:
    """The weights (n, ...) as views of the flattened ones (n, P)."""
    parts = x.split([shape.numel() for shape in shapes], dim=1)
    return tuple(p.reshape(len(x), *shape) for p, shape in zip(parts, shapes, strict=True))


def _array(values: Tensor) -> Array:
    return values.detach().to("cpu", torch.float64).numpy()
