"""What is penalised: squared norms with a factor for each parameter, or any function R >= 0."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from phase_utils._check import kind, names, scalar, shown

Regulariser = Callable[..., Tensor]
DECOUPLED = ("AdamW", "NAdamW", "RAdamW")
PLAIN = "gamma multiplies |w|^2 of the decayed parameters; torch's weight_decay is 2 gamma"


@dataclass(frozen=True)
class Penalty:
    """R = sum of factor times |w|^2 over `factors`, or `function` of the module (and its output).

    unit : what gamma is, in words; coupled : whether torch's weight_decay is 2 gamma.
    """

    factors: Mapping[str, float]
    function: Regulariser | None = None
    takes_output: bool = False
    unit: str = PLAIN
    coupled: bool = True


def penalty_of(
    model: nn.Module,
    decayed: Iterable[str] | Mapping[str, float] | None,
    optimizer: torch.optim.Optimizer | None,
    penalty: Regulariser | None,
) -> Penalty:
    """The penalty that a user means by one of three arguments, or ValueError naming it."""
    given = [
        k
        for k, v in (("decayed", decayed), ("optimizer", optimizer), ("penalty", penalty))
        if v is not None
    ]
    if len(given) > 1:
        raise ValueError(f"{given[0]} must be None where {given[1]} is given: both say what decays")
    trainable = {k: p for k, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise ValueError(
            "model must have parameters that require grad, got none: nothing can learn"
        )
    if penalty is not None:
        return _of_function(penalty, trainable)
    if optimizer is not None:
        return _of_optimizer(optimizer, model, trainable)
    if decayed is None:
        chosen = {k: 1.0 for k, p in trainable.items() if p.ndim >= 2}
    else:
        chosen = _of_names(decayed, model)
    # a frozen parameter is a constant, and so is its penalty
    chosen = {k: r for k, r in chosen.items() if k in trainable and r > 0}
    if not chosen:
        raise ValueError(
            "decayed must name trainable parameters of the model with a factor > 0; they are "
            f"{', '.join(trainable)}"
        )
    return Penalty(chosen)


def _of_names(decayed: Any, model: nn.Module) -> dict[str, float]:
    known = [k for k, _ in model.named_parameters()]
    if isinstance(decayed, Mapping):
        chosen = names("decayed", list(decayed), known, "parameters of the model")
        factors = (scalar(f"decayed[{k!r}]", decayed[k], minimum=0) for k in chosen)
        return dict(zip(chosen, factors, strict=True))
    if not isinstance(decayed, str):
        try:
            decayed = list(decayed)
        except TypeError:
            raise ValueError(
                f"decayed must be names of parameters, or a mapping from them to factors, got "
                f"{shown(decayed)}"
            ) from None
        if any(isinstance(v, Tensor) for v in decayed):
            raise ValueError(
                "decayed must be names of parameters, got tensors: pass "
                "[name for name, _ in model.named_parameters()]"
            )
    return dict.fromkeys(names("decayed", decayed, known, "parameters of the model"), 1.0)


def _of_function(penalty: Any, trainable: Mapping[str, Tensor]) -> Penalty:
    if not callable(penalty):
        raise ValueError(
            "penalty must be a function of the model, or of the model and its output, that returns "
            f"R >= 0, got {shown(penalty)}"
        )
    try:
        arguments = [
            p
            for p in inspect.signature(penalty).parameters.values()
            if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
        ]
    except (TypeError, ValueError):
        arguments = [None]  # type: ignore[list-item]
    if len(arguments) not in (1, 2):
        raise ValueError(
            "penalty must take the model, or the model and its output, got a function of "
            f"{len(arguments)} arguments"
        )
    return Penalty(
        dict.fromkeys(trainable, 1.0),
        penalty,
        len(arguments) == 2,
        "gamma multiplies your penalty",
        coupled=False,
    )


def _of_optimizer(optimizer: Any, model: nn.Module, trainable: Mapping[str, Tensor]) -> Penalty:
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ValueError(f"optimizer must be a torch.optim.Optimizer, got {kind(optimizer)}")
    name = type(optimizer).__name__
    called = {id(p): k for k, p in model.named_parameters()}
    decays: dict[str, float] = {}
    for group in optimizer.param_groups:
        decay = group.get("weight_decay", 0.0)
        for p in group["params"]:
            if id(p) not in called:
                raise ValueError(
                    "optimizer must hold parameters of this model, got others: make it from "
                    "model.parameters() of the model that is passed"
                )
            decays[called[id(p)]] = float(decay)
    largest = max(decays.values(), default=0.0)
    if largest <= 0:
        raise ValueError(
            "optimizer must have a group with weight_decay > 0, which says what decays; "
            f"{name} has none"
        )
    factors = {k: d / largest for k, d in decays.items() if d > 0 and k in trainable}
    if not factors:
        raise ValueError("optimizer must decay trainable parameters, got decay on frozen ones only")
    several = len({decays[k] for k in factors}) > 1
    group_text = " of its most decayed group" if several else ""
    unit = f"gamma = weight_decay/2 of {name}{group_text}"
    apart = name in DECOUPLED or optimizer.defaults.get("decoupled_weight_decay", False)
    if apart:
        unit = (
            f"{name} decays apart from the gradient: gamma is that of SGD or Adam, weight_decay/2"
            f"{group_text}; what {name} does is another question (adamw_fade)"
        )
    return Penalty(factors, unit=unit, coupled=not apart)
