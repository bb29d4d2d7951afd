"""Recorded runs: what a long run of a chapter found, beside the chapters, with where it is from.

A chapter names by `keep` what is worth keeping. `phase-book run CHAPTER --tier paper --record`
writes that, its checks and its provenance to `records/CHAPTER.json` in the folder of the chapters,
where `find` reads it and pages show it beside a run of their own. Nothing in it is typed: a seal
tells a record that was edited.
"""

import base64
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import display

from phase_utils._check import non_empty, shown
from phase_utils.chapters import library, recording
from phase_utils.chapters.lines import comparable
from phase_utils.chapters.provenance import Provenance
from phase_utils.chapters.vocabulary import KEEPING, KEPT_MIME, WHOLE, evidence

DIGITS = 6  # of the numbers that are kept


@dataclass(frozen=True, eq=False)
class Record:
    """What a recorded run left, as `find` returns it.

    Attributes
    ----------
    chapter, tier : str
        Which chapter ran, at which size.
    given : dict
        The parameters that the command gave; of a path its last part.
    command : str
        What makes it again.
    date, revision : str
        When it ran, and the commit of the source; the latter empty where there was none.
    machine, versions : dict
        Processor, device and threads; the versions of Python and the packages.
    seconds, processor_seconds : float
        What it took by the clock, and of processors; the latter 0 where the system does not tell.
    code : str
        Digest of the parameters and the cells that computed it.
    claims : list of dict
        The checks, as a ledger records them.
    kept : dict
        By the names that `keep` was given: arrays, numbers and texts by theirs.
    """

    chapter: str
    tier: str
    given: Mapping[str, Any]
    command: str
    date: str
    revision: str
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    seconds: float
    processor_seconds: float
    code: str
    claims: list[dict[str, Any]]
    kept: Mapping[str, Mapping[str, Any]]

    @property
    def says(self) -> str:
        """Where, when, on what and how long, in a line."""
        spent = f"{self.processor_seconds or self.seconds:.0f} s"
        of_core = " of one core" if self.processor_seconds else ""
        return f"tier {self.tier}, {self.date}, {self.machine['processor']}, {spent}{of_core}"

    @property
    def provenance(self) -> Provenance:
        """The same as a table, with the versions."""
        rows = [
            ("command", self.command),
            ("date", self.date),
            ("source", self.revision or "no revision"),
            *((what, str(value)) for what, value in self.machine.items()),
            *self.versions.items(),
            ("seconds", f"{self.seconds:.0f}"),
        ]
        if self.processor_seconds:
            rows.append(("seconds of one core", f"{self.processor_seconds:.0f}"))
        return Provenance(rows)

    def supports(self, claim: str) -> bool:
        """Whether every check of a claim passed in it, and none at a reduced size.

        Parameters
        ----------
        claim : str
            Its id.

        Returns
        -------
        bool
            False, too, where the run did not check it.

        Raises
        ------
        ValueError
            If the claim is no text.
        """
        name = non_empty("claim", claim)
        return evidence(str(c["state"]) for c in self.claims if c["id"] == name) == WHOLE

    def stale(self, folder: str | Path | None = None) -> bool:
        """Whether the parameters or the cells that computed it are no longer the chapter's.

        Prose, comments, layout, figures and the words of checks may change.

        Parameters
        ----------
        folder : str or Path, optional
            Folder of the chapters; default the book's own.

        Returns
        -------
        bool
            True where `command` has to run again.
        """
        chapter = library.find(self.chapter, folder)
        return recording.code(chapter, self.tier, self.given) != self.code


def keep(name: str, **values: Any) -> None:
    """Keep what a cell found, where the run is one that is recorded.

    Parameters
    ----------
    name : str
        What it belongs to, once in a chapter.
    **values : scalar or array_like
        Finite numbers, of which six digits are kept, truth values or texts, by name. Arrays of
        bytes, uint8, are kept as they are.

    Raises
    ------
    ValueError
        For values of another kind, or that are not finite.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.records.keep("rates", price=[0.1, 0.2], rate=[3.0, 2.0])
    """
    name = non_empty("name", name)
    packed = {key: _packed(key, value) for key, value in values.items()}
    if os.environ.get(KEEPING) == "1":
        display({KEPT_MIME: {name: packed}, "text/plain": f"kept: {name}"}, raw=True)  # type: ignore[no-untyped-call]


def find(chapter: str, folder: str | Path | None = None) -> Record | None:
    """Return the record of a chapter, None where there is none.

    Parameters
    ----------
    chapter : str
        Its number, its name, or both.
    folder : str or Path, optional
        Folder of the chapters; default the book's own.

    Returns
    -------
    Record or None
        As the run that is recorded left it.

    Raises
    ------
    ValueError
        For no such chapter, and for a record that is not as it was written.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.records.find("depth_zero") is None
    True
    """
    path = recording.place(library.find(chapter, folder).path)
    try:
        content = recording.read(path)
        content["kept"] = {
            name: {key: _unpacked(value) for key, value in values.items()}
            for name, values in content["kept"].items()
        }
        return Record(**{field.name: content[field.name] for field in fields(Record)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError, zlib.error) as error:
        raise ValueError(
            f"the record of {path.stem} must be as a run wrote it, and is not ({error}): make it "
            "again by phase-book run with --record, or delete it"
        ) from None


def _packed(name: str, value: Any) -> Any:
    """What JSON holds of a value; bytes are compressed."""
    array = comparable(name, value)
    if array.dtype == np.uint8:
        content = zlib.compress(np.ascontiguousarray(array).tobytes(), 9)
        return {"shape": list(array.shape), "bytes": base64.b64encode(content).decode("ascii")}
    if array.dtype.kind == "c" or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        raise ValueError(
            f"{name} must be finite real numbers, truth values or texts, got {shown(value)}"
        )
    if array.dtype.kind != "f":
        return array.tolist()
    short = [float(f"{number:.{DIGITS}g}") for number in array.reshape(-1).tolist()]
    return np.reshape(short, array.shape).tolist()


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        content = zlib.decompress(base64.b64decode(value["bytes"]))
        return np.frombuffer(content, dtype=np.uint8).reshape(value["shape"])
    return np.array(value) if isinstance(value, list) else value
