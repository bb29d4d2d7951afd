"""Where results go: a folder that can be written, in which one process at a time makes a result."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from phase_utils._files import FULL, NotWritten, alone, local_path
from phase_utils.chapters.errors import ChapterError


@contextmanager
def reserved(out: str | Path, *names: str) -> Iterator[Path]:
    """Give the folder `out`, in which no other process makes what `names` say meanwhile.

    The folder is made where it is missing, and taken away where nothing is left in it afterwards.
    `~` is the home directory.

    Raises
    ------
    ChapterError
        `out` is no folder, or nothing can be written in it.
    Busy
        Another process has reserved one of the names.
    NotWritten
        The disk is full.
    """
    try:
        place = local_path("out", out)
    except ValueError as error:
        raise ChapterError(str(error)) from None
    made: list[Path] = []
    try:
        with ExitStack() as locks:
            try:
                if place.exists() and not place.is_dir():
                    raise ChapterError(f"out must be a folder, but {place} is a file")
                made = [folder for folder in (place, *place.parents) if not folder.exists()]
                place.mkdir(parents=True, exist_ok=True)
                for name in names:
                    locks.enter_context(alone("out", place / name, place / f".{name}.lock"))
                _check_room(place / f".{names[0]}.room")
            except OSError as error:
                if error.errno in FULL:
                    raise NotWritten(error.errno, error.strerror, str(place)) from None
                raise ChapterError(
                    f"out must be a folder in which files can be written, but {place} is not: "
                    f"{error.strerror or error}"
                ) from None
            yield place
    finally:
        for folder in made:
            with suppress(OSError):  # it holds results, or was never made
                folder.rmdir()


def _check_room(file: Path) -> None:
    """Raise OSError where nothing can be written: an empty file fits on a full disk."""
    try:
        file.write_bytes(bytes(4096))
    finally:
        file.unlink(missing_ok=True)
