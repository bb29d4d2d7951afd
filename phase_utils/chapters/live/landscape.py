"""Live effective landscape: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import landscape_of, start, state_of, two_modes, within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def landscape(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
    anisotropy: float = 0,
) -> LiveFigure:
    """Live effective landscape (Eq. 6): minima, barrier, spinodals and coexistence at each decay.

    Parameters
    ----------
    moments : Moments, optional
        With k = 1 and E[xy] != 0; by default two modes with eigenvalues 1 and 0.01 and |E[xy]| =
        0.45.
    gamma : float, optional
        Weight decay > 0 at the start; by default 0.7 of that at coexistence, or of
        |E[xy]| for D <= 1.
    depth : float
        D at the start, 0.5 to 6.
    noise_factor : float
        N at the start, 1 to 4.
    anisotropy : float
        0 to 1. The eigenvalues are a_1 (a_i / a_1)^anisotropy, a_1 the largest: 0 makes the data
        isotropic, 1 leaves them as they are.

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
    >>> pu.widgets.landscape(depth=3).name
    'landscape'
    """
    moments = two_modes() if moments is None else moments
    state = state_of(moments, depth, noise_factor)
    state["limits"]["anisotropy"] = [0, 1]
    state["anisotropy"] = within("anisotropy", anisotropy, (0, 1))
    state["gamma"] = start(gamma, state)
    return LiveFigure("landscape", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        f"Loss over the order parameter B at depth {state['depth']:g} and weight decay "
        f"{state['gamma']:.4g}, with its minima (blue) and the barrier between them (orange)."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw Eq. 6 over B with its minima and maxima."""
    axis = figure.subplots()
    draw_landscape(axis, landscape_of(state), state["gamma"])


def draw_landscape(axis: "Axes", land: Landscape, gamma: float) -> None:
    """Draw Eq. 6 over B with its minima and maxima."""
    states, kind = land.stationary(gamma)
    minima, tops = land.minima(gamma), states[kind > 0]
    wide = 1.2 * float(land.ridge(0.0).B)
    grid = np.linspace(0, wide, 400)
    zero = land.moments.Eyy
    axis.axhline(0, color="0.5", lw=1, ls="--")
    axis.plot(grid, land.loss(grid, gamma) - zero, color=LEARNED)
    for places, colour, fill in ((minima, LEARNED, LEARNED), (tops, TOP, "none")):
        for B in places:
            loss = float(land.loss(B, gamma)) - zero
            axis.plot(B, loss, "o", color=colour, markerfacecolor=fill, markersize=7)
            name = "barrier" if colour == TOP else "learned" if B else "trivial"
            place: dict[str, Any] = {"xytext": (0, 9 if colour == TOP else -17)}
            place |= {"textcoords": "offset points", "ha": "center" if B else "left"}
            axis.annotate(name, (B, loss), **place)
    heights = land.loss(np.concatenate([states, [0]]), gamma) - zero
    span = max(float(np.ptp(heights)), 1e-3 * zero)
    axis.set(ylim=(heights.min() - 0.5 * span, heights.max() + span))
    axis.set(xlabel="order parameter B", ylabel="loss − E[y²]")
