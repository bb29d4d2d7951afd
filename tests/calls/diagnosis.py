"""Valid calls of what any torch module is asked."""

import sys
import types
from functools import cache

import torch

import phase_utils as pu
from calls.base import (
    CAP,
    FLAG,
    FRACTION,
    NON_NEGATIVE,
    NONE,
    NOTHING,
    PAIR,
    POSITIVE,
    SEED,
    VECTOR,
    Call,
    Inside,
    X,
    Y,
    entry,
    labels,
    model,
    origin,
    pair,
    problem,
    rescaled,
    squared,
    trivial,
)

OTHER = labels("module")  # its outputs are all compared with the same y
WEIGHED = {"gamma": NON_NEGATIVE, "loss": NON_NEGATIVE | {"-1"}}


def trainer_of_others() -> str:
    """The name of a library of which a stand-in is imported where it is not installed."""
    stand_in = types.ModuleType("pytorch_lightning")
    stand_in.Callback = object  # type: ignore[attr-defined]
    sys.modules.setdefault("pytorch_lightning", stand_in)
    return "lightning"


@cache
def diagnosis() -> pu.Diagnosis:
    return pu.diagnose(model(), squared, (X, Y), starts=1, steps=3)


def decaying(net: torch.nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.1)


CALLS = {
    "diagnose": Call(
        lambda: (
            pu.diagnose,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "starts": 2, "steps": 20},
        ),
        {
            "model": OTHER,
            "loss_fn": NOTHING,
            "data": NOTHING,
            "decayed": NONE,
            "optimizer": NONE,
            "penalty": NONE,
            "hysteresis": FLAG,
            "starts": NOTHING,
            "steps": CAP,
            "draws": NONE | CAP,
            "seed": SEED,
            "device": NOTHING,
            "progress": FLAG | NONE,
        },
        {**pair(), **entry("decayed", 0, ["0.weight"])},
    ),
    "rehearse": Call(
        lambda: (
            pu.rehearse,
            (net := model())
            and {
                "model": net,
                "loss_fn": squared,
                "data": (X, Y),
                "optimizer": decaying(net),
                "epochs": 1,
                "runs": 2,
            },
        ),
        {
            "model": NOTHING,
            "loss_fn": NOTHING,
            "data": NOTHING,
            "optimizer": NOTHING,
            "epochs": NOTHING,
            "batch": NONE,
            "scheduler": NONE,
            "diagnosis": NONE,
            "precision": POSITIVE,
            "runs": NOTHING,
            "seed": SEED,
            "device": NOTHING,
            "progress": FLAG,
        },
        pair(),
    ),
    "Watch": Call(
        lambda: (
            pu.Watch,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "gamma": 0.1},
        ),
        {
            "model": OTHER,
            "loss_fn": NOTHING,
            "data": NOTHING,
            "optimizer": NONE,
            "decayed": NONE,
            "gamma": NON_NEGATIVE,
            "seed": SEED,
            "device": NOTHING,
        },
        pair(),
    ),
    "Watch.read": Call(
        lambda: (pu.Watch(model(), squared, (X, Y), gamma=0.1).read, {"model": model()}),
        {"model": NOTHING},
    ),
    "Watch.callback": Call(
        lambda: (
            pu.Watch(model(), squared, (X, Y), gamma=0.1).callback,
            {"library": trainer_of_others()},
        ),
        {"library": NOTHING},
    ),
    "Diagnosis.plot": Call(
        lambda: (
            diagnosis().plot,
            {"axes": None},
        ),
        {"axes": NONE},
    ),
    "adamw_fade": Call(
        lambda: (
            pu.adamw_fade,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "batch": 4, "steps": 5}
            | {"decays": [1.0, 2.0]},
        ),
        {
            "model": OTHER,
            "loss_fn": NOTHING,
            "data": NOTHING,
            "batch": NONE,
            "optimizer": NONE,
            "decays": NONE | VECTOR,
            "decayed": NONE,
            "lr": NONE | FRACTION,
            "betas": NONE | PAIR,
            "eps": NONE | NON_NEGATIVE,
            "steps": NOTHING,
            "device": NOTHING,
            "progress": FLAG,
        },
        {**pair(), **entry("decayed", 0, ["0.weight"])},
    ),
    "trivial_point": Call(lambda: (pu.trivial_point, {"problem": problem()}), {"problem": NOTHING}),
    "expand_origin": Call(
        lambda: (pu.expand_origin, {"problem": problem(), "trivial": trivial()}),
        {"problem": NOTHING, "trivial": NONE, "seed": SEED},
    ),
    "expand_landau": Call(
        lambda: (
            pu.expand_landau,
            {"problem": problem(), "origin": origin(), "starts": 1, "iterations": 2},
        ),
        {
            "problem": NOTHING,
            "origin": NOTHING,
            "starts": NOTHING,
            "iterations": labels("0"),
            "seed": SEED,
        },
    ),
    "collapse_quotient": Call(
        lambda: (
            pu.collapse_quotient,
            {"problem": problem(), "trivial": trivial(), "starts": 2, "steps": 20},
        ),
        {
            "problem": NOTHING,
            "trivial": NOTHING,
            "soft": NONE,
            "starts": NOTHING,
            "scale": NONE | POSITIVE,
            "steps": CAP,
            "seed": SEED,
            "progress": FLAG,
        },
    ),
    "rescaled_landscape": Call(
        lambda: (
            pu.rescaled_landscape,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "scales": [0.0, 1.0, 2.0]},
        ),
        {
            "model": OTHER,
            "loss_fn": NOTHING,
            "data": NOTHING,
            "scales": PAIR | labels("array (3,)", "integers", "integer tensor", "range(3)"),
            "parameters": NONE,
            "device": NOTHING,
        },
        {
            **pair(),
            **entry("parameters", 0, ["0.weight"]),
            "loss_fn of a dict": Inside("loss_fn", lambda wrong: {"a": wrong}, NOTHING),
        },
    ),
    "RescaledLandscape.total": Call(
        lambda: (rescaled().total, {"gamma": 0.1, "loss": 1.0}), WEIGHED
    ),
    "RescaledLandscape.minima": Call(
        lambda: (rescaled().minima, {"gamma": 0.1, "loss": 1.0}), WEIGHED
    ),
    "RescaledLandscape.classify": Call(
        lambda: (rescaled().classify, {"gamma": 0.1, "loss": 1.0}), WEIGHED
    ),
}
