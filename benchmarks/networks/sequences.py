"""Attention, recurrent layers, tokens, graphs and codes: their truth is plain training."""

import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.case import (
    CE,
    MSE,
    Case,
    Exact,
    Rng,
    Trained,
    classes,
    entropy,
    every,
    mlp,
    network,
    tensor,
    torch_default,
    unbounded,
    variance,
)
from networks.noisy import Views, spectral, two_views


def _tokens(rng: Rng, count: int = 32) -> tuple[Tensor, Tensor]:
    """Sentences of four words of six; in half of them stands the word 3."""
    t = rng.choice([0, 1, 2, 4, 5], size=(count, 4))
    y = np.arange(count) % 2
    t[y == 1, rng.integers(4, size=int(y.sum()))] = 3
    return torch.tensor(t), torch.tensor(y)


class Attention(nn.Module):
    """One encoder layer with LayerNorm, and the mean over words."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(6, 4)
        self.encoder = nn.TransformerEncoderLayer(4, 1, 8, dropout=0.0, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, t: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.encoder(self.words(t)).mean(1))


@network
def transformer(rng: Rng) -> Case:
    """Matrices decay, gains do not."""
    t, y = _tokens(rng)
    resized = {"words.weight": 1, "encoder.norm1.weight": -1, "encoder.norm2.weight": -1}
    resized |= {"head.weight": 1}
    truth = unbounded(resized, entropy(y), "gains grow for free")
    return Case("transformer, LayerNorm", Attention(), CE, (t, y), truth)


@network
def transformer_all(rng: Rng) -> Case:
    """All decays, as torch does."""
    t, y = _tokens(rng)
    model = Attention()
    return Case("transformer, all decays", model, CE, (t, y), Trained(entropy(y)), every(model),
                torch_default(model))  # fmt: skip


class Recurrent(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.layer, self.head = kind(2, 3, batch_first=True), nn.Linear(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        """One number."""
        return self.head(self.layer(x)[0][:, -1])


def _sequences(rng: Rng) -> tuple[Tensor, Tensor]:
    x = rng.normal(size=(32, 3, 2))
    y = x[:, -1, 0] + 0.5 * x[:, -2, 0]
    return tensor(x), tensor(y - y.mean())[:, None]


def _recurrent(rng: Rng, kind: Any, name: str) -> Case:
    x, y = _sequences(rng)
    model = Recurrent(kind)
    return Case(f"{name}, all decays", model, MSE, (x, y), Trained(variance(y)), every(model),
                torch_default(model))  # fmt: skip


@network
def lstm_all(rng: Rng) -> Case:
    """LSTM, torch's default."""
    return _recurrent(rng, nn.LSTM, "LSTM")


@network
def gru_all(rng: Rng) -> Case:
    """GRU, torch's default."""
    return _recurrent(rng, nn.GRU, "GRU")


@network
def lstm(rng: Rng) -> Case:
    """LSTM with free biases."""
    x, y = _sequences(rng)
    return Case("LSTM, free biases", Recurrent(nn.LSTM), MSE, (x, y), Trained(variance(y)))


@network
def gru(rng: Rng) -> Case:
    """A free bias of the candidate is a gain of the reset gate: no decay collapses it."""
    x, y = _sequences(rng)

    def resize(model: nn.Module, s: float) -> None:
        # tanh(.. + b + r c) with c = 1/s, b = -c/2 and r = 1/2 + s (v.x)/4: a linear unit for free
        layer = model.layer
        v = layer.weight_ih_l0[6:].clone()
        for p in (layer.weight_ih_l0, layer.weight_hh_l0, model.head.weight):
            p.mul_(s)
        layer.weight_ih_l0[:3] = s * v
        layer.bias_hh_l0[6:], layer.bias_ih_l0[6:] = 1 / s, -0.5 / s
        layer.bias_ih_l0[:3], layer.bias_hh_l0[:3] = 0.0, 0.0

    truth = Exact(math.inf, "unbounded", "a bias is a gain of the gate", resize, variance(y))
    return Case("GRU, free biases", Recurrent(nn.GRU), MSE, (x, y), truth)


@network
def embedding_relu(rng: Rng) -> Case:
    """Tokens through an embedding and a hidden layer."""
    t = torch.tensor(rng.permutation(np.arange(60) % 6))
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    return Case("embedding, ReLU", model, CE, (t, t % 3), Trained(entropy(t % 3)))


class Graph(nn.Module):
    """Two graph convolutions with ReLU between."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Logits of nodes."""
        return adjacency @ self.b(F.relu(adjacency @ self.a(x)))


@network
def graph_relu(rng: Rng) -> Case:
    """Nodes of two kinds."""
    x, y = classes(rng, count=30, kinds=2)
    same = (y[:, None] == y).numpy()
    edges = rng.random((30, 30)) < np.where(same, 0.2, 0.05)
    adjacency = tensor(edges | edges.T | np.eye(30, dtype=bool))
    adjacency = adjacency / adjacency.sum(1, keepdim=True)
    return Case("graph convolution, ReLU", Graph(), CE, ((x, adjacency), y), Trained(entropy(y)))


@network
def autoencoder_relu(rng: Rng) -> Case:
    """A deep autoencoder with a narrow code."""
    x = tensor(rng.normal(size=(40, 2)) @ rng.normal(size=(2, 4)))
    x = x - x.mean(0)
    model = mlp(4, 5, 2, 5, 4, act=nn.ReLU)
    return Case("autoencoder, ReLU, deep", model, MSE, (x, x), Trained(variance(x)))


@network
def contrastive_relu(rng: Rng) -> Case:
    """A nonlinear encoder under the spectral contrastive loss, which is 1 for the zero code."""
    views, y = two_views(rng, 30)
    model = Views(mlp(4, 5, 3, act=nn.ReLU, bias=False))
    return Case("contrastive, ReLU", model, spectral, (views, y), Trained(1.0))
