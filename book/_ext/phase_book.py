"""What this book adds to Jupyter Book: a cache that is never stale, MathJax of its own, chapters
that carry the number of their file, and executed notebooks to download.

Generated pages have modules of their own, `previews` writes what links show, and `execute_ahead`
executes chapters side by side; all are set up here.
"""

import hashlib
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import api_pages
import benchmark_pages
import claim_pages
import execute_ahead
import guide_pages
import nbformat
import previews
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as Collector

from phase_utils import execution, export

MATHJAX = "sphinx-mathjax-offline"
# All that a page asks for: TeX input with its extensions, CHTML output with its fonts.
MATHJAX_PARTS = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts")

assign_in_order = Collector.assign_section_numbers


def execution_key(root: Path) -> str:
    """Return a hash of all that executed outputs depend on besides the cells themselves."""
    files = [root / "requirements.txt"]
    files += [
        path
        for path in (root / "phase_utils").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def set_cache(app: Sphinx, config: Config) -> None:
    """Name the cache of executed chapters by its key: jupyter-cache looks at the cells alone."""
    folder = Path(app.outdir).parent / ".jupyter_cache"
    config["nb_execution_cache_path"] = str(folder / execution_key(Path(app.confdir)))


def copy_mathjax(app: Sphinx, error: Exception | None) -> None:
    """Copy what pages need of MathJax beside them, so that formulas need no network."""
    if error is not None or app.builder.format != "html":
        return
    distribution = metadata.distribution(MATHJAX)
    source = Path(str(distribution.locate_file(f"{MATHJAX}/static/mathjax")))
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in MATHJAX_PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source / part, target / part)


def assign_by_file(collector: Collector, env: BuildEnvironment) -> list[str]:
    """Number the sections of notebooks/NN_name as NN.1, NN.2, ...; return what has changed."""
    before = env.toc_secnumbers
    assign_in_order(collector, env)
    for docname, numbers in env.toc_secnumbers.items():
        name = re.fullmatch(r"notebooks/(\d\d)_\w+", docname)
        if name is None:
            continue
        chapter = int(name[1])
        env.toc_secnumbers[docname] = {
            anchor: (chapter, *number[1:]) if number else number
            for anchor, number in numbers.items()
        }
        for node in (env.titles[docname], *env.tocs[docname].findall(nodes.reference)):
            if node.get("secnumber"):
                node["secnumber"] = [chapter, *node["secnumber"][1:]]
    return [name for name, new in env.toc_secnumbers.items() if new != before.get(name)]


def offer_notebook(
    app: Sphinx,
    pagename: str,
    _template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the executed chapter, readable in any viewer, behind the page's download button."""
    executed = Path(app.env.mystnb_config.output_folder) / f"{pagename}.ipynb"
    if doctree is None or not pagename.startswith("notebooks/") or not executed.is_file():
        return
    name = f"{pagename}.ipynb"
    target = Path(app.outdir) / "_sources" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    execution.write_notebook(target, export.readable(nbformat.read(executed, as_version=4)))
    context["ipynb_source"] = name


def mend_names(
    _app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Let folded cells be called what stands on them, and works be items of their list."""
    body = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    context["body"] = body.replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of the above."""
    Collector.assign_section_numbers = assign_by_file
    app.connect("config-inited", set_cache)
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", offer_notebook)
    app.connect("html-page-context", mend_names)
    claim_pages.setup(app)
    benchmark_pages.setup(app)
    guide_pages.setup(app)
    api_pages.setup(app)
    previews.setup(app)
    execute_ahead.setup(app)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}
