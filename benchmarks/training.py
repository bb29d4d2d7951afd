"""Training: the step rate of many networks, and the time until all have reached their minima.

    python benchmarks/training.py rate [--repeats 5]      # a minute; results/training.json
    python benchmarks/training.py answer [--repeats 2]    # minutes; results/answer.json

The peers are those of `peers.py`: JAX, `torch.func.vmap`, and one network after another in torch.
All run in turn, in float64, on one thread of one core. Install them with `.[benchmarks]`, and numba
with `.[fast]`: without it, the engine of job 2 is that of torch alone.
"""

import argparse
import functools
import os
import statistics
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np
import torch
from peers import (
    jax_adam,
    jax_lbfgs,
    loop_adam,
    loop_lbfgs,
    torch_moments,
    torch_samples,
    vmap_adam,
)
from report import Report, Times, interleaved, seconds
from work import bytes_per_step, flops_per_step, job_one

import phase_utils as pu
from phase_utils.training import compiled

NETWORKS, RATE, STEPS, FEW = 1024, 1e-3, 100, 4  # the loops train FEW of the networks
GRADIENT = 1e-6  # at which all stop in job 2
JAX, LOOP = 64, 128  # in job 2 JAX trains every 64th network, the others every 128th
CLOSE = 1e-8  # to the local minimum, which is found from where they stopped


def ratios(theirs: Times, ours: Times, share: float = 1.0) -> list[str]:
    """How many times longer, by least and median wall time and least CPU time."""
    pairs = (
        (min(theirs.wall), min(ours.wall)),
        (statistics.median(theirs.wall), statistics.median(ours.wall)),
        (min(theirs.cpu), min(ours.cpu)),
    )
    return [f"{share * a / b:.3g}" for a, b in pairs]


def without_numba(run: Callable[[], Any]) -> Any:
    """What runs where numba is not installed."""
    with patch.object(compiled, "kernels", lambda _: None):
        return run()


COLUMNS = ["method", "wall, min", "wall, median", "CPU, min"]
RATIOS = ["ratio, min", "ratio, median", "ratio, CPU"]


def step_rate(report: Report, repeats: int) -> None:
    """Job 1: seconds per step of 1,024 networks with Adam."""
    network, init, gamma = job_one(NETWORKS)
    arrays = [w.numpy() for w in init]
    few = [w[:FEW] for w in arrays], gamma[:FEW]
    x = np.random.default_rng(0).normal(size=(NETWORKS, network.moments.d))
    samples = torch_samples(x, x @ network.moments.Exy, network.noises)
    settings = pu.Settings("adam", learning_rate=RATE, max_steps=STEPS, tolerance=1e-30)
    peers = {
        "JAX, vmap and scan, optax": (jax_adam(network, arrays, gamma, RATE), 1),
        "torch.func.vmap": (vmap_adam(network, arrays, gamma, RATE), 1),
        "torch, loop on moments": (loop_adam(torch_moments(network), *few, RATE), FEW),
        "torch, loop on 1,024 samples": (loop_adam(samples, *few, RATE), FEW),
    }
    runs: dict[str, Callable[[], Any]] = {
        "engine": lambda: pu.train(network, init, gamma, settings),
        **{name: lambda run=run: run(STEPS) for name, (run, _) in peers.items()},
    }
    runs["engine"](), runs["JAX, vmap and scan, optax"]()  # first calls, compilation
    times, results = interleaved(runs, repeats)
    reference = results["engine"].weights
    rows = []
    for name, each in times.items():
        share = 1 if name == "engine" or peers[name][1] == 1 else NETWORKS / FEW
        error = ""
        if name not in ("engine", "torch, loop on 1,024 samples"):
            count = NETWORKS if share == 1 else FEW
            pairs = zip(reference, results[name], strict=True)
            error = f"{max(np.abs(a[:count].numpy() - np.asarray(b)).max() for a, b in pairs):.0e}"
        cells = each.cells(share / STEPS)
        rows.append([name, *cells, *ratios(each, times["engine"], share), error])
    report.table(
        f"Job 1: time for one step of Adam of all {NETWORKS:,} networks (depth 2, width 16, "
        "d = 10, noise variance 0.09)",
        [*COLUMNS, *RATIOS, "difference of weights"],
        rows,
    )
    best = min(times["engine"].wall) / STEPS
    flops, moved = NETWORKS * flops_per_step(network), NETWORKS * bytes_per_step(network, 8)
    small, copy = machine_limits()
    report.table(
        "How far from the limits of this core: one step of the engine",
        ["limit", "work of a step", "the core's best", "least time", "share of the step's time"],
        [
            limit("arithmetic, products 16 x 16", flops, small, "flop", best),
            limit("memory, state of Adam", moved, copy, "B", best),
        ],
    )


def limit(name: str, work: float, rate: float, unit: str, step: float) -> list[str]:
    """A row: the work of a step, how fast the core can do it at best, and the share of the time."""
    least = work / rate
    shown = f"{work / 1e6:.0f} M{unit}", f"{rate / 1e9:.0f} G{unit}/s"
    return [name, *shown, seconds(least), f"{least / step:.0%}"]


def machine_limits() -> tuple[float, float]:
    """Flop/s of batched 16 x 16 products and bytes/s of a copy, the best of several tries."""
    a = torch.randn(512, 16, 16, dtype=torch.float64)
    long = torch.randn(NETWORKS * 432, dtype=torch.float64)
    target = torch.empty_like(long)
    runs = {
        "small": lambda: [a @ a for _ in range(20)],
        "copy": lambda: [target.copy_(long) for _ in range(20)],
    }
    times, _ = interleaved(runs, 15)
    flops = 20 * 2 * len(a) * 16**3 / min(times["small"].wall)
    return flops, 20 * 2 * long.numel() * 8 / min(times["copy"].wall)


def time_to_answer(report: Report, repeats: int) -> None:
    """Job 2: the sweep of Fig. 1 until every network is at its local minimum."""
    task = pu.data.load("diabetes")
    moments = task.moments
    gammas = moments.signal * np.linspace(0.04, 1.3, 64)
    scales, seeds = (0.01, 0.3, 1.0), range(4)
    # the tolerance that means a gradient of 1e-6 for |w| = 1
    settings = pu.Settings(tolerance=GRADIENT / moments.Eyy)
    networks = [pu.LinearNetwork(moments, D, 32) for D in range(3)]
    grid = np.meshgrid(gammas, scales, seeds, indexing="ij")
    gamma, scale, seed = (values.ravel() for values in grid)
    plan = {"gamma": gammas, "depth": [0, 1, 2], "init_scale": scales, "seed": seeds, "width": 32}
    starts = {}
    for stride in (JAX, LOOP):
        rows = np.arange(0, len(gamma), stride) + np.arange(len(gamma[::stride])) % stride
        starts[stride] = [
            (net, [w.numpy() for w in net.initial_weights(scale[rows], seed[rows])], gamma[rows])
            for net in networks
        ]
    losses = {
        "torch LBFGS, loop on moments": torch_moments,
        "torch LBFGS, loop on samples": lambda net: torch_samples(task.x, task.y, net.noises),
    }
    jax_runs = [jax_lbfgs(*start, GRADIENT) for start in starts[JAX]]
    sweep = functools.partial(pu.sweep, moments, **plan, settings=settings, device="cpu")
    engines: dict[str, Callable[[], Any]] = {"engine, torch": lambda: without_numba(sweep)}
    if compiled.kernels("lbfgs"):
        engines = {"engine, compiled": sweep, **engines}
    best = next(iter(engines))
    runs: dict[str, Callable[[], Any]] = {
        **engines,
        "JAX, vmap, optax.lbfgs": lambda: [run() for run in jax_runs],
        "torch.func.vmap, Adam": lambda: [
            vmap_adam(*start, 0.01)(8000, GRADIENT) for start in starts[LOOP]
        ],
        **{
            name: lambda make=make: [
                loop_lbfgs(make(net), init, g, GRADIENT) for net, init, g in starts[LOOP]
            ]
            for name, make in losses.items()
        },
    }
    strides = {name: 1 if name in engines else JAX if "JAX" in name else LOOP for name in runs}
    runs[best](), runs["JAX, vmap, optax.lbfgs"]()  # first calls, compilation
    times, results = interleaved(runs, repeats)
    rows = []
    total = 3 * len(gamma)
    for name, each in times.items():
        stride = strides[name]
        if name in engines:
            failed = np.sum(results[name]["status"].values != "converged")
            if failed:
                raise RuntimeError(f"{failed} networks of the sweep did not converge")
            held = (lambda run: run()) if name == best else without_numba
            ends = [
                (net, held(functools.partial(pu.train, net, tensors(init), g, settings)).weights, g)
                for net, init, g in starts[JAX]
            ]
        else:
            ends = [
                (net, tensors(end), g)
                for (net, _, g), end in zip(starts[stride], results[name], strict=True)
            ]
        away = np.concatenate([excess(*end) for end in ends])
        scaled = each.cells(stride)
        within = f"{np.mean(away < CLOSE):.1%}"
        rows.append(
            [name, f"{total // stride}", *scaled, *ratios(each, times[best], stride),
             within, f"{np.max(away):.0e}"]
        )  # fmt: skip
    report.table(
        f"Job 2: time until all {total:,} networks of Fig. 1 are at their minima "
        f"({task.description}; depths 0, 1, 2; 64 decays, 3 initial scales, 4 seeds, width 32)",
        ["method", "trained", *COLUMNS[1:], *RATIOS, f"within {CLOSE:g}", "farthest"],
        rows,
    )


def tensors(weights: Any) -> list[torch.Tensor]:
    """Copies of arrays."""
    return [torch.tensor(np.asarray(w)) for w in weights]


def excess(network: pu.LinearNetwork, weights: Any, gamma: Any) -> np.ndarray:
    """How far above the local minimum the losses are: the minimum is found from the weights."""
    careful = pu.Settings(tolerance=1e-12, step_cap=0.02, max_steps=3000)
    loss = network.data_loss(weights) + torch.tensor(gamma) * network.penalty(weights)
    return loss.numpy() - pu.train(network, weights, gamma, careful).loss


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("job", choices=("rate", "answer"))
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    same = (
        "The peers minimise the same loss from the same initial weights, with gradients taken "
        "automatically; JAX's compilation is not counted. Float64, one thread of one core. "
    )
    if given.job == "rate":
        report = Report("Training: step rate", same + f"The loops train {FEW} of the networks.")
        step_rate(report, given.repeats)
        report.write("training")
    else:
        report = Report(
            "Training: time to the answer",
            same + "Each peer uses its best ordinary optimiser and trains a part of the networks, "
            f"stated as *trained*; times are for all. All stop at a gradient of {GRADIENT:g}. The "
            "local minimum is then found from where they stopped, by careful training.",
        )
        time_to_answer(report, given.repeats)
        report.write("answer")


if __name__ == "__main__":
    main()
