"""What a check shows: its line on a page, and the numbers in it, which no rounding may turn."""

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phase_utils._check import shown
from phase_utils.chapters.vocabulary import MIME
from phase_utils.chapters.words import counted

VARYING = ("measured", "expected", "deviation", "seconds")  # to the last digit
SLACK = 1 / 77  # moves where a text changes away from the numbers that computations end on


class Line:
    """What a check shows: a line for the page, one of stable text, and the full result as data."""

    def __init__(self, result: dict[str, Any], parts: list[str]) -> None:
        self.result, self.parts = result, parts

    def __repr__(self) -> str:
        return " | ".join(self.parts)

    def _repr_mimebundle_(
        self, include: Any = None, exclude: Any = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        del include, exclude
        stable = {key: value for key, value in self.result.items() if key not in VARYING}
        varying = {key: value for key, value in self.result.items() if key in VARYING}
        return {"text/plain": repr(self), "text/html": self._html(), MIME: stable}, {MIME: varying}

    def _html(self) -> str:
        claim, state, *rest = (escape(part) for part in self.parts)
        return (  # what is compared comes from anywhere: text, and no formula
            f'<div class="claim-line claim-line-{state.replace(" ", "-")} mathjax_ignore">'
            f"<b>{claim}</b> "
            f'<span class="claim-state">{state}</span> {" · ".join(rest)}</div>'
        )


def comparable(name: str, value: Any) -> NDArray[Any]:
    """Numbers, complex and infinite ones too, booleans or texts as an array."""
    try:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
    except Exception:  # an object's own conversion may raise anything
        array = np.array(None)
    if array.dtype.kind not in "biufcUS" or np.ma.is_masked(value):
        raise ValueError(f"{name} must be numbers, booleans or texts, got {shown(value)}")
    return array


def plain(value: Any) -> Any:
    """A value that JSON holds: no number of numpy, and what is not finite as a text."""
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


def rounded(value: Any, resolution: float) -> str:
    """A number to the power of ten that its resolution reaches, at most six digits."""
    if not isinstance(value, float):
        return str(value)
    if abs(value) <= resolution or value == 0:
        return "0"
    place = max(np.floor(np.log10(abs(value))) - 5, -300)
    if resolution > 0:
        place = max(place, np.floor(np.log10(resolution) + SLACK))
    # numbers like 0.125 lie half-way between two texts, and rounding would choose
    steps = np.floor(abs(value) / 10.0**place + 0.5 - SLACK)
    return f"{np.copysign(steps * 10.0**place, value):.6g}"


def compared(
    values: Sequence[Any], count: int, within: int, bound: float | None, relative: bool
) -> list[str]:
    """What a line says of a comparison: values (measured, expected), and how many are near.

    values : those that are shown, of `count`, of which `within` are near enough; bound : how near,
    None where they must be equal.
    """
    if bound is None and count > 1:
        return [f"{within} of {count} as expected"]
    size = abs(values[1]) if relative and isinstance(values[1], int | float) else 1.0
    texts = [rounded(value, (bound or 0.0) * size) for value in values]
    largest_of = "the largest: " if count > 1 else ""
    told = [f"{largest_of}measured {texts[0]}", f"expected {texts[1]}"]
    if bound is not None:
        kind = "relative" if relative else "absolute"
        all_of = f"{within} of " if count > 1 else ""
        told.append(f"{all_of}{counted(count, 'value')} within {bound:g} ({kind})")
    return told
