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
        Above 0. A network has converged when its gradient norm is at most tolerance times loss /
        max(1, |w|), the loss being that of the network or of zero weights (of the initial weights
        where that is 0), whichever is larger. It is at least 8 roundings of the dtype. "lbfgs" is
        also content with 1e-5 of that scale once rounding hides all progress. Saddles are
        stationary too.
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
