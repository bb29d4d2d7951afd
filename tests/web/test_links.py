"""The built pages as text: every link within the book leads to a file and to its anchor there."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not path.relative_to(HTML).parts[0].startswith("_")
)


class Links(HTMLParser):
    """Collects the anchors of a page, and where its links, images and scripts point."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.anchors: set[str] = set()
        self.targets: set[str] = set()

    def handle_starttag(self, _tag, attrs):
        for name, value in attrs:
            if value and name == "id":
                self.ids.append(value)
            if value and name in ("id", "name"):
                self.anchors.add(value)
            elif value and name in ("href", "src"):
                self.targets.add(value)


@cache
def read(path: Path) -> Links:
    links = Links()
    links.feed(path.read_text(encoding="utf-8"))
    return links


def broken(page: Path) -> list[str]:
    """Return the links of a page within the book that lead nowhere."""
    wrong = []
    for link in read(page).targets:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
        anchor = unquote(parts.fragment) if target.suffix == ".html" else ""
        if not target.is_file() or (anchor and anchor not in read(target).anchors):
            wrong.append(link)
    return sorted(wrong)


@pytest.mark.parametrize("name", PAGES)
def test_links_within_the_book(name):
    assert broken(HTML / name) == []


@pytest.mark.parametrize("name", PAGES)
def test_an_id_occurs_once(name):
    ids = read(HTML / name).ids
    assert [anchor for anchor in set(ids) if ids.count(anchor) > 1] == []


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_left_as_text(name):
    text = (HTML / name).read_text(encoding="utf-8")
    assert re.findall(r"<p>\|[^<]*\|\n\|[^<]*", text) == []


def test_broken_links_are_seen(tmp_path):
    (tmp_path / "b.html").write_text('<p id="there">')
    page = tmp_path / "a.html"
    page.write_text(
        '<a href="b.html#there"></a><a href="b.html#gone"></a><a href="c.html"></a>'
        '<img src="d.svg"><a href="#here" id="here"></a><a href="https://example.org"></a>'
    )
    assert broken(page) == ["b.html#gone", "c.html", "d.svg"]


def test_every_chapter_offers_its_executed_notebook():
    chapters = [name for name in PAGES if name.startswith("notebooks/")]
    for name in chapters:
        link = f"../_sources/{Path(name).with_suffix('.ipynb')}"
        assert link in read(HTML / name).targets, name
        text = (HTML / "_sources" / name).with_suffix(".ipynb").read_text(encoding="utf-8")
        # the paper line by line has checks, and no figures
        shows = "claim-line" if "line_by_line" in name else '"image/svg+xml"'
        assert shows in text and "(not computed)" not in text, name
