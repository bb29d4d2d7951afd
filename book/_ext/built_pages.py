"""Where the pages of a built book are, for all that changes them before anybody reads them."""

from pathlib import Path


def pages(built: Path) -> list[Path]:
    """Return the pages, without those that the theme has among its own files."""
    found = sorted(built.rglob("*.html"))
    return [path for path in found if path.relative_to(built).parts[0] != "_static"]
