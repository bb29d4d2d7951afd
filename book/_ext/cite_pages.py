"""How to cite a section: a button in its heading, and beside the page what it shows.

Every page leaves `_static/citations/PAGE.js` with a sentence and BibTeX for the page and each of
its sections, by their anchors, made from CITATION.cff; `reading.js` shows them with the address.
"""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from guide_pages import names
from sphinx.application import Sphinx

ADDRESS = "ADDRESS"  # what reading.js puts the section's in place of
HEADING = re.compile(r'(<a class="headerlink" href="#([^"]*)"[^>]*>[^<]*</a>)(?=</h[12]>)')
BUTTON = (
    '<button type="button" class="cite" data-cite="{}" aria-label="cite this section">cite</button>'
)
SPECIAL = re.compile(r"[&%#_]")


def title_of(section: nodes.Node) -> str:
    """Return the title of a section, its formulas in dollars."""
    title = section.next_node(nodes.title)
    parts = title.findall(lambda node: isinstance(node, nodes.Text | nodes.math))
    inside = [node for node in parts if not isinstance(node.parent, nodes.math)]
    return "".join(f"${p.astext()}$" if isinstance(p, nodes.math) else p.astext() for p in inside)


def sentence(work: dict[str, Any], title: str, number: str, built: str) -> str:
    """Return the citation of a section as a sentence."""
    authors = " and ".join(f"{given} {family}".strip() for given, family in names(work))
    part = "chapter" if number.isdigit() else "section"
    where = f"{part} {number} of " if number else ""
    which = f"version {work['version']}, built {built}" if built else f"version {work['version']}"
    return f"{authors}, “{title}”, {where}{work['title']}, {which}. {ADDRESS}"


def bibtex(work: dict[str, Any], title: str, number: str, built: str, key: str) -> str:
    """Return the citation of a section as a BibTeX entry."""
    authors = " and ".join(
        f"{family}, {given}" if given else f"{{{family}}}" for given, family in names(work)
    )
    outside = title.split("$")
    outside[::2] = [SPECIAL.sub(r"\\\g<0>", text) for text in outside[::2]]
    fields = {
        "author": authors,
        "title": "$".join(outside),
        "booktitle": work["title"],
        "chapter": number,
        "version": work["version"],
        "year": built[:4],
        "url": ADDRESS,
    }
    lines = "".join(f",\n  {name} = {{{value}}}" for name, value in fields.items() if value)
    return f"@incollection{{{key}{lines}\n}}"


def write_citations(
    app: Sphinx,
    pagename: str,
    _template: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Write the citations of one page, and put buttons into its headings."""
    if doctree is None or app.builder.format != "html":
        return
    work = yaml.safe_load((Path(app.srcdir) / "CITATION.cff").read_text(encoding="utf-8"))
    numbers = app.env.toc_secnumbers.get(pagename, {})
    built = context.get("last_updated") or ""
    found = {}
    for section in doctree.findall(nodes.section):
        if not section["ids"]:  # of a proof, which is none
            continue
        anchor = section["ids"][0]
        first = isinstance(section.parent, nodes.document)
        number = ".".join(map(str, numbers.get("" if first else f"#{anchor}", ())))
        key = re.sub(r"\W+", "-", pagename.rpartition("/")[2] + ("" if first else f"-{anchor}"))
        title = title_of(section)
        told = [sentence(work, title, number, built), bibtex(work, title, number, built, key)]
        found |= dict.fromkeys(section["ids"], told)
    path = Path(app.outdir) / "_static" / "citations" / f"{pagename}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, ensure_ascii=False, indent=0)
    path.write_text(f"(window.citations ??= {{}})[{json.dumps(pagename)}] = {text};\n", "utf-8")
    body = context.get("body", "")
    context["body"] = HEADING.sub(lambda f: f[1] + BUTTON.format(f[2]), body)


def setup(app: Sphinx) -> None:
    """Write citations with every page."""
    app.connect("html-page-context", write_citations)
