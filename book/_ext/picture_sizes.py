"""The room that each picture will take, in the page: its text stays where it is when it arrives.

A picture says its own width and height, in pixels of the page; the page's style shrinks it where
there is less room, and keeps its ratio. All but the first of a page are loaded when a reader comes
near them.
"""

import re
import struct
from pathlib import Path

from built_pages import pages
from sphinx.application import Sphinx

PICTURE = re.compile(r'<img\b(?![^>]*\bwidth=)([^>]*?\bsrc="([^":?]+)[^"]*"[^>]*?)(\s*/?>)')
SCRIPT = re.compile(r"(<script\b.*?</script>)", re.S)
ARTICLE = re.compile(r"<article\b.*?</article>", re.S)
ROOT = re.compile(r"<svg\b[^>]*>")
LENGTH = re.compile(r'\s(width|height)="([\d.]+)(px|pt|)"')
BOX = re.compile(r'\sviewBox="[-\d.]+[ ,]+[-\d.]+[ ,]+([\d.]+)[ ,]+([\d.]+)"')
PIXELS = {"px": 1.0, "": 1.0, "pt": 4 / 3}
PNG = b"\x89PNG\r\n\x1a\n"


def size(file: Path) -> tuple[int, int] | None:
    """Return the width and the height of an SVG or PNG in pixels of a page, or None of another."""
    data = file.read_bytes()
    if data.startswith(PNG):
        return struct.unpack(">II", data[16:24])
    root = ROOT.search(data[:4096].decode("utf-8", "replace"))
    if not root:
        return None
    said = {name: float(x) * PIXELS[unit] for name, x, unit in LENGTH.findall(root[0])}
    box = BOX.search(root[0])
    if len(said) < 2 and box:
        said = {"width": float(box[1]), "height": float(box[2])}
    return (round(said["width"]), round(said["height"])) if len(said) == 2 else None


def with_sizes(page: str, folder: Path) -> str:
    """Return a page, of this folder, whose pictures say how large they are and when they load."""
    first = True

    def sized(picture: re.Match[str], late: bool) -> str:
        nonlocal first
        file = folder / picture[2]
        found = size(file) if file.is_file() else None
        if found is None:
            return picture[0]
        waits = ' loading="lazy"' if late and not first else ""
        first = first and not late
        said = f'width="{found[0]}" height="{found[1]}" decoding="async"{waits}'
        return f"<img{picture[1]} {said}{picture[3]}"

    def each(text: str, late: bool) -> str:
        parts = SCRIPT.split(text)  # a script is as its hash says
        parts[::2] = [PICTURE.sub(lambda p: sized(p, late), part) for part in parts[::2]]
        return "".join(parts)

    return each(ARTICLE.sub(lambda article: each(article[0], True), page), False)


def reserve(app: Sphinx, error: Exception | None) -> None:
    """Reserve the room of all pictures of all pages."""
    if error is not None or app.builder.format != "html":
        return
    for path in pages(Path(app.outdir)):
        page = path.read_text(encoding="utf-8")
        path.write_text(with_sizes(page, path.parent), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """Reserve it when all pages are there, and before what they may do is stated."""
    app.connect("build-finished", reserve, priority=860)
