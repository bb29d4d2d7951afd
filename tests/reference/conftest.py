"""What nbval compares here: text. Pictures, pages and claims have tests of their own."""

import pytest


class AllBut:
    """Contains every key of an output except those given."""

    def __init__(self, *kept: str) -> None:
        self.kept = kept

    def __contains__(self, key: object) -> bool:
        return key not in self.kept


def pytest_collectstart(collector: pytest.Collector) -> None:
    if hasattr(collector, "skip_compare"):
        collector.skip_compare = AllBut("data", "text/plain", "stdout", "ename", "evalue")
