"""Multilayer perceptrons without a closed form: their truth is plain training.

Classes are balanced and targets of mean zero wherever biases decay, so that the best blind network
has no weights at all and its loss is known; one network pays for a bias.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize
from torch import Tensor, nn

from networks.case import (
    CE,
    MSE,
    Case,
    Rng,
    Trained,
    classes,
    entropy,
    every,
    log_share,
    mlp,
    network,
    numbers,
    tensor,
    torch_default,
    variance,
)


def _regression(
    rng: Rng, act: Callable[[], nn.Module], hidden: int, bias: bool, name: str, width: int = 5
) -> Case:
    x, y = numbers(rng)
    model = mlp(3, *[width] * hidden, 1, act=act, bias=bias)
    what = f"{name} 3-{f'{width}-' * hidden}1{', biases' if bias else ''}"
    return Case(what, model, MSE, (x, y), Trained(float(y.square().mean())))


def _classification(rng: Rng, act: Callable[[], nn.Module], hidden: int, name: str) -> Case:
    x, y = classes(rng)
    model = mlp(4, *[5] * hidden, 3, act=act)
    what = f"{name} 4-{'5-' * hidden}3, biases"
    return Case(what, model, CE, (x, y), Trained(entropy(y)))


@network
def tanh_one(rng: Rng) -> Case:
    """One hidden layer."""
    return _regression(rng, nn.Tanh, 1, False, "tanh")


@network
def tanh_one_biases(rng: Rng) -> Case:
    """Biases, classes."""
    return _classification(rng, nn.Tanh, 1, "tanh")


@network
def sigmoid_one_biases(rng: Rng) -> Case:
    """Sigmoid with biases."""
    return _regression(rng, nn.Sigmoid, 1, True, "sigmoid")


@network
def gelu_one(rng: Rng) -> Case:
    """GELU."""
    return _regression(rng, nn.GELU, 1, False, "GELU")


@network
def silu_one_biases(rng: Rng) -> Case:
    """SiLU with biases."""
    return _regression(rng, nn.SiLU, 1, True, "SiLU")


@network
def relu_one_biases(rng: Rng) -> Case:
    """ReLU with biases, several inputs."""
    return _classification(rng, nn.ReLU, 1, "ReLU")


@network
def tanh_two(rng: Rng) -> Case:
    """Two hidden layers."""
    return _regression(rng, nn.Tanh, 2, False, "tanh")


@network
def tanh_two_biases(rng: Rng) -> Case:
    """Two hidden layers, biases, classes."""
    return _classification(rng, nn.Tanh, 2, "tanh")


@network
def relu_two(rng: Rng) -> Case:
    """Two hidden layers of ReLU without biases."""
    return _regression(rng, nn.ReLU, 2, False, "ReLU")


@network
def relu_two_biases(rng: Rng) -> Case:
    """Two hidden layers of ReLU with biases."""
    return _classification(rng, nn.ReLU, 2, "ReLU")


@network
def gelu_two_biases(rng: Rng) -> Case:
    """Two hidden layers of GELU."""
    return _regression(rng, nn.GELU, 2, True, "GELU")


@network
def silu_three_biases(rng: Rng) -> Case:
    """Three hidden layers of SiLU."""
    return _classification(rng, nn.SiLU, 3, "SiLU")


@network
def tanh_three(rng: Rng) -> Case:
    """Three hidden layers."""
    return _regression(rng, nn.Tanh, 3, False, "tanh")


@network
def relu_three_biases(rng: Rng) -> Case:
    """Three hidden layers of ReLU."""
    return _regression(rng, nn.ReLU, 3, True, "ReLU")


@network
def tanh_four_biases(rng: Rng) -> Case:
    """Four hidden layers."""
    return _regression(rng, nn.Tanh, 4, True, "tanh")


@network
def tanh_huber(rng: Rng) -> Case:
    """A loss that is not square, with its best constant."""
    x, y = numbers(rng)
    y = y.sign() * y.square()
    level = float(
        minimize(lambda c: float(F.huber_loss(torch.full_like(y, c[0]), y, delta=0.3)), [0.0]).fun
    )

    def loss(out: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(out, target, delta=0.3)

    return Case(
        "tanh 3-5-1, biases, Huber", mlp(3, 5, 1, act=nn.Tanh), loss, (x, y), Trained(level)
    )


@network
def relu_wide_biases(rng: Rng) -> Case:
    """About the size of a first tutorial."""
    x, y = classes(rng, count=100, inputs=30, kinds=5, spread=1.5)
    model = mlp(30, 40, 5, act=nn.ReLU)
    return Case("ReLU 30-40-5, biases", model, CE, (x, y), Trained(entropy(y)))


@network
def tanh_wide_two(rng: Rng) -> Case:
    """Two wide hidden layers."""
    x, y = classes(rng, count=60, inputs=20, kinds=3, spread=1.5)
    model = mlp(20, 30, 30, 3, act=nn.Tanh)
    return Case("tanh 20-30-30-3, biases", model, CE, (x, y), Trained(entropy(y)))


@network
def relu_one_all(rng: Rng) -> Case:
    """The default of torch: SGD decays all parameters."""
    x, y = classes(rng)
    model = mlp(4, 6, 3, act=nn.ReLU)
    return Case("ReLU 4-6-3, all decays", model, CE, (x, y), Trained(entropy(y)), every(model),
                torch_default(model))  # fmt: skip


@network
def tanh_two_all(rng: Rng) -> Case:
    """Two hidden layers, all decays."""
    x, y = numbers(rng)
    model = mlp(3, 5, 5, 1, act=nn.Tanh)
    return Case("tanh 3-5-5-1, all decays", model, MSE, (x, y), Trained(variance(y)), every(model),
                torch_default(model))  # fmt: skip


@network
def relu_imbalanced_all(rng: Rng) -> Case:
    """Rare classes, so that the blind network pays for a bias."""
    x, y = classes(rng, count=64, kinds=2)
    kept = torch.cat([torch.nonzero(y == 0)[:, 0], torch.nonzero(y == 1)[:8, 0]])
    x, y = x[kept], y[kept]
    first = log_share(y).numpy()

    def blind(gamma: float) -> float:
        # an output bias is the cheapest constant; one through a hidden unit costs its root
        def total(c: np.ndarray) -> float:
            return float(CE(tensor(c).expand(len(y), 2), y)) + gamma * float(c @ c)

        return float(minimize(total, first, method="BFGS", options={"gtol": 1e-9}).fun)

    model = mlp(4, 6, 2, act=nn.ReLU)
    return Case("ReLU 4-6-2, imbalanced, all decays", model, CE, (x, y), Trained(blind=blind),
                every(model), torch_default(model))  # fmt: skip


@network
def gelu_groups(rng: Rng) -> Case:
    """Three layers with three decays."""
    x, y = numbers(rng)
    factors = {"0.weight": 1.0, "2.weight": 0.2, "4.weight": 3.0}
    model = mlp(3, 5, 5, 1, act=nn.GELU)
    return Case("GELU 3-5-5-1, groups", model, MSE, (x, y), Trained(variance(y)), factors,
                {"decayed": factors})  # fmt: skip


@network
def relu_l1(rng: Rng) -> Case:
    """L1 of the weights, free biases."""
    x, y = numbers(rng)

    def penalty(model: nn.Module) -> Tensor:
        return model[0].weight.abs().sum() + model[2].weight.abs().sum()

    model = mlp(3, 5, 1, act=nn.ReLU)
    return Case("ReLU 3-5-1, biases, L1", model, MSE, (x, y), Trained(variance(y)), None,
                {"penalty": penalty})  # fmt: skip
