"""The book in print: parts, chapter numbers, figures and tables as LaTeX wants them.

Sphinx hands the whole book over as one tree, in which the first page has no title of its own and
parts are lost. Code that the pages hide stays out: it is in the notebooks.
"""

import re
import subprocess

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter

# relative widths of the columns of generated tables
WIDTHS = {
    "claim-summary": (34, 8, 12, 12, 10, 11, 7, 7, 10, 10, 10, 10),
    "claim-details": (15, 38, 21, 15, 12),
    "claim-corrections": (22, 34, 44),
}
HIDDEN = ("tag_hide-input", "tag_hide-cell", "tag_remove-input")


class SvgToPdf(ImageConverter):
    """Figures that are drawn once and stored as SVG, as PDF."""

    conversion_rules = [("image/svg+xml", "application/pdf")]  # noqa: RUF012

    def is_available(self) -> bool:
        """Return whether to try; a missing program is an error with its name."""
        return True

    def convert(self, _from: str, _to: str) -> bool:
        """Convert one file."""
        subprocess.run(["rsvg-convert", "--format", "pdf", "--output", _to, _from], check=True)
        return True


def latex(text: str) -> nodes.raw:
    """Return LaTeX as a node."""
    return nodes.raw("", text, format="latex")


def starts(app: Sphinx) -> dict[str, str]:
    """Return what stands before the chapters: part titles and numbers, by the page's name."""
    found = {}
    for part in app.env.external_site_map.root.subtrees:
        for i, docname in enumerate(part.files()):
            name = re.fullmatch(r"notebooks/(\d\d)_\w+", docname)
            first = f"\\part{{{part.caption}}}\n" if i == 0 else ""
            if name:
                found[docname] = f"{first}\\setcounter{{chapter}}{{{int(name[1]) - 1}}}\n"
            else:
                found[docname] = first + ("\\appendix\n" if i == 0 else "")
    return found


def arrange(app: Sphinx, doctree: nodes.document) -> None:
    """Give the first page a chapter of its own, and put parts and numbers before the chapters."""
    book = next(doctree.findall(nodes.section))
    before = starts(app)
    first = nodes.section("", nodes.title(text="Introduction"), ids=["introduction"])
    own = [node for node in book[1:] if not list(node.findall(addnodes.start_of_file))]
    for node in own:
        book.remove(node)
        first += node
    book.insert(1, [latex("\\setcounter{secnumdepth}{-1}\n"), first])
    book.insert(3, latex("\\setcounter{secnumdepth}{1}\n"))
    for page in list(doctree.findall(addnodes.start_of_file)):
        text = before.get(page["docname"])
        if text:
            page.parent.insert(page.parent.index(page), latex(text))


def simplify(doctree: nodes.document) -> None:
    """Leave out hidden code, give tables their widths, and make claims what links lead to."""
    for cell in list(doctree.findall(nodes.container)):
        if any(tag in cell["classes"] for tag in HIDDEN):
            for part in [c for c in cell.children if "cell_input" in c.get("classes", ())]:
                cell.remove(part)
    for table in doctree.findall(nodes.table):
        table["classes"] += ["longtable"] if "claims" in table["classes"] else []
        for name, widths in WIDTHS.items():
            if name in table["classes"]:
                table["classes"].append("colwidths-given")
                for spec, width in zip(table.findall(nodes.colspec), widths, strict=False):
                    spec["colwidth"] = width
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if paragraph["ids"]:
            paragraph.insert(0, nodes.target("", "", ids=paragraph["ids"]))


def for_print(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Make the tree of the whole book fit for print."""
    if app.builder.format == "latex":
        arrange(app, doctree)
        simplify(doctree)


def setup(app: Sphinx) -> None:
    """Connect all of the above."""
    app.add_post_transform(SvgToPdf)
    app.connect("doctree-resolved", for_print)
