"""The loss along one ray through a network's weights: chosen parameters times a, the others kept.

What Fig. 2 of the paper draws. A landscape is plain numbers: the terms of the data loss and the
square norm of the rescaled parameters at every scale; weight decay and the weights of the terms
enter afterwards, so that one evaluation serves every gamma and every beta.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from phase_utils._check import Array, function, names, non_negative, numeric, scalar, shown
from phase_utils.training.modules import ModuleProblem
from phase_utils.training.trials import LossFunction, copied

RESOLUTION = 1e-9  # of the range of the total: shallower dips are rounding
CHANGE = 4.0  # of curvature between neighbours, above which no parabola is trusted


@dataclass(frozen=True, eq=False)
class RescaledMinima:
    """Local minima over a >= 0, ascending, (m,) each.

    Attributes
    ----------
    scale : (m,) array
        Where: the vertex of the parabola through the lowest grid point and its neighbours; the grid
        point itself where the curvature changes fourfold beside it, as at a jump.
    total : (m,) array
        The height there.
    beyond : bool
        The total still falls at the largest scale, so that a further minimum, which is not listed,
        lies beyond it or at infinity.
    """

    scale: Array
    total: Array
    beyond: bool


@dataclass(frozen=True, eq=False)
class RescaledLandscape:
    """The loss where the chosen parameters w are a w, for every a in `scales`.

    Attributes
    ----------
    scales : (n,) array
        Ascending, >= 0.
    terms : dict of str to (n,) arrays
        The data loss or its terms, by name.
    square : (n,) array
        |a w|^2 of the rescaled parameters; the others would add a constant.
    """

    scales: Array
    terms: Mapping[str, Array]
    square: Array

    def total(self, gamma: float = 0.0, **weights: float) -> Array:
        """The sum of gamma |a w|^2 and the terms, each times its weight.

        Parameters
        ----------
        gamma : float
            Weight decay >= 0.
        **weights : float
            Of terms, by name; default 1. `total(0.0, kl=4.0)` is the loss of a variational
            autoencoder at beta = 4 whose loss was given as terms `reconstruction` and `kl`.

        Returns
        -------
        (n,) array
            One value for each scale.

        Raises
        ------
        ValueError
            For gamma < 0, a weight of no term, and where the total is not finite.
        """
        gamma = scalar("gamma", gamma, minimum=0)
        if unknown := sorted(set(weights) - set(self.terms)):
            raise ValueError(f"weights must name terms {', '.join(self.terms)}, got {unknown}")
        factors = {k: scalar(k, weights.get(k, 1.0)) for k in self.terms}
        with np.errstate(over="ignore", invalid="ignore"):
            total = gamma * self.square + sum(factors[k] * v for k, v in self.terms.items())
        if not np.isfinite(total).all():
            given = ", ".join(f"{k} = {v:g}" for k, v in {"gamma": gamma, **factors}.items())
            raise ValueError(f"gamma and weights must leave the total finite, got {given}")
        return np.asarray(total)

    def minima(self, gamma: float = 0.0, **weights: float) -> RescaledMinima:
        """Local minima of `total`; a = 0 is one where the total rises from it, or is constant.

        Parameters
        ----------
        gamma : float
            Weight decay >= 0.
        **weights : float
            Of terms, as for `total`.

        Returns
        -------
        RescaledMinima
            Two minima are told apart where a grid point lies between them and the barrier is higher
            than 1e-9 of the range of the total; a basin narrower than the grid is not seen.

        Raises
        ------
        ValueError
            Where the total still falls towards the least scale and that is not 0.
        """
        total, a = self.total(gamma, **weights), self.scales
        last = len(a) - 1
        tolerance = RESOLUTION * max(float(np.ptp(total)), float(np.abs(total).max()) * 1e-3)
        found = _dips(total, tolerance)
        scale, height = a[found].copy(), total[found].copy()
        for j, i in enumerate(found):
            scale[j], height[j] = _refined(a, total, int(i))
        beyond = bool(found[-1] == last)
        if found[0] == 0 and a[0] > 0:
            raise ValueError(f"scales must reach down to the first minimum, got {a[0]:g} as least")
        kept = found < last
        return RescaledMinima(scale[kept], height[kept], beyond)

    def classify(self, gamma: float = 0.0, **weights: float) -> str:
        """The phase at one decay.

        Parameters
        ----------
        gamma : float
            Weight decay >= 0.
        **weights : float
            Of terms, as for `total`.

        Returns
        -------
        {"trivial", "coexistence", "learning"}
            trivial: a = 0 is the only minimum. learning: a = 0 is no minimum. coexistence: both a =
            0 and some a > 0 are; the heights in `minima` tell which is metastable.
        """
        minima = self.minima(gamma, **weights)
        origin = len(minima.scale) > 0 and minima.scale[0] == 0
        learned = len(minima.scale) - origin + minima.beyond
        if not origin:
            return "learning"
        return "coexistence" if learned else "trivial"


def rescaled_landscape(
    model: nn.Module,
    loss_fn: LossFunction | Mapping[str, LossFunction],
    data: tuple[Any, Any],
    scales: Sequence[float] | Array,
    *,
    parameters: Iterable[str] | None = None,
    device: str = "cpu",
) -> RescaledLandscape:
    """The data loss of a model with its parameters, or some of them, times each of `scales`.

    Parameters
    ----------
    model : torch.nn.Module
        A copy in float64 is evaluated, in the model's own mode (train or eval).
    loss_fn : callable or dict of str to callable
        loss_fn(model(x), y) -> scalar, the mean over samples; or several by name, as
        {"reconstruction": f, "kl": g}, which `RescaledLandscape.total` weighs.
    data : (x, y)
        Samples along the first axis. Both may be any tensors that the model and the losses read,
        fixed noise of a sampled latent variable or two views of an image too.
    scales : (n,) array_like
        Ascending, >= 0, at least 2; a = 0 belongs to them where its minimum counts.
    parameters : iterable of str, optional
        Names of those that are rescaled; default all.
    device : str
        "auto", "cpu", "cuda", ...

    Returns
    -------
    RescaledLandscape
        Plain numbers, to which decay and weights of terms are given afterwards.

    Raises
    ------
    ValueError
        For unknown names, bad scales, data that do not fit, and a random loss.

    Notes
    -----
    What Fig. 2 of the paper draws. Large data are cut into chunks of samples where the loss is a
    mean over them, and many scales are evaluated at once where the module allows it. BatchNorm in
    training mode normalises with the statistics of the data as they are at each scale, in one
    chunk, and leaves the running ones of `model` alone; in eval mode it keeps those of a = 1.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.fill_(1.0)
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> land = pu.rescaled_landscape(model, torch.nn.functional.mse_loss, (x, x), [0, 0.5, 1, 1.5])
    >>> land.classify(0.0), land.minima(0.25).scale.round(6).tolist()
    ('learning', [0.8])
    """
    a = non_negative("scales", scales, ndim=(1,))
    if len(a) < 2 or np.any(np.diff(a) <= 0):
        raise ValueError("scales must be at least 2 ascending numbers")
    losses = dict(loss_fn) if isinstance(loss_fn, Mapping) else {"loss": loss_fn}
    if not losses or not all(isinstance(name, str) for name in losses):
        raise ValueError(f"loss_fn must be a function or name at least one, got {shown(loss_fn)}")
    for loss in losses.values():
        function("loss_fn", loss, "the model's output and y")
    own = [name for name, _ in copied(model).named_parameters()]
    wanted = own if parameters is None else parameters
    chosen = names("parameters", wanted, own, "parameters of the model")
    terms: dict[str, Array] = {}
    square = np.zeros_like(a)
    for name, loss in losses.items():
        problem = ModuleProblem(model, loss, data, decayed=chosen, device=device)
        factors = torch.as_tensor(a, device=problem.start.device)
        # never all scales of all weights in memory
        parts = [problem.losses(_rescaled(problem, f)) for f in factors.split(problem.rows)]
        terms[name] = numeric(f"loss {name}", torch.cat(parts).cpu().numpy())
        square = a**2 * float(problem.square(problem.start[None])[0])
    return RescaledLandscape(a, terms, square)


def _rescaled(problem: ModuleProblem, factors: Tensor) -> Tensor:
    """Flattened weights (rows, P), the chosen ones times each factor."""
    return torch.where(problem.mask, factors[:, None] * problem.start, problem.start)


def _dips(values: Array, tolerance: float) -> np.ndarray:
    """Indices of local minima, ends included, that barriers above `tolerance` part."""
    kept: list[int] = []
    low, high = 0, 0  # lowest since the last barrier, highest since that
    rising = False  # whether `low` has been left by more than the tolerance
    for i, value in enumerate(values):
        if rising:
            if value > values[high]:
                high = i
            elif value < values[high] - tolerance:
                low, rising = i, False
        elif value < values[low]:
            low = i
        elif value > values[low] + tolerance:
            kept.append(low)
            high, rising = i, True
    if not rising:
        kept.append(low)
    return np.array(kept)


def _refined(a: Array, f: Array, i: int) -> tuple[float, float]:
    """The minimum near grid point i: scale and height."""
    near = range(max(1, i - 1), min(len(a) - 1, i + 2))
    curvature = {k: _curvature(a[k - 1 : k + 2], f[k - 1 : k + 2]) for k in near}
    smooth = i in curvature and min(curvature.values()) > max(curvature.values()) / CHANGE
    if not smooth:
        return float(a[i]), float(f[i])
    slope = (f[i] - f[i - 1]) / (a[i] - a[i - 1]) + curvature[i] * (a[i] - a[i - 1])
    step = -slope / (2 * curvature[i])
    return float(a[i] + step), float(f[i] + step * slope / 2)


def _curvature(a: Array, f: Array) -> float:
    """Half the second derivative of the parabola through three points."""
    slopes = np.diff(f) / np.diff(a)
    return float((slopes[1] - slopes[0]) / (a[2] - a[0]))
