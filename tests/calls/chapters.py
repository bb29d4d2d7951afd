"""Valid calls of what the chapters of the book are made with."""

from functools import wraps
from typing import Any

import matplotlib.pyplot as plt
import torch

import phase_utils as pu
from calls.base import (
    CAP,
    FLAG,
    FRACTION,
    NAME,
    NON_NEGATIVE,
    NONE,
    NOTHING,
    POSITIVE,
    SEED,
    Call,
    Inside,
    X,
    Y,
    entry,
    labels,
    model,
    pair,
    squared,
)

COLUMNS = {"target": labels("''"), "inputs": labels("[]", "()"), "drop": labels("[]", "()")}
FILE = {
    "name of a file": Inside(
        "data", lambda wrong: f"{wrong}.csv" if isinstance(wrong, str) else wrong, NOTHING
    )
}
SIZE = labels("1.5", "array ()", "tensor ()")  # inches
FIGURE = {"width": SIZE, "height": SIZE}
ANY_NUMBER = NON_NEGATIVE | labels("-1", "nan", "inf", "fraction", "10**400", "1j", "True")
LIVE = {
    "moments": NONE | {"Moments"},
    "gamma": NONE | labels("array ()", "tensor ()"),
    "depth": labels("1.5"),
    "noise_factor": labels("1.5"),
}
COUNT = labels("0", "10**9")
CLAIM = "Eq-1"


def closing(function: Any) -> Any:
    """A function that draws, after which no figure is open."""

    @wraps(function)
    def drawn(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        finally:
            plt.close("all")

    return drawn


def ledger() -> Any:
    return pu.claims.Ledger("01_formalism", "smoke")


def recorded() -> Any:
    empty: dict[str, Any] = {}
    claims = [{"id": CLAIM, "state": "pass"}]
    return pu.records.Record(
        "01_formalism", "smoke", {}, "", "", "", empty, empty, 1.0, 0.0, "", claims, empty
    )


def tasks() -> Any:
    return pu.data.pair("teacher")


def axes() -> Any:
    return plt.figure().subplots()


CALLS = {
    "images": Call(
        lambda: (pu.images, {"name": "digits"}),
        {
            "name": NOTHING,
            "root": NAME | labels("Path", "''") - {"long text", "long name"},
            "download": FLAG,
        },
    ),
    "train_minibatches": Call(
        lambda: (
            pu.train_minibatches,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "epochs": 2, "batch_size": 4},
        ),
        {
            "model": labels("module"),
            "loss_fn": NOTHING,
            "data": NOTHING,
            "epochs": NOTHING,
            "gamma": NON_NEGATIVE,
            "decayed": NONE,
            "batch_size": CAP,
            "optimiser": NOTHING,
            "learning_rate": POSITIVE,
            "momentum": FRACTION | {"0"},
            "schedule": NOTHING,
            "augment": NONE | {"module without weights"},
            "seed": SEED,
            "device": NOTHING,
            "checkpoint": NONE | labels("'x'", "'1'", "Path"),
            "progress": FLAG,
        },
        {**pair(), **entry("decayed", 0, ["0.weight"])},
    ),
    "ResNet18": Call(
        lambda: (pu.ResNet18, {"channels": 1, "outputs": 2, "width": 1}),
        {
            "channels": NOTHING,
            "outputs": NOTHING,
            "width": NOTHING,
            "normalisation": NOTHING,
            "eps": POSITIVE,
        },
    ),
    "ResNet18.features": Call(
        lambda: (pu.ResNet18(1, 2, width=1).features, {"x": torch.ones(2, 1, 4, 4)}),
        {"x": NOTHING},
    ),
    "ResNet18.forward": Call(
        lambda: (pu.ResNet18(1, 2, width=1).forward, {"x": torch.ones(2, 1, 4, 4)}), {"x": NOTHING}
    ),
    "claims.definitions": Call(lambda: (pu.claims.definitions, {})),
    "claims.Ledger": Call(
        lambda: (pu.claims.Ledger, {"chapter": "01_formalism", "tier": "smoke"}),
        {"chapter": NOTHING, "tier": NOTHING},
    ),
    "claims.Ledger.check": Call(
        lambda: (
            ledger().check,
            # two numbers that are no one object, which is refused
            {"claim": CLAIM, "measured": 0.5, "expected": float("0.5"), "route": "by hand"},
        ),
        {
            "claim": NOTHING,
            "measured": ANY_NUMBER,
            "expected": ANY_NUMBER,
            "route": NAME | {"null byte"},
            "tolerance": NON_NEGATIVE,
            "relative": FLAG,
            "what": NAME | labels("''", "null byte"),
            "reduced": NAME | labels("''", "null byte"),
            "loose": NAME | labels("''", "null byte"),
        },
        {"tolerance of a tier": Inside("tolerance", lambda wrong: {"smoke": wrong}, NON_NEGATIVE)},
    ),
    "claims.Ledger.not_applicable": Call(
        lambda: (ledger().not_applicable, {"claim": CLAIM, "reason": "why"}),
        {"claim": NOTHING, "reason": NAME | {"null byte"}},
    ),
    "claims.Ledger.untested": Call(
        lambda: (ledger().untested, {"claim": CLAIM, "reason": "why"}),
        {"claim": NOTHING, "reason": NAME | {"null byte"}},
    ),
    "claims.Ledger.missing": Call(lambda: (ledger().missing, {})),
    "claims.Ledger.summary": Call(lambda: (ledger().summary, {})),
    "data.load": Call(
        lambda: (pu.data.load, {"data": "teacher"}),
        {"data": NOTHING, **COLUMNS, "seed": SEED},
        entry("inputs", 0, ["a"]) | entry("drop", 0, ["a"]) | FILE,
    ),
    "data.pair": Call(
        lambda: (pu.data.pair, {"data": "teacher"}),
        {"data": NOTHING, "compare": NOTHING, "compare_target": labels("''"), **COLUMNS}
        | {"seed": SEED},
    ),
    "data.check": Call(
        lambda: (pu.data.check, {"data": "teacher"}),
        {"data": NOTHING, "compare": NOTHING, "compare_target": labels("''"), **COLUMNS}
        | {"also": labels("[]", "()", "['a', 'a']")},
    ),
    "data.literal": Call(
        lambda: (pu.data.literal, {"name": "a*b"}),
        {"name": NAME | labels("''", "null byte")},
    ),
    "data.learnable": Call(
        lambda: (pu.data.learnable, {"tasks": tasks()}),
        {"tasks": labels("{}"), "instead": NOTHING, "seed": SEED},
        {"a task": Inside("tasks", lambda wrong: {"teacher": wrong}, NOTHING)},
    ),
    "data.shown": Call(
        lambda: (pu.data.shown, {"tasks": tasks(), "left_out": {"a": "why"}}),
        {"tasks": NOTHING, "left_out": labels("{}")},
        {"a reason": Inside("left_out", lambda wrong: {"a": wrong}, NAME | {"''", "null byte"})},
    ),
    "plotting.use_style": Call(lambda: (pu.plotting.use_style, {})),
    "plotting.depth_style": Call(
        lambda: (pu.plotting.depth_style, {"depth": 2}), {"depth": labels("0", "10**9")}
    ),
    "plotting.literal": Call(
        lambda: (pu.plotting.literal, {"name": "$a$"}),
        {"name": NAME | labels("''", "null byte")},
    ),
    "plotting.panels": Call(
        lambda: (closing(pu.plotting.panels), {"columns": 2}), {"columns": NOTHING, **FIGURE}
    ),
    "plotting.residual_panels": Call(
        lambda: (closing(pu.plotting.residual_panels), {"columns": 2}),
        {"columns": NOTHING, **FIGURE},
    ),
    "plotting.mark": Call(
        lambda: (closing(pu.plotting.mark), {"axes": axes(), "x": 0.5, "label": "here"}),
        {
            "axes": labels("[]", "()", "array (0,)"),
            "x": NON_NEGATIVE | {"-1"},
            "label": NAME | labels("''", "null byte"),
            "colour": labels("'1'"),
        },
        entry("axes", 0, [None]),
    ),
    "provenance.record": Call(
        lambda: (pu.provenance.record, {"ledger": ledger(), "seed": 0}),
        {"ledger": NOTHING, "seed": SEED, "device": NOTHING},
    ),
    "records.keep": Call(
        lambda: (pu.records.keep, {"name": "all"}), {"name": NAME | {"null byte"}}
    ),
    "records.Record.supports": Call(
        lambda: (recorded().supports, {"claim": CLAIM}), {"claim": NAME | {"null byte"}}
    ),
    "records.Record.stale": Call(lambda: (recorded().stale, {}), {"folder": NONE}),
    "records.find": Call(
        lambda: (pu.records.find, {"chapter": "depth_one"}),
        {"chapter": labels("'1'"), "folder": NONE},
    ),
    "widgets.heat_bath": Call(
        lambda: (pu.widgets.heat_bath, {}),
        {"temperature": NOTHING, "decay": labels("1.5", "array ()", "tensor ()"), "depth": NOTHING},
    ),
    "widgets.augmentation": Call(
        lambda: (pu.widgets.augmentation, {}),
        {
            "noise": labels("1.5", "array ()", "tensor ()"),
            "gamma": labels("0", "1e-308"),
            "views": labels("True"),
        },
    ),
    "widgets.residual_ray": Call(
        lambda: (pu.widgets.residual_ray, {}),
        {
            "gamma": labels("1.5", "array ()", "tensor ()"),
            "branch": labels("1.5", "array ()", "tensor ()"),
            "matrices": labels("0"),
        },
    ),
    "widgets.landscape": Call(
        lambda: (pu.widgets.landscape, {}),
        {**LIVE, "anisotropy": labels("0", "array ()", "tensor ()", "1e-308")},
    ),
    "widgets.lower_envelope": Call(
        lambda: (pu.widgets.lower_envelope, {}),
        {
            "lines": NONE | labels("2x2"),
            "gamma": labels("0", "array ()", "tensor ()", "1e-308"),
        },
    ),
    "widgets.ridge_poles": Call(
        lambda: (pu.widgets.ridge_poles, {}),
        {
            "weak": labels("0", "array ()", "tensor ()", "fraction", "1e-308"),
            "gamma": labels("array ()", "tensor ()", "1.5"),
            "terms": NOTHING,
            "shares": labels("data array", "tensor with graph"),
        },
    ),
    "widgets.pitchfork": Call(
        lambda: (pu.widgets.pitchfork, {}),
        {name: LIVE[name] for name in ("moments", "gamma", "noise_factor")},
    ),
    "widgets.gibbs_measure": Call(
        lambda: (pu.widgets.gibbs_measure, {}),
        {
            "signal": labels("array ()", "tensor ()", "fraction"),
            "gamma": NONE,
            "temperature": NOTHING,
        },
    ),
    "widgets.activation_order": Call(
        lambda: (pu.widgets.activation_order, {}),
        {
            "activation": NOTHING,
            "skew": labels("0", "array ()", "tensor ()", "fraction", "1e-308"),
            "gamma": NOTHING,
            "signal": labels("array ()", "tensor ()", "fraction"),
        },
    ),
    "widgets.deep_limit": Call(
        lambda: (pu.widgets.deep_limit, {}),
        {
            "depth": labels("1.5"),
            "price": labels("0", "1.5", "array ()", "tensor ()", "fraction", "1e-308"),
            "signal": labels("array ()", "tensor ()", "fraction"),
        },
    ),
    "widgets.equation_of_state": Call(lambda: (pu.widgets.equation_of_state, {}), LIVE),
    "widgets.cascade": Call(
        lambda: (pu.widgets.cascade, {}),
        {
            "ratio": NOTHING,
            "strength": labels("array ()", "tensor ()"),
            "depth": NOTHING,
        },
    ),
    "widgets.latents": Call(
        lambda: (pu.widgets.latents, {}), {"price": labels("1.5", "array ()", "tensor ()")}
    ),
    "widgets.norm_power": Call(
        lambda: (pu.widgets.norm_power, {}),
        {
            "power": labels("1.5"),
            "depth": labels("1.5"),
            "decay": labels("1.5", "array ()", "tensor ()"),
        },
    ),
    "widgets.phase_diagram": Call(
        lambda: (pu.widgets.phase_diagram, {}), {**LIVE, "B": labels("array ()", "tensor ()")}
    ),
    "words.counted": Call(
        lambda: (pu.words.counted, {"number": 2, "noun": "input"}),
        {"number": COUNT, "noun": NAME | {"null byte"}},
    ),
    "widgets.LiveFigure": Call(
        lambda: (
            pu.widgets.LiveFigure,
            {"name": "landscape", "state": pu.widgets.landscape().state},
        ),
        {"name": NOTHING, "state": NOTHING},
    ),
    "widgets.LiveFigure.static": Call(
        lambda: (closing(pu.widgets.landscape().static), {"form": "svg"}), {"form": NOTHING}
    ),
}
