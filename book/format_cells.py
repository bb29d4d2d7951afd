"""Format the code of chapters and leave their words and the headers of cells as they stand.

    python book/format_cells.py notebooks/NN_name.md ...

Cells are 80 columns wide, which is what a page holds.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import jupytext
import nbformat

CELL = re.compile(
    r"(^```\{code-cell\}[^\n]*\n(?:---\n.*?^---\n|(?:^:[^\n]*\n)*\n?))(.*?)(^```$)", re.M | re.S
)


def formatted(chapter: nbformat.NotebookNode) -> list[str]:
    """Return the code of each cell in the project's style."""
    words = ["ruff", "format", "--line-length", "80", "--stdin-filename", "cells.ipynb", "-"]
    text = nbformat.writes(chapter)
    done = subprocess.run(words, input=text, stdout=subprocess.PIPE, text=True, check=True)
    new = nbformat.reads(done.stdout, as_version=4)
    return [cell.source for cell in new.cells if cell.cell_type == "code"]


def changed(cells: Iterator[str], found: re.Match[str]) -> str:
    """Return a block with the next of the cells as its code."""
    return f"{found[1]}{next(cells)}\n{found[3]}"


def main() -> None:
    """Rewrite the chapters named."""
    for path in map(Path, sys.argv[1:]):
        text = path.read_text(encoding="utf-8")
        cells = iter(formatted(jupytext.reads(text, fmt="md:myst")))
        new = CELL.sub(partial(changed, cells), text)
        if next(cells, None) is not None:
            raise SystemExit(f"{path} has cells that stand in no block of their own")
        if new != text:
            path.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
