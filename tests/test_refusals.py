"""Every public function refuses every wrong argument by its name, soon, or has a right answer.

A valid call of everything public is repeated with one argument exchanged for each of `WRONG`. What
comes of it is judged by `calls.judge`: an answer where the registry expects one, else a ValueError
or TypeError of this package that names the argument. `make test` takes a part of the product, the
marker `scheduled` all of it.
"""

import faulthandler
import inspect
import zlib
from collections.abc import Iterator

import numpy as np
import public_names
import pytest
from calls import CALLS
from calls.base import Call, X, Y, model, squared
from calls.judge import outcome
from calls.values import WRONG

import phase_utils as pu

STRIDE = 12  # of the values that `make test` takes of each argument
# these check nothing: what makes them has checked their values
MADE_BY_CALLS = {
    "AdamWFade": "adamw_fade",
    "Margin": "Watch.read",
    "Rehearsal": "rehearse",
    "records.Record": "records.find",
    "Chains": "langevin",
    "Diagnosis": "diagnose",
    "GlobalMinimum": "Landscape.global_minimum",
    "Images": "images",
    "Landau": "expand_landau",
    "LearningBasin": "learning_basin",
    "Minibatches": "train_minibatches",
    "NoTransition": "classify",
    "Origin": "expand_origin",
    "Problem": "whoever implements the protocol",
    "Problem.data_loss": "whoever implements the protocol",
    "Quotient": "collapse_quotient",
    "RescaledLandscape": "rescaled_landscape",
    "Result": "train",
    "Spinodal": "Landscape.spinodals",
    "Transition": "Landscape.transitions",
    "TrivialPoint": "trivial_point",
    "Undetermined": "classify",
    "chapters.Chapter": "chapters.find",
    "chapters.ChapterError": "chapters.run",
    "chapters.Run": "chapters.run",
    "claims.Definition": "claims.definitions",
    "data.Task": "data.pair",
    "grid.Cell": "grid.plan",
    "grid.Outcome": "grid.run",
    "provenance.Provenance": "provenance.record",
}
LONGEST = 60.0  # seconds, after which a call that nothing can interrupt ends the process


@pytest.fixture(autouse=True)
def watched(tmp_path, monkeypatch) -> Iterator[None]:
    """What is written lies in a folder of its own; code that holds the interpreter ends it."""
    monkeypatch.chdir(tmp_path)
    yield
    faulthandler.cancel_dump_traceback_later()


def wrong_calls(name: str, stride: int) -> Iterator[tuple[str, str, str]]:
    """(what is exchanged, label of the value, how it should end but did not) of all failures."""
    call = CALLS[name]
    for where, expected in _places(call).items():
        inside = call.inside.get(where)
        argument = inside.argument if inside else where
        named = (inside.named if inside else "") or argument
        start = zlib.crc32(f"{name} {where}".encode()) % stride
        for label in list(WRONG)[start::stride]:
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            function, arguments = call.make()
            value = WRONG[label]()
            arguments[argument] = inside.enter(value) if inside else value
            seen = outcome(function, arguments, named, call.nan)
            if seen == "answered" and label not in expected:
                seen = "answered, where a refusal was expected"
            if seen not in ("answered", "refused"):
                yield where, label, seen


def test_every_public_name_is_called():
    things = [*public_names.public(), *public_names.of_chapters()]
    named = {member for name, thing in things for member in public_names.members(name, thing)}
    assert named - set(CALLS) == set(MADE_BY_CALLS)
    assert not [name for name in CALLS if name.partition("[")[0] not in named]


def _places(call: Call) -> dict[str, frozenset[str]]:
    return {**call.answers, **{where: inside.answers for where, inside in call.inside.items()}}


@pytest.mark.parametrize("name", CALLS)
def test_the_valid_call_is_answered(name):
    call = CALLS[name]
    assert outcome(*call.make(), "", call.nan) == "answered"


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_argument_is_refused_by_name(name):
    assert list(wrong_calls(name, STRIDE)) == []


@pytest.mark.scheduled
@pytest.mark.parametrize("name", CALLS)
def test_every_wrong_argument_is_refused_by_name(name):
    assert list(wrong_calls(name, 1)) == []


@pytest.mark.parametrize("name", CALLS)
def test_every_argument_is_exchanged(name):
    call = CALLS[name]
    function, _ = call.make()
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    assert {p.name for p in parameters if p.kind not in kinds} <= set(call.answers)


# ---- what is wrong in relation -------------------------------------------------------------------


def test_a_flat_target_beside_a_column_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match=r"data must have y of shape \(8, 1\).*y.reshape\(-1, 1\)"):
        pu.ModuleProblem(model(), squared, (X, Y[:, 0]))


@pytest.mark.parametrize(
    ("loss_fn", "y"),
    [
        (lambda out, y: (out[:, 0] - y).square().mean(), Y[:, 0]),  # the user's own remedy
        (lambda out, _: (out - 1).square().mean(), Y[:, 0]),  # no target at all
        (squared, np.ones(8)),  # the same for all: nothing is mixed up
        (squared, Y),
    ],
)
def test_a_loss_that_pairs_outputs_and_targets_is_taken(loss_fn, y):
    assert pu.ModuleProblem(model(), loss_fn, (X, y)).samples == 8


@pytest.mark.parametrize("name", ["trivial_point", "expand_origin", "expand_landau", "train"])
def test_a_bare_module_is_refused_with_the_remedy(name):
    function, arguments = CALLS[name].make()
    with pytest.raises(ValueError, match=r"ModuleProblem\(model, loss_fn, \(x, y\)\) makes one"):
        function(**{**arguments, "problem": model()})


def test_what_a_users_function_raised_is_kept():
    with pytest.raises(ValueError, match="model must take the x of data") as caught:
        pu.ModuleProblem(model(), squared, (X[:, :3], Y))
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_averages_need_a_measurement_after_the_burn_in():
    function, arguments = CALLS["langevin"].make()
    with pytest.raises(ValueError, match="every must leave a measurement between burn_in = 19"):
        function(**{**arguments, "steps": 20, "burn_in": 19, "every": 9})
    assert np.isfinite(
        function(**{**arguments, "steps": 20, "burn_in": 19, "every": 10}).loss
    ).all()


# ---- the judge is able to fail -------------------------------------------------------------------


def unbounded(count):
    while count:
        pass


def greedy(count):
    return np.ones(count)


@pytest.mark.parametrize(
    ("function", "value", "seen"),
    [
        (lambda count: pu.Moments.isotropic(count), -1, "named nothing"),  # of d, not of count
        (lambda count: count.shape, 1, "raised AttributeError"),
        (lambda count: int(count), "x", "raised ValueError of test_refusals.py"),
        (lambda count: [{"a": np.array([count])}], np.nan, "answered nan"),
        (lambda count: count, np.nan, "answered nan"),
        (greedy, 10**12, "raised"),
        (unbounded, 1, "hung"),
        (lambda count: pu.Settings(max_steps=count), 10, "answered"),
    ],
)
def test_the_judge_sees_what_is_wrong(function, value, seen):
    assert outcome(function, {"count": value}, "count", seconds=0.2).startswith(seen)


def test_a_message_is_not_only_of_another_package():
    assert outcome(np.linspace, {"start": 0, "stop": 1, "num": -1}, "num").startswith("raised")
