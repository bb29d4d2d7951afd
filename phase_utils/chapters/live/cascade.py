"""Live map of the data of two modes with a cascade: its state, and its form without scripts."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phase_utils.chapters.live.figure import JUMP, LEARNED, TOP, LiveFigure
from phase_utils.chapters.live.states import within
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LIMITS = {"ratio": [4.0, 3000.0], "strength": [2e-4, 0.9], "depth": [1.25, 6.0]}


def cascade(*, ratio: float = 12, strength: float = 0.03, depth: float = 2) -> LiveFigure:
    """Live map of all data of two modes: which are lost in two jumps, and which in one.

    Parameters
    ----------
    ratio : float
        Of the strong eigenvalue to the weak one at the start, 4 to 3000.
    strength : float
        e^2 of the weak mode over that of the strong one at the start, 0.0002 to 0.9.
    depth : float
        D at the start, 1.25 to 6.

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
    >>> pu.widgets.cascade(ratio=300).description[-44:]
    'of data of ratio 300 and strength 0.03: two.'
    """
    given = {"ratio": ratio, "strength": strength, "depth": depth}
    state = {key: within(key, value, _LIMITS[key]) for key, value in given.items()}
    return LiveFigure("cascade", {**state, "limits": _LIMITS})


def end_ratio(depth: float) -> float:
    """Ratio of eigenvalues up to which no data have a cascade."""
    return float(np.exp(np.arccosh(9 + 4 * (depth - 1 + 1 / (depth - 1)))))


def faintest(ratio: float, depth: float) -> float:
    """Strength of the weak mode below which it has no minimum of its own."""
    p = (depth - 1) / (depth + 1)
    half, square = p * (1 + ratio), (3 + p) * ratio
    weak = (half + np.sqrt(half**2 - square * p * (1 + 3 * p))) / square  # of N a z
    q, Q = weak / (1 + weak), weak * ratio / (1 + weak * ratio)
    P = p / (1 + p)
    return float((Q - P) / (P - q) * ((1 - Q) / (1 - q)) ** 2)


def triple(theta: float, depth: float) -> NDArray[np.float64]:
    """Ratio and strength of data with a triple point, where ln u jumps by 2 theta / D."""
    k = np.arange(4) - 1 - 1 / depth
    m = np.sinh(k * theta) / np.tanh(theta) - k * np.cosh(k * theta)
    m = np.abs(m)  # moments of the penalty, up to a factor
    total, product = np.linalg.solve(np.array([[m[1], -m[0]], [m[2], -m[1]]]), m[2:])
    a = np.sort(np.roots([1, -total, product]).real)
    weights = np.linalg.solve(np.array([[1, 1], a]), m[:2])
    e2 = weights * (a**2 + 1 + 2 * a * np.cosh(theta)) ** 2
    return np.array([a[1] / a[0], e2[0] / e2[1]])


def landscape_of(state: Mapping[str, Any]) -> Landscape:
    """Return the package's landscape of the data."""
    a, e2 = np.array([1, 1 / state["ratio"]]), 0.2 * np.array([1, state["strength"]])
    moments = Moments.from_spectrum(a, np.sqrt(e2), float(np.sum(e2 / a)))
    return Landscape(moments, state["depth"])


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    count = "two" if len(landscape_of(state).transitions()) > 1 else "one"
    ratio, strength, depth = (f"{state[key]:g}" for key in ("ratio", "strength", "depth"))
    tip = end_ratio(state["depth"])
    return (
        "Left: data of two modes, by the ratio of their eigenvalues and the strength of the weak "
        f"one. Those with two jumps fill a wedge whose tip is at the ratio {tip:.3g} for depth "
        f"{depth}. Right: features learned over the decay. Jumps of data of ratio {ratio} and "
        f"strength {strength}: {count}."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the wedge of data with two jumps, and what is learned of the given and of wider data."""
    left, right = figure.subplots(1, 2)
    D, limits = state["depth"], state["limits"]
    ratios = np.geomspace(end_ratio(D), limits["ratio"][1], 60)
    lower = np.array([faintest(ratio, D) for ratio in ratios])
    edge = np.array([triple(theta, D) for theta in np.linspace(0.02, 6, 60)])
    upper = np.exp(np.interp(np.log(ratios), *np.log(edge).T))
    left.fill_between(ratios, lower, upper, color=LEARNED, alpha=0.25, lw=0)
    left.plot(*edge.T, color=JUMP)
    left.plot(ratios, lower, color=TOP, ls="--")
    left.axvline(end_ratio(D), color="0.5", lw=1, ls=":")
    left.set(xscale="log", yscale="log", xlim=limits["ratio"], ylim=limits["strength"])
    left.set(xlabel="ratio of eigenvalues a₁/a₂", ylabel="strength e₂²/e₁²")
    left.text(2600, 0.003, "two jumps", ha="right")
    wide = 10 * end_ratio(D)
    inside = {**state, "ratio": wide, "strength": float(np.sqrt(faintest(wide, D) * upper[-1]))}
    for each, colour in ((state, LEARNED), (inside, TOP)):
        left.plot(each["ratio"], each["strength"], "o", color=colour)
        draw_learned(right, landscape_of(each), colour)
    right.set(xlabel="weight decay γ", ylabel="features learned", ylim=(0, 2.1), xlim=(0, None))


def draw_learned(axis: "Axes", land: Landscape, colour: str) -> None:
    """Draw the sum of the degrees of learning at the global minimum over the decay."""
    jumps = np.array([t.gamma for t in land.transitions()])
    gammas = np.append(
        np.linspace(0, 1.25 * jumps[-1], 200)[1:], np.outer(jumps, [1 - 1e-9, 1 + 1e-9])
    )
    gammas = np.sort(gammas)
    U = land.global_minimum(gammas).B[:, None] ** (2 * land.depth)
    a = land.moments.eigenvalues
    axis.plot(gammas, np.sum(a * U / (a * U + gammas[:, None]), axis=1), color=colour)
