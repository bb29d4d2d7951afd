"""Claims on pages: what a sentence calls them, marks without brackets, checks behind one line."""

import sys
from pathlib import Path

import pytest
from docutils import nodes

from phase_utils.chapters import claims

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

claim_marks = pytest.importorskip("claim_marks")


def link(text: str) -> nodes.reference:
    return nodes.reference("", "", nodes.inline(text=text), refuri="status.html#claim-x")


def document(*children: nodes.Node) -> nodes.document:
    tree = nodes.document(None, None)
    tree += children
    return tree


@pytest.mark.parametrize(
    ("claim", "word"),
    [
        ("Eq-8", "Eq. 8"),
        ("Eq-5-noise", "Eq. 5"),
        ("Th-3", "Theorem 3"),
        ("B47", "B47"),
        ("note-29-sign", "note 29"),
        ("Fig-2c-cifar10", "Fig. 2c"),
        ("Fig-1-left", "Fig. 1 left"),
        ("ext-cascade", claim_marks.MARK),
        ("text-landau", claim_marks.MARK),
    ],
)
def test_a_claim_has_the_name_that_the_paper_gives_it(claim, word):
    assert claim_marks.spoken(claim) == word


def test_no_sentence_shows_an_identifier():
    assert not [d.id for d in claims.definitions() if "-" in claim_marks.spoken(d.id)]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (["gentle", "\n", "(", link("✓"), ")."], "gentle✓."),
        (["so (", link("✓"), ", ", link("✓"), ") and"], "so✓\u2009✓ and"),
        (["so (", link("✓"), ",\n", link("✓"), "),"], "so✓\u2009✓,"),
        (["so (", link("B1"), ", ", link("✓"), ")"], "so (B1, ✓)"),
        (["by ", link("✓"), " alone"], "by ✓ alone"),
    ],
)
def test_marks_that_stand_alone_have_no_brackets(written, read):
    texts = [nodes.Text(part) if isinstance(part, str) else part for part in written]
    tree = document(nodes.paragraph("", "", *texts))
    claim_marks.bare(tree)
    assert tree.astext() == read


def is_held(node: nodes.Node) -> bool:
    return isinstance(node, nodes.inline) and claim_marks.HELD in node["classes"]


@pytest.mark.parametrize("marks", [1, 2])
@pytest.mark.parametrize("space", [" ", "\n"])
def test_a_mark_stays_on_the_line_of_its_formula(space, marks):
    more = [nodes.Text(", "), link("✓")] * (marks - 1)
    texts = [nodes.Text("at "), nodes.math(text="N"), nodes.Text(f"{space}("), link("✓"), *more]
    tree = document(nodes.paragraph("", "", *texts, nodes.Text(").")))
    claim_marks.bare(tree)
    (held,) = tree.findall(is_held)
    assert held.astext() == "N" + "\u2009".join("✓" * marks)
    assert tree.astext() == f"at {held.astext()}."
    texts = [nodes.Text(f"so{space}("), link("✓"), nodes.Text(", "), link("✓"), nodes.Text(").")]
    tree = document(nodes.paragraph("", "", *texts))
    claim_marks.bare(tree)
    assert [node.astext() for node in tree.findall(is_held)] == ["✓\u2009✓"]
    style = (ROOT / "book" / "_static" / "custom.css").read_text()
    assert f".{claim_marks.HELD} {{\n  white-space: nowrap;" in style


@pytest.mark.parametrize(("state", "glyph"), [("pass", "✓"), ("untested", "○")])
def test_a_mark_says_how_its_checks_ended(state, glyph):
    tree = document(nodes.paragraph("", "", link("✓")))
    claim_marks.set_marks(tree, {"claim-x": ("ext-<x>", state)}, "html")
    shown = tree.astext()
    assert shown.startswith(glyph) and ("not" in shown) == (state != "pass")
    assert "ext-&lt;x&gt;" in shown


@pytest.mark.parametrize(
    ("deviations", "line"),
    [
        ([], "1 check passes"),
        ([0.31], "1 check passes, at 31 % of its tolerance"),
        ([0.31, 0.05], "2 checks pass, the tightest at 31 % of its tolerance"),
        ([0.001, 0.0], "2 checks pass, the tightest at under 1 % of its tolerance"),
    ],
)
def test_one_line_says_how_close_checks_came(deviations, line):
    results = [{"deviation": d, "tolerance": 1.0} for d in deviations]
    assert claim_marks.summary(results or [{"deviation": None, "tolerance": None}]) == line


def check(state: str) -> nodes.raw:
    return nodes.raw("", f'<div class="claim-line claim-line-{state}">{state}</div>', format="html")


def cell(*outputs: nodes.Node) -> nodes.container:
    code = claim_marks.HideCodeCellNode(prompt_show="Show", prompt_hide="Hide")
    code += nodes.literal_block(text="ledger.check()")
    return nodes.container("", code, nodes.container("", *outputs), classes=["cell"])


def test_what_does_not_pass_stays_open():
    here = cell(check("pass"), check("pass"), check("fail"), nodes.image())
    claim_marks.fold(document(here), [{}] * 3)
    shown = [type(node).__name__ for node in here[1]]
    assert here[1].astext().count("<details") == 1
    assert shown == ["raw"] * 5 + ["image"]
    assert "fail" in here[1][4].astext() and "</details>" in here[1][3].astext()
    assert isinstance(here[0], claim_marks.HideCodeCellNode)


def test_code_of_checks_alone_stands_behind_their_line():
    here = cell(check("pass"))
    claim_marks.fold(document(here), [{}])
    kinds = [type(node).__name__ for node in here[0]]
    assert kinds == ["raw", "raw", "HideCodeCellNode", "raw"]


def test_a_page_and_its_notebook_have_the_same_checks():
    with pytest.raises(ValueError, match="1 checks, and its notebook has 2"):
        claim_marks.fold(document(cell(check("pass"))), [{}, {}])


def test_parameters_are_folded_and_code_says_what_it_is_for():
    parameters = nodes.container("", nodes.container("", nodes.literal_block(text="seed = 0")))
    parameters["classes"] = ["cell", "tag_parameters"]
    here = cell(nodes.image())
    claim_marks.name_code(document(parameters, here))
    assert [type(node).__name__ for node in parameters] == ["HideCodeCellNode"]
    assert parameters[0]["prompt_show"] == claim_marks.PARAMETERS
    assert here[0]["prompt_show"] == "Code of the checks"
