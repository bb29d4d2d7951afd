"""`{benchmark} NAME`: the tables of benchmarks/results/NAME.json and the machine they are from."""

import json
from pathlib import Path
from typing import Any

from claim_pages import Generated
from docutils import nodes
from sphinx.application import Sphinx


class Benchmark(Generated):
    """The stored results of one benchmark, as a section."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the section."""
        name = self.arguments[0]
        path = Path(self.env.srcdir) / "benchmarks" / "results" / f"{name}.json"
        self.env.note_dependency(str(path))
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        section = nodes.section(ids=[nodes.make_id(f"benchmark-{name}")])
        section += nodes.title(text=record["title"])
        section += self.markdown(record["what"])
        for table in record["tables"]:
            section += self.paragraph(f"**{table['caption']}**")
            rows = [[[nodes.paragraph(text=cell)] for cell in row] for row in table["rows"]]
            section += self.table(table["columns"], rows, "benchmark")
        for figure in record.get("figures", []):
            source = f"/benchmarks/results/{figure['file']}"
            block = nodes.figure("", nodes.image(uri=source, alt=figure["alt"]))
            block += nodes.caption(text=figure["caption"])
            section += block
        versions = ", ".join(f"{package} {v}" for package, v in record["versions"].items())
        machine = record["processor"]
        if "cores" in record:
            machine += f", {record['cores']} cores, threads: {record['threads']}"
        load = ""
        if "load before" in record:
            before, after = record["load before"], record["load after"]
            load = f"; load of the machine {before:.1f} before and {after:.1f} after"
        section += self.paragraph(
            f"Measured on {record['date']} by `benchmarks/{name}.py`: {machine}; {versions}{load}.",
            "claim-note",
        )
        return [section]


def setup(app: Sphinx) -> None:
    """Add the directive."""
    app.add_directive("benchmark", Benchmark)
