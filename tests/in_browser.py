"""The browser of the tests of pages, and what to do where there is none."""

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--allow-file-access-from-files",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
NO_BROWSER = "no Chromium or Chrome is installed"


def missing(reason: str) -> None:
    """Skip, or fail where the checks are required."""
    if os.environ.get("PHASE_BOOK_REQUIRE_BROWSER") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


def launched() -> Iterator:
    """A browser that is closed afterwards."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield from opened(playwright.chromium, FLAGS)


def opened(kind: Any, flags: Sequence[str]) -> Iterator:
    """A browser of that kind, `browser_type` of one that is open: a process has one Playwright."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None) or kind.executable_path
    if not os.path.isfile(path):
        missing(NO_BROWSER)
    # the pages are our own, and a container's root cannot have the sandbox
    chromium = kind.launch(executable_path=path, chromium_sandbox=False, args=list(flags))
    yield chromium
    chromium.close()
