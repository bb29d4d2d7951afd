"""Tabs that show a live figure, where nothing may go wrong."""

import pytest
from in_browser import DESKTOP
from live_tabs import PAGE, html


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


@pytest.fixture
def visit(context, tmp_path):
    """A function that opens a figure, by its name or itself, in a tab of its own."""
    tabs, problems = [], []

    def opened(figure, **options):
        body = html(figure) if isinstance(figure, str) else figure._repr_html_()
        path = tmp_path / f"{len(tabs)}.html"
        path.write_text(PAGE.format(body=body), encoding="utf-8")
        tab = context(**options).new_page()
        tabs.append(tab)
        tab.on("console", lambda m: problems.append(m.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("request", lambda r: r.url.startswith("file:") or problems.append(r.url))
        tab.goto(path.as_uri())
        return tab

    yield opened
    for tab in tabs:
        tab.close()
    assert problems == []
