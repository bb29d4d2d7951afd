"""Files that are whole or not there."""

import os
from pathlib import Path


def write_atomic(path: Path, text: str) -> None:
    """Write `text` to `path`, which holds the old content or all of the new, never a part."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
