"""What all minimisers share: the rows of a batch, their types and reductions."""

from collections.abc import Callable

import torch
from torch import Tensor

# x (n, P), gamma (n,), and the samples to use (n, b) where not all -> f (n,), gradient (n, P)
Evaluate = Callable[..., tuple[Tensor, Tensor]]
State = dict[str, Tensor]  # everything batch first, so that finished rows can be cut out
RUNAWAY = 1e8  # norm of the weights, in units of max(1, initial), that counts as divergence
STEP_FLOOR = 1e-3  # steps of weights smaller than this are those of weights of this norm


def norm(v: Tensor) -> Tensor:
    """Euclidean norm of every row, (n,)."""
    return torch.linalg.vector_norm(v, dim=1)


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Scalar product of the rows, (n,)."""
    return (a * b).sum(1)


def total_square(weights: tuple[Tensor, ...]) -> Tensor:
    """|w|^2 of every network, (n,)."""
    return torch.stack([w.reshape(len(w), -1).square().sum(1) for w in weights]).sum(0)
