"""Live modes of a linear encoder under augmentation: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from phase_utils._check import flag
from phase_utils.chapters.live.figure import LEARNED, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIANCES = [round(0.7**i, 4) for i in range(8)]  # of the modes, in units of the first
_LIMITS = {"noise": [0.02, 20.0], "gamma": [0.0, 0.5], "views": [0, 1]}


def augmentation(*, noise: float = 0.03, gamma: float = 0, views: bool = False) -> LiveFigure:
    """Live modes of a linear encoder under augmentation by noise: which of them are represented.

    Parameters
    ----------
    noise : float
        Variance of the augmentation at the start, 0.02 to 20 times that of the strongest mode.
    gamma : float
        Weight decay at the start, 0 to 0.5.
    views : bool
        Whether the contrast is between views at the start; if not, between clean images.

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
    >>> pu.widgets.augmentation(noise=0.3).description[:53]
    'How much of 8 modes a linear encoder represents, over'
    """
    state: dict[str, Any] = {
        "noise": within("noise", noise, _LIMITS["noise"]),
        "gamma": within("gamma", gamma, _LIMITS["gamma"]),
        "views": int(flag("views", views)),
    }
    return LiveFigure("augmentation", {**state, "a": _VARIANCES, "limits": _LIMITS})


def variances(a: ArrayLike, noise: ArrayLike, gamma: float, views: bool) -> NDArray[np.float64]:
    """Variance of each mode in the representation; `a` and `noise` are broadcast."""
    a, noise = np.asarray(a, dtype=float), np.asarray(noise, dtype=float)
    ratio = (noise + gamma) / (a + noise * views)
    return np.maximum(2 / (np.sqrt(1 + 8 * ratio) - 1) - 1, 0)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        f"How much of {len(state['a'])} modes a linear encoder represents, over the noise of the "
        "augmentation. Left, contrast between clean images: one mode after the other falls to "
        "zero. Right, contrast between views: all fade and none dies."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw what is represented of each mode over the noise, for both contrasts."""
    low, high = state["limits"]["noise"]
    noise = np.geomspace(low, high, 200)
    titles = ("contrast between clean images", "contrast between views")
    for axis, views, title in zip(figure.subplots(1, 2), (False, True), titles, strict=True):
        s = variances(state["a"], noise[:, None], state["gamma"], views)
        axis.plot(noise, s / (1 + s), color=LEARNED, lw=1)
        axis.set(title=title, xscale="log", xlabel="noise c", ylim=(0, 1))
        axis.set_ylabel("represented, s/(1 + s)")
