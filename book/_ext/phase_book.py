"""What this book adds to Jupyter Book: a cache that is never stale and loses nothing, MathJax
of its own, and chapters that carry the number of their file.

Generated pages have modules of their own, `previews` writes what links show, `cite_pages` how
sections are cited, `execute_ahead` executes chapters side by side, `take_away` offers notebooks,
`print_pages` makes the book in print, `live_pages` puts live figures into plain pages,
`edition_pages` tells how other data fare, `search_pages` says what the search reads,
`formula_sizes` and `picture_sizes` keep formulas and pictures their room, `light_pages` takes from
pages what they do not use, `file_pages` lays beside pages what they cannot fetch where they are
opened as files, `policy_pages` states which scripts they run; all are set up here.
"""

import hashlib
import html
import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import api_pages
import benchmark_pages
import calculator_pages
import cite_pages
import claim_pages
import edition_pages
import execute_ahead
import file_pages
import formula_sizes
import guide_pages
import light_pages
import live_pages
import picture_sizes
import policy_pages
import previews
import print_pages
import search_pages
import take_away
from docutils import nodes
from myst_nb.core.execute.cache import NotebookClientCache
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx_external_toc.collectors import TocTreeCollectorWithStyles as Collector

from phase_utils.chapters import execution

MATHJAX = "sphinx-mathjax-offline"
# All that a page asks for: TeX input with its extensions, CHTML output with its fonts.
MATHJAX_PARTS = ("tex-chtml.js", "input/tex/extensions", "output/chtml/fonts")
SUMMARY = r'<span class="\1">\2</span>'  # a paragraph may not stand in one
MOST_WRITERS = 4  # processes that write pages
REPEATED = {"proof", "proof-content", "exercise-content", "solution-content"}
LEAD_IN = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<meta http-equiv="refresh" content="0; url={first}">
</head>
<body><a href="{first}">{title}</a></body>
</html>
"""

assign_in_order = Collector.assign_section_numbers
start_client = NotebookClientCache.start_client


def execution_key(root: Path) -> str:
    """Return a hash of all that executed outputs depend on besides the cells themselves."""
    files = [root / "requirements.txt", *(root / "notebooks" / "records").glob("*.json")]
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
    if config["phase_book_edition"]:  # its chapters are executed
        return
    folder = Path(app.outdir).parent / ".jupyter_cache"
    config["nb_execution_cache_path"] = str(folder / execution_key(Path(app.confdir)))


def keep_outputs(client: NotebookClientCache) -> None:
    """Have the notebook that MyST-NB writes carry what the cache holds, and not only its pages."""
    read = client.notebook
    start_client(client)
    if client.notebook is not read:
        read.update(client.notebook)
        client._notebook = read


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


def drop_repeated_ids(app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Take away the ids that every theorem, exercise and proof of a page has in common."""
    if app.builder.format == "html":
        for node in doctree.findall(nodes.Element):
            if REPEATED.intersection(node["ids"]):
                node["ids"] = []


def lead_in(app: Sphinx, error: Exception | None) -> None:
    """Write the page that leads to the first one, before sphinx-external-toc writes a bare one."""
    if error is None and app.builder.format == "html":
        title, first = html.escape(app.config.html_title), f"{app.config.root_doc}.html"
        page = LEAD_IN.format(title=title, first=first)
        (Path(app.outdir) / "index.html").write_text(page, encoding="utf-8")


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


def mend_body(
    _app: Sphinx, _pagename: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Valid names of folded cells, works as items of their list, notebooks that are saved."""
    body = context.get("body", "").replace(' aria-label="Toggle hidden content"', "")
    body = body.replace('role="doc-biblioentry"', 'role="listitem"')
    body = re.sub(r'<p class="((?:collapsed|expanded) .*?)">(.*?)</p>', SUMMARY, body)
    context["body"] = re.sub(r'(<a )(class="[^"]*" href="[^"]+\.ipynb")', r"\1download \2", body)


def write_together(app: Sphinx, _env: BuildEnvironment) -> None:
    """Write the pages on all processors, now that all are read, which has an order."""
    app.parallel = 1 + min(execute_ahead.processors(), MOST_WRITERS)  # the first hands out


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect all of the above."""
    os.environ[execution.STATIC] = "1"  # the kernels of the chapters inherit it
    Collector.assign_section_numbers = assign_by_file
    NotebookClientCache.start_client = keep_outputs
    app.connect("config-inited", set_cache)
    app.connect("env-check-consistency", write_together)
    app.connect("doctree-resolved", drop_repeated_ids)
    app.connect("build-finished", copy_mathjax)
    app.connect("html-page-context", mend_body)
    app.connect("build-finished", lead_in, priority=400)
    for part in (
        claim_pages,
        benchmark_pages,
        calculator_pages,
        guide_pages,
        api_pages,
        previews,
        cite_pages,
        execute_ahead,
        take_away,
        print_pages,
        live_pages,
        edition_pages,
        search_pages,
        formula_sizes,
        light_pages,
        picture_sizes,
        file_pages,
        policy_pages,
    ):
        part.setup(app)
    return {"version": "1", "env_version": 1, "parallel_read_safe": False}
