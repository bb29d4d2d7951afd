"""Initial weights from the data, placed where gradient flow cannot fail to learn.

For any weights with end-to-end vector of norm B^(D+1) the loss is at least
`Landscape.balanced_loss(B, gamma)`, and balanced networks attain it. Its maximum between two minima
is therefore a pass of the loss of all weights: what starts below it stays on its side under any
continuous motion that does not raise the loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from torch import Tensor

from phase_utils._check import MOST_LAYERS, Array, instance, integer, integers, scalar
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments
from phase_utils.training import devices
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.tensors import precision

HALVINGS = 60  # of the perturbation, until it keeps the start below the pass
EDGE = 1e-10  # relative to E[y^2]: a basin this shallow cannot be told from rounding


@dataclass(frozen=True)
class LearningBasin:
    """The basin of a learned minimum at one weight decay, as `learning_basin` finds it.

    Attributes
    ----------
    B : float
        Order parameter of the minimum, > 0.
    B_low, B_high : float
        Those of the maxima beside it; B_low is 0 where the trivial state is no minimum, B_high is
        inf where nothing lies beyond.
    loss : float
        Of the minimum.
    passage : float
        The lower of the losses at the two maxima. Weights with B_low < B < B_high and a loss below
        it cannot leave under gradient flow.
    """

    B: float
    B_low: float
    B_high: float
    loss: float
    passage: float


def learning_basin(land: Landscape, gamma: float) -> LearningBasin:
    """The basin of the deepest learned minimum at one weight decay, metastable ones included.

    Parameters
    ----------
    land : Landscape
        Of a finite depth >= 1 under a penalty of power 2.
    gamma : float
        Weight decay > 0.

    Returns
    -------
    LearningBasin
        The minimum and the two passes beside it.

    Raises
    ------
    ValueError
        For another landscape, and where nothing can be learned at this gamma; the message says from
        where on.

    Examples
    --------
    >>> import phase_utils as pu
    >>> land = pu.Landscape(pu.Moments.isotropic(), depth=2)
    >>> basin = pu.learning_basin(land, 0.15)
    >>> round(basin.B_low, 4), round(basin.B, 4)
    (0.3794, 0.5732)
    """
    instance("land", land, Landscape, "a Landscape")
    gamma = scalar("gamma", gamma, minimum=0, strict=True)
    if not 1 <= land.depth < np.inf:
        raise ValueError(f"depth must be >= 1 and finite, got {land.depth:g}")
    if land.penalty_power != 2:
        raise ValueError(f"penalty_power must be 2, got {land.penalty_power:g}")
    B, kind = land.stationary(gamma)
    if not np.any(kind < 0):
        raise ValueError(_beyond(land, gamma))
    height = land.balanced_loss(B, gamma)
    best = int(np.argmin(np.where(kind < 0, height, np.inf)))
    # maxima and minima alternate, so that the neighbours of a minimum are its passes
    low = (float(B[best - 1]), float(height[best - 1])) if best else (0.0, land.moments.Eyy)
    high = (np.inf, np.inf)
    if best + 1 < len(B):
        high = (float(B[best + 1]), float(height[best + 1]))
    passage = min(low[1], high[1])
    if passage - height[best] <= EDGE * land.moments.Eyy:
        raise ValueError(_beyond(land, gamma) + ", within rounding")
    return LearningBasin(float(B[best]), low[0], high[0], float(height[best]), passage)


def learning_basin_init(
    moments: Moments,
    depth: int,
    width: int | Sequence[int],
    gamma: float,
    noise_variance: float | Sequence[float] = 0.0,
    *,
    seed: ArrayLike = 0,
    place: float = 0.5,
    perturbation: float = 0.01,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float64,
) -> tuple[Tensor, ...]:
    """Initial weights from which gradient flow provably reaches a learned state.

    The layers are balanced and of rank one, and the end-to-end vector is the best of its norm. The
    norm lies between the pass and the deepest learned minimum, metastable or not. A random
    perturbation breaks the symmetry of the neurons and leaves the loss below the pass. Without
    neuron noise gradient flow then converges to that minimum; with noise, to a learned state with a
    loss below the pass.

    Parameters
    ----------
    moments : Moments
        Of the data, one output.
    depth : int
        Number of hidden layers, >= 1.
    width : int or sequence of int
        Hidden width, >= 1, or one per hidden layer.
    gamma : float
        Weight decay > 0, of the penalty gamma |w|^2.
    noise_variance : float or sequence of float
        As for `LinearNetwork`.
    seed : int or (n,) array_like of int
        In 0..2^53, one network each. It draws the hidden directions (signs of the neurons where
        there is noise, whose best states have neurons of equal size) and the perturbation.
    place : float
        Where B starts, 0 < place < 1, from where the loss is that of the pass to the minimum.
    perturbation : float
        At least 0: standard deviation of what is added to each weight, in units of the largest that
        its layer can hold, B / sqrt(weights). It is halved until the loss of the start is below the
        pass by at least half of what it would be without.
    device : str or torch.device
        Of the weights.
    dtype : torch.dtype
        Of the weights, torch.float64 or torch.float32.

    Returns
    -------
    tuple of tensors
        W^(0), ..., W^(D), shapes (n, rows, columns). Equal seeds give equal weights in every batch.

    Raises
    ------
    ValueError
        For an argument out of range, and where no learned state exists at this gamma; the message
        then says at which gamma the last one ends.

    Examples
    --------
    >>> import phase_utils as pu
    >>> m = pu.Moments.isotropic()
    >>> init = pu.learning_basin_init(m, 2, 8, 0.15)
    >>> pu.train(m, init, 0.15, pu.Settings("flow")).B.round(4)
    array([0.5732])
    """
    depth = integer("depth", depth, minimum=1, maximum=MOST_LAYERS)
    seeds, location = integers("seed", seed).tolist(), devices.resolve(device)
    precision("dtype", dtype)
    network = LinearNetwork(moments, depth, width, noise_variance)
    land = Landscape(moments, depth, width, noise_variance)
    place = scalar("place", place, minimum=0, strict=True)
    if place >= 1:
        raise ValueError(f"place must be < 1, got {place:g}")
    size = scalar("perturbation", perturbation, minimum=0)
    basin = learning_basin(land, gamma)
    low = basin.B_low
    if land.balanced_loss(low, gamma) > basin.passage:  # the pass to the larger minimum is lower
        low = brentq(lambda B: float(land.balanced_loss(B, gamma)) - basin.passage, low, basin.B)
    B = low + place * (basin.B - low)
    beta = _best_of_norm(moments, network.noise_factor, B ** (depth + 1))
    rows = [_draw(network, beta, B, s) for s in seeds]
    exact, shift = (
        tuple(torch.stack([row[part][layer] for row in rows]) for layer in range(depth + 1))
        for part in (0, 1)
    )
    start = _perturbed(network, exact, shift, float(gamma), size, basin)
    return tuple(w.to(device=location, dtype=dtype) for w in start)


def _beyond(land: Landscape, gamma: float) -> str:
    if land.trivial:
        return "moments must have E[xy] != 0 and finite noise: no network learns without a signal"
    ends = [spinodal.gamma for spinodal in land.spinodals()]
    end = max(ends) if ends else land.transitions()[-1].gamma
    return (
        f"gamma must be < {end:.12g}, where the last learned state at this noise_variance ends, "
        f"got {gamma:.12g}"
    )


def _best_of_norm(moments: Moments, noise_factor: float, norm: float) -> Array:
    """The vector of least data loss among those of one norm (at most that of least squares)."""
    kept = (moments.eigenvalues > 0) & (moments.signals != 0)
    a, e = noise_factor * moments.eigenvalues[kept], moments.signals[kept]

    def excess(log_ridge: float) -> float:
        return float(np.log(np.linalg.norm(e / (a + np.exp(log_ridge)))) - np.log(norm))

    top = float(np.log(np.linalg.norm(e) / norm))  # |beta| <= |e| / ridge
    bottom = min(float(np.log(a.min())), top) - 40
    ridge = np.exp(brentq(excess, bottom, top, xtol=1e-14, rtol=1e-14)) if excess(bottom) > 0 else 0
    beta = moments.eigenvectors[:, kept] @ (e / (a + ridge))
    return np.asarray(beta * (norm / np.linalg.norm(beta)))


def _draw(
    network: LinearNetwork, beta: Array, B: float, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Balanced layers with the end-to-end vector beta, and normal deviates of unit layer size."""
    generator = torch.Generator().manual_seed(seed)
    units = [torch.from_numpy(beta / np.linalg.norm(beta))]
    for width in network.widths:
        normal = torch.randn(width, generator=generator, dtype=torch.float64)
        if any(network.noises):
            normal = torch.where(normal < 0, -1.0, 1.0).to(torch.float64)
        units.append(normal / normal.norm())
    units.append(torch.ones(1, dtype=torch.float64))
    layers = [B * torch.outer(units[i + 1], units[i]) for i in range(network.depth + 1)]
    deviates = [
        torch.randn(shape, generator=generator, dtype=torch.float64)
        * (B / np.sqrt(shape[0] * shape[1]))
        for shape in network.shapes
    ]
    return layers, deviates


def _perturbed(
    network: LinearNetwork,
    exact: tuple[Tensor, ...],
    shift: tuple[Tensor, ...],
    gamma: float,
    size: float,
    basin: LearningBasin,
) -> tuple[Tensor, ...]:
    """The exact start plus the largest perturbation, halved row by row, that stays in the basin."""
    n = len(exact[0])
    bound = (basin.passage + _loss(network, exact, gamma)) / 2
    sizes = torch.full((n,), size, dtype=torch.float64)
    for _ in range(HALVINGS):
        start = tuple(w + sizes[:, None, None] * v for w, v in zip(exact, shift, strict=True))
        B = network.order_parameter(start)
        between = ((B - basin.B_low) * (basin.B_high - B)) > 0
        inside = between & (_loss(network, start, gamma) < bound)
        if bool(inside.all()):
            return start
        sizes = torch.where(inside, sizes, sizes / 2)
    return exact


def _loss(network: LinearNetwork, weights: tuple[Tensor, ...], gamma: float) -> Tensor:
    return network.data_loss(weights) + gamma * network.penalty(weights)
