"""What a reader can take away: executed notebooks, and buttons that open them on Colab and Binder.

Buttons need the repository that the pages are published from. It is named in one place, the
environment variable PHASE_BOOK_REPOSITORY: `https://github.com/OWNER/NAME`, with `@REVISION` behind
it where the notebooks are to install another one than `main`. Without it there are no buttons.
"""

import json
import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from docutils import nodes
from nbformat import NotebookNode, v4
from sphinx.application import Sphinx

from phase_utils.chapters import execution, export

VARIABLE = "PHASE_BOOK_REPOSITORY"
PACE = 180  # words a minute: prose with formulas is read slowly
BRANCH = "gh-pages"  # where .github/workflows/pages.yml puts the built pages
FOLDER = "_sources"  # of the executed notebooks, within the pages
# what `make zip` and `make pdf` leave, in the pages published
WHOLE = {"Offline copy (zip)": "phase-book.zip", "PDF": "phase-book.pdf"}


class Repository(NamedTuple):
    """A repository on GitHub and the revision that the pages were built from."""

    owner: str
    name: str
    revision: str = "main"

    @classmethod
    def parse(cls, address: str) -> "Repository | None":
        """Return the repository of an address, None for an empty one; ValueError for another."""
        if not address:
            return None
        form = r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?(?:@([\w./-]+))?"
        found = re.fullmatch(form, address)
        if found is None:
            raise ValueError(
                f"{VARIABLE} must be https://github.com/OWNER/NAME or "
                f"https://github.com/OWNER/NAME@REVISION, got {address!r}"
            )
        return cls(found[1], found[2], found[3] or "main")

    def package(self) -> str:
        """Return the requirement that installs the package of this revision."""
        archive = f"https://github.com/{self.owner}/{self.name}/archive/{self.revision}.zip"
        return f"phase-utils @ {archive}"

    def published(self, path: str) -> str:
        """Return where a file of the published pages can be downloaded."""
        return f"https://github.com/{self.owner}/{self.name}/raw/{BRANCH}/{path}"

    def buttons(self, path: str) -> dict[str, str]:
        """Return the addresses that open a published notebook, by the words of their buttons."""
        place = f"{self.owner}/{self.name}"
        return {
            "Open in Colab": "https://colab.research.google.com/github/"
            f"{place}/blob/{BRANCH}/{path}",
            "Run on Binder": f"https://mybinder.org/v2/gh/{place}/{BRANCH}?urlpath=lab/tree/{path}",
        }

    def environment(self) -> str:
        """Return the environment of Binder; PyTorch is the build without CUDA, which is smaller."""
        return (
            "channels: [conda-forge]\n"
            "dependencies:\n"
            "  - python=3.11\n"
            "  - pytorch-cpu\n"
            "  - pip\n"
            "  - pip:\n"
            f"      - {self.package()}\n"
        )

    def first_cell(self) -> NotebookNode:
        """Return the cell that installs the package where it is missing, as on Colab."""
        source = (
            "# installs what this notebook needs where it is missing\n"
            "import importlib.util\n\n"
            'if importlib.util.find_spec("phase_utils") is None:\n'
            f'    %pip install --quiet "{self.package()}"'
        )
        return v4.new_code_cell(source, id="install")


def published(executed: Path, repository: Repository | None) -> NotebookNode:
    """Return the notebook to publish: readable in any viewer, with a first cell that installs.

    MyST-NB keeps glued values beside the notebook, and figures for print are left out.
    """
    values = executed.with_suffix(".glue.json")
    glued = json.loads(values.read_text(encoding="utf-8")) if values.is_file() else {}
    nb = nbformat.read(executed, as_version=4)
    others = [path.stem for path in executed.parent.glob("[0-9]*.ipynb") if path != executed]
    nb = export.readable(nb, {name: output["data"] for name, output in glued.items()}, others)
    nb = export.untrusted(nb)
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/pdf", None)
    if repository is not None:
        nb.cells.insert(0, repository.first_cell())
    return nb


def executed_notebook(app: Sphinx, docname: str) -> Path | None:
    """Return the executed notebook of a chapter, None for a page that is none."""
    path = Path(app.env.mystnb_config.output_folder) / f"{docname}.ipynb"
    return path if docname.startswith("notebooks/") and path.is_file() else None


def publish(
    app: Sphinx,
    pagename: str,
    _template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Write the notebook of a chapter beside its page, and have the page's menu offer it."""
    executed = executed_notebook(app, pagename) if doctree is not None else None
    if executed is None:
        return
    name = f"{pagename}.ipynb"
    target = Path(app.outdir) / FOLDER / name
    target.parent.mkdir(parents=True, exist_ok=True)
    execution.write_notebook(target, published(executed, repository(app)))
    context["ipynb_source"] = name


def minutes(doctree: nodes.document) -> int:
    """Return how long a page takes to read: its open paragraphs, a formula as a word."""
    words = 0
    for paragraph in doctree.findall(nodes.paragraph):
        above = paragraph
        while above is not doctree and "dropdown" not in above.get("classes", ()):
            above = above.parent
        if above is doctree:
            texts = (
                t for t in paragraph.findall(nodes.Text) if not isinstance(t.parent, nodes.math)
            )
            words += sum(len(text.split()) for text in texts) + len(
                [*paragraph.findall(nodes.math)]
            )
    return max(1, round(words / PACE))


def offer(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put links below the title of each chapter, with its length, and of the first page."""
    if app.builder.format != "html":
        return
    known = repository(app)
    links: dict[str, str] = {}
    if executed_notebook(app, docname) is not None:
        path = f"{FOLDER}/{docname}.ipynb"
        links["Executed notebook"] = "../" * docname.count("/") + path
        links |= known.buttons(path) if known else {}
    elif docname == app.config.root_doc and known:
        links = {words: known.published(name) for words, name in WHOLE.items()}
    title = next(doctree.findall(nodes.title), None)
    if not links or title is None:
        return
    line = nodes.paragraph(classes=["take-away"])
    for words, address in links.items():
        line += [nodes.reference("", words, refuri=address, internal=False), nodes.Text(" ")]
    if executed_notebook(app, docname) is not None:
        line += nodes.inline(text=f"{minutes(doctree)} min to read")
    title.parent.insert(title.parent.index(title) + 1, line)


def write_environment(app: Sphinx, error: Exception | None) -> None:
    """Write the environment of Binder where it looks for it: in the branch of the pages."""
    known = repository(app)
    if error is None and known is not None and app.builder.format == "html":
        path = Path(app.outdir) / "binder" / "environment.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(known.environment(), encoding="utf-8")


def repository(app: Sphinx) -> Repository | None:
    """Return the repository that the pages are published from, None where it is not said."""
    return Repository.parse(app.config.phase_book_repository)


def setup(app: Sphinx) -> None:
    """Connect all of the above; pages are written anew when the address changes."""
    app.add_config_value("phase_book_repository", os.environ.get(VARIABLE, ""), "html")
    app.connect("html-page-context", publish)
    app.connect("doctree-resolved", offer)
    app.connect("build-finished", write_environment)
