"""Code of the package that is changed in this process, and work in a process of its own."""

import ast
import gc
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType

import phase_utils

PACKAGE = Path(phase_utils.__file__).parent
SILENT = ("__repr__", "__str__", "__dir__", "__getattr__")  # functions that only speak
BROKEN = 70  # what a process returns whose work raised
WAITING = 10  # times the seconds of the processor that work may take on a busy machine


def file(module: str) -> Path:
    return PACKAGE.joinpath(*module.split(".")).with_suffix(".py")


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods, by qualified name; what they hold belongs to them."""
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        for function in inner:
            if isinstance(function, ast.FunctionDef) and function.name not in SILENT:
                owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
                yield owner + function.name, function


def compiled(tree: ast.Module, module: str, function: str) -> CodeType:
    """The code of one function of a module whose tree has been changed."""
    todo = [compile(ast.fix_missing_locations(tree), str(file(module)), "exec")]
    while todo:
        found = todo.pop()
        if found.co_qualname == function:
            return found
        todo += [c for c in found.co_consts if isinstance(c, CodeType)]
    raise LookupError(f"{module}: {function}")


def place(new: CodeType) -> None:
    """Change a function in this process, whoever holds it."""
    held = [
        f
        for f in gc.get_objects()
        if isinstance(f, FunctionType)
        and f.__code__.co_qualname == new.co_qualname
        and f.__code__.co_filename == new.co_filename
    ]
    if not held:
        raise LookupError(f"{new.co_filename}: nobody holds {new.co_qualname}")
    for function in held:
        function.__code__ = new


def apart(work: Callable[[], int], limit: float) -> int | None:
    """What `work` returns in a process of its own, without a word.

    It may take `limit` seconds of the processor, else a signal is returned, negative; and WAITING
    times that by the clock, else None.
    """
    pid = os.fork()
    if pid == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit) + 1, int(limit) + 2))
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        result = BROKEN
        try:
            result = int(work())
        finally:
            os._exit(result)
    stop = time.monotonic() + WAITING * limit
    while time.monotonic() < stop:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None
