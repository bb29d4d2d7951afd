"""A chapter run with other parameters: all of it is checked before its first cell executes."""

import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils._check import flag, integer
from phase_utils._files import recover, write_together
from phase_utils.chapters import execution, export, library, parameter_table, results
from phase_utils.chapters.chapter import Chapter
from phase_utils.chapters.errors import ChapterError, Interrupted
from phase_utils.chapters.vocabulary import BOOK, failing


@dataclass(frozen=True)
class Executed:
    """An executed chapter.

    Attributes
    ----------
    files : tuple of str
        Contents of the notebook and of the page.
    claims : tuple of dict
        What was claimed in it.
    error : str
        The last lines of the traceback, empty if nothing failed.
    traceback : str
        All of it.
    kept : dict
        What it kept, by name; nothing where it was not to be recorded.
    """

    files: tuple[str, str]
    claims: tuple[Mapping[str, Any], ...]
    error: str
    traceback: str
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What a run left.

    Attributes
    ----------
    notebook, html : Path
        Its two files.
    claims : tuple of dict
        What was claimed in it.
    error : str
        The last lines of its error, empty if there was none.
    record : Path or None
        The file of its record, where one was asked for and no cell or claim failed.
    """

    notebook: Path
    html: Path
    claims: tuple[Mapping[str, Any], ...]
    error: str
    record: Path | None = None

    @property
    def failing(self) -> tuple[str, ...]:
        """The ids of the claims that failed, in order, each once."""
        return failing(self.claims)


def run(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    tier: str | None = None,
    out: str | Path = "runs",
    folder: str | Path | None = None,
    timeout: int = execution.TIMEOUT,
    progress: bool = True,
    record: bool = False,
) -> Run:
    """Execute a chapter and leave `out`/NN_name.ipynb and `out`/NN_name.html.

    The kernel works in the current directory. Both files appear complete or not at all; after a
    failing cell they hold what ran before it. Nothing in them is an absolute path.

    Parameters
    ----------
    name : str
        The chapter: its number, its name, or both.
    parameters : dict, optional
        Values by name; they win over the tier's.
    tier : {"smoke", "book", "paper"}, optional
        Size of the run; default that of the chapter.
    out : str or Path
        Folder of the results, created where missing; `~` is the home directory.
    folder : Path, optional
        Folder of the chapters; default the book's own.
    timeout : int
        Seconds that one cell may take, 1 to 10^7; default six hours. One that takes longer fails.
    progress : bool
        Show a progress bar over the cells on stderr.
    record : bool
        Keep what the chapter keeps, its checks and its provenance beside the chapters, in
        `records/NN_name.json`, unless a cell or a claim fails.

    Returns
    -------
    Run
        The two files, the claims, and the error if a cell failed.

    Raises
    ------
    ChapterError
        Anything that was asked for is unknown or not allowed; nothing has run then.
    Busy
        Another process runs the chapter into the same folder; nothing has run then.
    NotWritten
        The disk is full, for instance; an OSError that names the file.
    Interrupted
        Stopped from the keyboard; the files are as they were before.
    """
    chapter = library.find(name, folder)
    values = chapter.values(parameters, tier)
    timeout, progress = checked_timeout(timeout), flag("progress", progress)
    if flag("record", record):
        from phase_utils.chapters import recording  # loads torch, which a refusal does not wait for

        recording.check_keeps(chapter)
    chapter.check_data(values)
    check_export()
    with ExitStack() as held:
        place = held.enter_context(results.reserved(out, chapter.name))
        if record:
            held.enter_context(results.reserved(recording.place(chapter.path).parent, chapter.name))
        paths = [place / file for file in chapter.files]
        for path in paths:
            if path.is_dir():
                raise ChapterError(f"out must have room for {path.name}, but {path} is a folder")
        recover(paths)
        try:
            begun = _clocks()
            done = execute(chapter, values, timeout=timeout, progress=progress, keeping=record)
            seconds = [now - then for now, then in zip(_clocks(), begun, strict=True)]
            write_together(dict(zip(paths, done.files, strict=True)))
            file = None
            if record and not done.error and not failing(done.claims):
                given = {k: v for k, v in (parameters or {}).items() if k != "tier"}
                size = str(values.get("tier", BOOK))
                file = recording.write(chapter, size, given, done.claims, done.kept, seconds)
        except KeyboardInterrupt:
            raise Interrupted(f"nothing of this run is kept, run {chapter.name} again") from None
    return Run(paths[0], paths[1], done.claims, done.error, file)


def execute(
    chapter: Chapter,
    values: Mapping[str, Any],
    *,
    timeout: int = execution.TIMEOUT,
    progress: bool = False,
    keeping: bool = False,
) -> Executed:
    """Execute a chapter with checked values, and write nothing.

    Parameters
    ----------
    chapter : Chapter
        As `find` returns it.
    values : dict
        As `Chapter.values` returns them.
    timeout : int
        Seconds that one cell may take.
    progress : bool
        Show a progress bar over the cells on stderr.
    keeping : bool
        Have `records.keep` keep what it is given.

    Returns
    -------
    Executed
        What it left.
    """
    nb, error = executed_notebook(
        chapter, values, timeout=timeout, progress=progress, keeping=keeping
    )
    shown = export.readable(nb)
    return Executed(
        files=(execution.written(export.untrusted(shown)), export.to_html(shown)),
        claims=tuple(execution.claims(nb)),
        error=error,
        traceback=error and traceback_of(nb, error),
        kept=execution.kept(nb),
    )


def executed_notebook(
    chapter: Chapter,
    values: Mapping[str, Any],
    *,
    timeout: int = execution.TIMEOUT,
    progress: bool = False,
    keeping: bool = False,
) -> tuple[NotebookNode, str]:
    """Return the executed chapter, which opens with its parameters, and its error.

    The arguments are those of `execute`. Its text is still that of the book's builder, MyST.

    Returns
    -------
    nb : NotebookNode
        With all that ran.
    error : str
        The last lines of its error, empty if there was none.
    """
    nb, error = execution.execute(
        chapter.notebook(),
        values,
        timeout=timeout,
        progress=chapter.name if progress else "",
        keeping=keeping,
    )
    return parameter_table.opened(nb, chapter.parameters, values), error


def traceback_of(nb: NotebookNode, error: str) -> str:
    """Return the whole traceback of an error; a kernel that died leaves none."""
    return execution.tracebacks(nb) or error


def _clocks() -> tuple[float, float]:
    """Seconds by the clock, and those of processors that ended kernels took."""
    spent = os.times()
    return time.perf_counter(), spent.children_user + spent.children_system


def checked_timeout(timeout: Any) -> int:
    """Return the seconds that a cell may take, or raise ChapterError."""
    try:
        return integer("timeout", timeout, minimum=1, maximum=10**7)
    except ValueError as error:
        raise ChapterError(str(error)) from None


def check_export() -> None:
    """Raise ChapterError where a page could not be made of a chapter that has run."""
    try:
        export.mathjax()
    except RuntimeError as error:
        raise ChapterError(str(error)) from None
