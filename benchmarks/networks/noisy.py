"""Closed forms for random models and two views of the same samples."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.case import (
    MSE,
    PATH,
    Case,
    Exact,
    Rng,
    continuous,
    mlp,
    network,
    numbers,
    stretched,
    tensor,
)


class LinearVae(nn.Module):
    """Linear encoder and decoder, one variance per code."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(4, 1, bias=False), nn.Linear(1, 4, bias=False)
        self.spread = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction, mean and log variance."""
        mean = self.encode(x)
        code = mean + (0.5 * self.spread).exp() * torch.randn_like(mean)
        return self.decode(code), mean, self.spread.expand_as(mean)


def rebuilt(out: Any, x: Tensor) -> Tensor:
    """Half the square error, summed over the inputs."""
    return 0.5 * (out[0] - x).square().sum(1).mean()


def divergence(_: nn.Module, out: Any) -> Tensor:
    """KL of the code from a unit Gaussian."""
    return 0.5 * (out[1].square() + out[2].exp() - out[2] - 1).sum(1).mean()


@network
def vae(rng: Rng) -> Case:
    """Gamma is beta: the code collapses at the largest variance."""
    x, largest = stretched(rng)
    x = torch.cat([x, -x])  # no mean
    options = {"penalty": divergence}
    truth = continuous(largest, "largest variance")
    return Case(
        "VAE, linear, gamma = beta", LinearVae(), rebuilt, (x, x), truth, None, options, True
    )


@network
def dropout(rng: Rng) -> Case:
    """Small weights feel dropout at fourth order only."""
    x, y = numbers(rng)
    model = nn.Sequential(
        nn.Linear(3, 10, bias=False), nn.Dropout(0.2), nn.Linear(10, 1, bias=False)
    )
    truth = continuous(float((x * y).mean(0).norm()), PATH)
    return Case("dropout, linear", model, MSE, (x, y), truth, noisy=True)


class Noisy(nn.Module):
    """Gaussian noise of variance .09 on hidden units."""

    def forward(self, x: Tensor) -> Tensor:
        """The units with noise."""
        return x + 0.3 * torch.randn_like(x)


@network
def noise(rng: Rng) -> Case:
    """Noise acts as one more decay of the layer above."""
    x, y = numbers(rng)
    e = float((x * y).mean(0).norm())
    # (gamma)(gamma + s^2) = e^2
    value = (math.sqrt(0.09**2 + 4 * e**2) - 0.09) / 2
    model = nn.Sequential(nn.Linear(3, 4, bias=False), Noisy(), nn.Linear(4, 1, bias=False))
    truth = continuous(value, "gamma (gamma + s^2) = |E[xy]|^2")
    return Case("hidden noise, linear", model, MSE, (x, y), truth, noisy=True)


class Views(nn.Module):
    """An encoder of two views."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Codes of both."""
        return self.encoder(a), self.encoder(b)


def two_views(rng: Rng, count: int = 40) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Two noisy copies of points of some spread, and no target."""
    base = rng.normal(size=(count, 4)) * [1.5, 1.0, 0.6, 0.3]
    a, b = (tensor(base + 0.3 * rng.normal(size=base.shape)) for _ in range(2))
    return (a, b), torch.zeros(count, dtype=torch.float64)


def spectral(out: tuple[Tensor, Tensor], _: Any) -> Tensor:
    """Spectral contrastive loss: views agree, different samples do not."""
    a, b = out
    return -2 * (a * b).sum(1).mean() + (a @ b.T).square().mean() + 1


@network
def contrastive_linear(rng: Rng) -> Case:
    """-2 tr W C W^T at second order, C the symmetric covariance of the views."""
    (a, b), y = two_views(rng)
    c = a.T @ b / len(a)
    value = float(torch.linalg.eigvalsh(c + c.T).max())
    truth = continuous(value, "eigenvalue of the views' covariance")
    model = Views(nn.Linear(4, 3, bias=False))
    return Case("contrastive, linear", model, spectral, ((a, b), y), truth)


class Siamese(nn.Module):
    """Encoder, predictor and a stopped gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = mlp(4, 6, 3, act=nn.ReLU)
        self.predictor = mlp(3, 3, 3, act=nn.ReLU)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Predictions and targets of both views."""
        p, q = self.encoder(a), self.encoder(b)
        return self.predictor(p), self.predictor(q), p.detach(), q.detach()


def cosine(out: Any, _: Any) -> Tensor:
    """Minus the mean cosine of predictions with the other view's code."""
    p, q, r, s = out
    return -(F.cosine_similarity(p, s).mean() + F.cosine_similarity(q, r).mean()) / 2


@network
def siamese(rng: Rng) -> Case:
    """A constant code has the least loss there is: nothing pays, at no decay."""
    views, y = two_views(rng)
    truth = Exact(0.0, "none", "the blind network has the least loss there is, -1")
    return Case("SimSiam-like", Siamese(), cosine, (views, y), truth)
