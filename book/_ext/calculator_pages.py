"""`{calculator}`: the calculator, and the answer for an example until a file is there."""

from claim_pages import Generated
from docutils import nodes
from sphinx.application import Sphinx

from phase_utils.chapters import data
from phase_utils.chapters.live import calculator


class Calculator(Generated):
    """The form and its script; without scripts and in print, its content above a table."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the element that the script fills, with what stands in it before."""
        heads, *rows = calculator.summary(data.load("diabetes").moments)
        before = nodes.container(classes=["pu-live-static"])
        before += self.markdown("\n".join(self.content))
        cells = [[[nodes.paragraph(text=cell)] for cell in row] for row in rows]
        before += self.table(list(heads), cells, "benchmark")
        opening = nodes.raw("", calculator.opening(), format="html")
        return [opening, before, nodes.raw("", calculator.closing(), format="html")]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("calculator", Calculator)
