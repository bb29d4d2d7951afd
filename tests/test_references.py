"""The reference notebooks are in step with the chapters, and nbval has something to compare."""

import re
from pathlib import Path

import demo_chapter
import nbformat
import pytest
import references

from phase_utils import chapters

NAMES = chapters.names()
# A number that is not part of an id such as Eq-8.
NUMBER = re.compile(r"(?<![\w.-])-?\d+(\.\d+)?(e[+-]?\d+)?(?!\w)")


def committed(name: str) -> nbformat.NotebookNode:
    path = references.FOLDER / f"{name}.ipynb"
    assert path.is_file(), f"{name} has no reference: run `make references`"
    return nbformat.read(path, as_version=4)


def test_every_reference_has_a_chapter():
    assert {path.stem for path in references.FOLDER.glob("*.ipynb")} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_reference_is_in_step_with_its_chapter(name):
    found = [(c.cell_type, c.source, references.tags(c)) for c in committed(name).cells]
    wanted = references.cells(chapters.find(name))
    assert found == wanted, f"{name} has changed: run `make references`"


@pytest.mark.parametrize("name", NAMES)
def test_tagged_cells_have_something_to_compare(name):
    tagged = [c for c in committed(name).cells if references.CHECKED in references.tags(c)]
    for cell in tagged:
        # nbval passes a cell that was never run without a look at it.
        assert cell.execution_count is not None, cell.source
        assert cell.outputs, f"no text to compare with: {cell.source}"
    assert any(NUMBER.search(references.text_of(cell)) for cell in tagged)


@pytest.mark.parametrize("name", NAMES)
def test_reference_keeps_text_alone(name):
    for cell in committed(name).cells:
        for output in cell.get("outputs", []):
            assert set(output.get("data", {"text/plain": ""})) == {"text/plain"}
        text = references.text_of(cell) if cell.cell_type == "code" else ""
        assert not references.UNSTABLE.search(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return demo_chapter.write(tmp_path_factory.mktemp("notebooks"))


def test_reference_of_a_chapter(folder):
    nb = references.reference("demo", folder)
    found = [(c.cell_type, c.source, references.tags(c)) for c in nb.cells]
    assert found == references.cells(chapters.find("demo", folder))
    injected = next(c for c in nb.cells if "injected-parameters" in references.tags(c))
    assert 'tier = "smoke"' in injected.source
    texts = [references.text_of(c) for c in nb.cells if c.cell_type == "code" and c.outputs]
    assert texts == ["sum 0.500 of 2 at tier smoke, depths [0, 1]\n", "a line"]
    nbformat.validate(nb)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("print(object())", "differs between runs: ' at 0x"),
        ("raise ValueError('broken')", "a cell failed"),
        (
            "display({'application/vnd.phase-claims+json': {'id': 'Eq-9', 'state': 'fail'}}, "
            "raw=True)",
            "Eq-9",
        ),
    ],
)
def test_no_reference_of_a_chapter_that_is_wrong_or_unstable(tmp_path, line, message):
    cell = f"\n```{{code-cell}} ipython3\n:tags: [nbval-check-output]\n\n{line}\n```\n"
    demo_chapter.write(tmp_path, demo_chapter.SOURCE + cell)
    with pytest.raises(ValueError, match=message):
        references.reference("demo", tmp_path)


def test_number_is_not_an_id():
    assert NUMBER.search("gap 0.25") and NUMBER.search("-1e-12")
    assert not NUMBER.search("Eq-8 pass, B46 ok")
