"""Write the reference notebooks that nbval compares with: every chapter, run at the tier `smoke`.

    python tests/references.py [CHAPTER ...]

A reference is the chapter's cells with its smoke parameters injected, so that it runs by itself. It
keeps the text outputs of the cells tagged `nbval-check-output` and nothing else.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import papermill
from nbformat import NotebookNode

from phase_utils import chapters
from phase_utils.chapters import execution, vocabulary

FOLDER = Path(__file__).parent / "reference"
CHECKED = "nbval-check-output"
# Text that differs from one run or machine to the next.
UNSTABLE = re.compile(r" at 0x[0-9a-f]+|(?<![\w.~/<:])/(?:[\w.@+-]+/)+[\w.@+-]+")


def tags(cell: NotebookNode) -> list[str]:
    """Return the tags of a cell."""
    return list(cell.metadata.get("tags", []))


def text_of(cell: NotebookNode) -> str:
    """Return all text that the outputs of a cell show."""
    parts = [o.get("text", o.get("data", {}).get("text/plain", "")) for o in cell.outputs]
    return "".join(parts)


def text_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """Return the outputs of an executed cell reduced to what is compared: stdout and text/plain."""
    kept = []
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stdout":
            kept.append(nbformat.v4.new_output("stream", name="stdout", text=output.text))
        elif "text/plain" in output.get("data", {}):
            data = {"text/plain": output.data["text/plain"]}
            count = {"execution_count": output.get("execution_count")}
            extra = count if output.output_type == "execute_result" else {}
            kept.append(nbformat.v4.new_output(output.output_type, data=data, **extra))
    return kept


def cells(chapter: chapters.Chapter) -> list[tuple[str, str, list[str]]]:
    """Return type, source and tags of the cells that the reference of a chapter must have."""
    nb = papermill.execute_notebook(
        chapter.notebook(),
        None,
        parameters=chapter.values(tier="smoke"),
        kernel_name="python3",
        language="python",
        prepare_only=True,
        progress_bar=False,
    )
    return [(cell.cell_type, cell.source, tags(cell)) for cell in nb.cells]


def reference(name: str, folder: Path | None = None) -> NotebookNode:
    """Run a chapter at the tier `smoke` and return its reference.

    Raises:
        ValueError: a cell failed, a claim failed, or a checked text differs from run to run.
    """
    chapter = chapters.find(name, folder)
    executed, error = execution.execute(chapter.notebook(), chapter.values(tier="smoke"))
    if error:
        raise ValueError(f"{name}: a cell failed\n{error}")
    failing = vocabulary.failing(execution.claims(executed))
    if failing:
        raise ValueError(f"{name}: claims failed: {failing}")
    nb = nbformat.v4.new_notebook()
    nb.metadata["kernelspec"] = chapter.notebook().metadata["kernelspec"]
    for number, cell in enumerate(executed.cells):
        if cell.cell_type == "code":
            new = nbformat.v4.new_code_cell(cell.source, execution_count=cell.execution_count)
            new.outputs = text_outputs(cell) if CHECKED in tags(cell) else []
            unstable = UNSTABLE.search(text_of(new))
            if unstable:
                raise ValueError(f"{name}: text that differs between runs: {unstable[0]!r}")
        else:
            new = nbformat.v4.new_markdown_cell(cell.source)
        new["id"] = f"cell-{number:03d}"
        if tags(cell):
            new.metadata["tags"] = tags(cell)
        nb.cells.append(new)
    return nb


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the references of the chapters named, or of all, and remove those without a chapter."""
    parser = argparse.ArgumentParser(description="Write the reference notebooks for nbval.")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="default: all")
    wanted = parser.parse_args(arguments).chapters
    FOLDER.mkdir(exist_ok=True)
    known = chapters.names()
    for name in [chapters.find(w).name for w in wanted] or known:
        print(name, flush=True)
        execution.write_notebook(FOLDER / f"{name}.ipynb", reference(name))
    for path in FOLDER.glob("*.ipynb"):
        if path.stem not in known:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
