"""The command `phase-book`: list, show and re-run the chapters of the book."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phase_utils.chapters import Chapter

EXIT_CELL, EXIT_USAGE, EXIT_CLAIMS = 1, 2, 3


def main(arguments: Sequence[str] | None = None, *, folder: Path | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: the words of the command line; none takes those of the process.
        folder: folder of the chapters; none takes the book's own.

    Returns:
        0, or 1 where a cell failed, 2 where what was asked for is wrong, 3 where a claim failed.
    """
    from phase_utils.chapters import ChapterError

    options = _parser().parse_args(arguments)
    try:
        return int(options.command(options, folder))
    except (ChapterError, OSError) as error:
        print(f"phase-book: {error}", file=sys.stderr)
        return EXIT_USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="phase-book", description="List, show and re-run the chapters of the book."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the chapters")
    listing.set_defaults(command=_list)
    show = commands.add_parser("show", help="show a chapter's parameters")
    show.add_argument("chapter", help="name of a chapter, with or without its number")
    show.set_defaults(command=_show)
    run = commands.add_parser(
        "run",
        help="run a chapter with other parameters",
        description="Check everything, run the chapter, and leave OUT/NN_name.ipynb and .html. "
        "Exit codes: 1 a cell failed, 2 wrong arguments, 3 a claim failed.",
    )
    run.add_argument("chapter", help="name of a chapter, with or without its number")
    run.add_argument(
        "-p",
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=LITERAL",
        help="a parameter and its value; may be repeated, and wins over the tier",
    )
    run.add_argument("--tier", choices=("smoke", "book", "paper"), help="size of the run")
    run.add_argument("--out", default="runs", help="folder of the results (default: runs)")
    run.set_defaults(command=_run)
    return parser


def _list(_: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils import chapters

    known = [chapters.find(name, folder) for name in chapters.names(folder)]
    width = max((len(c.name) for c in known), default=0) - 3
    for chapter in known:
        print(f"{chapter.number:02d}  {chapter.name[3:]:<{width}}  {chapter.title}")
    return 0


def _show(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils import chapters

    chapter = chapters.find(options.chapter, folder)
    tiers = [tier for tier in ("smoke", "paper") if chapter.tiers.get(tier)]
    rows = [["name", "type", "book", *tiers, "unit", "allowed", "help"]]
    for p in chapter.parameters:
        others = [chapter.tiers[tier].get(p.name) for tier in tiers]
        sizes = ["" if value is None else repr(value) for value in others]
        rows.append([p.name, p.type_name, repr(p.default), *sizes, p.unit, p.allowed, p.help])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print(f"{chapter.number:02d}  {chapter.title}\n")
    for row in rows:
        print("  ".join(f"{text:<{w}}" for text, w in zip(row, widths, strict=True)).rstrip())
    if any("path" in p.choices for p in chapter.parameters):
        print("\npath: the path of a .csv or .npz file")
    return 0


def _run(options: argparse.Namespace, folder: Path | None) -> int:
    from phase_utils import chapters

    chapter = chapters.find(options.chapter, folder)
    try:
        given = _given(options.parameter, chapter)
    except ValueError as error:
        raise chapters.ChapterError(str(error)) from None
    done = chapters.run(chapter.name, given, tier=options.tier, out=options.out, folder=folder)
    if done.error:
        print(f"\nA cell of {chapter.name} failed:\n{done.error}\n", file=sys.stderr)
    print(f"notebook: {done.notebook}\npage:     {done.html}")
    print(f"claims:   {_summary(done.claims)}")
    if done.error:
        return EXIT_CELL
    if done.failing:
        print(f"phase-book: claims failed: {', '.join(done.failing)}", file=sys.stderr)
        return EXIT_CLAIMS
    return 0


def _given(texts: Sequence[str], chapter: "Chapter") -> dict[str, Any]:
    from phase_utils.parameters import check_names

    parameters = {p.name: p for p in chapter.parameters}
    given: dict[str, Any] = {}
    for text in texts:
        name, separator, literal = text.partition("=")
        name = name.strip()
        if not separator:
            raise ValueError(f"-p must be name=literal, got {text!r}")
        check_names([name], chapter.parameters)
        if name in given:
            raise ValueError(f"parameter {name} is given twice")
        given[name] = parameters[name].parse(literal)
    return given


def _summary(claims: Sequence[Any]) -> str:
    from phase_utils.execution import CLAIM_STATES

    states = [str(claim.get("state")) for claim in claims]
    named = [*CLAIM_STATES, *sorted(set(states) - set(CLAIM_STATES))]
    return ", ".join(f"{states.count(s)} {s}" for s in named if s in states) or "none"


if __name__ == "__main__":
    sys.exit(main())
