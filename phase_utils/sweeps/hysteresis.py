"""Hysteresis: follow a trained state up and down in weight decay, each start the last result."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from phase_utils._check import integers, non_negative, scalar
from phase_utils._extras import brought_by
from phase_utils.sweeps.labels import labelled
from phase_utils.training.problem import Problem
from phase_utils.training.settings import Settings, checked_settings
from phase_utils.training.train import checked_weights, train, trainable

if TYPE_CHECKING:
    import xarray

FAILURES = ("diverged", "nonfinite")
MEASURED = ("loss", "data_loss", "slope", "B", "status")


def hysteresis(
    problem: Problem,
    gammas: ArrayLike,
    *,
    init: Sequence[Tensor] | None = None,
    init_scale: float = 0.3,
    seeds: ArrayLike | None = None,
    kick: float = 1e-3,
    settings: Settings | None = None,
) -> "xarray.Dataset":
    """Loss and order parameter of the state reached by slow changes of weight decay, both ways.

    The networks are trained at the lowest gamma, then followed up to the highest and down again,
    every gamma starting from the state at the one before. A metastable phase is kept until it ends
    at its spinodal, so that up and down differ where a transition is of first order.

    Parameters
    ----------
    problem : LinearNetwork, ModuleProblem, or any problem of `train` together with `init`
        What is trained.
    gammas : (m,) array_like
        Weight decays >= 0, m >= 2, strictly increasing.
    init : sequence of tensors (n, ...), optional
        Initial weights; default: those of the problem at `init_scale` and `seeds`. They must lead
        to a learned state at the lowest gamma for the upward branch to show one.
    init_scale : float
        Standard deviation > 0 of the default initial weights.
    seeds : int or (n,) array_like of int, optional
        At least 0 and distinct, one per network: of the default initial weights and of the kicks.
        Default: 0, or 0..n-1 where `init` is given.
    kick : float
        At least 0. Before every training, the weights receive Gaussian noise of this norm in units
        of |w| at the lowest gamma (of the initial |w| where nothing was learned there), so that a
        state which has become unstable is left. It must be small against the distance to the
        unstable state.
    settings : Settings, optional
        Of every training; default `Settings(step_cap=0.05)`: short steps keep the branch.

    Returns
    -------
    xarray.Dataset
        loss, data_loss, slope, B and status over (direction, gamma, seed), direction "up", "down".
        A network that diverged keeps that status to the end, with nan for the numbers that would
        follow.

    Raises
    ------
    ValueError
        For gammas not increasing, a negative kick, or no initial weights.
    ModuleNotFoundError
        Without xarray, which the extra `sweeps` brings.

    Examples
    --------
    At depth two, between coexistence and spinodal, what is learned stays learned and what is not
    does not begin:

    >>> import phase_utils as pu
    >>> network = pu.LinearNetwork(pu.Moments.isotropic(), depth=2, width=4)
    >>> ds = pu.hysteresis(network, [0.05, 0.15, 0.2])
    >>> ds.B.sel(gamma=0.15).values.ravel().round(3).tolist()
    [0.573, 0.0]
    """
    with brought_by("sweeps", "hysteresis"):  # before anything is trained
        import xarray  # noqa: F401
    trainable(problem)
    grid = non_negative("gammas", gammas, ndim=(1,))
    if len(grid) < 2:
        raise ValueError(f"gammas must be two or more, got {len(grid)}")
    for first, second in pairwise(grid):
        if second <= first:
            raise ValueError(f"gammas must increase strictly, got {second:g} after {first:g}")
    kick = scalar("kick", kick, minimum=0)
    settings = checked_settings(settings, Settings(step_cap=0.05))
    if init is None:
        if not hasattr(problem, "initial_weights"):
            raise ValueError("init must be given for a problem without initial_weights")
        scale = scalar("init_scale", init_scale, minimum=0, strict=True)
        numbers = _seeds([0] if seeds is None else seeds, None)
        init = problem.initial_weights(scale, numbers)
    else:
        init = checked_weights(init)
        numbers = _seeds(range(len(init[0])) if seeds is None else seeds, len(init[0]))

    state = train(problem, init, grid[0], settings)
    start = _norms(state.weights)
    strength = kick * torch.where(start > 1e-3 * _norms(init), start, _norms(init))
    kicks = [torch.Generator().manual_seed(seed) for seed in numbers]
    _kicked(init, strength, kicks)  # the first deviates of these seeds are the initial weights
    status = state.status
    measured: dict[str, list[Any]] = {name: [] for name in MEASURED}
    for gamma in [*grid, *grid[::-1]]:
        failed = np.isin(status, FAILURES)
        state = train(
            problem, _kicked(_lost(state.weights, failed), strength, kicks), gamma, settings
        )
        status = np.where(failed, status, state.status)
        for name in MEASURED:
            measured[name].append(status if name == "status" else getattr(state, name))
    m = len(grid)
    return labelled(
        {name: np.stack([v[:m], v[: m - 1 : -1]]) for name, v in measured.items()},
        {"direction": ["up", "down"], "gamma": grid, "seed": numbers},
        {"problem": type(problem).__name__, "kick": kick, **asdict(settings)},
    )


def _seeds(seeds: Any, count: int | None) -> list[int]:
    numbers: list[int] = integers("seeds", seeds).tolist()
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"seeds must be distinct, got {numbers}")
    if count is not None and len(numbers) != count:
        raise ValueError(f"seeds must have {count} entries, one per network, got {len(numbers)}")
    return numbers


def _lost(weights: tuple[torch.Tensor, ...], failed: NDArray[np.bool_]) -> tuple[torch.Tensor, ...]:
    """Weights with nan for the networks that failed, so that none of them comes back."""
    mask = torch.from_numpy(failed).to(weights[0].device)
    return tuple(w.masked_fill(mask.reshape(-1, *[1] * (w.ndim - 1)), torch.nan) for w in weights)


def _norms(weights: Any) -> torch.Tensor:
    return torch.cat([w.reshape(len(w), -1) for w in weights], dim=1).norm(dim=1)


def _kicked(
    weights: Sequence[Tensor], strength: torch.Tensor, kicks: list[torch.Generator]
) -> tuple[torch.Tensor, ...]:
    """Weights plus Gaussian noise of norm about `strength` (n,), drawn on the CPU."""
    size = sum(w[0].numel() for w in weights)
    noise = torch.stack([torch.randn(size, generator=k, dtype=torch.float64) for k in kicks])
    noise = noise.to(strength) * (strength / size**0.5)[:, None]
    parts = noise.split([w[0].numel() for w in weights], dim=1)
    return tuple(w + p.reshape(w.shape) for w, p in zip(weights, parts, strict=True))
