"""MyST Markdown of the chapters turned into plain Markdown that any notebook viewer shows well.

Numbers follow the order of one notebook: labelled equations, figures, exercises, and each kind of
theorem. A reference whose target lies in another chapter is shown by the words of its label, and
leads to that chapter's notebook where one lies beside.
"""

import ast
import base64
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from phase_utils.chapters.claim_names import called
from phase_utils.chapters.myst import Block, blocks

STATEMENTS = {"theorem", "lemma", "proposition", "corollary", "definition", "conjecture", "axiom"}
STATEMENTS |= {
    "assumption",
    "criterion",
    "property",
    "observation",
    "remark",
    "example",
    "algorithm",
}
ADMONITIONS = {
    name: name.capitalize()
    for name in ("note", "tip", "warning", "important", "hint", "caution", "attention", "danger")
} | {"error": "Error", "seealso": "See also"}
DROPPED = ("contents", "tableofcontents", "toctree", "bibliography", "exercise-end", "solution-end")
NOT_COMPUTED = "(not computed)"

_ENVIRONMENT = re.compile(
    r"\\begin\{(align|gather|equation|eqnarray|multline)(\*?)\}(.*)\\end\{\1\2\}", re.S
)
_ENVIRONMENT_INSIDE = {"align": "aligned", "eqnarray": "aligned", "equation": ""}
_INLINE = re.compile(
    r"(?:\{(?P<role>[\w:.+-]+)\})?(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|(?P<math>\$\$.+?\$\$|(?<![\\$])\$(?![\s$])[^$]+?\$)"
    r"|(?P<comment><!--.*?-->)"
    r"|(?<!!)\[(?P<text>[^\]]*)\]\((?P<target>#[^)\s]+|[\w/.-]+\.md(?:#[^)\s]*)?)\)",
    re.S,
)
_MARK = "\0"  # a claim without a name: it goes, with the brackets and commas around it
_NAMELESS = re.compile(r"\s*\(\0(?:,\s*\0)*\)|\0,\s*|,\s*\0|\0")
_WITH_TARGET = re.compile(r"^(.*?)\s*<([^<>]+)>$", re.S)
# what Markdown could take for markup: anywhere, where a line begins, around a word, in a list
_MEANT = re.compile(
    r"[\\`*\[\]<>&$|~]|^(?:#|[-+](?= )|=)|(?<![^\W_])_|_(?![^\W_])|(?<=[0-9])[.)](?= )"
)
# a backslash does not help against tags, nor against viewers that look for formulas before or after
_ENTITY = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_ENTITY |= {"$": "<span>&#36;</span>", "\\": "<span>&#92;</span>"}
_NUMPY = re.compile(r"^np\.\w+\((.*)\)$", re.S)


class Converter:
    """Converts the cells of one notebook in order; a second pass knows every label of the first."""

    def __init__(
        self, glued: Mapping[str, Mapping[str, Any]], beside: Collection[str] = ()
    ) -> None:
        self.glued = glued
        self.beside = {name[:2]: name for name in beside}  # other chapters, by their numbers
        self.labels: dict[str, str] = {}
        self.attachments: dict[str, dict[str, str]] = {}
        self.numbers: Counter[str] = Counter()
        self._pending: list[str] = []

    def restart(self) -> None:
        """Begin a new pass over the cells, keeping the labels."""
        self.numbers.clear()
        self._pending.clear()

    def cell(self, source: str) -> str:
        """Return the plain Markdown of a Markdown cell; its images are left in `attachments`."""
        self.attachments = {}
        return self.markdown(source.splitlines())

    def markdown(self, lines: Sequence[str]) -> str:
        """Return the plain Markdown of some lines."""
        parts = (self._block(block).strip("\n") for block in blocks(lines))
        return "\n\n".join(part for part in parts if part.strip())

    def caption(self, figure: Mapping[str, Any]) -> str:
        """Return the Markdown caption of a code cell's figure, a mapping of name and caption."""
        number = self._number("Figure", str(figure.get("name", "")))
        return f"*{number}.* {self.markdown(str(figure.get('caption', '')).splitlines())}".strip()

    def inline(self, text: str) -> str:
        """Return `text` with its roles, references and comments replaced."""
        return _NAMELESS.sub("", _INLINE.sub(self._inline, text))

    # Blocks

    def _block(self, block: Block) -> str:
        if block.kind == "target":
            self._pending.append(block.argument)
            return ""
        if block.kind == "text":
            return self._text("\n".join(block.lines))
        if block.kind == "code":
            rendered = "\n".join(block.lines)
        elif block.kind == "math":
            rendered = self._math(block.lines, block.options["label"])
        else:
            rendered = self._directive(block)
        if block.indent:
            rendered = textwrap.indent(rendered, block.indent)
        return rendered

    def _text(self, text: str) -> str:
        if self._pending and text.strip():
            heading = re.match(r"\s*#+\s+(.*?)\s*$", text, re.M)
            for label in self._pending:
                self.labels[label] = self.inline(heading[1]) if heading else words(label)
            self._pending.clear()
        return re.sub(r"\n{3,}", "\n\n", self.inline(text))

    def _number(self, kind: str, label: str) -> str:
        self.numbers[kind] += 1
        named = f"{kind} {self.numbers[kind]}"
        if label:
            self.labels[label] = named
        return named

    def _math(self, lines: Sequence[str], label: str) -> str:
        body = "\n".join(line for line in lines if line.strip()).strip()
        body = re.sub(r"\\label\{[^}]*\}", "", body)
        environment = _ENVIRONMENT.fullmatch(body)
        if environment:
            kind = _ENVIRONMENT_INSIDE.get(environment[1], "gathered")
            body = environment[3].strip()
        else:
            kind = "aligned" if r"\\" in body and not body.startswith(r"\begin{aligned}") else ""
        if kind:
            body = f"\\begin{{{kind}}}\n{body}\n\\end{{{kind}}}"
        if label:
            self.numbers["equation"] += 1
            self.labels[label] = f"({self.numbers['equation']})"
            body += f" \\tag{{{self.numbers['equation']}}}"
        return f"$$\n{body}\n$$"

    def _directive(self, block: Block) -> str:
        name, options, argument = block.kind[1:-1].strip(), block.options, block.argument
        label = options.get("label", options.get("name", ""))
        if name in DROPPED or name.startswith("raw"):
            return ""
        if name == "math":
            return self._math([argument, *block.lines], label)
        if name.startswith("glue"):
            return self._glue_block(block)
        if name in ("figure", "image"):
            return self._figure(f"![{options.get('alt', '')}]({argument})", block, name == "figure")
        if name in ("code", "code-block", "sourcecode", "code-cell"):
            return "\n".join([f"```{argument}", *block.lines, "```"])
        body = self.markdown(block.lines)
        if name.removeprefix("prf:") in STATEMENTS:
            return self._titled(self._number_of(name.removeprefix("prf:"), block), argument, body)
        if name == "prf:proof":
            opening = f"*Proof ({self.inline(argument)}).*" if argument else "*Proof.*"
            return f"{opening} {body}{_end_of_proof(body)}"
        if name in ("exercise", "exercise-start"):
            return self._titled(self._number_of("exercise", block), argument, body)
        if name == "solution-start":
            return f"**Solution of {self.labels.get(argument, words(argument))}.**"
        if name == "solution":
            return details(f"Solution of {self.labels.get(argument, words(argument))}", body)
        if name in ADMONITIONS:
            title = ADMONITIONS[name]
            body = f"{self.inline(argument)}\n\n{body}".strip()
        else:
            title = self.inline(argument)
        if name == "dropdown" or "dropdown" in options.get("class", ""):
            return details(plain(title), body)
        if not title or name == "div":
            return body
        return self._titled(title.rstrip("."), "", body)

    def _number_of(self, kind: str, block: Block) -> str:
        if "nonumber" in block.options:
            return kind.capitalize()
        return self._number(kind.capitalize(), block.options.get("label", ""))

    def _titled(self, heading: str, title: str, body: str) -> str:
        shown = f" ({self.inline(title)})" if title else ""
        return f"**{heading}{shown}.**\n\n{body}".strip()

    def _figure(self, image: str, block: Block, numbered: bool) -> str:
        caption = self.markdown(block.lines)
        if numbered:
            number = self._number("Figure", block.options.get("name", ""))
            caption = f"*{number}.* {caption}".strip()
        return f"{image}\n\n{caption}".strip()

    def _glue_block(self, block: Block) -> str:
        data = self.glued.get(block.argument, {})
        for mime, suffix in (("image/svg+xml", "svg"), ("image/png", "png"), ("image/jpeg", "jpg")):
            if mime in data:
                content = data[mime]
                if suffix == "svg":
                    content = base64.b64encode(content.encode()).decode()
                file = f"{re.sub(r'[^A-Za-z0-9_-]', '_', block.argument)}.{suffix}"
                self.attachments[file] = {mime: content}
                image = f"![{block.options.get('alt', '')}](attachment:{file})"
                return self._figure(image, block, block.kind == "{glue:figure}")
        if "text/html" in data and block.kind != "{glue:md}":
            return str(data["text/html"])
        if block.kind == "{glue:math}" and "text/latex" in data:
            return self._math([data["text/latex"].strip("$ ")], block.options.get("label", ""))
        return self._glued(block.argument)

    # Inline

    def _inline(self, match: re.Match[str]) -> str:
        if match["comment"]:
            return ""
        if match["target"]:
            target = match["target"].removeprefix("#")
            text = self.inline(match["text"]) or self.labels.get(target, words(target))
            return self._linked(text, target)
        if match["role"] is None:
            return match[0]
        return self._role(match["role"], match["code"].strip())

    def _role(self, role: str, content: str) -> str:
        if role.startswith("glue"):
            if role == "glue:text":
                name, _, spec = content.partition(":")
                return self._glued(name, spec, text_only=True)
            return self._glued(content)
        if role == "math":
            return f"${content}$"
        if role == "claim":
            return called(content) or _MARK
        if role in ("sub", "sup", "kbd"):
            return f"<{role}>{content}</{role}>"
        if role in ("code", "py", "command", "file") or role.startswith("py:"):
            return f"`{content.strip('~!')}`"
        if role.startswith("cite"):
            return f"[{'; '.join(key.strip() for key in content.split(','))}]"
        titled = _WITH_TARGET.match(content)
        target = titled[2] if titled else content
        known = self.labels.get(target, words(target))
        is_reference = role in ("eq", "ref", "numref", "doc") or role.endswith(":ref")
        shown = known if is_reference else content
        if titled:
            shown = titled[1].replace("%s", known.rpartition(" ")[2]).replace("{number}", known)
        return self._linked(shown, target) if is_reference else shown

    def _linked(self, text: str, target: str) -> str:
        number = re.search(r"(?:^|[-/])(\d\d)[-_]", target)
        chapter = self.beside.get(number[1]) if number and target not in self.labels else None
        return f"[{text}]({chapter}.ipynb)" if chapter and "[" not in text else text

    def _glued(self, name: str, spec: str = "", *, text_only: bool = False) -> str:
        data = self.glued.get(name)
        if data is None:
            return NOT_COMPUTED
        for mime in () if text_only else ("text/markdown", "text/latex"):
            if mime in data:
                return str(data[mime]).strip()
        return literal(formatted(str(data.get("text/plain", NOT_COMPUTED)), spec))


def _end_of_proof(body: str) -> str:
    return "\n\n∎" if body.endswith(("$$", "```", "</details>")) else " ∎"


def formatted(text: str, spec: str) -> str:
    """Return a glued text/plain value, formatted by `spec` where it is a number."""
    text = _NUMPY.sub(r"\1", text.strip())
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        with suppress(ValueError, SyntaxError):  # as a string is shown by its cell
            text = str(ast.literal_eval(text))
    try:
        return format(int(text) if spec.endswith("d") else float(text), spec) if spec else text
    except ValueError:
        return text


def literal(text: str) -> str:
    """Return Markdown that shows `text` as it is, on one line: no markup, formula or tag in it.

    It may come from anybody, as the name of a file or of its columns does.
    """
    return _MEANT.sub(lambda found: _ENTITY.get(found[0], f"\\{found[0]}"), " ".join(text.split()))


def details(summary: str, body: str) -> str:
    """Return a block that opens on a click, with Markdown inside."""
    return f"<details>\n<summary>{summary}</summary>\n\n{body}\n\n</details>"


def plain(text: str) -> str:
    """Return `text` without inline markup of MyST and Markdown emphasis, for a title."""
    return re.sub(r"[*`]", "", Converter({}).inline(text)).strip()


def words(label: str) -> str:
    """Return a label whose target is elsewhere as words: `eq-02-gap` is `gap (chapter 2)`."""
    label = re.sub(r"^.*/|\.md$", "", label)
    parts = re.split(r"[-_\s]+", label)
    kinds = ("eq", "thm", "theorem", "fig", "sec", "lem", "prop", "cor", "def", "tab", "ex", "prf")
    parts = parts[1:] if len(parts) > 1 and parts[0].lower() in kinds else parts
    if len(parts) > 1 and parts[0].isdigit():
        return f"{' '.join(parts[1:])} (chapter {int(parts[0])})"
    return " ".join(parts)
