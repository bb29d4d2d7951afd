"""The chapters of an edition at work: in this process, in several, or on a cluster."""

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from phase_utils.chapters import execution, grid_cells, library, running
from phase_utils.chapters.errors import ChapterError
from phase_utils.sweeps.workers import completed

# nothing is imported from the folder that happens to be the current one
START = (
    "import sys; sys.path.remove(''); from phase_utils.chapters import edition_work; "
    "edition_work.main()"
)
GRACE = 10.0  # seconds for a process to end its kernel


class Part(NamedTuple):
    """A chapter to be executed: its key, name, version and values."""

    key: str
    chapter: str
    version: str
    values: Mapping[str, Any]


class Finished(NamedTuple):
    """How it ended: the notebook, claims, the traceback of an error."""

    notebook: str
    claims: tuple[Mapping[str, Any], ...] = ()
    error: str = ""


Common = tuple[Path | None, int]  # folder of the chapters, seconds for one cell
Asking = Callable[[], Finished]


def ran(
    shared: Common, left: Sequence[Part], total: int, client: Any, jobs: int, progress: bool | None
) -> Generator[tuple[Part, Finished]]:
    """Execute what is left of `total` chapters; yield each and how it ended."""
    from tqdm import tqdm

    several = jobs > 1 and len(left) > 1 and client is None
    work = (
        side_by_side(shared, left, min(jobs, len(left)))
        if several
        else completed(executed, shared, left, client)
    )
    with (
        tqdm(
            desc="edition",
            total=total,
            initial=total - len(left),
            unit=" chapters",
            disable=None if progress is None else not progress,
        ) as bar,
        closing(work) as results,
    ):
        for part, result in results:
            try:
                done = result()
            except Exception as lost:  # of this chapter alone, a process that died among them
                done = Finished("", error="".join(traceback.format_exception_only(lost)).strip())
            yield part, done
            bar.update()


def executed(shared: Common, part: Part) -> Finished:
    """Execute one chapter."""
    folder, timeout = shared
    chapter = library.find(part.chapter, folder)
    if grid_cells.version(chapter) != part.version:
        raise ChapterError(f"the worker has another version of {part.chapter} or of the package")
    nb, error = running.executed_notebook(chapter, part.values, timeout=timeout)
    told = error and running.traceback_of(nb, error)
    return Finished(execution.written(nb), tuple(execution.claims(nb)), told)


def side_by_side(
    shared: Common, parts: Sequence[Part], jobs: int
) -> Generator[tuple[Part, Asking]]:
    """Yield (part, result) as `completed` does, from so many processes of this machine."""
    processes = [_Process() for _ in range(jobs)]
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    for process in processes:
        idle.put(process)

    def one(part: Part) -> Finished:
        process = idle.get()
        try:
            return process.ask(shared, part)
        finally:
            idle.put(process)

    pool = ThreadPoolExecutor(jobs)
    try:
        waiting = {pool.submit(one, part): part for part in parts}
        for done in as_completed(waiting):
            yield waiting[done], done.result
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.leave()
        for process in processes:
            process.end()


class _Process:
    """A process that executes chapters one by one; it ends with the one that began it."""

    def __init__(self) -> None:
        self.popen = self._begun()

    @staticmethod
    def _begun() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # a second thread only waits for the first: the processors have chapters
            env={**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")},
            start_new_session=True,  # the keyboard interrupts the one that asks
        )

    def ask(self, shared: Common, part: Part) -> Finished:
        """Return how a chapter ended, or raise ChildProcessError; the next has a new process."""
        if self.popen.poll() is not None:
            self.popen = self._begun()
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        try:
            pickle.dump((shared, part), self.popen.stdin)
            self.popen.stdin.flush()
            answer = pickle.load(self.popen.stdout)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.end()
            raise ChildProcessError(f"the process that executed {part.chapter} has died") from None
        if isinstance(answer, Exception):
            raise answer
        ended: Finished = answer
        return ended

    def leave(self) -> None:
        """Have it end what it does."""
        with suppress(OSError):
            if self.popen.stdin is not None:
                self.popen.stdin.close()

    def end(self) -> None:
        """Wait until it has ended, not for ever."""
        self.leave()
        try:
            self.popen.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def main() -> None:
    """Execute the chapters that come in, until nobody can ask any more; then break off."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what else is printed is not mistaken for an answer
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:
        with suppress(EOFError, OSError, pickle.UnpicklingError):
            while True:
                asked.put(pickle.load(sys.stdin.buffer))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=listen, daemon=True).start()
    with suppress(KeyboardInterrupt, BrokenPipeError):
        while True:
            work = partial(executed, *asked.get())
            pickle.dump(_answer(work), answers)
            answers.flush()


def _answer(work: Asking) -> Finished | Exception:
    try:
        return work()
    except Exception as error:
        return ChildProcessError("".join(traceback.format_exception_only(error)).strip())
