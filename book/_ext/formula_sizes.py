"""The room that each formula will take, in the page: its text stays where it is when it is typeset.

MathJax draws the letters of Computer Modern, so large that an x is as high as in the text around.
Matplotlib measures formulas in the same letters. The page's style keeps that room until
`reading.js` has a formula typeset; what Matplotlib does not read is guessed by its length.
"""

import html
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser
from sphinx.application import Sphinx

HIGH = 0.442  # an x of Computer Modern, in em
BETWEEN = 0.3  # em between the rows of a formula
LETTER = 0.5  # em, of what is guessed
MARGINS = 2  # em, above and below a formula of its own line
INLINE = re.compile(r'<span class="math notranslate nohighlight">\\\((.*?)\\\)</span>', re.S)
DISPLAYED = re.compile(
    r'<div class="(?:amsmath )?math notranslate nohighlight"(?=[^>]*>(.*?)</div>)', re.S
)
COMMENT = re.compile(r'<span class="eqno">.*?</span>|\\\[|\\\]|\\label\{[^}]*\}', re.S)
AROUND = re.compile(r"\\(?:begin|end)\{\w+\*?\}|&(?!\w+;)")
ROWS = re.compile(r"\\\\(?:\[[^\]]*\])?|\\cr\b")
# what Matplotlib spells otherwise, or what is as wide without
SPELT = (
    (re.compile(r"\\(le|ge|ne)(?![A-Za-z])"), r"\\\1q"),
    (re.compile(r"\\[bB]ig+[lrm]?(?![A-Za-z])"), ""),
    (re.compile(r"\\tfrac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\\l([vV])ert|\\r([vV])ert"), "|"),
    (re.compile(r"\\(text|mathrm)\s*\{"), r"\\mathrm{"),
    (re.compile(r"\\(?:text|mathrm) ([A-Za-z])"), r"\\mathrm{\1}"),
    (re.compile(r"\\sqrt ?(\\[A-Za-z]+|\w)"), r"\\sqrt{\1}"),
    (re.compile(r"\\(d?frac) ?(\\[A-Za-z]+|\w)"), r"\\\1{\2}"),
    (re.compile(r"\\(d?frac)(\{[^{}]*\}) ?(\\[A-Za-z]+|\w)"), r"\\\1\2{\3}"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r"\\square"), r"\\Delta"),
)
_parser = MathTextParser("path")
_FONT = FontProperties(size=100, math_fontfamily="cm")


@cache
def size(tex: str) -> tuple[float, float]:
    """Return the width and the whole height of a formula in one row, in em."""
    for spelt, instead in SPELT:
        tex = spelt.sub(instead, tex)
    tex = " ".join(tex.split())
    try:
        width, height, depth, *_ = _parser.parse(f"${tex}$", dpi=72, prop=_FONT)
    except ValueError:
        return LETTER * len(re.findall(r"\\[A-Za-z]+|[^\s{}^_\\]", tex)), 1.0
    return width / 100, (height + depth) / 100


def rows(displayed: str) -> Iterator[str]:
    """Yield the rows of a formula that stands in lines of its own."""
    body = AROUND.sub("", COMMENT.sub("", displayed))
    for row in ROWS.split(body):
        if row.strip():
            yield row.replace(r"\frac", r"\dfrac")


def with_sizes(body: str) -> str:
    """Return the body of a page in which formulas have their sizes."""

    def inline(found: re.Match[str]) -> str:
        wide = size(html.unescape(found[1]))[0] / HIGH
        return found[0].replace("<span ", f'<span style="--room: {wide:.1f}ex" ', 1)

    def displayed(found: re.Match[str]) -> str:
        high = sum(max(1, size(row)[1]) + BETWEEN for row in rows(html.unescape(found[1])))
        room = (high - BETWEEN + MARGINS) / HIGH
        return f'<div style="--room: {room:.1f}ex"{found[0].removeprefix("<div")}'

    return DISPLAYED.sub(displayed, INLINE.sub(inline, body))


def say(
    _app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Say the sizes of one page."""
    context["body"] = with_sizes(context.get("body", ""))


def setup(app: Sphinx) -> None:
    """Say them in every page."""
    app.connect("html-page-context", say)
