"""Deep linear networks with neuron noise and their exact population loss, many at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from phase_utils._check import (
    MOST_LAYERS,
    fits,
    instance,
    integer,
    non_negative,
    numeric,
    per_layer,
)
from phase_utils.theory.moments import Moments
from phase_utils.training.draws import gaussian_weights
from phase_utils.training.linear_loss import noise_free, noisy
from phase_utils.training.tensors import floating, networks

Weights = Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class LinearNetwork:
    """A deep linear network under squared loss with L2 decay, averaged over x and neuron noise.

    f(x) = U eps_D W^(D-1) ... eps_1 W^(0) x with D hidden layers, each hidden neuron multiplied by
    its own noise of mean one (Eq. 5 of the paper, with noise on all hidden layers).

    Parameters
    ----------
    moments : Moments
        The data; d inputs, k outputs.
    depth : int
        The number D of hidden layers, from 0 to 10,000; 0 is ridge regression.
    width : int or sequence of int
        Hidden width >= 1, or one per hidden layer, input side first. Not used for depth 0. A
        network may have 2^30 weights.
    noise_variance : float or sequence of float
        Variance >= 0 of the noise on each neuron, or one per hidden layer.
    decay_ratios : sequence of float, optional
        One number > 0 per weight matrix, W^(0) first: layer l decays with gamma r_l. None means 1
        everywhere.

    Raises
    ------
    ValueError
        For a depth, width, noise or ratio outside these ranges.

    Notes
    -----
    `weights` is always a sequence W^(0), ..., W^(D) = U of tensors of shapes (n, rows, columns),
    with (rows, columns) as in `shapes`: n networks, the batch axis first. Every method works in the
    dtype and on the device of the weights.

    Examples
    --------
    >>> import phase_utils as pu
    >>> network = pu.LinearNetwork(pu.Moments.isotropic(d=3), depth=2, width=8)
    >>> network.shapes
    ((8, 3), (8, 8), (1, 8))
    >>> init = network.initial_weights(scale=0.5, seed=range(4))
    >>> pu.train(network, init, 0.05).B.round(6)
    array([0.724971, 0.724971, 0.724971, 0.724971])
    """

    moments: Moments
    depth: int = 2
    width: int | Sequence[int] | None = 32
    noise_variance: float | Sequence[float] = 0.0
    decay_ratios: Sequence[float] | None = None
    widths: tuple[int, ...] = field(init=False, repr=False)
    noises: tuple[float, ...] = field(init=False, repr=False)
    ratios: tuple[float, ...] = field(init=False, repr=False)
    _moved: dict[Any, tuple[Tensor, Tensor]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        instance("moments", self.moments, Moments, "a Moments")
        depth = integer("depth", self.depth, minimum=0, maximum=MOST_LAYERS)
        ratios = (1.0,) * (depth + 1)
        if self.decay_ratios is not None:
            ratios = per_layer("decay_ratios", self.decay_ratios, depth + 1)
        if min(ratios) <= 0:
            raise ValueError(f"decay_ratios must be > 0, got {min(ratios):g}")
        noises = per_layer("noise_variance", self.noise_variance, depth)
        if noises:
            non_negative("noise_variance", noises)
        for name, value in (
            ("depth", depth),
            ("widths", _widths(self.width, depth)),
            ("noises", noises),
            ("ratios", ratios),
            ("_moved", {}),
        ):
            object.__setattr__(self, name, value)
        fits("width", self.width, self.parameters, "a network")

    @cached_property  # asked at every step of a training
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of W^(0), ..., W^(D) = U: (d_1, d), ..., (k, d_D)."""
        sizes = (self.moments.d, *self.widths, self.moments.k)
        return tuple((sizes[i + 1], sizes[i]) for i in range(self.depth + 1))

    @property
    def parameters(self) -> int:
        """Weights of one network."""
        return sum(rows * columns for rows, columns in self.shapes)

    @property
    def noise_factor(self) -> float:
        """N = prod_l (1 + s2_l / d_l), through which alone width and noise enter the landscape."""
        return float(np.prod([1 + s / w for s, w in zip(self.noises, self.widths, strict=True)]))

    def initial_weights(
        self,
        scale: ArrayLike,
        seed: ArrayLike,
        *,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float64,
    ) -> tuple[Tensor, ...]:
        """Gaussian weights with entries N(0, scale^2), one network per entry of scale and seed.

        Parameters
        ----------
        scale : float or (n,) array_like
            Standard deviation >= 0.
        seed : int or (n,) array_like of int
            In 0..2^53. A seed gives the same normal deviates whatever the scale, the batch or the
            device.
        device : str or torch.device
            Of the weights; they are drawn on the CPU.
        dtype : torch.dtype
            Of the weights, torch.float64 or torch.float32.

        Returns
        -------
        tuple of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).

        Raises
        ------
        ValueError
            For a scale or seed out of range, and for two sequences of different lengths.
        """
        return gaussian_weights(self.shapes, scale, seed, device=device, dtype=dtype)

    def end_to_end(self, weights: Weights) -> Tensor:
        """The linear map of the noise-free network.

        Parameters
        ----------
        weights : sequence of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).

        Returns
        -------
        Tensor
            beta = U W^(D-1) ... W^(0), (n, k, d).
        """
        product = self._checked(weights)[-1]
        for w in reversed(weights[:-1]):
            product = product @ w
        return product

    def order_parameter(self, weights: Weights) -> Tensor:
        """The order parameter of the networks.

        Parameters
        ----------
        weights : sequence of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).

        Returns
        -------
        Tensor
            B = |beta|^(1/(D+1)), Frobenius norm, (n,).
        """
        return self.end_to_end(weights).flatten(1).norm(dim=1) ** (1 / (self.depth + 1))

    def penalty(self, weights: Weights) -> Tensor:
        """What gamma multiplies.

        Parameters
        ----------
        weights : sequence of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).

        Returns
        -------
        Tensor
            sum_l r_l |W^(l)|^2, (n,): at a minimum of the loss this is its slope dL/dgamma.
        """
        self._checked(weights)
        squares = [r * w.square().sum((1, 2)) for r, w in zip(self.ratios, weights, strict=True)]
        return torch.stack(squares).sum(0)

    def data_loss(self, weights: Weights) -> Tensor:
        """The loss without decay, exactly.

        Parameters
        ----------
        weights : sequence of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).

        Returns
        -------
        Tensor
            E|f(x) - y|^2 over x, y and the noise, (n,).
        """
        A0, Exy = self._moments_like(self._checked(weights)[0])
        if not any(self.noises):
            beta = self.end_to_end(weights)
            return (beta * (beta @ A0 - 2 * Exy)).sum((1, 2)) + self.moments.Eyy
        M, c = A0, Exy.mT
        for w, s2 in zip(weights[:-1], self.noises, strict=True):
            M, c = w @ M @ w.mT, w @ c
            M = M + s2 * torch.diag_embed(M.diagonal(dim1=-2, dim2=-1))
        U = weights[-1]
        return (U * (U @ M - 2 * c.mT)).sum((1, 2)) + self.moments.Eyy

    def value_and_gradient(
        self, weights: Weights, gamma: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss with decay, and its gradient in every weight.

        Parameters
        ----------
        weights : sequence of tensors
            W^(0), ..., W^(D), shapes (n, rows, columns).
        gamma : Tensor
            Weight decay of each network, (n,).

        Returns
        -------
        loss : Tensor
            data_loss + gamma penalty, (n,).
        gradients : tuple of tensors
            Of the shapes of the weights.
        """
        A0, Exy = self._moments_like(self._checked(weights)[0])
        floating("gamma", gamma, len(weights[0]))
        if any(self.noises):
            data, gradients = noisy(weights, self.noises, A0, Exy, self.moments.Eyy)
        else:
            data, gradients = noise_free(weights, A0, Exy, self.moments.Eyy)
        loss = data
        for r, g, w in zip(self.ratios, gradients, weights, strict=True):
            g.addcmul_(w, (2 * r * gamma)[:, None, None])
            # in one pass over the weights, but without a second derivative at 0
            loss = loss + r * gamma * torch.linalg.vector_norm(w, dim=(1, 2)).square()
        return loss, tuple(gradients)

    def _checked(self, weights: Weights) -> Weights:
        return networks("weights", weights, self.shapes)

    def _moments_like(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """A0 (d, d) and E[xy]^T (k, d) in the dtype and on the device of `w`."""
        key = (w.device, w.dtype)
        if key not in self._moved:
            Exy = self.moments.Exy.reshape(self.moments.d, -1).T
            self._moved[key] = (
                torch.as_tensor(self.moments.A0.copy(), dtype=w.dtype, device=w.device),
                torch.as_tensor(Exy.copy(), dtype=w.dtype, device=w.device),
            )
        return self._moved[key]


def _widths(width: Any, depth: int) -> tuple[int, ...]:
    if depth == 0:
        return ()
    if width is None:
        raise ValueError(f"width must be given for depth {depth}, got None")
    array = numeric("width", width, ndim=(0, 1))
    if array.ndim == 1 and len(array) != depth:
        raise ValueError(f"width must be a scalar or have {depth} entries, got {len(array)}")
    return tuple(integer("width", w, minimum=1) for w in np.broadcast_to(array, (depth,)).tolist())
