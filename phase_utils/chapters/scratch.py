"""A temporary folder of a run: what a killed run leaves in it goes when the next one starts."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from phase_utils._files import Busy, NotWritten, alone

PREFIX = "phase-book-"


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a new folder for temporary files, and remove it; first those of killed processes.

    Raises NotWritten, an OSError, where there is no room for it.
    """
    root = Path(tempfile.gettempdir())
    for lock in root.glob(f"{PREFIX}*.lock"):
        with suppress(OSError, Busy), alone("folder", root, lock):  # nobody holds it any more
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
    folder = root / f"{PREFIX}{uuid4().hex}"
    with alone("folder", folder, folder.with_suffix(".lock")):
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise NotWritten(error.errno, error.strerror, str(folder)) from None
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
