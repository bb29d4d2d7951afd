"""`{live} NAME`: a live figure of `pu.widgets` in a page that no kernel executes."""

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from phase_utils.chapters import widgets
from phase_utils.chapters.live.scripts import LIVE

FIGURES = {name: getattr(widgets, name) for name in LIVE}


class Live(SphinxDirective):
    """The live figure with its default start; in LaTeX the static one."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the page's form of the figure, and the image for LaTeX."""
        name = self.arguments[0]
        if name not in FIGURES:
            raise self.error(f"live figure must be one of {', '.join(FIGURES)}, got {name!r}")
        figure = FIGURES[name]()
        source = Path(self.env.srcdir)
        image = Path(self.env.mystnb_config.output_folder) / "live" / f"{name}.pdf"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.write_bytes(figure.static("pdf"))
        printed = addnodes.only(expr="latex")
        uri = f"/{image.relative_to(source).as_posix()}"
        printed += nodes.image(uri=uri, alt=figure.description)
        return [nodes.raw("", figure._repr_html_(), format="html"), printed]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("live", Live)
