"""Run a chapter's code in this process, without a kernel: fast, and with warnings as errors.

Nothing is displayed. What the chapter's ledger records is returned, or ends the run at once.
"""

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import IPython.display
import matplotlib
import numpy as np
import pytest

from phase_utils import chapters
from phase_utils.chapters import claims

Result = dict[str, Any]


@cache
def cells(chapter: str, tier: str = "smoke", **parameters: Any) -> tuple[str, ...]:
    """Return the code of a chapter's cells, with its parameters set like those of a run."""
    found = chapters.find(chapter)
    parts = []
    for cell in found.notebook().cells:
        if cell.cell_type == "code":
            parts.append(cell.source)
            if "parameters" in cell.metadata.get("tags", []):
                values = found.values(parameters, tier)
                parts[-1] += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    return tuple(parts)


def source(chapter: str, tier: str = "smoke", **parameters: Any) -> str:
    """Return all code of a chapter as one module."""
    return "\n\n".join(cells(chapter, tier, **parameters))


@contextmanager
def recorded(
    monkeypatch: pytest.MonkeyPatch,
    *,
    on_result: Callable[[Result], None] = lambda _: None,
    on_glue: Callable[[str, Any], None] = lambda *_: None,
) -> Iterator[list[Result]]:
    """Collect what ledgers record, and show nothing.

    `on_result` sees every result when it is recorded, and may raise to end the run; `on_glue` sees
    the name and the value of all that is glued. That must be a plain value, which a page can
    format, under a name of its own.
    """
    results: list[Result] = []
    glued: set[str] = set()

    def glue(name: str, value: Any, **_: Any) -> None:
        assert not isinstance(value, np.generic | np.ndarray), f"{name} is a {type(value)}"
        assert name not in glued, f"{name} is glued twice"
        glued.add(name)
        on_glue(name, value)

    def record(
        ledger: claims.Ledger, claim: str, state: str, parts: list[str], **fields: Any
    ) -> None:
        result = {"id": claim, "state": state, "text": " | ".join(parts), **fields}
        ledger.results.append(result)
        results.append(result)
        on_result(result)

    matplotlib.use("Agg")
    with monkeypatch.context() as patch:
        patch.setattr(claims.Ledger, "_record", record)
        patch.setattr(IPython.display, "display", lambda *_, **__: None)
        patch.setattr("myst_nb.glue", glue)
        patch.setattr("matplotlib.pyplot.show", lambda *_, **__: None)
        try:
            yield results
        finally:
            matplotlib.pyplot.close("all")


def run(
    code: ast.Module | str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    on_result: Callable[[Result], None] = lambda _: None,
    on_glue: Callable[[str, Any], None] = lambda *_: None,
    **names: Any,
) -> list[Result]:
    """Execute a chapter's code with `names` defined; return what its ledger recorded."""
    with recorded(monkeypatch, on_result=on_result, on_glue=on_glue) as results:
        exec(compile(code, "chapter", "exec"), {"__name__": "__main__", **names})
    return results
