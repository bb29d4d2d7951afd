"""Files as the calculator reads them: to the same numbers as the package, or refused alike."""

import base64
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from live_tabs import formulas_of

import phase_utils as pu

# the samples of a file, or what is said of it; a column is a name or a place
READ = """([file, bytes, target, drop]) => {
  try {
    const data = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
    const from = T.table(file, T.decoded(file, data));
    const label = target ? from.names.indexOf(target) : from.names.length - 1;
    const kept = (i) => i !== label && !drop.includes(from.names[i]);
    const inputs = [...from.names.keys()].filter(kept);
    const made = T.samples(from, label, inputs);
    return { x: made.x.map((column) => [...column]), y: [...made.y], said: made.said };
  } catch (error) {
    if (!(error instanceof T.Refused)) throw error;
    return { refused: error.message };
  }
}"""


@pytest.fixture(scope="module")
def page(browser):
    """A tab in which T holds what the page reads with."""
    with formulas_of(browser, "calculator") as tab:
        yield tab


def both(page, path, target="", drop=()):
    """What the page makes of a file, and what the package does, each samples or a refusal."""
    sent = base64.b64encode(path.read_bytes()).decode()
    here = page.evaluate(READ, [path.name, sent, target, list(drop)])
    try:
        task = pu.data.load(str(path), target=target, drop=drop)
    except ValueError as error:
        return here, re.sub(r" with drop=\[.*\]$", "", str(error))
    return here, task


def agrees(here, there):
    """Whether both read the same numbers and say the same, or refuse in the same words."""
    if isinstance(there, str) or "refused" in here:
        return here.get("refused") == there
    x = np.array(here["x"]).T
    same = x.shape == there.x.shape and here["said"] == there.description
    return same and all(
        np.allclose(a, b, rtol=1e-9, atol=1e-9)
        for a, b in ((x, there.x), (np.array(here["y"]), there.y))
    )


PLAIN = "a,b,y\n1,2,3\n4,5,7\n2,-1,0.5\n"
FILES = {
    "plain": PLAIN,
    "no end of line": PLAIN.rstrip(),
    "ends of Windows": PLAIN.replace("\n", "\r\n"),
    "ends of old Macs": PLAIN.replace("\n", "\r"),
    "semicolons": PLAIN.replace(",", ";"),
    "decimal commas": "a;b;y\n1,5;2;3\n4;5,25;7\n2;-1;0,5\n",
    "commas between thousands": 'a;b;y\n"1,234,567.5";2;3\n4;5;7\n2;-1;1\n',
    "points between thousands": "a;b;y\n1.234.567,5;2;3\n4;5;7\n2;-1;1\n",
    "which comma": "a;b;y\n1,234;2;3\n4;5;7\n2;-1;1\n",
    "both commas": "a;b;y\n1.234,5;2;3\n1,234.5;5;7\n2;-1;1\n",
    "tabs": PLAIN.replace(",", "\t"),
    "bars": PLAIN.replace(",", "|"),
    "sep": "sep=;\n" + PLAIN.replace(",", ";"),
    "sep of blanks": "sep=: \r\n" + PLAIN.replace(",", ":"),
    "blanks after separators": PLAIN.replace(",", ", "),
    "a comment sign": "# " + PLAIN,
    "quotes": '"a","b ""c""","y"\n"1","2","3"\n4,5,"7"\n2,-1,.5\n',
    "a line in quotes": '"a\nb",c,y\n1,2,3\n4,5,7\n2,-1,0.5\n',
    "a line in a bad cell": 'a,b,y\n1,"2\n\r\t\\x",3\n4,5,7\n',
    "a separator in quotes": '"a,b",c,y\n1,2,3\n4,5,7\n2,-1,0.5\n',
    "an open quote": 'a,b,y\n1,"2,3\n4,5,7\n',
    "a quote that goes on": 'a,b,y\n1,"2"5,3\n4,5,7\n',
    "quotes within a cell": 'a,b"c"d,y\n1,2,3\n4,5,7\n2,-1,0\n',
    "an index": ",a,y\n0,1,2\n1,4,7\n2,0,1\n",
    "two indices": ",Unnamed: 1,a,y\nu,0,1,2\nv,1,4,7\nw,2,0,1\n",
    "an index that is none": ",a,y\n0.5,1,2\n1,4,7\n",
    "truths": "a,b,y\nTrue,2,3\nfalse,5,7\n TRUE ,-1,0.5\n",
    "truths and numbers": "a,b,y\nTrue,2,3\n0,5,7\n1,-1,0.5\n",
    "empty rows": "a,b,y\n1,2,3\n,,\n\n4,5,7\n , , \n2,-1,0.5\n",
    "empty ends": "a,b,y,,\n1,2,3,,\n4,5,7,,\n2,-1,0.5\n",
    "a full end": "a,b,y\n1,2,3,4\n4,5,7\n",
    "a short row": "a,b,y\n1,2,3\n4,5\n2,-1,0.5\n",
    "a gap": "a,b,y\n1,2,3\n4,,7\n2,-1,0.5\n",
    "NA": "a,b,y\n1,2,3\n4,5,7\n2, n/a ,0.5\n",
    "nan": "a,b,y\n1,2,3\n4,NaN,7\n2,-1,0.5\n",
    "infinite": "a,b,y\n1,2,3\n4,-Infinity,7\n2,-1,0.5\n",
    "beyond floats": "a,b,y\n1,2,3\n4,1e999,7\n2,-1,0.5\n",
    "words": "a,b,y\n1,red,3\n4,blue,7\n2,red,0.5\n",
    "long words": f"a,b,y\n1,{'red ' * 30},3\n4,5,7\n",
    "quoted words": "a,b,y\n1,it's,3\n4,5,7\n",
    "underscores": "a,b,y\n1_000,2,3\n4,5,7\n2,-1,0.5\n",
    "hexadecimal": "a,b,y\n0x10,2,3\n4,5,7\n2,-1,0.5\n",
    "signs and exponents": "a,b,y\n+1.,2e1,-3E-1\n.5,-5.25e+2,7\n2,-1,0\n",
    "half an exponent": "a,b,y\n1e,2,3\n4,5,7\n",
    "the same name": "a,a,y\n1,2,3\n4,5,7\n",
    "no name": "a,,y\n1,2,3\n4,5,7\n",
    "one column": "y\n1\n2\n",
    "names alone": "a,b,y\n",
    "one row": "a,b,y\n1,2,3\n",
    "no names": "1,2,3\n4,5,7\n2,-1,0.5\n",
    "years as names": "1990,1991,y\n1,2,3\n4,5,7\n2,-1,0.5\n",
    "years above words": "1990,b,y\n1,red,3\n4,blue,7\n",
    "a constant column": "a,b,y\n1,2,3\n4,2,7\n2,2,0.5\n",
    "four constant columns": "a,b,c,d,e,y\n1,2,3,4,5,6\n2,2,3,4,5,7\n3,2,3,4,5,1\n",
    "constant columns alone": "a,b,y\n1,2,3\n1,2,7\n",
    "a constant label": "a,b,y\n1,2,30.5\n4,5,30.5\n",
    "a nearly constant column": "a,b,y\n0.1,2,3\n0.1,5,7\n0.30000000000000004,5,7\n0.3,-1,0.5\n",
    "large and small": "a,b,y\n1e200,2e-300,3\n4e200,5e-300,7\n2e200,-1e-300,0.5\n",
    "far from zero": "a,b,y\n1000000001,2,3\n1000000004,5,7\n1000000002,-1,0.5\n",
    "blank names": "  a  b , c\t,y\n1,2,3\n4,5,7\n2,-1,0.5\n",
    "no separator": "a b y\n1 2 3\n4 5 7\n",
    "blank": " \n\r\n\t\n",
    "nothing": "",
    "accents": "größe,naïveté,y\n1,2,3\n4,5,7\n2,-1,0.5\n",
    "spaces of other widths": "a,b,y\n1,\N{NO-BREAK SPACE}2\N{EM SPACE},3\n4,5,7\n2,-1,0.5\n",
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_by_the_package_or_refused_in_its_words(page, tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_bytes(FILES[name].encode())
    here, there = both(page, path)
    assert agrees(here, there), (here, there)


BYTES = {
    "utf-8 with a mark": FILES["accents"].encode("utf-8-sig"),
    "utf-16": FILES["accents"].encode("utf-16"),
    "utf-16 of the other end": b"\xfe\xff" + FILES["accents"].encode("utf-16-be"),
    "utf-16 without a mark": FILES["plain"].encode("utf-16-le"),
    "utf-16 of the other end without a mark": FILES["plain"].encode("utf-16-be"),
    "windows-1252": FILES["accents"].replace("y", "\N{EURO SIGN}").encode("cp1252"),
    "latin-1": FILES["accents"].encode("latin-1").replace(b"y", b"\x81"),
    "zeros": b"a,b,y\n1,2\x00,3\n4,5,7\n",
    "cut off": "größe,a,y\n1,2,3\n4,5,7\n2,3,ö".encode()[:-1],
    "an archive": b"PK\x03\x04 and more",
    "a book": b"%PDF-1.7",
}


@pytest.mark.parametrize("name", BYTES)
def test_encodings_are_told_as_the_package_tells_them(page, tmp_path, name):
    path = tmp_path / "table.csv"
    path.write_bytes(BYTES[name])
    here, there = both(page, path)
    assert agrees(here, there), (here, there)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(PLAIN.encode(), mtime=0), "must be a text file"),
        (PLAIN.encode("utf-32"), "must be a text file"),
        (PLAIN.replace("2", "\N{ARABIC-INDIC DIGIT TWO}").encode(), "must be a number"),
    ],
)
def test_what_only_the_package_reads_is_refused(page, tmp_path, content, said):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    here, there = both(page, path)
    assert said in here["refused"] and not isinstance(there, str)


def test_label_and_columns_are_chosen_as_by_target_and_drop(page, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b,c,d,e,y\n1,u,3,9,2,6\n2,v,1,1,3,7\n3,w,3,4,5,1\n")
    here, there = both(page, path, target="a", drop=["b", "d"])
    assert agrees(here, there) and "label a" in there.description
    assert agrees(*both(page, path, drop=["b"]))
    here, there = both(page, path)
    assert here["refused"] == there and "leave the column out" in there


# what a table may be made of, and what may happen to it
CELLS = ["1", "-2.5", "3e2", " 7", "1,5", "1.234,5", "1,234", "", "NA", "x"]
CELLS += ['"4"', '"a,b"', "True", "0.5"]
SEPARATORS = [",", ";", "\t", "|"]
INSERTED = ['"', "\n", ",", ";", "\r", " ", "1", "NA", "'", "\\", "#"]


def scrambled(rng):
    """A table of cells that may be bad, with a letter put in or taken out here and there."""
    separator, columns = rng.choice(SEPARATORS), int(rng.integers(2, 5))
    good = int(rng.integers(1, len(CELLS)))
    rows = [[f"c{i}" for i in range(columns)]]
    rows += [list(rng.choice(CELLS[:good], columns)) for _ in range(rng.integers(2, 6))]
    text = "\n".join(separator.join(row) for row in rows)
    for _ in range(rng.integers(0, 3)):
        place = int(rng.integers(0, len(text)))
        put = rng.choice(["", rng.choice(INSERTED)])
        text = text[:place] + put + text[place + rng.integers(0, 2) :]
    return text


def test_scrambled_files_are_never_read_differently(page, tmp_path):
    rng, path = np.random.default_rng(11), Path(tmp_path / "table.csv")
    kinds = set()
    for _ in range(150):
        path.write_bytes(scrambled(rng).encode())
        here, there = both(page, path)
        assert agrees(here, there), (path.read_bytes(), here, there)
        kinds.add(re.sub(r"'.*?'|\d+", "", there) if isinstance(there, str) else "read")
    assert "read" in kinds and len(kinds) > 8
