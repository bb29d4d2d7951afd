"""What numba compiles is kept on disk, as long as no file of the compiled engine changes."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

from numba import njit

Compilable = TypeVar("Compilable", bound=Callable[..., Any])
# the files whose functions, classes and constants end up in each other's compiled code
FILES = ("compiling", "kernels", "kernels_lbfgs", "lanes", "layout", "vectors")


def digest(folder: Path) -> str:
    """Tell one state of the files from another."""
    found = hashlib.sha256()
    for name in FILES:
        found.update((folder / f"{name}.py").read_bytes())
    return found.hexdigest()[:16]


STATE = digest(Path(__file__).parent)


def kept(function: Compilable, **options: Any) -> Compilable:
    """Compile at the first call, and keep the result on disk; RuntimeError without a folder.

    numba looks for changes in a function's own file alone. It files the result under the qualified
    name of the function, which here tells the state of all files: what another left is not read.
    """
    named = FunctionType(function.__code__, function.__globals__, function.__name__)
    named.__qualname__ = f"{function.__qualname__}_{STATE}"
    made: Any = njit(cache=True, nogil=True, error_model="numpy", **options)(named)
    return made
