"""Data sets: moments that are what they say, files read as numbers only, errors that name."""

import numpy as np
import pytest

import phase_utils as pu


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
    ("name", "content", "target", "message"),
    [
        ("a.csv", "x,y\n1,2\n2,3\n", "z", "target must be one of x, y, got 'z'"),
        ("a.csv", "x,y\n1,a\n2,3\n", "", "data must be numeric"),
        ("a.csv", "x,y\n1,nan\n2,3\n", "", "finite numbers"),
        ("a.csv", "x,y\n1,2\n", "", "at least 2 rows"),
        ("a.csv", "x,y\n1,2\n2,2\n", "", "that vary"),
        ("a.csv", "y\n1\n2\n", "", "at least 2 columns"),
        ("a.txt", "", "", "a .csv or .npz file"),
        ("a.npz", "no archive", "", "npz file of numbers"),
    ],
)
def test_bad_files_are_named(tmp_path, name, content, target, message):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        pu.data.load(str(path), target=target)


def test_unknown_names_missing_files_and_pickles_are_refused(tmp_path):
    with pytest.raises(ValueError, match="teacher, diabetes, digits"):
        pu.data.load("mnist")
    with pytest.raises(ValueError, match="existing file"):
        pu.data.load("nowhere.csv")
    np.savez(tmp_path / "p.npz", x=np.array([[object()]]), y=np.ones(1))
    with pytest.raises(ValueError, match="npz file of numbers"):
        pu.data.load(str(tmp_path / "p.npz"))


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
        ({"data": "a.csv", "target": "x"}, "target must be one of a, b, y, got 'x'"),
        ({"data": "a.csv", "inputs": ["c"]}, "inputs must be one of a, b, y, got 'c'"),
        ({"data": "a.csv", "compare": "b.csv"}, "compare: data must be an existing file"),
        ({"data": "a.csv", "compare": "diabetic"}, "did you mean diabetes"),
        ({"data": "a.csv", "compare": "digits", "compare_target": "y"}, "compare is 'digits'"),
        ({"data": "a.csv", "compare_target": "y"}, "compare is 'none'"),
        ({"data": "teacher", "compare": "a.csv", "compare_target": "w"}, "compare: target must"),
    ],
)
def test_a_check_refuses_what_loading_refuses(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, "a.csv")
    for refuse in (pu.data.check, pu.data.pair):
        with pytest.raises(ValueError, match=message):
            refuse(**given)
