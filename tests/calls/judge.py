"""One call with one wrong argument, in bounded time and memory, and what came of it."""

import contextlib
import dataclasses
import re
import signal
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray

import phase_utils
from calls.base import NOTHING, Labels

try:
    import resource
except ImportError:  # where the system cannot bound memory
    resource = None

PACKAGE = Path(phase_utils.__file__).parent
SECONDS = 3.0  # of the processor, for one call
BYTES = 4 * 2**30  # that one call may ask for
FAILED = ("diverged", "nonfinite", "stuck")  # rows of a batch
LONGEST = 1500  # characters of a message


class Hang(BaseException):
    """A call that did not end; no `except Exception` catches it."""


@contextlib.contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Time of the processor ends in `Hang`, memory in `MemoryError`."""

    def ring(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGPROF, ring)
    limits = None
    if (
        resource and not torch.cuda.is_available()
    ):  # CUDA claims more addresses than there is memory
        limits = resource.getrlimit(resource.RLIMIT_AS)
    try:
        if limits:
            resource.setrlimit(resource.RLIMIT_AS, (_address_space() + BYTES, limits[1]))
        signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if limits:
            resource.setrlimit(resource.RLIMIT_AS, limits)


def _address_space() -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    return 0


def outcome(
    function: Any,
    arguments: Mapping[str, Any],
    wrong: str,
    nan: Labels = NOTHING,
    seconds: float = SECONDS,
) -> str:
    """How a call ended: "answered", "refused", or what is wrong with it.

    nan : the fields of the answer that may hold nan, "" for the answer itself.
    """
    try:
        with bounded(seconds):
            answer = function(**arguments)
    except (ValueError, TypeError) as error:
        return _refusal(error, wrong)
    except Hang:
        return "hung"
    except Exception as error:
        return f"raised {type(error).__name__}: {_shortened(error)}"
    if "" not in nan and _holds_nan(answer, nan):
        return "answered nan"
    return "answered"


def _refusal(error: Exception, wrong: str) -> str:
    """Refused by the package itself, in a short message with the name of the argument."""
    message = str(error)
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if not Path(last).is_relative_to(PACKAGE):
        return f"raised {type(error).__name__} of {Path(last).name}: {_shortened(error)}"
    if not re.search(rf"\b{re.escape(wrong)}\b", message):
        return f"named nothing: {_shortened(error)}"
    if len(message) > LONGEST:
        return f"named {wrong} in {len(message)} characters"
    return "refused"


def _shortened(error: Exception) -> str:
    try:
        return " ".join(str(error).split())[:150]
    except Exception:
        return "?"


def _holds_nan(answer: Any, allowed: Labels) -> bool:
    if isinstance(answer, torch.Tensor):
        return bool(answer.is_floating_point() and not answer.is_meta and answer.isnan().any())
    if isinstance(answer, np.ndarray | np.generic | float):
        array = np.asarray(answer)
        return array.dtype.kind == "f" and bool(np.isnan(array).any())
    if isinstance(answer, xarray.Dataset):
        answer = {str(name): values.to_numpy() for name, values in answer.items()}
    elif dataclasses.is_dataclass(answer) and not isinstance(answer, type):
        answer = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    if isinstance(answer, Mapping):
        if np.isin(answer.get("status", ""), FAILED).any():
            return False  # the numbers of these mean nothing, as the status says
        return any(_holds_nan(v, allowed) for k, v in answer.items() if k not in allowed)
    if isinstance(answer, Sequence) and not isinstance(answer, str | bytes):
        return any(_holds_nan(part, allowed) for part in answer)
    return False
