"""Files that are whole or not there, and folders that one run at a time writes to."""

import errno
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from phase_utils._check import shown

# no system takes longer ones everywhere
LONGEST_PATH = 1000  # characters
LONGEST_PART = 255  # bytes of a file or a folder
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)  # of an OSError where nothing can be written
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # and where there is no room


class NotWritten(OSError):
    """A file that could not be written: the disk is full, or its folder does not allow it."""

    def __str__(self) -> str:
        return f"{self.filename} could not be written: {self.strerror}"


class Busy(ValueError):
    """Another run is at work where one at a time may be."""


def local_path(name: str, value: Any) -> Path:
    """Return `value` as a path of this machine, `~` expanded, or raise ValueError naming `name`."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise ValueError(f"{name} must be a path, got {type(value).__name__}")
    text = os.fspath(value)
    if not text.strip() or "\0" in text or len(text) > LONGEST_PATH:
        raise ValueError(f"{name} must be a path, got {shown(text)}")
    # pathlib makes one slash of two; a drive of Windows has one letter
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:[/\\]", text):
        raise ValueError(
            f"{name} must be a path of this machine, got the address {text!r}: "
            "give a path, and copy what is there when it is done"
        )
    try:
        path = Path(text).expanduser()
        longest = max(len(os.fsencode(part)) for part in (*path.parts, ""))
    except RuntimeError:
        raise ValueError(f"{name} must be a path, got {text!r} of an unknown user") from None
    except UnicodeEncodeError:
        raise ValueError(f"{name} must be a path, got {shown(text)} in no encoding") from None
    if longest > LONGEST_PART:
        raise ValueError(
            f"{name} must be a path of names of at most {LONGEST_PART} bytes, got {shown(text)}"
        )
    return path


def local_file(name: str, value: Any) -> Path:
    """Return `value` as the path of a file that is there, or raise ValueError naming `name`."""
    path = local_path(name, value)
    if not path.is_file():
        raise ValueError(f"{name} must be an existing file, but there is no {shown(str(value))}")
    return path


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write `content` to `path`, which holds the old content or all of the new, never a part.

    Raises NotWritten, an OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        _write(temporary, content)
        os.replace(temporary, path)
    except OSError as error:
        raise _named(error, path) from None
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_together(files: Mapping[Path, str | bytes]) -> None:
    """Write all `files`, or leave all as they were; one process at a time may write them.

    Every content is on the disk before the first file changes. What a kill between the first
    change and the last leaves, `recover` completes. Raises NotWritten, an OSError.
    """
    complete = False
    path = Path()
    try:
        for path, content in files.items():
            _write(_new(path), content)
        complete = True
        for path in files:
            if path.exists():
                os.replace(path, _old(path))
            os.replace(_new(path), path)
    except BaseException as error:
        for file in files:
            if _old(file).exists():
                os.replace(_old(file), file)
            elif complete and not _new(file).exists():
                file.unlink(missing_ok=True)
            _new(file).unlink(missing_ok=True)
        raise _named(error, path) if isinstance(error, OSError) else error from None
    for file in files:
        _old(file).unlink(missing_ok=True)


def recover(paths: Sequence[Path]) -> None:
    """Complete or undo what a killed `write_together` of files at `paths`, in order, has begun."""
    left = [path for path in paths if _new(path).exists()]
    begun = any(_old(path).exists() for path in paths) or (left and left[0] != paths[0])
    for path in left:
        if begun:
            os.replace(_new(path), path)
        else:
            _new(path).unlink()
    for path in paths:
        _old(path).unlink(missing_ok=True)


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

    The lock of a process that was killed is free. Raises Busy, a ValueError that names the argument
    `name` and its value `path`, where another run holds it, OSError where the file cannot be made.
    """
    from filelock import FileLock, Timeout

    held = FileLock(lock, timeout=0)
    try:
        held.acquire()
    except Timeout:
        raise Busy(
            f"{name} must be of one run at a time, and another one is at {path}: "
            "wait until it has ended, or give another path"
        ) from None
    try:
        yield
    finally:
        with suppress(OSError):  # on Windows releasing removes it
            lock.unlink()  # while it is held: who has opened it meanwhile sees that it is gone
        held.release()


def _write(path: Path, content: str | bytes) -> None:
    data = content.encode("utf-8") if isinstance(content, str) else content
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _new(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def _old(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _named(error: OSError, path: Path) -> NotWritten:
    """Return the error of the file that was meant: a failing `write` itself names none."""
    return NotWritten(error.errno, error.strerror or str(error), str(path))
