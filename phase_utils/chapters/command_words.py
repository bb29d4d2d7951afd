"""The words of the command `phase-book`, with their help."""

import argparse
from typing import Any

from phase_utils.chapters.vocabulary import TIERS

EXIT_CODES = """exit codes:
  0    done; every claim passed, or does not apply
  1    a cell failed, and the files hold what ran before it; or pages could not be built
  2    what was asked for is wrong; nothing ran
  3    the chapter ran, and a claim failed
  4    a result could not be written: the disk is full, for instance
  5    another process makes the same results; nothing ran
  130  interrupted from the keyboard
"""


def parser() -> argparse.ArgumentParser:
    """Return what reads a command line; `command` of its result is the name of the command."""
    with_codes: dict[str, Any] = {
        "epilog": EXIT_CODES,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }
    made = argparse.ArgumentParser(
        prog="phase-book",
        description="List, show and re-run the chapters of the book.",
        **with_codes,
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the chapters")
    listing.set_defaults(command="list")
    show = commands.add_parser("show", help="show a chapter's parameters")
    _add_chapter(show)
    show.set_defaults(command="show")
    run = commands.add_parser(
        "run",
        help="run a chapter with other parameters",
        description="Check everything, run the chapter, and leave OUT/NN_name.ipynb and .html.",
        **with_codes,
    )
    _add_chapter(run)
    _add_parameters(run, "a parameter and its value", "size of the run")
    run.add_argument("--out", default="runs", help="folder of the results (default: runs)")
    run.add_argument(
        "--record",
        action="store_true",
        help="keep what it finds beside the chapters, in records/NN_name.json, if nothing fails",
    )
    _add_timeout(run)
    run.set_defaults(command="run")
    grid = commands.add_parser(
        "grid",
        help="run a chapter over a grid of parameters",
        description="Check everything, run the chapter at every point of the grid that is not "
        "done\nyet, and leave OUT/index.html with the notebooks it links.",
        **with_codes,
    )
    _add_chapter(grid)
    _add_parameters(grid, "a parameter that does not vary", "size of the runs")
    grid.add_argument(
        "-g",
        "--grid",
        action="append",
        required=True,
        metavar="NAME=VALUES",
        help="an axis: start:stop:count, evenly spaced, or [value, ...]; may be repeated",
    )
    grid.add_argument("--out", help="folder of the results (default: runs/NN_name-grid)")
    grid.add_argument(
        "--dask", metavar="ADDRESS", help="scheduler of the Dask cluster that runs it"
    )
    _add_timeout(grid)
    grid.set_defaults(command="grid")
    _add_edition(commands, with_codes)
    return made


def _add_edition(commands: Any, with_codes: dict[str, Any]) -> None:
    edition = commands.add_parser(
        "edition",
        help="execute the book on other data, and build its site",
        description="Check everything, execute the chapters that are not done yet on the data, and "
        "leave\nOUT/index.html, which begins with what these data do.",
        **with_codes,
    )
    _add_parameters(edition, "data=FILE, and what else the chapters take", "size (default: book)")
    edition.add_argument(
        "--chapters", nargs="+", default=[], metavar="CHAPTER", help="these alone (default: all)"
    )
    edition.add_argument("--out", default="my-book", help="folder of the site (default: my-book)")
    where = edition.add_mutually_exclusive_group()
    where.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="chapters at a time (default: 1)"
    )
    where.add_argument(
        "--dask", metavar="ADDRESS", help="scheduler of the Dask cluster that runs them"
    )
    _add_timeout(edition)
    edition.set_defaults(command="edition")


def _add_chapter(command: argparse.ArgumentParser) -> None:
    command.add_argument("chapter", help="number of a chapter, its name, or both")


def _add_parameters(command: argparse.ArgumentParser, parameter: str, size: str) -> None:
    command.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=LITERAL",
        help=f"{parameter}; may be repeated, and wins over the tier",
    )
    command.add_argument("--tier", choices=TIERS, help=size)


def _add_timeout(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--timeout",
        type=int,
        metavar="SECONDS",
        help="that one cell of the notebook may take (default: 21600, six hours)",
    )
