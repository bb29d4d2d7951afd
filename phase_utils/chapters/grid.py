"""A chapter run over a product grid of its parameters, resumable, with one index page.

`grid_cells` says where a cell is kept and when it is not run again. One grid at a time works in a
folder.
"""

import ast
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from phase_utils._check import bar, instance, shown
from phase_utils._files import NotWritten, write_atomic
from phase_utils.chapters import (
    grid_axes,
    grid_cells,
    grid_page,
    grid_work,
    library,
    results,
    running,
)
from phase_utils.chapters.chapter import Chapter, checked_parameters
from phase_utils.chapters.errors import ChapterError, Interrupted
from phase_utils.chapters.execution import TIMEOUT
from phase_utils.chapters.parameters import Parameter, check_names
from phase_utils.chapters.vocabulary import failing
from phase_utils.sweeps.workers import checked_client

LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class Cell:
    """One run of the grid.

    Attributes
    ----------
    key : str
        Names its folder.
    values : dict
        All parameters of it.
    """

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """How a cell ended.

    Attributes
    ----------
    cell : Cell
        Which.
    claims : tuple of dict
        What was claimed in it.
    error : str
        The lines of its error, empty if there was none.
    ran : bool
        False where it was done before.
    """

    cell: Cell
    claims: tuple[Mapping[str, Any], ...] = ()
    error: str = ""
    ran: bool = True  # False where it was done before

    @property
    def failing(self) -> tuple[str, ...]:
        """The ids of the claims that failed, in order, each once."""
        return failing(self.claims)


def axis(parameter: Parameter, text: str) -> list[Any]:
    """The checked values of an axis; nothing is ever evaluated.

    Parameters
    ----------
    parameter : Parameter
        The declared parameter that varies.
    text : str
        `start:stop:count`, evenly spaced, or a list of literals.

    Returns
    -------
    list
        Values in the declared type.

    Raises
    ------
    ValueError
        For another form, a value that the parameter does not allow, and one that repeats.

    Examples
    --------
    >>> import phase_utils as pu
    >>> seed = next(p for p in pu.chapters.find("depth_zero").parameters if p.name == "seed")
    >>> pu.grid.axis(seed, "0:4:3"), pu.grid.axis(seed, "[7, 1]")
    ([0, 2, 4], [7, 1])
    """
    instance("parameter", parameter, Parameter, "a Parameter of a chapter")
    if not isinstance(text, str) or len(text) > LONGEST_TEXT:
        raise ValueError(
            f"text must be start:stop:count or [value, ...], at most {LONGEST_TEXT} characters, "
            f"got {shown(text)}"
        )
    rule = f"text of {parameter.name} must be start:stop:count or [value, ...], got {shown(text)}"
    if text.strip().startswith("["):
        try:
            values = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            raise ValueError(rule) from None
    else:
        values = grid_axes.spaced(parameter, text, rule)
    checked = [parameter.check(value) for value in values]
    if not checked:
        raise ValueError(f"{parameter.name} must have one value or more, got none")
    for i, value in enumerate(checked):
        if value in checked[:i]:
            raise ValueError(f"{parameter.name} must not repeat values, got {value!r} twice")
    return checked


def plan(
    chapter: Chapter,
    axes: Mapping[str, Sequence[Any]],
    parameters: Mapping[str, Any] | None = None,
    tier: str | None = None,
) -> list[Cell]:
    """The cells of the product of `axes`, the last one fastest, all checked, and their data.

    Parameters
    ----------
    chapter : Chapter
        As `chapters.find` returns it.
    axes : dict of str to sequence
        The values of each parameter that varies.
    parameters : dict, optional
        Values of parameters that do not.
    tier : {"smoke", "book", "paper"}, optional
        Size of the runs; default that of the chapter.

    Returns
    -------
    list of Cell
        In order.

    Raises
    ------
    ChapterError
        For a name or value that the chapter does not allow, or that is given twice.

    Examples
    --------
    >>> import phase_utils as pu
    >>> cells = pu.grid.plan(pu.chapters.find("depth_zero"), {"seed": [0, 1]}, tier="smoke")
    >>> [cell.values["seed"] for cell in cells]
    [0, 1]
    """
    given = checked_parameters(parameters)
    instance("chapter", chapter, Chapter, "a Chapter, as chapters.find returns it")
    axes = grid_axes.several(axes)
    try:
        check_names(axes, chapter.parameters)
    except ValueError as error:
        raise ChapterError(f"{chapter.name}: {error}") from None
    for name in axes:
        if name in given:
            raise ChapterError(f"{name} is given both as a parameter and as an axis of the grid")
    cells = []
    for chosen in product(*axes.values()):
        values = chapter.values({**given, **dict(zip(axes, chosen, strict=True))}, tier)
        cells.append(Cell(grid_cells.key(chapter, values), values))
    chapter.check_data(*(cell.values for cell in cells))
    return cells


def run(
    name: str,
    axes: Mapping[str, Sequence[Any]],
    parameters: Mapping[str, Any] | None = None,
    *,
    tier: str | None = None,
    out: str | Path = "runs/grid",
    folder: str | Path | None = None,
    client: Any = None,
    timeout: int = TIMEOUT,
    progress: bool | None = None,
) -> list[Outcome]:
    """Run a chapter at every point of a grid, and leave `out`/index.html and a folder per cell.

    Parameters
    ----------
    name : str
        The chapter, with or without its number.
    axes : dict of str to sequence
        The values of each parameter that varies.
    parameters : dict, optional
        Values of parameters that do not; they and the axes win over the tier's.
    tier : {"smoke", "book", "paper"}, optional
        Size of the runs; default that of the chapter.
    out : str or Path
        Folder of the results, created where missing; `~` is the home directory. Cells that are done
        are not run again.
    folder : Path, optional
        Folder of the chapters; default the book's own.
    client : distributed.Client, optional
        Its workers need this package and the data files; the results are written here.
    timeout : int
        Seconds that one cell may take, 1 to 10^7; default six hours. One that takes longer fails.
    progress : bool, optional
        Whether to show a progress bar; default: where stderr is a terminal.

    Returns
    -------
    list of Outcome
        Of all cells in order; a cell that fails takes no other down.

    Raises
    ------
    ChapterError
        Anything that was asked for is unknown or not allowed; nothing has run then.
    Busy
        Another grid is at work in the folder; nothing has run then.
    NotWritten
        The disk is full, for instance; an OSError that names the file.
    Interrupted
        Stopped from the keyboard; the cells that are done are kept.
    """
    chapter, progress = library.find(name, folder), bar("progress", progress)
    cells = plan(chapter, axes, parameters, tier)
    client, timeout = checked_client(client), running.checked_timeout(timeout)
    running.check_export()
    with results.reserved(out, "grid", chapter.name) as place:
        for left in (*place.glob(".index.html.*"), *place.glob("*/.*")):
            left.unlink()  # of a grid that was killed
        outcomes = {}
        for cell in cells:
            if (claims := grid_cells.done(place / cell.key, chapter.files)) is not None:
                outcomes[cell.key] = Outcome(cell, claims, ran=False)
        own = chapter.path.parent if folder is not None else None
        work = (chapter.name, own, grid_cells.version(chapter), timeout)
        page = partial(_write_page, place, chapter, list(axes), cells, outcomes)
        page()
        try:
            todo = {cell.key: cell for cell in cells if cell.key not in outcomes}
            asked = [(key, cell.values) for key, cell in todo.items()]
            with closing(grid_work.ran(work, asked, len(cells), client, progress)) as ran:
                for key, (files, claims, error) in ran:
                    cell = todo[key]
                    record = {"chapter": chapter.name, "parameters": cell.values, "claims": claims}
                    grid_cells.keep(place / key, files, None if error else record)
                    outcomes[key] = Outcome(cell, claims, error)
                    page()
        except (KeyboardInterrupt, NotWritten) as stopped:
            count = sum(not outcome.error for outcome in outcomes.values())
            kept = f"{count} of {len(cells)} done, run again to resume"
            if isinstance(stopped, KeyboardInterrupt):
                raise Interrupted(kept) from None
            stopped.add_note(kept)
            raise
    return [outcomes[cell.key] for cell in cells]


def _write_page(
    out: Path, chapter: Chapter, names: list[str], cells: list[Cell], ended: Mapping[str, Outcome]
) -> None:
    rows = [
        grid_page.Row(
            [cell.values[name] for name in names],
            f"{cell.key}/{chapter.name}"
            if all((out / cell.key / file).is_file() for file in chapter.files)
            else "",
            ended[cell.key].claims if cell.key in ended else (),
            ended[cell.key].error if cell.key in ended else "",
            cell.key in ended,
        )
        for cell in cells
    ]
    write_atomic(out / "index.html", grid_page.page(chapter.title, names, rows))
