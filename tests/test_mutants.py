"""A change of one expression outside the chapters is noticed by a test of its room.

`tests/mutants.py` makes the mutants and judges them; `mutants.toml` lists the survivors, with a
reason. By default a few are judged that no test noticed before; `pytest -m scheduled
tests/test_mutants.py` judges a sample of every module.
"""

import json
import subprocess
import sys
from pathlib import Path

import mutants
import pytest

SURVIVORS = {
    (module, key): reason
    for module, listed in mutants.KNOWN["survivors"].items()
    for key, reason in listed.items()
}


def judged(*arguments):
    """The lines of a run, which forks: in a process of its own, where torch has no threads yet."""
    command = [sys.executable, str(Path(mutants.__file__)), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_module_has_mutants_or_a_reason_for_none():
    without = {m for m in mutants.MODULES if not mutants.mutants(m)}
    assert without - {"training.problem"} == set(mutants.MODULES) & set(mutants.KNOWN["exempt"])
    known = {(m.module, m.key) for module in mutants.MODULES for m in mutants.mutants(module)}
    assert set(SURVIVORS) - known == set()
    assert all(len(reason.split()) > 2 for reason in SURVIVORS.values())


def test_mutants_that_once_survived_are_killed():
    lines = judged("--examples")
    assert len(lines) == len(mutants.KNOWN["killed"])
    assert [line for line in lines if not line["killed"]] == []


@pytest.mark.parametrize("code", [0, 1, 4, 5, 70, -24, None])
def test_what_no_test_judged_is_not_killed(code, monkeypatch):
    # 4 and 5: pytest found no such test; 70: the function could not be changed; None: no end
    monkeypatch.setattr(mutants, "apart", lambda *_: code)
    mutant = mutants.mutants("theory.units")[0]
    assert mutants.killed(mutant, ["a test"]) == (code in (1, -24, None))
    assert not mutants.killed(mutant, [])


@pytest.mark.scheduled
@pytest.mark.parametrize("room", mutants.ROOMS)
def test_nine_of_ten_are_killed_and_the_others_have_a_reason(room):
    modules = [m for m in mutants.MODULES if m.startswith(f"{room}.") and mutants.mutants(m)]
    lines = judged(*modules)
    survivors = {(line["module"], line["mutant"]) for line in lines if not line["killed"]}
    sample = {(line["module"], line["mutant"]) for line in lines}
    assert survivors == set(SURVIVORS) & sample
    assert len(survivors) <= 0.1 * len(lines)
