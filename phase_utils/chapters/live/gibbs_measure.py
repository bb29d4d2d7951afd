"""Live Gibbs measure: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def gibbs_measure(
    signal: float = 0.45, *, gamma: float | None = None, temperature: float = 0.1
) -> LiveFigure:
    """Live Gibbs measure on chains of two hidden layers, all of whose weights are B.

    Its density over B is proportional to exp(-loss / T). The inputs have one component, of
    variance 1.

    Parameters
    ----------
    signal : float
        |E[xy]|, 0.2 to 1.
    gamma : float, optional
        Weight decay, 0.4 to 1.5 of that of coexistence, which is the default.
    temperature : float
        T in units of the loss, 0.002 to 0.1.

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
    >>> round(pu.widgets.gibbs_measure().state["gamma"], 4)
    0.1368
    """
    E = within("signal", signal, (0.2, 1))
    star = (E / 2) ** (4 / 3)  # coexistence at D = 2
    limits = {"gamma": [0.4 * star, 1.5 * star], "temperature": [0.002, 0.1]}
    state = {
        "signal": E,
        "gamma": star if gamma is None else within("gamma", gamma, limits["gamma"]),
        "temperature": within("temperature", temperature, limits["temperature"]),
        "limits": limits,
    }
    return LiveFigure("gibbs_measure", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        "Left: probability density of the order parameter at weight decay "
        f"{state['gamma']:.4g}, one broad hump when hot and two narrow ones when cold. Right: mean "
        "squared norm over the decay, a step that gets steeper as it cools and a jump at zero."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the density at three temperatures, and the mean of R at these and at zero."""
    land = Landscape(Moments.isotropic(1, signal=state["signal"]), depth=2)
    B = np.linspace(0, 1.3 * np.cbrt(state["signal"]) + 0.5, 1200)
    low, high = state["limits"]["gamma"]
    decays = np.linspace(low, high, 201)
    left, right = figure.subplots(1, 2)
    hot = state["temperature"]
    for T, colour, style in ((hot, TOP, ":"), (hot / 10, JUMP, "--"), (hot / 40, LEARNED, "-")):

        def density(gamma: float, T: float = T) -> Any:
            loss = B**6 - 2 * state["signal"] * B**3 + 3 * gamma * B**2
            weight = np.exp((loss.min() - loss) / T)
            return weight / np.trapezoid(weight, B)

        left.plot(B, density(state["gamma"]), color=colour, ls=style, label=f"T = {T:g}")
        R = [np.trapezoid(3 * B**2 * density(gamma), B) for gamma in decays]
        right.plot(decays, R, color=colour, ls=style)
    right.plot(decays, land.global_minimum(decays).slope, color="0.5", lw=1, label="T = 0")
    left.set(xlabel="order parameter B", ylabel="probability density", ylim=(0, None))
    right.set(xlabel="weight decay γ", ylabel="squared norm R", xlim=(low, high))
    left.legend()
    right.legend()
