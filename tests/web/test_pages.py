"""Every built page in a real browser: both themes, a phone's width, without the network.

The pages are opened as files, as a reader of `_build/html/index.html` does. The tests are skipped
where there is no built book or no browser, unless PHASE_BOOK_REQUIRE_BROWSER is 1.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from in_browser import DESKTOP, PHONE, missing

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not path.relative_to(HTML).parts[0].startswith("_")
)

# Width by which the page is wider than the window, and the elements that make it so.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = e => e && (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)
                             || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll(".bd-article *")].filter(
    e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));
  return [document.documentElement.scrollWidth - width,
          wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120))];
}"""
UNTYPESET = """() => [...document.querySelectorAll("main .math, main mjx-merror")]
  .filter(e => e.matches("mjx-merror") || !e.querySelector("mjx-container"))
  .map(e => e.outerHTML.slice(0, 120))"""
# the text of main is dark on light or light on dark, whichever theme is asked for
CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
                       return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; };
  return light(getComputedStyle(document.querySelector("main p, main h1")).color)
       - light(getComputedStyle(document.body).backgroundColor);
}"""

# Outputs of cells whose text has less than the contrast 4.5 to what is behind it.
FAINT = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);  // the fourth, opacity, is left out if 1
  const opaque = c => (parts(c)[3] ?? 1) > 0.5;
  const behind = e => {
    if (!e) return [255, 255, 255];
    const c = getComputedStyle(e).backgroundColor;
    return opaque(c) ? parts(c) : behind(e.parentElement);
  };
  const linear = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const faint = e => { const a = light(parts(getComputedStyle(e).color)), b = light(behind(e));
                       return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; };
  const written = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll(".cell_output .text_html *")].filter(written).filter(faint)
    .slice(0, 3).map(e => e.outerHTML.slice(0, 120));
}"""


@pytest.fixture(scope="module")
def tabs(browser) -> Iterator[dict]:
    contexts = {
        theme: browser.new_context(color_scheme=theme, viewport=DESKTOP)
        for theme in ("light", "dark")
    }
    yield {theme: context.new_page() for theme, context in contexts.items()}
    for context in contexts.values():
        context.close()


def test_book_is_built():
    if not PAGES:
        missing("the book is not built: run `make book`")
    assert "book/introduction.html" in PAGES


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_page(tabs, name, theme):
    tab = tabs[theme]
    problems, outside = [], []

    def on_console(message):
        if message.type == "error":
            problems.append(message.text)

    def on_request(request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            outside.append(request.url)

    listeners = {
        "console": on_console,
        "pageerror": lambda error: problems.append(str(error)),
        "requestfailed": lambda request: problems.append(f"failed: {request.url}"),
        "request": on_request,
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    try:
        tab.set_viewport_size(DESKTOP)
        tab.goto((HTML / name).as_uri())
        if name == "index.html":  # leads to the first page at once
            tab.wait_for_url("**/book/introduction.html")
        tab.evaluate("() => window.MathJax?.startup?.promise")

        assert tab.evaluate("document.documentElement.dataset.theme") == theme
        assert (tab.evaluate(CONTRAST) > 0.5) == (theme == "dark")
        assert tab.evaluate(FAINT) == []
        assert tab.evaluate(UNTYPESET) == []
        silent = "[...document.images].filter(i => !i.alt.trim()).map(i => i.outerHTML)"
        assert tab.evaluate(silent) == []
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert tab.evaluate(broken) == []

        tab.set_viewport_size(PHONE)
        assert tab.evaluate(OVERFLOW) == [0, []]
        assert problems == []
        assert outside == []
    finally:
        for event, listener in listeners.items():
            tab.remove_listener(event, listener)
