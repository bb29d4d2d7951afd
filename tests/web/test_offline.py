"""The zip of the book: the same bytes each time, and pages that work as files without a network."""

import os
import runpy
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import nbformat
import pytest
from in_browser import missing, opened

from web.test_pages import HTML

ROOT = Path(__file__).resolve().parents[2]
pack = runpy.run_path(str(ROOT / "book" / "offline.py"))["pack"]
# a reader's browser does not have the leave to read other files that the other tests give
FLAGS = ("--disable-background-networking", "--disable-gpu", "--disable-sync", "--no-first-run")
FOUND = "#search-results li"


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
def strict(browser) -> Iterator:
    """A browser as a reader has it."""
    yield from opened(browser.browser_type, FLAGS)


def test_reader_without_a_network(start, strict):
    """Opens the book, searches for a theorem by its name, and reads it: no host is asked."""
    context = strict.new_context(offline=True)
    tab = context.new_page()
    asked, failed = [], []
    context.on("request", lambda request: asked.append(request.url))
    left = "net::ERR_ABORTED"  # what the browser drops when it leaves a page
    context.on("requestfailed", lambda r: r.failure != left and failed.append(r.url))
    context.on("weberror", lambda error: failed.append(str(error.error)))
    context.on("console", lambda line: line.type == "error" and failed.append(line.text))
    tab.goto(start.as_uri())
    tab.wait_for_url("**/book/introduction.html")
    tab.wait_for_load_state("networkidle")
    tab.goto((start.parent / "search.html").as_uri() + "?q=second-order+transition")
    theorem = tab.locator(FOUND, has=tab.locator("a[href*='notebooks/05_depth_one.html']")).first
    said = theorem.locator("p.context")
    said.wait_for()
    assert "transition" in said.inner_text()
    theorem.locator("a").click()
    tab.wait_for_url("**/notebooks/05_depth_one.html*")
    tab.evaluate("() => window.MathJax.startup.promise")
    tab.evaluate("() => document.fonts.ready")
    assert tab.locator(".proof", has_text="Second-order transition").count()
    assert tab.locator("mjx-container").count() > 100
    fonts = "[...document.fonts].filter(f => f.family.startsWith('MJX')).map(f => f.status)"
    assert "loaded" in (statuses := tab.evaluate(fonts)) and "error" not in statuses
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert failed == []
    context.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of the files in a folder."""
    serve = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("as_file", [True, False])
def test_an_executed_notebook_is_saved(start, strict, as_file):
    with served(start.parent) as address:
        context = strict.new_context(offline=as_file)
        tab = context.new_page()
        tab.goto(f"{start.parent.as_uri() if as_file else address}/notebooks/03_depth_zero.html")
        with tab.expect_download() as saved:
            tab.get_by_role("link", name="Executed notebook").click()
        assert saved.value.suggested_filename == "03_depth_zero.ipynb"
        original = start.parent / "_sources" / "notebooks" / "03_depth_zero.ipynb"
        assert saved.value.path().read_bytes() == original.read_bytes()
        for suffix in (".ipynb", ".md"):
            tab.get_by_role("button", name="Download this page").click()
            with tab.expect_download() as saved:
                tab.locator(".dropdown-download-buttons").get_by_text(suffix, exact=True).click()
            name = original.with_suffix(suffix)
            assert saved.value.suggested_filename == name.name
            assert saved.value.path().read_bytes() == name.read_bytes()
        context.close()
    cells = nbformat.read(original, as_version=4).cells
    assert any(cell.get("outputs") for cell in cells)
