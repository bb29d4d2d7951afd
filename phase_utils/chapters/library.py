"""The chapters of the book as things that can be listed, described and run with other parameters.

A chapter is called by its number, its name or both (`6`, `06`, `depth_two_and_more`,
`06_depth_two_and_more`), and never by a path. Everything about a run is checked before its first
cell executes.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils._check import flag, integer, shown
from phase_utils._files import local_path, recover, write_together
from phase_utils.chapters import data, execution, export, results
from phase_utils.chapters.errors import ChapterError, Interrupted
from phase_utils.chapters.parameters import Parameter, check_values, parse_cell, suggestion
from phase_utils.chapters.vocabulary import PAPER, SMOKE, TIERS, failing

LONGEST_NAME = 200
_OF_DATA = ("data", "compare", "target", "compare_target", "inputs", "drop")
_FILE = re.compile(r"(\d\d)_([a-z0-9_]+)\.md")


@dataclass(frozen=True)
class Chapter:
    """A chapter, as `find` returns it.

    Attributes
    ----------
    name : str
        With its number.
    number : int
        In reading order.
    title : str
        Its heading.
    path : Path
        Its source.
    parameters : tuple of Parameter
        What its parameters cell declares.
    tiers : dict
        The parameters that each tier sets, by name of the tier.
    """

    name: str
    number: int
    title: str
    path: Path
    parameters: tuple[Parameter, ...]
    tiers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, str]:
        """The names of the notebook and the page that a run leaves."""
        return f"{self.name}.ipynb", f"{self.name}.html"

    def notebook(self) -> NotebookNode:
        """Return the chapter as a notebook without outputs.

        Returns
        -------
        NotebookNode
            Read anew from its source.
        """
        return _read(self.path)

    def values(
        self, parameters: Mapping[str, Any] | None = None, tier: str | None = None
    ) -> dict[str, Any]:
        """Return the checked parameters of a run: what is given wins over what the tier sets.

        Parameters
        ----------
        parameters : dict, optional
            Values by name; `tier` among them is the same as the argument.
        tier : {"smoke", "book", "paper"}, optional
            "book" is the chapter's own defaults; none leaves the defaults.

        Returns
        -------
        dict
            Those that a run sets.

        Raises
        ------
        ChapterError
            For an unknown name, a value of the wrong type, out of range or not a choice.
        """
        given = checked_parameters(parameters)
        named = given.pop("tier", tier)
        for value in (tier, named):
            if value is not None and not (isinstance(value, str) and value in TIERS):
                raise ChapterError(f"tier must be one of {', '.join(TIERS)}, got {shown(value)}")
        if tier is not None and named != tier:
            raise ChapterError(f"tier is given twice: {tier!r} and {named!r}")
        tier = named
        wanted = {}
        if tier is not None:
            wanted = {"tier": tier, **self.tiers.get(tier, {})}
        try:
            return check_values({**wanted, **given}, self.parameters)
        except ValueError as error:
            raise ChapterError(f"{self.name}: {error}") from None

    def check_data(self, *runs: Mapping[str, Any]) -> None:
        """Read the files that runs with these values name.

        Parameters
        ----------
        *runs : dict
            Values of parameters, one for each run.

        Raises
        ------
        ChapterError
            For data that do not fit.
        """
        values = [self.values(given) for given in runs]
        by_name = {p.name: p for p in self.parameters}
        named = [by_name[name] for name in _OF_DATA if name in by_name]
        if "data" not in by_name:
            return
        also = [choice for choice in by_name["data"].choices if choice != "path"]
        chosen = {
            repr(c): c for c in ({p.name: v.get(p.name, p.default) for p in named} for v in values)
        }
        try:
            for arguments in chosen.values():
                data.check(**arguments, also=also)
        except ValueError as error:
            raise ChapterError(f"{self.name}: {error}") from None


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
    """

    files: tuple[str, str]
    claims: tuple[Mapping[str, Any], ...]
    error: str
    traceback: str


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
    """

    notebook: Path
    html: Path
    claims: tuple[Mapping[str, Any], ...]
    error: str

    @property
    def failing(self) -> tuple[str, ...]:
        """The ids of the claims that failed, in order, each once."""
        return failing(self.claims)


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


def checked_parameters(parameters: Any) -> dict[str, Any]:
    """Return the parameters of a run by name, or raise ChapterError."""
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping) or not all(isinstance(k, str) for k in parameters):
        raise ChapterError(f"parameters must be a dict of values by name, got {shown(parameters)}")
    return dict(parameters)


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


def checked_timeout(timeout: Any) -> int:
    """Return the seconds that a cell may take, or raise ChapterError."""
    try:
        return integer("timeout", timeout, minimum=1, maximum=10**7)
    except ValueError as error:
        raise ChapterError(str(error)) from None


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
    nb = _read(path)
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


def run(
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    tier: str | None = None,
    out: str | Path = "runs",
    folder: str | Path | None = None,
    timeout: int = execution.TIMEOUT,
    progress: bool = True,
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
    chapter = find(name, folder)
    values = chapter.values(parameters, tier)
    timeout, progress = checked_timeout(timeout), flag("progress", progress)
    chapter.check_data(values)
    check_export()
    with results.reserved(out, chapter.name) as place:
        paths = [place / file for file in chapter.files]
        for path in paths:
            if path.is_dir():
                raise ChapterError(f"out must have room for {path.name}, but {path} is a folder")
        recover(paths)
        try:
            done = execute(chapter, values, timeout=timeout, progress=progress)
            write_together(dict(zip(paths, done.files, strict=True)))
        except KeyboardInterrupt:
            raise Interrupted(f"nothing of this run is kept, run {chapter.name} again") from None
    return Run(paths[0], paths[1], done.claims, done.error)


def check_export() -> None:
    """Raise ChapterError where a page could not be made of a chapter that has run."""
    try:
        export.mathjax()
    except RuntimeError as error:
        raise ChapterError(str(error)) from None


def execute(
    chapter: Chapter,
    values: Mapping[str, Any],
    *,
    timeout: int = execution.TIMEOUT,
    progress: bool = False,
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

    Returns
    -------
    Executed
        What it left.
    """
    nb, error = execution.execute(
        chapter.notebook(),
        values,
        timeout=timeout,
        progress=chapter.name if progress else "",
    )
    shown = export.readable(nb)
    return Executed(
        files=(execution.written(shown), export.to_html(shown)),
        claims=tuple(execution.claims(nb)),
        error=error,
        # a kernel that died leaves no traceback
        traceback=error and (execution.tracebacks(nb) or error),
    )


def _read(path: Path) -> NotebookNode:
    import jupytext

    nb: NotebookNode = jupytext.read(path)
    return nb


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
