"""`{api}`: signatures and docstrings of public names of `phase_utils`, one name a line.

Docstrings are plain text, not markup: paragraphs, sections underlined with dashes, entries of the
form `name : what it is`, and code between backticks. A name that is a module stands for all that
is public in it.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from itertools import groupby
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import phase_utils

ENTRY = re.compile(r"^([\w*]+(?:, [\w*]+)*) : (.*)$")
RULE = re.compile(r"^-{3,}$")


class Api(SphinxDirective):
    """Descriptions of names of `phase_utils`, in the order given."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return one description for each name."""
        found = [(name, getattr(phase_utils, name)) for name in self.content if name.strip()]
        return [
            node
            for name, thing in found
            for node in (
                self._module(name, thing)
                if inspect.ismodule(thing)
                else [self._description(name, thing)]
            )
        ]

    def _module(self, name: str, module: ModuleType) -> Iterator[nodes.Node]:
        section = nodes.section(ids=[f"module-{name}"], names=[f"pu.{name}"])
        section += nodes.title("", "", nodes.literal(text=f"pu.{name}"))
        section += list(body(module))
        for member, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            if own and not member.startswith("_") and inspect.getdoc(thing):
                section += self._description(f"{name}.{member}", thing)
        yield section

    def _description(self, name: str, thing: Any) -> addnodes.desc:
        kind = kind_of(thing)
        full = f"phase_utils.{name}"
        signature = addnodes.desc_signature(name, "", ids=[full])
        if name in phase_utils.__all__:
            signature["_toc_name"] = name
        if kind != "function":
            signature += addnodes.desc_annotation("", f"{kind} ")
        before, _, last = f"pu.{name}".rpartition(".")
        signature += [addnodes.desc_addname("", f"{before}."), addnodes.desc_name("", last)]
        if kind in ("class", "function"):
            signature += arguments(thing)
        content = addnodes.desc_content("", *body(thing))
        if kind == "class":
            for member, value in vars(thing).items():
                function = getattr(value, "__func__", value)
                known = inspect.isfunction(function) or isinstance(value, KNOWN)
                if known and not member.startswith("_"):
                    content += self._description(f"{name}.{member}", value)
        self.env.get_domain("py").note_object(full, kind, full, location=signature)
        options = {"domain": "py", "objtype": kind, "desctype": kind, "classes": ["py", kind]}
        return addnodes.desc("", signature, content, **options)


KNOWN = (property, cached_property)


def kind_of(thing: Any) -> str:
    """Return the kind of object, as the Python domain calls it."""
    if isinstance(thing, KNOWN):
        return "property"
    if not inspect.isclass(thing):
        return "function"
    return "exception" if issubclass(thing, Exception) else "class"


def arguments(thing: Any) -> addnodes.desc_parameterlist:
    """Return names and defaults; what an argument may be is said in the text."""
    found = addnodes.desc_parameterlist()
    signature = inspect.signature(getattr(thing, "__func__", thing))
    shown = [p.replace(annotation=p.empty) for n, p in signature.parameters.items() if n != "self"]
    bare = signature.replace(parameters=[p for p in shown if p.name != "cls"])
    text = str(bare.replace(return_annotation=bare.empty))[1:-1]
    for part in re.split(r", (?=\w+(?:=|,|$)|\*)", text) if text else []:
        found += addnodes.desc_parameter("", "", addnodes.desc_sig_name("", part))
    return found


def body(thing: Any) -> Iterator[nodes.Node]:
    """Yield what a docstring says."""
    lines = (inspect.getdoc(thing) or "").splitlines()
    heads = {i for i, line in enumerate(lines[1:]) if RULE.match(line)}
    for i, line in enumerate(lines):
        if i in heads:
            lines[i] = f"\n{line}"  # marks a section for `_block`
    kept = [line for line in lines if not RULE.match(line)]
    for blank, block in groupby(kept, lambda line: not line):
        if not blank:
            yield from _block(list(block))


def _block(lines: list[str]) -> Iterator[nodes.Node]:
    if lines[0].startswith("\n"):
        yield nodes.paragraph("", "", nodes.strong(text=lines.pop(0).strip()))
    if lines and lines[0].startswith(">>> "):
        code = "\n".join(lines)
        yield nodes.literal_block(code, code, language="pycon")
        return
    entries: list[tuple[str, list[str]]] = []
    for i, line in enumerate(lines):
        entry = ENTRY.match(line)
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if entry:
            entries.append((entry[1], [entry[2]]))
        elif following.startswith(" ") and not line.startswith(" "):
            entries.append((line, []))
        elif entries:
            entries[-1][1].append(line.strip())
        else:
            break
    if not entries:
        yield nodes.paragraph("", "", *inline(" ".join(lines)))
        return
    found = nodes.definition_list(classes=["api-entries"])
    for term, text in entries:
        definition = nodes.definition("", nodes.paragraph("", "", *inline(" ".join(text))))
        found += nodes.definition_list_item(
            "", nodes.term("", "", nodes.literal(text=term)), definition
        )
    yield found


def inline(text: str) -> Iterable[nodes.Node]:
    """Yield text, with code and links to public names between backticks."""
    for i, part in enumerate(text.split("`")):
        if i % 2 and part in phase_utils.__all__:
            target = {"refdomain": "py", "reftype": "obj", "reftarget": f"phase_utils.{part}"}
            yield addnodes.pending_xref("", nodes.literal(text=part), **target, refexplicit=True)
        elif part:
            yield nodes.literal(text=part) if i % 2 else nodes.Text(part)


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("api", Api)
