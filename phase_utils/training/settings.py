"""How to train: the minimiser and its numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from phase_utils._check import integer, kind, numeric, one_of, scalar

METHODS = ("lbfgs", "sgd", "adam", "flow")
PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Settings:
    """How to train.

    Parameters
    ----------
    method : {"lbfgs", "sgd", "adam", "flow"}
        "lbfgs", limited-memory BFGS, the fast way to minima to rounding; "sgd", gradient descent
        with momentum, the optimiser of the paper; "adam", with the constants of torch.optim.Adam;
        or "flow", the gradient flow dw/dt = -gradient, integrated in time.
    tolerance : float
        Above 0: how far above its minimum the loss of a converged network may lie, in units of the
        loss; see the notes. It is at least 8 roundings of the dtype.
    max_steps : int
        At least 1: evaluations of loss and gradient per network; for "flow" steps in time, each six
        evaluations.
    learning_rate : float or sequence of float
        Above 0, one for all or one per network; "sgd" and "adam" only.
    momentum : float
        0 <= m < 1, "sgd" only: v <- m v + grad, w <- w - lr v. The gradient is that of
        data + gamma |w|^2, so gamma is half of torch's `weight_decay`.
    memory : int
        From 1 to 1000, pairs that "lbfgs" remembers. A network of P weights takes about
        8 (2 memory + 16) P bytes while it trains; `sweep` trains in batches that fit.
    step_cap : float
        Above 0: the longest step of "lbfgs" in units of |w|. A capped step cannot leap from one
        basin into another, which a Newton step from an initial point would do; small values follow
        the gradient flow more closely and take more steps.
    batch_size : int
        From 0 to 2^20, samples per step of "sgd" and "adam", drawn with replacement, for every
        network its own; 0 for all. Positive for a problem with samples only; nothing converges.
    accuracy : float
        Above 0, "flow" only: error of each step in units of its length. The flow of large weights
        is stiff, and then takes many steps.
    time : float
        Above 0, "flow" only: when to end; infinite for at the minimum.
    precision : {"float64", "float32"}
        Of the networks that `sweep` draws; those given to `train` keep theirs.

    Raises
    ------
    ValueError
        For a value outside these ranges.

    Notes
    -----
    What "converged" promises: the gradient g at the weights w obeys

        |g| max(1, |w|) <= tolerance * unit,

    with the unit of loss |loss| or |loss at zero weights| (at the initial weights where that is
    0), whichever is larger. Where the loss is convex between w and a minimum w*, then

        loss(w) - loss(w*) <= |g| |w - w*| <= tolerance * unit * |w - w*| / max(1, |w|),

    however wide the spectrum of curvatures. "sgd" and "adam" are at rest besides, and "flow" is
    not cut short. They see the gradient alone: choose units in which the weights at the minimum
    are not far larger than 1. "lbfgs" measures curvatures, too, and asks that its step to the
    minimum promises at most tolerance * unit, in any units.

    Rounding may keep the gradient above that bound, in float32 or where large weights cancel. Then
    "lbfgs" has converged where it stands still with |g| <= 4 eps c |w|, c the largest curvature
    seen or that of the decay, 2 gamma: the rounding of the loss, 4 eps c |w|^2, takes the place of
    tolerance * unit, and where that is more than sqrt(eps) * unit it has stalled. The others go on
    to `max_steps`.

    It does not promise accurate weights: along a direction of curvature h they are known to
    |g| / h, so not at all where the loss is flat. Nor that the minimum is global, or one at all:
    saddles are stationary too, and near one the loss is not convex.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.Settings("sgd", learning_rate=0.01).momentum
    0.9
    """

    method: str = "lbfgs"
    tolerance: float = 1e-10
    max_steps: int = 5000
    learning_rate: float | Sequence[float] = 0.002
    momentum: float = 0.9
    memory: int = 8
    step_cap: float = 0.2
    batch_size: int = 0
    accuracy: float = 1e-6
    time: float = np.inf
    precision: str = "float64"

    def __post_init__(self) -> None:
        one_of("method", self.method, METHODS)
        one_of("precision", self.precision, PRECISIONS)
        plain: dict[str, Any] = {
            name: scalar(name, getattr(self, name), minimum=0, strict=name != "momentum")
            for name in ("tolerance", "momentum", "step_cap", "accuracy")
        }
        plain["max_steps"] = integer("max_steps", self.max_steps, minimum=1)
        plain["memory"] = integer("memory", self.memory, minimum=1, maximum=1000)
        rates = numeric("learning_rate", self.learning_rate, ndim=(0, 1))
        if np.any(rates <= 0):
            raise ValueError(f"learning_rate must be > 0, got {rates[rates <= 0].ravel()[0]:g}")
        plain["learning_rate"] = tuple(rates.tolist()) if rates.ndim else float(rates)
        if plain["momentum"] >= 1:
            raise ValueError(f"momentum must be < 1, got {plain['momentum']:g}")
        plain["batch_size"] = integer("batch_size", self.batch_size, minimum=0, maximum=2**20)
        if plain["batch_size"] and self.method not in ("sgd", "adam"):
            raise ValueError(f"batch_size must be 0 for {self.method}, got {self.batch_size}")
        endless = isinstance(self.time, float) and self.time == np.inf
        plain["time"] = np.inf if endless else scalar("time", self.time, minimum=0, strict=True)
        for name, value in plain.items():
            object.__setattr__(self, name, value)


def checked_settings(settings: Any, default: Settings) -> Settings:
    """Return the settings, the default for None, or raise ValueError."""
    if settings is None:
        return default
    if not isinstance(settings, Settings):
        raise ValueError(f"settings must be a Settings or None, got {kind(settings)}")
    return settings
