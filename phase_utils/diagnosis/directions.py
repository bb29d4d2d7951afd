"""The search over directions of one hidden unit for the supremum of |E[g h(v.x + b)]| / (2 |v|)."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from phase_utils._check import Array
from phase_utils.training.minimisers import minimise
from phase_utils.training.quasi_newton import Lbfgs

HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.Identity)  # h(t z) = t h(z) for t > 0
STARTS = 24  # of the search for the best direction, besides the singular vectors
ROUNDS, ROUND = (60, 300, 300), (60,)  # steps of rounds, after each of which the best go on
KEPT_ON = 8  # of them
WIDE = 2e6  # samples times inputs above which only the best directions are followed at all
NEAREST = 1e-7  # least size of units: below it heights are rounding


def supremum(
    x: Array,
    g: Array,
    activation: nn.Module,
    free: bool,
    starts: Tensor | None = None,
    steps: Sequence[int] = (),
) -> tuple[float, Array, Tensor]:
    """Supremum over v (and b, where it is free) of |E[g h(v.x + b)]| / (2 |v|), by ascents.

    With v (and b) of the best one, and those of all.
    """
    inputs = x.shape[1]
    tensor, slope = torch.from_numpy(x), torch.from_numpy(g)
    homogeneous = isinstance(activation, HOMOGENEOUS)
    kinked = isinstance(activation, nn.ReLU | nn.LeakyReLU)

    def evaluate(rows: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            p = rows.detach().requires_grad_()
            v = p[:, :inputs]
            size = v.norm(dim=1)
            z = tensor @ v.mT
            if homogeneous:  # only the direction counts
                z = z / size
            if free:
                z = z + p[:, inputs]
            height = (slope.mT @ activation(z) / len(x)).norm(dim=0)
            q = -height / 2 if homogeneous else -height / (2 * size)
            (gradient,) = torch.autograd.grad(q.sum(), p)
        return q.detach(), gradient

    rows = _directions(x, g, free, homogeneous) if starts is None else starts
    if x.size > WIDE:  # all of them would take longer than what they save
        rows = rows[evaluate(rows, rows.new_zeros(len(rows)))[0].argsort()[:KEPT_ON]]
    with torch.no_grad():
        for most in steps if kinked else steps[:2]:  # kinks end a quasi-Newton run: once more
            none = rows.new_zeros(len(rows))
            rows = minimise(evaluate, rows, none, Lbfgs(8, 0.5), tolerance=1e-8, max_steps=most)[0]
            rows = rows[evaluate(rows, none)[0].argsort()[:KEPT_ON]]
    values = -evaluate(rows, rows.new_zeros(len(rows)))[0]
    sound = rows[:, :inputs].norm(dim=1) * _spread(x) > NEAREST
    best = int(torch.where(sound, values, 0.0).argmax())
    return float(values[best]) if bool(sound[best]) else 0.0, rows[best].numpy(), rows


def _spread(x: Array) -> float:
    """The size of the inputs about their mean; of inputs that are constant, one."""
    return math.sqrt(float(np.mean(np.sum((x - x.mean(0)) ** 2, 1))) or 1.0)


def _directions(x: Array, g: Array, free: bool, homogeneous: bool) -> Tensor:
    """Where the search over v (and b, where it is free) starts, a row each."""
    rng = np.random.default_rng(0)
    left = np.linalg.svd(x.T @ g, full_matrices=False)[0].T[:8]
    directions = np.concatenate([left, -left, rng.normal(size=(STARTS, x.shape[1]))])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if not homogeneous:
        directions *= np.exp(rng.uniform(-4, 2, (len(directions), 1))) / _spread(x)
    rows = torch.from_numpy(directions)
    if free:
        biases = torch.from_numpy(rng.normal(size=(len(rows), 1)))
        biases[::2] = 0.0
        rows = torch.cat([rows, biases], 1)
    return rows
