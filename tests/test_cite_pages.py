"""How a section says that it is cited, and a name which chapters use it."""

import re
import sys
from pathlib import Path

import pytest
from docutils import nodes

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

cite_pages = pytest.importorskip("cite_pages")
api_pages = pytest.importorskip("api_pages")

WORK = {
    "title": "A book",
    "version": "1.2",
    "authors": [
        {"name": "Some authors"},
        {"given-names": "Ada", "family-names": "Lovelace"},
    ],
}


def test_a_section_is_cited_with_its_title_number_and_address():
    told = cite_pages.sentence(WORK, "Where $D = 1$", "5.2", "2026-01-31")
    assert told == (
        "Some authors and Ada Lovelace, “Where $D = 1$”, section 5.2 of A book, "
        "version 1.2, built 2026-01-31. ADDRESS"
    )
    assert "chapter 5 of" in cite_pages.sentence(WORK, "Five", "5", "")
    assert "of A book" not in cite_pages.sentence(WORK, "Glossary", "", "")


def test_bibtex_has_the_same_and_no_letter_that_latex_reads_otherwise():
    entry = cite_pages.bibtex(WORK, "R&D of 5% at $w_1$, a_b", "5.2", "2026-01-31", "five-a")
    fields = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", entry, re.M))
    assert entry.startswith("@incollection{five-a,") and entry.endswith("\n}")
    assert fields == {
        "author": "{Some authors} and Lovelace, Ada",
        "title": r"R\&D of 5\% at $w_1$, a\_b",
        "booktitle": "A book",
        "chapter": "5.2",
        "version": "1.2",
        "year": "2026",
        "url": "ADDRESS",
    }


def test_a_title_keeps_its_formulas_in_dollars():
    title = nodes.title("", "", nodes.Text("At "), nodes.math("", "D = 1"), nodes.Text(" it"))
    assert cite_pages.title_of(nodes.section("", title)) == "At $D = 1$ it"


def test_names_that_cells_take_from_the_package():
    cells = ["x = pu.data.load('a').moments", "pu.train(x).transitions()\nnp.linalg.norm(x)"]
    assert api_pages.named(cells) == {
        "data", "data.load", "train", ".load", ".train", ".transitions", ".norm",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("widgets.landscape", r"pu\.widgets\.landscape\("),
        ("phase_diagram", r"pu\.phase_diagram\("),
        ("Diagnosis", r"pu\.diagnose\("),  # which returns it
        ("Spinodal", r"\.spinodals\("),
    ],
)
def test_chapters_of_a_name_are_those_whose_code_has_it(name, written):
    found = {
        path.stem
        for path in (ROOT / "notebooks").glob("[0-9]*.md")
        if any(
            re.search(written, cell)
            for cell in re.findall(r"^```\{code-cell.*?^```", path.read_text("utf-8"), re.M | re.S)
        )
    }
    assert found and set(api_pages.users(name, ROOT / "notebooks")) == found
