"""Mutants of the claims: what is computed is made wrong by one per cent; do their checks fail?

    python tests/claim_mutants.py [CHAPTER ...]    # judge the list, one JSON object a line

`claim_mutants.toml` names for every claim an expression of the package (`at` is the module and the
function) or of its chapter (`at` is one of its functions, or nothing). Its value is scaled by 1.01,
an answer is turned round, or `instead` is put in its place; never a check, what it is given, a
literal, or a tolerance. The chapter is run with it, in a fork at the statement that holds it. A
check that fails by its number or by its answer kills the mutant; a run that ends early, or a number
that is none, does not.
"""

import argparse
import ast
import builtins
import contextlib
import copy
import gc
import importlib
import io
import json
import os
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

import in_process
import numpy as np
import pytest
from planting import apart, compiled, file, functions, place
from wrong import scaled

import phase_utils as pu
from phase_utils.chapters import vocabulary

LIST = Path(__file__).with_suffix(".toml")
LIMIT = 400.0  # seconds of the processor for a run
NUMBER, ANSWER = "number", "answer"  # what a check failed by
SAID = ("route", "what", "reduced", "loose", "tolerance")  # arguments that compute nothing


@dataclass(frozen=True)
class Mutant:
    """One expression made wrong, and the claims that it must fail."""

    chapter: str
    at: str
    expression: str
    claims: tuple[str, ...] = ()
    instead: str = ""
    tier: str = vocabulary.SMOKE

    @property
    def of_package(self) -> bool:
        return ":" in self.at

    @property
    def key(self) -> str:
        """The expression, and where it stands."""
        change = f" -> {self.instead}" if self.instead else ""
        return f"{self.at or self.chapter}: {self.expression}{change}"


@cache
def listed() -> tuple[tuple[Mutant, ...], dict[str, str]]:
    """The mutants of the list, and the claims that can have none, with the reason."""
    read = tomllib.loads(LIST.read_text(encoding="utf-8"))
    without = read.pop("without", {})
    return tuple(
        Mutant(chapter, **{"at": ""} | entry | {"claims": tuple(entry["claims"])})
        for chapter, entries in read.items()
        for entry in entries
    ), without


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """What is computed below a node, but for checks, what is handed to them, and literals."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or (
            name == "args" and isinstance(node, ast.FunctionDef | ast.Lambda)
        ):
            continue
        if name == "iter" and isinstance(node, ast.For) and _handed_on(node):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if not isinstance(inner, ast.AST) or isinstance(inner, ast.JoinedStr | ast.Raise):
                continue
            if isinstance(inner, ast.Call) and ast.unparse(inner.func) == "ledger.check":
                continue
            if isinstance(inner, ast.keyword) and inner.arg in SAID:
                continue
            loaded = isinstance(getattr(inner, "ctx", None), ast.Load | None)
            if isinstance(inner, ast.expr) and loaded and not isinstance(inner, ast.Constant):
                yield inner
            yield from expressions(inner)


def _handed_on(loop: ast.For) -> bool:
    """Whether what a loop runs through is given to a check as it is."""
    names = {n.id for n in ast.walk(loop.target) if isinstance(n, ast.Name)}
    return any(
        isinstance(node, ast.keyword)
        and node.arg in ("measured", "expected")
        and isinstance(node.value, ast.Name)
        and node.value.id in names
        for node in ast.walk(loop)
    )


def named(roots: Sequence[ast.AST]) -> dict[str, tuple[int, ast.expr]]:
    """The expressions below some nodes by their text, numbered where it recurs, with the root."""
    found: dict[str, tuple[int, ast.expr]] = {}
    counts: dict[str, int] = {}
    for number, root in enumerate(roots):
        for node in expressions(root):
            text = " ".join(ast.unparse(node).split())
            counts[text] = again = counts.get(text, 0) + 1
            found[text if again == 1 else f"{text} #{again}"] = number, node
    return found


class Put(ast.NodeTransformer):
    """Puts another node in the place of one."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> Any:
        return self.new if node is self.old else self.generic_visit(node)


def wrong(value: Any) -> Any:
    """A number times 1.01, the opposite of an answer; anything else as it is."""
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, np.ndarray) and value.dtype.kind == "b":
        return ~value
    return scaled(value)


@cache
def statements(chapter: str, tier: str) -> list[ast.stmt]:
    return ast.parse(in_process.source(chapter, tier)).body


@cache
def site(chapter: str, at: str, tier: str) -> tuple[list[Any], dict[str, tuple[int, ast.expr]]]:
    """The statements, or the functions, that a mutant may stand in, and their expressions.

    Of the package it is one function; of a chapter what stands elsewhere is empty, so that the
    statements keep their numbers.
    """
    if ":" in at:
        module, _, function = at.partition(":")
        tree = ast.parse(file(module).read_text(encoding="utf-8"))
        roots: list[Any] = [dict(functions(tree))[function]]
    else:
        roots = [s if _owner(s) == at else ast.Pass() for s in statements(chapter, tier)]
    return roots, named(roots)


def _owner(statement: ast.stmt) -> str:
    own = isinstance(statement, ast.FunctionDef | ast.ClassDef)
    return str(getattr(statement, "name", "")) if own else ""


def found(mutant: Mutant) -> tuple[int, ast.expr]:
    """The number of the statement that holds the expression of a mutant, and the expression."""
    expressions = site(mutant.chapter, mutant.at, mutant.tier)[1]
    if mutant.expression not in expressions:
        raise LookupError(f"{mutant.chapter} has no {mutant.key}")
    return expressions[mutant.expression]


def changed(mutant: Mutant) -> Any:
    """The statement, or the function, with the mutant in it."""
    number, old = found(mutant)
    twins: dict[int, Any] = {}
    root = copy.deepcopy(site(mutant.chapter, mutant.at, mutant.tier)[0][number], twins)
    new: ast.expr = ast.Call(ast.Name("__wrong__", ast.Load()), [copy.deepcopy(old)], [])
    if mutant.instead:
        new = ast.parse(mutant.instead, mode="eval").body
    return ast.fix_missing_locations(Put(twins[id(old)], new).visit(root))


def code_of(mutant: Mutant) -> CodeType:
    """The function of the package with the mutant in it, compiled."""
    module, _, function = mutant.at.partition(":")
    tree = ast.parse(file(module).read_text(encoding="utf-8"))
    old = dict(functions(tree))[function]
    return compiled(Put(old, changed(mutant)).visit(tree), module, function)


def failure(result: in_process.Result) -> str:
    """What a check failed by; nothing where it has not, or where its number is none."""
    if result["state"] != vocabulary.FAIL:
        return ""
    if result["tolerance"] is None:
        return ANSWER
    return "" if result["deviation"] is None else NUMBER


class Runs:
    """A chapter that is run statement by statement, with forks that run it on otherwise."""

    def __init__(self, chapter: str, tier: str = vocabulary.SMOKE) -> None:
        self.body = statements(chapter, tier)
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.done = 0
        self.on_result = lambda _: None

    def execute(self, statement: ast.stmt) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(ast.Module([statement], []), "chapter", "exec"), self.names)

    def until(self, number: int) -> None:
        """Go on up to a statement, without it."""
        while self.done < number:
            self.execute(self.body[self.done])
            self.done += 1

    def attempt(self, mutant: Mutant, last: int, limit: float = LIMIT) -> dict[str, str]:
        """What fails with a mutant, by claim, up to a statement or until its claims have failed."""
        read, write = os.pipe()

        def work() -> int:
            failed, felt = set(), [bool(mutant.at or mutant.instead)]

            def told(result: in_process.Result) -> None:
                if by := failure(result):
                    failed.add(result["id"])
                    os.write(write, f"{json.dumps([result['id'], by])}\n".encode())

            self.on_result = told

            def placed(value: Any) -> Any:
                felt.append((new := wrong(value)) is not value)
                return new

            builtins.__dict__["__wrong__"] = placed
            statement = self.body[self.done]
            if mutant.of_package:
                place(code_of(mutant))
            else:
                statement = changed(mutant)
            for each in [statement, *self.body[self.done + 1 : last + 1]]:
                self.execute(each)
                if not any(felt) or (mutant.claims and set(mutant.claims) <= failed):
                    break
            return 0

        apart(work, limit)
        os.close(write)
        with os.fdopen(read) as pipe:
            lines = [json.loads(line) for line in pipe]
        failed: dict[str, str] = {}
        for claim, by in lines:
            failed[claim] = NUMBER if NUMBER in (by, failed.get(claim)) else by
        return failed


def judge(chapter: str, mutants: Sequence[Mutant]) -> Iterator[tuple[Mutant, dict[str, str]]]:
    """What fails with each mutant of a chapter at one tier."""
    (tier,) = {m.tier for m in mutants}
    runs = Runs(chapter, tier)
    places = {m: 0 if m.of_package else found(m)[0] for m in mutants}
    with in_process.recorded(pytest.MonkeyPatch(), on_result=lambda r: runs.on_result(r)):
        for mutant in sorted(mutants, key=places.__getitem__):
            runs.until(places[mutant])
            yield mutant, runs.attempt(mutant, len(runs.body))


def load(chapters: Sequence[str]) -> None:
    """Import what chapters need, so that forks start with it; work where nothing is kept."""
    for name in pu.__all__:
        getattr(pu, name)
    for name in ("scipy.optimize", "sklearn.datasets", "xarray", "zarr"):  # imported where used
        importlib.import_module(name)
    for chapter in chapters:
        for statement in statements(chapter, vocabulary.SMOKE):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                exec(compile(ast.Module([statement], []), chapter, "exec"), {})
    gc.freeze()  # what a fork collects is its own
    os.chdir(tempfile.mkdtemp(prefix="claims"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what each mutant failed and what of its claims it did not."""
    parser = argparse.ArgumentParser(description="Judge the mutants of claims.")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all")
    parser.add_argument("--tier", default=vocabulary.SMOKE, choices=vocabulary.TIERS)
    options = parser.parse_args(arguments)
    wanted = [pu.chapters.find(c).name for c in options.chapters] or pu.chapters.names()
    load(wanted)
    for chapter in wanted:
        mutants = [m for m in listed()[0] if m.chapter == chapter and m.tier == options.tier]
        for mutant, failed in judge(chapter, mutants) if mutants else ():
            line = {"chapter": chapter, "mutant": mutant.key, "failed": failed}
            line["survived"] = [c for c in mutant.claims if c not in failed]
            print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
