"""The room that the book keeps for formulas until they are typeset."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

formula_sizes = pytest.importorskip("formula_sizes")


def room(body: str) -> float:
    return float(re.search(r'style="--room: ([\d.]+)ex"', formula_sizes.with_sizes(body))[1])


def inline(tex: str) -> str:
    return f'<p>Let <span class="math notranslate nohighlight">\\({tex}\\)</span> be.</p>'


def displayed(tex: str) -> str:
    return f'<div class="math notranslate nohighlight" id="a">\n\\[{tex}\\]</div>'


@pytest.mark.parametrize(
    "tex",
    ["x", r"|w| \le 1", r"\frac12 + \sqrt2", r"\tfrac p2 \mathrm dt", r"\frac\beta2 + \frac1{2t}"],
)
def test_a_formula_is_measured_and_not_guessed(tex, monkeypatch):
    # an em is 1/0.442 of the height of an x; an x is 0.572 em wide in Computer Modern
    measured = room(inline(tex))
    if tex == "x":
        assert measured == pytest.approx(0.572 / 0.442, abs=0.08)
    monkeypatch.setattr(formula_sizes, "LETTER", 100)
    formula_sizes.size.cache_clear()
    assert room(inline(tex)) == measured


def test_what_cannot_be_read_is_guessed_by_its_length():
    short, long = room(inline(r"\nosuch")), room(inline(r"\nosuch abcd"))
    assert long == pytest.approx(5 * short, abs=0.3)


def test_html_is_read_as_text():
    assert room(inline("a &lt; b")) == room(inline(r"a \lt b")) == room(inline("a < b"))


def test_rows_of_a_formula_add_up():
    one, two = "a = b", r"\begin{aligned} a &amp;= b \\ c &amp;= d \end{aligned}"
    three = r"\begin{aligned} a &amp;= b \\ c &amp;= d \\ e &amp;= \frac{f}{g} \end{aligned}"
    rooms = [room(displayed(tex)) for tex in (one, two, three)]
    assert rooms[1] - rooms[0] == pytest.approx(1.3 / 0.442, abs=0.1)
    assert rooms[2] - rooms[1] > 1.5 * (rooms[1] - rooms[0])


def test_other_elements_stay_as_they_are():
    page = '<p class="math">a</p><div class="mathematics">b</div><code>\\(c\\)</code>'
    assert formula_sizes.with_sizes(page) == page
