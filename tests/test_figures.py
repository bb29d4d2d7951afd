"""What a notebook makes of a figure: one SVG, drawn as often as that needs."""

from nbformat.v4 import new_code_cell, new_notebook

from phase_utils.chapters import execution

COUNT = """
import phase_utils as pu
from matplotlib.backends.backend_agg import FigureCanvasAgg

pu.plotting.use_style()
draws, draw = [], FigureCanvasAgg.draw
FigureCanvasAgg.draw = lambda canvas: (draws.append(canvas), draw(canvas))
"""


def test_a_figure_is_one_svg_and_never_drawn_for_a_screen():
    cells = (COUNT, "_ = pu.plotting.panels(2)", "assert not draws")
    executed, error = execution.execute(new_notebook(cells=[new_code_cell(c) for c in cells]), {})
    assert not error
    (output,) = executed.cells[1].outputs
    assert set(output.data) == {"image/svg+xml", "text/plain"}
