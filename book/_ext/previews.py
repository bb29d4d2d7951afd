"""What a link's target says, beside the pages, so that a page can show it without leaving.

Every page leaves `_static/previews/PAGE.js` with the terms, theorems, equations, works and claims
that are defined on it, as HTML by their anchors. `reading.js` loads it when a link is hovered or
focused: as a script, since a page that was opened as a file may load nothing else.
"""

import json
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx_proof.nodes import NODE_TYPES

STATEMENTS = tuple(NODE_TYPES.values())
LINK_OR_ANCHOR = re.compile(r'<a\b[^>]*>|</a>|\s(?:id|name)="[^"]*"')
PERMALINK = re.compile(r'<a class="headerlink".*?</a>', re.S)


def targets(doctree: nodes.document) -> Iterator[tuple[nodes.Element, list[nodes.Element]]]:
    """Yield what carries an anchor, and the nodes that say what it is."""
    for node in doctree.findall(nodes.Element):
        if not node.get("ids"):
            continue
        if isinstance(node, nodes.term):
            yield node, node.parent.children[-1].children
        elif isinstance(node, (*STATEMENTS, nodes.math_block, nodes.citation)):
            yield node, [node]
        elif isinstance(node.parent, nodes.entry) and node["ids"][0].startswith("claim-"):
            statement = node.parent.parent.children[-1].children
            yield node, list(takewhile(lambda part: not isinstance(part, nodes.raw), statement))


def write_previews(
    app: Sphinx,
    pagename: str,
    _template: str,
    _context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Write the previews of one page."""
    if doctree is None or app.builder.format != "html":
        return
    found = {}
    for node, shown in targets(doctree):
        whole = nodes.container("", *[part.deepcopy() for part in shown])
        writer = app.builder.create_translator(doctree, app.builder)
        whole.walkabout(writer)
        html = LINK_OR_ANCHOR.sub("", PERMALINK.sub("", "".join(writer.body)))
        found |= dict.fromkeys(node["ids"], html)
    path = Path(app.outdir) / "_static" / "previews" / f"{pagename}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False, indent=0)
    path.write_text(f"(window.previews ??= {{}})[{json.dumps(pagename)}] = {text};\n", "utf-8")


def setup(app: Sphinx) -> None:
    """Write previews with every page."""
    app.connect("html-page-context", write_previews)
