"""The search of the built book: what a reader types finds first the page that answers it."""

import sys
from pathlib import Path

import pytest
from docutils.core import publish_doctree
from docutils.utils import Reporter
from in_browser import DESKTOP, missing
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
SEARCH = ROOT / "_build" / "html" / "search.html"
sys.path.append(str(ROOT / "book" / "_ext"))

import search_pages  # noqa: E402

# the first answer to each, where its author expects it
QUERIES = {
    "weight_decay": "book/notation.html#weight-decay-in-pytorch",
    "batch norm": "notebooks/16_your_network.html#other-architectures",
    "BatchNorm": "notebooks/16_your_network.html#other-architectures",
    "how to run": "book/rerunning.html",
    "initialisation": "notebooks/14_initialization_and_escape.html",
    "initialization": "notebooks/14_initialization_and_escape.html",
    "gamma star": "book/notation.html#landscape",
    "own data": "book/rerunning.html#your-own-data",
    "csv": "book/rerunning.html#your-own-data",
    "AdamW": "notebooks/17_adamw.html",
    "VAE": "notebooks/12_collapse_vae.html",
    "posterior collapse": "notebooks/12_collapse_vae.html",
    "SimCLR": "notebooks/11_collapse_self_supervised.html",
    "neural collapse": "notebooks/10_collapse_supervised.html#is-neural-collapse-the-trivial-phase",
    "Maxwell construction": "notebooks/06_depth_two_and_more.html",
    "group lasso": "notebooks/05_depth_one.html",
    "ridge regression": "notebooks/03_depth_zero.html",
    "cascade": "notebooks/07_cascades.html",
    "escape time": "notebooks/14_initialization_and_escape.html#how-long-it-takes",
    "dask": "book/rerunning.html#on-a-dask-cluster",
    "errata": "book/corrections.html",
    "how to cite": "book/introduction.html#how-to-cite",
    "network does not learn": "notebooks/16_your_network.html",
    "temperature": "notebooks/13_temperature.html",
}
FIRST = """queries => queries.map(query => {
  const [page, , anchor] = Search._performSearch(...Search._parseQuery(query)).at(-1) ?? [];
  return `${page}.html${anchor}`;
})"""
# an index that was built anew in part keeps words that no page has
WORDS = """() => Object.entries(Search._index.terms)
  .filter(([, pages]) => !Array.isArray(pages) || pages.length).map(([word]) => word)"""


@pytest.fixture(scope="module")
def tab(browser):
    if not SEARCH.exists():
        missing("the book is not built: run `make book`")
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.goto(f"{SEARCH.as_uri()}?q=weight_decay")
    page.wait_for_function("() => Search.hasIndex()")
    yield page
    context.close()


def test_what_is_typed_finds_first_what_answers_it(tab):
    found = dict(zip(QUERIES, tab.evaluate(FIRST, list(QUERIES)), strict=True))
    assert found == QUERIES


def test_the_page_of_the_search_shows_it_first(tab):
    first = tab.locator("#search-results li a").first
    first.wait_for()
    address = first.get_attribute("href").partition("?")
    assert address[0].endswith("book/notation.html") or "notation" in address[0]
    first.click()
    tab.wait_for_url("**/book/notation.html*")
    assert tab.evaluate("location.hash") == "#weight-decay-in-pytorch"
    tab.go_back()


def test_every_phrase_finds_first_its_own_place(tab):
    named = search_pages.phrases(ROOT / "book" / search_pages.PHRASES)
    words = [(w, page) for page, places in named.items() for ws in places.values() for w in ws]
    assert len({w for w, _ in words}) == len(words)
    found = tab.evaluate(FIRST, [w for w, _ in words])
    wrong = {
        word: first
        for (word, page), first in zip(words, found, strict=True)
        if first.partition(".html")[0] != page
    }
    assert wrong == {}


def test_code_is_no_word_of_the_search(tab):
    words = set(tab.evaluate(WORDS))
    assert "landscap" in words  # stems of prose
    assert not words & {"np", "plt", "linspac", "figsiz", "subplot", "xlabel", "glue"}


def test_a_page_is_read_without_code_and_with_its_phrases():
    text = "Title\n=====\n\nProse.\n\n::\n\n    hidden_code\n\nPart\n----\n\nMore.\n"
    quiet = {"report_level": Reporter.SEVERE_LEVEL, "doctitle_xform": False}
    doctree = publish_doctree(text, settings_overrides=quiet)
    read = search_pages.to_search(doctree, {"": ["of all"], "Part": ["one", "two"]})
    assert "hidden_code" in doctree.astext() and "hidden_code" not in read.astext()
    entries = [e for node in read.findall(addnodes.index) for e in node["entries"]]
    assert sorted((e[1], e[2]) for e in entries) == [
        ("of all", ""),
        ("one", "part"),
        ("two", "part"),
    ]
    assert all(e[3] == "main" for e in entries)
    with pytest.raises(ValueError, match="'Lost'"):
        search_pages.to_search(doctree, {"Lost": ["x"]})
