"""Live figures that need no kernel: drawn in the page, and the same as widgets in live Jupyter.

Each is the state that its function makes, given to one JavaScript module of `live_scripts` in the
page and, in print, in LaTeX and without scripts, to its drawing in `live_figures`. Where the
environment variable PHASE_BOOK_STATIC is 1, as in the book, no widget is made: in a page without a
kernel it is dead.
"""

import json
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import cache, cached_property
from html import escape
from typing import Any

import numpy as np

from phase_utils._check import one_of, shown
from phase_utils.chapters import live_figures
from phase_utils.chapters.execution import STATIC
from phase_utils.chapters.live_scripts import LIVE, module, script
from phase_utils.chapters.live_states import start, state_of, two_modes, within
from phase_utils.theory.moments import Moments

__all__ = ["LiveFigure", "equation_of_state", "landscape", "phase_diagram"]

_KEYS = ("a", "e", "depth", "noise_factor", "gamma", "limits")  # of every state


class LiveFigure:
    """A figure that reacts: in Jupyter a widget, elsewhere a page of its own.

    Parameters
    ----------
    name : {"equation_of_state", "landscape", "phase_diagram"}
        Of its module in the folder `live`.
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
        missing = [key for key in _KEYS if key not in state]
        if missing:
            raise ValueError(
                f"state must be one that pu.widgets.{name} makes, got none of {', '.join(missing)}"
            )
        self.state = dict(state)

    @property
    def description(self) -> str:
        """What the static figure shows, for those who do not see it."""
        return live_figures.described(self.name, self.state)

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
        return live_figures.drawn(self.name, self.state, one_of("form", form, ("svg", "pdf")))

    def _repr_html_(self) -> str:
        """The figure for a page: the static one, and the script that replaces it."""
        svg = self.static().decode().replace(live_figures.INK, "currentColor")
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


@cache
def _widget_class(name: str, keys: tuple[str, ...]) -> type:
    import anywidget
    import traitlets

    traits = {key: traitlets.Any().tag(sync=True) for key in keys}
    return type("LiveWidget", (anywidget.AnyWidget,), {"_esm": module(name), **traits})


def landscape(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
    anisotropy: float = 0,
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
    moments = two_modes() if moments is None else moments
    state = state_of(moments, depth, noise_factor)
    state["limits"]["anisotropy"] = [0, 1]
    state["anisotropy"] = within("anisotropy", anisotropy, (0, 1))
    state["gamma"] = start(gamma, state)
    return LiveFigure("landscape", state)


def equation_of_state(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
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

    Examples
    --------
    >>> import phase_utils as pu
    >>> figure = pu.widgets.equation_of_state(depth=3)  # at coexistence
    >>> round(figure.state["gamma"], 5)
    0.08216
    """
    state = state_of(Moments.isotropic() if moments is None else moments, depth, noise_factor)
    state["gamma"] = start(gamma, state)
    return LiveFigure("equation_of_state", state)


def phase_diagram(
    moments: Moments | None = None,
    *,
    gamma: float | None = None,
    depth: float = 2,
    noise_factor: float = 1,
    B: float = 0.5,
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

    Examples
    --------
    >>> import phase_utils as pu
    >>> figure = pu.widgets.phase_diagram(gamma=0.1, B=0.3)
    >>> figure.description[-39:]
    'the landscape at depth 2 and decay 0.1.'
    """
    moments = Moments.isotropic() if moments is None else moments
    state = state_of(moments, depth, noise_factor)
    a = np.array(state["a"])
    if np.ptp(a) > 1e-12 * a[0]:
        raise ValueError(f"moments must be isotropic, got eigenvalues from {min(a)} to {max(a)}")
    state["limits"]["B"] = [0.01, 1.2 * max(1.0, moments.signal / a[0])]
    state["B"] = within("B", B, state["limits"]["B"])
    state["gamma"] = start(gamma, state)
    return LiveFigure("phase_diagram", state)
