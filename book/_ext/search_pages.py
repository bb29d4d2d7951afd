"""What the search knows of the pages: their text without code, and phrases of `search.toml`.

Sphinx indexes cells and their outputs as if they were prose: a word of code finds every chapter. A
phrase that a reader types is an index entry of the page or section that answers it first.
"""

import tomllib
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.environment import BuildEnvironment

PHRASES = "search.toml"
UNREAD = (nodes.literal_block, nodes.doctest_block, nodes.math_block, nodes.math, nodes.raw)

index_all = StandaloneHTMLBuilder.index_page


def phrases(path: Path) -> dict[str, dict[str, list[str]]]:
    """Return the phrases of every page, by the heading of the section, "" for the page itself."""
    found: dict[str, dict[str, list[str]]] = {}
    for place, words in tomllib.loads(path.read_text(encoding="utf-8")).items():
        page, _, heading = place.partition(" > ")
        found.setdefault(page, {})[heading] = words
    return found


def section(doctree: nodes.document, heading: str) -> nodes.section:
    """Return the section with this heading, the first one for none."""
    for found in doctree.findall(nodes.section):
        if not heading or found[0].astext() == heading:
            return found
    raise ValueError(f"{PHRASES} names the section {heading!r}, which {doctree['source']} has not")


def to_search(doctree: nodes.document, entries: dict[str, list[str]]) -> nodes.document:
    """Return what the index reads of a page, the phrases of its sections among it."""
    read = doctree.deepcopy()
    for node in [n for n in read.findall(nodes.Element) if isinstance(n, UNREAD)]:
        node.parent.remove(node)
    for heading, words in entries.items():
        place = section(read, heading)
        anchor = place["ids"][0] if heading else ""
        place += addnodes.index(entries=[("single", w, anchor, "main", None) for w in words])
    return read


def index_page(
    self: StandaloneHTMLBuilder, pagename: str, doctree: nodes.document, title: str
) -> None:
    """Index a page as `to_search` has it."""
    entries = phrases(Path(self.confdir) / "book" / PHRASES).get(pagename, {})
    index_all(self, pagename, to_search(doctree, entries), title)


def depend(_app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Have the pages that the phrases name read again when these have changed."""
    path = Path(env.srcdir) / "book" / PHRASES
    named = set(phrases(path))
    if missing := named - env.found_docs:
        raise ValueError(f"{PHRASES} names pages that are not there: {', '.join(sorted(missing))}")
    changed = path.stat().st_mtime_ns // 1000
    docnames.extend(p for p in named - set(docnames) if changed > env.all_docs.get(p, 0))


def setup(app: Sphinx) -> None:
    """Index pages so."""
    StandaloneHTMLBuilder.index_page = index_page
    app.connect("env-before-read-docs", depend)
