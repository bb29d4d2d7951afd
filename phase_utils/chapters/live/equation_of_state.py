"""Live equation of state: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import landscape_of, start, state_of
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def equation_of_state(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
) -> LiveFigure:
    """Live equation of state gamma(R) with Maxwell's areas, beside the loss L(gamma).

    Parameters
    ----------
    moments : Moments, optional
        As for `landscape`; by default isotropic with a = 1 and |E[xy]| = 0.45.
    gamma : float, optional
        As for `landscape`.
    depth : float
        As for `landscape`.
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
    >>> figure = pu.widgets.equation_of_state(depth=3)  # below coexistence
    >>> round(figure.state["gamma"], 5)
    0.0575
    """
    state = state_of(Moments.isotropic() if moments is None else moments, depth, noise_factor)
    state["gamma"] = start(gamma, state)
    return LiveFigure("equation_of_state", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        f"Left: weight decay over the squared norm R of the stationary states, depth "
        f"{state['depth']:g}. A level line at decay {state['gamma']:.4g} cuts two areas off, equal "
        "at coexistence. Right: their loss over the decay; the lowest is L."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw gamma(R) with Maxwell's areas, and the loss of the same states."""
    land, gamma = landscape_of(state), state["gamma"]
    a = land.noise_factor * land.moments.eigenvalues[land.moments.signals != 0]
    # what is beyond is too small to be seen
    mu = np.geomspace(a.max() * np.exp(18), a.min() * np.exp(-8), 500)
    states = land.ridge(mu)
    decay, loss = states.gamma, states.loss - land.moments.Eyy
    R = (land.depth + 1) * states.B**2
    shown = decay > 1e-3 * decay.max()
    left, right = figure.subplots(1, 2)
    stable = np.gradient(decay) < 0
    largest = (land.depth + 1) * float(np.max(land.minima(gamma), initial=0)) ** 2
    inside = largest > R
    if land.depth > 1:
        left.fill_between(R[inside], decay[inside], gamma, color=TOP, alpha=0.3, lw=0)
    for axis, x, y in ((left, R, decay), (right, decay, loss)):
        axis.plot(*(np.where(stable & shown, v, np.nan) for v in (x, y)), color=LEARNED)
        axis.plot(*(np.where(~stable & shown, v, np.nan) for v in (x, y)), color=TOP, ls="--")
    left.axhline(gamma, color=JUMP, lw=1)
    right.axvline(gamma, color=JUMP, lw=1)
    right.axhline(0, color=LEARNED, lw=1)
    left.set(xlabel="squared norm R", ylabel="weight decay γ", ylim=(0, None))
    right.set(xlabel="weight decay γ", ylabel="loss − E[y²]")
