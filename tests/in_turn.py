"""Which of many like cases are in every run; all of them are in the scheduled one."""

from collections.abc import Iterable
from typing import Any

import pytest


def in_turn(cases: Iterable[Any], every: int, first: int = 0) -> list[Any]:
    """The cases as parameters of a test, of which every so-manyth is in each run.

    Tests of the same cases that begin at different ones leave none of these out.
    """
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=() if i % every == first % every else pytest.mark.scheduled,
        )
        for i, case in enumerate(cases)
    ]
