"""One browser for each file of tests."""

from collections.abc import Iterator

import pytest
from in_browser import launched


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium or Chrome; where neither is installed, a skip, or a failure if it is required."""
    yield from launched()
