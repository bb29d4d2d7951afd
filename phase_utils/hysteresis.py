"""Hysteresis: follow a trained state up and down in weight decay, each start the last result."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from phase_utils._check import integer, non_negative, scalar
from phase_utils.networks import LinearNetwork
from phase_utils.sweeps import labelled
from phase_utils.training import Settings, train

if TYPE_CHECKING:
    import xarray

MEASURED = ("loss", "data_loss", "slope", "B", "status")


def hysteresis(
    problem: Any,
    gammas: Any,
    *,
    init: Any = None,
    init_scale: float = 0.3,
    seeds: Any = None,
    kick: float = 1e-3,
    settings: Settings | None = None,
) -> "xarray.Dataset":
    """Loss and order parameter of the state reached by slow changes of weight decay, both ways.

    The networks are trained at the lowest gamma, then followed up to the highest and down again,
    every gamma starting from the state at the one before. A metastable phase is kept until it ends
    at its spinodal, so that up and down differ where a transition is of first order.

    Parameters
    ----------
    problem : a `LinearNetwork`, or any problem of `train` together with `init`.
    gammas : (m,), m >= 2, >= 0, strictly increasing.
    init : initial weights, tensors (n, ...); default: those of the `LinearNetwork` at `init_scale`
        and `seeds`. They must lead to a learned state at the lowest gamma for the upward branch to
        show one.
    init_scale : float > 0, standard deviation of the default initial weights.
    seeds : ints >= 0, one per network: of the default initial weights and of the kicks.
        Default: 0, or 0..n-1 where `init` is given.
    kick : float >= 0. Before every training, the weights receive Gaussian noise of this norm in
        units of |w| at the lowest gamma, so that a state which has become unstable is left. It
        must be small against the distance to the unstable state.
    settings : of every training; default `Settings(step_cap=0.05)`: short steps keep the branch.

    Returns
    -------
    xarray.Dataset
        loss, data_loss, slope, B and status over (direction, gamma, seed), direction "up", "down".
        A network that fails stays failed.

    Raises
    ------
    ValueError
        For gammas not increasing, a negative kick, or no initial weights.
    """
    grid = non_negative("gammas", gammas, ndim=(1,))
    if len(grid) < 2 or np.any(np.diff(grid) <= 0):
        raise ValueError("gammas must be two or more, strictly increasing, got others")
    kick = scalar("kick", kick, minimum=0)
    settings = Settings(step_cap=0.05) if settings is None else settings
    if init is None:
        if not isinstance(problem, LinearNetwork):
            raise ValueError("init must be given for a problem that is not a LinearNetwork")
        scale = scalar("init_scale", init_scale, minimum=0, strict=True)
        numbers = _seeds([0] if seeds is None else seeds, None)
        init = problem.initial_weights(scale, numbers)
    else:
        numbers = _seeds(range(len(init[0])) if seeds is None else seeds, len(init[0]))

    state = train(problem, init, grid[0], settings)
    start = _norms(state.weights)
    strength = kick * torch.where(start > 1e-3 * _norms(init), start, _norms(init))
    kicks = [torch.Generator().manual_seed(seed) for seed in numbers]
    measured: dict[str, list[Any]] = {name: [] for name in MEASURED}
    for gamma in [*grid, *grid[::-1]]:
        state = train(problem, _kicked(state.weights, strength, kicks), gamma, settings)
        for name in MEASURED:
            measured[name].append(getattr(state, name))
    m = len(grid)
    return labelled(
        {name: np.stack([v[:m], v[: m - 1 : -1]]) for name, v in measured.items()},
        {"direction": ["up", "down"], "gamma": grid, "seed": numbers},
        {"problem": type(problem).__name__, "kick": kick, **asdict(settings)},
    )


def _seeds(seeds: Any, count: int | None) -> list[int]:
    numbers = [integer("seeds", seed, minimum=0) for seed in np.atleast_1d(list(seeds)).tolist()]
    if not numbers or len(set(numbers)) != len(numbers):
        raise ValueError(f"seeds must be one or more distinct integers, got {numbers}")
    if count is not None and len(numbers) != count:
        raise ValueError(f"seeds must have {count} entries, one per network, got {len(numbers)}")
    return numbers


def _norms(weights: Any) -> torch.Tensor:
    return torch.cat([w.reshape(len(w), -1) for w in weights], dim=1).norm(dim=1)


def _kicked(
    weights: tuple[torch.Tensor, ...], strength: torch.Tensor, kicks: list[torch.Generator]
) -> tuple[torch.Tensor, ...]:
    """Weights plus Gaussian noise of norm about `strength` (n,), drawn on the CPU."""
    size = sum(w[0].numel() for w in weights)
    noise = torch.stack([torch.randn(size, generator=k, dtype=torch.float64) for k in kicks])
    noise = noise.to(strength) * (strength / size**0.5)[:, None]
    parts = noise.split([w[0].numel() for w in weights], dim=1)
    return tuple(w + p.reshape(w.shape) for w, p in zip(weights, parts, strict=True))
