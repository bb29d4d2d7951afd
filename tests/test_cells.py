"""Cells of chapters: a figure is one SVG, and formatting changes code alone."""

import subprocess
import sys
from pathlib import Path

import jupytext
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from phase_utils.chapters import execution

ROOT = Path(__file__).resolve().parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.md"))
LINES = 15  # of a visible cell
FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell", "parameters"}
COUNT = """
import phase_utils as pu
from matplotlib.backends.backend_agg import FigureCanvasAgg

pu.plotting.use_style()
draws, draw = [], FigureCanvasAgg.draw
FigureCanvasAgg.draw = lambda canvas: (draws.append(canvas), draw(canvas))
"""


def test_a_figure_is_one_svg_and_one_png_and_never_drawn_for_a_screen():
    # two draws for the PNG, none without it
    cells = (COUNT, "_ = pu.plotting.panels(2)", "assert len(draws) == 2")
    executed, error = execution.execute(new_notebook(cells=[new_code_cell(c) for c in cells]), {})
    assert not error
    (output,) = executed.cells[1].outputs
    assert set(output.data) == {"image/svg+xml", "image/png", "text/plain"}


def test_a_chapter_is_formatted_in_its_code_alone(tmp_path):
    text = (ROOT / "notebooks" / "03_depth_zero.md").read_text()
    spoiled = text.replace("\nledger = pu.", "\nledger=pu.", 1)
    assert spoiled != text
    copy = tmp_path / "03_depth_zero.md"
    copy.write_text(spoiled)
    subprocess.run([sys.executable, ROOT / "book" / "format_cells.py", copy], check=True)
    assert copy.read_text() == text


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_cell_that_is_shown_is_short(path):
    cells = [cell for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    shown = [cell.source for cell in cells if not FOLDED & set(cell.metadata.get("tags", []))]
    long = [code for code in shown if len(code.splitlines()) > LINES]
    assert not long, "\n\n".join(long)
