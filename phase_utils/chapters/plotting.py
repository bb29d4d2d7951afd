"""One figure style for the whole book: colour-blind safe, transparent, for print and dark mode."""

import os
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from phase_utils._check import integer, scalar, shown, text

# Okabe and Ito's palette without its yellow, which is too pale on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

STYLE: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 100,
    "figure.facecolor": "none",
    "font.size": 10,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 4,
    "mathtext.fontset": "cm",
    "savefig.bbox": "tight",
    "savefig.facecolor": "none",
    "svg.fonttype": "path",
    "svg.hashsalt": "phase-book",
}


MOST_COLUMNS = 20  # panels side by side
SMALLEST, LARGEST = 0.1, 100.0  # inches of a figure


def use_style() -> None:
    """Set the book's style for all following figures; in a notebook emit SVG, and PNG beside it.

    SVG stays sharp, can be inverted in dark mode, and becomes PDF in print. Jupyter shows PNG where
    a notebook is not trusted.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.plotting.use_style()
    """
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # the same figure is the same file
    plt.style.use(STYLE)
    try:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", "png")  # type: ignore[no-untyped-call]
        if "inline" in plt.get_backend():
            plt.switch_backend(plt.get_backend())  # now: a later switch brings the hook back
            plt.uninstall_repl_displayhook()  # which draws each figure once more, for no screen
    except (ImportError, AttributeError):  # no notebook: the figure formats are the caller's
        return


def depth_style(depth: int) -> dict[str, Any]:
    """Return colour and marker of a depth, the same in every figure.

    Parameters
    ----------
    depth : int
        Number of hidden layers, >= 0.

    Returns
    -------
    dict
        Arguments of `Axes.plot`.

    Raises
    ------
    ValueError
        For a depth that is no whole number, or negative.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.plotting.depth_style(2)
    {'color': '#009E73', 'marker': '^'}
    """
    depth = integer("depth", depth, minimum=0)
    return {
        "color": COLOURS[depth % len(COLOURS)],
        "marker": MARKERS[depth % len(MARKERS)],
    }


def literal(name: str) -> str:
    r"""Return text of a figure that shows a name as it is: no formula is read in it.

    Parameters
    ----------
    name : str
        Of a file or a column. Matplotlib takes what stands between two dollars for a formula.

    Returns
    -------
    str
        Text for a label or a title, also beside formulas of one's own.

    Raises
    ------
    ValueError
        If the name is no text.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.plotting.literal("in $ and US$.csv")
    'in \\$ and US\\$.csv'
    """
    return text("name", name).replace("$", r"\$")


def panels(columns: int = 1, *, width: float = 7.2, height: float = 3.0) -> tuple[Figure, Any]:
    """Return a figure with panels side by side.

    Parameters
    ----------
    columns : int
        Number of panels, 1 to 20.
    width, height : float
        Size of the figure in inches, 0.1 to 100.

    Returns
    -------
    figure : Figure
        With a transparent face.
    axes : Axes or array of Axes
        One, or `columns` of them.

    Raises
    ------
    ValueError
        For a number of columns or a size out of range.

    Examples
    --------
    >>> import phase_utils as pu
    >>> figure, (left, right) = pu.plotting.panels(2)
    >>> figure.get_size_inches().tolist()
    [7.2, 3.0]
    """
    columns = integer("columns", columns, minimum=1, maximum=MOST_COLUMNS)
    return plt.subplots(1, columns, figsize=_size(width, height))


def residual_panels(
    columns: int = 1, *, width: float = 7.2, height: float = 4.2
) -> tuple[Figure, Any, Any]:
    """Return a figure with a smaller panel for residuals below each of its panels, sharing x.

    Parameters
    ----------
    columns : int
        Number of panels side by side, 1 to 20.
    width, height : float
        Size of the figure in inches, 0.1 to 100.

    Returns
    -------
    figure : Figure
        With a transparent face.
    axes : array of Axes
        The main panels, (columns,).
    residuals : array of Axes
        Those below them, (columns,).

    Raises
    ------
    ValueError
        For a number of columns or a size out of range.

    Examples
    --------
    >>> import phase_utils as pu
    >>> figure, (main,), (residual,) = pu.plotting.residual_panels()
    >>> main.get_xlim() == residual.get_xlim()
    True
    """
    columns = integer("columns", columns, minimum=1, maximum=MOST_COLUMNS)
    figure, axes = plt.subplots(
        2,
        columns,
        figsize=_size(width, height),
        sharex="col",
        squeeze=False,
        height_ratios=[3, 1],
    )
    return figure, axes[0], axes[1]


def _size(width: float, height: float) -> tuple[float, float]:
    sizes = scalar("width", width), scalar("height", height)
    for name, size in zip(("width", "height"), sizes, strict=True):
        if not SMALLEST <= size <= LARGEST:
            raise ValueError(f"{name} must be {SMALLEST} to {LARGEST:g} inches, got {size:g}")
    return sizes


def mark(axes: Axes | Sequence[Axes], x: float, label: str, *, colour: str = "0.4") -> None:
    """Draw a labelled vertical line, to mark a transition or a spinodal.

    Parameters
    ----------
    axes : Axes or sequence of Axes
        Where it is drawn.
    x : float
        Where it stands, in units of the data.
    label : str
        Written at its top.
    colour : str
        Of line and label, as Matplotlib names it.

    Raises
    ------
    ValueError
        For axes that are none, a place that is no number, or a colour that is unknown.

    Examples
    --------
    >>> import phase_utils as pu
    >>> figure, axes = pu.plotting.panels()
    >>> pu.plotting.mark(axes, 0.149, "coexistence")
    >>> axes.texts[0].get_text()
    'coexistence'
    """
    several: Any = axes  # one, a list or an array of them
    if isinstance(axes, Axes):
        several = [axes]
    elif isinstance(several, np.ndarray):
        several = several.ravel().tolist()
    if not isinstance(several, list | tuple) or not all(isinstance(a, Axes) for a in several):
        raise ValueError(f"axes must be Axes or several of them, got {shown(axes)}")
    x, label = scalar("x", x), text("label", label)
    try:
        to_rgba(text("colour", colour))
    except ValueError:
        raise ValueError(f"colour must be one of Matplotlib, got {shown(colour)}") from None
    for axis in several:
        axis.axvline(x, color=colour, linestyle="--", linewidth=1)
        axis.annotate(
            label,
            (x, 1),
            xycoords=("data", "axes fraction"),
            xytext=(2, -2),
            textcoords="offset points",
            va="top",
            fontsize="small",
            color=colour,
        )
