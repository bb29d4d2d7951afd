"""Data sets: moments that are what they say, files read as numbers only, errors that name."""

import gzip
import re

import numpy as np
import pytest
import tables

import phase_utils as pu
from phase_utils.chapters.readers import standard


def test_teacher_has_the_signal_of_figure_one_and_depends_on_the_seed():
    first, again, other = (pu.data.load("teacher", seed=s).moments for s in (0, 0, 1))
    assert first.signal == pytest.approx(0.45, rel=1e-12)
    assert first.residual_variance == pytest.approx(0.05, rel=1e-10)
    assert np.array_equal(first.A0, again.A0)
    assert not np.array_equal(first.A0, other.A0)


@pytest.mark.parametrize(("name", "shape"), [("diabetes", (442, 10)), ("digits", (1797, 64))])
def test_real_data(name, shape):
    task = pu.data.load(name)
    assert task.x.shape == shape
    np.testing.assert_allclose(task.x.mean(axis=0), 0, atol=1e-12)
    least = np.linalg.lstsq(task.x, task.y, rcond=None)[0]
    residual = np.mean((task.y - task.x @ least) ** 2)
    assert task.moments.residual_variance == pytest.approx(residual, rel=1e-9)


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3)) * [1, 10, 0.1]
    return tmp_path, x, x @ [1.0, -0.1, 3.0] + 5


def test_csv_and_npz_agree(table):
    folder, x, y = table
    rows = np.column_stack([x[:, 0], y, x[:, 1:], np.ones(30)])
    np.savetxt(folder / "a.csv", rows, delimiter=",", header="a,label,b,c,one", comments="")
    np.savez(folder / "a.npz", x=x, label=y)
    csv = pu.data.load(str(folder / "a.csv"), target="label")
    npz = pu.data.load(str(folder / "a.npz"), target="label")
    assert csv.x.shape == (30, 3)
    np.testing.assert_allclose(csv.moments.A0, npz.moments.A0, atol=1e-12)
    assert csv.moments.Eyy == pytest.approx(1)
    assert str(folder) not in csv.description


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,y\n1,2\n", "a.csv must have at least 2 rows, got 1"),
        ("a,y\n1,2\n2,2\n", "a.csv: the label 'y' must vary, got 2 in every row"),
        ("a,b,y\n1,3,2\n1,3,3\n", "a.csv: an input must vary, got constant columns only"),
        ("a,y\n1,0.1\n2,0.10000000000000002\n", "the label 'y' must vary"),
        ("a,y\n1,2\n2,M\n", "a.csv, line 3, column 'y': must be a number, got 'M'"),
    ],
)
def test_unfit_tables_are_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        pu.data.load(str(tmp_path / "a.csv"))


def test_more_inputs_than_their_moments_have_room_for(tmp_path, monkeypatch):
    monkeypatch.setattr(standard, "MOST_INPUTS", 2)
    path = written(tmp_path, "a.csv", names="a,b,c,y")
    with pytest.raises(
        ValueError, match=r"a\.csv must have at most 2 inputs, got 3; choose by inp"
    ):
        pu.data.load(path)
    assert pu.data.load(path, inputs=["a", "c"]).x.shape == (20, 2)


def test_unknown_names_and_missing_files_are_refused(tmp_path):
    files = "teacher, diabetes, digits, or the path of a .csv, .tsv, .parquet or .npz file"
    for name in ("mnist", "a.txt", "none", "", 3, None, tmp_path):
        with pytest.raises(ValueError, match=re.escape(f"data must be {files}, got {name!r}")):
            pu.data.load(name)
    with pytest.raises(ValueError, match="got 'diabetic'; did you mean diabetes"):
        pu.data.load("diabetic")
    (tmp_path / "folder.csv").mkdir()
    for name in ("nowhere.csv", str(tmp_path / "folder.csv")):
        with pytest.raises(
            ValueError, match=re.escape(f"data must be an existing file, but there is no {name!r}")
        ):
            pu.data.load(name)


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".csv.gz", ".tsv.gz"])
def test_suffixes(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    content = b"a\ty\n1\t2\n2\t5\n3\t4\n"
    path.write_bytes(gzip.compress(content) if suffix.endswith("gz") else content)
    task = pu.data.load(str(path))
    assert task.name == f"a{suffix}"
    np.testing.assert_allclose(task.x[:, 0], [-np.sqrt(1.5), 0, np.sqrt(1.5)], rtol=1e-15)


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    written(tmp_path, "a.csv")
    assert list(pu.data.pair("~/a.csv", str(tmp_path / "a.csv"))) == ["a.csv"]


@pytest.mark.parametrize("unit", [1e-300, 1e-200, 1e-150, 1.0, 1e150, 1e200, 1e300])
def test_units_do_not_matter(tmp_path, unit):
    rng = np.random.default_rng(0)
    x, y = rng.normal([0, 1, -5], size=(30, 3)), rng.normal(size=30)
    np.savez(tmp_path / "plain.npz", x=x, y=y)
    np.savez(tmp_path / "units.npz", x=x * unit, y=y * unit)
    plain, units = (pu.data.load(str(tmp_path / f"{n}.npz")) for n in ("plain", "units"))
    np.testing.assert_allclose(units.x, plain.x, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(units.y, plain.y, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(plain.x, (x - x.mean(0)) / x.std(0), rtol=1e-12)


def test_the_whole_range_of_floats_is_standardised(tmp_path):
    x = np.array([[-1.7e308, 5e-324], [1.7e308, 0], [0, 1e-323], [0, 5e-324]])
    np.savez(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1])
    task = pu.data.load(str(tmp_path / "a.npz"))
    half = np.sqrt(0.5)
    assert (
        np.abs(task.x - [[-1 / half, 0], [1 / half, -1 / half], [0, 1 / half], [0, 0]]).max()
        < 1e-15
    )


@pytest.mark.parametrize(
    ("content", "chosen", "text"),
    [
        ("a,y\n1,2\n3,4\n", {}, "2 samples of 1 input, label y, standardised"),
        ("a,b,y\n1,2,3\n4,5,6\n0,0,1\n", {}, "3 samples of 2 inputs, label y, standardised"),
        (
            "a,one,b,y\n1,7,2,3\n4,7,5,6\n",
            {},
            "2 samples of 2 inputs, label y, standardised; left out: constant column one",
        ),
        (
            ",a,p,q,r,s,y,z\n0,1,0,1,2,3,3,u\n1,4,0,1,2,3,6,v\n",
            {"drop": ["z"]},
            "2 samples of 1 input, label y, standardised; left out: the index column, column z, "
            "4 constant columns",
        ),
        (
            "a,p,q,y\n1,0,1,3\n,,,\n4,0,1,6\n",
            {"target": "a"},
            "2 samples of 1 input, label a, standardised; left out: 1 empty row, "
            "constant columns p and q",
        ),
    ],
)
def test_a_task_says_what_was_done_to_its_data(tmp_path, content, chosen, text):
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert pu.data.load(str(path), **chosen).description == f"a.csv, {text}"


def test_an_archive_without_inputs(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((5, 0)), y=np.arange(5))
    with pytest.raises(ValueError, match=r"a\.npz: an input must vary"):
        pu.data.load(str(tmp_path / "a.npz"))


def test_constant_columns_of_an_archive_have_a_place(tmp_path):
    x = np.ones((5, 3))
    x[:, 1] = range(5)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(5))
    task = pu.data.load(str(tmp_path / "a.npz"))
    assert task.description.endswith("left out: constant columns x[:, 0] and x[:, 2]")


# Several data sets at once


def written(folder, name, seed=0, names="a,b,y"):
    folder.mkdir(exist_ok=True)
    rows = np.random.default_rng(seed).normal(size=(20, names.count(",") + 1))
    np.savetxt(folder / name, rows, delimiter=",", header=names, comments="")
    return str(folder / name)


def test_a_file_is_never_mistaken_for_built_in_data_or_for_another_file(tmp_path):
    own = written(tmp_path / "one", "diabetes.csv")
    other = written(tmp_path / "two", "diabetes.csv", seed=1)
    tasks = pu.data.pair(own, "diabetes")
    assert list(tasks) == ["diabetes.csv", "diabetes"]
    assert [len(task.y) for task in tasks.values()] == [20, 442]
    tasks = pu.data.pair(own, other)
    assert list(tasks) == ["one/diabetes.csv", "two/diabetes.csv"]
    assert all(task.name == name for name, task in tasks.items())
    assert all(task.description.startswith(f"{name}, 20") for name, task in tasks.items())
    assert not np.array_equal(*(task.y for task in tasks.values()))
    deep = written(tmp_path / "one" / "two", "diabetes.csv", seed=2)
    assert list(pu.data.pair(deep, other)) == [
        "one/two/diabetes.csv",
        f"{tmp_path.name}/two/diabetes.csv",
    ]


def test_the_same_data_enter_once_however_they_are_written(tmp_path, monkeypatch):
    path = written(tmp_path, "a.csv")
    monkeypatch.chdir(tmp_path)
    for compare, label in [("none", ""), (path, ""), ("./a.csv", ""), ("a.csv", "y")]:
        assert list(pu.data.pair("a.csv", compare, compare_target=label)) == ["a.csv"]
    assert list(pu.data.pair("teacher", "teacher")) == ["teacher"]


def test_two_labels_of_one_file_are_two_tasks(tmp_path):
    path = written(tmp_path, "a.csv")
    tasks = pu.data.pair(path, path, compare_target="b", inputs=["a"])
    assert list(tasks) == ["a.csv (y)", "a.csv (b)"]
    assert [task.x.shape[1] for task in tasks.values()] == [1, 1]
    tasks = pu.data.pair("teacher", path, compare_target="a")
    assert list(tasks) == ["teacher", "a.csv"]
    assert tasks["a.csv"].label == "a"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"data": "teacher", "target": "y"}, "target chooses from a file, but data is 'teacher'"),
        ({"data": "digits", "inputs": ["a"]}, "inputs chooses from a file"),
        ({"data": "a.csv", "target": "x"}, "target must be among the columns a, b, y, got 'x'"),
        ({"data": "a.csv", "inputs": ["c"]}, "inputs must be among the columns a, b, y, got 'c'"),
        ({"data": "a.csv", "compare": "b.csv"}, "compare must be an existing file"),
        ({"data": "a.csv", "compare": "diabetic"}, "did you mean diabetes"),
        ({"data": "a.csv", "compare": "digits", "compare_target": "y"}, "compare is 'digits'"),
        ({"data": "a.csv", "compare_target": "y"}, "compare is 'none'"),
        (
            {"data": "teacher", "compare": "a.csv", "compare_target": "w"},
            "compare_target must be among",
        ),
    ],
)
def test_a_check_refuses_what_loading_refuses(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a.csv")
    for refuse in (pu.data.check, pu.data.pair):
        with pytest.raises(ValueError, match=message):
            refuse(**given)


# Data without signal


def test_a_task_is_silent_where_its_signal_is_rounding(tmp_path):
    names = {kind: str(tables.write(tmp_path / f"{kind}.csv", kind)) for kind in ("silent", "tiny")}
    silent, tiny = (pu.data.load(path, target="y") for path in names.values())
    assert silent.moments.signal > 0 and silent.silent and not tiny.silent
    faint = pu.Moments([[1.0]], [1e-6], 1.0)  # a weak signal is one
    assert not pu.data.Task("faint", faint, None, None, "").silent
    kept, left_out = pu.data.learnable({"silent.csv": silent, "tiny.csv": tiny})
    assert (list(kept), list(left_out)) == (["tiny.csv"], ["silent.csv"])
    assert pu.data.shown(kept, left_out) == (
        "tiny.csv, 21 samples of 3 inputs, label y, standardised; left out: silent.csv "
        "(E[xy] is zero up to rounding: no linear network learns at any decay)"
    )
    for instead in ("teacher", "diabetes"):
        kept, left_out = pu.data.learnable({"silent.csv": silent}, instead=instead)
        assert (list(kept), list(left_out)) == ([instead], ["silent.csv"])
    assert pu.data.learnable({"tiny.csv": tiny}) == ({"tiny.csv": tiny}, {})


@pytest.mark.parametrize(("number", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows")])
def test_a_number_stands_with_the_right_form_of_its_noun(number, text):
    assert pu.words.counted(number, "row") == text
