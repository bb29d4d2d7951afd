"""Chapters' MyST Markdown split into blocks: text, code, displayed mathematics, directives."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

_FENCE = re.compile(
    r"^(?P<indent>\s*)(?:(?P<ticks>`{3,})(?!.*`)|(?P<other>~{3,}|:{3,}))"
    r"(?:\{(?P<name>[^}]+)\})?(?P<rest>.*)$"
)
_TARGET = re.compile(r"^\(([^()\s]+)\)=\s*$")
_DISPLAY = re.compile(r"^\s*\$\$")
_DISPLAY_END = re.compile(r"\$\$\s*(?:\(([^()\s]+)\))?\s*$")
_OPTION = re.compile(r"^:([\w-]+):\s*(.*)$")


@dataclass(frozen=True)
class Block:
    """A piece of a Markdown cell: `kind` is text, code, math, target or a {directive}."""

    kind: str
    lines: tuple[str, ...]
    argument: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    indent: str = ""


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Split the lines of a cell, or of a directive's body, into blocks."""
    text: list[str] = []
    at = 0
    while at < len(lines):
        line = lines[at]
        fence, target = _FENCE.match(line), _TARGET.match(line)
        special = fence or target or _DISPLAY.match(line) or line.lstrip().startswith("<!--")
        if special and text:
            yield Block("text", tuple(text))
            text = []
        if fence:
            block, at = _fenced(lines, at, fence)
            yield block
        elif target:
            yield Block("target", (), argument=target[1])
        elif _DISPLAY.match(line):
            block, at = _display(lines, at)
            yield block
        elif special:
            while at < len(lines) - 1 and "-->" not in lines[at]:
                at += 1
            text.append(lines[at].partition("-->")[2])
        elif not line.startswith("%") and line.strip() != "+++":
            text.append(line)
        at += 1
    if text:
        yield Block("text", tuple(text))


def _fenced(lines: Sequence[str], at: int, fence: re.Match[str]) -> tuple[Block, int]:
    mark, indent, name = fence["ticks"] or fence["other"], fence["indent"], fence["name"]
    end = at + 1
    while end < len(lines):
        stripped = lines[end].strip()
        if len(stripped) >= len(mark) and set(stripped) == {mark[0]}:
            break
        end += 1
    inner = [
        line[len(indent) :] if line.startswith(indent) else line for line in lines[at + 1 : end]
    ]
    if name is None and mark[0] != ":":
        return Block("code", (mark + fence["rest"], *inner, mark), indent=indent), end
    options, body = _options(inner)
    name = name if name is not None else "div"
    return Block(f"{{{name}}}", tuple(body), fence["rest"].strip(), options, indent), end


def _options(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    options: dict[str, str] = {}
    if lines and lines[0].strip() == "---" and "---" in [line.strip() for line in lines[1:]]:
        end = [line.strip() for line in lines].index("---", 1)
        for line in lines[1:end]:
            key, _, value = line.partition(":")
            options[key.strip()] = value.strip()
        return options, lines[end + 1 :]
    while lines and (option := _OPTION.match(lines[0].strip())):
        options[option[1]] = option[2].strip()
        lines = lines[1:]
    return options, lines


def _display(lines: Sequence[str], at: int) -> tuple[Block, int]:
    first = lines[at].strip()[2:]
    collected = [first]
    while not (end := _DISPLAY_END.search(collected[-1])) and at < len(lines) - 1:
        at += 1
        collected.append(lines[at])
    label = end[1] or "" if end else ""
    if end:
        collected[-1] = collected[-1][: end.start()]
    return Block("math", tuple(collected), options={"label": label}), at
