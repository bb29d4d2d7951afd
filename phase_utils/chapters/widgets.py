"""Live figures that need no kernel: drawn in the page, and the same as widgets in live Jupyter.

Each is one JavaScript module of `phase_utils/chapters/live`, on shared formulas (`theory.js`,
`transitions.js`) and drawing (`draw.js`), put together in one file when it is shown. Without a
script, in print and in LaTeX a static figure stands in its place. Where the environment variable
PHASE_BOOK_STATIC is 1, as in the book, no widget is made: in a page without a kernel it is dead.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from html import escape
from importlib import resources
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from phase_utils._check import function, instance, one_of, scalar, shown, text
from phase_utils.chapters import live_figures
from phase_utils.chapters.execution import STATIC
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LiveFigure", "equation_of_state", "landscape", "module", "phase_diagram", "script"]

LIVE = ("equation_of_state", "landscape", "phase_diagram")  # their modules

_QUOTED = r"`[^`]*`|\"[^\"\n]*\""
_INK = "#010203"  # of the static figure, replaced by the ink of the page

# Shows every figure of its name that no script has shown yet, with a model that lives in the page.
_SHIM = """
for (const el of document.querySelectorAll('.pu-live[data-live="NAME"]:not([data-ready])')) {
  const state = JSON.parse(el.dataset.state), heard = new Set();
  el.dataset.ready = "";
  render({ el, model: {
    get: (key) => state[key],
    set: (key, value) => { state[key] = value; },
    save_changes: () => heard.forEach((f) => f()),
    on: (_, f) => heard.add(f), off: (_, f) => heard.delete(f),
  } });
}"""


class LiveFigure:
    """A figure that reacts: in Jupyter a widget, elsewhere a page of its own.

    Parameters
    ----------
    name : str
        Of the module in the folder `live`.
    state : dict
        What the module starts from; each entry is a trait of `widget`.
    description : str
        What the static figure shows, for those who do not see it.
    draw : callable
        Of a figure and the state: draws the static form.
    """

    def __init__(
        self,
        name: str,
        state: Mapping[str, Any],
        description: str,
        draw: Callable[["Figure", Mapping[str, Any]], None],
    ) -> None:
        self.name, self.description = (
            one_of("name", name, _names()),
            text("description", description),
        )
        if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
            raise ValueError(f"state must be a dict of traits by name, got {shown(state)}")
        self.state = dict(state)
        self._draw = function("draw", draw, "a figure and the state")

    @cached_property
    def widget(self) -> Any:
        """The anywidget, whose traits follow the controls and set them."""
        return _widget_class(self.name, tuple(self.state))(**self.state)

    def static(self, form: str = "svg") -> bytes:
        """Return the static figure as a file; the same bytes each time.

        Parameters
        ----------
        form : {"svg", "pdf"}
            Format of the file.

        Returns
        -------
        bytes
            Its content.
        """
        import matplotlib.pyplot as plt

        from phase_utils.chapters import plotting

        date = {"svg": "Date", "pdf": "CreationDate"}[one_of("form", form, ("svg", "pdf"))]
        ink = _INK if form == "svg" else "black"
        parts = ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "grid.")
        file = BytesIO()
        style: dict[Any, Any] = plotting.STYLE | {f"{part}color": ink for part in parts}
        with plt.rc_context({**style, "svg.fonttype": "none"}):
            figure = plt.figure(figsize=(7.2, 3.1))
            self._draw(figure, self.state)
            figure.savefig(file, format=form, metadata={date: None})
            plt.close(figure)
        return file.getvalue()

    def _repr_html_(self) -> str:
        """The figure for a page: the static one, and the script that replaces it."""
        svg = self.static().decode().replace(_INK, "currentColor")
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        opening = f'<svg role="img" aria-label="{escape(self.description)}" '
        svg = svg.replace("<svg ", f'{opening}style="max-width: 100%; height: auto" ', 1)
        state = escape(json.dumps(self.state))
        return (
            f'<div class="pu-live" data-live="{self.name}" data-state="{state}">'
            f'<div class="pu-live-static">{svg}</div></div>\n'
            f'<script type="module">{script(self.name)}</script>'
        )

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        """The widget, unless PHASE_BOOK_STATIC is 1; the page's form; PDF for LaTeX."""
        data = {
            "text/plain": f"{self.name.replace('_', ' ')}: {self.description}",
            "text/html": self._repr_html_(),
            "application/pdf": b64encode(self.static("pdf")).decode(),
        }
        if os.environ.get(STATIC) == "1":
            return data
        view = self.widget._repr_mimebundle_(include=include, exclude=exclude)
        if not isinstance(view, tuple):
            return data
        return {**view[0], **data}, view[1]


def landscape(
    moments: Moments | None = None,
    *,
    gamma: Any = None,
    depth: Any = 2,
    noise_factor: Any = 1,
    anisotropy: Any = 0,
) -> LiveFigure:
    """Live effective landscape (Eq. 6): minima, barrier, spinodals and coexistence at each decay.

    Parameters
    ----------
    moments : Moments, optional
        With k = 1 and E[xy] != 0; by default two modes with eigenvalues 1 and 0.01 and |E[xy]| =
        0.45.
    gamma : float, optional
        Weight decay > 0 at the start; by default at coexistence, or |E[xy]| for D <= 1.
    depth : float
        D at the start, 0.5 to 6.
    noise_factor : float
        N at the start, 1 to 4.
    anisotropy : float
        0 to 1. The eigenvalues are a_1 (a_i / a_1)^anisotropy, a_1 the largest: 0 makes the data
        isotropic, 1 leaves them as they are.

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
    >>> pu.widgets.landscape(depth=3).name
    'landscape'
    """
    moments = _two_modes() if moments is None else moments
    state = _state(moments, depth, noise_factor)
    state["limits"]["anisotropy"] = [0, 1]
    state["anisotropy"] = _within("anisotropy", anisotropy, (0, 1))
    state["gamma"] = _start(gamma, state)
    return LiveFigure(
        "landscape", state, live_figures.describe_landscape(state), live_figures.landscape
    )


def equation_of_state(
    moments: Moments | None = None, *, gamma: Any = None, depth: Any = 2, noise_factor: Any = 1
) -> LiveFigure:
    """Live equation of state gamma(R) with Maxwell's areas, beside the loss L(gamma).

    Parameters
    ----------
    moments : Moments, optional
        As for `landscape`; by default isotropic with a = 1 and |E[xy]| = 0.45.
    gamma : float, optional
        As for `landscape`.
    depth : float
        As for `landscape`.
    noise_factor : float
        As for `landscape`.

    Returns
    -------
    LiveFigure
        Shown where a cell ends with it.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.
    """
    state = _state(Moments.isotropic() if moments is None else moments, depth, noise_factor)
    state["gamma"] = _start(gamma, state)
    return LiveFigure(
        "equation_of_state", state, live_figures.describe_state(state), live_figures.state_curve
    )


def phase_diagram(
    moments: Moments | None = None,
    *,
    gamma: Any = None,
    depth: Any = 2,
    noise_factor: Any = 1,
    B: Any = 0.5,
) -> LiveFigure:
    """Live phase diagram over depth and decay; a point shows its landscape and gradient flow.

    Parameters
    ----------
    moments : Moments, optional
        Isotropic, because only then balanced weights along the signal stay so under the flow; by
        default with a = 1 and |E[xy]| = 0.45.
    gamma : float, optional
        As for `landscape`.
    depth : float
        As for `landscape`.
    noise_factor : float
        As for `landscape`.
    B : float
        Norm of each layer at the start of the flow, 0.01 to 1.5 of the least-squares value
        (E / N a)^(1/(D+1)) at D = 6 and N = 1, or to 1.5 if that is more.

    Returns
    -------
    LiveFigure
        Shown where a cell ends with it.

    Raises
    ------
    ValueError
        Names the argument, its value and the rule it breaks.
    """
    moments = Moments.isotropic() if moments is None else moments
    state = _state(moments, depth, noise_factor)
    a = np.array(state["a"])
    if np.ptp(a) > 1e-12 * a[0]:
        raise ValueError(f"moments must be isotropic, got eigenvalues from {min(a)} to {max(a)}")
    state["limits"]["B"] = [0.01, 1.2 * max(1.0, moments.signal / a[0])]
    state["B"] = _within("B", B, state["limits"]["B"])
    state["gamma"] = _start(gamma, state)
    return LiveFigure(
        "phase_diagram", state, live_figures.describe_diagram(state), live_figures.diagram
    )


def script(name: str) -> str:
    """Return what a page runs to show its live figures of one name.

    Parameters
    ----------
    name : str
        Of the module in the folder `live`.

    Returns
    -------
    str
        JavaScript.
    """
    return f"{module(name)}{_shortened(_SHIM).replace('NAME', name)}"


def module(name: str) -> str:
    """Return a module of the folder `live` as one file, with all that it imports inside it.

    Parameters
    ----------
    name : str
        Of the module.

    Returns
    -------
    str
        JavaScript.
    """
    return _joined(one_of("name", name, _names()))


@cache
def _names() -> tuple[str, ...]:
    files = (resources.files("phase_utils.chapters") / "live").iterdir()
    return tuple(sorted(f.name.removesuffix(".js") for f in files if f.name.endswith(".js")))


@cache
def _joined(name: str) -> str:
    return "\n".join(_shortened(source) for source in _sources(name, {}).values())


@cache
def _widget_class(name: str, keys: tuple[str, ...]) -> type:
    import anywidget
    import traitlets

    traits = {key: traitlets.Any().tag(sync=True) for key in keys}
    return type("LiveWidget", (anywidget.AnyWidget,), {"_esm": module(name), **traits})


def _sources(name: str, known: dict[str, str]) -> dict[str, str]:
    """Add the modules that `name` imports, then itself, each once, to what is known."""
    if name not in known:
        path = resources.files("phase_utils.chapters") / "live" / f"{name}.js"
        source = path.read_text(encoding="utf-8")
        for imported in re.findall(r'^import .* from "\./(\w+)\.js";$', source, re.MULTILINE):
            _sources(imported, known)
        known[name] = source
    return known


def _shortened(source: str) -> str:
    """Leave out imports, comments and needless space; strings stay as they are, but for CSS."""
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    pieces = re.split(f"({_QUOTED}|//[^\n]*)", source)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            pieces[i] = re.sub(r"\s*([^\w$\s])\s*", r"\1", re.sub(r"\s+", " ", piece))
        elif piece.startswith("//"):
            pieces[i] = ""
        elif piece.startswith("`\n"):
            pieces[i] = re.sub(r"\s*([{};])\s*", r"\1", re.sub(r"\s+", " ", piece))
    return "".join(pieces)


def _within(name: str, value: Any, limits: Any) -> float:
    number = scalar(name, value)
    if not limits[0] <= number <= limits[1]:
        raise ValueError(f"{name} must be {limits[0]:g} to {limits[1]:g}, got {number:g}")
    return number


def _two_modes() -> Moments:
    e = np.array([np.sqrt(0.2025 - 0.01), 0.1])
    return Moments.from_spectrum(np.array([1, 0.01]), e, 1.2)


def _state(moments: Moments, depth: Any, noise_factor: Any) -> dict[str, Any]:
    instance("moments", moments, Moments, "a Moments or None")
    if moments.k != 1 or moments.signal == 0:
        raise ValueError(
            f"moments must have one output and E[xy] != 0, got k = {moments.k}, "
            f"|E[xy]| = {moments.signal:g}"
        )
    signals = moments.signals.reshape(-1)
    seen = (signals != 0) & (moments.eigenvalues > 0)
    limits: dict[str, list[float]] = {"depth": [0.5, 6], "noise_factor": [1, 4]}
    ends = [Landscape(moments, D).spinodals()[-1].gamma for D in (2, 3, 4, 6)]
    top = 1.25 * max(moments.signal, *ends)
    limits["gamma"] = [top / 250, top]
    return {
        "a": moments.eigenvalues[seen].tolist(),
        "e": signals[seen].tolist(),
        "depth": _within("depth", depth, limits["depth"]),
        "noise_factor": _within("noise_factor", noise_factor, limits["noise_factor"]),
        "limits": limits,
    }


def _start(gamma: Any, state: Mapping[str, Any]) -> float:
    if gamma is not None:
        return _within("gamma", gamma, state["limits"]["gamma"])
    changes = live_figures.landscape_of(state).transitions()
    return changes[-1].gamma if changes else float(np.linalg.norm(state["e"]))
