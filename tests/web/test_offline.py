"""The zip of the book: the same bytes each time, and pages that work as files without a network."""

import os
import runpy
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from in_browser import launched, missing
from test_pages import HTML

ROOT = Path(__file__).resolve().parents[2]
pack = runpy.run_path(str(ROOT / "book" / "offline.py"))["pack"]
# a reader's browser does not have the leave to read other files that the other tests give
FLAGS = ("--disable-background-networking", "--disable-gpu", "--disable-sync", "--no-first-run")
FOUND = "#search-results li a"


def test_same_pages_same_bytes(tmp_path):
    pages = tmp_path / "html"
    (pages / "book").mkdir(parents=True)
    for name in ("index.html", "book/a.html", ".buildinfo"):
        (pages / name).write_text(name)
    first, second = tmp_path / "1" / "phase-book.zip", tmp_path / "2" / "phase-book.zip"
    pack(pages, first)
    for path in pages.rglob("*.html"):
        os.utime(path, (0, 10**9))
    pack(pages, second)
    assert first.read_bytes() == second.read_bytes()
    names = zipfile.ZipFile(first).namelist()
    assert names == ["phase-book/book/a.html", "phase-book/index.html"]


def test_nothing_to_pack(tmp_path):
    with pytest.raises(FileNotFoundError, match="run `make book`"):
        pack(tmp_path, tmp_path / "book.zip")


@pytest.fixture(scope="module")
def start(tmp_path_factory) -> Path:
    """The first page of the unzipped book."""
    if not (HTML / "index.html").is_file():
        missing("the book is not built: run `make book`")
    folder = tmp_path_factory.mktemp("a reader's folder")
    pack(HTML, folder / "phase-book.zip")
    zipfile.ZipFile(folder / "phase-book.zip").extractall(folder)
    return folder / "phase-book" / "index.html"


@pytest.fixture(scope="module")
def strict() -> Iterator:
    """A browser as a reader has it."""
    yield from launched(FLAGS)


def test_reader_without_a_network(start, strict):
    """Opens the book, searches for a theorem by its name, and reads it: no host is asked."""
    context = strict.new_context(offline=True)
    tab = context.new_page()
    asked, failed = [], []
    context.on("request", lambda request: asked.append(request.url))
    tab.goto(start.as_uri())
    tab.wait_for_url("**/book/introduction.html")
    tab.goto((start.parent / "search.html").as_uri() + "?q=second-order+transition")
    tab.wait_for_selector(FOUND)
    tab.wait_for_function("!document.querySelector('#search-progress')?.textContent")
    links = tab.eval_on_selector_all(FOUND, "links => links.map(a => a.href)")
    theorem = [link for link in links if "/notebooks/05_depth_one.html" in link]
    assert theorem, links
    # a page of its own: the excerpts of what was found need a server, the list does not
    tab.close()
    tab = context.new_page()
    tab.on("requestfailed", lambda request: failed.append(request.url))
    tab.goto(theorem[0])
    tab.evaluate("() => window.MathJax.startup.promise")
    tab.evaluate("() => document.fonts.ready")
    assert tab.locator(".proof", has_text="Second-order transition").count()
    assert tab.locator("mjx-container").count() > 100
    fonts = "[...document.fonts].filter(f => f.family.startsWith('MJX')).map(f => f.status)"
    assert "loaded" in (statuses := tab.evaluate(fonts)) and "error" not in statuses
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert failed == []


def test_an_executed_notebook_is_saved(start, strict):
    """From a server: of what lies beside a page of files a browser shows the text."""
    serve = partial(SimpleHTTPRequestHandler, directory=str(start.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        context = strict.new_context()
        tab = context.new_page()
        tab.goto(f"http://127.0.0.1:{server.server_port}/notebooks/03_depth_zero.html")
        with tab.expect_download() as saved:
            tab.get_by_role("link", name="Executed notebook").click()
        assert saved.value.suggested_filename == "03_depth_zero.ipynb"
        cells = nbformat.read(saved.value.path(), as_version=4).cells
        assert any(cell.get("outputs") for cell in cells)
        context.close()
        server.shutdown()
