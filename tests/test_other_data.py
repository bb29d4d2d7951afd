"""Every chapter on other data than its own: it runs through, and no claim fails.

Claims whose hypotheses the data leave must say so instead. `make test` runs each chapter once, on
tables that stand at four corners, in turn: on two of them where it compares two, else on one. Every
chapter runs on every kind of table on schedule.
"""

import ast

import in_process
import numpy as np
import pytest
import tables
from in_turn import in_turn
from matplotlib.text import Text

import phase_utils as pu
from phase_utils import chapters

LONG = pytest.mark.scheduled
FORMULA = r"$\no$"  # in the name of a file, which Matplotlib would take for a formula, and refuse
NAMES = chapters.names()
PARAMETERS = {name: {p.name: p for p in chapters.find(name).parameters} for name in NAMES}
PAIRS = [name for name in NAMES if "compare_target" in PARAMETERS[name]]
FOUR = ("one", "spread", "silent", "tiny")
TWO = (("one", "spread"), ("silent", "tiny"))
ALONE = [name for name in NAMES if name not in PAIRS]
BUILT_IN = {
    name: [c for c in ("diabetes", "digits") if c in PARAMETERS[name]["data"].choices]
    for name in NAMES
}
LISTS = [(name, p) for name in NAMES for p in PARAMETERS[name].values() if p.many]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def failing(chapter, monkeypatch, **parameters):
    """The claims that fail with the tables that the parameters name, and names read as formulas."""
    for role, label in (("data", "target"), ("compare", "compare_target")):
        if parameters.get(role) in tables.KINDS:
            kind = parameters[role]
            parameters[role] = tables.write(rf"{kind} {FORMULA}.csv", kind)
            parameters[label] = "y"
    if "compare" in PARAMETERS[chapter]:
        parameters.setdefault("compare", "none")
    drawn = written(monkeypatch)
    results = in_process.run(in_process.source(chapter, **parameters), monkeypatch)
    assert results
    failed = [result["text"] for result in results if result["state"] == "fail"]
    return failed + [text for text in drawn if FORMULA in text]


def written(monkeypatch):
    """The texts of all figures drawn from now on."""
    texts, set_text = [], Text.set_text
    monkeypatch.setattr(Text, "set_text", lambda self, s: texts.append(str(s)) or set_text(self, s))
    return texts


@pytest.mark.parametrize(
    ("chapter", "data", "compare"),
    in_turn([(c, *TWO[(i + k) % 2]) for i, c in enumerate(PAIRS) for k in (0, 1)], every=2),
)
def test_chapter_on_two_tables(chapter, data, compare, monkeypatch):
    assert failing(chapter, monkeypatch, data=data, compare=compare, seed=1) == []


@pytest.mark.parametrize(("chapter", "data"), [(c, FOUR[i % 4]) for i, c in enumerate(ALONE)])
def test_chapter_on_a_table(chapter, data, monkeypatch):
    assert failing(chapter, monkeypatch, data=data) == []


@pytest.mark.scheduled
@pytest.mark.parametrize("data", tables.KINDS)
@pytest.mark.parametrize("chapter", NAMES)
def test_chapter_on_every_kind_of_table(chapter, data, monkeypatch):
    assert failing(chapter, monkeypatch, data=data) == []


@pytest.mark.scheduled
@pytest.mark.parametrize(("chapter", "data"), [(n, d) for n in NAMES for d in BUILT_IN[n]])
def test_chapter_on_built_in_data(chapter, data, monkeypatch):
    assert failing(chapter, monkeypatch, data=data) == []


@pytest.mark.scheduled
@pytest.mark.parametrize(
    ("chapter", "name", "element"),
    [(chapter, p.name, one) for chapter, p in LISTS for one in p.default or p.choices],
)
def test_chapter_with_lists_of_one_element(chapter, name, element, monkeypatch):
    parameter = PARAMETERS[chapter][name]
    if parameter.length[0] > 1:
        with pytest.raises(chapters.ChapterError, match=f"{name} must have"):
            chapters.find(chapter).values({name: [element]})
    else:
        assert failing(chapter, monkeypatch, **{name: (element,)}) == []


@pytest.mark.parametrize(("chapter", "name"), [(chapter, p.name) for chapter, p in LISTS])
def test_an_empty_list_is_refused_before_a_run_or_means_something(chapter, name):
    found, parameter = chapters.find(chapter), PARAMETERS[chapter][name]
    if parameter.length[0] > 0:
        with pytest.raises(chapters.ChapterError, match=f"{name} must have"):
            found.values({name: []})
    else:
        # then the run at the tier smoke has it so, or the chapter as it is
        assert [] in (found.values(tier="smoke").get(name), parameter.default)


# A user's file that is called like built-in data


def loaded(chapter, monkeypatch, **parameters):
    """The data of a chapter by name: its code is run up to where they are loaded."""
    tree = ast.parse(in_process.source(chapter, **parameters))
    (end,) = (i for i, line in enumerate(tree.body) if "data.pair(" in ast.unparse(line))
    tree.body = [*tree.body[: end + 1], *ast.parse("seen.update(loaded)").body]
    seen = {}
    in_process.run(tree, monkeypatch, seen=seen)
    return seen


@pytest.mark.parametrize("chapter", PAIRS)
def test_a_file_called_diabetes_is_not_the_built_in_data(chapter, monkeypatch):
    tables.write("diabetes.csv", "measurements")
    seen = loaded(chapter, monkeypatch, data="diabetes.csv", target="y", compare="diabetes")
    own = pu.data.load("diabetes.csv", target="y").moments
    theirs = pu.data.load("diabetes").moments
    assert list(seen) == ["diabetes.csv", "diabetes"]
    np.testing.assert_array_equal(seen["diabetes.csv"].moments.Exy, own.Exy)
    np.testing.assert_array_equal(seen["diabetes"].moments.Exy, theirs.Exy)


def last_transition(land):
    return f"{land.transitions()[-1].gamma / land.moments.signal:.4f}"


def last_spinodal(land):
    learnable = land.moments.Eyy - land.moments.residual_variance
    return f"{land.spinodals()[-1].gamma / learnable:.4f}"


@pytest.mark.parametrize(
    ("chapter", "glued", "depth", "shown"),
    [
        pytest.param("depth_two_and_more", "c06_gamma", 2, last_transition, marks=LONG),
        pytest.param("cascades", "c07_yours", 2, last_transition, marks=LONG),
        ("infinite_depth", "c08_quarter", np.inf, last_spinodal),
    ],
)
def test_the_page_shows_what_the_users_file_gives(chapter, glued, depth, shown, monkeypatch):
    tables.write("diabetes.csv", "measurements")
    parameters = {"data": "diabetes.csv", "target": "y", "compare": "diabetes"}
    tree = ast.parse(in_process.source(chapter, **parameters))
    (end,) = (i for i, line in enumerate(tree.body) if f"glue('{glued}'" in ast.unparse(line))
    tree.body = tree.body[: end + 1]
    values = {}
    in_process.run(tree, monkeypatch, on_glue=values.__setitem__)
    own, theirs = (
        shown(pu.Landscape(pu.data.load(name, target=target).moments, depth))
        for name, target in (("diabetes.csv", "y"), ("diabetes", ""))
    )
    assert own != theirs
    found = values[glued]
    if isinstance(found, float):
        found = f"{found:.{len(own.partition('.')[2])}f}"
    assert found.partition(";")[0].count(own) == 1  # what follows is about the other data
    assert values[f"{glued[:3]}_data"].startswith("diabetes.csv, 120 samples of 4 inputs")


def test_a_visible_cell_prints_what_the_users_file_gives(monkeypatch, capsys):
    tables.write("diabetes.csv", "measurements")
    parameters = {"data": "diabetes.csv", "target": "y"}
    tree = ast.parse(in_process.source("initialization_and_escape", **parameters))
    (end,) = (i for i, line in enumerate(tree.body) if "print(f'minimum" in ast.unparse(line))
    tree.body = tree.body[: end + 1]
    in_process.run(tree, monkeypatch)
    shown = capsys.readouterr().out
    for name, target in (("diabetes.csv", "y"), ("diabetes", "")):
        land = pu.Landscape(pu.data.load(name, target=target).moments, 2)
        passage = pu.learning_basin(land, land.transitions()[0].gamma).passage
        assert (f"pass {passage:.5f}\n" in shown) == (name == "diabetes.csv")
