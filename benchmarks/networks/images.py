"""Convolutional and residual networks: their truth is plain training."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.case import (
    CE,
    Case,
    Rng,
    Trained,
    classes,
    entropy,
    every,
    network,
    tensor,
    torch_default,
    unbounded,
)


def _images(rng: Rng, count: int = 36) -> tuple[Tensor, Tensor]:
    """Bars across, bars down and neither, four by four, with noise."""
    y = np.arange(count) % 3
    x = 0.4 * rng.normal(size=(count, 1, 4, 4))
    for image, kind in zip(x, y, strict=True):
        at = rng.integers(4)
        if kind == 0:
            image[0, at] += 1.0
        elif kind == 1:
            image[0, :, at] += 1.0
    return tensor(x), torch.tensor(y)


@network
def cnn_relu(rng: Rng) -> Case:
    """Two convolutions with biases."""
    x, y = _images(rng)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(3, 4, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    return Case("CNN, ReLU", model, CE, (x, y), Trained(entropy(y)))


@network
def cnn_relu_all(rng: Rng) -> Case:
    """One convolution, all decays."""
    x, y = _images(rng)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveMaxPool2d(1), nn.Flatten(),
        nn.Linear(4, 3),
    )  # fmt: skip
    return Case("CNN, all decays", model, CE, (x, y), Trained(entropy(y)), every(model),
                torch_default(model))  # fmt: skip


def _bn_cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 3),
    )  # fmt: skip


@network
def cnn_batch_norm(rng: Rng) -> Case:
    """Matrices decay, gains do not."""
    x, y = _images(rng)
    truth = unbounded(
        {"0.weight": 1, "1.weight": -1, "1.bias": -1, "5.weight": 1},
        entropy(y),
        "gains grow for free",
    )
    return Case("CNN, BatchNorm", _bn_cnn(), CE, (x, y), truth)


@network
def cnn_batch_norm_all(rng: Rng) -> Case:
    """All decays: gains and head carry the transition."""
    x, y = _images(rng)
    model = _bn_cnn()
    return Case("CNN, BatchNorm, all decays", model, CE, (x, y), Trained(entropy(y)), every(model),
                torch_default(model))  # fmt: skip


class Residual(nn.Module):
    """One block around which the input passes."""

    def __init__(self, norm: bool = False) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 5)
        self.a, self.b = nn.Linear(5, 5), nn.Linear(5, 5)
        self.norm = nn.BatchNorm1d(5) if norm else nn.Identity()
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        h = self.inner(x)
        return self.head(h + self.b(F.gelu(self.norm(self.a(h)))))


@network
def residual(rng: Rng) -> Case:
    """No normalisation."""
    x, y = classes(rng)
    return Case("residual, GELU", Residual(), CE, (x - x.mean(0), y), Trained(entropy(y)))


@network
def residual_batch_norm(rng: Rng) -> Case:
    """Matrices decay, gains do not."""
    x, y = classes(rng)
    resized = {"inner.weight": 1, "inner.bias": 1, "a.weight": 1, "a.bias": 1, "b.weight": 1,
               "b.bias": 1, "norm.weight": -1, "norm.bias": -1}  # fmt: skip
    truth = unbounded(resized, entropy(y), "gains grow for free")
    return Case("residual, BatchNorm", Residual(True), CE, (x, y), truth)


@network
def residual_batch_norm_all(rng: Rng) -> Case:
    """All decays."""
    x, y = classes(rng)
    model = Residual(True)
    return Case("residual, BatchNorm, all decays", model, CE, (x, y), Trained(entropy(y)),
                every(model), torch_default(model))  # fmt: skip
