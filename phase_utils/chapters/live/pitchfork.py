"""Live pitchfork at depth one: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import landscape_of, state_of, within
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def pitchfork(
    moments: Moments | None = None, *, gamma: float | None = None, noise_factor: float = 1
) -> LiveFigure:
    """Live pitchfork: the landscape of one hidden layer over B with a sign, and the best B.

    Parameters
    ----------
    moments : Moments, optional
        As for `landscape`; by default isotropic with a = 1 and |E[xy]| = 0.45.
    gamma : float, optional
        Weight decay at the start, 0.06 to 1.6 |E[xy]|; by default 1.3 |E[xy]|, above the critical
        point.
    noise_factor : float
        As for `landscape`.

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
    >>> round(pu.widgets.pitchfork().state["gamma"], 3)
    0.585
    """
    state = state_of(Moments.isotropic() if moments is None else moments, 1, noise_factor)
    E = float(np.linalg.norm(state["e"]))
    limits = {**state["limits"], "gamma": [0.06 * E, 1.6 * E]}
    decay = 1.3 * E if gamma is None else within("gamma", gamma, limits["gamma"])
    return LiveFigure("pitchfork", {**state, "gamma": decay, "limits": limits})


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        "Left: loss over the order parameter with a sign at three decays: one well above the "
        "critical point, a flat one at it, two below it. Right: the best order parameter over the "
        f"decay, zero from {np.linalg.norm(state['e']):.4g} on and two arms below it."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the landscape above, at and below the critical point, and the pitchfork."""
    land = landscape_of(state)
    E, zero, (low, top) = land.moments.signal, land.moments.Eyy, state["limits"]["gamma"]
    wide = 1.12 * float(land.global_minimum(low).B)
    b = np.linspace(-wide, wide, 401)
    left, right = figure.subplots(1, 2)
    for part, style in ((1.3, "--"), (1.0, ":"), (0.6, "-")):
        left.plot(b, land.loss(np.abs(b), part * E) - zero, LEARNED, ls=style, label=f"{part:g} γ*")
        best = float(land.global_minimum(part * E).B)
        for place in {best, -best}:
            left.plot(place, float(land.loss(best, part * E)) - zero, "o", color=LEARNED)
    depth = zero - float(land.global_minimum(0.6 * E).loss)
    left.set(xlabel="B, with a sign", ylabel="loss − E[y²]", ylim=(-1.5 * depth, 3 * depth))
    left.legend(loc="upper center")
    gamma = E - (E - low) * np.linspace(0, 1, 200) ** 2
    arm = land.global_minimum(gamma[::-1]).B
    for sign in (1, -1):
        right.plot(gamma[::-1], sign * arm, color=LEARNED)
    right.plot([E, top], [0, 0], color=LEARNED)
    right.plot([0, E], [0, 0], color=TOP, ls="--")
    right.set(xlabel="weight decay γ", ylabel="best B", xlim=(0, top))
