"""Live order of the transition at depth one by activation: its state, its form without scripts."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils._check import one_of
from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = ("linear", "tanh", "SiLU", "GELU")
_LIMITS = {"kind": [0, 3], "skew": [0.0, 1.0], "gamma": [0.7, 1.4]}


def activation_order(
    activation: str = "tanh", *, skew: float = 0, gamma: float = 1.1, signal: float = 0.45
) -> LiveFigure:
    """Live landscape of one nonlinear unit u h(wx) at the best u, and the norm of the best unit.

    Parameters
    ----------
    activation : {"linear", "tanh", "SiLU", "GELU"}
        h at the start.
    skew : float
        s of the input x = z + s (z^2 - 1), standardised, z Gaussian; 0 to 1.
    gamma : float
        Weight decay at the start in units of h'(0) |E[xy]|, 0.7 to 1.4.
    signal : float
        |E[xy]|, 0.2 to 1; the label is y = |E[xy]| x.

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
    >>> pu.widgets.activation_order("SiLU", skew=0.5).state["kind"]
    2
    """
    state = {
        "kind": _NAMES.index(one_of("activation", activation, _NAMES)),
        "skew": within("skew", skew, _LIMITS["skew"]),
        "gamma": within("gamma", gamma, _LIMITS["gamma"]),
        "signal": within("signal", signal, (0.2, 1)),
    }
    return LiveFigure("activation_order", {**state, "limits": _LIMITS})


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    return (
        "Squared norm of the best unit over the weight decay for tanh, SiLU and GELU, with signal "
        f"{state['signal']:g}. Left, symmetric inputs: all fall to zero continuously. Right, "
        "skewed inputs: tanh does so, SiLU and GELU drop from a finite norm."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the norm of the best unit for symmetric and for skewed inputs."""
    low, high = state["limits"]["gamma"]
    gamma = np.linspace(low, high, 281)
    panels = figure.subplots(1, 2, sharey=True)
    for axis, skew in zip(panels, (0.0, state["skew"] or 0.6), strict=True):
        for name, colour in zip(_NAMES[1:], (LEARNED, TOP, JUMP), strict=True):
            h, slope = _function(name)
            R = _best_norm(h, skew, state["signal"], slope * state["signal"] * gamma)
            axis.plot(gamma, R, color=colour, label=name)
        axis.set(xlabel="decay / h'(0) |E[xy]|", xlim=(gamma[0], gamma[-1]))
        axis.set_title(f"skew {skew:g}")
    panels[0].set(ylabel="best squared norm R", ylim=(0, None))
    panels[0].legend()


def _function(name: str) -> tuple[Callable[[Any], Any], float]:
    """An activation and its slope at zero."""
    from scipy.special import erf, expit

    known: dict[str, tuple[Callable[[Any], Any], float]] = {
        "tanh": (np.tanh, 1.0),
        "SiLU": (lambda z: z * expit(z), 0.5),
        "GELU": (lambda z: z * (1 + erf(z / np.sqrt(2))) / 2, 0.5),
    }
    return known[name]


def _best_norm(h: Callable[[Any], Any], skew: float, signal: float, gamma: Any) -> Any:
    """|w|^2 + u^2 of the best unit at each decay."""
    z = np.linspace(-8, 8, 401)
    x = (z + skew * (z**2 - 1)) / np.sqrt(1 + 2 * skew**2)
    p = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    w = np.linspace(-1.6, 1.6, 1201)
    out = h(w[:, None] * x)
    b, m = out @ (p * signal * x), out**2 @ p
    u = b / (m + gamma[:, None])
    loss = gamma[:, None] * w**2 - b * u
    best = np.argmin(loss, axis=1)
    return w[best] ** 2 + u[range(len(gamma)), best] ** 2
