"""Live transition at a finite temperature: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils._check import integer
from phase_utils.chapters.live.figure import LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMITS = {"temperature": [0.004, 0.08], "decay": [0.4, 1.6], "depth": [1, 2]}


def heat_bath(*, temperature: float = 0.08, decay: float = 1, depth: int = 2) -> LiveFigure:
    """Live mean of |w|^2 of a chain of neurons in a heat bath, and a noisy descent.

    Parameters
    ----------
    temperature : float
        T at the start in units of |E[xy]|^2 / a, 0.004 to 0.08.
    decay : float
        gamma at the start in units of that of the transition, 0.4 to 1.6.
    depth : {1, 2}
        Hidden layers at the start.

    Returns
    -------
    LiveFigure
        Shown where a cell ends with it.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.widgets.heat_bath(temperature=0.02).description[-42:]
    'Each is drawn at T = 0.02, 0.005 and zero.'
    """
    given = {"temperature": temperature, "decay": decay}
    state: dict[str, Any] = {key: within(key, value, _LIMITS[key]) for key, value in given.items()}
    state["depth"] = integer("depth", depth, minimum=1, maximum=2)
    return LiveFigure("heat_bath", {**state, "limits": _LIMITS})


def mean_norm(depth: int, gamma: float, T: float, points: int = 160) -> float:
    """Mean of |w|^2 of a chain with a = |E[xy]| = 1 under exp(-loss / T)."""
    w = (np.arange(points) + 0.5) * np.sqrt((1 + 45 * T) / gamma) / points
    squares = np.meshgrid(*[w**2] * depth, indexing="ij")
    q2, R = np.prod(squares, axis=0), np.sum(squares, axis=0)
    s = q2 + gamma
    energy = gamma * R - q2 / s
    p = np.exp(-(energy - energy.min()) / T) / np.sqrt(s)
    return float((p * (R + q2 / s**2 + T / (2 * s))).sum() / p.sum())


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    T = state["temperature"]
    return (
        "Mean of the squared norm of the weights over the decay, one hidden layer left and two "
        "right: a kink and a jump at zero temperature, smooth curves above it. Each is drawn at "
        f"T = {T:g}, {T / 4:g} and zero."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the mean at two temperatures and at zero, one and two hidden layers."""
    T, (low, high) = state["temperature"], state["limits"]["decay"]
    parts = np.linspace(low, high, 61)
    for axis, depth in zip(figure.subplots(1, 2), (1, 2), strict=True):
        land = Landscape(Moments.isotropic(signal=1.0), depth)
        unit = land.transitions()[0].gamma
        for ends in ((low, 1 - 1e-9), (1 + 1e-9, high)):
            fine = np.linspace(ends[0], ends[1], 60)
            still = land.global_minimum(fine * unit).slope
            axis.plot(fine, still, color="0.5", ls="--", label="T = 0" if ends[0] < 1 else None)
        for heat, colour in ((T / 4, LEARNED), (T, TOP)):
            R = [mean_norm(depth, part * unit, heat) for part in parts]
            axis.plot(parts, R, color=colour, label=f"T = {heat:g}")
        axis.set(title=f"D = {depth}", xlabel="decay γ/γ*", ylabel="mean of |w|²")
        axis.legend()
