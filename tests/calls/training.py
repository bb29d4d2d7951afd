"""Valid calls of networks and of what trains them."""

from typing import Any

import torch

import phase_utils as pu
from calls.base import (
    CAP,
    FEW,
    FLAG,
    FLOATING,
    FRACTION,
    NON_NEGATIVE,
    NONE,
    NOTHING,
    PAIR,
    POSITIVE,
    SEED,
    SEEDS,
    TRIPLE,
    VECTOR,
    Call,
    X,
    Y,
    chains,
    entry,
    flat,
    labels,
    land,
    model,
    moments,
    network,
    pair,
    problem,
    squared,
    weights,
)

HALF = labels("tensor with graph", "bfloat16 tensor")  # of two entries
DECAYS = {"gamma": torch.full((2,), 0.1, dtype=torch.float64)}
ROWS = {"rows": torch.tensor([[0, 1], [2, 3]])}
LAYERS = entry("weights", 0, weights())
INITIAL = {
    "scale": NON_NEGATIVE | PAIR | {"array (1,)"},
    "seed": SEEDS,
    "device": NOTHING,
    "dtype": NOTHING,
}


def of_network(name: str, **more: Any) -> Any:
    return lambda: (getattr(network(), name), {"weights": weights(), **more})


def of_problem(name: str, **more: Any) -> Any:
    def make() -> Any:
        drawn = problem().initial_weights(0.3, [0, 1])
        return getattr(problem(), name), {"weights": drawn, **more}

    return make


def of_rows(name: str) -> Any:
    return lambda: (getattr(problem(), name), {"x": flat(2)})


def of_row(name: str, **more: Any) -> Any:
    return lambda: (getattr(problem(), name), {"row": flat(1)[0], **more})


CALLS = {
    "Settings": Call(
        lambda: (pu.Settings, {"method": "sgd"}),
        {
            "method": NOTHING,
            "tolerance": POSITIVE,
            "max_steps": CAP,
            "learning_rate": POSITIVE | VECTOR,
            "momentum": FRACTION | {"0"},
            "memory": NOTHING,
            "step_cap": POSITIVE,
            "batch_size": labels("0", "10**9"),
            "accuracy": POSITIVE,
            "time": POSITIVE | {"inf"},
            "precision": NOTHING,
        },
    ),
    "LinearNetwork": Call(
        lambda: (pu.LinearNetwork, {"moments": moments(), "depth": 2, "width": 4}),
        {
            "moments": labels("Moments"),
            "depth": labels("0"),
            "width": NOTHING,
            "noise_variance": NON_NEGATIVE | PAIR,
            "decay_ratios": NONE | POSITIVE | TRIPLE,
        },
    ),
    "LinearNetwork.initial_weights": Call(
        lambda: (network().initial_weights, {"scale": 0.3, "seed": [0, 1]}), INITIAL
    ),
    "LinearNetwork.end_to_end": Call(of_network("end_to_end"), {"weights": NOTHING}, LAYERS),
    "LinearNetwork.order_parameter": Call(
        of_network("order_parameter"), {"weights": NOTHING}, LAYERS
    ),
    "LinearNetwork.penalty": Call(of_network("penalty"), {"weights": NOTHING}, LAYERS),
    "LinearNetwork.data_loss": Call(of_network("data_loss"), {"weights": NOTHING}, LAYERS),
    "LinearNetwork.value_and_gradient": Call(
        of_network("value_and_gradient", **DECAYS), {"weights": NOTHING, "gamma": HALF}, LAYERS
    ),
    "train": Call(
        lambda: (
            pu.train,
            {"problem": network(), "init": weights(), "gamma": 0.1, "settings": FEW},
        ),
        {
            "problem": NOTHING,
            "init": NOTHING,
            "gamma": NON_NEGATIVE | PAIR,
            "settings": NONE | {"Settings"},
            "seeds": NONE,
        },
        entry("init", 0, weights()),
    ),
    "Result.summary": Call(lambda: (pu.train(network(), weights(), 0.1, FEW).summary, {})),
    "langevin": Call(
        lambda: (
            pu.langevin,
            {
                "problem": network(),
                "init": weights(),
                "gamma": 0.1,
                "temperature": 0.01,
                "dt": 0.01,
                "steps": 20,
                "burn_in": 5,
                "every": 5,
            },
        ),
        {
            "problem": NOTHING,
            "init": NOTHING,
            "gamma": NON_NEGATIVE | PAIR,
            "temperature": POSITIVE | PAIR,
            "dt": POSITIVE | PAIR,
            "steps": NOTHING,
            "burn_in": labels("0"),
            "every": NOTHING,
            "seed": SEED,
            "event": NONE,
            "trace": FLAG,
        },
        entry("init", 0, weights()),
        nan=labels("passage"),
    ),
    "Chains.average": Call(
        lambda: (chains().average, {"name": "loss", "replicas": 2}),
        {"name": NOTHING, "replicas": NOTHING},
    ),
    "learning_basin": Call(
        lambda: (pu.learning_basin, {"land": land(), "gamma": 0.1}),
        {"land": labels("Landscape"), "gamma": labels("1e-308")},
    ),
    "learning_basin_init": Call(
        lambda: (
            pu.learning_basin_init,
            {"moments": moments(), "depth": 2, "width": 3, "gamma": 0.03},
        ),
        {
            "moments": labels("Moments"),
            "depth": NOTHING,
            "width": NOTHING,
            "gamma": labels("1e-308"),
            "noise_variance": NON_NEGATIVE | PAIR,
            "seed": SEEDS,
            "place": FRACTION,
            "perturbation": NON_NEGATIVE,
            "device": NOTHING,
            "dtype": NOTHING,
        },
    ),
    "norm_power_penalty": Call(
        lambda: (pu.norm_power_penalty, {"parameters": [torch.ones(2)], "gamma": 0.1, "power": 3}),
        {"parameters": NOTHING, "gamma": NON_NEGATIVE, "power": POSITIVE},
        entry("parameters", 0, [torch.ones(2)], FLOATING | {"sparse tensor", "nan tensor"}),
        nan=labels(""),  # of nan weights, as torch has it
    ),
    "ModuleProblem": Call(
        lambda: (
            pu.ModuleProblem,
            {"model": model(), "loss_fn": squared, "data": (X, Y), "decayed": ["0.weight"]},
        ),
        {"model": NOTHING, "loss_fn": NOTHING, "data": NOTHING, "decayed": NONE, "device": NOTHING},
        {**pair(), **entry("decayed", 0, ["0.weight"])},
    ),
    "ModuleProblem.subset": Call(
        lambda: (problem().subset, {"samples": 4, "seed": 0}), {"samples": CAP, "seed": SEED}
    ),
    "ModuleProblem.initial_weights": Call(
        lambda: (problem().initial_weights, {"scale": 0.3, "seed": [0, 1]}),
        {**INITIAL, "device": NONE},
    ),
    "ModuleProblem.random": Call(
        lambda: (problem().random, {"scale": 1.0, "seeds": [0, 1]}),
        {"scale": NON_NEGATIVE, "seeds": SEEDS},
    ),
    "ModuleProblem.penalty": Call(of_problem("penalty"), {"weights": NOTHING}),
    "ModuleProblem.data_loss": Call(
        of_problem("data_loss", **ROWS), {"weights": NOTHING, "rows": NONE}
    ),
    "ModuleProblem.value_and_gradient": Call(
        of_problem("value_and_gradient", **DECAYS, **ROWS),
        {"weights": NOTHING, "gamma": HALF, "rows": NONE},
    ),
    "ModuleProblem.square": Call(of_rows("square"), {"x": NOTHING}),
    "ModuleProblem.losses": Call(of_rows("losses"), {"x": NOTHING}),
    "ModuleProblem.evaluate": Call(of_rows("evaluate"), {"x": NOTHING}),
    "ModuleProblem.loss": Call(of_row("loss"), {"row": NOTHING}),
    "ModuleProblem.sample_losses": Call(of_row("sample_losses"), {"row": NOTHING}),
    "ModuleProblem.named": Call(of_row("named"), {"row": NOTHING}),
    "ModuleProblem.hessian_product": Call(
        of_row("hessian_product", vector=flat(1)[0]), {"row": NOTHING, "vector": NOTHING}
    ),
    "devices.resolve": Call(lambda: (pu.devices.resolve, {"device": "cpu"}), {"device": NOTHING}),
    "devices.name": Call(
        lambda: (pu.devices.name, {"device": torch.device("cpu")}), {"device": labels("device")}
    ),
}
