"""What the landscape sees of a network: its depth, its noise factor, its decay and its penalty."""

from collections.abc import Sequence
from fractions import Fraction
from math import exp, inf, isclose, log
from typing import Any

import numpy as np

from phase_utils._check import LARGEST_INTEGER, Array, numeric, scalar, shown

LARGEST_EXPONENT = 1e12  # of |beta| in the penalty: above it ln(gamma) is rounding only
LARGEST_SIZE = 1e4  # of the logarithm of the penalty where it matters: its rounding is 1e-12
SMALLEST_EXPONENT = 2 / float(np.finfo(float).max)


class Architecture:
    """Depth, width, noise, decay ratios and penalty, checked, as `Landscape` takes them.

    Parameters
    ----------
    depth : float
        Number of hidden layers D, real >= 0 or inf.
    width : int or sequence of int, optional
        One number, or one per hidden layer.
    noise_variance : float or sequence of float
        >= 0, one number or one per hidden layer.
    decay_ratios : sequence of float, optional
        r_l > 0, one per weight matrix.
    penalty_power : float
        p > 0 of the penalty gamma |w|^p.
    noise_factor : float, optional
        N >= 1 in place of width and noise.

    Attributes
    ----------
    depth : int or float
        An int where it is integer.
    width, noise_variance, decay_ratios : number, tuple or None
        As given; where all layers agree one number.
    penalty_power : float
        As given.
    log_noise_factor : float
        ln N, N = prod_l (1 + noise_variance_l / width_l), which is inf at infinite depth.
    log_ratio : float
        ln g, the mean of ln r_l.
    exponent : Fraction
        p / (D + 1), the power of |beta| in the penalty: exactly 1 where they agree to rounding.

    Raises
    ------
    ValueError
        Names the argument and the rule it breaks.

    Examples
    --------
    >>> network = Architecture(3, (4, 8, 8), (0.5, 0.0, 1.0), None, 2, None)
    >>> network.exponent
    Fraction(1, 2)
    >>> round(float(np.exp(network.log_noise_factor)), 6)
    1.265625
    """

    def __init__(
        self,
        depth: float,
        width: int | Sequence[int] | None,
        noise_variance: float | Sequence[float],
        decay_ratios: float | Sequence[float] | None,
        penalty_power: float,
        noise_factor: float | None,
    ) -> None:
        self.depth = _depth(depth)
        widths = None if width is None else _widths(width, self.depth)
        noises = _noises(noise_variance, self.depth)
        ratios = None if decay_ratios is None else _ratios(decay_ratios, self.depth)
        self.width = None if widths is None else _one_or_all(widths.astype(int).tolist())
        self.noise_variance = _one_or_all(noises.tolist())
        self.log_noise_factor = self._log_noise_factor(widths, noises, noise_factor)
        self.decay_ratios = None if ratios is None else _one_or_all(ratios.tolist())
        self.log_ratio = 0.0 if ratios is None else float(np.mean(np.log(ratios)))
        self.penalty_power = scalar("penalty_power", penalty_power, minimum=0, strict=True)
        self.exponent = self._exponent()

    @property
    def noise_factor(self) -> float:
        """N, inf where it overflows."""
        with np.errstate(over="ignore"):
            return float(np.exp(self.log_noise_factor))

    @property
    def log_size(self) -> float:
        """Logarithm of g (D+1), the penalty |w|^2 of the balanced network with B = 1; D < inf."""
        return self.log_ratio + log(self.depth + 1)

    @property
    def critical_ratio(self) -> float:
        """Critical gamma / |E[xy]| at p = D + 1: 2 (g (D+1))^(-p/2)."""
        half = self.penalty_power / 2
        return 2 * (float(self.depth) + 1) ** -half * exp(-half * self.log_ratio)

    def _log_noise_factor(
        self, widths: Array | None, noises: Array, noise_factor: float | None
    ) -> float:
        noisy = bool(np.any(noises > 0))
        if noise_factor is not None:
            if noisy:
                raise ValueError(
                    "noise_factor must be None where noise_variance > 0, "
                    f"got noise_factor = {shown(noise_factor)}"
                )
            return float(np.log(scalar("noise_factor", noise_factor, minimum=1)))
        if not noisy:
            return 0.0
        if widths is None:
            raise ValueError("width must be given where noise_variance > 0, got None")
        if self.depth == inf:
            return inf
        if not isinstance(self.depth, int):
            raise ValueError(
                "depth must be an integer where noise_variance > 0 (noise_factor gives N at any "
                f"depth), got {self.depth}"
            )
        logs = np.log1p(noises / widths)
        return float(np.sum(logs) if logs.size > 1 else self.depth * logs[0])

    def _exponent(self) -> Fraction:
        p = self.penalty_power
        if self.depth == inf:
            if p != 2:
                raise ValueError(f"penalty_power must be 2 at infinite depth, got {p:g}")
            return Fraction(0)
        exponent = Fraction(p) / (Fraction(self.depth) + 1)
        # the penalty of a learned state is at most about min(1, 2 / exponent) of what it gains
        size = p * abs(self.log_size) * min(0.5, 1 / float(exponent) if exponent > 1 else 1.0)
        if not SMALLEST_EXPONENT <= exponent <= LARGEST_EXPONENT or size > LARGEST_SIZE:
            raise ValueError(
                f"penalty_power must be of a size for which gamma is a float, got {p:g} at depth "
                f"{self.depth:g}: penalty_power / (depth + 1) from {SMALLEST_EXPONENT:.3g} to "
                f"{LARGEST_EXPONENT:g}, and penalty_power ln(depth + 1) at most about "
                f"{2 * LARGEST_SIZE:g}"
            )
        return Fraction(1) if isclose(self.depth + 1, p, rel_tol=1e-14) else exponent


def _depth(value: Any) -> int | float:
    number = float(numeric("depth", value, ndim=(0,), infinite=True))
    if number < 0:
        raise ValueError(f"depth must be >= 0, got {number:g}")
    return int(number) if number.is_integer() else number


def _layers(name: str, value: Any, depth: float, last: int = 0) -> Array:
    """One number, (1,), or one per layer, (D + last,)."""
    array = numeric(name, value, ndim=(0, 1), empty=True)
    if array.ndim == 0:
        return array.reshape(1)
    if not isinstance(depth, int):
        raise ValueError(f"{name} must be one number where depth is no integer, got {shown(value)}")
    if len(array) != depth + last:
        raise ValueError(
            f"{name} must be a scalar or have {depth + last} entries, got {len(array)}"
        )
    return array


def _widths(value: Any, depth: float) -> Array:
    widths = _layers("width", value, depth)
    wrong = (widths != np.round(widths)) | (widths < 1)
    if np.any(wrong):
        raise ValueError(f"width must be an integer >= 1, got {widths[wrong][0]:g}")
    if np.any(widths > LARGEST_INTEGER):
        raise ValueError(f"width must be at most 2^53, got {widths.max():g}")
    return widths


def _noises(value: Any, depth: float) -> Array:
    noises = _layers("noise_variance", value, depth)
    if np.any(noises < 0):
        raise ValueError(f"noise_variance must be >= 0, got {noises[noises < 0][0]:g}")
    return noises


def _ratios(value: Any, depth: float) -> Array:
    if not isinstance(depth, int):
        raise ValueError(f"decay_ratios must be None where depth is no integer, got depth {depth}")
    ratios = _layers("decay_ratios", value, depth, last=1)
    if np.any(ratios <= 0):
        raise ValueError(f"decay_ratios must be > 0, got {ratios.min():g}")
    return ratios


def _one_or_all(layers: list[Any]) -> Any:
    """One number where all layers agree."""
    return layers[0] if len(set(layers)) == 1 else tuple(layers)
