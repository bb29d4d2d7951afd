"""The parameters of a chapter: the grammar of its parameters cell, and the checks on values.

A chapter has one code cell tagged `parameters`. Each of its statements declares one parameter:

    name: type = literal  # help; unit X; range a..b
    name: type = literal  # help; choices a|b|c
    name: list = literal  # help; length m..n

type     int, float, bool, str, list, list[int], list[float] or list[str]; a bare `list` takes the
         type of its elements from the default, which must then not be empty
literal  a Python literal; it must itself obey the declared type, range and choices
help     what the parameter means; required
unit     optional, free text
range    optional, numbers only; both ends are included, `inf` and `-inf` leave an end open
choices  optional; the choice `path` stands for the path of an existing file of data
length   optional, lists only; the number of elements, both ends included; without it 1..inf

The fields may come in any order after the help, each at most once. For a list, range and choices
hold for every element. Lines that are only a comment are headings and carry no meaning.
"""

import ast
import difflib
import io
import math
import os
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase_utils._check import shown
from phase_utils._files import local_file
from phase_utils.chapters.words import counted

SCALARS: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
DATA_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".npz")
DATA_FILES = "the path of a .csv, .tsv, .parquet or .npz file"


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: `kind` is the type of a value, or of an element where `many`."""

    name: str
    kind: str
    many: bool
    default: Any
    help: str
    unit: str = ""
    bounds: tuple[float, float] | None = None
    choices: tuple[str, ...] = ()
    length: tuple[float, float] = (1, math.inf)

    @property
    def type_name(self) -> str:
        """The type as it is declared, with the type of the elements of a list."""
        return f"list[{self.kind}]" if self.many else self.kind

    @property
    def allowed(self) -> str:
        """Range or choices, and the length of a list, as text; empty for all of the type."""
        ends = "" if self.bounds is None else _range(self.bounds)
        length = f"length {_range(self.length)}" if self.many else ""
        return "; ".join(part for part in (ends, " | ".join(self.choices), length) if part)

    def parse(self, text: str) -> Any:
        """Return the checked value that `text`, a Python literal, stands for.

        Strings may be given without quotes, and several without brackets: a, b. Nothing is ever
        evaluated. Raises ValueError.
        """
        bare = False
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            value, bare = text, True
        if self.kind == "str":
            if not self.many:
                value = value if isinstance(value, str) else text
            elif isinstance(value, str) and not bare:
                value = [value]
            elif not _are_strings(value):
                words = text.strip().removeprefix("[").removesuffix("]").split(",")
                value = [word.strip() for word in words if word.strip()]
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Return `value` in the declared type, or raise ValueError with the rule it breaks."""
        if not self.many:
            return self._check_one(value)
        if not isinstance(value, list | tuple):
            raise ValueError(f"{self.name} must be a {self.type_name}, got {shown(value)}")
        if not self.length[0] <= len(value) <= self.length[1]:
            raise ValueError(
                f"{self.name} must have {_count(self.length)}, got {len(value)}: {shown(value)}"
            )
        return [self._check_one(element) for element in value]

    def _check_one(self, value: Any) -> Any:
        wanted = SCALARS[self.kind]
        given = type(value)
        if self.kind == "float" and given is int:
            value = _as_float(value)
        elif given is not wanted:
            owner = "every element of " if self.many else ""
            raise ValueError(f"{owner}{self.name} must be of type {self.kind}, got {shown(value)}")
        if self.kind == "float" and not math.isfinite(value):
            raise ValueError(f"{self.name} must be finite, got {value}")
        if self.bounds is not None and not self.bounds[0] <= value <= self.bounds[1]:
            ends = _range(self.bounds)
            raise ValueError(f"{self.name} must be in {ends}, got {shown(value)}")
        if self.choices and (value not in self.choices or value == "path"):
            return self._check_path(value)
        return value

    def _check_path(self, value: str) -> str:
        named = [choice for choice in self.choices if choice != "path"]
        if "path" not in self.choices:
            wanted = ", ".join(named)
            raise ValueError(
                f"{self.name} must be one of {wanted}, got {shown(value)}{suggestion(value, named)}"
            )
        if not value.lower().endswith(DATA_SUFFIXES):
            wanted = ", ".join([*named, DATA_FILES])
            raise ValueError(
                f"{self.name} must be one of {wanted}, got {shown(value)}{suggestion(value, named)}"
            )
        # Relative, so that nothing that is exported holds a path of this machine.
        return os.path.relpath(local_file(self.name, value))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the known names close to `name`, or nothing."""
    close = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def check_names(given: Iterable[str], parameters: Sequence[Parameter]) -> None:
    """Raise ValueError for the first name of `given` that no parameter has."""
    known = [p.name for p in parameters]
    for name in given:
        if name not in known:
            raise ValueError(
                f"unknown parameter {shown(name)}{suggestion(name, known)} "
                f"(parameters: {', '.join(known)})"
            )


def check_values(values: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return `values` checked and in their declared types. Raises ValueError."""
    check_names(values, parameters)
    by_name = {p.name: p for p in parameters}
    return {name: by_name[name].check(value) for name, value in values.items()}


def parse_cell(source: str) -> list[Parameter]:
    """Return the parameters that a parameters cell declares, in order.

    Raises ValueError with the line number and the rule for a cell outside the grammar.
    """
    try:
        statements = ast.parse(source).body
    except SyntaxError as error:
        raise ValueError(f"line {error.lineno}: not Python ({error.msg})") from None
    comments = _comments(source)
    found: dict[str, Parameter] = {}
    for statement in statements:
        where = f"line {statement.lineno}"
        last = statement.end_lineno or statement.lineno
        text = " ".join(c for n, c in comments.items() if statement.lineno <= n <= last)
        try:
            parameter = _declared(statement, text)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None
        if parameter.name in found:
            raise ValueError(f"{where}: {parameter.name} is declared twice")
        found[parameter.name] = parameter
    if not found:
        raise ValueError("the parameters cell declares no parameter")
    return list(found.values())


def _comments(source: str) -> dict[int, str]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}


def _declared(statement: ast.stmt, comment: str) -> Parameter:
    if (
        not isinstance(statement, ast.AnnAssign)
        or not isinstance(statement.target, ast.Name)
        or statement.value is None
    ):
        raise ValueError("only `name: type = literal  # help` is allowed here")
    name = statement.target.id
    try:
        default = ast.literal_eval(statement.value)
    except (ValueError, TypeError):
        raise ValueError(f"the default of {name} must be a literal") from None
    kind, many = _type(name, ast.unparse(statement.annotation), default)
    fields = _fields(name, comment)
    bounds = _bounds(name, fields["range"]) if "range" in fields else None
    choices = tuple(c.strip() for c in fields["choices"].split("|")) if "choices" in fields else ()
    if bounds is not None and kind not in ("int", "float"):
        raise ValueError(f"{name}: a range needs type int or float, not {kind}")
    if choices and kind != "str":
        raise ValueError(f"{name}: choices need type str, not {kind}")
    length = _bounds(name, fields["length"]) if "length" in fields else (1, math.inf)
    if "length" in fields and not many:
        raise ValueError(f"{name}: a length needs a list, not {kind}")
    if not all(choices) or len(set(choices)) < len(choices):
        raise ValueError(f"{name}: choices must be different and not empty")
    parameter = Parameter(
        name, kind, many, default, fields["help"], fields.get("unit", ""), bounds, choices, length
    )
    if many and not isinstance(default, list):
        raise ValueError(f"the default of {name} must be a list")
    parameter.check(default)
    return parameter


def _type(name: str, annotation: str, default: Any) -> tuple[str, bool]:
    if annotation in SCALARS:
        return annotation, False
    if annotation == "list":
        kinds = {type(v).__name__ for v in default} if isinstance(default, list) else set()
        if kinds == {"int", "float"}:
            kinds = {"float"}
        if len(kinds) == 1 and kinds < set(SCALARS):
            return kinds.pop(), True
        raise ValueError(
            f"{name}: a bare list needs a default whose elements are of one type, e.g. [0, 1]"
        )
    if annotation.startswith("list[") and annotation[5:-1] in SCALARS:
        return annotation[5:-1], True
    raise ValueError(
        f"{name}: type must be int, float, bool, str, list or list[...], not {annotation}"
    )


def _fields(name: str, comment: str) -> dict[str, str]:
    text, *rest = (part.strip() for part in comment.split(";"))
    if not text:
        raise ValueError(f"{name} needs a comment with its help text")
    fields = {"help": text}
    for part in rest:
        keyword, _, value = part.partition(" ")
        if keyword not in ("unit", "range", "choices", "length") or not value.strip():
            raise ValueError(
                f"{name}: a field must be `unit X`, `range a..b`, `choices a|b` or "
                f"`length m..n`, got {part!r}"
            )
        if keyword in fields:
            raise ValueError(f"{name}: {keyword} is given twice")
        fields[keyword] = value.strip()
    return fields


def _bounds(name: str, text: str) -> tuple[float, float]:
    low, separator, high = text.partition("..")
    try:
        bounds = float(low), float(high)
    except ValueError:
        separator = ""
    if not separator or not bounds[0] <= bounds[1]:
        raise ValueError(f"{name}: range and length must be `a..b` with a <= b, got {text!r}")
    return bounds


def _are_strings(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, str) for one in value)


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.12g}..{ends[1]:.12g}"


def _count(length: tuple[float, float]) -> str:
    low, high = length
    if math.isinf(high):
        return f"at least {counted(int(low), 'element')}"
    return counted(int(low), "element") if low == high else f"{_range(length)} elements"


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf
