"""Where the cells of a grid are kept, and how one that is done is known.

A cell has a folder named by all that its outcome depends on: the chapter's source, the package, its
parameters, and the data file if they name one. `cell.json`, written last, says that it is done; a
cell in which nothing failed to execute is not run again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from phase_utils._files import write_atomic, write_together
from phase_utils.chapters.chapter import Chapter

RECORD = "cell.json"


def key(chapter: Chapter, values: Mapping[str, Any]) -> str:
    """The name of the folder of a cell."""
    data = {
        p.name: _sha256(Path(values[p.name]).read_bytes())
        for p in chapter.parameters
        if "path" in p.choices and p.name in values and values[p.name] not in p.choices
    }
    return _sha256(json.dumps([version(chapter), values, data], sort_keys=True).encode())[:16]


def version(chapter: Chapter) -> str:
    """A hash of the chapter and of the package: what is run with other code is another run."""
    return _sha256(chapter.path.read_bytes() + _package().encode())


def keep(place: Path, files: Mapping[str, str], record: Mapping[str, Any] | None) -> None:
    """Put the files of a cell into its folder; what ran to its end has a record, written last."""
    place.mkdir(exist_ok=True)
    (place / RECORD).unlink(missing_ok=True)
    write_together({place / name: text for name, text in files.items()})
    if record is not None:
        digests = {name: _sha256(text.encode()) for name, text in files.items()}
        write_atomic(place / RECORD, json.dumps({**record, "files": digests}, indent=1) + "\n")


def done(place: Path, files: Sequence[str]) -> tuple[Mapping[str, Any], ...] | None:
    """The claims of a cell that is done; None where it is not, or one of its files has changed."""
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        found = {name: _sha256((place / name).read_bytes()) for name in files}
        if record["files"] != found or not all(isinstance(c, dict) for c in record["claims"]):
            return None
        return tuple(record["claims"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _package() -> str:
    """A hash of the package's own files."""
    root = Path(__file__).parents[1]
    files = sorted(f for f in root.rglob("*") if f.suffix in (".py", ".toml"))
    parts = [f"{f.relative_to(root).as_posix()} {_sha256(f.read_bytes())}" for f in files]
    return _sha256("\n".join(parts).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
