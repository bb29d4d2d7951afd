"""The parameters of a run, at the beginning of the executed chapter."""

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nbformat import NotebookNode

from phase_utils.chapters.parameters import Parameter
from phase_utils.chapters.plain_markdown import literal

NOTHING = "–"
HEADS = ("Parameter", "Value", "Default", "Unit")
_TITLE = re.compile(r"^# +.+$", re.M)


def opened(
    nb: NotebookNode, parameters: Sequence[Parameter], values: Mapping[str, Any]
) -> NotebookNode:
    """Return a copy of a chapter with its parameters below its title.

    Parameters
    ----------
    nb : NotebookNode
        The chapter, executed or not.
    parameters : sequence of Parameter
        Those that it declares.
    values : dict
        Those that the run set, by name.

    Returns
    -------
    NotebookNode
        As `nb` where it has no title.
    """
    new = copy.deepcopy(nb)
    for cell in new.cells:
        title = _TITLE.search(cell.source) if cell.cell_type == "markdown" else None
        if title:
            before, after = cell.source[: title.end()], cell.source[title.end() :]
            cell.source = f"{before}\n\n{table(parameters, values)}\n{after}"
            break
    return new


def table(parameters: Sequence[Parameter], values: Mapping[str, Any]) -> str:
    """Return the MyST Markdown that shows name, value, default and unit of each parameter.

    What differs from the chapter's own stands first, the rest is folded. Every value is text,
    whatever it holds.
    """
    used = [(p, values.get(p.name, p.default)) for p in parameters]
    changed = [row for row in used if row[1] != row[0].default]
    kept = [row for row in used if row[1] == row[0].default]
    parts = [_rows(changed)] if changed else []
    if kept:
        title = "The others, at their defaults" if changed else "All of them, at their defaults"
        parts.append(f":::{{dropdown}} {title}\n{_rows(kept)}\n:::")
    return "\n\n".join(["**Parameters of this run**", *parts])


def _rows(rows: Sequence[tuple[Parameter, Any]]) -> str:
    lines = [HEADS, tuple("---" for _ in HEADS)]
    lines += [(literal(p.name), text(v), text(p.default), literal(p.unit)) for p, v in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def text(value: Any) -> str:
    """Return Markdown that shows the value of a parameter."""
    if isinstance(value, list | tuple):
        return ", ".join(text(one) for one in value) if value else NOTHING
    return literal(str(value)) if str(value).strip() else NOTHING
