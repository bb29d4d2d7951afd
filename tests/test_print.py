"""The tree of the book, made fit for print; LaTeX itself is run by `make pdf` alone."""

import sys
from pathlib import Path

import pytest
from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

print_pages = pytest.importorskip("print_pages")
proofs = pytest.importorskip("sphinx_proof.nodes")


def document(*children: nodes.Node) -> nodes.document:
    tree = nodes.document(None, None)
    tree += children
    return tree


def lines(*texts: str) -> list[nodes.Node]:
    return [nodes.literal_block(text=text) for text in texts]


def test_outputs_that_follow_each_other_are_one_block():
    output = nodes.container("", *lines("a\n", "b"), nodes.image(), *lines("c"))
    output["classes"] = ["cell_output"]
    print_pages.simplify(document(output))
    assert [node.astext() for node in output] == ["a\nb", "", "c"]


def test_hidden_code_is_left_out_and_its_output_kept():
    def cell(*tags):
        source = nodes.container("", *lines("code"), classes=["cell_input"])
        return nodes.container("", source, *lines("out"), classes=["cell", *tags])

    shown, hidden = cell(), cell("tag_hide-input")
    print_pages.simplify(document(shown, hidden))
    assert [shown.astext().split(), hidden.astext().split()] == [["code", "out"], ["out"]]


def test_proof_ends_with_its_square():
    box = nodes.admonition("", nodes.paragraph("", "Proof. It is so."))
    tree = document(proofs.proof_node("", box))
    print_pages.simplify(tree)
    start, rest, end = tree[0]
    assert isinstance(start, nodes.emphasis) and start.astext() == "Proof."
    assert rest.astext() == " It is so." and end.astext() == "\\proofend"


def test_columns_of_numbers_are_as_wide_as_their_words():
    def row(*texts):
        return nodes.row("", *[nodes.entry("", nodes.paragraph(text=text)) for text in texts])

    group = nodes.tgroup("", nodes.colspec(colwidth=1), nodes.colspec(colwidth=1), cols=2)
    group += nodes.tbody("", row("four", "1"), row("a", "12345678"))
    table = nodes.table("", group, classes=["claims", "benchmark"])
    print_pages.simplify(document(table))
    assert [spec["colwidth"] for spec in table.findall(nodes.colspec)] == [6, 10]
    assert "longtable" not in table["classes"]


def test_a_claim_is_what_links_lead_to():
    claim = nodes.paragraph(text="Eq-8", ids=["claim-eq-8"])
    print_pages.simplify(document(claim))
    assert claim[0]["ids"] == ["claim-eq-8"] and isinstance(claim[0], nodes.target)


def test_a_long_line_of_a_claim_breaks_between_its_parts():
    line = " | ".join(
        ["Eq-8", "pass", "w" * 40, "measured 1", "expected 1", "7 values within 1e-9"]
    )
    first, second = print_pages.wrap(line).splitlines()
    assert first == " | ".join(["Eq-8", "pass", "w" * 40, "measured 1", "expected 1", ""]).rstrip()
    assert second == "    7 values within 1e-9"
    table = "a     b" * 12
    assert print_pages.wrap(table) == table
    assert max(map(len, print_pages.wrap("word " * 60).splitlines())) <= print_pages.CODE


def test_only_the_widest_columns_of_a_wide_table_are_cut():
    assert print_pages.shares([5, 70, 90]) == [5, 57, 57]
    assert print_pages.shares([5, 20]) == [5, 20]


def test_a_box_asks_for_the_room_it_needs():
    short = nodes.note("", nodes.paragraph(text="x" * 250), nodes.math_block(text="x"))
    long = nodes.note("", *[nodes.paragraph(text="x" * 1000) for _ in range(4)])
    assert print_pages.lines(short) == 12  # frame and title, three and a half, and four
    assert print_pages.lines(long) < 12  # is broken
    tree = document(short)
    print_pages.simplify(tree)
    assert tree[0].astext() == "\\roomfor{12}\n"
    inner = nodes.section("", nodes.title(text="Inner"), short)
    tree = document(nodes.section("", nodes.title(text="Outer"), nodes.paragraph(), inner))
    print_pages.simplify(tree)
    assert [node.astext() for node in tree[0][2:3]] == ["\\roomfor{16}\n"] and tree[0][3] is inner


def test_a_figure_stays_below_a_heading_that_has_nothing_else():
    alone = nodes.section("", nodes.title(text="Seen"), nodes.figure("", nodes.caption(text="c")))
    told = nodes.section("", nodes.title(text="Told"), nodes.paragraph(text="words"))
    print_pages.simplify(document(alone, told))
    assert alone[-1].astext() == "\\FloatBarrier\n" and isinstance(told[-1], nodes.paragraph)


def test_an_empty_cell_has_no_line():
    entry = nodes.entry("", nodes.paragraph(text=" "))
    group = nodes.tgroup("", nodes.colspec(colwidth=1), cols=1)
    group += nodes.tbody("", nodes.row("", entry))
    print_pages.simplify(document(nodes.table("", group, classes=["claims"])))
    assert entry.children == []


def test_a_caption_stays_with_its_table():
    def page(*words):
        group = nodes.tgroup("", nodes.colspec(colwidth=1), cols=1)
        return document(nodes.paragraph("", "", *words), nodes.table("", group))

    caption, told = page(nodes.Text(""), nodes.strong(text="Times")), page(nodes.Text("Times:"))
    for tree in (caption, told):
        print_pages.simplify(tree)
    assert caption[0].astext() == "\\roomfor{8}\n" and len(told) == 2
