"""An edition of the book on other data: results that are told loudly, and chapters left out.

`phase-book edition` sets `phase_book_edition` in the configuration of the sources that it writes.
A reference to a chapter that the edition leaves out becomes words; `{edition-results}` of the front
page says how many claims hold on these data, and what failed.
"""

import re
from collections import Counter
from pathlib import Path

import claim_marks
import nbformat
from claim_pages import Book, Generated, label
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from phase_utils.chapters import claims, library
from phase_utils.chapters.plain_markdown import words
from phase_utils.chapters.vocabulary import FAIL, NOT_APPLICABLE, PASS, REDUCED, UNTESTED
from phase_utils.chapters.words import counted

NUMBER = re.compile(r"(?:^|[-/])(\d\d)[-_]")
SAYS = {
    PASS: PASS,
    REDUCED: "were tested at reduced size or in part",
    NOT_APPLICABLE: "do not apply to these data",
    UNTESTED: "were not tested",
    FAIL: "**failed**",
}


class EditionResults(Generated):
    """`{edition-results}`: one sentence of counts, and whatever failed, with links."""

    def run(self) -> list[nodes.Node]:
        """Return them."""
        book = Book(self.env)
        states = {d: book.state(d) for d in book.definitions}
        counts = Counter(states.values())
        ended = ", ".join(f"{counts[s]} {says}" for s, says in SAYS.items() if counts[s])
        found = [self.paragraph(f"Of {counted(len(states), 'claim')} {ended}.")]
        lines = [
            f"- {{doc}}`/notebooks/{name}`: a cell failed, and what follows it did not run."
            for name in broken(book)
        ]
        lines += [
            f"- {{ref}}`{d.id} <{label(d.id)}>` of {{doc}}`/notebooks/{d.chapter}` failed."
            for d, state in states.items()
            if state == FAIL
        ]
        if lines:
            title = "Something failed on these data"
            box = nodes.admonition(classes=["error", "edition-failures"])
            box += nodes.title(text=title)
            box += self.markdown("\n".join(lines))
            found.insert(0, box)
        return found


def broken(book: Book) -> list[str]:
    """Return the chapters that did not run to their end."""
    folder = Path(book.env.srcdir) / "notebooks"
    found = []
    for path in sorted(folder.glob("*.ipynb")):
        cells = nbformat.read(path, as_version=4).cells
        text = "".join(c.source for c in cells[:2] if c.cell_type == "markdown")
        if "This chapter did not run to its end" in text:
            found.append(path.stem)
    return found


class LeaveOut(SphinxPostTransform):
    """Makes words of references to chapters and claims that the edition does not have."""

    default_priority = 5  # before Sphinx looks for them

    def run(self, **_: object) -> None:
        """Replace them in one page."""
        if not self.config.phase_book_edition:
            return
        names = library.names()
        titles = {name: library.find(name).title for name in names}
        there = {Path(name).name for name in self.env.found_docs if name.startswith("notebooks/")}
        left_out = {name[:2]: name for name in names if name not in there}
        gone = {label(d.id) for d in claims.definitions() if d.chapter not in there}
        parents = {}
        for node in list(self.document.findall(addnodes.pending_xref)):
            target = str(node.get("reftarget", ""))
            number = NUMBER.search(target)
            if target in gone:
                text = node.astext()
                text = "" if text == claim_marks.MARK else text
            elif number and number[1] in left_out and not target.startswith("claim-"):
                text = self._words(node, target, titles[left_out[number[1]]])
            else:
                continue
            parents[id(node.parent)] = node.parent
            node.replace_self(nodes.Text(text))
        for parent in parents.values():
            mend(parent)

    @staticmethod
    def _words(node: addnodes.pending_xref, target: str, title: str) -> str:
        """What a reference says without its link."""
        if node.get("refexplicit") and node.astext():
            return node.astext()
        return title if node.get("reftype") == "doc" else words(target)


def mend(parent: nodes.Element) -> None:
    """Take away the brackets and commas around marks that are no more."""
    claim_marks.join_texts(parent)
    for node in [child for child in parent.children if isinstance(child, nodes.Text)]:
        text = re.sub(r"\((?:\s*,\s*)+", "(", str(node))
        text = re.sub(r"(?:\s*,\s*)+\)", ")", text)
        parent.replace(node, nodes.Text(re.sub(r"\s*\(\s*\)", "", text)))


def setup(app: Sphinx) -> None:
    """Add the directive and the transform."""
    app.add_directive("edition-results", EditionResults)
    app.add_post_transform(LeaveOut)
