"""Linear networks, and ReLU in the plane: closed forms, or exact maxima over one number."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.case import (
    CE,
    DEEP,
    MSE,
    Case,
    Exact,
    Rng,
    classes,
    continuous,
    deep_linear,
    every,
    linear_path,
    log_share,
    mlp,
    network,
    numbers,
    slope,
    tensor,
    torch_default,
    weighted,
)


@network
def linear_one(rng: Rng) -> Case:
    """No biases, general inputs."""
    x, y = numbers(rng)
    value = float((x * y).mean(0).norm())
    return Case("linear 3-5-1", mlp(3, 5, 1, bias=False), MSE, (x, y), continuous(value))


@network
def linear_one_entropy(rng: Rng) -> Case:
    """Cross-entropy, free biases."""
    x, y = classes(rng)
    value = linear_path(x, slope(CE, log_share(y), y))
    return Case("linear 4-6-3, biases", mlp(4, 6, 3), CE, (x, y), continuous(value))


@network
def linear_one_wide(rng: Rng) -> Case:
    """Ten thousand weights."""
    x, y = classes(rng, count=150, inputs=40, kinds=10)
    value = linear_path(x, slope(CE, log_share(y), y))
    return Case("linear 40-200-10, biases", mlp(40, 200, 10), CE, (x, y), continuous(value))


@network
def linear_one_weighted(rng: Rng) -> Case:
    """Few samples of one class, and class weights."""
    x, y = classes(rng, count=60)
    kept = torch.cat([torch.nonzero(y != 2)[:, 0], torch.nonzero(y == 2)[:5, 0]])
    x, y, weight = x[kept], y[kept], torch.tensor([1.0, 2.0, 6.0], dtype=torch.float64)
    g = slope(weighted(weight), log_share(y, weight), y)
    truth = continuous(linear_path(x, g))
    return Case(
        "linear 4-5-3, biases, weighted", mlp(4, 5, 3), nn.CrossEntropyLoss(weight), (x, y), truth
    )


@network
def linear_one_imbalanced(rng: Rng) -> Case:
    """One sample in eight is of the rarer class."""
    x, y = classes(rng, count=64, kinds=2)
    kept = torch.cat([torch.nonzero(y == 0)[:, 0], torch.nonzero(y == 1)[:5, 0]])
    x, y = x[kept], y[kept]
    value = linear_path(x, slope(CE, log_share(y), y))
    return Case("linear 4-5-2, imbalanced", mlp(4, 5, 2), CE, (x, y), continuous(value))


@network
def relu_line_biases(rng: Rng) -> Case:
    """ReLU of one input with biases: the supremum over b lies at a sample."""
    x = tensor(rng.normal(size=(40, 1)))
    y = tensor(np.abs(x.numpy()) + 0.2 * rng.normal(size=(40, 1)))
    y = y - y.mean()
    g = 2 * (y - y.mean())[:, 0] / len(y)
    # E[g relu(+-x - b)] is piecewise linear in b, with kinks at the samples
    tops = [float((g * F.relu(sign * (x[:, 0] - b))).sum().abs()) for sign in (1, -1) for b in x]
    truth = continuous(max(tops) / 2, "maximum over b of E[g relu(x - b)]")
    return Case("ReLU 1-8-1, biases", mlp(1, 8, 1, act=nn.ReLU), MSE, (x, y), truth)


def _angles(x: Tensor, g: Tensor, count: int = 20001) -> float:
    """Maximum over directions of the plane of |sum g relu(v.x)| / 2."""
    angle = torch.linspace(0, 2 * math.pi, count, dtype=torch.float64)
    heights = F.relu(x @ torch.stack([angle.cos(), angle.sin()]))
    return float((g.T @ heights).norm(dim=0).max()) / 2


@network
def relu_plane(rng: Rng) -> Case:
    """ReLU of two inputs without hidden bias: a maximum over angles."""
    x, y = classes(rng, inputs=2, kinds=3)
    model = mlp(2, 8, 3, act=nn.ReLU, bias=False)
    model[2] = nn.Linear(8, 3)
    g = slope(CE, log_share(y), y)
    truth = continuous(_angles(x, g), "maximum over angles of E[g relu(v.x)]")
    return Case("ReLU 2-8-3, output bias", model, CE, (x, y), truth)


@network
def relu_plane_even(rng: Rng) -> Case:
    """An even target, to which every linear path is blind."""
    x = tensor(rng.normal(size=(60, 2)))
    y = x.square().sum(1, keepdim=True) - 1.5 * x[:, :1].square()
    y = y - y.mean()
    truth = continuous(_angles(x, 2 * y / len(y)), "maximum over angles of E[g relu(v.x)]")
    return Case(
        "ReLU 2-8-1, even target", mlp(2, 8, 1, act=nn.ReLU, bias=False), MSE, (x, y), truth
    )


@network
def linear_two(rng: Rng) -> Case:
    """Two hidden layers: the first jump of the paper."""
    model, data, value = deep_linear(rng, 3, False)
    return Case("linear 3-4-4-1", model, MSE, data, Exact(value, "first", DEEP))


@network
def linear_two_biases(rng: Rng) -> Case:
    """The same with biases that are free."""
    model, data, value = deep_linear(rng, 3, True)
    return Case("linear 3-4-4-1, biases", model, MSE, data, Exact(value, "first", DEEP))


@network
def linear_three(rng: Rng) -> Case:
    """Three hidden layers."""
    model, data, value = deep_linear(rng, 4, False)
    return Case("linear 3-4-4-4-1", model, MSE, data, Exact(value, "first", DEEP))


@network
def linear_four(rng: Rng) -> Case:
    """Four hidden layers."""
    model, data, value = deep_linear(rng, 5, True)
    return Case("linear, 4 hidden, biases", model, MSE, data, Exact(value, "first", DEEP))


@network
def linear_one_all(rng: Rng) -> Case:
    """The default of torch for a linear network on centred data: biases are of no use."""
    x, y = classes(rng)
    x = x - x.mean(0)
    model = mlp(4, 6, 3)
    value = linear_path(x, slope(CE, torch.zeros(3), y))
    return Case("linear 4-6-3, all decays", model, CE, (x, y), continuous(value), every(model),
                torch_default(model))  # fmt: skip
