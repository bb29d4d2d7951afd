"""The calculator: a file of data in the browser, and the phases of linear networks on it.

Its page needs neither a kernel nor the network. `samples.js` and `phases.js` are the arithmetic,
and `table.js` reads a file as `phase_utils.chapters.readers` does, or refuses it.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

import numpy as np

from phase_utils.chapters.live.scripts import element, frame, script
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.moments import Moments

DEPTHS = (1, 2, 3, 5)  # of the tables


def examples() -> dict[str, dict[str, str]]:
    """Return the tables that the page brings, by name.

    Returns
    -------
    dict
        For each its `text`, and in `load` the name that `phase_utils.data.load` knows it by.
    """
    from sklearn.datasets import load_diabetes

    known = load_diabetes(scaled=False)
    rows = np.column_stack([known.data, known.target]).tolist()
    patients = _table([*known.feature_names, "progression"], rows)
    # two sensors of one signal, whose small difference says something, too: a cascade
    first, other, noise = np.random.default_rng(0).normal(size=(3, 40))
    columns = (first, first + 0.05 * other, first + 0.6 * other + 0.1 * noise)
    sensors = _table(["left", "right", "y"], np.column_stack(columns).round(3).tolist())
    return {
        "diabetes": {"text": patients, "load": "diabetes"},
        "two_sensors": {"text": sensors, "load": ""},
    }


def _table(names: Sequence[str], rows: Iterable[Sequence[float]]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(names)
    lines.writerows([f"{value:.10g}" for value in row] for row in rows)
    return text.getvalue()


def summary(moments: Moments) -> list[tuple[str, ...]]:
    """Return what stands in the page until a file is there, row by row, the first the heads.

    Parameters
    ----------
    moments : Moments
        Of the data, one output.

    Returns
    -------
    list of tuple of str
        For each of `DEPTHS` its transitions.
    """
    rows: list[tuple[str, ...]] = [
        ("Hidden layers D", "order", "γ", "weight_decay", "latent heat", "barrier")
    ]
    for depth in DEPTHS:
        for t in Landscape(moments, depth=depth).transitions():
            numbers = (t.gamma, 2 * t.gamma, t.latent_heat, t.barrier)
            rows.append((str(depth), str(t.order), *(f"{value:.4g}" for value in numbers)))
    return rows


def opening() -> str:
    """Return the beginning of the element that the script fills: what it holds is shown before.

    Returns
    -------
    str
        HTML.
    """
    state = escape(json.dumps({"examples": examples()}))
    form = resources.files("phase_utils.chapters.live") / "calculator.html"
    body = form.read_text(encoding="utf-8")
    return f'<div class="pu-live calc" data-live="calculator" data-state="{state}">\n{body}'


def closing() -> str:
    """Return the end of that element, and the scripts.

    Returns
    -------
    str
        HTML.
    """
    return f"</div>\n{element(frame())}\n{element(script('calculator'))}"
