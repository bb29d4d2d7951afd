"""Numbers as text: with a decimal point or a decimal comma, and a separator between thousands."""

import re

TRUTH = {"true": 1.0, "false": 0.0}
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "none", "missing", "-", "--", "?", ".")
_POINT = re.compile(r"[+-]?([1-9]\d{0,2}(,\d{3})+|\d*)(\.\d*)?([eE][+-]?\d+)?")
_COMMA = re.compile(r"[+-]?([1-9]\d{0,2}(\.\d{3})+|\d*)(,\d*)?([eE][+-]?\d+)?")


def plain(text: str) -> float:
    """The number that `text` writes with a decimal point alone. Raises ValueError."""
    if "_" in text:
        raise ValueError  # Python's own way of writing 1_000
    return float(text)


def with_point(text: str) -> float:
    """The number that `text` writes with a decimal point, commas between thousands, or neither."""
    return _converted(_POINT, text, ",", ".")


def with_comma(text: str) -> float:
    """The number that `text` writes with a decimal comma, points between thousands, or neither."""
    return _converted(_COMMA, text, ".", ",")


def is_number(text: str) -> bool:
    """Whether `text` is a finite number in one of these ways."""
    text = text.strip()
    written = _POINT.fullmatch(text) or _COMMA.fullmatch(text)
    return bool(written) and any(character.isdigit() for character in text)


def _converted(form: re.Pattern[str], text: str, thousands: str, decimal: str) -> float:
    if not form.fullmatch(text.strip()):
        raise ValueError
    return float(text.replace(thousands, "").replace(decimal, "."))
