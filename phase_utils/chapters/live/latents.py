"""Live latents of a linear autoencoder of digits: its state, and its form without scripts."""

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from phase_utils.chapters.live.figure import JUMP, LEARNED, LiveFigure
from phase_utils.chapters.live.states import within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LATENTS, _VARIANCE, _LIMITS = 16, 0.5, [0.02, 1.6]
_SHOWN = (0, 1, 2, 3, 4, 7)  # labels of the images


def latents(*, price: float = 0.04) -> LiveFigure:
    """Live latents of the best linear autoencoder of digits, at a price on what they carry.

    Parameters
    ----------
    price : float
        beta at the start, 0.02 to 1.6, for the decoder variance 0.5 of each pixel.

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
    >>> pu.widgets.latents(price=0.3).description[:49]
    'Left: sizes of the 16 columns of the decoder over'
    """
    state = {"price": within("price", price, _LIMITS), "limits": {"price": _LIMITS}}
    return LiveFigure("latents", {**state, **_digits()})


@cache
def _digits() -> dict[str, Any]:
    """Moments of the digits, and some of them with their codes; pixels in a byte each."""
    from phase_utils.chapters.images import images

    digits = images("digits")
    x, labels = digits.x.flatten(1).double().numpy(), digits.y.numpy()
    mean = x.mean(axis=0)
    sizes, axes = np.linalg.eigh(np.cov((x - mean).T, bias=True))
    a, axes = sizes[::-1], axes.T[::-1]
    axes *= np.sign(axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)])[:, None]
    chosen = x[[int(np.argmax(labels == label)) for label in _SHOWN]]
    pixels = np.concatenate([[mean], axes[:_LATENTS], chosen])
    stored = np.rint(127.5 * (pixels + 1)).astype(np.uint8)
    return {
        "a": a[:_LATENTS].tolist(),
        "rest": float(a[_LATENTS:].sum()),
        "variance": _VARIANCE,
        "codes": np.round((chosen - mean) @ axes[:_LATENTS].T, 4).tolist(),
        "pixels": stored.tobytes().hex(),
    }


def rows_of(state: Mapping[str, Any]) -> NDArray[np.float64]:
    """Mean, axes and images of a state, a row each."""
    stored = np.frombuffer(bytes.fromhex(state["pixels"]), dtype=np.uint8)
    return stored.reshape(-1, 64) / 127.5 - 1


def rebuilt(state: Mapping[str, Any], price: float) -> NDArray[np.float64]:
    """Images drawn from the means of their codes at a price, a row each."""
    a, rows = np.array(state["a"]), rows_of(state)
    part = np.maximum(1 - price * state["variance"] / a, 0)
    return rows[0] + (part * np.array(state["codes"])) @ rows[1 : len(a) + 1]


def described(state: Mapping[str, Any]) -> str:
    """Return what the static figure shows, for those who do not see it."""
    a, price = np.array(state["a"]), state["price"]
    live = int(np.sum(a > price * state["variance"]))
    return (
        f"Left: sizes of the {len(a)} columns of the decoder over the price. Each falls to zero as "
        f"a square root, at its own price; {live} are left at {price:g}. Right: images of digits, "
        "and what is drawn from their codes at three prices. They blur and end as one average."
    )


def draw(figure: "Figure", state: Mapping[str, Any]) -> None:
    """Draw the square roots, and images at the price of the state and two higher ones."""
    left, right = figure.subplots(1, 2)
    for a in state["a"]:
        level = a * (1 - np.linspace(0, 1, 60) ** 2)
        left.plot(level / state["variance"], np.sqrt(a - level), color=LEARNED, lw=1)
    left.axvline(state["price"], color=JUMP)
    left.set(xlabel="price β", ylabel="size |Uᵢ| of the decoder", xlim=(0, None), ylim=(0, None))
    prices = [state["price"], 0.3, 1.0]
    tables = [rows_of(state)[len(state["a"]) + 1 :]]
    tables += [rebuilt(state, price) for price in prices]
    for i, images in enumerate(tables):
        for j, image in enumerate(images[:4]):
            draw_image(right, image, (9.5 * j, 9.5 * i))
    right.set(xlim=(-0.5, 37.5), ylim=(9.5 * len(tables), -0.5), aspect="equal")
    right.set_yticks(9.5 * np.arange(len(tables)) + 4, ["data", *(f"β = {p:g}" for p in prices)])
    right.set_xticks([])
    right.grid(visible=False)
    right.spines[:].set_visible(False)
    right.tick_params(length=0)


def draw_image(axis: "Axes", image: NDArray[np.float64], corner: tuple[float, float]) -> None:
    """Draw 8 by 8 pixels in the ink of the page, one path for each of 8 shades."""
    from matplotlib import rcParams
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    shades = np.rint(8 * np.clip(image.reshape(8, 8), 0, 1)).astype(int)
    bars: dict[int, list[Path]] = {}
    for y, row in enumerate(shades):  # pixels of one shade beside each other are one bar
        cuts = [0, *(np.flatnonzero(np.diff(row)) + 1), 8]
        for x, end in pairwise(cuts):
            bar = square * [end - x, 1] + [x, y] + np.array(corner)
            bars.setdefault(int(row[x]), []).append(Path(bar))
    for shade in sorted(bars.keys() - {0}):
        path = Path.make_compound_path(*bars[shade])
        ink = {"facecolor": rcParams["text.color"], "alpha": shade / 8, "linewidth": 0}
        axis.add_patch(PathPatch(path, **ink))
