"""Docstrings on pages: autodoc and numpydoc do it, but for the bars of |w|, which RST would eat.

Below the docstring of what `phase_utils` offers stand the chapters that use it: those whose cells
name it, or call what returns it.
"""

import ast
import inspect
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import jupytext
from sphinx.application import Sphinx

# roles, code between backticks, and examples stay as they are
KEPT = re.compile(r"(:\w+:`[^`]*`|`[^`]*`|^\s*(?:>>>|\.\.\.).*$)")
PACKAGE = "phase_utils."


def bars(
    _app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Have |w| be a norm, and not the name of a substitution."""
    for i, line in enumerate(lines):
        parts = KEPT.split(line)
        parts[::2] = [re.sub(r"(?<!\\)[|]", r"\\|", text) for text in parts[::2]]
        lines[i] = "".join(parts)


def named(cells: Iterable[str]) -> set[str]:
    """Return what cells take from `pu`, and with `data.load` `data`; `.NAME` for all they call."""
    found = set()
    for node in ast.walk(ast.Module([ast.parse(cell) for cell in cells], [])):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            found.add(f".{node.func.attr}")
        if isinstance(node, ast.Attribute) and re.fullmatch(r"pu(\.\w+)+", ast.unparse(node)):
            parts = ast.unparse(node).split(".")[1:]
            found |= {".".join(parts[:k]) for k in range(1, len(parts) + 1)}
    return found


@cache
def in_chapters(folder: Path) -> dict[str, set[str]]:
    """Return what each chapter of a folder takes from the package, by the chapter's name."""
    found = {}
    for path in sorted(folder.glob("[0-9]*")):  # an edition has them executed
        if path.suffix in (".md", ".ipynb"):
            cells = jupytext.read(path).cells
            found[path.stem] = named(cell.source for cell in cells if cell.cell_type == "code")
    return found


@cache
def returning() -> dict[str, set[str]]:
    """Return which functions, and which methods as `.NAME`, return a class of the package."""
    import phase_utils as pu

    found: dict[str, set[str]] = {}
    for name in pu.__all__:
        thing = getattr(pu, name)
        calls = {f".{k}": f for k, f in vars(thing).items()} if inspect.isclass(thing) else {}
        for called, function in {name: thing, **calls}.items():
            function = getattr(function, "__func__", getattr(function, "fget", function))
            said = str(getattr(function, "__annotations__", {}).get("return", ""))
            for made in re.findall(r"\b[A-Z]\w+", said):
                found.setdefault(made, set()).add(called)
    return found


def users(name: str, folder: Path) -> list[str]:
    """Return the chapters that use a name of the package, or call what returns it."""
    ways = {name} | returning().get(name.rpartition(".")[2], set())
    return [chapter for chapter, taken in in_chapters(folder).items() if ways & taken]


def chapters(
    app: Sphinx, what: str, name: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Say below a docstring which chapters use the name."""
    if what not in ("class", "function", "exception", "data") or not name.startswith(PACKAGE):
        return
    folder = Path(app.srcdir) / "notebooks"
    for path in folder.glob("[0-9]*"):
        app.env.note_dependency(str(path))
    links = [f":doc:`{n[:2]} </notebooks/{n}>`" for n in users(name.removeprefix(PACKAGE), folder)]
    told = f"Chapters: {', '.join(links)}." if links else "No chapter uses it itself."
    lines += ["", told, ""]


def setup(app: Sphinx) -> None:
    """Connect both, after numpydoc, which reads the sections."""
    app.connect("autodoc-process-docstring", bars, priority=900)
    app.connect("autodoc-process-docstring", chapters, priority=910)
