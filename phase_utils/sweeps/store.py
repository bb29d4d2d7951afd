"""A sweep on disk, a zarr group that grows chunk by chunk and that `xarray.open_zarr` reads.

Beside the arrays lie `sweep.json`, which says of what sweep they are, and for every finished chunk
`done/INDEX.json` with the checksums of its files, written last; `done.json` repeats these when a
run ends. What neither records, or what differs from its record, is not done. So a run may be killed
at any moment, damage is found, and of the three any one may be lost.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from phase_utils._files import READ_ONLY, alone, local_path, remove_leftovers, write_atomic
from phase_utils.sweeps.chunks import FIELDS, Chunk, Plan, Values

if TYPE_CHECKING:
    import xarray

SWEEP, RECORDS, DONE = "sweep.json", "done.json", "done"
LOCK, NEW = ".lock", ".new"  # while a run is at it, and while it makes what describes the arrays
BLOCKED = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


class Store:
    """The store of one sweep, for one run at a time, which holds it by `with`.

    Parameters
    ----------
    path : folder of the store; created, with the folders above it, where there is none.
    template : the dataset of the sweep, its fields those of `chunks.untrained`; coordinates and
        attributes tell whether an existing store is of the same sweep.
    plan : the chunks.

    Raises
    ------
    ValueError
        On entering: for a path that is none of this machine, holds something else or another sweep
        (the differences are named), cannot be made or written, or is held by another run. Where
        nothing can be written, a store is read, and refused if a chunk is left to train.
    """

    def __init__(self, path: str | Path, template: "xarray.Dataset", plan: Plan) -> None:
        self.path, self.plan = local_path("store", path), plan
        self.writable = True
        self._template, self._held = template, ExitStack()
        axes = {str(name): axis.values.tolist() for name, axis in template.coords.items()}
        # as a file holds it
        self._identity = json.loads(json.dumps({"attributes": template.attrs, "coordinates": axes}))
        self._sweep = _digest(self._identity)
        self._copies: dict[str, Any] = {}  # of what `done` records

    def __enter__(self) -> Self:
        try:
            with ExitStack() as held:
                self._open(held)
                self._held = held.pop_all()
        except OSError as error:
            raise ValueError(
                f"store must be a folder that can be read and written, got {self.path}: {error}"
            ) from error
        return self

    def __exit__(self, *_: object) -> None:
        content = {"sweep": self._sweep, "chunks": dict(sorted(self._copies.items()))}
        with self._held, suppress(OSError, ValueError):  # the records themselves are in place
            if self.writable and _json(self.path / RECORDS) != content:
                self._write(RECORDS, content)

    def left(self, values: Values) -> tuple[Chunk, ...]:
        """Copy what is done into the arrays of the sweep; the chunks that are not, or damaged.

        Raises ValueError where there are some and the store cannot take them.
        """
        left = tuple(chunk for chunk in self.plan.chunks if not self._read(chunk, values))
        if left and not self.writable:
            raise ValueError(
                f"store must be a folder that can be written while chunks are left to train, but "
                f"{self.path} is read-only and lacks {len(left)} of {len(self.plan.chunks)}: "
                "make it writable, or copy it and give the path of the copy"
            )
        for chunk in left:
            for name in (_record(chunk), *self._files(chunk)):
                self._cleared(name)
        return left

    def write(self, chunk: Chunk, values: Values) -> None:
        """Store a chunk from the arrays of the sweep."""
        try:
            for name, array in values.items():
                self._arrays[name][chunk.region] = array[chunk.region]
            files = self._checksums(chunk)
            self._write(_record(chunk), {"sweep": self._sweep, "files": files})
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror or error}; the chunks that were done before are in the store, "
                "and the same sweep goes on from them",
                str(self.path),
            ) from error
        self._copies[_index(chunk)] = files

    def _open(self, held: ExitStack) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(
                f"store must be a new folder or one that a sweep left, but {self.path} is a file: "
                "give another path"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            held.enter_context(alone("store", self.path, self.path / LOCK))
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
            self.writable = False
        if self.writable:
            remove_leftovers(self.path / SWEEP)
        copies = _json(self.path / RECORDS)
        if copies.get("sweep") == self._sweep and isinstance(copies.get("chunks"), dict):
            self._copies = copies["chunks"]
        self._describe()
        if self.writable:
            for pattern in ("*/*.partial", f"{DONE}/.*.tmp", f".{RECORDS}.*.tmp"):
                for leftover in self.path.glob(pattern):  # of a run that was killed
                    leftover.unlink(missing_ok=True)
        self._arrays = _opened(self.path, "r+" if self.writable else "r")

    def _describe(self) -> None:
        """Put in place what describes the arrays, where there is nothing yet or it is damaged.

        Raises ValueError unless it is of this sweep.
        """
        known = self._known()
        if known is not None and all(_sha256(self.path / k) == v for k, v in known.items()):
            return
        if not self.writable:
            raise ValueError(
                f"store must be whole where nothing can be written, but in {self.path} what "
                "describes the arrays is missing or damaged: make it writable, or give the path "
                "of a copy"
            )
        new = self.path / NEW
        shutil.rmtree(new, ignore_errors=True)
        # format 3 has no text of fixed length
        self._template.to_zarr(
            new,
            mode="w-",
            zarr_format=2,
            consolidated=True,
            write_empty_chunks=False,
            encoding={name: {"chunks": self.plan.stored} for name in FIELDS},
        )
        names = sorted(f.relative_to(new).as_posix() for f in new.rglob("*") if f.is_file())
        files = {name: _sha256(new / name) for name in names}
        # first: a run that is killed from here on finds what is missing
        content = {**self._identity, "files": files}
        self._write(SWEEP, {**content, "sha256": _digest(content)})
        for name in names:
            if _sha256(self.path / name) != files[name]:
                os.replace(new / name, self._cleared(name))
        shutil.rmtree(new)

    def _known(self) -> dict[str, str] | None:
        """The checksums of what describes the arrays, of a store of this sweep; None if unknown."""
        found = _json(self.path / SWEEP)
        if not found or found.pop("sha256", None) != _digest(found):
            new = {entry.name for entry in self.path.iterdir()} <= {LOCK, NEW}
            if not new and not self._copies and not self._vouched():
                raise ValueError(
                    f"store must be a new folder or one that a sweep left, but {self.path} has no "
                    f"readable {SWEEP}, and no chunk of this sweep that could replace it: give "
                    "another path, or delete the folder if nothing in it is needed"
                )
            return None
        stored = {**found["attributes"], **found["coordinates"]}
        wanted = {**self._identity["attributes"], **self._identity["coordinates"]}
        if stored != wanted:
            raise ValueError(
                f"store {self.path} holds another sweep (give another path to keep both): "
                f"{_differences(stored, wanted)}"
            )
        return dict(found["files"])

    def _vouched(self) -> bool:
        """Whether there is a chunk that is recorded as one of this sweep."""
        records = (self.path / DONE).glob("*.json")
        return any(_json(record).get("sweep") == self._sweep for record in records)

    def _read(self, chunk: Chunk, values: Values) -> bool:
        """Copy a chunk into the arrays of the sweep; False where it is not done, or damaged."""
        own = _json(self.path / _record(chunk))
        copy = {"sweep": self._sweep, "files": self._copies.pop(_index(chunk), None)}
        if own.get("sweep") != self._sweep and copy["files"] is None:
            return False
        files = self._checksums(chunk)
        found = {"sweep": self._sweep, "files": files}
        if None in files.values() or found not in (own, copy):
            return False
        if own != found and self.writable:
            self._write(_record(chunk), found)
        self._copies[_index(chunk)] = files
        for name, array in values.items():
            array[chunk.region] = self._arrays[name][chunk.region]
        return True

    def _write(self, name: str, content: Any) -> None:
        write_atomic(self._cleared(name), json.dumps(content, indent=1) + "\n")

    def _cleared(self, name: str) -> Path:
        """The place of a file of the store, in which no folder is; its own folder is made."""
        place = self.path / name
        try:
            place.parent.mkdir(exist_ok=True)
            if place.is_dir() and not place.is_symlink():
                place.rmdir()
        except OSError as error:
            if error.errno not in BLOCKED:
                raise
            raise ValueError(
                f"store must have a file {name}, but in {self.path} something else is in its "
                "place: move it away, and the sweep goes on"
            ) from None
        return place

    def _files(self, chunk: Chunk) -> list[str]:
        """The names of the files that hold a chunk."""
        pieces = [
            range(rows.start // size, -(-rows.stop // size))
            for rows, size in zip(chunk.region, self.plan.stored, strict=True)
        ]
        return [f"{field}/{'.'.join(map(str, at))}" for field in FIELDS for at in product(*pieces)]

    def _checksums(self, chunk: Chunk) -> dict[str, str | None]:
        return {name: _sha256(self.path / name) for name in self._files(chunk)}


def _index(chunk: Chunk) -> str:
    return f"{chunk.index:06d}"


def _record(chunk: Chunk) -> str:
    return f"{DONE}/{_index(chunk)}.json"


def _differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    parts = []
    for name in dict.fromkeys([*stored, *wanted]):
        there, here = stored.get(name), wanted.get(name)
        if there == here:
            continue
        if isinstance(there, list) and isinstance(here, list):
            if len(there) != len(here):
                there, here = f"{len(there)} values", f"{len(here)} values"
            else:
                at = next(i for i, (a, b) in enumerate(zip(there, here, strict=True)) if a != b)
                name, there, here = f"{name}[{at}]", there[at], here[at]
        parts.append(f"{name} is {there} there and {here} here")
    return "; ".join(parts)


def _opened(path: Path, mode: Any) -> dict[str, Any]:
    import zarr

    # a piece equal to the fill value is written too: a missing file means that it is not done
    with zarr.config.set({"array.write_empty_chunks": True}):
        return {name: zarr.open_array(path / name, mode=mode, zarr_format=2) for name in FIELDS}


def _json(file: Path) -> dict[str, Any]:
    """What a file of JSON holds; nothing where it cannot be read."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
