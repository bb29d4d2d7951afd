"""The chapters of the book, listed and found.

A chapter is called by its number, its name or both (`6`, `06`, `depth_two_and_more`,
`06_depth_two_and_more`), and never by a path.
"""

import re
import tomllib
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils._check import shown
from phase_utils._files import local_path
from phase_utils.chapters import export
from phase_utils.chapters.chapter import Chapter, read_source
from phase_utils.chapters.errors import ChapterError
from phase_utils.chapters.parameters import check_values, parse_cell, suggestion
from phase_utils.chapters.vocabulary import PAPER, SMOKE

LONGEST_NAME = 200
_FILE = re.compile(r"(\d\d)_([a-z0-9_]+)\.md")


def default_folder() -> Path:
    """Return the folder of the chapters: inside an installed package, or beside its source.

    Returns
    -------
    Path
        Where the chapters lie.

    Raises
    ------
    ChapterError
        Where there is none.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_notebooks", package.parent / "notebooks"):
        if folder.is_dir():
            return folder
    raise ChapterError("the chapters are not installed with this package")


def checked_folder(folder: Any) -> Path:
    """Return the folder of the chapters, the book's own for None, or raise ChapterError."""
    if folder is None:
        return default_folder()
    try:
        place = local_path("folder", folder)
        is_folder = place.is_dir()
    except (ValueError, OSError) as error:
        raise ChapterError(f"folder must be one that can be read: {error}") from None
    if not is_folder:
        raise ChapterError(f"folder must be a folder of chapters, got {shown(str(folder))}")
    return place


def names(folder: str | Path | None = None) -> list[str]:
    """Return the names of all chapters, with their numbers, in reading order.

    Parameters
    ----------
    folder : str or Path, optional
        Folder of the chapters; default the book's own.

    Returns
    -------
    list of str
        As `find` takes them.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.chapters.names()[0]
    '01_formalism'
    """
    folder = checked_folder(folder)
    return sorted(path.stem for path in folder.glob("*.md") if _FILE.fullmatch(path.name))


def find(name: str, folder: str | Path | None = None) -> Chapter:
    """Return a chapter by its number, its name, or both.

    Parameters
    ----------
    name : str
        "6", "06", "depth_two_and_more" or "06_depth_two_and_more".
    folder : Path, optional
        Folder of the chapters; default the book's own.

    Returns
    -------
    Chapter
        With its parameters and tiers, checked.

    Raises
    ------
    ChapterError
        For no such chapter, and where its parameters cell or its tiers are malformed.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.chapters.find("6").name
    '06_depth_two_and_more'
    """
    place = "" if folder is None else " in the folder that is given"
    folder = checked_folder(folder)
    if not isinstance(name, str) or len(name) > LONGEST_NAME:
        raise ChapterError(f"name must be that of a chapter, or its number, got {shown(name)}")
    known = names(folder)
    short = {stem.partition("_")[2]: stem for stem in known}
    numbered = {stem[:2]: stem for stem in known}
    stem = short.get(name) or numbered.get(name.zfill(2), name)
    if stem not in known:
        raise ChapterError(
            f"no chapter {name!r}{place}: give a number or a name from the list, not a path"
            f"{suggestion(Path(name).stem, [*known, *short])}"
        )
    path = folder / f"{stem}.md"
    nb = read_source(path)
    try:
        chapter = Chapter(
            name=stem,
            number=int(stem[:2]),
            title=_title(nb),
            path=path,
            parameters=tuple(parse_cell(_parameters_source(nb))),
            tiers=tiers(folder).get(stem, {}),
        )
    except ValueError as error:
        raise ChapterError(f"{stem}: {error}") from None
    for tier, values in chapter.tiers.items():
        try:
            check_values(values, chapter.parameters)
        except ValueError as error:
            raise ChapterError(f"tiers.toml, [{stem}.{tier}]: {error}") from None
    return chapter


def tiers(folder: str | Path | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what `tiers.toml` sets.

    Parameters
    ----------
    folder : str or Path, optional
        Folder of the chapters; default the book's own.

    Returns
    -------
    dict
        Values of parameters by chapter and tier.

    Raises
    ------
    ChapterError
        Where the file is malformed.
    """
    path = checked_folder(folder) / "tiers.toml"
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ChapterError(f"tiers.toml: {error}") from None
    for chapter, by_tier in table.items():
        for tier, values in by_tier.items() if isinstance(by_tier, dict) else [("", None)]:
            # the defaults of the parameters cell are the tier BOOK
            if tier not in (SMOKE, PAPER) or not isinstance(values, dict):
                raise ChapterError(
                    f"tiers.toml: only tables [chapter.smoke] and [chapter.paper] are allowed, "
                    f"got {chapter}.{tier}".rstrip(".")
                )
            if "tier" in values:
                raise ChapterError(f"tiers.toml, [{chapter}.{tier}]: tier is set by itself")
    return table


def _title(nb: NotebookNode) -> str:
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            heading = re.search(r"^# +(.+?)\s*$", cell.source, re.MULTILINE)
            if heading:
                return str(export.plain(heading[1]))
    raise ValueError("the chapter has no heading of the first level")


def _parameters_source(nb: NotebookNode) -> str:
    tagged = [c for c in nb.cells if "parameters" in c.metadata.get("tags", [])]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        raise ValueError(
            f"exactly one code cell must be tagged `parameters`, found {len(tagged)} tagged"
        )
    return str(tagged[0].source)
