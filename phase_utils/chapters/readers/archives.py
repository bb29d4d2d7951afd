"""Arrays of numbers in NPZ files, of which nothing is believed before it is checked.

The header of every array says how many bytes follow. They must be those that the archive holds, and
not too many, before any are unpacked; objects are never unpickled.
"""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from phase_utils._check import Array
from phase_utils.chapters.readers.tables import MOST_BYTES, Samples, Selection


def read(path: Path, selection: Selection) -> Samples:
    """Return the samples in an NPZ file.

    Parameters
    ----------
    path : an archive with an array "x" (or "X") of n samples with d inputs, and their labels,
        (n,) or (n, 1).
    selection : its target names the array of labels; empty: "y" (or "Y").

    Raises
    ------
    ValueError
        For a file that is no archive, is damaged, too large, lacks an array, or holds something
        other than real and finite numbers; for `inputs` or `drop`, as arrays name no columns.
    """
    file = path.name
    named = selection.named()
    argument = next(iter(named))
    for name in ("inputs", "drop"):
        if named[name]:
            raise ValueError(f"{name} must be empty for {file}, whose columns have no names")
    target = selection.target
    with _archive(path) as archive:
        held = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        places = []
        for what, names in (
            (selection.of, ("x", "X")),
            (argument, (target,) if target else ("y", "Y")),
        ):
            places.append(next((name for name in names if name in held), ""))
            if not places[-1]:
                raise ValueError(
                    f"{what}: {file} must hold an array {names[0]!r}, got "
                    f"{', '.join(sorted(held)[:8]) or 'none'}"
                )
        x, y = (_array(f"{file}, array {name!r}", archive, held[name]) for name in places)
    if x.ndim != 2 or places[0] == places[1]:
        raise ValueError(
            f"{file}: {places[0]} must have shape (n, d), and labels beside it, got {x.shape}"
        )
    if y.shape not in ((len(x),), (len(x), 1)):
        raise ValueError(
            f"{file}: {places[1]} must have shape ({len(x)},), as {places[0]} has {x.shape}, got "
            f"{y.shape}"
        )
    inputs = tuple(f"{places[0]}[:, {i}]" for i in range(x.shape[1]))
    return Samples(x, y.reshape(-1), places[1], inputs)


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        with path.open("rb") as stream:
            start = stream.read(len(npy.MAGIC_PREFIX))
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from None
    try:
        if start != npy.MAGIC_PREFIX:
            return zipfile.ZipFile(path)
        seen = "a single array (.npy)"
    except Exception as error:  # whatever a damaged directory leads zipfile to
        seen = f"one that cannot be read ({error})" if start else "an empty file"
    raise ValueError(f"{path.name} must be an .npz file, got {seen}; write x and y by np.savez")


def _array(where: str, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Array:
    """One array, whose header must agree with what the archive says before anything is unpacked."""
    try:
        with archive.open(info) as stream:
            version = npy.read_magic(stream)
            read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
            shape, fortran, dtype = read_header[version](stream)
            refusal = _refusal(shape, dtype, info.file_size - stream.tell())
            content = b"" if refusal else stream.read()
    except Exception as error:  # whatever the parsers stumble over
        raise ValueError(f"{where}: must be an array as np.savez writes it, got {error}") from None
    if refusal:
        raise ValueError(f"{where}: {refusal}")
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if fortran else "C")
    with np.errstate(over="ignore"):
        numbers = np.array(values, dtype=np.float64)
    for place in np.argwhere(~np.isfinite(numbers))[:1]:
        raise ValueError(f"{where}: must be finite, got {values[tuple(place)]} at {place.tolist()}")
    return numbers


def _refusal(shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> str:
    """Why an array of this shape and type is not read from `held` bytes; empty if it is."""
    count = math.prod(shape)
    if dtype.kind not in "biuf":
        return f"must hold real numbers, got type {dtype}"
    if min(shape, default=0) < 0 or count * dtype.itemsize != held:
        return f"must be whole, got a shape {shape} of {count * dtype.itemsize} bytes, and {held}"
    if count * 8 > MOST_BYTES:
        return f"must be at most {MOST_BYTES} bytes large, got shape {shape}"
    return ""
