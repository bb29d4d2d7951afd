"""The panel of networks: two of them run, and its page shows what was recorded."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import phase_utils as pu

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ROOT / "benchmarks"
RECORD = BENCHMARKS / "results" / "panel.json"


@pytest.fixture
def networks(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import networks.case
    import networks.table
    import networks.truth

    yield networks
    for name in [k for k in sys.modules if k == "report" or k.partition(".")[0] == "networks"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def rows():
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    return [{k: math.inf if v == "inf" else v for k, v in row.items()} for row in recorded]


def test_two_networks_are_measured_into_rows_and_not_measured_twice(tmp_path):
    command = [sys.executable, BENCHMARKS / "panel.py", "--rows", tmp_path, "--starts", "4"]
    command += ["--only", "linear-two", "tanh-one"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    first = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert len(first.stdout.splitlines()) == 2
    closed = json.loads((tmp_path / "linear-two.first.json").read_text())
    assert closed["verdict"] == "right"
    assert closed["predicted"] == pytest.approx(closed["truth"], rel=1e-5)
    trained = json.loads((tmp_path / "tanh-one.first.json").read_text())
    assert trained["certified"]
    assert trained["low"] == 0.995
    assert trained["high"] == 1.02
    (tmp_path / "linear-two.first.json").unlink()  # a run that was cut off
    second = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert [line.split()[0] for line in second.stdout.splitlines()] == ["linear-two"]


def test_the_page_shows_what_the_rows_say(networks, rows):
    tables = json.loads(RECORD.read_text(encoding="utf-8"))["tables"]
    expected = networks.table.tables(rows)
    assert [(t["caption"], t["columns"], t["rows"]) for t in tables] == expected
    assert all(row["verdict"] == networks.table.verdict(row) for row in rows)
    page = (ROOT / "book" / "panel.md").read_text(encoding="utf-8")
    assert "```{benchmark} panel" in page
    assert not re.search(r"\d", page)  # every number is generated
    assert "- file: book/panel\n" in (ROOT / "_toc.yml").read_text()


def test_the_record_holds_networks_of_the_registry_and_enough_of_them(networks, rows):
    for which in networks.case.SEEDS:
        names = [row["name"] for row in rows if row["set"] == which]
        assert names == [name for name in networks.NAMES if name in names]
        assert names == list(dict.fromkeys(names))
    first = [row for row in rows if row["set"] == "first"]
    assert len(first) >= 40
    assert {row["name"] for row in rows} <= set(networks.case.REGISTRY)


def test_a_false_bound_would_be_called_one(networks):
    closed = {"truth": 1.0, "order": "first", "noise": None, "predicted order": "first"}
    verdicts = {p: networks.table.verdict(closed | {"predicted": p}) for p in (0.9, 0.995, 1.1)}
    assert verdicts == {0.9: "too low", 0.995: "right", 1.1: "too high"}
    trained = {"low": 0.98, "high": 1.02, "certified": True, "complete": True}
    assert networks.table.verdict(trained) == "right"
    assert networks.table.verdict(trained | {"certified": False}) == "too high"
    assert networks.table.verdict(trained | {"low": 1.1, "high": 1.2}) == "too low"
    assert networks.table.verdict(trained | {"low": 0.9}) == "true bound"


def test_training_refutes_a_prediction_that_is_off(networks):
    case = networks.case.build("linear-one")
    net = networks.truth.Trainee(case)
    weights = {k: v.detach() for k, v in net.model.named_parameters()}
    trained = networks.case.Trained(networks.case.variance(case.data[1]))
    judged = networks.case.Case(case.what, case.model, case.loss, case.data, trained)
    low = networks.truth.observe(judged, 0.8 * case.truth.value, weights)
    assert low.low == 1.2  # 1.25 times what was said
    high = networks.truth.observe(judged, 1.25 * case.truth.value, weights)
    assert (high.low, high.high) == (0.7, 0.8)
    assert not high.certified
    right = networks.truth.observe(judged, case.truth.value, weights)
    assert (right.low, right.high, right.order) == (0.995, 1.02, "continuous")


def test_a_start_that_is_small_at_once_is_not_taken_for_a_jump(networks):
    # rays bring R of every start to a millionth in the first step; training shows R go to zero
    case = networks.case.build("relu-one-all", "second")
    found = pu.diagnose(case.model, case.loss, case.data, starts=3, **case.options)
    assert found.order == "continuous"
    assert found.evidence.square == 0


def test_what_the_page_says_of_libraries_that_watch_is_what_the_runs_recorded():
    page = (ROOT / "book" / "panel.md").read_text(encoding="utf-8")
    assert "```{benchmark} watchers" in page
    record = json.loads((BENCHMARKS / "results" / "watchers.json").read_text(encoding="utf-8"))
    runs = {float(k): run for k, run in record["runs"].items()}
    for decay, run in runs.items():
        dead = decay > record["weight_decay"]
        assert (run["constant"], run["collapsed"], run["cause"] == "decay") == (dead, dead, dead)
        assert (run["margin"] > 1) == (not dead)
        assert bool(run["at the end"]) == dead  # thermoclaw: at the end, only where it is constant
        critical = [f for f in run["findings"] if f["severity"] == "critical"]
        assert bool(critical) == dead  # torchmortem: only where it is constant
        assert not any("decay" in f["summary"].lower() for f in critical)
    early = [run for decay, run in runs.items() if decay < record["weight_decay"] and run["alarm"]]
    assert max(run["accuracy"] for run in early) > 0.9  # thermoclaw: an alarm in a run that learns
    margins = [runs[decay]["margin"] for decay in sorted(runs)]
    assert margins == sorted(margins, reverse=True)


@pytest.mark.parametrize(
    "name",
    ["linear-one-weighted", "autoencoder-tied", "graph-linear", "embedding-linear"],
)
def test_two_starts_find_what_is_known_in_closed_form(networks, name):
    case = networks.case.build(name)
    found = pu.diagnose(case.model, case.loss, case.data, starts=2, steps=60, **case.options)
    assert found.gamma_coexistence == pytest.approx(case.truth.value, rel=1e-5)
    assert found.order == case.truth.order
