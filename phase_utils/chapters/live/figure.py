"""A figure that needs no kernel: drawn in the page, and the same as a widget in live Jupyter.

Each is the state that its function makes, given to the JavaScript module of its name in this folder
and, in print, in LaTeX and without scripts, to `draw` in the Python module of that name, whose
`described` says what is seen. Where the environment variable PHASE_BOOK_STATIC is 1, as in the
book, no widget is made: in a page without a kernel it is dead.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from copy import deepcopy
from functools import cache, cached_property
from html import escape
from importlib import import_module
from io import BytesIO
from typing import Any

from phase_utils._check import one_of, shown
from phase_utils.chapters.execution import STATIC
from phase_utils.chapters.live.scripts import LIVE, element, frame, module, script

LEARNED, TOP, JUMP = "#0072B2", "#D55E00", "#00805D"
INK = "#010203"  # of axes and text in SVG, to be replaced by the ink of the page

_LINEAR = ("a", "e", "depth", "noise_factor", "gamma", "limits")
# what every state of a figure holds
_KEYS: dict[str, tuple[str, ...]] = {
    "activation_order": ("kind", "skew", "gamma", "signal", "limits"),
    "augmentation": ("noise", "gamma", "views", "a", "limits"),
    "cascade": ("ratio", "strength", "depth", "limits"),
    "deep_limit": ("depth", "price", "signal", "limits"),
    "equation_of_state": _LINEAR,
    "gibbs_measure": ("signal", "gamma", "temperature", "limits"),
    "heat_bath": ("temperature", "decay", "depth", "limits"),
    "landscape": (*_LINEAR, "anisotropy"),
    "latents": ("price", "limits", "a", "rest", "variance", "codes", "pixels"),
    "lower_envelope": ("lines", "network", "gamma", "limits"),
    "norm_power": ("power", "depth", "decay", "limits"),
    "phase_diagram": (*_LINEAR, "B"),
    "pitchfork": _LINEAR,
    "residual_ray": ("gamma", "branch", "matrices", "blocks", "limits"),
    "ridge_poles": ("weak", "gamma", "terms", "shares", "limits"),
}


class LiveFigure:
    """A figure that reacts: in Jupyter a widget, elsewhere a page of its own.

    Parameters
    ----------
    name : str
        Of its modules in `phase_utils.chapters.live`.
    state : dict
        What the module starts from, as the function of this name makes it; each entry is a trait
        of `widget`.

    Raises
    ------
    ValueError
        For another name, or a state that its function did not make.

    Examples
    --------
    >>> import phase_utils as pu
    >>> made = pu.widgets.landscape()
    >>> colder = pu.widgets.LiveFigure(made.name, {**made.state, "gamma": 0.05})
    >>> colder.static("pdf")[:4]
    b'%PDF'
    """

    def __init__(self, name: str, state: Mapping[str, Any]) -> None:
        self.name = one_of("name", name, LIVE)
        if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
            raise ValueError(f"state must be a dict of traits by name, got {shown(state)}")
        missing = [key for key in _KEYS[name] if key not in state]
        if missing:
            raise ValueError(
                f"state must be one that pu.widgets.{name} makes, got none of {', '.join(missing)}"
            )
        self.state = deepcopy(dict(state))  # the limits are those of the next figure, too

    @property
    def description(self) -> str:
        """What the static figure shows, for those who do not see it."""
        return _form(self.name).described(self.state)

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

        Raises
        ------
        ValueError
            For another format.
        """
        return _drawn(self.name, self.state, one_of("form", form, ("svg", "pdf")))

    def _repr_html_(self) -> str:
        """The figure for a page: the static one, and the scripts that replace it."""
        svg = self.static().decode().replace(INK, "currentColor")
        svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
        opening = f'<svg role="img" aria-label="{escape(self.description)}" '
        svg = svg.replace("<svg ", f'{opening}style="max-width: 100%; height: auto" ', 1)
        state = escape(json.dumps(self.state))
        return (
            f'<div class="pu-live" data-live="{self.name}" data-state="{state}">'
            f'<div class="pu-live-static">{svg}</div></div>\n'
            f"{element(frame())}\n{element(script(self.name))}"
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


@cache
def _widget_class(name: str, keys: tuple[str, ...]) -> type:
    import anywidget
    import traitlets

    traits = {key: traitlets.Any().tag(sync=True) for key in keys}
    return type("LiveWidget", (anywidget.AnyWidget,), {"_esm": module(name), **traits})


def _form(name: str) -> Any:
    """The module that draws the figure of this name without scripts."""
    return import_module(f"phase_utils.chapters.live.{name}")


def _drawn(name: str, state: Mapping[str, Any], form: str) -> bytes:
    """Return the figure of this name as a file, "svg" or "pdf"; the same bytes each time."""
    import matplotlib.pyplot as plt

    from phase_utils.chapters import plotting

    date = {"svg": "Date", "pdf": "CreationDate"}[form]
    ink = INK if form == "svg" else "black"
    parts = ("text.", "axes.label", "axes.edge", "xtick.", "ytick.", "grid.")
    file = BytesIO()
    style: dict[Any, Any] = plotting.STYLE | {f"{part}color": ink for part in parts}
    with plt.rc_context({**style, "svg.fonttype": "none"}):
        figure = plt.figure(figsize=(7.2, 3.1))
        _form(name).draw(figure, state)
        figure.savefig(file, format=form, metadata={date: None})
        plt.close(figure)
    return file.getvalue()
