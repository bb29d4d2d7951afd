"""One chapter: its source, its parameters, and the values and the data that a run may have."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils._check import shown
from phase_utils.chapters import data
from phase_utils.chapters.errors import ChapterError
from phase_utils.chapters.parameters import Parameter, check_values
from phase_utils.chapters.vocabulary import TIERS

_OF_DATA = ("data", "compare", "target", "compare_target", "inputs", "drop")


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
        return read_source(self.path)

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


def checked_parameters(parameters: Any) -> dict[str, Any]:
    """Return the parameters of a run by name, or raise ChapterError."""
    if parameters is None:
        return {}
    if not isinstance(parameters, Mapping) or not all(isinstance(k, str) for k in parameters):
        raise ChapterError(f"parameters must be a dict of values by name, got {shown(parameters)}")
    return dict(parameters)


def read_source(path: Path) -> NotebookNode:
    """The chapter as a notebook without outputs."""
    return deepcopy(_read(path.read_text(encoding="utf-8")))


@lru_cache(maxsize=64)  # chapters are asked for many times, and reading one takes long
def _read(text: str) -> NotebookNode:
    import jupytext

    nb: NotebookNode = jupytext.reads(text, fmt="md")
    return nb
