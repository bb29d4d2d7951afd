"""Valid calls of the exact theory."""

import numpy as np

import phase_utils as pu
from calls.base import (
    CAP,
    MATRIX,
    NON_NEGATIVE,
    NONE,
    NOTHING,
    PAIR,
    POSITIVE,
    SHAPED,
    TRIPLE,
    VECTOR,
    WHOLE,
    Call,
    Inside,
    X,
    entry,
    labels,
    land,
    moments,
    white,
)

MODES = {"moments": labels("Moments"), "depth": labels("0", "10**9"), "width": NONE | CAP}
MEASURED = labels("exponent", "exponent_error")  # nan in what theory gives
ANY = NON_NEGATIVE | SHAPED

CALLS = {
    "Moments": Call(
        lambda: (pu.Moments, {"A0": np.eye(2), "Exy": [0.3, 0.1], "Eyy": 1.0}),
        {"A0": NOTHING, "Exy": PAIR | {"array (2, 3)"}, "Eyy": POSITIVE},
    ),
    "Moments.from_samples": Call(
        lambda: (pu.Moments.from_samples, {"x": X[:2], "y": [0.5, 1.0]}),
        {"x": MATRIX, "y": PAIR | MATRIX | {"-1s"}},
    ),
    "Moments.from_spectrum": Call(
        lambda: (
            pu.Moments.from_spectrum,
            {"eigenvalues": [1.0, 0.5], "signals": [0.2, 0.1], "Eyy": 1.0},
        ),
        {"eigenvalues": PAIR, "signals": PAIR, "Eyy": POSITIVE},
    ),
    "Moments.isotropic": Call(
        lambda: (pu.Moments.isotropic, {"d": 2, "variance": 1.0, "signal": 0.4, "Eyy": 0.5}),
        {"d": NOTHING, "variance": POSITIVE, "signal": NON_NEGATIVE, "Eyy": NONE | POSITIVE},
    ),
    "Landscape": Call(
        lambda: (
            pu.Landscape,
            {"moments": moments(), "depth": 2, "width": 4, "noise_variance": 0.5},
        ),
        {
            "moments": labels("Moments"),
            "depth": labels("0", "inf", "10**9", "10**30", "1e308"),
            "width": CAP,
            "noise_variance": NON_NEGATIVE | PAIR,
            "decay_ratios": NONE | POSITIVE | TRIPLE,
            "penalty_power": POSITIVE,
            "noise_factor": NONE,
        },
    ),
    "Landscape.loss": Call(
        lambda: (land().loss, {"B": 0.5, "gamma": 0.1}), {"B": ANY, "gamma": ANY}
    ),
    "Landscape.balanced_loss": Call(
        lambda: (land().balanced_loss, {"B": 0.5, "gamma": 0.1}), {"B": ANY, "gamma": ANY}
    ),
    "Landscape.ridge": Call(lambda: (land().ridge, {"mu": 0.1}), {"mu": ANY}),
    "Landscape.stationary": Call(lambda: (land().stationary, {"gamma": 0.1}), {"gamma": POSITIVE}),
    "Landscape.minima": Call(lambda: (land().minima, {"gamma": 0.1}), {"gamma": POSITIVE}),
    "Landscape.count_minima": Call(lambda: (land().count_minima, {"gamma": 0.1}), {"gamma": ANY}),
    "Landscape.global_minimum": Call(
        lambda: (land().global_minimum, {"gamma": 0.1}), {"gamma": ANY}
    ),
    "Landscape.paper_b": Call(lambda: (land(width=4).paper_b, {"B": 0.5}), {"B": ANY}),
    "Landscape.transitions": Call(lambda: (land().transitions, {}), nan=MEASURED),
    "Landscape.spinodals": Call(lambda: (land().spinodals, {})),
    "Modes": Call(lambda: (pu.Modes, {"moments": white(), "depth": 2, "width": 2}), MODES),
    "Modes.global_minimum": Call(
        lambda: (pu.Modes(white()).global_minimum, {"gamma": 0.1}), {"gamma": ANY}
    ),
    "Modes.transitions": Call(lambda: (pu.Modes(white()).transitions, {}), nan=MEASURED),
    "mode_transitions": Call(
        lambda: (pu.mode_transitions, {"moments": white(), "depth": 2, "width": 2}),
        MODES,
        nan=MEASURED,
    ),
    "phase_diagram": Call(
        lambda: (
            pu.phase_diagram,
            {
                "moments": moments(),
                "gamma": [0.1, 0.2],
                "depth": 2,
                "width": 4,
                "noise_variance": 0.5,
                "penalty_power": 2,
            },
        ),
        {
            "moments": labels("Moments"),
            "gamma": VECTOR | {"range(3)"},
            "depth": labels("0", "inf", "10**9", "10**30", "1e308", "range(3)") | WHOLE,
            "width": CAP | WHOLE,
            "noise_variance": NON_NEGATIVE | VECTOR | {"range(3)"},
            "penalty_power": POSITIVE | VECTOR,
        },
        {
            "moments of a dict": Inside("moments", lambda wrong: {"a": wrong}, labels("Moments")),
            "moments of a function": Inside(
                "moments", lambda wrong: lambda: wrong, labels("Moments")
            ),
            **entry("gamma", 0, (0.1, 0.2), NON_NEGATIVE),
        },
    ),
}
