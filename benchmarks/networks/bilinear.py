"""Closed forms for factorisations, embeddings, autoencoders and graphs."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.case import (
    CE,
    MSE,
    Case,
    Rng,
    classes,
    continuous,
    linear_path,
    log_share,
    network,
    numbers,
    slope,
    stretched,
    tensor,
)


class Factors(nn.Module):
    """Users times items."""

    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(9, 3), nn.Embedding(7, 3)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        """Scores of pairs."""
        return (self.user(user) * self.item(item)).sum(-1)


def _ratings(rng: Rng) -> tuple[tuple[Tensor, Tensor], Tensor]:
    user, item = (torch.tensor(rng.integers(k, size=120)) for k in (9, 7))
    p, q = rng.normal(size=(9, 2)), rng.normal(size=(7, 2))
    return (user, item), tensor((p[user] * q[item]).sum(1))


def _nuclear(pair: tuple[Tensor, Tensor], g: Tensor) -> float:
    total = torch.zeros(9, 7, dtype=torch.float64).index_put_(pair, g, accumulate=True)
    return float(torch.linalg.matrix_norm(total, 2)) / 2


@network
def factorisation(rng: Rng) -> Case:
    """Matrix factorisation of ratings."""
    pair, y = _ratings(rng)
    truth = continuous(_nuclear(pair, 2 * y / len(y)), "singular value of the mean ratings")
    return Case("matrix factorisation 9x7", Factors(), MSE, (pair, y), truth)


@network
def factorisation_logistic(rng: Rng) -> Case:
    """The same with yes and no."""
    pair, y = _ratings(rng)
    y = (y > 0).double()
    truth = continuous(_nuclear(pair, (y - 0.5) / len(y)), "singular value of the mean residuals")
    loss = F.binary_cross_entropy_with_logits
    return Case("matrix factorisation, logistic", Factors(), loss, (pair, y), truth)


@network
def embedding_linear(rng: Rng) -> Case:
    """Tokens into classes through an embedding."""
    t = torch.tensor(rng.integers(8, size=60))
    y = torch.arange(60) % 3
    y = torch.where(torch.tensor(rng.random(60) < 0.6), t % 3, y)
    value = linear_path(F.one_hot(t, 8).double(), slope(CE, log_share(y), y))
    model = nn.Sequential(nn.Embedding(8, 4), nn.Linear(4, 3))
    return Case("embedding, linear head", model, CE, (t, y), continuous(value))


class Bag(nn.Module):
    """Mean of the embeddings of a sentence, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.head = nn.Embedding(8, 4), nn.Linear(4, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.words(tokens).mean(1))


@network
def bag_of_words(rng: Rng) -> Case:
    """Sentences of five words."""
    t = torch.tensor(rng.integers(8, size=(60, 5)))
    y = ((t == 2).any(1)).long()
    counts = F.one_hot(t, 8).double().mean(1)
    value = linear_path(counts, slope(CE, log_share(y), y))
    return Case("bag of words", Bag(), CE, (t, y), continuous(value))


class Tied(nn.Module):
    """An autoencoder that decodes with the transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The input, as far as it was kept."""
        return self.encoder(x) @ self.encoder.weight


@network
def autoencoder(rng: Rng) -> Case:
    """Linear and untied."""
    x, largest = stretched(rng)
    model = nn.Sequential(nn.Linear(4, 2, bias=False), nn.Linear(2, 4, bias=False))
    truth = continuous(largest / 4, "largest variance")
    return Case("autoencoder, linear", model, MSE, (x, x), truth)


@network
def autoencoder_tied(rng: Rng) -> Case:
    """The same weights to encode and to decode."""
    x, largest = stretched(rng)
    return Case(
        "autoencoder, tied", Tied(), MSE, (x, x), continuous(largest / 2, "largest variance")
    )


class Propagated(nn.Module):
    """A linear graph convolution of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(4, 3, bias=False), nn.Linear(3, 2, bias=False)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """Logits of nodes."""
        return adjacency @ self.b(adjacency @ self.a(x))


@network
def graph_linear(rng: Rng) -> Case:
    """Nodes of two kinds, edges mostly within a kind."""
    x, y = classes(rng, count=30, kinds=2)
    same = (y[:, None] == y).numpy()
    edges = rng.random((30, 30)) < np.where(same, 0.2, 0.05)
    adjacency = tensor(edges | edges.T | np.eye(30, dtype=bool))
    adjacency = adjacency / adjacency.sum(1, keepdim=True)
    value = linear_path(adjacency @ adjacency @ x, slope(CE, torch.zeros(2), y))
    return Case(
        "graph convolution, linear", Propagated(), CE, ((x, adjacency), y), continuous(value)
    )


@network
def frozen(rng: Rng) -> Case:
    """Random features that are not trained, and two layers on them."""
    x, y = numbers(rng)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 4, bias=False), nn.Linear(4, 1))
    for p in model[0].parameters():
        p.requires_grad_(False)
    features = torch.tanh(x @ model[0].weight.double().T + model[0].bias.double())
    value = float((features.T @ (y - y.mean()) / len(y)).norm())
    return Case("frozen features, linear", model, MSE, (x, y), continuous(value))
