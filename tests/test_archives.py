"""NPZ files: read as arrays of numbers, refused where anything in them is not what it says."""

import io
import re
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase_utils.chapters.readers import archives, tables

X, Y = np.arange(6.0).reshape(3, 2), np.array([1.0, 0.0, 2.0])


def npz(compressed=True, **arrays):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **arrays)
    return file.getvalue()


def npy(shape=(3, 2), held=48, descr="<f8", version=b"\x01\x00"):
    """An array file whose header may say anything."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + bytes(held)


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, content in members.items():
            opened.writestr(f"{name}.npy", content)
    return file.getvalue()


def read(path, content, **chosen):
    path.write_bytes(content)
    return archives.read(path, tables.select(**chosen))


@pytest.mark.parametrize(
    ("arrays", "chosen"),
    [
        ({"x": X, "y": Y}, {}),
        ({"X": X, "Y": Y}, {}),
        ({"X": X, "y": Y, "names": np.array(["a", "b"])}, {}),
        ({"x": X, "price": Y, "y": -Y}, {"target": "price"}),
        ({"x": X, "y": Y[:, None]}, {}),
        ({"x": np.asfortranarray(X), "y": Y.astype(">i4")}, {}),
        ({"x": X.astype(np.float16), "y": Y.astype(np.longdouble)}, {}),
        ({"x": X.astype(np.uint8), "y": Y.astype(np.int64)}, {}),
    ],
)
@pytest.mark.parametrize("compressed", [True, False])
def test_what_is_read(tmp_path, arrays, chosen, compressed):
    found = read(tmp_path / "t.npz", npz(compressed, **arrays), **chosen)
    np.testing.assert_array_equal(found.x, X)
    np.testing.assert_array_equal(found.y, Y)
    assert found.x.dtype == found.y.dtype == np.float64
    assert found.label in ("y", "Y", "price")


def test_truth_is_one_and_zero(tmp_path):
    found = read(tmp_path / "t.npz", npz(x=X > 2, y=Y > 0))
    np.testing.assert_array_equal(found.y, [1, 0, 1])


WHOLE = npz(x=X, y=Y)
REFUSED = {
    "empty": (b"", "t.npz must be an .npz file, got an empty file"),
    "text": (
        b"x,y\n1,2\n",
        "got one that cannot be read (File is not a zip file); write x and y by",
    ),
    "one array": (npy(), "t.npz must be an .npz file, got a single array (.npy); write x and y by"),
    "half": (WHOLE[: len(WHOLE) // 2], "got one that cannot be read"),
    "an empty archive": (archive(), "data: t.npz must hold an array 'x', got none"),
    "other names": (npz(features=X, labels=Y), "must hold an array 'x', got features, labels"),
    "no labels": (npz(x=X), "target: t.npz must hold an array 'y', got x"),
    "not an array": (archive(x=b"1,2", y=npy((3,), 24)), "array 'x': must be an array as np.savez"),
    "objects": (
        npz(x=np.array([[{}], [1]]), y=Y[:2]),
        "array 'x': must hold real numbers, got type",
    ),
    "complex": (npz(x=X * 1j, y=Y), "array 'x': must hold real numbers, got type complex128"),
    "text in an array": (
        npz(x=X, y=np.array(["a", "b", "c"])),
        "array 'y': must hold real numbers",
    ),
    "fields": (npz(x=np.zeros(3, "f8,i4"), y=Y), "array 'x': must hold real numbers"),
    "nan": (npz(x=X, y=[1, np.nan, 2]), "array 'y': must be finite, got nan at [1]"),
    "inf": (npz(x=np.where(X > 2, np.inf, X), y=Y), "array 'x': must be finite"),
    "one dimension": (npz(x=X[:, 0], y=Y), "t.npz: x must have shape (n, d), and labels beside it"),
    "a number": (npz(x=1.0, y=Y), "t.npz: x must have shape (n, d)"),
    "lengths": (npz(x=X, y=Y[:2]), "y must have shape (3,), as x has (3, 2), got (2,)"),
    "labels in a row": (npz(x=X, y=Y[None]), "y must have shape (3,), as x has (3, 2), got (1, 3)"),
    "80 TB": (archive(x=npy((10**7, 10**6)), y=npy((3,), 24)), "array 'x': must be whole, got a"),
    "a negative shape": (archive(x=npy((-3, -2)), y=npy((3,), 24)), "array 'x': must be whole"),
    "too little": (archive(x=npy(held=40), y=npy((3,), 24)), "of 48 bytes, and 40"),
    "too much": (archive(x=npy(held=56), y=npy((3,), 24)), "of 48 bytes, and 56"),
    "a later format": (
        archive(x=npy(version=b"\x07\x00"), y=b""),
        "array 'x': must be an array as",
    ),
    "an open bracket": (
        archive(x=npy(descr="").replace(b"(3", b"[3"), y=b""),
        "array 'x': must be",
    ),
    "a type that is code": (
        archive(x=npy(descr="__import__('os')"), y=b""),
        "array 'x': must be an",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(tmp_path, case):
    content, message = REFUSED[case]
    with pytest.raises(ValueError, match=re.escape(message)):
        read(tmp_path / "t.npz", content)


def test_columns_of_arrays_have_no_names_to_choose(tmp_path):
    with pytest.raises(ValueError, match=r"drop must be empty for t\.npz, whose columns have no"):
        read(tmp_path / "t.npz", WHOLE, drop=["a"])
    with pytest.raises(
        ValueError, match=r"compare_target: t\.npz must hold an array 'z', got x, y"
    ):
        read(tmp_path / "t.npz", WHOLE, target="z", of="compare")
    with pytest.raises(ValueError, match="and labels beside it"):
        read(tmp_path / "t.npz", WHOLE, target="x")


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(ValueError, match=f"{tmp_path.name} cannot be read: "):
        archives.read(tmp_path, tables.select())


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_BYTES", 10**6)
    bomb = npz(x=np.zeros((10**5, 2)), y=np.zeros(10**5))
    assert len(bomb) < 10**4
    monkeypatch.setattr(zipfile.ZipExtFile, "read", limited(zipfile.ZipExtFile.read))
    with pytest.raises(
        ValueError, match="array 'x': must be at most 1000000 bytes large, got shape"
    ):
        read(tmp_path / "t.npz", bomb)


def limited(read_bytes):
    def read_few(self, n=-1):
        assert 0 <= n <= 10_000, "read before its size was checked"
        return read_bytes(self, n)

    return read_few


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path_factory, place, change, cut):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    content = bytearray(WHOLE)
    content[place] ^= change
    try:
        found = read(path, bytes(content[: place + 1] if cut else content))
    except ValueError as error:
        found = None
        said = str(error)
    if found is None:
        assert "damaged.npz" in said
    else:
        np.testing.assert_array_equal(found.x, X)
        np.testing.assert_array_equal(found.y, Y)
