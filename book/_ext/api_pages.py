"""Docstrings on pages: autodoc and numpydoc do it, but for the bars of |w|, which RST would eat."""

import re
from typing import Any

from sphinx.application import Sphinx

# roles, code between backticks, and examples stay as they are
KEPT = re.compile(r"(:\w+:`[^`]*`|`[^`]*`|^\s*(?:>>>|\.\.\.).*$)")


def bars(
    _app: Sphinx, _what: str, _name: str, _thing: Any, _options: Any, lines: list[str]
) -> None:
    """Have |w| be a norm, and not the name of a substitution."""
    for i, line in enumerate(lines):
        parts = KEPT.split(line)
        parts[::2] = [re.sub(r"(?<!\\)[|]", r"\\|", text) for text in parts[::2]]
        lines[i] = "".join(parts)


def setup(app: Sphinx) -> None:
    """Connect it, after numpydoc, which reads the sections."""
    app.connect("autodoc-process-docstring", bars, priority=900)
