"""Live phase diagram with gradient flow: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.landscape import draw_landscape
from phase_utils.chapters.live.states import landscape_of, start, state_of, within
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def phase_diagram(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
    B: float = 0.1,
) -> LiveFigure:
    """Live phase diagram over depth and decay; a point shows its landscape and gradient flow.

    Parameters
    ----------
    moments : Moments, optional
        Isotropic, because only then balanced weights along the signal stay so under the flow; by
        default with a = 1 and |E[xy]| = 0.45.
    gamma : float, optional
        As for `landscape`.
    depth : float
        As for `landscape`.
    noise_factor : float
        As for `landscape`.
    B : float
        Norm of each layer at the start of the flow, 0.01 to 1.5 of the least-squares value
        (E / N a)^(1/(D+1)) at D = 6 and N = 1, or to 1.5 if that is more.

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
    >>> figure = pu.widgets.phase_diagram(gamma=0.1, B=0.3)
    >>> figure.description[-39:]
    'the landscape at depth 2 and decay 0.1.'
    """
    moments = Moments.isotropic() if moments is None else moments
    state = state_of(moments, depth, noise_factor)
    a = np.array(state["a"])
    if np.ptp(a) > 1e-12 * a[0]:
        raise ValueError(f"moments must be isotropic, got eigenvalues from {min(a)} to {max(a)}")
    state["limits"]["B"] = [0.01, 1.2 * max(1.0, moments.signal / a[0])]
    state["B"] = within("B", B, state["limits"]["B"])
    state["gamma"] = start(gamma, state)
    return LiveFigure("phase_diagram", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        "Left: plane of depth and weight decay. The line of coexistence and the spinodal above it "
        f"start from the critical point at depth 1. Right: the landscape at depth "
        f"{state['depth']:g} and decay {state['gamma']:.4g}."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
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
    draw_landscape(right, landscape_of(state), state["gamma"])
