"""Propose mutants of the claims of a chapter, by trying them: lines for `claim_mutants.toml`.

    python tests/propose_mutants.py CHAPTER ... [--package MODULE:FUNCTION:EXPRESSION ...]

Candidates are what the chapter computes on the way to what a check is given: its functions and what
its statements assign, from far to near, a few for each claim. Expressions of the package may be
named; they are tried first. A few that fail all claims between them are printed.
"""

import argparse
import ast
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import claim_mutants
import in_process
import pytest
from claim_mutants import ANSWER, NUMBER, Mutant, Runs

import phase_utils as pu
from phase_utils.chapters import vocabulary

CHECKS = 3  # of a claim that are looked at
IDLE = ("symbols", "Symbol", "len", "range", "int", "default_rng")  # give no number
Failed = dict[str, str]  # what claims failed by
# what is scaled in place of what holds it
HELD = {ast.Tuple: "elts", ast.List: "elts", ast.Dict: "values", ast.ListComp: "elt"}
HELD[ast.DictComp] = "value"


def checked_by(chapter: str) -> dict[str, list[int]]:
    """The statements that check each claim, as far as they name it."""
    own = {d.id for d in pu.claims.definitions() if d.chapter == chapter}
    found = defaultdict(list)
    for number, statement in enumerate(claim_mutants.statements(chapter, vocabulary.SMOKE)):
        nodes = list(ast.walk(statement))
        if any(called(node) == "check" for node in nodes):
            for claim in own & {n.value for n in nodes if isinstance(n, ast.Constant)}:
                found[claim].append(number)
    return found


def loads(node: ast.AST) -> set[str]:
    """Names that are read."""
    names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
    return {n.id for n in names if isinstance(n.ctx, ast.Load)}


def stores(statement: ast.AST, wanted: set[str]) -> Iterator[ast.expr]:
    """The values that a statement gives to the names that are wanted, and what it appends."""
    for node in ast.walk(statement):
        match node:
            case ast.Assign(targets=targets, value=value):
                if wanted & {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}:
                    yield value
            case ast.AugAssign(target=target, value=value) if wanted & {
                n.id for n in ast.walk(target) if isinstance(n, ast.Name)
            }:
                yield value
            case ast.Call(func=ast.Attribute(attr="append" | "extend", value=owner), args=[value]):
                if wanted & loads(owner):
                    yield value


def called(node: ast.AST) -> str:
    return ast.unparse(node.func).rpartition(".")[2] if isinstance(node, ast.Call) else ""


def scalable(value: ast.AST) -> Iterator[ast.AST]:
    """A value, or what it holds."""
    held = getattr(value, HELD.get(type(value), ""), None)
    if held is None:
        if (
            not isinstance(value, ast.Constant | ast.Name | ast.Lambda)
            and called(value) not in IDLE
        ):
            yield value
        return
    for one in held if isinstance(held, list) else [held]:
        yield from scalable(one)


def given(statement: ast.AST, claim: str, side: str) -> set[str]:
    """The names that the checks of a claim in a statement are given."""
    names: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ledger.check":
            first = node.args[0]
            if not isinstance(first, ast.Constant) or first.value == claim:
                names |= {n for k in node.keywords if k.arg == side for n in loads(k.value)}
    handed = [n.iter for n in ast.walk(statement) if isinstance(n, ast.For)]
    return names.union(*(loads(n) for n in handed if names))


def on_the_way(body: Sequence[ast.stmt], number: int, claim: str, side: str) -> Iterator[Any]:
    """Statements and expressions that lead to what a check is given, from near to far."""
    wanted = given(body[number], claim, side)
    for place in range(number, -1, -1):
        statement = body[place]
        if isinstance(statement, ast.FunctionDef):
            if statement.name in wanted:
                wanted |= loads(statement)
                for node in ast.walk(statement):
                    if isinstance(node, ast.Return) and node.value is not None:
                        yield from ((place, statement.name, v) for v in scalable(node.value))
            continue
        for value in list(stores(statement, wanted)):
            wanted |= loads(value)
            yield from ((place, "", v) for v in scalable(value))


@cache
def texts(chapter: str, at: str) -> dict[int, str]:
    return {id(n): t for t, (_, n) in claim_mutants.site(chapter, at, vocabulary.SMOKE)[1].items()}


def candidates(
    chapter: str, checked: dict[str, list[int]], near: int
) -> dict[int, list[tuple[str, Mutant]]]:
    """For each statement the claims and the mutants to be tried there: so many near each check."""
    body = claim_mutants.statements(chapter, vocabulary.SMOKE)
    found: dict[int, list[tuple[str, Mutant]]] = defaultdict(list)
    for claim, places in checked.items():
        for side, most in (("measured", near), ("expected", near // 2)):
            chosen: dict[Mutant, int] = {}
            for number in dict.fromkeys(places[:CHECKS]):
                way = list(on_the_way(body, number, claim, side))
                own = [w for w in way if w[1]][: most // 2]
                for place, at, node in [*way[: most - len(own)], *own]:
                    if text := texts(chapter, at).get(id(node)):
                        chosen[Mutant(chapter, at, text)] = place
            for mutant, place in chosen.items():
                found[place].append((claim, mutant))
    return found


def propose(chapter: str, package: Sequence[Mutant], near: int) -> list[tuple[Mutant, Failed]]:
    """What mutants failed, by claim."""
    checked = checked_by(chapter)
    needed, end = set(checked), max(max(places) for places in checked.values())
    tried: dict[Mutant, Failed] = {}
    runs = Runs(chapter)

    def attempt(mutant: Mutant, last: int) -> None:
        begun = time.monotonic()
        tried[mutant] = failed = runs.attempt(mutant, last)
        new = needed & {c for c, by in failed.items() if by == NUMBER}
        needed.difference_update(new)
        said = f"{time.monotonic() - begun:5.1f} s, {len(failed)} failed, {len(new)} new, "
        print(f"{said}{len(needed)} left: {mutant.key[:120]}", file=sys.stderr, flush=True)

    with in_process.recorded(pytest.MonkeyPatch(), on_result=lambda r: runs.on_result(r)):
        for mutant in package:
            attempt(mutant, end)
        for number, listed in sorted(candidates(chapter, checked, near).items()):
            if not needed:
                break
            runs.until(number)
            for claim, mutant in listed:
                if claim in needed and mutant not in tried:
                    attempt(mutant, max(checked[claim][:CHECKS]))
    return list(tried.items())


def covering(tried: Sequence[tuple[Mutant, Failed]]) -> list[tuple[Mutant, list[str]]]:
    """A few of the mutants that fail all that any fails, by a number where one does."""
    by_number = {c for _, failed in tried for c, by in failed.items() if by == NUMBER}
    left = {c for _, failed in tried for c in failed}
    chosen = []
    while left:
        wins = [
            {c for c, by in failed.items() if c in left and (by == NUMBER or c not in by_number)}
            for _, failed in tried
        ]
        best = max(range(len(tried)), key=lambda i: (len(wins[i]), tried[i][0].at != ""))
        chosen.append((tried[best][0], sorted(wins[best])))
        left -= wins[best]
    return chosen


def tell(chapter: str, tried: Sequence[tuple[Mutant, Failed]]) -> None:
    """Print lines of the list, and which claims no mutant failed."""
    for mutant, claims in covering(tried):
        print(f"[[{chapter}]]")
        print(f'at = "{mutant.at}"' if mutant.at else "", end="\n" if mutant.at else "")
        print(f"expression = {json.dumps(mutant.expression)}\nclaims = {json.dumps(claims)}\n")
    by = {c: b for _, failed in tried for c, b in failed.items() if b == ANSWER}
    by |= {c: b for _, failed in tried for c, b in failed.items() if b == NUMBER}
    own = [d.id for d in pu.claims.definitions() if d.chapter == chapter]
    print(f"# {chapter}: {list(by.values()).count(NUMBER)} by a number", end=", ")
    print(f"by an answer alone {[c for c in by if by[c] == ANSWER]}", end=", ")
    print(f"left {[c for c in own if c not in by]}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print lines of the list, and which claims no mutant failed."""
    parser = argparse.ArgumentParser(description="Propose mutants of the claims of a chapter.")
    parser.add_argument("chapters", nargs="+", metavar="CHAPTER")
    parser.add_argument("--package", nargs="*", default=[], metavar="MODULE:FUNCTION:EXPRESSION")
    parser.add_argument("--near", type=int, default=4, help="expressions tried for a check")
    options = parser.parse_args(arguments)
    chapters = [pu.chapters.find(c).name for c in options.chapters]
    claim_mutants.load(chapters)
    for chapter in chapters:
        package = [Mutant(chapter, *words.rsplit(":", 1)) for words in options.package]
        tell(chapter, propose(chapter, package, options.near))
    return 0


if __name__ == "__main__":
    sys.exit(main())
