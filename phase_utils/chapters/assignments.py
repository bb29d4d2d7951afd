"""The words NAME=VALUE of a command line."""

from collections.abc import Sequence
from typing import Any

from phase_utils.chapters.chapter import Chapter
from phase_utils.chapters.parameters import check_names


def given(texts: Sequence[str], chapter: Chapter) -> dict[str, Any]:
    """The values of name=literal, in the types that the chapter declares."""
    parameters = {p.name: p for p in chapter.parameters}
    found = pairs("-p", texts)
    check_names(found, chapter.parameters)
    return {name: parameters[name].parse(literal) for name, literal in found.items()}


def pairs(option: str, texts: Sequence[str]) -> dict[str, str]:
    """The parts of name=text, each name once."""
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        name = name.strip()
        if not separator:
            form = {"-p": "name=literal", "-g": "name=start:stop:count or name=[value, ...]"}
            raise ValueError(f"{option} must be {form[option]}, got {text!r}")
        if name in found:
            raise ValueError(f"parameter {name} is given twice")
        found[name] = value
    return found
