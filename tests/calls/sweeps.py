"""Valid calls of sweeps and of what reads measured curves."""

import numpy as np

import phase_utils as pu
from calls.base import (
    FEW,
    FLAG,
    NON_NEGATIVE,
    NONE,
    NOTHING,
    POSITIVE,
    SEEDS,
    VECTOR,
    WHOLE,
    Call,
    entry,
    labels,
    moments,
    network,
)

GAMMAS = np.linspace(0.1, 1.2, 12)

CALLS = {
    "classify": Call(
        lambda: (
            pu.classify,
            {"gamma": GAMMAS, "loss": GAMMAS * 0.5, "slope": np.full(12, 0.5)},
        ),
        {"gamma": NOTHING, "loss": NOTHING, "slope": NOTHING},
        entry("gamma", 0, GAMMAS.tolist(), labels("0", "1e-308")),
        nan=labels("B_below", "B_above", "barrier", "exponent", "exponent_error"),
    ),
    "hysteresis": Call(
        lambda: (pu.hysteresis, {"problem": network(), "gammas": [0.1, 0.2], "settings": FEW}),
        {
            "problem": labels("LinearNetwork"),
            "gammas": VECTOR - {"array (1,)"} | {"range(3)"},
            "init": NONE,
            "init_scale": POSITIVE,
            "seeds": NONE | SEEDS,
            "kick": NON_NEGATIVE,
            "settings": NONE | {"Settings"},
        },
        entry("gammas", 0, (0.1, 0.2), labels("0", "1e-308")),
    ),
    "sweep": Call(
        lambda: (
            pu.sweep,
            {
                "problem": moments(),
                "gamma": [0.1],
                "depth": [0, 1],
                "width": 2,
                "init_scale": 0.3,
                "seed": [0],
                "settings": FEW,
                "device": "cpu",
                "progress": False,
            },
        ),
        {
            "problem": labels("Moments"),
            "gamma": VECTOR | {"range(3)"},
            "depth": labels("0", "range(3)") | WHOLE,
            "width": NOTHING,
            "noise_variance": NON_NEGATIVE,
            "init_scale": NON_NEGATIVE | VECTOR | {"range(3)"},
            "seed": SEEDS,
            "settings": NONE | {"Settings"},
            "device": NOTHING,
            "store": NONE | labels("'x'", "'1'", "Path"),
            "client": NONE,
            "progress": NONE | FLAG,
        },
    ),
}
