"""Live lower envelope: lines of networks, and the least loss below all of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils._check import Reals, non_negative
from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LIMITS = {"gamma": [0.0, 1.0], "loss": [0.0, 1.2], "norm": [0.0, 2.0]}
_START = ((0.3, 0.4), (0.6, 0.35), (1.0, 0.15))  # the first is best at every decay shown


def lower_envelope(lines: Reals | None = None, *, gamma: float = 0.5) -> LiveFigure:
    """Live lower envelope: each network is a line over the decay, and L the lowest of them.

    Parameters
    ----------
    lines : (n, 2) array, optional
        Data loss in units of E[y^2], 0 to 1.2, and squared norm |w|^2, 0 to 2, of 2 to 5 networks;
        by default three, the first of which is best at every decay shown.
    gamma : float
        Weight decay at which L and its slope are read, 0 to 1.

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
    >>> figure = pu.widgets.lower_envelope([(0.1, 1.5), (1, 0)])
    >>> figure.state["lines"]
    [[0.1, 1.5], [1.0, 0.0]]
    """
    pairs = non_negative("lines", _START if lines is None else lines, ndim=(2,))
    if pairs.shape[1] != 2 or not 2 <= len(pairs) <= 5:
        raise ValueError(f"lines must have shape (2 to 5, 2), got {pairs.shape}")
    for loss, norm in pairs:
        within("lines[:, 0]", loss, _LIMITS["loss"])
        within("lines[:, 1]", norm, _LIMITS["norm"])
    limits = {**_LIMITS, "network": [0, len(pairs) - 1]}
    state = {"lines": pairs.tolist(), "network": 1, "limits": limits}
    return LiveFigure("lower_envelope", {**state, "gamma": within("gamma", gamma, limits["gamma"])})


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        f"Left: {len(state['lines'])} straight lines over the weight decay, and the lowest of them "
        "at each. Right: the same after the second line was turned downwards. Where two lines "
        "cross, the lowest has a kink and no jump."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the lines with their envelope, and again with the second one turned."""
    far = state["limits"]["gamma"][1]
    gamma = np.linspace(0, far, 401)
    first = np.array(state["lines"])
    turned = first.copy()
    turned[1, 1] = max(0, np.min(first.sum(axis=1) - first[1, 0]) - 0.25)
    left, right = figure.subplots(1, 2, sharey=True)
    for axis, lines in ((left, first), (right, turned)):
        losses = lines[:, :1] + lines[:, 1:] * gamma
        best = np.argmin(losses, axis=0)
        for i, loss in enumerate(losses):
            axis.plot(gamma, loss, color=TOP if i == 1 else "0.5", lw=1, ls="--" if i == 1 else "-")
        axis.plot(gamma, losses.min(axis=0), color=LEARNED, lw=3)
        for k in np.flatnonzero(np.diff(best)):
            axis.axvline(gamma[k], color=JUMP, lw=1, ls=":")
        axis.set(xlabel="weight decay γ", xlim=(0, far), ylim=(0, 1.5))
    left.set_ylabel("loss / E[y²]")
