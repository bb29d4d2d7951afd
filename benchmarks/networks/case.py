"""What a network of the panel is, and the data that several of them share."""

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Fixed before the search was tuned on any of these networks. The second set was run once, at the
# end, on data and weights that nothing was tuned on.
SEEDS = {"first": 20261129, "second": 7}

PATH = "singular value of E[x g^T]"
DEEP = "gain over cost of one path"
MSE, CE = F.mse_loss, F.cross_entropy
Rng = np.random.Generator

REGISTRY: dict[str, Callable[[Rng], "Case"]] = {}


@dataclass(frozen=True)
class Exact:
    """A transition that is known: `value`, `order` and in words `why`.

    For "unbounded" networks `resize(model, s)` changes sizes so that decayed weights shrink with s,
    and `level` is the blind loss that they are to beat at any decay.
    """

    value: float
    order: str
    why: str
    resize: Callable[[nn.Module, float], None] | None = None
    level: float = math.nan


@dataclass(frozen=True)
class Trained:
    """The truth is plain training against `level`, the loss of the best blind network.

    blind(gamma) : l0 + gamma R of it, where it pays for a decayed bias.
    """

    level: float = math.nan
    blind: Callable[[float], float] | None = None

    def at(self, gamma: float) -> float:
        """The least total of a blind network at gamma."""
        return self.level if self.blind is None else self.blind(gamma)


@dataclass(frozen=True)
class Case:
    """A network, its loss and data, what decays, and its truth.

    factors : of the decayed parameters; None for all of two or more dimensions. penalty : instead,
    R of the module and its output. options : of `pu.diagnose`, which say the same.
    """

    what: str
    model: nn.Module
    loss: Callable[[Any, Any], Tensor]
    data: tuple[Any, Any]
    truth: Exact | Trained
    factors: Mapping[str, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    noisy: bool = False

    def square(self, model: nn.Module) -> Tensor:
        """R of a module, in plain torch."""
        if "penalty" in self.options:
            return self.options["penalty"](model)
        total = torch.zeros((), dtype=torch.float64)
        for name, p in model.named_parameters():
            if not p.requires_grad:
                continue
            if self.factors is None:
                factor = 1.0 if p.ndim > 1 else 0.0
            else:
                factor = self.factors.get(name, 0.0)
            total = total + factor * p.square().sum()
        return total


def network(
    make: Callable[[Rng], Case],
) -> Callable[[Rng], Case]:
    """Enter a network under its function's name, with hyphens."""
    REGISTRY[make.__name__.replace("_", "-")] = make
    return make


def build(name: str, which: str = "first") -> Case:
    """The network `name` with the data and weights of one of the SEEDS."""
    seed = [SEEDS[which], zlib.crc32(name.encode())]
    torch.manual_seed(int(np.random.default_rng(seed).integers(1 << 30)))
    return REGISTRY[name](np.random.default_rng(seed))


# ---------------------------------------------------------------- data


def tensor(values: Any) -> Tensor:
    """A float64 tensor of its own memory."""
    return torch.tensor(np.asarray(values), dtype=torch.float64)


def whitened(rng: Rng, count: int, inputs: int) -> Tensor:
    """Inputs with mean zero and covariance one, exactly."""
    x = rng.normal(size=(count, inputs))
    x = x - x.mean(0)
    return tensor(np.linalg.svd(x, full_matrices=False)[0] * math.sqrt(count))


def numbers(rng: Rng, count: int = 48, inputs: int = 3) -> tuple[Tensor, Tensor]:
    """Inputs and one target of mean zero, a smooth function of them with noise."""
    x = rng.normal(size=(count, inputs))
    y = np.tanh(x[:, 0] + 0.5 * x[:, 1 % inputs]) + 0.1 * rng.normal(size=count)
    return tensor(x), tensor(y - y.mean())[:, None]


def classes(
    rng: Rng, count: int = 48, inputs: int = 4, kinds: int = 3, spread: float = 0.8
) -> tuple[Tensor, Tensor]:
    """Clouds about as many centres as there are classes, equally many samples of each."""
    labels = np.arange(count) % kinds
    centres = rng.normal(size=(kinds, inputs))
    return tensor(centres[labels] + spread * rng.normal(size=(count, inputs))), torch.tensor(labels)


# ---------------------------------------------------------------- levels and closed forms


def variance(y: Tensor) -> float:
    """The least mean square error of a constant."""
    return float((y - y.mean(0)).square().mean())


def entropy(y: Tensor, weight: Tensor | None = None) -> float:
    """The least cross-entropy of a constant."""
    share = torch.bincount(y).double() * (1.0 if weight is None else weight)
    share = share / share.sum()
    return float(-(share * share.log()).sum())


def slope(loss: Callable[[Tensor, Tensor], Tensor], constant: Tensor, y: Tensor) -> Tensor:
    """Derivative of the loss by the outputs, where all of them are the same constant."""
    out = constant.double().expand(len(y), -1).clone().requires_grad_()
    return torch.autograd.grad(loss(out, y), out)[0]


def log_share(y: Tensor, weight: Tensor | None = None) -> Tensor:
    """The best constant logits."""
    return (torch.bincount(y).double() * (1.0 if weight is None else weight)).log()


def linear_path(x: Tensor, g: Tensor) -> float:
    """Half the largest singular value of sum x g^T: convex losses of linear networks, one hidden.

    |u|^2 + |v|^2 is at least twice the nuclear norm of the product: the problem in the product is
    convex, and zero solves it exactly if the slope there has no larger singular value.
    """
    return float(torch.linalg.matrix_norm(x.T @ g, 2)) / 2


def deep_path(e: float, a: float, layers: int) -> float:
    """The largest gain over cost of one path of `layers` linear layers: signal e, variance a.

    The product beta gains 2 e beta - a beta^2 and costs layers * beta^(2/layers).
    """
    if layers == 2:
        return e
    beta = e * (layers - 2) / (a * (layers - 1))
    return (2 * e * beta - a * beta**2) / (layers * beta ** (2 / layers))


def weighted(weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Cross-entropy with class weights."""
    return lambda out, y: F.cross_entropy(out, y, weight=weight)


def mlp(*sizes: int, act: Callable[[], nn.Module] = nn.Identity, bias: bool = True) -> nn.Module:
    """Linear layers with an activation between them."""
    parts: list[nn.Module] = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        parts += [nn.Linear(a, b, bias=bias)] + ([act()] if i < len(sizes) - 2 else [])
    return nn.Sequential(*parts)


def every(model: nn.Module) -> dict[str, float]:
    """Factor one for all parameters."""
    return {k: 1.0 for k, _ in model.named_parameters()}


def torch_default(model: nn.Module) -> dict[str, Any]:
    """All parameters in one group of SGD with a weight decay, as torch does it."""
    return {"optimizer": torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=1e-2)}


def deep_linear(
    rng: Rng, layers: int, bias: bool
) -> tuple[nn.Module, tuple[Tensor, Tensor], float]:
    """A linear network, whitened inputs, and its transition by `deep_path`."""
    x = whitened(rng, 40, 3)
    y = 0.8 * x[:, :1] - 0.4 * x[:, 1:2] + tensor(0.3 * rng.normal(size=(40, 1)))
    y = y - y.mean() + (0.7 if bias else 0.0)  # a free bias takes the mean away
    e = float((x * (y - y.mean())).mean(0).norm())
    model = mlp(3, *[4] * (layers - 1), 1, bias=bias)
    return model, (x, y), deep_path(e, 1.0, layers)


def stretched(rng: Rng) -> tuple[Tensor, float]:
    """Inputs of given variances along turned axes, and the largest of these."""
    x = whitened(rng, 50, 4) * torch.tensor([2.0, 1.4, 0.7, 0.4], dtype=torch.float64)
    rotation = tensor(np.linalg.qr(rng.normal(size=(4, 4)))[0])
    return x @ rotation, 4.0


def continuous(value: float, why: str = PATH) -> Exact:
    """A closed form without a jump."""
    return Exact(value, "continuous", why)


def scaled(model: nn.Module, factors: dict[str, float]) -> None:
    """Multiply parameters in place, by name."""
    named = dict(model.named_parameters())
    for name, factor in factors.items():
        named[name].mul_(factor)


def unbounded(resized: dict[str, float], level: float, why: str) -> Exact:
    """Sizes go with a power of s per parameter, the decayed ones to zero."""

    def resize(model: nn.Module, s: float) -> None:
        scaled(model, {k: s**power for k, power in resized.items()})

    return Exact(math.inf, "unbounded", why, resize, level)
