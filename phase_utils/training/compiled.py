"""Where numba is there, linear networks on a CPU are trained in its compiled functions.

L-BFGS takes each network alone to its own end. Adam and gradient descent take a vector of networks,
in which another follows the one that has ended. A network trains the same wherever it stands in a
batch, and on any thread.
"""

import functools
import importlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phase_utils.training import layout
from phase_utils.training.minimisers import STATUS
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.settings import Settings

COMPILED_IN = {"lbfgs": "kernels_lbfgs", "adam": "lanes", "sgd": "lanes"}
ROWS, SHARES = 16, 4  # that a thread takes at a time, and how many times those of "lanes"
WIDEST = 128  # layer, above which the matrix products of torch are faster
WORK = 2**29  # products that a call is about to compute: some tenths of a second
Trainer = Callable[[range, Event], None]  # trains rows, unless it is to stop


@functools.cache
def kernels(method: str) -> Any:
    """The compiled functions; None without numba, or without a folder to keep them."""
    try:
        return importlib.import_module(f"phase_utils.training.{COMPILED_IN[method]}")
    except (ImportError, RuntimeError):
        return None


def suits(problem: Any, settings: Settings, x: Tensor) -> bool:
    """Whether the compiled functions can train this problem, and fast."""
    if type(problem) is not LinearNetwork or x.device.type != "cpu":
        return False
    if settings.method not in COMPILED_IN:
        return False
    sizes = [*problem.widths] if any(problem.noises) else []
    sizes += [problem.moments.d] if settings.method != "lbfgs" else []
    return max(sizes, default=0) <= WIDEST and kernels(settings.method) is not None


def minimise(
    problem: LinearNetwork, x: Tensor, gamma: Tensor, settings: Settings, rate: Tensor | None
) -> tuple[Tensor, NDArray[np.str_], NDArray[np.int64]]:
    """Minimise all rows of x (n, P); return the final x, a status and the ticks used per row."""
    final, n = x.clone(), len(x)
    rates = np.zeros(0) if rate is None else rate.numpy()
    code, steps = np.zeros(n, np.int64), np.zeros(n, np.int64)
    batch = layout.Batch(final.numpy(), gamma.numpy(), rates, code, steps)
    network, workers = layout.network_of(problem, batch.x.dtype), min(threads(), n)
    if settings.method == "lbfgs":
        run, share = alone(network, settings, x.dtype, batch), min(ROWS, n // workers)
    else:
        run, lanes = side_by_side(network, settings, x.dtype, batch)
        share = n if workers == 1 else -(-n // (workers * SHARES * lanes)) * lanes
    stop, parts = Event(), [range(i, min(i + share, n)) for i in range(0, n, share)]
    if workers == 1:
        for part in parts:
            run(part, stop)
    else:
        with ThreadPoolExecutor(workers) as pool:
            try:
                list(pool.map(run, parts, [stop] * len(parts)))
            finally:
                stop.set()  # an interrupt waits for no more than what has begun
    return final, np.array(STATUS)[code], steps


def alone(
    network: layout.Network, settings: Settings, dtype: torch.dtype, batch: layout.Batch
) -> Trainer:
    """L-BFGS of one row after another."""
    descend, rules = kernels("lbfgs").descend, layout.rules_of(settings, dtype)

    def run(rows: range, stop: Event) -> None:
        room = layout.room_for(network, settings.memory, batch.x.dtype)
        for row in rows:
            if stop.is_set():
                return
            room.x[:] = batch.x[row]
            ended = descend(network, rules, room, float(batch.gamma[row]))
            batch.code[row], batch.steps[row] = ended
            batch.x[row] = room.x

    return run


def side_by_side(
    network: layout.Network, settings: Settings, dtype: torch.dtype, batch: layout.Batch
) -> tuple[Trainer, int]:
    """Adam or gradient descent of as many rows at a time as a vector has numbers, and how many."""
    compiled, pace = kernels(settings.method), layout.pace_of(settings, dtype)
    lanes = compiled.abreast(batch.x.dtype)
    most = 1 + WORK // (batch.x.shape[1] * int(max(network.sizes)))

    def run(rows: range, stop: Event) -> None:
        block = layout.block_for(network, lanes, batch.x.dtype)
        block.queue[:] = rows.start, rows.stop
        while compiled.descend(network, pace, block, batch, most) and not stop.is_set():
            pass

    return run, lanes


def threads() -> int:
    """Those of torch, and no more than the processors that this process may use."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return min(torch.get_num_threads(), len(usable) or os.cpu_count() or 1)
