"""Executed chapters as files to hand on: a notebook for any viewer, and one page of HTML."""

import copy
import re
from base64 import b64encode
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils.chapters import policy
from phase_utils.chapters.plain_markdown import Converter, plain

__all__ = ["glued", "mathjax", "plain", "readable", "to_html", "untrusted"]

_MATHJAX = "sphinx-mathjax-offline"
_WIDGET = "application/vnd.jupyter.widget-view+json"
_STATIC = re.compile(r'(?<=<div class="pu-live-static">)(<svg\b.*?</svg>)', re.S)
_GREY = "#767676"  # ink that is read on white and on black
_IMPORT = re.compile(r"^from myst_nb import glue$", re.M)
_STAND_IN = "glue = lambda *_, **__: None  # the text of this notebook holds the values"
_IMAGES = ("image/png", "image/jpeg", "image/svg+xml")
# formulas are to be seen: with \href and the like they would be links, too
_SETTINGS = """
window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]],
        displayMath: [["$$", "$$"], ["\\\\[", "\\\\]"]],
        packages: {"[-]": ["html"]},
        processEscapes: true},
  options: {enableMenu: false}
};
"""


def glued(nb: NotebookNode) -> dict[str, dict[str, Any]]:
    """Return what the cells of an executed notebook glued: content by mime type, by name."""
    found: dict[str, dict[str, Any]] = {}
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            scrap = output.get("metadata", {}).get("scrapbook")
            if scrap:
                prefix = scrap.get("mime_prefix", "")
                found[scrap["name"]] = {k.removeprefix(prefix): v for k, v in output.data.items()}
    return found


def readable(
    nb: NotebookNode,
    values: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Collection[str] = (),
) -> NotebookNode:
    """Return a copy of an executed notebook whose Markdown needs no MyST to be read.

    Theorems, proofs, exercises, admonitions and labelled equations become plain Markdown, glued
    values and references become text, and a figure's caption follows it in a cell of its own. What
    handed values to the text does nothing any more, so that a re-run has the same outputs.

    `values` are glued values that the cells do not hold: content by mime type, by name. `beside`
    names the other chapters whose notebooks lie in the same folder: references lead to these.
    """
    new = copy.deepcopy(nb)
    converter = Converter({**(values or {}), **glued(new)}, beside)
    cells: list[NotebookNode] = []
    for _ in range(2):  # a reference may point forward: the second pass knows every label
        converter.restart()
        cells = [made for cell in new.cells for made in _converted(cell, converter)]
    new.cells = cells
    return new


def untrusted(nb: NotebookNode) -> NotebookNode:
    """Return a copy of a notebook whose live figures are seen where Jupyter does not trust it.

    There it runs no script and shows no SVG but as an image: the static form becomes one.
    """
    new = copy.deepcopy(nb)
    for cell in new.cells:
        for output in cell.get("outputs", []):
            html = output.get("data", {}).get("text/html")
            if isinstance(html, str):
                output.data["text/html"] = _STATIC.sub(_as_image, html)
    return new


def _as_image(found: re.Match[str]) -> str:
    label = re.search(r'aria-label="([^"]*)"', found[1])
    svg = found[1].replace("currentColor", _GREY).encode("utf-8")
    source = b64encode(svg).decode("ascii")
    alt = label[1] if label else ""
    return f'<img style="max-width: 100%" alt="{alt}" src="data:image/svg+xml;base64,{source}">'


def to_html(nb: NotebookNode) -> str:
    """Return a notebook that `readable` returned as one page that loads nothing from anywhere.

    Images, style sheets and the typesetting of mathematics are inside; images have the alternative
    text of their cells. Widgets show their static form. Of scripts only these run: the typesetting
    and the live figures.
    """
    from jinja2 import PackageLoader
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import TagRemovePreprocessor

    from phase_utils.chapters.live import scripts as live_scripts

    page = copy.deepcopy(nb)
    page.metadata.pop("widgets", None)
    page.metadata.setdefault("title", _title(page))
    for cell in page.cells:
        alt = str(_mystnb(cell, "image").get("alt", ""))
        if "outputs" in cell:
            cell.outputs = [shown for output in cell.outputs if (shown := _shown(output, alt))]
    exporter = HTMLExporter(
        template_name="lab",
        template_file="notebook.html.j2",
        extra_loaders=[PackageLoader("phase_utils.chapters", "pages")],
    )
    exporter.register_preprocessor(
        TagRemovePreprocessor(
            remove_cell_tags={"remove-cell"},
            remove_input_tags={"remove-input"},
            remove_all_outputs_tags={"remove-output"},
        ),
        enabled=True,
    )
    known = [_SETTINGS, mathjax(), *live_scripts.all_scripts()]
    resources = {
        "phase_policy": policy.page_of_its_own(known),
        "phase_settings": _SETTINGS,
        "phase_mathjax": mathjax(),
    }
    html, _ = exporter.from_notebook_node(page, resources=resources)
    return live_scripts.once(str(html))


@cache
def mathjax() -> str:
    """Return the script that typesets mathematics, fonts included, or raise RuntimeError."""
    try:
        distribution = metadata.distribution(_MATHJAX)
        path = distribution.locate_file(f"{_MATHJAX}/static/mathjax/tex-svg-full.js")
        script = Path(str(path)).read_text(encoding="utf-8")
    except (metadata.PackageNotFoundError, OSError):
        raise RuntimeError(f"MathJax is missing: install the package {_MATHJAX}") from None
    return script.replace("</script", "<\\/script")


def _converted(cell: NotebookNode, converter: Converter) -> list[NotebookNode]:
    from nbformat import v4

    if cell.cell_type == "code":
        cell = _without_glue(cell)
    if cell.cell_type == "markdown":
        new = copy.deepcopy(cell)
        new.source = converter.cell(cell.source)
        if converter.attachments:
            new.attachments = {**new.get("attachments", {}), **converter.attachments}
        return [new] if new.source else []
    figure = _mystnb(cell, "figure")
    if not figure.get("caption"):
        return [cell]
    caption = v4.new_markdown_cell(converter.caption(figure))
    # Random ids would make two exports of one run differ.
    caption["id"] = re.sub(r"[^A-Za-z0-9_-]", "-", f"{cell.get('id', 'figure')}-caption")[:64]
    return [cell, caption]


def _without_glue(cell: NotebookNode) -> NotebookNode:
    """Return a code cell that hands nothing to the text, neither outputs nor the function."""
    new = copy.deepcopy(cell)
    new.source = _IMPORT.sub(_STAND_IN, new.source)
    new.outputs = [output for output in new.outputs if not _hidden(output)]
    return new


def _hidden(output: NotebookNode) -> bool:
    """Whether a value that is handed to the text is all that an output holds."""
    return bool(output.get("metadata", {}).get("scrapbook", {}).get("mime_prefix"))


def _shown(output: NotebookNode, alt: str) -> NotebookNode | None:
    """Return what a page shows of an output: no live widget, no hidden glued value."""
    if "data" not in output:
        return output
    new = copy.deepcopy(output)
    new.data.pop(_WIDGET, None)
    if alt and any(mime in new.data for mime in _IMAGES):
        new.metadata["alt"] = alt
    return new if new.data else None


def _mystnb(cell: NotebookNode, key: str) -> Mapping[str, Any]:
    value = cell.metadata.get("mystnb", {}).get(key, {})
    return value if isinstance(value, Mapping) else {}


def _title(nb: NotebookNode) -> str:
    for cell in nb.cells:
        if cell.cell_type == "markdown" and (found := re.search(r"^# +(.+)$", cell.source, re.M)):
            return plain(found[1])
    return "Notebook"
