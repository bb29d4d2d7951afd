"""The book in print: parts, chapter numbers, figures and tables as LaTeX wants them.

Sphinx hands the whole book over as one tree, in which the first page has no title of its own and
parts are lost. Code that the pages hide stays out: it is in the notebooks.
"""

import math
import re
import subprocess
import textwrap
from importlib import metadata
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms.images import ImageConverter
from sphinx_proof.nodes import proof_node

# relative widths of the columns of generated tables; those of others follow from their words
WIDTHS = {"claim-details": (14, 22, 64), "claim-corrections": (17, 48, 35)}
HIDDEN = ("tag_hide-input", "tag_hide-cell", "tag_remove-input")
TEXT, ROW, CODE = 100, 120, 92  # letters of a line of text, of a row of a table, of a line of code
INDENTED = {"initial_indent": " " * 4, "subsequent_indent": " " * 4, "break_long_words": False}
PAGE, HEADING = 26, 4  # lines; what is not longer than half a page is not broken
WORDS = (nodes.paragraph, nodes.literal_block, nodes.math_block)

TITLE_PAGE = r"""
\begin{titlepage}
\centering
\vspace*{0.1\textheight}
{\Huge\bfseries %(title)s\par}
\vspace{1cm}
{\large Zeroth-, first- and second-order transitions of the loss as weight decay grows:\\
the claims of Ziyin and Ueda (2023), each checked by a program\par}
\vspace{1.5cm}
\includegraphics[width=\textwidth]{%(figure)s}
\vfill
{\large %(author)s\par}
\vspace{0.5cm}
Version %(version)s
\end{titlepage}
\noindent This is the printed form of an executed book. Every number that its text takes from a
computation was put there by the computation. The code of checks and figures is left out here; it is
on the pages and in the notebooks of the book.

\medskip\noindent Text and figures: CC BY 4.0. Code: MIT. The appendix on attribution has the
terms of the works that this one uses.
\clearpage
"""


class SvgToPdf(ImageConverter):
    """Figures that are drawn once and stored as SVG, as PDF."""

    conversion_rules = [("image/svg+xml", "application/pdf")]  # noqa: RUF012

    def is_available(self) -> bool:
        """Return whether to try; a missing program is an error with its name."""
        return True

    def convert(self, _from: str, _to: str) -> bool:
        """Convert one file."""
        convert(_from, _to)
        return True


def convert(source: Path | str, target: Path | str) -> None:
    """Write an SVG file as PDF."""
    command = ["rsvg-convert", "--format", "pdf", "--output", str(target), str(source)]
    subprocess.run(command, check=True)


def make_title_page(app: Sphinx) -> None:
    """Give the book its title page, with the figure of the introduction."""
    if app.builder.format != "latex":
        return
    figure = Path(app.outdir) / "title.pdf"
    convert(Path(app.confdir) / "book" / "_static" / "figure1.svg", figure)
    title = {
        "title": app.config.html_title,
        "author": app.config.author,
        "version": metadata.version("phase-utils"),
        "figure": figure.name,
    }
    app.builder.context["maketitle"] = TITLE_PAGE % title


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
        for chapter in [node for node in page.children if isinstance(node, nodes.section)]:
            for section in [node for node in chapter.children if isinstance(node, nodes.section)]:
                chapter.insert(chapter.index(section), latex("\\FloatBarrier\n"))


def simplify(doctree: nodes.document) -> None:
    """Leave out hidden code, give tables their widths, and make claims what links lead to."""
    for cell in list(doctree.findall(nodes.container)):
        if any(tag in cell["classes"] for tag in HIDDEN):
            for part in [c for c in cell.children if "cell_input" in c.get("classes", ())]:
                cell.remove(part)
    for proof in list(doctree.findall(proof_node)):
        box = proof[0]
        text = box[0][0]  # begins with the word
        box[0].replace(
            text, [nodes.emphasis(text="Proof."), nodes.Text(text.removeprefix("Proof."))]
        )
        last = box[-1]
        end = last if isinstance(last, nodes.paragraph) else box
        end += latex("\\proofend" + ("" if end is last else "\\par\n"))
        proof.replace_self(box.children)
    for box in list(doctree.findall(nodes.Admonition)):
        make_room(box)
    for output in doctree.findall(nodes.container):
        if "cell_output" in output["classes"]:
            join_lines(output)
    for table in list(doctree.findall(nodes.table)):
        set_widths(table)
        before = table.previous_sibling()
        bold = before.next_node(nodes.strong) if isinstance(before, nodes.paragraph) else None
        if bold is not None and bold.astext() == before.astext():  # its caption
            table.parent.insert(table.parent.index(before), latex("\\roomfor{8}\n"))
    for section in doctree.findall(nodes.section):
        if not any(isinstance(node, WORDS) for node in section.findall()):
            section += latex("\\FloatBarrier\n")  # the figure stays below its heading
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if paragraph["ids"]:
            paragraph.insert(0, nodes.target("", "", ids=paragraph["ids"]))


def make_room(box: nodes.Element) -> None:
    """Have a box begin where there is room for it, together with the headings right above it."""
    needed, first = lines(box), box
    while isinstance(first.previous_sibling(), nodes.title):
        needed, first = needed + HEADING, first.parent
    first.parent.insert(first.parent.index(first), latex(f"\\roomfor{{{needed}}}\n"))


def lines(box: nodes.Element) -> int:
    """Return the lines that a box needs, so that it is not broken; few of a long one."""
    found = 4.0
    for part in box.findall(lambda n: isinstance(n, nodes.TextElement)):
        if isinstance(part, nodes.literal_block):
            found += part.astext().count("\n") + 2
        elif isinstance(part, nodes.math_block):
            found += 4
        elif isinstance(part, nodes.paragraph):
            found += math.ceil(len(part.astext()) / TEXT) + 0.5
    return math.ceil(found) if found <= PAGE else 10


def join_lines(output: nodes.container) -> None:
    """Put the lines of text that follow each other in the output of a cell into one block."""
    for block in list(output.children):
        before = block.previous_sibling() if block in output.children else None
        if not isinstance(block, nodes.literal_block):
            continue
        rows = block.astext().rstrip().splitlines()
        if rows and rows[0].startswith("chapter: "):  # where it comes from, in few lines
            rows = [" | ".join(rows)]
        text = "\n".join(map(wrap, rows))
        if isinstance(before, nodes.literal_block):
            text = f"{before.astext()}\n{text}"
            output.remove(block)
            block = before
        block.rawsource = text
        block.children = []
        block += nodes.Text(text)


def wrap(line: str) -> str:
    """Break a line that is too long for paper: between the parts of what a claim prints."""
    rows = [""]
    for part in re.split(r"(?<= \|) ", line):
        if len(rows[-1]) + len(part) < CODE:
            rows[-1] += f" {part}" if rows[-1] else part
        else:
            rows += textwrap.wrap(part, CODE, **INDENTED)
    return "\n".join(filter(None, rows)) if len(line) > CODE else line


def set_widths(table: nodes.table) -> None:
    """Give the columns of a table their widths where it is as wide as the text.

    What is generated and long runs over pages.
    """
    for entry in table.findall(nodes.entry):
        for paragraph in list(entry.findall(nodes.paragraph)):
            if not paragraph.astext().strip() and paragraph.next_node(nodes.image) is None:
                paragraph.parent.remove(paragraph)
    specs = list(table.findall(nodes.colspec))
    given = [WIDTHS[name] for name in table["classes"] if name in WIDTHS]
    rows = [[letters(entry) for entry in row] for row in table.findall(nodes.row)]
    widths = given[0] if given else shares([max(column) + 2 for column in zip(*rows, strict=True)])
    if sum(widths) < ROW and "claims" not in table["classes"]:
        return  # LaTeX knows best
    for spec, width in zip(specs, widths, strict=True):
        spec["colwidth"] = width
    table["classes"] += ["colwidths-given", "longtable"] if given else ["colwidths-given"]


def letters(entry: nodes.entry) -> int:
    """Return how wide a cell is; letters of code are wider than others."""
    code = sum(len(part.astext()) for part in entry.findall(nodes.literal))
    return len(entry.astext()) + code // 3


def shares(widths: list[int]) -> list[int]:
    """Cut the widest columns, and them alone, until all fit into a line."""
    cut = max(c for c in range(1, ROW + 1) if c == 1 or sum(min(w, c) for w in widths) <= ROW)
    return [min(width, cut) for width in widths]


def for_print(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Make the tree of the whole book fit for print."""
    if app.builder.format == "latex":
        arrange(app, doctree)
        simplify(doctree)


def setup(app: Sphinx) -> None:
    """Connect all of the above."""
    app.add_post_transform(SvgToPdf)
    app.connect("builder-inited", make_title_page)
    app.connect("doctree-resolved", for_print)
