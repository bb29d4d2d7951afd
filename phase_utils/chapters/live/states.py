"""What live figures start from: the data, ranges of the controls, and a decay."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from phase_utils._check import instance, scalar
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments


def within(name: str, value: Any, limits: Any) -> float:
    """A number between two limits, or ValueError."""
    number = scalar(name, value)
    if not limits[0] <= number <= limits[1]:
        raise ValueError(f"{name} must be {limits[0]:g} to {limits[1]:g}, got {number:g}")
    return number


def two_modes() -> Moments:
    """Eigenvalues 1 and 0.01, |E[xy]| = 0.45."""
    e = np.array([np.sqrt(0.2025 - 0.01), 0.1])
    return Moments.from_spectrum(np.array([1, 0.01]), e, 1.2)


def state_of(moments: Moments, depth: Any, noise_factor: Any) -> dict[str, Any]:
    """What all live figures start from, but for the decay."""
    instance("moments", moments, Moments, "a Moments or None")
    if moments.k != 1 or moments.signal == 0:
        raise ValueError(
            f"moments must have one output and E[xy] != 0, got k = {moments.k}, "
            f"|E[xy]| = {moments.signal:g}"
        )
    signals = moments.signals.reshape(-1)
    seen = (signals != 0) & (moments.eigenvalues > 0)
    limits: dict[str, list[float]] = {"depth": [0, 6], "noise_factor": [1, 4]}
    ends = [Landscape(moments, D).spinodals()[-1].gamma for D in (2, 3, 4, 6)]
    top = 1.25 * max(moments.signal, *ends)
    limits["gamma"] = [top / 250, top]
    return {
        "a": moments.eigenvalues[seen].tolist(),
        "e": signals[seen].tolist(),
        "depth": within("depth", depth, (0.5, 6)),
        "noise_factor": within("noise_factor", noise_factor, limits["noise_factor"]),
        "limits": limits,
    }


def landscape_of(state: Mapping[str, Any], depth: float | None = None) -> Landscape:
    """Return the package's landscape of the problem that a live figure shows."""
    a, e = np.array(state["a"]), np.array(state["e"])
    a = a.max() * (a / a.max()) ** state.get("anisotropy", 1)
    moments = Moments.from_spectrum(a, e, float(np.sum(e**2 / a)))
    depth = state["depth"] if depth is None else depth
    return Landscape(moments, depth, noise_factor=state["noise_factor"])


def start(gamma: Any, state: Mapping[str, Any]) -> float:
    """The decay at the start: as given, or below the transition, which is left to be found."""
    if gamma is not None:
        return within("gamma", gamma, state["limits"]["gamma"])
    changes = landscape_of(state).transitions()
    last = changes[-1].gamma if changes else float(np.linalg.norm(state["e"]))
    return float(f"{0.7 * last:.3g}")
