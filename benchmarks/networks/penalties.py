"""Closed forms for groups of decays and L1, and networks that have no transition."""

import math

import torch
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
    entropy,
    mlp,
    network,
    numbers,
    tensor,
    unbounded,
    variance,
    whitened,
)


@network
def groups_one(rng: Rng) -> Case:
    """A head that decays ten times as much."""
    x, y = numbers(rng)
    factors = {"0.weight": 1.0, "1.weight": 10.0}
    model = nn.Sequential(nn.Linear(3, 4, bias=False), nn.Linear(4, 1, bias=False))
    value = float((x * y).mean(0).norm()) / math.sqrt(10)
    truth = continuous(value, "root of the product of the factors")
    return Case("linear 3-4-1, groups", model, MSE, (x, y), truth, factors, {"decayed": factors})


@network
def groups_two(rng: Rng) -> Case:
    """Three groups of an optimiser: the geometric mean of their decays."""
    model, data, value = deep_linear(rng, 3, False)
    decays = (1e-3, 4e-3, 2e-3)
    groups = [
        {"params": [p], "weight_decay": d} for p, d in zip(model.parameters(), decays, strict=True)
    ]
    names = [k for k, _ in model.named_parameters()]
    factors = dict(zip(names, [d / max(decays) for d in decays], strict=True))
    mean = math.prod(factors.values()) ** (1 / 3)
    truth = Exact(value / mean, "first", f"{DEEP}, geometric mean of the factors")
    options = {"optimizer": torch.optim.Adam(groups)}
    return Case("linear 3-4-4-1, groups of Adam", model, MSE, data, truth, factors, options)


def lasso(model: nn.Module) -> Tensor:
    """L1 of all parameters."""
    return torch.stack([p.abs().sum() for p in model.parameters()]).sum()


@network
def l1_linear(rng: Rng) -> Case:
    """The lasso itself."""
    x, y = numbers(rng)
    value = 2 * float((x * y).mean(0).abs().max())
    truth = continuous(value, "lasso: largest |E[2 x y]|")
    return Case("linear 3-1, L1", nn.Linear(3, 1, bias=False), MSE, (x, y), truth, None,
                {"penalty": lasso})  # fmt: skip


def _l1(rng: Rng, layers: int) -> Case:
    x = whitened(rng, 40, 1)
    y = 0.7 * x + tensor(0.2 * rng.normal(size=(40, 1)))
    y = y - y.mean()
    e = float((x * y).mean().abs())
    # beta gains 2 e beta - beta^2 and costs layers * beta^(1/layers)
    beta = 2 * e * (layers - 1) / (2 * layers - 1)
    value = (2 * e * beta - beta**2) / (layers * beta ** (1 / layers))
    model = mlp(1, *[3] * (layers - 1), 1, bias=False)
    truth = Exact(value, "first", DEEP)
    return Case(f"linear, {layers} layers, L1", model, MSE, (x, y), truth, None, {"penalty": lasso})


@network
def l1_one(rng: Rng) -> Case:
    """L1 on two layers."""
    return _l1(rng, 2)


@network
def l1_two(rng: Rng) -> Case:
    """L1 on three layers."""
    return _l1(rng, 3)


def grouped(model: nn.Module) -> Tensor:
    """Group lasso: the norms of each unit's weights, in and out."""
    return model[0].weight.norm(dim=1).sum() + model[1].weight.norm(dim=0).sum()


@network
def group_lasso(rng: Rng) -> Case:
    """One path again, at any number of inputs."""
    x = whitened(rng, 40, 3)
    y = 0.8 * x[:, :1] - 0.4 * x[:, 1:2] + tensor(0.3 * rng.normal(size=(40, 1)))
    y = y - y.mean()
    e = float((x * y).mean(0).norm())
    beta = 2 * e / 3
    truth = Exact((2 * e * beta - beta**2) / (2 * math.sqrt(beta)), "first", DEEP)
    model = mlp(3, 4, 1, bias=False)
    model = nn.Sequential(model[0], model[2])
    return Case("linear 3-4-1, group lasso", model, MSE, (x, y), truth, None, {"penalty": grouped})


@network
def single_layer(rng: Rng) -> Case:
    """Ridge regression fades, and never ends."""
    x, y = numbers(rng)
    truth = Exact(math.inf, "none", "ridge: weights E[xy]/(a + gamma)")
    return Case("linear 3-1", nn.Linear(3, 1), MSE, (x, y), truth)


@network
def nothing_to_learn(rng: Rng) -> Case:
    """A target that is constant."""
    x, _ = numbers(rng)
    truth = Exact(0.0, "none", "the target is constant")
    y = torch.full((len(x), 1), 0.3, dtype=torch.float64)
    return Case("tanh 3-5-1, constant target", mlp(3, 5, 1, act=nn.Tanh), MSE, (x, y), truth)


@network
def first_layer_only(rng: Rng) -> Case:
    """The head grows for free."""
    x, y = numbers(rng)
    options = {"decayed": ["0.weight"]}
    truth = unbounded({"0.weight": 1, "2.weight": -1}, variance(y), "the head grows for free")
    return Case("tanh 3-5-1, first layer decays", mlp(3, 5, 1, act=nn.Tanh), MSE, (x, y), truth,
                {"0.weight": 1.0}, options)  # fmt: skip


@network
def batch_norm(rng: Rng) -> Case:
    """Gains of the normalisation grow for free."""
    x, y = classes(rng)
    model = nn.Sequential(
        nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)
    )
    resized = {"0.weight": 1, "1.weight": -1, "1.bias": -1, "3.weight": 1}
    truth = unbounded(resized, entropy(y), "gains grow for free")
    return Case("ReLU 4-6-3, BatchNorm", model, CE, (x, y), truth)


@network
def layer_norm(rng: Rng) -> Case:
    """The same for LayerNorm."""
    x, y = classes(rng)
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3))
    resized = {"0.weight": 1, "0.bias": 1, "1.weight": -0.5, "3.weight": 1}
    truth = unbounded(resized, entropy(y), "gains grow for free")
    return Case("tanh 4-6-3, LayerNorm", model, CE, (x, y), truth)
