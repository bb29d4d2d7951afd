"""A chapter over a grid: checked before it runs, resumed, failures told, everything on one page."""

import json
import os
import sys
from pathlib import Path

import demo_chapter
import numpy as np
import pytest
from bs4 import BeautifulSoup

from phase_utils import chapters
from phase_utils.chapters import grid, grid_cells, running
from phase_utils.chapters.command_line import main

SPACED = np.linspace(0, 1, 3).tolist()


@pytest.fixture
def folder(tmp_path) -> Path:
    return demo_chapter.write(tmp_path / "notebooks")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def ran(monkeypatch) -> list[dict]:
    """No kernel: a run leaves two files and a claim, and the list has its parameters."""
    calls: list[dict] = []

    def quick(_, values, **__):
        calls.append(dict(values))
        nb = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"values": values}, "cells": []}
        error = "Traceback\nZeroDivisionError" if values.get("mode") == "fails" else ""
        state = "fail" if values.get("mode") == "wrong" else "pass"
        claims = ({"id": "Th-2", "state": "pass"}, {"id": "Th-2", "state": state})
        return running.Executed((json.dumps(nb), json.dumps(nb)), claims, error, error)

    monkeypatch.setattr(running, "execute", quick)
    return calls


# Axes


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("scale", "0:1:3", SPACED),
        ("scale", " 2 : 0.5 : 2 ", [2.0, 0.5]),
        ("scale", "[1, 2.5]", [1.0, 2.5]),
        ("n", "1:5:3", [1, 3, 5]),
        ("n", "[4]", [4]),
        ("mode", "['good', 'wrong']", ["good", "wrong"]),
        ("depths", "[[0], [0, 2]]", [[0], [0, 2]]),
    ],
)
def test_values_of_an_axis(folder, name, text, values):
    parameter = next(p for p in chapters.find("demo", folder).parameters if p.name == name)
    found = grid.axis(parameter, text)
    assert found == values
    assert [type(v) for v in found] == [type(v) for v in values]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-g", "scal=0:1:3"], "unknown parameter 'scal'; did you mean scale?"),
        (["-g", "scale"], "-g must be name=start:stop:count or name=[value, ...], got 'scale'"),
        (["-g", "scale=0:1"], "scale must be start:stop:count or [value, ...], got '0:1'"),
        (["-g", "scale=0:1:3:4"], "scale must be start:stop:count"),
        (["-g", "scale=0:1:0"], "scale must be start:stop:count"),
        (["-g", "scale=0:inf:2"], "scale must be start:stop:count"),
        (["-g", "scale=3"], "scale must be start:stop:count"),
        (["-g", "scale=[__import__('os').getpid()]"], "scale must be start:stop:count"),
        (["-g", "scale=[]"], "scale must have one value or more"),
        (["-g", "scale=[1, 1.0]"], "scale must not repeat values, got 1.0 twice"),
        (["-g", "scale=5:11:3"], "scale must be in 0..10, got 11.0"),
        (["-g", "n=1:2:3"], "n must be of type int, got 1.0"),
        (["-g", "n=[1, 65]"], "n must be in 1..64, got 65"),
        (["-g", "n=['a']"], "n must be of type int, got 'a'"),
        (["-g", "mode=['good', 'bad']"], "mode must be one of good, fails"),
        (["-g", "data=['teacher', 'no.csv']"], "there is no 'no.csv'"),
        (["-g", "depths=[0, 1]"], "depths must be a list[int], got 0"),
        (["-g", "n=[1]", "-g", "n=[2]"], "parameter n is given twice"),
        (["-g", "n=[1]", "-p", "n=2"], "n is given both as a parameter and as an axis"),
        (["-g", "n=[1]", "-p", "scale=11"], "scale must be in 0..10, got 11"),
        (["-g", "tier=['smoke']", "--tier", "book"], "tier is given twice"),
        (["-g", "n=[1]", "--out", "taken"], "out must be a folder"),
        (["-g", "n=[1]", "--dask", "x://y"], "there is no Dask scheduler at 'x://y'"),
    ],
)
def test_a_bad_grid_stops_before_anything_runs(folder, ran, capsys, words, message):
    Path("taken").touch()
    assert main(["grid", "demo", *words], folder=folder) == 2
    assert message in capsys.readouterr().err
    assert ran == []
    assert not Path("runs").exists()


def test_a_grid_is_the_product_of_its_axes(folder, ran):
    words = ["-g", "n=[1, 2]", "-g", "scale=0:1:3", "-p", "data=diabetes", "--tier", "smoke"]
    assert main(["grid", "demo", *words, "--out", "some/grid"], folder=folder) == 0
    fixed = {"tier": "smoke", "data": "diabetes"}
    assert ran == [{**fixed, "n": n, "scale": scale} for n in (1, 2) for scale in SPACED]


# Runs


def test_failures_are_told_and_the_page_has_every_run(folder, capsys, tmp_path):
    words = ["grid", "demo", "-g", "mode=['good', 'wrong', 'fails']", "-p", "n=2"]
    assert main(words, folder=folder) == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("runs:     3, of which 0 were done before\n")
    assert "claims:   5 pass, 1 fail\n" in shown.out
    assert "Claims failed at mode='wrong': Th-2" in shown.err
    failure = shown.err.partition("A cell failed at mode='fails':\n")[2]
    assert 'json.loads("not json")' in failure  # the whole traceback, from the cell on
    assert "JSONDecodeError: Expecting value" in failure
    assert str(tmp_path) not in failure and sys.prefix not in failure

    out = Path("runs/01_demo-grid")
    page = BeautifulSoup((out / "index.html").read_text(), "html.parser")
    head, *rows = [
        [" ".join(c.get_text(" ").split()) for c in tr.find_all(["th", "td"])] for tr in page("tr")
    ]
    assert head == ["mode", "run", "state", "Eq-1", "Th-2"]
    assert rows == [
        ["good", "page notebook", "done", "pass", "pass"],
        ["wrong", "page notebook", "done", "pass", "fail"],
        ["fails", "page notebook", "a cell failed", "pass", "pass"],
    ]
    links = [a["href"] for a in page("a") if not a["href"].startswith("#")]
    assert len(links) == len(set(links)) == 6
    assert all((out / link).stat().st_size > 1000 for link in links)
    assert "JSONDecodeError" in page.find("pre").get_text()
    assert "3 of 3 runs done, 1 with a cell that failed." in page.get_text()


def test_what_is_done_is_not_run_again(folder, ran, capsys):
    words = ["grid", "demo", "-g", "mode=['good', 'wrong', 'fails']"]
    assert main(words, folder=folder) == 1
    assert len(ran) == 3
    page = Path("runs/01_demo-grid/index.html").read_text()
    ran.clear()
    capsys.readouterr()
    assert main(words, folder=folder) == 1
    assert [values["mode"] for values in ran] == ["fails"]
    shown = capsys.readouterr()
    assert "3, of which 2 were done before" in shown.out
    assert "Claims failed at mode='wrong': Th-2" in shown.err
    assert Path("runs/01_demo-grid/index.html").read_text() == page
    ran.clear()
    # a larger grid keeps the cells of the smaller; without the failing cell, claims decide
    words = ["grid", "demo", "-g", "mode=['leaves', 'wrong', 'good']"]
    assert main(words, folder=folder) == 3
    assert [values["mode"] for values in ran] == ["leaves"]


def flip(path: Path) -> None:
    path.write_bytes(b"#" + path.read_bytes()[1:])


@pytest.mark.parametrize("file", ["01_demo.ipynb", "01_demo.html", "cell.json"])
@pytest.mark.parametrize("harm", [flip, Path.unlink])
def test_a_damaged_cell_is_run_again(folder, ran, file, harm):
    words = ["grid", "demo", "-g", "n=[1, 2]"]
    assert main(words, folder=folder) == 0
    second = next(
        p for p in Path("runs/01_demo-grid").glob("*/01_demo.html") if '"n": 2' in p.read_text()
    )
    harm(second.with_name(file))
    ran.clear()
    assert main(words, folder=folder) == 0
    assert ran == [{"n": 2}]


def test_another_source_package_or_data_file_is_another_run(folder, ran, tmp_path, monkeypatch):
    (tmp_path / "mine.csv").write_text("a,y\n1,2\n2,3\n")
    words = ["grid", "demo", "-g", "n=[1]", "-p", "data=mine.csv"]

    def runs() -> int:
        ran.clear()
        assert main(words, folder=folder) == 0
        return len(ran)

    assert [runs(), runs()] == [1, 0]
    (tmp_path / "mine.csv").write_text("a,y\n1,2\n2,4\n")
    assert [runs(), runs()] == [1, 0]
    demo_chapter.write(folder, demo_chapter.SOURCE + "\nOne more line.\n")
    assert [runs(), runs()] == [1, 0]
    monkeypatch.setattr(grid_cells, "_package", lambda: "changed")
    assert [runs(), runs()] == [1, 0]


def test_a_grid_on_dask(folder, capsys, tmp_path):
    distributed = pytest.importorskip("distributed")
    # workers that work elsewhere: the results come back to the caller
    (tmp_path / "away").mkdir()
    os.chdir(tmp_path / "away")
    with distributed.LocalCluster(
        n_workers=1, processes=True, threads_per_worker=1, dashboard_address=":0"
    ) as cluster:
        os.chdir(tmp_path)
        address = cluster.scheduler_address
        words = ["grid", "demo", "-g", "mode=['good', 'fails']", "--out", "here"]
        assert main([*words, "--dask", address], folder=folder) == 1
        shown = capsys.readouterr()
        assert "claims:   4 pass" in shown.out
        assert "A cell failed at mode='fails':" in shown.err and "JSONDecodeError" in shown.err
        records = [json.loads(p.read_text()) for p in Path("here").glob("*/cell.json")]
        assert [r["parameters"] for r in records] == [{"mode": "good"}]
        assert len(list(Path("here").glob("*/01_demo.ipynb"))) == 2


def test_a_run_that_is_lost_is_one_failure(folder, ran, monkeypatch, capsys):
    quick = running.execute

    def losing(chapter, values, **rest):
        if values["n"] == 1:
            raise MemoryError("no room")
        return quick(chapter, values, **rest)

    monkeypatch.setattr(running, "execute", losing)
    assert main(["grid", "demo", "-g", "n=1:3:3"], folder=folder) == 1
    assert [values["n"] for values in ran] == [2, 3]
    assert "A cell failed at n=1:\nMemoryError: no room" in capsys.readouterr().err
