"""The index page of a grid of runs: a row for each run, a column for each claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from phase_utils.chapters import policy
from phase_utils.chapters.vocabulary import FAIL, worst

if TYPE_CHECKING:
    from jinja2 import Environment


@dataclass(frozen=True)
class Row:
    """One run: the values that vary, its files without suffix ('' if none), how it ended."""

    values: Sequence[Any]
    files: str
    claims: Sequence[Mapping[str, Any]]
    error: str
    ran: bool


def page(title: str, names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the page, which loads nothing and runs no script; whatever the rows hold is text.

    names : of the parameters that vary, as many as each row has values.
    """
    ids = list(dict.fromkeys(str(claim.get("id", "?")) for row in rows for claim in row.claims))
    shown = [_shown(number, row, names, ids) for number, row in enumerate(rows, start=1)]
    pages = _pages()
    style = pages.get_template("grid.css").render()
    return pages.get_template("grid.html.j2").render(
        policy=policy.page_of_its_own((), [policy.hashed(style)]),
        style=style,
        title=title,
        names=list(names),
        ids=ids,
        rows=shown,
        ran=sum(row.ran for row in rows),
        failed=[row for row in shown if row["error"]],
        fail=FAIL,
    )


@cache
def _pages() -> "Environment":
    from jinja2 import Environment, PackageLoader

    return Environment(loader=PackageLoader("phase_utils.chapters", "pages"), autoescape=True)


def _shown(number: int, row: Row, names: Sequence[str], ids: Sequence[str]) -> dict[str, Any]:
    """What the page says of a row."""
    values = [f"{v:.6g}" if isinstance(v, float) else str(v) for v in row.values]
    return {
        "number": number,
        "shown": values,
        "point": ", ".join(f"{name} = {v}" for name, v in zip(names, values, strict=True)),
        "files": row.files,
        "ran": row.ran,
        "error": row.error,
        "states": [_claim(row, name) for name in ids],
    }


def _claim(row: Row, name: str) -> tuple[str, str]:
    """The worst state of a claim in a row, and what is said of it."""
    states = [str(c.get("state")) for c in row.claims if str(c.get("id", "?")) == name]
    if not states:
        return "", "–"
    shown = worst(states)
    count = states.count(shown)
    return shown, shown if len(states) == 1 else f"{shown} ({count} of {len(states)})"
