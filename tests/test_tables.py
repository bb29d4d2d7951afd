"""Tables in files: each is read as its writer meant it, or refused with place and remedy."""

import csv
import gzip
import io
import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_utils.chapters.readers import tables, texts

PLAIN = [[1, 2, 3], [4, 5, 6.5]]  # of columns a, b, y, as most files below hold them


def read(path, content, **chosen):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return tables.read(path, tables.select(**chosen))


READ = {
    "comma": ("a,b,y\n1,2,3\n4,5,6.5\n", PLAIN),
    "no line end at the end": ("a,b,y\n1,2,3\n4,5,6.5", PLAIN),
    "Windows": ("a,b,y\r\n1,2,3\r\n4,5,6.5\r\n", PLAIN),
    "old Macintosh": ("a,b,y\r1,2,3\r4,5,6.5\r", PLAIN),
    "byte order mark": ("\ufeffa,b,y\n1,2,3\n4,5,6.5\n", PLAIN),
    "UTF-16": ("a,b,y\n1,2,3\n4,5,6.5\n".encode("utf-16"), PLAIN),
    "UTF-16 of the other order": ("\ufeffa,b,y\n1,2,3\n4,5,6.5\n".encode("utf-16-be"), PLAIN),
    "UTF-16 without a mark": ("a,b,y\n1,2,3\n4,5,6.5\n".encode("utf-16-le"), PLAIN),
    "UTF-32": ("a,b,y\n1,2,3\n4,5,6.5\n".encode("utf-32"), PLAIN),
    "gzip": (gzip.compress(b"a,b,y\n1,2,3\n4,5,6.5\n"), PLAIN),
    "gzip in two members": (gzip.compress(b"a,b,y\n1,2,3\n") + gzip.compress(b"4,5,6.5\n"), PLAIN),
    "tabs": ("a\tb\ty\n1\t2\t3\n4\t5\t6.5\n", PLAIN),
    "bars": ("a|b|y\n1|2|3\n4|5|6.5\n", PLAIN),
    "semicolons": ("a;b;y\n1;2;3\n4;5;6.5\n", PLAIN),
    "decimal commas": ("a;b;y\n1;2;3,0\n4;5;6,5\n", PLAIN),
    "tabs and decimal commas": ("a\tb\ty\n1,0\t2\t3\n4\t5,0\t6,5\n", PLAIN),
    "quoted decimal commas": ('a,b,y\n1,2,3\n4,5,"6,5"\n', PLAIN),
    "German thousands": (
        "a;b;y\n1.234;2;3,5\n1.234.567,5;-5;6\n",
        [[1234, 2, 3.5], [1234567.5, -5, 6]],
    ),
    "English thousands": (
        'a,b,y\n"1,234",2,3.5\n"1,234,567.5",-5,6\n',
        [[1234, 2, 3.5], [1234567.5, -5, 6]],
    ),
    "thousands known by a point elsewhere": (
        'a,b,y\n"1,234",2,3.5\n4,5,6\n',
        [[1234, 2, 3.5], [4, 5, 6]],
    ),
    "decimal comma known by its place": (
        "a;b;y\n1,234;2;0,125\n4;5;6\n",
        [[1.234, 2, 0.125], [4, 5, 6]],
    ),
    "Excel names the separator": ("sep=;\na;b;y\n1;2;3\n4;5;6,5\n", PLAIN),
    "blanks around": ("a, b , y\n 1, 2 ,3\n4 ,5, 6.5 \n", PLAIN),
    "quoted": ('"a","b","y"\n"1","2","3"\n"4","5","6.5"\n', PLAIN),
    "quoted after a blank": ('"a", "b", "y"\n1, "2", 3\n4, "5", 6.5\n', PLAIN),
    "blank lines": ("\na,b,y\n\n1,2,3\n   \n4,5,6.5\n\n\n", PLAIN),
    "separators at the end": ("a,b,y,\n1,2,3,\n4,5,6.5,\n", PLAIN),
    "separators at the end of rows alone": ("a,b,y\n1,2,3,,\n4,5,6.5,,\n", PLAIN),
    "separators at the end of the names alone": ("a,b,y,,\n1,2,3\n4,5,6.5\n", PLAIN),
    "NumPy's hash before the names": ("# a,b,y\n1,2,3\n4,5,6.5\n", PLAIN),
    "exponents and signs": ("a,b,y\n1e0,+2,.3e1\n4.,5E+0,65e-1\n", PLAIN),
    "True and False": ("a,b,y\nTrue,2,TRUE\nfalse,5,False\n", [[1, 2, 1], [0, 5, 0]]),
    "huge and tiny": (
        "a,b,y\n1e200,2,3e-300\n4e200,5,6e-308\n",
        [[1e200, 2, 3e-300], [4e200, 5, 6e-308]],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_what_is_read(tmp_path, case):
    content, expected = READ[case]
    found = read(tmp_path / "t.csv", content)
    assert (*found.inputs, found.label) == ("a", "b", "y")
    np.testing.assert_array_equal(np.column_stack([found.x, found.y]), expected)
    assert found.notes == ()


NAMES = {
    "a comma in a name": ('"price, EUR",y\n1,2\n', ("price, EUR", "y")),
    "a comma in an unquoted name": (
        "price, EUR;area, m2;y\n1,5;2;3\n",
        ("price, EUR", "area, m2", "y"),
    ),
    "a hash in a name": ("#rooms,a#b,y\n1,2,3\n", ("#rooms", "a#b", "y")),
    "a quotation mark in a name": ('"a ""b""",y\n1,2\n', ('a "b"', "y")),
    "a line end in a name": ('"a\nb",y\n1,2\n', ("a b", "y")),
    "Latin-1": ("Größe,Œuvre,y\n1,2,3\n".encode("cp1252"), ("Größe", "Œuvre", "y")),
    "Latin-1 that Windows lacks": (b"a\x81,b,y\n1,2,3\n", ("a\x81", "b", "y")),
    "UTF-8": ("大きさ,é,y\n1,2,3\n", ("大きさ", "é", "y")),
    "some names are numbers": ("2019,b,y\n1,2,3\n", ("2019", "b", "y")),
    "names that scikit-learn writes": ("150,4,setosa\n5.1,3.5,0\n", ("150", "4", "setosa")),
    "markup is kept as it is": (
        "<script>alert(1)</script>,y\n1,2\n",
        ("<script>alert(1)</script>", "y"),
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path, case):
    content, names = NAMES[case]
    found = read(tmp_path / "t.csv", content)
    assert (*found.inputs, found.label) == names


NOTED = {
    "index of pandas": (",a,b,y\n0,1,2,3\n1,4,5,6.5\n", {}, "the index column"),
    "index of pandas, shuffled": (",a,b,y\n17,1,2,3\n-3,4,5,6.5\n", {}, "the index column"),
    "index of R": (
        '"","a","b","y"\n"Mazda RX4",1,2,3\n"Fiat 128",4,5,6.5\n',
        {},
        "the index column",
    ),
    "index written twice": (",Unnamed: 0,a,b,y\n0,0,1,2,3\n1,1,4,5,6.5\n", {}, "2 index columns"),
    "an empty row": ("a,b,y\n1,2,3\n,,\n4,5,6.5\n,,\n", {}, "2 empty rows"),
    "one empty row": ("a,b,y\n,,\n1,2,3\n4,5,6.5\n", {}, "1 empty row"),
    "text left out": ("id,a,b,y\nx1,1,2,3\nNA,4,5,6.5\n", {"drop": ["id"]}, "column id"),
    "inputs alone": (
        "id,y,b,a\nx1,3,2,1\n,6.5,5,4\n",
        {"inputs": ["a", "b"], "target": "y"},
        "column id",
    ),
    "label before what is left out": ("a,b,y,z\n1,2,3,\n4,5,6.5,\n", {"drop": ["z"]}, "column z"),
    "three left out": (
        "p,a,q,b,r,y\n,1,,2,,3\n,4,,5,,6.5\n",
        {"drop": ["q", "p", "r"]},
        "columns p, q and r",
    ),
}


@pytest.mark.parametrize("case", NOTED)
def test_what_is_left_out_is_noted(tmp_path, case):
    content, chosen, note = NOTED[case]
    found = read(tmp_path / "t.csv", content, **chosen)
    assert (*found.inputs, found.label) == ("a", "b", "y")
    np.testing.assert_array_equal(np.column_stack([found.x, found.y]), PLAIN)
    assert found.notes == (note,)


CELL = "t.csv, line {}, column {!r}: "
OUT = "or leave the column out with drop=[{!r}]"
REFUSED = {
    "empty": (b"", "t.csv must hold a table, got an empty file"),
    "blanks alone": (b" \n\n", "an empty file"),
    "separators alone": (b",,,\n,,,\n", "no names of columns"),
    "names alone": (b"a,b\n", "t.csv must have rows of numbers, got only names"),
    "no names": (
        b"1,2,3\n4,5,6\n",
        "line 1: names of columns are needed, got a row of values such as 1; write",
    ),
    "no names, decimal commas": (b"1,5;2,5\n4,5;6,5\n", "names of columns are needed"),
    "no names above text": (b"5.1,M,2\n4.9,F,1\n", "got a row of values such as 5.1; write a line"),
    "one column": (b"y\n1\n2\n", "line 1: names of at least 2 columns are needed, got 'y'"),
    "separated by blanks": (
        b"a b y\n1 2 3\n",
        "separate columns by commas, semicolons, tabs, or bars",
    ),
    "index and label alone": (b",y\n0,1\n1,2\n", "at least 2 columns are needed, got 'y'"),
    "same names": (b"a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are called 'a'"),
    "a column without a name": (b"a,,y\n1,2,3\n", "line 1: column 2 has no name"),
    "an unnamed last column": (b"a,b,\n1,2,3\n", "line 2: must have 2 cells"),
    "an unnamed measurement": (
        b",b,y\n0.5,2,3\n",
        "line 2: column 1 has no name, which only an index may lack, got '0.5'",
    ),
    "text": (
        b"a,b,y\n1,2,3\n4,M,6\n",
        CELL.format(3, "b") + "must be a number, got 'M'; write numbers, " + OUT.format("b"),
    ),
    "long text": (b"a,y\n1,2\n" + b"x" * 99 + b",2\n", "got '" + "x" * 37 + "...'"),
    "an empty cell": (
        b"a,b,y\n1,2,3\n4,,6\n",
        CELL.format(3, "b") + "no value may be missing, got ''; remove the row, " + OUT.format("b"),
    ),
    "NA": (b"a,b,y\n1,2,3\n\n4,5,NA\n", CELL.format(4, "y") + "no value may be missing, got 'NA'"),
    "nan": (b"a,b,y\n1,nan,3\n4,5,6\n", CELL.format(2, "b") + "no value may be missing, got 'nan'"),
    "inf": (b"a,b,y\n1,2,3\n4,-inf,6\n", CELL.format(3, "b") + "must be finite, got -inf"),
    "too large": (b"a,b,y\n1,2,3\n4,1e999,6\n", CELL.format(3, "b") + "must be finite, got inf"),
    "a date": (b"a,y\n2020-01-01,2\n", "must be a number, got '2020-01-01'"),
    "a currency": (b"a,y\n$5,2\n", "must be a number, got '$5'"),
    "a percentage": (b"a,y\n5%,2\n", "must be a number, got '5%'"),
    "a hash": (b"a,y\n1,#2\n", CELL.format(2, "y") + "must be a number, got '#2'"),
    "a comment": (
        b"# made by hand\na,b,y\n1,2,3\n",
        "t.csv, line 1: names of at least 2 columns are needed, got 'made by hand'",
    ),
    "Python's underscore": (b"a,y\n1_000,2\n", "must be a number, got '1_000'"),
    "True among numbers": (
        b"a,y\n1,2\nTrue,2\n",
        "column 'a': must hold numbers, or True and False only, got 1 of these in 2 rows",
    ),
    "too few cells": (
        b"a,b,y\n1,2,3\n4,5\n",
        "t.csv, line 3: must have 3 cells, one for each name, got 2",
    ),
    "too many cells": (
        b"a,b,y\n1,2,3\n4,5,6,7\n",
        "line 3: must have 3 cells, one for each name, got 4",
    ),
    "unquoted decimal commas": (b"a,b\n1,5,2,5\n", "line 2: must have 2 cells"),
    "row names without a name": (b'"a","b"\n"1",1,2\n', "line 2: must have 2 cells"),
    "a comma of either sense": (
        b"a;y\n1,234;2\n5;6\n",
        CELL.format(2, "a") + "'1,234' may have a decimal comma or one between thousands",
    ),
    "commas of both senses": (
        b"a;y\n1,5;2\n5;6.25\n",
        "'1,5' and '6.25' are written in different ways",
    ),
    "text beside decimal commas": (
        b"a;y\n1,5;2\n5;M\n",
        CELL.format(3, "y") + "must be a number, got 'M'",
    ),
    "wrong thousands": (b"a;y\n1,2,3;2\n5;6\n", "must be a number, got '1,2,3'"),
    "a quotation mark that stays open": (
        b'a,y\n1,2\n"3,4\n5,6\n',
        "t.csv, line 3: unexpected end of data; look for a quotation mark",
    ),
    "a quotation mark within": (b'a,y\n1,2\n"3"4,4\n', "line 3: "),
    "the line after a cell of two lines": (b'id,a,y\n"x\ny",1,2\nz,3,M\n', CELL.format(4, "y")),
    "the line after an old Macintosh": (b"a,y\r1,2\r3,M\r", CELL.format(3, "y")),
    "the line after Excel's": (b"sep=;\na;y\n1;M\n", CELL.format(3, "y")),
    "a spreadsheet": (
        b"PK\x03\x04....",
        "t.csv must be a text file, got one of another kind; save it as CSV",
    ),
    "bytes": (bytes(range(256)), "t.csv must be a text file, got bytes that are no text"),
    "half of a gzip file": (
        gzip.compress(b"a,y\n1,2\n3,4\n")[:-6],
        "must be a whole gzip file, got one that ends too early",
    ),
    "a damaged gzip file": (
        gzip.compress(b"a,y\n1,2\n")[:-8] + b"12345678",
        "must be a whole gzip file, got Error -3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path, case):
    content, message = REFUSED[case]
    chosen = {"drop": ["id"]} if content.startswith(b"id,") else {}
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path / "t.csv", content, **chosen)


# Which columns


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"target": "prize"}, "target must be among the columns a, b, price, got 'prize'; did you"),
        ({"target": "prize", "of": "compare"}, "compare_target must be among the columns a, b, pr"),
        ({"inputs": ["c"]}, "inputs must be among the columns a, b, price, got 'c'"),
        ({"drop": ["A"]}, "drop must be among the columns a, b, price, got 'A'"),
        ({"inputs": "a"}, "inputs must be a list of names of columns, got 'a'"),
        ({"drop": [1]}, "drop must be a list of names of columns, got [1]"),
        ({"target": 3}, "target must be the name of a column, got 3"),
        ({"target": "a", "drop": ["a"]}, "drop must not name a column that is used, got 'a'"),
        ({"inputs": ["a"], "drop": ["a"]}, "drop must not name a column that is used, got 'a'"),
        ({"inputs": ["a", "price"]}, "inputs must not name the label, got 'price'; name another"),
        ({"inputs": ["a", "a"]}, "inputs must be different columns, got a, a"),
        ({"drop": ["a", "b"]}, "inputs must be different columns, got none"),
    ],
)
def test_columns_that_cannot_be_chosen(tmp_path, chosen, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path / "t.csv", "a,b,price\n1,2,3\n4,5,6\n", **chosen)


def test_of_many_columns_an_error_names_a_few(tmp_path):
    names = ",".join(f"a{i}" for i in range(5000))
    with pytest.raises(ValueError, match="a0, a1, a2, a3, a4, a5, a6, a7 and 4992 more, got 'b'"):
        read(tmp_path / "t.csv", f"{names}\n{',1' * 5000}"[:-1], target="b")


# What others write


CELLS = st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters="\ufeff"),
    min_size=1,
    max_size=8,
)


def is_name(word):
    return not re.fullmatch(r"[\d.,eE+-]+|Unnamed: \d+|# .*", word)


@st.composite
def written(draw):
    """A table, and the bytes in which some program might write it."""
    names = draw(st.lists(WORDS.filter(is_name), min_size=2, max_size=5, unique=True))
    rows = draw(
        st.lists(st.lists(CELLS, min_size=len(names), max_size=len(names)), min_size=1, max_size=6)
    )
    separator = draw(st.sampled_from(",;\t|"))
    decimal = draw(st.sampled_from(".,"))
    if decimal == ",":
        rows.append([0.5] * len(names))  # with 1,234 alone nothing tells a thousand from a decimal
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=separator,
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
    )
    index = draw(st.booleans())
    writer.writerow([""] * index + names)
    for i, row in enumerate(rows):
        cells = [f"{value!r}".replace(".", decimal) for value in row]
        writer.writerow([str(i)] * index + cells)
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
    content = out.getvalue().encode(encoding)
    return names, rows, gzip.compress(content) if draw(st.booleans()) else content


@given(written())
@settings(max_examples=300, deadline=None)
def test_any_table_reads_back_as_it_was_written(tmp_path_factory, table):
    names, rows, content = table
    path = tmp_path_factory.getbasetemp() / "written.csv"
    found = read(path, content)
    assert (*found.inputs, found.label) == tuple(names)
    np.testing.assert_array_equal(np.column_stack([found.x, found.y]), rows)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"index": False},
        {"index": False, "sep": ";", "decimal": ","},
        {"sep": "\t"},
        {"index": False, "encoding": "utf-16"},
        {"index": False, "quoting": csv.QUOTE_NONNUMERIC},
        {"index": False, "float_format": "%.17e"},
        {"compression": "gzip"},
    ],
)
def test_what_pandas_writes(tmp_path, options):
    frame = pd.DataFrame({"x, 1": [0.1, 1e-300], "on": [True, False], "n": [3, -4], "y": [0.5, 7]})
    frame.to_csv(tmp_path / "t.csv", **options)
    found = tables.read(tmp_path / "t.csv", tables.select())
    assert (*found.inputs, found.label) == tuple(frame.columns)
    np.testing.assert_array_equal(np.column_stack([found.x, found.y]), frame.to_numpy(dtype=float))
    assert found.notes == (() if options.get("index") is False else ("the index column",))


# Size, and what is no text


def test_text_that_unpacks_to_too_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(texts, "LIMIT", 10**6)
    bomb = gzip.compress(b"a,y\n" + b"1,2\n" * 10**6)
    assert len(bomb) < 10**5
    for content in (bomb, b"a,y\n" + b"1,2\n" * 10**6, gzip.compress(b" " * 999_999) * 9):
        with pytest.raises(ValueError, match="at most 1000000 bytes of text, got more"):
            read(tmp_path / "t.csv", content)


def test_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "t.csv").mkdir()
    with pytest.raises(ValueError, match=r"t\.csv cannot be read: "):
        tables.read(tmp_path / "t.csv", tables.select())


# Parquet


def test_parquet_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"pip install 'phase-utils\[parquet\]'"):
        tables.read(tmp_path / "t.parquet", tables.select())


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [1, 2], "on": [True, False], "s": ["u", "v"], "y": [0.5, 2.5]})
    frame.index = [5, 3]
    frame.to_parquet(path)
    found = tables.read(path, tables.select(drop=["s"]))
    assert (*found.inputs, found.label) == ("a", "on", "y")
    np.testing.assert_array_equal(np.column_stack([found.x, found.y]), [[1, 1, 0.5], [2, 0, 2.5]])
    assert found.notes == ("the index column", "column s")
    with pytest.raises(ValueError, match=r"column 's': must hold numbers, got (large_)?string"):
        tables.read(path, tables.select())
    for value, message in [(None, "row 2: no value may be"), (np.inf, "row 2: must be finite")]:
        frame["a"] = pd.array([1.0, value], dtype="Float64")
        frame.to_parquet(path)
        with pytest.raises(ValueError, match=message):
            tables.read(path, tables.select(drop=["s"]))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ValueError, match=r"t\.parquet must be a Parquet file"):
        tables.read(path, tables.select())
