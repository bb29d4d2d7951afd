"""The command `phase-book`: list, show and re-run the chapters of the book."""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phase_utils._extras import brought_by
from phase_utils._files import Busy, NotWritten
from phase_utils.chapters import command_words
from phase_utils.chapters.errors import ChapterError, NotBuilt
from phase_utils.chapters.vocabulary import BOOK, TIERS, ranked
from phase_utils.chapters.vocabulary import failing as failed_claims

if TYPE_CHECKING:
    from phase_utils.chapters.grid import Outcome

EXIT_CELL, EXIT_USAGE, EXIT_CLAIMS, EXIT_WRITE, EXIT_BUSY, EXIT_STOPPED = 1, 2, 3, 4, 5, 130


def main(arguments: Sequence[str] | None = None, *, folder: Path | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        The words of the command line; default those of the process.
    folder : Path, optional
        Folder of the chapters; default the book's own.

    Returns
    -------
    int
        One of the codes that `phase-book --help` lists.
    """
    options = command_words.parser().parse_args(arguments)
    try:
        return _done(options, folder)
    except KeyboardInterrupt as stopped:
        # what it broke off, the watch over the kernel for instance, would complain at the end
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        print(file=sys.stderr)  # below the progress bar
        return _failed(f"interrupted: {stopped}" if str(stopped) else "interrupted", EXIT_STOPPED)


def _done(options: argparse.Namespace, folder: Path | None) -> int:
    """Do what the options ask for; the exit code."""
    try:
        with brought_by("book", "phase-book"):
            from phase_utils.chapters import running  # noqa: F401
    except ModuleNotFoundError as error:
        print(error, file=sys.stderr)
        return EXIT_USAGE
    try:
        return COMMANDS[options.command](options, folder)
    except Busy as error:
        return _failed(error, EXIT_BUSY)
    except NotWritten as error:
        return _failed("; ".join([str(error), *getattr(error, "__notes__", [])]), EXIT_WRITE)
    except NotBuilt as error:
        return _failed(f"the pages could not be built:\n{error}", EXIT_CELL)
    except (ChapterError, OSError) as error:
        return _failed(error, EXIT_USAGE)


def _failed(why: object, code: int) -> int:
    """Say why there is no result; the exit code."""
    print(f"phase-book: {why}", file=sys.stderr)
    return code


def _timeout(options: argparse.Namespace) -> int:
    from phase_utils.chapters import execution

    return execution.TIMEOUT if options.timeout is None else int(options.timeout)


def _list(_: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils.chapters import library

    known = [library.find(name, folder) for name in library.names(folder)]
    width = max((len(c.name) for c in known), default=0) - 3
    for chapter in known:
        print(f"{chapter.number:02d}  {chapter.name[3:]:<{width}}  {chapter.title}")
    return 0


def _show(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils.chapters import library
    from phase_utils.chapters.parameters import DATA_FILES

    chapter = library.find(options.chapter, folder)
    tiers = [tier for tier in TIERS if chapter.tiers.get(tier)]
    rows = [["name", "type", BOOK, *tiers, "unit", "allowed", "help"]]
    for p in chapter.parameters:
        others = [chapter.tiers[tier].get(p.name) for tier in tiers]
        sizes = ["" if value is None else repr(value) for value in others]
        rows.append([p.name, p.type_name, repr(p.default), *sizes, p.unit, p.allowed, p.help])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"{chapter.number:02d}  {chapter.title}\n")
    for row in rows:
        print("  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip())
    if any("path" in p.choices for p in chapter.parameters):
        print(f"\npath: {DATA_FILES}")
    return 0


def _run(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils.chapters import assignments, library, running

    chapter = library.find(options.chapter, folder)
    try:
        given = assignments.given(options.parameter, chapter)
    except ValueError as error:
        raise ChapterError(str(error)) from None
    done = running.run(
        chapter.name,
        given,
        tier=options.tier,
        out=options.out,
        folder=folder,
        timeout=_timeout(options),
        record=options.record,
    )
    if done.error:
        print(f"\nA cell of {chapter.name} failed:\n{done.error}\n", file=sys.stderr)
    print(f"notebook: {done.notebook}\npage:     {done.html}")
    print(f"claims:   {_summary(done.claims)}")
    if options.record:
        print(f"record:   {done.record or 'not written, for something failed'}")
    if done.error:
        return EXIT_CELL
    if done.failing:
        print(f"phase-book: claims failed: {', '.join(done.failing)}", file=sys.stderr)
        return EXIT_CLAIMS
    return 0


def _grid(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils.chapters import assignments, grid, library
    from phase_utils.chapters.parameters import check_names
    from phase_utils.sweeps import workers

    chapter = library.find(options.chapter, folder)
    by_name = {p.name: p for p in chapter.parameters}
    out = options.out or f"runs/{chapter.name}-grid"
    client = None
    try:
        given = assignments.given(options.parameter, chapter)
        axes_given = assignments.pairs("-g", options.grid)
        check_names(axes_given, chapter.parameters)
        axes = {name: grid.axis(by_name[name], text) for name, text in axes_given.items()}
        grid.plan(chapter, axes, given, options.tier)
        if options.dask:
            client = workers.connected(options.dask)
    except (ValueError, ImportError) as error:
        raise ChapterError(str(error)) from None
    try:
        outcomes = grid.run(
            chapter.name,
            axes,
            given,
            tier=options.tier,
            out=out,
            folder=folder,
            client=client,
            timeout=_timeout(options),
        )
    finally:
        if client is not None:
            client.close()
    return _reported(outcomes, list(axes), Path(out) / "index.html")


def _edition(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils.chapters import assignments, edition
    from phase_utils.sweeps import workers

    client = None
    try:
        given = assignments.pairs("-p", options.parameter)
        if options.dask:
            client = workers.connected(options.dask)
    except (ValueError, ImportError) as error:
        raise ChapterError(str(error)) from None
    try:
        done = edition.run(
            given,
            chapters=options.chapters,
            tier=options.tier,
            out=options.out,
            folder=folder,
            client=client,
            jobs=options.jobs,
            timeout=_timeout(options),
        )
    finally:
        if client is not None:
            client.close()
    before = len(done.chapters) - len(done.ran)
    print(f"chapters: {len(done.chapters)}, of which {before} were done before")
    print(f"claims:   {_summary([c for e in done.chapters.values() for c in e.claims])}")
    print(f"site:     {done.page}")
    for line in done.warnings:
        print(f"phase-book: {line}", file=sys.stderr)
    code = 0
    for name, ended in done.chapters.items():
        failing = failed_claims(ended.claims)
        if ended.error:
            print(f"\nA cell of {name} failed:\n{ended.error}", file=sys.stderr)
        elif failing:
            print(f"\nClaims of {name} failed: {', '.join(failing)}", file=sys.stderr)
            code = EXIT_CLAIMS
    return EXIT_CELL if any(ended.error for ended in done.chapters.values()) else code


def _reported(outcomes: "Sequence[Outcome]", names: Sequence[str], page: Path) -> int:
    """Print how a grid ended, the failures with their tracebacks last; the exit code."""
    print(
        f"runs:     {len(outcomes)}, of which {sum(not o.ran for o in outcomes)} were done before"
    )
    print(f"index:    {page}")
    print(f"claims:   {_summary([claim for o in outcomes for claim in o.claims])}")
    code = 0
    for outcome in outcomes:
        point = ", ".join(f"{name}={outcome.cell.values[name]!r}" for name in names)
        if outcome.error:
            print(f"\nA cell failed at {point}:\n{outcome.error}", file=sys.stderr)
        elif outcome.failing:
            print(f"\nClaims failed at {point}: {', '.join(outcome.failing)}", file=sys.stderr)
            code = EXIT_CLAIMS
    return EXIT_CELL if any(outcome.error for outcome in outcomes) else code


def _summary(claims: Sequence[Any]) -> str:
    states = [str(claim.get("state")) for claim in claims]
    return ", ".join(f"{states.count(s)} {s}" for s in ranked(states)) or "none"


COMMANDS = {"list": _list, "show": _show, "run": _run, "grid": _grid, "edition": _edition}
