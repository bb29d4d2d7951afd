"""What the landscape sees of a network: its depth, its noise factor and its mean decay."""

from math import inf
from typing import Any

import numpy as np

from phase_utils._check import integer, numeric, per_layer, scalar


class Architecture:
    """Checked depth, width, noise and decay ratios, as `Landscape` takes them.

    depth : int, or float where it is not integer, or inf.
    width, noise_variance : a number, or a tuple where one per layer was given (None: no width).
    noise_factor : N = prod_l (1 + noise_variance_l / width_l), inf where it overflows.
    log_noise_factor : ln N.  log_decay : mean of ln r_l.
    """

    def __init__(
        self, depth: Any, width: Any, noise_variance: Any, decay_ratios: Any, noise_factor: Any
    ) -> None:
        self.depth = _depth(depth)
        self.width = _per_layer_or_one("width", width, self.depth)
        if self.width is not None:
            self.width = _as_integers(width)
        self.noise_variance = _per_layer_or_one("noise_variance", noise_variance, self.depth)
        noises = np.atleast_1d(self.noise_variance)
        for s2 in noises:
            scalar("noise_variance", s2, minimum=0)
        self.log_noise_factor = self._log_noise_factor(noises, noise_factor)
        with np.errstate(over="ignore"):
            self.noise_factor = float(np.exp(self.log_noise_factor))
        self.decay_ratios, self.log_decay = None, 0.0
        if decay_ratios is not None:
            if not isinstance(self.depth, int):
                raise ValueError(
                    f"decay_ratios must be None where depth is no integer, got depth {self.depth}"
                )
            self.decay_ratios = per_layer("decay_ratios", decay_ratios, self.depth + 1)
            if min(self.decay_ratios) <= 0:
                raise ValueError(f"decay_ratios must be > 0, got {min(self.decay_ratios):g}")
            self.log_decay = float(np.mean(np.log(self.decay_ratios)))

    def _log_noise_factor(self, noises: Any, noise_factor: Any) -> float:
        noisy = bool(np.any(noises > 0))
        if noise_factor is not None:
            if noisy:
                raise ValueError(
                    "noise_factor must be None where noise_variance > 0, "
                    f"got noise_factor = {noise_factor}"
                )
            return float(np.log(scalar("noise_factor", noise_factor, minimum=1)))
        if not noisy:
            return 0.0
        if self.width is None:
            raise ValueError("width must be given where noise_variance > 0, got None")
        if self.depth == inf:
            return inf
        if not isinstance(self.depth, int):
            raise ValueError(
                "depth must be an integer where noise_variance > 0 (noise_factor gives N at any "
                f"depth), got {self.depth}"
            )
        ratios = np.log1p(noises / np.atleast_1d(self.width))
        return float(np.sum(ratios) if ratios.size > 1 else self.depth * ratios[0])


def _depth(value: Any) -> int | float:
    if np.ndim(value) == 0 and not isinstance(value, str | bytes) and value == inf:
        return inf
    number = numeric("depth", value, ndim=(0,))
    if isinstance(value, bool | np.bool_) or number < 0:
        raise ValueError(f"depth must be >= 0, got {value}")
    return int(number) if number == np.round(number) else float(number)


def _per_layer_or_one(name: str, value: Any, depth: float) -> Any:
    """A float, or a tuple of one per hidden layer; None stays None."""
    if value is None:
        return None
    if np.ndim(value) == 0:
        return value if isinstance(value, bool) else scalar(name, value)
    if not isinstance(depth, int):
        raise ValueError(f"{name} must be one number where depth is no integer, got {value}")
    return per_layer(name, value, depth)


def _as_integers(width: Any) -> Any:
    if np.ndim(width) == 0:
        return integer("width", width, minimum=1)
    widths = tuple(integer("width", w, minimum=1) for w in np.asarray(width).tolist())
    return widths[0] if len(set(widths)) == 1 else widths
