"""One browser for all pages, and tabs that show a live figure, where nothing may go wrong."""

from collections.abc import Iterator

import pytest
from in_browser import DESKTOP, launched
from live_tabs import PAGE, html


@pytest.fixture(scope="package")
def browser() -> Iterator:
    """The browser of tests/conftest.py, once for all files of this folder."""
    yield from launched()


@pytest.fixture(scope="module")
def context(browser):
    """A function that returns a context with the options, the same for the same."""
    known = {}

    def made(**options):
        key = repr(sorted(options.items()))
        if key not in known:
            known[key] = browser.new_context(**{"viewport": DESKTOP, "offline": True, **options})
        return known[key]

    yield made
    for each in known.values():
        each.close()


@pytest.fixture(scope="module")
def idle():
    """Tabs that no test uses, of each context: to start a tab costs more than to leave a page."""
    return {}


@pytest.fixture
def visit(context, idle, tmp_path):
    """A function that opens a figure, by its name or itself, in a tab of its own.

    The page has the figure where `within` has braces; `new` is a tab without a history.
    """
    tabs, problems = [], []
    heard = {
        "console": lambda m: problems.append(m.text),
        "pageerror": lambda error: problems.append(str(error)),
        "request": lambda r: r.url.startswith("file:") or problems.append(r.url),
    }

    def opened(figure, within="{}", new=False, **options):
        body = html(figure) if isinstance(figure, str) else figure._repr_html_()
        path = tmp_path / f"{len(tabs)}.html"
        path.write_text(PAGE.format(body=within.format(body)), encoding="utf-8")
        one = context(**options)
        left = idle.setdefault(one, [])
        tab = left.pop() if left and not new else one.new_page()
        tabs.append(tab)
        for event, listener in heard.items():
            tab.on(event, listener)
        tab.goto(path.as_uri())
        return tab

    yield opened
    for tab in tabs:
        tab.emulate_media(media="screen")
        tab.mouse.move(0, 0)
        for event, listener in heard.items():
            tab.remove_listener(event, listener)
        idle[tab.context].append(tab)
    assert problems == []
