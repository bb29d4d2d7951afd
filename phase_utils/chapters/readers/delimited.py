"""Tables of numbers in text, as spreadsheets, pandas and R write them: CSV and its relatives.

The first line holds the names of the columns. Separator (comma, semicolon, tab, bar), decimal sign
and encoding are found out; what can be read in two ways is refused.
"""

import csv
import re
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from pathlib import Path

import numpy as np

from phase_utils._check import Array
from phase_utils.chapters.readers import numerals, texts
from phase_utils.chapters.words import counted

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "or bars"}


class Delimited:
    """A table in a text file: the names of its columns, and their numbers when asked for.

    Parameters
    ----------
    path : the file, plain or compressed by gzip, whatever its suffix says.

    Raises
    ------
    ValueError
        With the name of the file, the line as an editor counts, what was seen and the remedy.
    """

    def __init__(self, path: Path) -> None:
        self.file = path.name
        self._text = texts.Text(path)
        declared = re.fullmatch(r"sep=(.)\s*", next(self._text.lines(), ""))  # Excel's
        self._before = 1 if declared else 0
        self._separator = declared[1] if declared else self._most_regular_separator()
        line, head = next(self._rows(), (1, []))
        head = [" ".join(name.split()) for name in _without_empty_end(head)]
        if head and head[0].startswith("# "):
            head[0] = head[0][2:]  # as np.savetxt writes it
        self._width = len(head)
        self._index = 0  # columns without a name in front, by which pandas and R label the rows
        while self._index < len(head) and re.fullmatch(r"(Unnamed: \d+)?", head[self._index]):
            self._index += 1
        self.names = head[self._index :]
        self._check_names(line)

    def numbers(self, columns: Sequence[int]) -> tuple[Array, list[str]]:
        """The numbers (n, k) in `columns` of `names`, and what was left out unasked, in words."""
        try:
            values, empty = self._read(columns, numerals.plain)
        except _BadCell as bad:
            if "," not in bad.cell or not numerals.is_number(bad.cell):
                raise
            values, empty = self._with_commas(columns, bad)
        if len(values) == 0:
            raise ValueError(f"{self.file} must have rows of numbers, got only names")
        notes = []
        if self._index:
            notes.append("the index column" if self._index == 1 else f"{self._index} index columns")
        if empty:
            notes.append(counted(empty, "empty row"))
        return values, notes

    def _rows(self, separator: str = "", strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        """The rows on lines that are not blank, with the lines on which they begin."""
        reader = csv.reader(
            islice(self._text.lines(), self._before, None),
            delimiter=separator or self._separator,
            skipinitialspace=True,
            strict=strict,
        )
        while True:
            line = self._before + reader.line_num + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                raise ValueError(
                    f"{self.file}, line {line}: {error}; look for a quotation mark that is not "
                    "closed, or write it twice within quotation marks"
                ) from None
            if len(row) > 1 or (row and row[0].strip()):
                yield line, row

    def _most_regular_separator(self) -> str:
        """The one with which the first rows have as many cells as there are names, and numbers."""
        best, score = ",", (0.0, 0.0, 0)
        for separator in SEPARATORS:
            try:
                rows = [row for _, row in islice(self._rows(separator, strict=False), 20)]
            except ValueError:
                continue
            head, *rest = [_without_empty_end(row) for row in rows] or [[]]
            cells = [cell for row in rest for cell in row[:100]]
            regular = sum(len(row) == len(head) for row in rest) / max(len(rest), 1)
            numbers = sum(map(numerals.is_number, cells)) / max(len(cells), 1)
            if len(head) > 1 and (regular, numbers, len(head)) > score:
                best, score = separator, (regular, numbers, len(head))
        return best

    def _check_names(self, line: int) -> None:
        where = f"{self.file}, line {line}"
        if not self._width:
            raise ValueError(f"{self.file} must hold a table, got no names of columns")
        if len(self.names) < 2:
            raise ValueError(
                f"{where}: names of at least 2 columns are needed, got {', '.join(self.names)!r}; "
                f"separate columns by {', '.join(SEPARATORS.values())}"
            )
        if self._begins_with_values():
            number = next(filter(numerals.is_number, self.names))
            raise ValueError(
                f"{where}: names of columns are needed, got a row of values such as {number}; "
                "write a line of names above it, or names that are no numbers"
            )
        places: dict[str, list[str]] = {}
        for column, name in enumerate(self.names, start=self._index + 1):
            places.setdefault(name, []).append(str(column))
        for name, columns in places.items():
            if not name:
                raise ValueError(f"{where}: column {columns[0]} has no name; write one")
            if len(columns) > 1:
                raise ValueError(
                    f"{where}: columns {' and '.join(columns)} are called {name!r}; "
                    "give each a name of its own"
                )

    def _begins_with_values(self) -> bool:
        """Whether all names are numbers, or those above numbers and no others."""
        names = [numerals.is_number(name) for name in self.names if name]
        _, cells = next(islice(self._rows(), 1, None), (0, []))
        below = [numerals.is_number(cell) for cell in cells[self._index : self._width]]
        return all(names) or (any(names) and names == below)

    def _read(self, columns: Sequence[int], convert: Callable[[str], float]) -> tuple[Array, int]:
        """The numbers in `columns`, and how many rows were empty."""
        pick = itemgetter(*(column + self._index for column in columns))
        values, lines, empty = array("d"), array("q"), 0
        truths: Counter[int] = Counter()
        for line, cells in islice(self._rows(), 1, None):
            if len(cells) != self._width:
                cells = self._fitted(line, cells)
            if self._index:
                self._check_index(line, cells)
            chosen = pick(cells)
            try:
                numbers = list(map(convert, chosen))
            except ValueError:
                if not any(map(str.strip, cells)):
                    empty += 1
                    continue
                numbers, found = self._with_truths(line, columns, chosen, convert)
                truths.update(found)
            values.extend(numbers)
            lines.append(line)
        for column, times in truths.items():
            if times < len(lines):
                raise ValueError(
                    f"{self.file}, column {self.names[column]!r}: must hold numbers, or True and "
                    f"False only, got {times} of these in {len(lines)} rows"
                )
        table = np.array(values).reshape(len(lines), len(columns))
        for row, k in np.argwhere(~np.isfinite(table))[:1]:
            raise self._bad(lines[row], columns[k], f"{table[row, k]}")
        return table, empty

    def _fitted(self, line: int, cells: list[str]) -> list[str]:
        """The row without empty cells beyond the last name."""
        if len(cells) < self._width or any(map(str.strip, cells[self._width :])):
            raise ValueError(
                f"{self.file}, line {line}: must have {self._width} cells, one for each name, "
                f"got {len(cells)}; name every column, and quote cells that hold a separator"
            )
        return cells[: self._width]

    def _check_index(self, line: int, cells: list[str]) -> None:
        for column, cell in enumerate(cells[: self._index], start=1):
            if numerals.is_number(cell) and not cell.strip().lstrip("-").isdigit():
                raise ValueError(
                    f"{self.file}, line {line}: column {column} has no name, which only an index "
                    f"may lack, got {cell!r}; write a name"
                )

    def _with_truths(
        self,
        line: int,
        columns: Sequence[int],
        cells: Sequence[str],
        convert: Callable[[str], float],
    ) -> tuple[list[float], list[int]]:
        """The numbers of a row in which a cell may be True or False, and the columns of these."""
        numbers, truths = [], []
        for column, cell in zip(columns, cells, strict=True):
            try:
                numbers.append(convert(cell))
            except ValueError:
                if cell.strip().lower() not in numerals.TRUTH:
                    raise self._bad(line, column, cell) from None
                numbers.append(numerals.TRUTH[cell.strip().lower()])
                truths.append(column)
        return numbers, truths

    def _with_commas(self, columns: Sequence[int], first: "_BadCell") -> tuple[Array, int]:
        """The numbers where `first` has a comma: read in the one way that makes sense of all."""
        found, refusals = [], []
        for convert in (numerals.with_point, numerals.with_comma):
            try:
                found.append(self._read(columns, convert))
            except _BadCell as bad:
                refusals.append(bad)
        if len(found) == 1:
            return found[0]
        for refused in refusals:
            if not numerals.is_number(refused.cell):
                raise refused
        seen = f"{first.cell!r} may have a decimal comma or one between thousands"
        if refusals:
            cells = " and ".join(repr(refused.cell) for refused in refusals)
            seen = f"{cells} are written in different ways"
        raise ValueError(
            f"{first.where}: {seen}; write numbers with a decimal point and nothing between "
            "thousands"
        )

    def _bad(self, line: int, column: int, cell: str) -> "_BadCell":
        """The error that names a cell which is no finite number."""
        name = self.names[column]
        where = f"{self.file}, line {line}, column {name!r}"
        way_out = f"remove the row, or leave the column out with drop=[{name!r}]"
        if cell.strip().lower() in numerals.MISSING:
            return _BadCell(where, cell, f"no value may be missing, got {cell!r}; {way_out}")
        if cell in ("inf", "-inf"):
            return _BadCell(where, cell, f"must be finite, got {cell}; {way_out}")
        shown = repr(cell if len(cell) <= 40 else f"{cell[:37]}...")
        return _BadCell(
            where,
            cell,
            f"must be a number, got {shown}; write numbers, or leave the column out with "
            f"drop=[{name!r}]",
        )


class _BadCell(ValueError):
    """A cell that is no number in the way the table is read."""

    def __init__(self, where: str, cell: str, rule: str) -> None:
        super().__init__(f"{where}: {rule}")
        self.where, self.cell = where, cell


def _without_empty_end(row: list[str]) -> list[str]:
    """The cells of a row up to the last that is not empty."""
    filled = [i for i, cell in enumerate(row, start=1) if cell.strip()]
    return row[: filled[-1]] if filled else []
