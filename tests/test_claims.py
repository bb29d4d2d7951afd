"""The ledger: checks that can fail, results that travel, definitions that are well formed."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from nbformat.v4 import new_code_cell, new_notebook, new_output

from phase_utils.chapters import claims, execution, vocabulary


@pytest.fixture
def ledger(monkeypatch):
    definition = claims.Definition("Eq-0", "00_demo", "Eq. 0", "one is one", "confirmed")
    monkeypatch.setattr(claims, "definitions", lambda: (definition,))
    shown = []
    monkeypatch.setattr(claims, "display", shown.append)
    ledger = claims.Ledger("00_demo", "smoke")
    ledger.shown = shown
    return ledger


@pytest.mark.parametrize(
    ("measured", "expected", "options", "passes"),
    [
        (1.0, 1.0, {}, True),
        (0.3, 0.1 + 0.2, {"tolerance": 1e-15}, True),
        (1.01, 1.0, {"tolerance": 0.009}, False),
        (1.01, 1.0, {"tolerance": 0.011}, True),
        (101.0, 100.0, {"tolerance": 0.02, "relative": False}, False),
        (np.nan, 1.0, {"tolerance": 0.1}, False),
        (1.0, np.nan, {"tolerance": 0.1}, False),
        ([1.0, 2.0], [1.0, 2.5], {"tolerance": 0.1}, False),
        ([], [], {"tolerance": 0.1}, False),
        (True, True, {}, True),
        (False, True, {"tolerance": 0.5}, False),
        ("first", "second", {"tolerance": 0.5}, False),
        (2, 2, {"tolerance": {"smoke": 0.1, "book": 0.0, "paper": 0.0}}, True),
    ],
)
def test_a_check_passes_only_where_it_should(ledger, measured, expected, options, passes):
    ledger.check("Eq-0", measured=measured, expected=expected, route="trained", **options)
    assert ledger.results[-1]["state"] == ("pass" if passes else "fail")


def test_the_line_is_stable_and_the_data_complete(ledger):
    for noise in (1e-13, -3e-12):
        ledger.check(
            "Eq-0", measured=0.125 + noise, expected=0.125, route="by hand", tolerance=1e-9
        )
    (first, varying), (second, _) = (line._repr_mimebundle_() for line in ledger.shown)
    assert first == second
    assert "0.125" in first["text/plain"]
    data = first[vocabulary.MIME]
    assert (data["id"], data["state"], data["route"]) == ("Eq-0", "pass", "by hand")
    assert data | varying[vocabulary.MIME] == ledger.results[0]
    assert varying[vocabulary.MIME]["measured"] == 0.125 + 1e-13
    assert varying[vocabulary.MIME]["seconds"] >= 0
    output = new_output("display_data", data=first, metadata=varying)
    nb = new_notebook(cells=[new_code_cell("", outputs=[output])])
    assert execution.claims(nb) == [ledger.results[0]]


@pytest.mark.parametrize(
    ("measured", "expected", "options"),
    [
        (0.125, 0.125, {"tolerance": 0.01}),  # half-way between 0.12 and 0.13
        (-1.25, -1.25, {"tolerance": 0.1, "relative": False}),
        (2.34567e-9, 0.0, {"tolerance": 5e-9, "relative": False}),
        (1e-17, 0.0, {"tolerance": 1e-12, "relative": False}),
        ([1.0, -1.0], [1.0, -1.0], {"tolerance": 1e-9}),  # which is the largest?
        ([0.5004, 0.4996], [0.5, 0.5], {"tolerance": 1e-3}),
        (1.0, 1.0, {"tolerance": 1e-3}),  # nor may the place of the last digit move
        (1000.4, 1000.0, {"tolerance": 1e-3}),
    ],
)
def test_the_text_of_a_check_holds_no_rounding(ledger, measured, expected, options):
    rng = np.random.default_rng(0)

    def elsewhere(value):
        relative, absolute = rng.normal(size=(2, *np.shape(value)))
        return np.asarray(value) * (1 + 1e-13 * relative) + 1e-16 * absolute

    for _ in range(30):
        ledger.check(
            "Eq-0",
            measured=elsewhere(measured),
            expected=elsewhere(expected),
            route="trained",
            **options,
        )
    assert {result["state"] for result in ledger.results} == {"pass"}
    assert len({line._repr_mimebundle_()[0]["text/plain"] for line in ledger.shown}) == 1


def test_the_digits_are_those_that_the_tolerance_leaves(ledger):
    for value, tolerance, text in (
        (6.1822871, 1e-9, "6.18229"),
        (0.7123, 0.4, "0.7"),
        (566712.0, 10.0, "566710"),
        (3e-7, 1e-6, "0"),
        (3, 1.0, "3"),
    ):
        ledger.check(
            "Eq-0",
            measured=np.asarray(value),
            expected=value,
            route="trained",
            tolerance=tolerance,
            relative=False,
            loose="digits",
        )
        shown = ledger.shown[-1]._repr_mimebundle_()[0]["text/plain"]
        assert f"measured {text} | expected {text}" in shown


def test_what_was_not_checked_is_missing(ledger):
    assert ledger.missing() == ["Eq-0"]
    ledger.not_applicable("Eq-0", "no signal")
    assert ledger.missing() == []
    assert ledger.summary() == "1 claims, 1 checks: 1 not applicable"


def test_a_smaller_run_says_so_but_does_not_hide_a_failure(ledger):
    for value in (1.0, 2.0):
        ledger.check("Eq-0", measured=value, expected=1.0, route="trained", reduced="8 x 8 images")
    ledger.untested("Eq-0", "needs a GPU")
    states = [result["state"] for result in ledger.results]
    assert states == ["reduced size", "fail", "untested"]
    assert set(states) <= set(vocabulary.STATES)
    assert ledger.results[0]["reason"] == "8 x 8 images"
    assert ledger.summary() == "1 claims, 3 checks: 1 reduced size, 1 untested, 1 fail"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda led: led.check("Eq-1", measured=1, expected=1, route="trained"),
            "claim must be one of",
        ),
        (lambda led: led.check("Eq-0", measured=1, expected=1, route=""), "route of Eq-0"),
        (lambda led: led.check("Eq-0", measured=1, expected=1, route="chapter 7"), "route of Eq-0"),
        (lambda led: led.check("Eq-0", measured=1, expected=1, route="the text"), "route of Eq-0"),
        (lambda led: led.check("Eq-0", measured=[1], expected=1, route="trained"), "shape"),
        (lambda _: claims.Ledger("99_none", "book"), "must have claims"),
        (lambda _: claims.Ledger("00_demo", "quick"), "tier must be one of"),
    ],
)
def test_wrong_use_is_named(ledger, call, message):
    with pytest.raises(ValueError, match=message):
        call(ledger)


ONE, MANY = 0.3, np.linspace(0.1, 1.3, 13)


@pytest.mark.parametrize(
    ("measured", "expected"),
    [
        (ONE, ONE),
        (MANY, MANY),
        (MANY[::2], MANY[::2]),
        (torch.from_numpy(MANY), MANY),
        ([ONE, 0.0], (ONE, 0.0)),
    ],
)
def test_a_value_is_not_compared_with_itself(ledger, measured, expected):
    with pytest.raises(ValueError, match=r"measured and expected of Eq-0 must"):
        ledger.check("Eq-0", measured=measured, expected=expected, route="trained", tolerance=1e-9)
    assert ledger.results == []


def test_what_is_equal_or_interleaved_is_no_comparison_with_itself(ledger):
    pairs = np.array([MANY, MANY * (1 + 1e-12)]).T
    for measured, expected in (
        (pairs[:, 0], pairs[:, 1]),  # one array, no common memory
        (MANY, MANY.copy()),  # two routes that round alike, as some processors make them
        (np.full(20, ONE), np.full(20, ONE)),
        (MANY, np.nextafter(MANY, 2)),
        (True, True),
        ("first", "first"),
    ):
        ledger.check("Eq-0", measured=measured, expected=expected, route="trained", tolerance=1e-9)
    assert {result["state"] for result in ledger.results} == {"pass"}


@pytest.mark.parametrize(
    ("expected", "options"),
    [
        ([1.0, 2.0], {"tolerance": 0.11}),
        ([1.0, 2.0], {"tolerance": 0.21, "relative": False}),
        ([1.0, 2.0], {"tolerance": {"smoke": 0.01, "book": 0.2, "paper": 0.01}}),
    ],
)
def test_a_loose_tolerance_has_a_reason(ledger, expected, options):
    check = {"measured": [1.0, 2.0], "expected": expected, "route": "trained", **options}
    with pytest.raises(ValueError, match=r"tolerance of Eq-0 must be at most 10%"):
        ledger.check("Eq-0", **check)
    ledger.check("Eq-0", **check, loose="nine starts")
    assert ledger.results[-1]["reason"] == "nine starts"
    ledger.check("Eq-0", measured=0.4, expected=0.0, route="trained", tolerance=0.5, relative=False)


@pytest.mark.parametrize(
    ("measured", "text"),
    [
        ([False, True, False], "3 of 3 as expected"),
        ([False, False, True], "1 of 3 as expected"),
    ],
)
def test_of_many_answers_the_line_says_how_many_are_right(ledger, measured, text):
    ledger.check("Eq-0", measured=measured, expected=[False, True, False], route="trained")
    assert text in ledger.shown[-1]._repr_mimebundle_()[0]["text/plain"]
    ledger.check(
        "Eq-0", measured=np.array(measured) + 1.0, expected=[1.0, 2.0, 1.0], route="trained"
    )
    shown = ledger.shown[-1]._repr_mimebundle_()[0]["text/plain"]
    assert text.replace("as expected", "values within 0 (relative)") in shown


@pytest.mark.parametrize("definition", claims.definitions(), ids=lambda d: d.id)
def test_definitions_are_complete(definition):
    assert definition.source
    assert len(definition.statement) > 10
    needs = definition.verdict in ("corrected", "refuted")
    assert bool(definition.printed and definition.corrected and definition.consequence) == needs


ROOT = Path(__file__).resolve().parents[1]
SOURCES = [*(ROOT / "phase_utils").rglob("*.py"), *(ROOT / "book").rglob("*.py")]
WORDS = {vocabulary.MIME, *vocabulary.VERDICTS, *vocabulary.STATES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_words_of_claims_stand_in_one_file(path):
    if path.stem == "vocabulary":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)]
    assert [w for w in words if isinstance(w, str) and w in WORDS] == []
    lists = [n for n in ast.walk(tree) if isinstance(n, ast.Tuple | ast.List | ast.Set)]
    sizes = [{e.value for e in n.elts if isinstance(e, ast.Constant)} for n in lists]
    assert [s for s in sizes if len(s & set(vocabulary.TIERS)) > 1] == []


def test_every_state_of_a_run_has_its_look():
    style = (ROOT / "book" / "_static" / "custom.css").read_text(encoding="utf-8")
    looks = {state.replace(" ", "-") for state in vocabulary.STATES}
    assert set(re.findall(r"\.claim-line-([a-z-]+)", style)) == looks - {"pass"}  # that of any line


@pytest.mark.parametrize(
    ("states", "shown"),
    [
        ([], "untested"),
        (["pass", "reduced size", "pass"], "reduced size"),
        (["reduced size", "not applicable"], "not applicable"),
        (["not applicable", "untested"], "untested"),
        (["untested", "of a later version"], "of a later version"),
        (["fail", "of a later version"], "fail"),
    ],
)
def test_a_claim_is_in_the_worst_state_of_its_checks(states, shown):
    assert vocabulary.worst(states) == vocabulary.worst(states[::-1]) == shown
    assert vocabulary.ranked(["pass", *states])[0] == "pass"


@pytest.mark.parametrize(
    ("states", "recorded", "strength", "said"),
    [
        (["pass", "pass"], False, "full", "confirmed"),
        (["pass", "pass"], True, "full", "confirmed"),
        (["pass", "not applicable"], False, "full", "confirmed"),
        (["pass", "reduced size"], False, "reduced", "confirmed, at reduced size"),
        (["pass", "untested"], False, "reduced", "confirmed, at reduced size"),
        (["reduced size"], False, "reduced", "confirmed, at reduced size"),
        (["reduced size"], True, "recorded", "confirmed, by a recorded run"),
        (["pass", "untested"], True, "recorded", "confirmed, by a recorded run"),
        (["untested"], True, "recorded", "confirmed, by a recorded run"),
        (["untested"], False, "none", "not decided by this run"),
        (["not applicable"], False, "none", "not decided by this run"),
        ([], False, "none", "not decided by this run"),
        (["pass", "fail"], True, "none", "not decided by this run"),
        (["pass", "of a later version"], False, "reduced", "confirmed, at reduced size"),
    ],
)
def test_a_verdict_is_no_stronger_than_its_evidence(states, recorded, strength, said):
    assert vocabulary.evidence(states, recorded=recorded) == strength
    assert vocabulary.spoken("confirmed", strength) == said
    assert set(vocabulary.SPOKEN) == set(vocabulary.EVIDENCE)


def test_sentences_of_the_start_page_are_made_from_counts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from claim_pages import briefly, support

    known = [
        claims.Definition(name, "00_demo", "Eq.", "one is one", "confirmed")
        for name in ("a", "b", "c")
    ]
    of = dict(zip(known, ("full", "reduced", "none"), strict=True))
    text = support(known, of.get, lambda d: f"why {d.id}")
    assert text == (
        "1 of 3 claims ran in full when this book was built. "
        "At reduced size, or in part: {ref}`b <claim-b>` (why b). "
        "Without evidence here: {ref}`c <claim-c>` (why c)."
    )
    assert support(known[:1], of.get, str).startswith("All 1 claim ran in full")
    assert briefly(known, of.get) == (
        "1 of 3 claims ran in full when this book was built, 1 at reduced size or in part, 1 not "
        "here: the [status](status.md) names them."
    )
    assert briefly(known[:1], of.get) == "1 of 1 claim ran in full when this book was built."
