"""Recorded runs: complete, from one command, and stale once what computed them has changed."""

import ast
import json
from pathlib import Path

import demo_chapter
import in_process
import nbformat
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import phase_utils as pu
from phase_utils import chapters
from phase_utils.chapters import execution, export, recording, running, vocabulary
from phase_utils.chapters.command_line import main

RECORDED = [name for name in chapters.names() if recording.place(chapters.find(name).path).exists()]
PLACE = Path("notebooks/records/01_demo.json")


@pytest.mark.parametrize("name", RECORDED)
def test_record_chapter_and_digest_belong_together(name):
    record = pu.records.find(name)
    assert record is not None, "no record"
    assert not record.stale(), f"the record of {name} is stale: run `{record.command}`"
    assert record.chapter == name
    assert vocabulary.failing(record.claims) == ()
    assert len(record.revision) == 40, "made from a source that was not committed"
    assert len(record.kept["data"]["sha256"]) == 64


def test_the_lines_beside_a_record_are_those_of_the_best_linear_networks():
    (function,) = (
        node
        for node in ast.parse(in_process.source("12_collapse_vae")).body
        if isinstance(node, ast.FunctionDef) and node.name == "linear_theory"
    )
    names = {"np": np}
    exec(ast.unparse(function), names)
    size, total, prices = np.array([2.0, 0.7, 0.1]), 3.2, [0.05, 0.4, 1.2]
    found = names["linear_theory"](prices, {"eigenvalues": size, "total": total})
    for price, (rate, units, distance, variance, loss) in zip(
        prices, np.transpose(found), strict=True
    ):
        level = price * size[0]  # what a mode pays for a nat, twice

        def bill(kept, a, level=level):
            return a - kept + level * np.log(a / (a - kept))

        best = [
            minimize_scalar(
                bill, args=(a,), bounds=(0, a), method="bounded", options={"xatol": 1e-9}
            )
            for a in size
        ]
        kept = np.array([max(one.x, 0.0) for one in best])
        assert rate == pytest.approx(np.log(size / (size - kept)).sum() / 2, abs=1e-6)
        assert units == np.sum(kept > 1e-6)
        assert variance == pytest.approx(kept.sum() / total, abs=1e-6)
        rest = total - size.sum()
        apart = np.square(np.sqrt(size) - np.sqrt(np.where(kept > 1e-6, kept, 0.0))).sum() + rest
        assert distance == pytest.approx(apart / total, abs=1e-6)
        assert loss == pytest.approx((sum(one.fun for one in best) + rest) / total, abs=1e-6)


def test_no_record_is_without_its_chapter():
    folder = chapters.default_folder() / recording.BESIDE
    assert {path.stem for path in folder.glob("*")} == set(RECORDED)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return demo_chapter.write(tmp_path / "notebooks")


def edited(folder: Path, old: str, new: str) -> None:
    assert old in demo_chapter.SOURCE
    demo_chapter.write(folder, demo_chapter.SOURCE.replace(old, new))


@pytest.fixture
def kernel(monkeypatch):
    """Instead of one: what the cells of the demo would leave, with `state` of its claim."""

    def make(state: str = vocabulary.PASS, error: str = "") -> None:
        def execute(nb, _values, *, keeping, **_):
            claim = {vocabulary.MIME: {"id": "Eq-1", "state": state}}
            kept = {vocabulary.KEPT_MIME: {"all": {"values": [0.5, 1.0], "image": packed}}}
            made = [nbformat.v4.new_output("display_data", d) for d in (claim, kept)[: 1 + keeping]]
            cell = next(cell for cell in nb.cells if cell.cell_type == "code")
            cell.outputs = made
            return nb, error

        packed = pu.records._packed("image", np.arange(6, dtype=np.uint8).reshape(2, 3))
        monkeypatch.setattr(execution, "execute", execute)
        monkeypatch.setattr(export, "to_html", lambda _: "<html>")

    return make


def made(folder: Path, *words: str) -> pu.records.Record:
    assert main(["run", "demo", "--tier", "smoke", "--record", *words], folder=folder) == 0
    record = pu.records.find("demo", folder)
    assert record is not None
    return record


def test_a_record_says_where_it_is_from(folder, kernel, capsys):
    kernel()
    record = made(folder, "-p", "n=5")
    assert f"record:   {folder / 'records' / '01_demo.json'}" in capsys.readouterr().out
    assert record.command == "phase-book run 01_demo --tier smoke --record -p n=5"
    assert record.supports("Eq-1")
    assert not record.supports("Eq-2")
    np.testing.assert_array_equal(record.kept["all"]["values"], [0.5, 1.0])
    np.testing.assert_array_equal(record.kept["all"]["image"], [[0, 1, 2], [3, 4, 5]])
    rows = dict(record.provenance.rows)
    assert rows["command"] == record.command
    assert set(rows) >= {"date", "source", "processor", "device", "threads", "numpy", "seconds"}
    assert rows["source"] == "no revision"
    assert record.date in record.says
    assert str(folder) not in PLACE.read_text()


def test_a_folder_of_this_machine_is_in_no_record(folder, kernel):
    kernel()
    (folder / "mine.csv").write_text("a,y\n1,2\n2,3\n")
    record = made(folder, "-p", f"data={folder / 'mine.csv'}")
    assert record.command.endswith("-p data=mine.csv")
    assert not record.stale(folder)


def test_without_being_asked_nothing_is_recorded(folder, kernel):
    kernel()
    assert main(["run", "demo"], folder=folder) == 0
    assert not PLACE.parent.exists()
    assert pu.records.find("demo", folder) is None


@pytest.mark.parametrize(("state", "error", "code"), [("fail", "", 3), ("pass", "Error: no", 1)])
def test_what_failed_is_not_recorded(folder, kernel, capsys, state, error, code):
    kernel()
    before = made(folder)
    kernel(state, error)
    assert main(["run", "demo", "--record"], folder=folder) == code
    assert "record:   not written" in capsys.readouterr().out
    assert pu.records.find("demo", folder).command == before.command


def test_a_chapter_that_keeps_nothing_is_refused_before_it_runs(folder, kernel, capsys):
    kernel()
    edited(folder, 'pu.records.keep("all", values=values)', "pass")
    assert main(["run", "demo", "--record"], folder=folder) == 2
    assert "record must be False for a chapter that keeps nothing" in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("old", "new", "stale"),
    [
        ("Inline code", "Other prose", False),
        ("import time\n", "# a comment\nimport time as clock\n", False),
        ('f"It is {sum(values):.1f}."', '"Another sentence."', False),
        ('width="90"', 'width="91"', False),
        ("A line with", "A caption with", False),
        ("n: int = 3  # number", "n: int = 4  # number", False),  # smoke sets it
        ("scale * k for k", "scale + k for k", True),
        ('mode: str = "good"', 'mode: str = "leaves"', True),
    ],
)
def test_what_computed_it_makes_a_record_stale(folder, kernel, old, new, stale):
    kernel()
    record = made(folder)
    assert not record.stale(folder)
    edited(folder, old, new)
    assert record.stale(folder) is stale


def test_another_size_of_its_tier_makes_it_stale_and_not_that_of_others(folder, kernel):
    kernel()
    record = made(folder)
    tiers = folder / "tiers.toml"
    tiers.write_text(demo_chapter.TIERS.replace("n = 64", "n = 63"))
    assert not record.stale(folder)
    tiers.write_text(demo_chapter.TIERS.replace("n = 2", "n = 1"))
    assert record.stale(folder)


def test_words_of_a_check_may_change_and_its_numbers_may_not():
    def needed(*cells):
        nb = nbformat.v4.new_notebook()
        for source, figure in cells:
            meta = {"mystnb": {"figure": {"name": "x"}}} if figure else {}
            nb.cells.append(nbformat.v4.new_code_cell(source, metadata=meta))
        return [recording.ast.dump(statement) for statement in recording._needed(nb)]

    check = 'ledger.check("Eq-1", measured=a, expected={}, route="{}", what="{}")'
    one = needed((check.format(1, "by hand", "a"), False))
    assert needed((check.format(1, "by SymPy", "b"), False)) == one
    assert needed((check.format(2, "by hand", "a"), False)) != one
    # a figure's cell counts where another cell uses what it binds, by way of its own names too
    drawn = "{} = 1\na = {}\nplt.plot(a{})"
    both = [
        needed((drawn.format(n, n, m), True), (check, False)) for n in "bc" for m in ("", ", 1")
    ]
    assert both[0] == both[1] != both[2]
    assert needed((drawn.format("b", "b", ""), True)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("0.5", "0.6", 1),
        lambda text: text.replace('"pass"', '"fail"'),
        lambda text: text[:-40],
        lambda _: "[]",
        lambda _: "{}",
    ],
)
def test_a_record_that_was_edited_is_refused(folder, kernel, change):
    kernel()
    made(folder)
    before = PLACE.read_text()
    PLACE.write_text(change(before))
    assert PLACE.read_text() != before
    with pytest.raises(ValueError, match="record of 01_demo must be as a run wrote it"):
        pu.records.find("demo", folder)


def test_what_is_kept_twice_under_a_name_is_refused():
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("")])
    output = nbformat.v4.new_output("display_data", {vocabulary.KEPT_MIME: {"a": {}}})
    nb.cells[0].outputs = [output]
    assert execution.kept(nb) == {"a": {}}
    nb.cells[0].outputs = [output, output]
    with pytest.raises(ValueError, match="must be used once, got 'a' twice"):
        execution.kept(nb)


@pytest.mark.parametrize("value", [np.nan, [1.0, np.inf], 1j, object(), None])
def test_only_what_a_record_can_hold_is_kept(value):
    with pytest.raises(ValueError, match="price must be"):
        pu.records.keep("rates", price=value)


def test_numbers_are_kept_to_six_digits_and_bytes_as_they_are():
    values = np.array([[1 / 3, 2e-9], [12345678.0, 0.0]])
    back = pu.records._unpacked(json.loads(json.dumps(pu.records._packed("v", values))))
    np.testing.assert_allclose(back, values, rtol=5e-6)
    assert back.shape == (2, 2)
    assert pu.records._packed("v", 1 / 3) == 0.333333
    image = np.random.default_rng(0).integers(0, 256, (3, 4, 5)).astype(np.uint8)
    np.testing.assert_array_equal(pu.records._unpacked(pu.records._packed("v", image)), image)


def test_the_status_page_counts_what_a_record_has_in_full(folder, kernel, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "book" / "_ext")
    from claim_pages import Book

    kernel()
    record = made(folder)
    book = Book.__new__(Book)  # without the pages that it reads
    book.records = {"01_demo": record}
    one, other = (
        pu.claims.Definition(claim, "01_demo", "Eq.", "one is one", "confirmed")
        for claim in ("Eq-1", "Eq-2")
    )
    book.results = {
        ("01_demo", claim): [{"state": vocabulary.REDUCED, "reduced": "small"}]
        for claim in ("Eq-1", "Eq-2")
    }
    assert (book.evidence(one), book.evidence(other)) == ("recorded", "reduced")
    assert (book.shown(one), book.shown(other)) == (vocabulary.PASS, vocabulary.REDUCED)
    assert (book.reasons(one), book.reasons(other)) == (record.says, "small")
    assert book.spoken(one) == "confirmed, by a recorded run"


@pytest.mark.scheduled
def test_a_kernel_keeps_what_its_cells_name(folder):
    record = made(folder)
    np.testing.assert_array_equal(record.kept["all"]["values"], [0.0, 0.5])
    assert [claim["state"] for claim in record.claims] == ["pass", "pass"]


def test_only_a_kernel_that_is_recorded_is_told_to_keep(tmp_path):
    for keeping in (True, False):
        manager = execution._kernel_manager(tmp_path, keeping)()
        assert manager.kernel_spec.env[vocabulary.KEEPING] == str(int(keeping))


def test_a_disk_that_is_full_leaves_the_old_record(folder, kernel, monkeypatch):
    kernel()
    before = made(folder).command

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(recording, "write_atomic", full)
    with pytest.raises(OSError, match="No space"):
        running.run("demo", {"n": 4}, folder=folder, record=True, progress=False)
    monkeypatch.undo()
    assert pu.records.find("demo", folder).command == before
