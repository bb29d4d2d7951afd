"""The book on other data: every chapter executed with them, and one site built of all.

A folder holds one edition. What is on its way lies in its `.edition`: the question, a folder for
each chapter as a grid has for each cell, and the pages while they are built. One process at a time
works in a folder.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phase_utils._check import bar
from phase_utils._files import NotWritten, local_path, recover, write_atomic
from phase_utils.chapters import (
    edition_site,
    edition_work,
    grid_cells,
    library,
    results,
    running,
)
from phase_utils.chapters.chapter import Chapter
from phase_utils.chapters.edition_site import HIDDEN
from phase_utils.chapters.edition_work import Finished, Part
from phase_utils.chapters.errors import ChapterError, Interrupted
from phase_utils.chapters.execution import TIMEOUT
from phase_utils.chapters.parameters import suggestion
from phase_utils.chapters.vocabulary import BOOK
from phase_utils.sweeps.workers import checked_client

QUESTION = "edition.json"
MOST_JOBS = 1000


@dataclass(frozen=True)
class Edition:
    """What an edition left.

    Attributes
    ----------
    page : Path
        The first page of its site.
    chapters : dict of str to Finished
        How each chapter ended.
    ran : tuple of str
        Those that were not done before.
    warnings : tuple of str
        What the builder of the pages complained of.
    """

    page: Path
    chapters: Mapping[str, Finished]
    ran: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def run(
    given: Mapping[str, str],
    *,
    chapters: Sequence[str] = (),
    tier: str | None = None,
    out: str | Path = "my-book",
    folder: str | Path | None = None,
    client: Any = None,
    jobs: int = 1,
    timeout: int = TIMEOUT,
    progress: bool | None = None,
) -> Edition:
    """Execute the chapters with what is given, and build their site into the folder `out`.

    Parameters
    ----------
    given : dict of str to str
        Literals by name, `data` among them; each is for the chapters that have a parameter of this
        name.
    chapters : sequence of str
        Numbers or names; none means all.
    tier : {"smoke", "book", "paper"}, optional
        Size of the runs; default that of the book.
    out : str or Path
        Folder of the edition, created where missing. It is empty, or holds an edition that was
        asked for in the same words; chapters that are done are not executed again.
    folder : Path, optional
        Folder of the chapters, beside the sources of their book; default the book's own.
    client : distributed.Client, optional
        Its workers need this package and the data file.
    jobs : int
        Chapters that are executed side by side in processes of this machine.
    timeout : int
        Seconds that one cell may take.
    progress : bool, optional
        Whether to show a progress bar; default: where stderr is a terminal.

    Returns
    -------
    Edition
        The first page, and how each chapter ended.

    Raises
    ------
    ChapterError
        Anything that was asked for is unknown or not allowed; nothing has run then.
    Busy
        Another process makes an edition in the folder; nothing has run then.
    NotWritten
        The disk is full, for instance; an OSError that names the file.
    NotBuilt
        The builder of the pages failed; the chapters that are done are kept.
    Interrupted
        Stopped from the keyboard; the chapters that are done are kept.
    """
    sources, asked = edition_site.sources(folder), chosen(chapters, folder)
    tier, progress = BOOK if tier is None else tier, bar("progress", progress)
    client, timeout = checked_client(client), running.checked_timeout(timeout)
    if not isinstance(jobs, int) or not 1 <= jobs <= MOST_JOBS:
        raise ChapterError(f"jobs must be in 1..{MOST_JOBS}, got {jobs}")
    values = plan(asked, given, tier)
    question = {"parameters": dict(sorted(given.items())), "tier": tier}
    parts = {
        chapter.name: Part(
            grid_cells.key(chapter, values[chapter.name]),
            chapter.name,
            grid_cells.version(chapter),
            values[chapter.name],
        )
        for chapter in asked
    }
    with _kept(out, question) as place:
        ended: dict[str, Finished] = {}
        for name, part in parts.items():
            path = place / HIDDEN / part.key / f"{name}.ipynb"
            recover([path])
            if (claims := grid_cells.done(path.parent, [path.name])) is not None:
                ended[name] = Finished(path.read_text(encoding="utf-8"), claims)
        left = [part for name, part in parts.items() if name not in ended]
        own = library.checked_folder(folder) if folder is not None else None
        try:
            with closing(
                edition_work.ran((own, timeout), left, len(parts), client, jobs, progress)
            ) as work:
                for part, done in work:
                    ended[part.chapter] = done
                    record = {
                        "chapter": part.chapter,
                        "parameters": part.values,
                        "claims": done.claims,
                    }
                    grid_cells.keep(
                        place / HIDDEN / part.key,
                        {f"{part.chapter}.ipynb": done.notebook},
                        None if done.error else record,
                    )
            first = values[asked[0].name]
            ordered = {name: ended[name] for name in parts}
            warnings = edition_site.build(
                sources, place, place / HIDDEN, ordered, _of_data(first), tier
            )
        except (KeyboardInterrupt, NotWritten) as stopped:
            kept = f"{sum(not e.error for e in ended.values())} of {len(parts)} done, "
            kept += "run again to resume"
            if isinstance(stopped, KeyboardInterrupt):
                raise Interrupted(kept) from None
            stopped.add_note(kept)
            raise
        return Edition(place / "index.html", ordered, tuple(p.chapter for p in left), warnings)


def chosen(names: Sequence[str], folder: str | Path | None = None) -> list[Chapter]:
    """Return the chapters of these names in reading order, each once; all for no name."""
    found = {c.name: c for c in (library.find(n, folder) for n in names or library.names(folder))}
    if not found:
        raise ChapterError("chapters must be at least one, got none")
    return [found[name] for name in sorted(found)]


def plan(
    chapters: Sequence[Chapter], given: Mapping[str, str], tier: str
) -> dict[str, dict[str, Any]]:
    """Return the checked values of each chapter by its name, the data read; or ChapterError."""
    known = {p.name for chapter in chapters for p in chapter.parameters}
    for name in given:
        if name not in known:
            raise ChapterError(
                f"unknown parameter {name!r}{suggestion(name, known)} "
                "(`phase-book show CHAPTER` lists those of a chapter)"
            )
    if "data" not in given:
        raise ChapterError("an edition is of some data: give them with -p data=FILE")
    values, checked = {}, set()
    for chapter in chapters:
        own = {p.name: p for p in chapter.parameters if p.name in given}
        try:
            parsed = {name: p.parse(given[name]) for name, p in own.items()}
        except ValueError as error:
            raise ChapterError(f"{chapter.name}: {error}") from None
        values[chapter.name] = chapter.values(parsed, tier)
        data = repr((_of_data(values[chapter.name]), parsed.get("compare")))
        if data not in checked:  # a file is read once, not by every chapter
            chapter.check_data(values[chapter.name])
            checked.add(data)
    return values


def _of_data(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `data.load` takes of the values of a run."""
    return {n: values[n] for n in ("data", "target", "inputs", "drop", "seed") if n in values}


@contextmanager
def _kept(out: str | Path, question: Mapping[str, Any]) -> Iterator[Path]:
    """Give the folder, which holds nothing or an edition of this question, to one process."""
    _check_place(out)
    with results.reserved(out, "edition") as place:
        hidden = place / HIDDEN
        path = hidden / QUESTION
        begun = _read(path)
        if begun is not None and begun != question:
            differing = _differing(begun, question)
            raise ChapterError(
                f"out must be empty or an edition that was asked for in the same words, but "
                f"{place} is one with {differing}: give another folder"
            )
        made = not hidden.is_dir()
        try:
            hidden.mkdir(exist_ok=True)
            write_atomic(path, json.dumps(question, indent=1) + "\n")
            edition_site.tidy(hidden)
            yield place
        finally:
            # where nothing was done, nothing is left
            if made and not any(child.is_dir() for child in hidden.iterdir()):
                with suppress(OSError):
                    shutil.rmtree(hidden)


def _check_place(out: str | Path) -> None:
    """Raise ChapterError for a folder that holds anything but an edition."""
    try:
        place = local_path("out", out)
    except ValueError as error:
        raise ChapterError(str(error)) from None
    if not place.is_dir() or (place / HIDDEN / QUESTION).is_file():
        return
    with suppress(OSError):  # one that cannot be read is refused where it is reserved
        other = [p.name for p in place.iterdir() if p.name not in (HIDDEN, ".edition.lock")]
        if other:
            raise ChapterError(
                f"out must be empty or an edition, but {place} holds {sorted(other)[0]!r}"
            )


def _read(path: Path) -> Any:
    """The question of an edition, None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _differing(begun: Any, question: Mapping[str, Any]) -> str:
    """The first thing in which two questions differ, as it was asked before."""
    if isinstance(begun, dict) and begun.get("tier") != question["tier"]:
        return f"tier = {begun.get('tier')}"
    before = begun.get("parameters", {}) if isinstance(begun, dict) else {}
    for name in sorted({*before, *question["parameters"]}):
        if before.get(name) != question["parameters"].get(name):
            return f"{name} = {before[name]}" if name in before else f"no {name} given"
    return "another question"
