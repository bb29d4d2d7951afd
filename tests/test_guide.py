"""What a reader can rely on: exercises with solutions, described figures, and every public name."""

import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

import phase_utils as pu
from phase_utils import chapters
from phase_utils.chapters.myst import Block, blocks

ROOT = Path(__file__).resolve().parents[1]
PROSE = sorted([*ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.md")])
# the paper line by line asks nothing of its reader
STORIES = [name for name in chapters.names() if "line_by_line" not in name]
FIGURES = ("{figure}", "{image}", "{glue:figure}", "{glue}")


def parts(lines: tuple[str, ...] | list[str]) -> list[Block]:
    """Every block of some Markdown, those inside other blocks too."""
    found = list(blocks(lines))
    inside = (parts(block.lines) for block in found if block.kind.startswith("{"))
    return found + [block for group in inside for block in group]


@pytest.mark.parametrize("name", STORIES)
def test_every_exercise_has_a_solution_and_one_is_numerical(name):
    found = parts((chapters.default_folder() / f"{name}.md").read_text().splitlines())
    exercises = {b.options["label"] for b in found if b.kind == "{exercise}"}
    solutions = {b.argument: b for b in found if b.kind == "{solution}"}
    assert exercises
    assert solutions.keys() == exercises
    assert {b.options.get("class") for b in solutions.values()} == {"dropdown"}
    for label, solution in solutions.items():
        assert any(line.strip() for line in solution.lines), label
        assert not any(line.startswith("## ") for line in solution.lines), f"{label} has no end"
    inner = [b for solution in solutions.values() for b in parts(solution.lines)]
    assert any(b.kind in ("code", "{code-cell}") for b in inner)


def test_the_map_has_every_chapter_once():
    text = (ROOT / "book" / "introduction.md").read_text()
    (tree,) = (b for b in blocks(text.splitlines()) if b.kind == "{div}")
    assert sorted(re.findall(r"- \{doc\}`/notebooks/(\w+)`", "\n".join(tree.lines))) == STORIES


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.stem)
def test_every_figure_is_described(path):
    text = path.read_text()
    for block in parts(text.splitlines()):
        if block.kind in FIGURES[:3]:
            assert len(block.options.get("alt", "").split()) > 3, block
    # figures that a cell draws: their options stand in the cell's header
    headers = re.findall(r"^```\{code-cell\}.*?\n---\n(.*?)\n---$", text, re.M | re.S)
    for header in headers:
        if "figure:" in header:
            assert re.search(r"^ +alt: *\S+", header, re.M), header
    assert re.findall(r"!\[\]\(", text) == []


def test_every_public_name_is_described_once():
    text = (ROOT / "book" / "api.md").read_text()
    named = Counter(
        re.findall(r"^\.\. auto(?:class|exception|function):: (?:phase_utils\.)?(\S+)$", text, re.M)
    )
    expected = set(pu.__all__)
    for name in set(pu._MODULES) - {"chapters"}:
        module = getattr(pu, name)
        expected |= {
            f"{name}.{member}"
            for member, thing in vars(module).items()
            if (inspect.isclass(thing) or inspect.isfunction(thing))
            and (thing.__module__ == module.__name__ or member in getattr(module, "__all__", ()))
            and not member.startswith("_")
        }
    shown = {n for n in chapters._HOMES if callable(getattr(chapters, n))}
    expected |= {f"chapters.{name}" for name in shown}
    assert set(named) == expected
    assert set(named.values()) == {1}


def test_bars_of_docstrings_are_bars_and_what_numpydoc_marks_stays_marked(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from api_pages import bars

    lines = ["**gamma** : float", "of |w|^2, see `|x|`", ">>> a | b"]
    bars(None, "", "", None, None, lines)
    assert lines == ["**gamma** : float", r"of \|w\|^2, see `|x|`", ">>> a | b"]
