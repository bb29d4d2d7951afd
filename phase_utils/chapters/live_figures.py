"""The static form of the live figures, for readers without scripts, for print and for LaTeX."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEARNED, TOP, JUMP = "#0072B2", "#D55E00", "#00805D"
INK = "#010203"  # of axes and text in SVG, to be replaced by the ink of the page


def described(name: str, state: Mapping[str, Any]) -> str:
    """Return what the figure of this name shows, for those who do not see it."""
    return _FORMS[name][0](state)


def drawn(name: str, state: Mapping[str, Any], form: str) -> bytes:
    """Return the figure of this name as a file, "svg" or "pdf"; the same bytes each time."""
    import matplotlib.pyplot as plt

    from phase_utils.chapters import plotting

    date = {"svg": "Date", "pdf": "CreationDate"}[form]
    ink = INK if form == "svg" else "black"
    parts = ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "grid.")
    file = BytesIO()
    style: dict[Any, Any] = plotting.STYLE | {f"{part}color": ink for part in parts}
    with plt.rc_context({**style, "svg.fonttype": "none"}):
        figure = plt.figure(figsize=(7.2, 3.1))
        _FORMS[name][1](figure, state)
        figure.savefig(file, format=form, metadata={date: None})
        plt.close(figure)
    return file.getvalue()


def landscape_of(state: Mapping[str, Any], depth: float | None = None) -> Landscape:
    """Return the package's landscape of the problem that a live figure shows."""
    a, e = np.array(state["a"]), np.array(state["e"])
    a = a.max() * (a / a.max()) ** state.get("anisotropy", 1)
    moments = Moments.from_spectrum(a, e, float(np.sum(e**2 / a)))
    depth = state["depth"] if depth is None else depth
    return Landscape(moments, depth, noise_factor=state["noise_factor"])


def _describe_landscape(state: Mapping[str, Any]) -> str:
    return (
        f"Loss over the order parameter B at depth {state['depth']:g} and weight decay "
        f"{state['gamma']:.4g}, with its minima (blue) and the barrier between them (orange)."
    )


def _draw_landscape(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw Eq. 6 over B with its minima and maxima."""
    axis = figure.subplots()
    _landscape(axis, landscape_of(state), state["gamma"])


def _describe_state(state: Mapping[str, Any]) -> str:
    return (
        f"Left: weight decay over the squared norm R of the stationary states, depth "
        f"{state['depth']:g}. A level line at decay {state['gamma']:.4g} cuts two areas off, equal "
        "at coexistence. Right: their loss over the decay; the lowest is L."
    )


def _draw_state(figure: "Figure", state: Mapping[str, Any]) -> None:
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


def _describe_diagram(state: Mapping[str, Any]) -> str:
    return (
        "Left: plane of depth and weight decay. The line of coexistence and the spinodal above it "
        f"start from the critical point at depth 1. Right: the landscape at depth "
        f"{state['depth']:g} and decay {state['gamma']:.4g}."
    )


def _draw_diagram(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw coexistence and spinodal over the depth, and the landscape of one point."""
    left, right = figure.subplots(1, 2)
    depths = 1.01 + (state["limits"]["depth"][1] - 1.01) * np.linspace(0, 1, 24) ** 2
    lands = [landscape_of(state, depth) for depth in depths]
    change = np.array([land.transitions()[-1].gamma for land in lands])
    end = np.array([land.spinodals()[-1].gamma for land in lands])
    left.fill_between(depths, 0, change, color=LEARNED, alpha=0.25, lw=0)
    left.fill_between(depths, change, end, color=LEARNED, alpha=0.1, lw=0)
    left.plot(depths, change, color=JUMP, label="coexistence")
    left.plot(depths, end, color=TOP, ls="--", label="spinodal")
    left.plot(1, lands[0].moments.signal, "o", color=JUMP)
    left.plot(state["depth"], state["gamma"], "o", color=LEARNED, markersize=7)
    left.set(xlabel="depth D", ylabel="weight decay γ", xlim=(0.5, None), ylim=(0, None))
    left.legend()
    _landscape(right, landscape_of(state), state["gamma"])


def _landscape(axis: "Axes", land: Landscape, gamma: float) -> None:
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


_FORMS: dict[str, tuple[Callable[..., str], Callable[..., None]]] = {
    "equation_of_state": (_describe_state, _draw_state),
    "landscape": (_describe_landscape, _draw_landscape),
    "phase_diagram": (_describe_diagram, _draw_diagram),
}
