"""Live poles of ridge regression: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils._check import Reals, integer, non_negative
from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 64  # terms


def ridge_poles(
    weak: float = 0.5, *, gamma: float = 0.4, terms: int = 8, shares: Reals = (0.5, 0.4)
) -> LiveFigure:
    """Live poles of L in the plane of the complex decay, at depth zero, beside L and its series.

    Parameters
    ----------
    weak : float
        Eigenvalue of the weaker of two modes, 0 to 1; the stronger has 1.
    gamma : float
        Weight decay about which L is expanded, 0.05 to 1.5.
    terms : int
        Of the Taylor series that are drawn, 1 to 64.
    shares : (2,) array
        Of E[y^2], explained by the strong mode and by the weak one: e_i^2 / (a_i E[y^2]); their
        sum is at most 1.

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
    >>> pu.widgets.ridge_poles(0.2).state["limits"]["weak"]
    [0.0, 1.0]
    """
    parts = non_negative("shares", shares, ndim=(1,))
    if parts.shape != (2,) or parts.sum() > 1:
        raise ValueError(f"shares must be two numbers of sum <= 1, got {parts.tolist()}")
    limits = {"weak": [0.0, 1.0], "gamma": [0.05, 1.5], "terms": [1, _MOST]}
    state = {
        "weak": within("weak", weak, limits["weak"]),
        "gamma": within("gamma", gamma, limits["gamma"]),
        "terms": integer("terms", terms, minimum=1, maximum=_MOST),
        "shares": parts.tolist(),
        "limits": limits,
    }
    return LiveFigure("ridge_poles", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        f"Left: complex plane of the weight decay with poles at -1 and -{state['weak']:g} and a "
        f"circle about {state['gamma']:g} through the nearest. Right: the least loss over real "
        "decays, smooth from zero on, and its Taylor series, which leaves it outside of the circle."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the plane with its poles, and L with its series."""
    a = np.array([1, state["weak"]])
    strength = a * np.array(state["shares"])
    a, strength = a[a > 0], strength[a > 0]
    centre = state["gamma"]
    radius = centre + a.min()

    def gain(decay: Any) -> Any:
        return np.sum(strength / (a + np.asarray(decay)[..., None]), axis=-1)

    left, right = figure.subplots(1, 2)
    across, up = np.linspace(-1.3, 1.5, 181), np.linspace(-0.95, 0.95, 122)
    size = np.log10(np.abs(gain(across + 1j * up[:, None])))
    left.contourf(across, up, size, levels=np.linspace(-0.6, 1, 9), cmap="Blues", extend="both")
    turn = np.linspace(0, 2 * np.pi, 200)
    left.plot(centre + radius * np.cos(turn), radius * np.sin(turn), color=JUMP)
    left.plot([0, 1.5], [0, 0], color=LEARNED, lw=3)
    left.plot(-a, 0 * a, "x", color=TOP, markersize=8)
    left.set(xlabel="Re γ", ylabel="Im γ", xlim=(-1.3, 1.5), ylim=(-0.95, 0.95))
    left.set_aspect("equal")
    decay = np.linspace(0, 1.5, 300)
    right.plot(decay, 1 - gain(decay), color=LEARNED, lw=2.5, label="L")
    line = np.linspace(-1.3, 1.5, 600)
    orders = np.arange(state["terms"])[:, None, None]
    powers = (-(line[:, None] - centre) / (a + centre)) ** orders
    sums = 1 - np.sum(strength / (a + centre) * powers, axis=(0, 2))
    right.plot(line, sums, color=TOP, ls="--", label=f"{state['terms']} terms")
    for edge in (centre - radius, centre + radius):
        right.axvline(edge, color=JUMP, lw=1)
    right.set(xlabel="weight decay γ", ylabel="L / E[y²]", xlim=(-1.3, 1.5), ylim=(0, 1.2))
    right.legend()
