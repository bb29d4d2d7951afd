"""Live ray of a residual network of given paths: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phase_utils._check import integer
from phase_utils.chapters.live.figure import LEARNED, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLOCKS = 8  # of a ResNet18
_LIMITS = {"gamma": [0.02, 3.0], "branch": [0.05, 5.0], "matrices": [0, _BLOCKS]}


def residual_ray(*, gamma: float = 0.4, branch: float = 0.3, matrices: int = 3) -> LiveFigure:
    """Live loss of a residual network whose weights are all multiplied by one number.

    Parameters
    ----------
    gamma : float
        Weight decay at the start, in units in which |w|^2 = 1 at a = 1, 0.02 to 3.
    branch : float
        What a branch adds over what its shortcut carries, at a = 1, 0.05 to 5.
    matrices : int
        How many of the eight shortcuts have a matrix at the start, 0 to 8; three in a ResNet18.

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
    >>> pu.widgets.residual_ray(matrices=0).description[:46]
    'Left: loss of a residual network with paths of'
    """
    state: dict[str, Any] = {
        "gamma": within("gamma", gamma, _LIMITS["gamma"]),
        "branch": within("branch", branch, _LIMITS["branch"]),
        "matrices": integer("matrices", matrices, minimum=0, maximum=_BLOCKS),
    }
    return LiveFigure("residual_ray", {**state, "blocks": _BLOCKS, "limits": _LIMITS})


def output(state: Mapping[str, Any], a: ArrayLike) -> NDArray[np.float64]:
    """Output at weights times a, over that at a = 1: a factor for each matrix and block."""
    a, n, m, c = np.asarray(a, float), state["blocks"], state["matrices"], state["branch"]
    plain = (1 + c * a**2) ** (n - m)
    mixed = (a + c * a**2) ** m
    return np.asarray(a**2 * plain * mixed / (1 + c) ** n)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    shortest, longest = 2 + state["matrices"], 2 + 2 * state["blocks"]
    return (
        f"Left: loss of a residual network with paths of {shortest} to {longest} matrices, all "
        f"weights multiplied by one number, at three decays. Zero is a minimum"
        f"{' of each' if state['matrices'] else ' of the highest only'}. Right: the number of "
        "matrices on a path, on average, rises from the shortest to the longest."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the loss along the ray at three decays, and the exponent of the output."""
    left, right = figure.subplots(1, 2)
    a = np.linspace(0, 1.1, 300)
    f = output(state, a)
    for part, style in ((0.5, ":"), (1, "-"), (2, "--")):
        gamma = part * state["gamma"]
        total = f * (f - 2) + gamma * a**2
        left.plot(a, total, color=LEARNED, ls=style, label=f"γ = {gamma:g}")
    left.axhline(0, color="0.5", lw=1)
    left.set(xlabel="all weights times a", ylabel="loss − that of zero", ylim=(-0.9, 0.5))
    left.legend()
    logs = np.linspace(-1.6, 1.6, 400) * np.log(10)
    right.plot(np.exp(logs), np.gradient(np.log(output(state, np.exp(logs))), logs), color=LEARNED)
    for k in (2 + state["matrices"], 2 + 2 * state["blocks"]):
        right.axhline(k, color="0.5", lw=1, ls="--")
    right.set(xscale="log", xlabel="a", ylabel="matrices on a path, k(a)", ylim=(0, None))
