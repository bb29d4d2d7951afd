"""The index page of a grid of runs: a row for each run, a column for each claim."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from phase_utils.chapters import policy
from phase_utils.chapters.vocabulary import FAIL, worst

if TYPE_CHECKING:
    from jinja2 import Template

_STYLE = """
:root { color-scheme: light dark; }
body { font-family: system-ui, sans-serif; margin: 2rem auto; padding: 0 1rem; max-width: 80rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
caption { text-align: start; padding-block: 0.5em; }
th, td { padding: 0.3em 0.7em; border-block-end: 1px solid #8886; text-align: start; }
.fail { font-weight: 700; color: light-dark(#b71c1c, #ff8a80); }
pre { overflow-x: auto; padding: 0.7em; border: 1px solid #8886; }
"""
_TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{{ policy | safe }}
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}: grid</title>
<style>{{ style | safe }}</style>
</head>
<body>
<main>
<h1>{{ title }}</h1>
<p>{{ ran }} of {{ rows | length }} runs done, {{ failed | length }} with a cell that failed.</p>
<div class="scroll" role="region" aria-label="Runs and claims" tabindex="0">
<table>
<caption>The runs and what became of each claim; of several checks the worst is shown, with the
number of checks.</caption>
<thead><tr>
{%- for name in names + ["run", "state"] + ids %}<th scope="col">{{ name }}</th>{% endfor -%}
</tr></thead>
<tbody>
{% for row in rows -%}
<tr>
{%- for value in row.shown %}<td>{{ value }}</td>{% endfor -%}
<td>
{%- if row.files and row.ran -%}
<a href="{{ row.files }}.html" aria-label="page of run {{ row.number }}">page</a>
<a href="{{ row.files }}.ipynb" aria-label="notebook of run {{ row.number }}">notebook</a>
{%- else %}–{% endif -%}
</td>
{%- if row.error -%}
<td class="fail"><a href="#error-{{ row.number }}">a cell failed</a></td>
{%- else %}<td>{{ "done" if row.ran else "not run yet" }}</td>{% endif -%}
{%- for state, text in row.states -%}
<td{% if state == fail %} class="fail"{% endif %}>{{ text }}</td>
{%- endfor -%}
</tr>
{% endfor -%}
</tbody>
</table>
</div>
{% for row in failed -%}
<h2 id="error-{{ row.number }}">{{ row.point }}</h2>
<pre>{{ row.error }}</pre>
{% endfor -%}
</main>
</body>
</html>
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
    """Return the page, which loads nothing and runs no script; whatever the rows hold is text.

    names : of the parameters that vary, as many as each row has values.
    """
    ids = list(dict.fromkeys(str(claim.get("id", "?")) for row in rows for claim in row.claims))
    shown = [_shown(number, row, names, ids) for number, row in enumerate(rows, start=1)]
    return _template().render(
        policy=policy.page_of_its_own((), [policy.hashed(_STYLE)]),
        style=_STYLE,
        title=title,
        names=list(names),
        ids=ids,
        rows=shown,
        ran=sum(row.ran for row in rows),
        failed=[row for row in shown if row["error"]],
        fail=FAIL,
    )


@cache
def _template() -> "Template":
    from jinja2 import Environment

    return Environment(autoescape=True).from_string(_TEMPLATE)


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
