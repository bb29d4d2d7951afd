"""A sweep on disk, a zarr group that grows chunk by chunk and that `xarray.open_zarr` reads.

Beside the arrays lie `sweep.json`, which says of what sweep they are, and for every finished chunk
`done/INDEX.json` with the checksums of its files, written last. What has no such record, or differs
from it, is not done. So a run may be killed at any moment, and damage is found.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phase_utils._files import write_atomic
from phase_utils.sweeps.chunks import FIELDS, Chunk, Plan, Values

if TYPE_CHECKING:
    import xarray

SWEEP, DONE = "sweep.json", "done"


class Store:
    """The store of one sweep, for one process at a time.

    Parameters
    ----------
    path : folder of the store; created, with the folders above it, where there is none.
    template : the dataset of the sweep, its fields empty; coordinates and attributes tell whether
        an existing store is of the same sweep.
    plan : the chunks.

    Raises
    ------
    ValueError
        For a path that holds something else, or another sweep: the differences are named.
    """

    def __init__(self, path: str | Path, template: "xarray.Dataset", plan: Plan) -> None:
        self.path, self.plan = Path(path), plan
        axes = {str(name): axis.values.tolist() for name, axis in template.coords.items()}
        # as a file holds it
        identity = json.loads(json.dumps({"attributes": template.attrs, "coordinates": axes}))
        if not self.path.exists() or (self.path.is_dir() and not any(self.path.iterdir())):
            _build(self.path, template, plan, identity)
        else:
            files = _described(self.path, identity)
            damaged = [name for name, sha in files.items() if _sha256(self.path / name) != sha]
            if damaged:
                _restore(self.path, template, plan, identity, damaged)
        for pattern in ("*/*.partial", f"{DONE}/.*.tmp"):  # of a run that was killed
            for leftover in self.path.glob(pattern):
                leftover.unlink(missing_ok=True)
        self._arrays = _opened(self.path)

    def read(self, chunk: Chunk, values: Values) -> bool:
        """Copy a chunk into the arrays of the sweep; False where it is not done, or damaged."""
        try:
            recorded = json.loads(self._record(chunk).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if recorded != self._checksums(chunk):
            return False
        for name, array in values.items():
            array[chunk.region] = self._arrays[name][chunk.region]
        return True

    def write(self, chunk: Chunk, values: Values) -> None:
        """Store a chunk from the arrays of the sweep."""
        for name, array in values.items():
            self._arrays[name][chunk.region] = array[chunk.region]
        write_atomic(self._record(chunk), json.dumps(self._checksums(chunk), indent=1) + "\n")

    def _record(self, chunk: Chunk) -> Path:
        return self.path / DONE / f"{chunk.index:06d}.json"

    def _checksums(self, chunk: Chunk) -> dict[str, str | None]:
        pieces = [
            range(rows.start // size, -(-rows.stop // size))
            for rows, size in zip(chunk.region, self.plan.stored, strict=True)
        ]
        names = [f"{field}/{'.'.join(map(str, at))}" for field in FIELDS for at in product(*pieces)]
        return {name: _sha256(self.path / name) for name in names}


def _build(path: Path, template: "xarray.Dataset", plan: Plan, identity: Any) -> None:
    """Make a store without chunks, which appears at once."""
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    # format 3 has no text of fixed length
    template.to_zarr(
        new,
        mode="w-",
        zarr_format=2,
        consolidated=True,
        write_empty_chunks=False,
        encoding={name: {"chunks": plan.stored} for name in FIELDS},
    )
    files = sorted(file for file in new.rglob("*") if file.is_file())
    checksums = {file.relative_to(new).as_posix(): _sha256(file) for file in files}
    (new / DONE).mkdir()
    write_atomic(new / SWEEP, json.dumps({**identity, "files": checksums}, indent=1) + "\n")
    if path.exists():
        path.rmdir()  # it is empty
    new.rename(path)


def _described(path: Path, identity: Any) -> dict[str, str]:
    """The checksums of what describes the arrays, or ValueError unless they are of this sweep."""
    try:
        found = json.loads((path / SWEEP).read_text(encoding="utf-8"))
        stored = {**found["attributes"], **found["coordinates"]}
        files: dict[str, str] = dict(found["files"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(
            f"store must be a new folder or one that a sweep left, but {path} has no readable "
            f"{SWEEP}"
        ) from None
    wanted = {**identity["attributes"], **identity["coordinates"]}
    if stored != wanted:
        raise ValueError(f"store {path} holds another sweep: {_differences(stored, wanted)}")
    return files


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


def _restore(
    path: Path, template: "xarray.Dataset", plan: Plan, identity: Any, damaged: list[str]
) -> None:
    """Put what describes the arrays in place again, taken from a store without chunks."""
    spare = path.with_name(f".{path.name}.spare")
    shutil.rmtree(spare, ignore_errors=True)
    _build(spare, template, plan, identity)
    for name in damaged:
        (path / name).parent.mkdir(exist_ok=True)
        os.replace(spare / name, path / name)
    shutil.rmtree(spare)


def _opened(path: Path) -> dict[str, Any]:
    import zarr

    # a piece equal to the fill value is written too: a missing file means that it is not done
    whole: Any = {"write_empty_chunks": True}
    return {
        name: zarr.open_array(path / name, mode="r+", zarr_format=2).with_config(whole)
        for name in FIELDS
    }


def _sha256(file: Path) -> str | None:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError:
        return None
