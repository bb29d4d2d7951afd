"""The index page of a grid of runs: a row for each run, a column for each claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

# what a row shows of a claim that was checked several times is the first of these
ORDER = ("fail", "untested", "reduced size", "pass", "not applicable")
STYLE = """
:root { color-scheme: light dark; }
body { font-family: system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 80rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: start; padding-block: 0.5em; }
th, td { padding: 0.3em 0.7em; border-block-end: 1px solid #8886; text-align: start; }
.fail { font-weight: 700; color: light-dark(#b71c1c, #ff8a80); }
pre { overflow-x: auto; padding: 0.7em; border: 1px solid #8886; }
"""


@dataclass(frozen=True)
class Row:
    """One run: the values that vary, its files without suffix ('' if none), how it ended."""

    values: Sequence[Any]
    files: str
    claims: Sequence[Mapping[str, Any]]
    error: str
    ran: bool


def page(title: str, names: Sequence[str], rows: Sequence[Row]) -> str:
    """Return the page, which loads nothing from anywhere.

    names : of the parameters that vary, as many as each row has values.
    """
    ids = list(dict.fromkeys(str(claim.get("id", "?")) for row in rows for claim in row.claims))
    head = "".join(f'<th scope="col">{escape(n)}</th>' for n in [*names, "run", "state", *ids])
    body = "\n".join(_row(i, row, ids) for i, row in enumerate(rows))
    ran = sum(row.ran for row in rows)
    failed = [(i, row) for i, row in enumerate(rows) if row.error]
    summary = f"{ran} of {len(rows)} runs done, {len(failed)} with a cell that failed."
    errors = "".join(
        f'<h2 id="error-{i}">{escape(_named(names, row))}</h2>\n<pre>{escape(row.error)}</pre>\n'
        for i, row in failed
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}: grid</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
<p>{escape(summary)}</p>
<div class="scroll" role="region" aria-label="Runs and claims" tabindex="0">
<table>
<caption>The runs and what became of each claim; of several checks the worst is shown, with the
number of checks.</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>
{errors}</main>
</body>
</html>
"""


def _row(index: int, row: Row, ids: Sequence[str]) -> str:
    links = "–"
    if row.files and row.ran:
        links = (
            f'<a href="{escape(row.files)}.html" aria-label="page of run {index + 1}">page</a> '
            f'<a href="{escape(row.files)}.ipynb" aria-label="notebook of run {index + 1}">'
            "notebook</a>"
        )
    state = "<td>not run yet</td>"
    if row.error:
        state = f'<td class="fail"><a href="#error-{index}">a cell failed</a></td>'
    elif row.ran:
        state = "<td>done</td>"
    values = "".join(f"<td>{escape(_shown(value))}</td>" for value in row.values)
    return f"<tr>{values}<td>{links}</td>{state}{''.join(_claim(row, name) for name in ids)}</tr>"


def _claim(row: Row, name: str) -> str:
    states = [str(claim.get("state")) for claim in row.claims if claim.get("id", "?") == name]
    if not states:
        return "<td>–</td>"
    named = [*ORDER, *sorted(set(states) - set(ORDER))]
    worst = next(state for state in named if state in states)
    count = states.count(worst)
    text = worst if len(states) == 1 else f"{worst} ({count} of {len(states)})"
    return f'<td class="{worst.replace(" ", "-")}">{escape(text)}</td>'


def _named(names: Sequence[str], row: Row) -> str:
    pairs = zip(names, row.values, strict=True)
    return ", ".join(f"{name} = {_shown(value)}" for name, value in pairs)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
