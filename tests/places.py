"""Folders in which nothing can be written, also for a user who may write everywhere."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Take from this process the right to write in `folder` and below it."""
    if not hasattr(os, "geteuid"):
        pytest.skip("needs the permissions of Unix")
    root = os.geteuid() == 0
    modes = {p: p.stat().st_mode for p in (folder, *folder.rglob("*"))}
    above = {p: p.stat().st_mode for p in folder.parents if root and p.stat().st_uid == 0}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222 | 0o444 | (0o111 if path.is_dir() else 0))
    for path, mode in above.items():
        path.chmod(mode | 0o111)
    if root:  # the rights of root are of no use to another user
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in (above | modes).items():
            path.chmod(mode)


# modules of `training` that need numba, which compiles what they hold
COMPILED = ("compiling", "kernels", "kernels_lbfgs", "lanes", "vectors")
