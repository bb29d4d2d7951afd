"""Where numba is there, L-BFGS of linear networks on a CPU runs in its compiled functions.

Every network runs alone to its own end, the same wherever it stands in a batch, and on any thread.
"""

import functools
import importlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phase_utils.training.layout import network_of, room_for, rules_of
from phase_utils.training.minimisers import STATUS
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.settings import Settings

ROWS = 16  # that a thread takes at a time
WIDEST = 128  # hidden layer with noise, above which the matrix products of torch are faster


@functools.cache
def kernels() -> Any:
    """The compiled functions; None without numba, or without a folder to keep them."""
    try:
        return importlib.import_module("phase_utils.training.kernels")
    except (ImportError, RuntimeError):
        return None


def suits(problem: Any, settings: Settings, x: Tensor) -> bool:
    """Whether the compiled functions can train this problem, and fast."""
    return (
        type(problem) is LinearNetwork
        and settings.method == "lbfgs"
        and x.device.type == "cpu"
        and (not any(problem.noises) or max(problem.widths) <= WIDEST)
        and kernels() is not None
    )


def minimise(
    problem: LinearNetwork, x: Tensor, gamma: Tensor, settings: Settings
) -> tuple[Tensor, NDArray[np.str_], NDArray[np.int64]]:
    """Minimise all rows of x (n, P); return the final x, a status and the ticks used per row."""
    descend, n = kernels().descend, len(x)
    final, gammas = x.clone(), gamma.tolist()
    trained = final.numpy()
    code, steps = np.zeros(n, dtype=np.int64), np.zeros(n, np.int64)
    network, rules = network_of(problem, trained.dtype), rules_of(settings, x.dtype)

    def run(rows: range) -> None:
        room = room_for(network, settings.memory, trained.dtype)
        for row in rows:
            room.x[:] = trained[row]
            code[row], steps[row] = descend(network, rules, room, gammas[row])
            trained[row] = room.x

    workers = min(threads(), n)
    if workers == 1:
        run(range(n))
    else:
        share = min(ROWS, n // workers)
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(run, (range(i, min(i + share, n)) for i in range(0, n, share))))
    return final, np.array(STATUS)[code], steps


def threads() -> int:
    """Those of torch, and no more than the processors that this process may use."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return min(torch.get_num_threads(), len(usable) or os.cpu_count() or 1)
