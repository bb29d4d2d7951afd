"""Claims have mutants, kept in `claim_mutants.toml`, that one of their checks fails; or a reason.

A mutant is an expression of the package or of a chapter whose value is wrong by one per cent. Here
it is held that the list knows all claims and that its expressions stand where it says; one chapter
is judged. `pytest -m scheduled tests/test_claim_mutants.py` judges all.
"""

import ast
import json
import math
import subprocess
import sys
from collections import Counter
from pathlib import Path

import claim_mutants
import in_process
import pytest
from claim_mutants import ANSWER, NUMBER, Mutant

from phase_utils import chapters
from phase_utils.chapters import claims

MUTANTS, WITHOUT = claim_mutants.listed()
OWN = {d.id: d.chapter for d in claims.definitions()}
CHEAP = "21_line_by_line_deeper"
DEMO = """
import numpy as np
import phase_utils as pu
ledger = pu.claims.Ledger("21_line_by_line_deeper", "smoke")
def double(x):
    return 2 * x
number = double(1.5)
learned = number > 0
nothing = 1.0 - number + number
root = np.sqrt(abs(number - 3.0))
ledger.check("B48", measured=number, expected=3.0, route="a sum", tolerance=1e-3)
ledger.check("B49", measured=bool(learned), expected=True, route="by hand")
ledger.check("B50", measured=nothing, expected=1.0, route="a sum", tolerance=1e-3)
ledger.check("B51", measured=root, expected=0.0, route="a sum", tolerance=1e-3, relative=False)
"""


def test_every_claim_has_a_mutant_or_a_reason():
    given = Counter([c for m in MUTANTS for c in m.claims] + list(WITHOUT))
    assert set(given) == set(OWN)
    assert {c for c, times in given.items() if times > 1} == set()
    assert [m.key for m in MUTANTS for c in m.claims if OWN[c] != m.chapter] == []
    assert all(m.claims for m in MUTANTS)
    assert all(len(reason.split()) > 4 for reason in WITHOUT.values())


def test_no_mutant_is_given_twice():
    keys = Counter((m.chapter, m.key, m.tier) for m in MUTANTS)
    assert [key for key, times in keys.items() if times > 1] == []


@pytest.mark.parametrize("chapter", chapters.names())
def test_the_expressions_stand_where_the_list_says(chapter):
    for mutant in (m for m in MUTANTS if m.chapter == chapter):
        node = claim_mutants.found(mutant)[1]
        assert isinstance(node, ast.expr) and not isinstance(node, ast.Constant)
        if mutant.instead:
            assert ast.unparse(ast.parse(mutant.instead, mode="eval")) != ast.unparse(node)


def tried(monkeypatch, at, expression, instead=""):
    """What fails of the small chapter above with a mutant."""
    claim_mutants.site.cache_clear()
    monkeypatch.setattr(claim_mutants, "statements", lambda *_: ast.parse(DEMO).body)
    try:
        mutant = Mutant("21_line_by_line_deeper", at, expression, instead=instead)
        ((_, failed),) = claim_mutants.judge(mutant.chapter, [mutant])
    finally:
        claim_mutants.site.cache_clear()
    return failed


@pytest.mark.parametrize(
    ("at", "expression", "instead", "failed"),
    [
        ("double", "2 * x", "", {"B48": NUMBER, "B51": NUMBER}),
        ("double", "2 * x", "2 * x * 1.0001", {"B51": NUMBER}),
        ("", "double(1.5)", "-double(1.5)", {"B48": NUMBER, "B49": ANSWER, "B51": NUMBER}),
        ("", "number > 0", "", {"B49": ANSWER}),
        ("", "1.0 - number + number", "", {"B50": NUMBER}),
        ("", "1.0 - number", "1.0 - number + 0", {}),
        ("", "np.sqrt(abs(number - 3.0))", "math.nan", {}),  # a name that is none: the run ends
        ("", "np.sqrt(abs(number - 3.0))", "np.nan", {}),
    ],
)
def test_what_kills_a_mutant_of_a_claim(at, expression, instead, failed, monkeypatch):
    assert tried(monkeypatch, at, expression, instead) == failed


@pytest.mark.parametrize("expression", ["bool(learned)", "3.0", "1e-3", "ledger", "'a sum'"])
def test_a_check_and_a_literal_are_no_place_for_a_mutant(expression, monkeypatch):
    with pytest.raises(LookupError, match="has no"):
        tried(monkeypatch, "", expression)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_none_fails_nothing(value, monkeypatch):
    code = ast.parse(DEMO.replace("abs(number - 3.0)", f"float('{value}')"))
    results = in_process.run(code, monkeypatch)
    assert [claim_mutants.failure(r) for r in results] == ["", "", "", ""]
    assert results[-1]["state"] == "fail"


def judged(chapter):
    """The lines of a run, which forks: in a process of its own, where torch has no threads yet."""
    command = [sys.executable, str(Path(claim_mutants.__file__)), chapter]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


LONG = [pytest.param(c, marks=pytest.mark.scheduled) for c in chapters.names() if c != CHEAP]


@pytest.mark.parametrize("chapter", [CHEAP, *LONG])
def test_every_mutant_fails_its_claims(chapter):
    lines = judged(chapter)
    assert len(lines) == len([m for m in MUTANTS if m.chapter == chapter])
    assert [line for line in lines if line["survived"]] == []
