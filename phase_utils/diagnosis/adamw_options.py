"""What an AdamW does to which parameter of a model, read from its groups or from arguments."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from phase_utils._check import kind, names, numeric, scalar, shown
from phase_utils.training.descents import BETAS, EPSILON

RATE = 1e-3  # that of torch.optim.AdamW


@dataclass(frozen=True)
class Options:
    """How the parameters of a model are trained.

    rates : decay of each decayed parameter over that of the most decayed, by name.
    trained : names of all that are trained.
    lr : the rate, for several that at which rate times decay is largest.
    decay : that of the most decayed parameters, None where no optimiser says it.
    """

    rates: dict[str, float]
    trained: frozenset[str]
    lr: float
    decay: float | None
    betas: tuple[float, float]
    eps: float


def options(
    model: nn.Module,
    optimizer: Any,
    decayed: Iterable[str] | None,
    lr: Any,
    betas: Any,
    eps: Any,
) -> Options:
    """The options that an optimiser holds, or those given one by one."""
    own = dict(model.named_parameters())
    if optimizer is None:
        trained = [name for name, parameter in own.items() if parameter.requires_grad]
        if not trained:
            raise ValueError("model must have parameters that require a gradient, got none")
        chosen = trained if decayed is None else names("decayed", decayed, trained, "trained ones")
        return Options(
            dict.fromkeys(chosen, 1.0),
            frozenset(trained),
            _rate("lr", RATE if lr is None else lr),
            None,
            _betas("betas", BETAS if betas is None else betas),
            scalar("eps", EPSILON if eps is None else eps, minimum=0),
        )
    given = {"decayed": decayed, "lr": lr, "betas": betas, "eps": eps}
    for name, value in given.items():
        if value is not None:
            raise ValueError(f"{name} must be left out beside optimizer, got {shown(value)}")
    return _held(own, optimizer)


def _held(own: dict[str, nn.Parameter], optimizer: Any) -> Options:
    own_class = isinstance(optimizer, torch.optim.AdamW)  # until torch 2.7 no kind of Adam
    if not (own_class or isinstance(optimizer, torch.optim.Adam)) or not all(
        group.get("decoupled_weight_decay", own_class) for group in optimizer.param_groups
    ):
        raise ValueError(
            f"optimizer must be a torch.optim.AdamW, got {kind(optimizer)}; with other optimisers "
            "decay has the threshold that diagnose finds"
        )
    name_of = {id(parameter): name for name, parameter in own.items()}
    decay, rate = dict[str, float](), dict[str, float]()
    common = list[tuple[tuple[float, float], float]]()
    for group in optimizer.param_groups:
        if group["amsgrad"] or group["maximize"]:
            raise ValueError("optimizer must have neither amsgrad nor maximize")
        inside = [name_of[id(p)] for p in group["params"] if id(p) in name_of and p.requires_grad]
        if inside:
            common.append((_betas("betas of optimizer", group["betas"]), float(group["eps"])))
        decay |= dict.fromkeys(inside, scalar("weight_decay of optimizer", group["weight_decay"]))
        rate |= dict.fromkeys(inside, _rate("lr of optimizer", group["lr"]))
    if not decay:
        raise ValueError("optimizer must hold parameters of model, got none of them")
    if len(set(common)) > 1:
        raise ValueError(f"optimizer must have the same betas and eps in all groups, got {common}")
    most = max(decay.values())
    if most <= 0:
        raise ValueError("optimizer must decay some parameters of model, got weight_decay 0")
    rates = {name: value / most for name, value in decay.items() if value > 0}
    largest = max(rate[name] * factor for name, factor in rates.items())
    betas, eps = common[0]
    return Options(rates, frozenset(decay), largest, most, betas, eps)


def _betas(name: str, value: Any) -> tuple[float, float]:
    pair = numeric(name, value, ndim=(1,))
    if len(pair) != 2 or pair.min() < 0 or pair.max() >= 1:
        raise ValueError(f"{name} must be two numbers in [0, 1), got {shown(value)}")
    return float(pair[0]), float(pair[1])


def _rate(name: str, value: Any) -> float:
    rate = scalar(name, value)
    if not 0 < rate <= 1:  # a step changes every weight by about as much
        raise ValueError(f"{name} must be in (0, 1], got {rate:g}")
    return rate
