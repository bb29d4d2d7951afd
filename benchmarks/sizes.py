"""Step rates against JAX over widths, depths, numbers of networks and precisions.

    python benchmarks/sizes.py [--repeats 9]    # minutes; results/sizes.json

Both train the same networks from the same weights with Adam, in turn, on one thread of one core.
Times are of the processor: on a busy machine the longer runs are interrupted more often. It needs
the peers, `.[benchmarks]`, and numba, `.[fast]`.
"""

import argparse
import os
import statistics
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np
import torch
from peers import jax_adam
from report import Report, Times, interleaved, seconds
from work import flops_per_step, job_one

import phase_utils as pu

# networks, width, depth, precision: each varied about the first
SIZES = [
    (1024, 16, 2, torch.float64),
    *((1024, width, 2, torch.float64) for width in (8, 32, 64)),
    *((1024, 16, depth, torch.float64) for depth in (1, 3, 4)),
    (10_000, 16, 2, torch.float64),
    (1024, 16, 2, torch.float32),
]
RATE, WORK, STEPS = 1e-3, 1e9, (6, 400)  # flop of a run, and the least and most steps of one


def measured(n: int, width: int, depth: int, dtype: Any, repeats: int) -> list[str]:
    """A row of the table."""
    network, init, gamma = job_one(n, width, depth, dtype=dtype)
    steps = int(np.clip(WORK / (n * flops_per_step(network)), *STEPS))
    settings = pu.Settings("adam", learning_rate=RATE, max_steps=steps, tolerance=1e-30)
    peer = jax_adam(network, [w.numpy() for w in init], gamma, RATE, init[0].numpy().dtype)
    runs = {
        "engine": lambda: pu.train(network, init, gamma, settings),
        "JAX": lambda: peer(steps),
    }
    first = {name: run() for name, run in runs.items()}  # compiles
    if first["engine"].engine != "compiled":
        raise RuntimeError("numba is missing: pip install '.[fast]'")
    times, _ = interleaved(runs, repeats)
    pairs = zip(first["engine"].weights, first["JAX"], strict=True)
    away = max(np.abs(a.numpy() - np.asarray(b)).max() for a, b in pairs)
    ours, theirs = times["engine"], times["JAX"]
    return [
        f"{n:,}", f"{width}", f"{depth}", str(dtype).removeprefix("torch."),
        *(seconds(min(each.cpu) / steps) for each in (ours, theirs)),
        *ahead(theirs, ours), f"{away:.0e}",
    ]  # fmt: skip


def ahead(theirs: Times, ours: Times) -> list[str]:
    """How many times longer theirs took, by least and by median time."""
    return [f"{of(theirs.cpu) / of(ours.cpu):.1f}" for of in (min, statistics.median)]


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    report = Report(
        "Training: step rate over sizes",
        "The compiled engine and JAX (`vmap` and `scan`, optax) train the same networks with Adam "
        "from the same weights; compilation is not counted. One thread of one core, in turn; times "
        "are of the processor.",
    )
    report.table(
        "Time for one step of Adam of all networks (d = 10, noise variance 0.09)",
        ["networks", "width", "depth", "precision", "engine", "JAX",
         "ratio, min", "ratio, median", "difference of weights"],
        [measured(*size, given.repeats) for size in SIZES],
    )  # fmt: skip
    report.write("sizes")


if __name__ == "__main__":
    main()
