"""Files that are whole or not there, and folders that one run at a time writes to."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)  # of an OSError where nothing can be written


def local_path(name: str, value: Any) -> Path:
    """Return `value` as a path of this machine, `~` expanded, or raise ValueError naming `name`."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise ValueError(f"{name} must be a path, got {type(value).__name__}")
    text = os.fspath(value)
    if not text.strip() or "\0" in text:
        raise ValueError(f"{name} must be a path, got {text!r}")
    # pathlib makes one slash of two; a drive of Windows has one letter
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]", text):
        raise ValueError(
            f"{name} must be a path of this machine, got the address {text!r}: "
            "give a path, and copy what is there when it is done"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"{name} must be a path, got {text!r} of an unknown user") from None


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, which holds the old content or all of the new, never a part."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what `write_atomic` left beside `path` when it was killed; only one that holds the
    lock of `path` may do so.
    """
    ours = re.compile(rf"\.{re.escape(path.name)}\.\d+\.tmp")
    for file in path.parent.iterdir():
        if ours.fullmatch(file.name):
            file.unlink(missing_ok=True)


@contextmanager
def alone(name: str, path: Path, lock: Path) -> Iterator[None]:
    """Hold the file `lock`, so that this block is the only one of all threads and processes.

    The lock of a process that was killed is free. Raises ValueError, naming the argument `name` and
    its value `path`, where another run holds it, and OSError where the file cannot be made.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise ValueError(
            f"{name} must be of one run at a time, and another one is at {path}: "
            "wait until it has ended, or give another path"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # on Windows releasing removes it
            lock.unlink()  # while it is held: who has opened it meanwhile sees that it is gone
        held.release()
