"""Live limit of infinite depth: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DEPTHS = (1.0, 10_000.0)
_PRICES = (0.0, 2.2)


def deep_limit(depth: float = 1, *, price: float = 0.8, signal: float = 0.45) -> LiveFigure:
    """Live least loss of ever deeper networks, over the decay and over the decay times the depth.

    The data are isotropic, with variance 1 and without noise.

    Parameters
    ----------
    depth : float
        D at the start, 1 to 10,000.
    price : float
        Where the loss is read: gamma (D+1) |beta_0|^(2/(D+1)) in units of all that can be learned,
        0 to 2.2.
    signal : float
        |E[xy]|, 0.1 to 1.

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
    >>> pu.widgets.deep_limit(16).state["limits"]["depth"]
    [1.0, 10000.0]
    """
    state = {
        "depth": within("depth", depth, _DEPTHS),
        "price": within("price", price, _PRICES),
        "signal": within("signal", signal, (0.1, 1)),
        "limits": {"depth": list(_DEPTHS), "price": list(_PRICES)},
    }
    return LiveFigure("deep_limit", state)


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        "Least loss at depths 1, 4, 64 and 10,000. Left, over the weight decay in units of "
        f"{state['signal']:g}: the rise gets steeper without end. Right, over the decay times the "
        "depth: the curves settle on a line with a kink."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw L at four depths, plain and rescaled."""
    E = state["signal"]
    m = Moments.isotropic(1, signal=E)
    left, right = figure.subplots(1, 2, sharey=True)
    kinds = ((1, TOP, ":"), (4, JUMP, "-."), (64, LEARNED, "--"), (10_000, LEARNED, "-"))
    for depth, colour, style in kinds:
        land, scale = Landscape(m, depth), (depth + 1) * E ** (2 / (depth + 1))
        plain = np.linspace(0, 1.1, 240) * E
        rescaled = np.linspace(*_PRICES, 240) * E**2 / scale
        for axis, gamma, at in (
            (left, plain, plain / E),
            (right, rescaled, rescaled * scale / E**2),
        ):
            loss = (land.global_minimum(gamma).loss - m.Eyy) / E**2
            axis.plot(at, loss, color=colour, ls=style, label=f"D = {depth:,}")
    left.set(xlabel="weight decay γ / |E[xy]|", ylabel="(L − E[y²]) / S", xlim=(0, 1.1))
    right.set(xlabel="price of least squares / S", xlim=_PRICES)
    right.legend()
