"""What pages run to show live figures: its size, and that shortening it changes nothing."""

import re
from importlib import resources
from types import SimpleNamespace

import pytest
from live_tabs import NAMES, html, scripts

from phase_utils.chapters.execution import scrub_text
from phase_utils.chapters.live import scripts as live_scripts
from phase_utils.chapters.live.names import renamed

FRAME, LIMIT = (
    13_000,
    8_000,
)  # bytes delivered: frame, once in a page, and each figure with its model


@pytest.mark.parametrize("name", NAMES)
def test_delivered_size_and_parts(name):
    page = html(name)
    frame, own = scripts(page)
    assert len(frame.encode()) < FRAME
    assert len(own.encode()) < LIMIT
    assert "import " not in frame + own
    assert not re.search(r"(src|href)=\"(?!#)", page)
    assert scrub_text(page, everything=True) == page


def test_literals_survive_shortening():
    # but for CSS no literal has a line break, and none has another inside
    for path in (resources.files("phase_utils.chapters") / "live").iterdir():
        if not path.name.endswith(".js"):
            continue
        source = re.sub(
            r"(^(?:import|export) \{|//)[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.M
        )
        short = live_scripts._shortened(source)
        for literal in re.findall(r"`[^`]*`|\"[^\"\n]*\"", source):
            assert literal.startswith("`\n") or ("\n" not in literal and literal in short)


TOKENS = r"`[^`]*`|\"[^\"\n]*\"|[\w$.]+|\+\+|--|=>|\*\*|[^\s\w]"


@pytest.mark.parametrize("name", [*live_scripts.names(), None])
def test_shortening_joins_no_two_operators(name):
    """`a - -b` and `a--b` are different: what is left has the tokens of the source."""
    source = "x = a - -b + +c - --d; y = a\n  - -b;"
    if name:
        source = (resources.files("phase_utils.chapters") / "live" / f"{name}.js").read_text()
        source = re.sub(
            r"(`[^`]*`|\"[^\"\n]*\")|(^(?:import|export) \{|//)[^\n]*", r"\1", source, flags=re.M
        )
    short = live_scripts._shortened(source)
    plain = [t for t in re.findall(TOKENS, source) if not t.startswith("`\n")]
    assert [t for t in re.findall(TOKENS, short) if not re.match(r"`[\n ]", t)] == plain


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # a declared name, also inside templates and nested functions
        ("const total=1;f(`${total+1} total`);", "const a=1;f(`${a+1} total`);"),
        ("function twice(value){return 2*value}twice(3);", "function a(b){return 2*b}a(3);"),
        ("const [one,{two}]=x;one(two);", "const [a,{two}]=x;a(two);"),
        ("p.map((point,index)=>point+index)", "p.map((b,a)=>b+a)"),
        # as a property, too: nothing tells the two apart
        ("const gamma=1;s.gamma=gamma;", "const gamma=1;s.gamma=gamma;"),
        ("const gamma=1;f({gamma});", "const gamma=1;f({gamma});"),
        ("const gamma=1;f({a:2,gamma:3});", "const gamma=1;f({a:2,gamma:3});"),
        # a label of a choice is none
        ("const other=1;f(x?2:other);", "const a=1;f(x?2:a);"),
        # what the page knows, strings, and words of the language
        ("const other=document;f('other',\"other\");", "const a=document;f('other',\"other\");"),
        # no name that is there already
        ("const other=1;f(a,b,other);", "const c=1;f(a,b,c);"),
    ],
)
def test_names_that_a_script_declares_become_short(source, expected):
    assert renamed(source) == expected


@pytest.mark.parametrize("name", NAMES)
def test_renaming_is_one_to_one(name):
    whole = live_scripts.module(name)
    short = renamed(whole)
    code = (re.sub(r"\"[^\"\n]*\"|`[^`]*`", "", source) for source in (whole, short))
    old, new = (re.findall(r"[A-Za-z_$][\w$]*", source) for source in code)
    pairs = set(zip(old, new, strict=True))
    assert len(pairs) == len(set(old)) == len(set(new))
    assert len(short) < 0.9 * len(whole)


# moves the first slider while the page is still being read
ANSWERS = """<script>{
  const root = document.querySelector(".live").shadowRoot, slider = root.querySelector("input");
  const drawing = () => root.querySelector(".draw").innerHTML, before = drawing();
  slider.value = 900;
  slider.dispatchEvent(new Event("input"));
  window.answered = [document.readyState, drawing() !== before];
}</script>"""


@pytest.mark.parametrize("name", ["landscape", "ridge_poles"])
def test_a_figure_answers_before_its_page_has_ended(visit, name):
    page = SimpleNamespace(_repr_html_=lambda: html(name) + ANSWERS)
    assert visit(page).evaluate("answered") == ["loading", True]


def test_a_page_has_the_frame_once():
    page = html("landscape") + html("phase_diagram")
    assert page.count(live_scripts.frame()) == 2
    once = live_scripts.once(page)
    assert once.count(live_scripts.frame()) == 1
    assert scripts(once) == [
        live_scripts.frame(),
        *map(live_scripts.script, ("landscape", "phase_diagram")),
    ]
    assert live_scripts.once("<p>none</p>") == "<p>none</p>"
