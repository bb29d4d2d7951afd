"""Content security policies: a page runs the scripts that it names, and loads nothing from afar."""

import base64
import hashlib
from collections.abc import Iterable


def hashed(script: str) -> str:
    """Return the source expression of an inline script, which allows its exact text alone."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def page_of_its_own(scripts: Iterable[str], styles: Iterable[str] = ("'unsafe-inline'",)) -> str:
    """Return the element for a page that holds all it needs.

    scripts : the inline scripts that may run, as they stand in the page; no other does, neither in
        an attribute nor behind a link.
    styles : sources of styles. MathJax and the figures write theirs into elements, which only
        'unsafe-inline' allows; a style can neither run nor load anything here.
    """
    allowed = " ".join(map(hashed, scripts)) or "'none'"
    return element(
        {
            "default-src": "'none'",
            "script-src": allowed,
            "style-src": " ".join(styles),
            "img-src": "data:",
            "font-src": "data:",
            "base-uri": "'none'",
            "form-action": "'none'",
        }
    )


def element(directives: dict[str, str]) -> str:
    """Return the element that stands in a page's head before everything it is to hold for."""
    policy = "; ".join(f"{name} {sources}" for name, sources in directives.items())
    return f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
