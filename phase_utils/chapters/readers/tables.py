"""Tables of samples in files: which column is the label, which are inputs, and their numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phase_utils._check import Array, listing, shown
from phase_utils.chapters.parameters import suggestion
from phase_utils.chapters.readers.delimited import Delimited

MOST_BYTES = 2**30  # bytes of a table in memory
_INDEX = re.compile(r"__index_level_\d+__")  # by which pandas labels the rows


@dataclass(frozen=True)
class Samples:
    """What a file holds: inputs (n, d), labels (n,), their names, and what was left out."""

    x: Array
    y: Array
    label: str
    inputs: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The columns that are wanted of the file that the argument `of` names; see `select`."""

    target: str
    inputs: tuple[str, ...]
    drop: tuple[str, ...]
    of: str

    def named(self) -> dict[str, tuple[str, ...]]:
        """The names that were given, by the argument that gave them."""
        target = "target" if self.of == "data" else f"{self.of}_target"
        return {
            target: (self.target,) if self.target else (),
            "inputs": self.inputs,
            "drop": self.drop,
        }

    def places(self, names: Sequence[str]) -> tuple[list[int], int]:
        """The positions of the inputs, and that of the label, in `names`. Raises ValueError."""
        place = {name: i for i, name in enumerate(names)}
        for argument, chosen in self.named().items():
            for name in chosen:
                if name not in place:
                    raise ValueError(
                        f"{argument} must be among the columns {listed(names)}, got {name!r}"
                        f"{suggestion(name, names)}"
                    )
        dropped = set(self.drop)
        left = [name for name in names if name not in dropped]
        label = self.target or (left[-1] if left else "")
        inputs = self.inputs or tuple(name for name in left if name != label)
        for name in (label, *inputs):
            if name in dropped:
                raise ValueError(f"drop must not name a column that is used, got {name!r}")
        if label in inputs:
            raise ValueError(
                f"inputs must not name the label, got {label!r}; name another label by "
                f"{next(iter(self.named()))}"
            )
        if not 0 < len(set(inputs)) == len(inputs):
            raise ValueError(f"inputs must be different columns, got {listed(inputs) or 'none'}")
        return [place[name] for name in inputs], place[label]


def select(
    target: str = "", inputs: Sequence[str] = (), drop: Sequence[str] = (), *, of: str = "data"
) -> Selection:
    """Return which columns are wanted of a table.

    Parameters
    ----------
    target : the label; empty: the last column that is not dropped.
    inputs : names of columns; empty: all but the label and those of `drop`.
    drop : names of columns that are neither.
    of : the argument that names the file, "data" or "compare", for errors.

    Raises
    ------
    ValueError
        For anything that is no name, or no list of names.
    """
    if not isinstance(target, str):
        raise ValueError(f"target must be the name of a column, got {shown(target)}")
    inputs = listing("inputs", inputs, "names of columns")
    return Selection(target, inputs, listing("drop", drop, "names of columns"), of)


def read(path: Path, selection: Selection) -> Samples:
    """Return the samples in a text table or a Parquet file. Raises ValueError."""
    parquet = path.suffix.lower() == ".parquet"
    table = Parquet(path) if parquet else Delimited(path)
    inputs, label = selection.places(table.names)
    values, notes = table.numbers([*inputs, label])
    names = tuple(table.names[i] for i in inputs)
    unused = sorted(set(range(len(table.names))) - {*inputs, label})
    if unused:
        notes.append(in_words("column", [table.names[i] for i in unused]))
    return Samples(values[:, :-1], values[:, -1], table.names[label], names, tuple(notes))


class Parquet:
    """A table in a Parquet file, as `Delimited` for text."""

    def __init__(self, path: Path) -> None:
        try:
            from pyarrow import parquet
        except ImportError:
            raise ValueError(
                f"{path.name} needs the package pyarrow: pip install 'phase-utils[parquet]', or "
                "save the table as CSV"
            ) from None
        self.file = path.name
        try:
            self._file = parquet.ParquetFile(path)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.file} must be a Parquet file, got {error}") from None
        stored = self._file.schema_arrow.names
        self.names = [name for name in stored if not _INDEX.fullmatch(name)]
        self._notes = ["the index column"] if len(self.names) < len(stored) else []
        if len(set(self.names)) < max(len(self.names), 2):
            raise ValueError(
                f"{self.file} must have 2 columns or more of different names, got "
                f"{listed(self.names)}"
            )

    def numbers(self, columns: Sequence[int]) -> tuple[Array, list[str]]:
        """The numbers (n, k) in `columns` of `names`, and what was left out unasked, in words."""
        rows = self._file.metadata.num_rows
        if rows * len(columns) * 8 > MOST_BYTES:
            raise ValueError(f"{self.file} must hold at most {MOST_BYTES} bytes, got {rows} rows")
        names = [self.names[column] for column in columns]
        try:
            table = self._file.read(columns=names)
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.file} must be a Parquet file, got {error}") from None
        values = np.empty((rows, len(names)))
        for name, column in zip(names, values.T, strict=True):
            column[:] = self._column(name, table.column(name))
        return values, list(self._notes)

    def _column(self, name: str, stored: Any) -> Array:
        where = f"{self.file}, column {name!r}"
        way_out = f"leave the column out with drop=[{name!r}]"
        cells = stored.to_numpy()
        if stored.null_count:
            row = stored.is_null().to_numpy().argmax() + 1
            raise ValueError(
                f"{where}, row {row}: no value may be missing, got null; remove the row, or "
                f"{way_out}"
            )
        if not re.match(r"u?int|half|float|double|bool|decimal", str(stored.type)):
            raise ValueError(f"{where}: must hold numbers, got {stored.type}; {way_out}")
        numbers = cells.astype(np.float64)
        if not np.all(np.isfinite(numbers)):
            row = np.isfinite(numbers).argmin() + 1
            raise ValueError(
                f"{where}, row {row}: must be finite, got {cells[row - 1]}; remove the row, or "
                f"{way_out}"
            )
        return numbers


def in_words(kind: str, names: Sequence[str]) -> str:
    """A few columns by their names, many by their number, after what `kind` they are of."""
    if len(names) > 3:
        return f"{len(names)} {kind}s"
    *firsts, last = names
    return f"{kind}s {', '.join(firsts)} and {last}" if firsts else f"{kind} {last}"


def listed(names: Sequence[str], most: int = 8) -> str:
    """The first of many names."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
