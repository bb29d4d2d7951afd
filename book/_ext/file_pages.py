"""Pages opened as files: what they may not fetch lies beside them as scripts.

A browser that shows a file lets it load pictures, styles and scripts, and nothing else. The search
reads the pages that it found, to show where in them, and a click saves a notebook or a page's
source: for both there is `_static/beside/PATH.js`, which `reading.js` loads where a page is a file.
"""

import json
import re
from pathlib import Path

from built_pages import pages
from sphinx.application import Sphinx

FOLDER = "_static/beside"
MAIN = re.compile(r"<main\b.*?</main>", re.S)
UNREAD = re.compile(r"<(script|style|svg|button)\b.*?</\1>|<a class=\"headerlink\".*?</a>", re.S)
TAG = re.compile(r"<(\w+)\b[^>]*?(?:(\sid=\"[^\"]*\")[^>]*)?>")


def readable(page: str) -> str:
    """Return what the search reads of a page: its text, in elements that keep only their ids."""
    found = MAIN.search(page)
    main = TAG.sub(r"<\1\2>", UNREAD.sub("", found[0])) if found else ""
    return main.replace("<main", '<main role="main"', 1)


def lay_beside(app: Sphinx, error: Exception | None) -> None:
    """Write the scripts of all pages and notebooks."""
    if error is not None or app.builder.format != "html":
        return
    built = Path(app.outdir)
    for path in [*pages(built), *built.glob("_sources/*/*")]:
        name = path.relative_to(built).as_posix()
        text = path.read_text(encoding="utf-8")
        text = readable(text) if path.suffix == ".html" else text
        script = built / FOLDER / f"{name}.js"
        script.parent.mkdir(parents=True, exist_ok=True)
        held = json.dumps(text, ensure_ascii=False)
        script.write_text(f"(window.beside ??= {{}})[{json.dumps(name)}] = {held};\n", "utf-8")


def setup(app: Sphinx) -> None:
    """Write them when all pages are there."""
    app.connect("build-finished", lay_beside, priority=900)
