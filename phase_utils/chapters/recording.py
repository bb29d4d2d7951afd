"""Writing a record of a run, and telling whether the chapter is still the one that made it."""

import ast
import hashlib
import json
import os
import platform
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from nbformat import NotebookNode

from phase_utils._files import write_atomic
from phase_utils.chapters.chapter import Chapter
from phase_utils.chapters.errors import ChapterError
from phase_utils.chapters.provenance import PACKAGES
from phase_utils.training import devices

BESIDE = "records"  # the folder, in that of the chapters
SPOKEN_OF = ("what", "route", "loose")  # words of a check, which compute nothing


def check_keeps(chapter: Chapter) -> None:
    """Raise ChapterError for a chapter that keeps nothing, of which no record can be made."""
    if not any("records.keep(" in cell.source for cell in _cells(chapter.notebook())):
        raise ChapterError(
            f"record must be False for a chapter that keeps nothing, got True for {chapter.name}"
        )


def write(
    chapter: Chapter,
    tier: str,
    given: Mapping[str, Any],
    claims: Sequence[Mapping[str, Any]],
    kept: Mapping[str, Any],
    seconds: Sequence[float],
) -> Path:
    """Write the record of a run that has ended well, whole or not at all; its file.

    given : the parameters that the command gave.
    seconds : by the clock, and of processors.
    """
    given = {name: _portable(value) for name, value in given.items()}
    options = "".join(f" -p {name}={_literal(value)}" for name, value in given.items())
    content: dict[str, Any] = {
        "chapter": chapter.name,
        "tier": tier,
        "given": given,
        "command": f"phase-book run {chapter.name} --tier {tier} --record{options}",
        "date": datetime.now(UTC).date().isoformat(),
        "revision": _revision(chapter.path),
        "machine": {
            "processor": _processor(),
            "device": devices.name(devices.resolve(str(given.get("device", "auto")))),
            "threads": int(os.environ.get("OMP_NUM_THREADS") or torch.get_num_threads()),
        },
        "versions": {
            "Python": platform.python_version(),
            **{package: metadata.version(package) for package in PACKAGES},
        },
        "seconds": round(seconds[0], 1),
        "processor_seconds": round(seconds[1], 1),
        "code": code(chapter, tier, given),
        "claims": [dict(claim) for claim in claims],
        "kept": dict(kept),
    }
    content["seal"] = _seal(content)
    lines = [f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in content.items()]
    path = place(chapter.path)
    write_atomic(path, "{\n" + ",\n".join(lines) + "\n}\n")
    return path


def read(path: Path) -> dict[str, Any]:
    """What a record holds; ValueError or KeyError where it is not as it was written."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if content.pop("seal") != _seal(content):
        raise ValueError("it was changed")
    return content


def place(source: Path) -> Path:
    """Where the record of the chapter at `source` is, whether it exists or not."""
    return source.parent / BESIDE / f"{source.stem}.json"


def code(chapter: Chapter, tier: str, given: Mapping[str, Any]) -> str:
    """Return the digest of what computes a chapter's results at a tier.

    That is the values of all parameters, and the statements of its cells. Those of figures count
    where a name that they bind is used by another cell; comments, layout, imports, what is glued
    into prose, and the words of checks count nowhere.
    """
    values = {p.name: p.default for p in chapter.parameters}
    values |= {**chapter.tiers.get(tier, {}), **given, "tier": tier}
    parts = [json.dumps(values, sort_keys=True)]
    parts += [_spelt(statement) for statement in _needed(chapter.notebook())]
    return hashlib.sha256("\n".join(parts).encode("utf-8")).hexdigest()


def _spelt(node: Any) -> str:
    """A tree as text that is the same in every version of Python: without what is empty."""
    if isinstance(node, ast.AST):
        fields = [f"{k}={_spelt(v)}" for k, v in ast.iter_fields(node) if v not in (None, [])]
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_spelt(one) for one in node)}]"
    return repr(node)


def _seal(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _cells(nb: NotebookNode) -> Iterator[NotebookNode]:
    """The cells of code that are no parameters."""
    for cell in nb.cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            yield cell


def _needed(nb: NotebookNode) -> list[ast.stmt]:
    """The statements that compute results, in order."""
    found: list[tuple[ast.stmt, bool]] = []  # and whether it is needed anyway
    for cell in _cells(nb):
        drawn = "figure" in cell.metadata.get("mystnb", {})
        tree = _Bare().visit(ast.parse(cell.source))
        found += [(statement, not drawn) for statement in tree.body]
    while True:
        used = {
            node.id
            for statement, needed in found
            if needed
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        more = [(s, needed or bool(_bound(s) & used)) for s, needed in found]
        if more == found:
            return [statement for statement, needed in found if needed]
        found = more


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a definition or an assignment of a figure's cell binds."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return set()  # the variables of a loop are nothing that others rely on
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}


class _Bare(ast.NodeTransformer):
    """Takes away what computes nothing."""

    def visit_Import(self, node: ast.Import) -> None:
        """A name that is imported is seen where it is used."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """The same."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        """Docstrings, and what is glued into prose, go."""
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(node.value, ast.Constant):
            return None
        if isinstance(called, ast.Name) and called.id == "glue":
            return None
        self.generic_visit(node)
        return node

    def visit_Call(self, node: ast.Call) -> ast.Call:
        """The words of a check go."""
        self.generic_visit(node)
        called = node.func
        if not (isinstance(called, ast.Attribute) and ast.unparse(called.value) == "ledger"):
            return node
        return ast.Call(called, node.args, [k for k in node.keywords if k.arg not in SPOKEN_OF])


def _portable(value: Any) -> Any:
    """A parameter without the folders of this machine."""
    if isinstance(value, str) and os.sep in value and Path(value).expanduser().exists():
        return Path(value).name
    return value


def _literal(value: Any) -> str:
    """A parameter as the shell takes it."""
    return shlex.quote(value if isinstance(value, str) else repr(value))


def _revision(source: Path) -> str:
    """The commit of a chapter, and whether anything was changed since; empty where none is."""
    asked = (
        ("ls-files", "--error-unmatch", source.name),  # or the repository is another one's
        ("rev-parse", "HEAD"),
        ("status", "--porcelain", "--untracked-files=no"),
    )
    try:
        _, commit, changes = (
            subprocess.run(
                ["git", *words],
                cwd=source.parent,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            ).stdout.strip()
            for words in asked
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}, changed" if changes else commit


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
