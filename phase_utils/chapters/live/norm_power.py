"""Live landscape under a power of the norm: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMITS = {"power": [1.0, 7.0], "depth": [1.0, 4.0], "decay": [0.05, 1.6]}


def norm_power(*, power: float = 2, depth: float = 2, decay: float = 0.5) -> LiveFigure:
    """Live landscape and size of the best network under gamma |w|^p, isotropic data.

    Parameters
    ----------
    power : float
        p at the start, 1 to 7.
    depth : float
        D at the start, 1 to 4.
    decay : float
        gamma at the start in units of 2 |E[xy]| / (D + 1)^(p/2), 0.05 to 1.6.

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
    >>> pu.widgets.norm_power(power=2.5).description[:64]
    'Left: loss of balanced layers over their size B under the power '
    """
    given = {"power": power, "depth": depth, "decay": decay}
    state = {key: within(key, value, _LIMITS[key]) for key, value in given.items()}
    return LiveFigure("norm_power", {**state, "limits": _LIMITS})


def landscape_of(depth: float, power: float) -> tuple[Landscape, float]:
    """Return the package's landscape, and the unit of decays."""
    moments = Moments.isotropic()
    land = Landscape(moments, depth, penalty_power=power)
    return land, 2 * moments.signal / (depth + 1) ** (power / 2)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    power, depth = state["power"], state["depth"]
    return (
        f"Left: loss of balanced layers over their size B under the power {power:g} of the norm, "
        f"depth {depth:g}. Right: B of the best network over the decay, for the powers {power:g}, "
        f"{depth + 1:g} and {depth + 2:g}: it jumps to zero below {depth + 1:g}, fades out there, "
        "and never arrives above."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the landscape of the state, and the best B for its power and two higher ones."""
    left, right = figure.subplots(1, 2)
    depth = state["depth"]
    land, unit = landscape_of(depth, state["power"])
    gamma, zero = state["decay"] * unit, land.moments.Eyy
    B = np.linspace(0, 1.15 * land.moments.signal ** (1 / (depth + 1)), 300)
    loss = land.balanced_loss(B, gamma) - zero
    left.axhline(0, color="0.5", lw=1, ls="--")
    left.plot(B, loss, color=LEARNED)
    for place in land.minima(gamma):
        left.plot(place, land.balanced_loss(place, gamma) - zero, "o", color=LEARNED)
    low = min(-0.03, 1.25 * float(loss.min()))
    left.set(xlabel="size B", ylabel="loss − E[y²]", ylim=(low, max(0.05, -low)))
    least, most = state["limits"]["decay"]
    parts = np.linspace(least, most, 400)
    powers = state["power"], depth + 1, depth + 2
    for power, colour in zip(powers, (JUMP, TOP, LEARNED), strict=True):
        land, unit = landscape_of(depth, power)
        best = land.global_minimum(parts * unit).B
        right.plot(parts, best, color=colour, label=f"p = {power:g}")
    right.set(xlabel="decay γκ/2E", ylabel="size B of the best", ylim=(0, None))
    right.legend()
