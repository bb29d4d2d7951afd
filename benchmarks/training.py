"""Time of training one linear network: `pu.sweep` against plain torch, one network at a time.

    python benchmarks/training.py [--repeats 5] [--out benchmarks/results/training.json]

All train the same networks (same data, decays and initial weights, float64, one thread of the CPU)
to the same accuracy:

  sweep             all networks of the plan at once, on the exact moments of the data
  LBFGS on moments  torch.optim.LBFGS, network by network, on the same moments
  LBFGS on samples  torch.optim.LBFGS, network by network, on the samples

The loops train a subsample, every `STRIDE`th network of the plan. In every repeat the three run one
after the other, so that the load of the machine is the same for all. Wall time and CPU time are
those of one network.
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import phase_utils as pu

DEPTH, WIDTH, SCALES, SEEDS, STRIDE = 2, 32, (0.05, 0.3), range(8), 7
TOLERANCE = 1e-10  # of the gradient, in units of the loss at zero weights over max(1, |w|)
HERE = Path(__file__).parent

Loss = Callable[[list[torch.Tensor]], torch.Tensor]


def one_by_one(loss: Loss, starts: list[list[torch.Tensor]], gammas: list[float], unit: float):
    """Train every network with torch.optim.LBFGS; return losses and weights."""
    losses, trained = [], []
    for start, gamma in zip(starts, gammas, strict=True):
        weights = [w.clone().requires_grad_() for w in start]
        optimiser = torch.optim.LBFGS(
            weights,
            max_iter=5000,
            max_eval=5000,
            history_size=8,  # that of the sweep
            tolerance_grad=TOLERANCE * unit,  # of the largest entry: weaker than of the norm
            tolerance_change=1e-16,
            line_search_fn="strong_wolfe",
        )

        def closure(weights=weights, gamma=gamma, optimiser=optimiser):
            optimiser.zero_grad()
            value = loss(weights) + gamma * sum(w.square().sum() for w in weights)
            value.backward()
            return value

        optimiser.step(closure)
        losses.append(closure().item())
        trained.append(weights)
    return np.array(losses), trained


def on_samples(x: torch.Tensor, y: torch.Tensor) -> Loss:
    """Mean squared error over the samples."""

    def loss(weights: list[torch.Tensor]) -> torch.Tensor:
        h = x
        for w in weights:
            h = h @ w.T
        return (h[:, 0] - y).square().mean()

    return loss


def on_moments(moments: pu.Moments) -> Loss:
    """The same number from the moments of the samples."""
    A0, Exy = torch.tensor(moments.A0), torch.tensor(moments.Exy)

    def loss(weights: list[torch.Tensor]) -> torch.Tensor:
        beta = weights[-1]
        for w in reversed(weights[:-1]):
            beta = beta @ w
        return ((beta @ A0) * beta).sum() - 2 * (beta[0] @ Exy) + moments.Eyy

    return loss


def timed(run: Callable[[], object]) -> tuple[float, float, object]:
    """Wall time, CPU time and result of a call."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def processor() -> str:
    """The name of the CPU."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def measure(repeats: int) -> dict[str, object]:
    """Run the benchmark; all that is needed to judge its numbers."""
    torch.set_num_threads(1)
    task = pu.data.load("diabetes")
    moments = task.moments
    gammas = moments.signal * np.linspace(0.02, 0.6, 32)
    plan = {"gamma": gammas, "depth": DEPTH, "width": WIDTH, "init_scale": SCALES, "seed": SEEDS}
    settings = pu.Settings(tolerance=TOLERANCE)
    network = pu.LinearNetwork(moments, DEPTH, WIDTH)

    grid = np.meshgrid(gammas, SCALES, SEEDS, indexing="ij")
    gamma, scale, seed = (values.ravel() for values in grid)
    chosen = np.arange(0, len(gamma), STRIDE)
    init = network.initial_weights(scale[chosen], seed[chosen])
    starts = [[w[i] for w in init] for i in range(len(chosen))]
    decays = gamma[chosen].tolist()
    losses = {
        "LBFGS on moments": on_moments(moments),
        "LBFGS on samples": on_samples(torch.tensor(task.x), torch.tensor(task.y)),
    }
    runs: dict[str, Callable[[], object]] = {
        "sweep": lambda: pu.sweep(moments, **plan, settings=settings, device="cpu"),
        **{
            name: lambda loss=loss: one_by_one(loss, starts, decays, moments.Eyy)
            for name, loss in losses.items()
        },
    }
    sizes = dict.fromkeys(runs, len(chosen)) | {"sweep": len(gamma)}
    load = [os.getloadavg()]
    pu.sweep(moments, gamma=gammas[:2], depth=DEPTH, device="cpu")  # imports and first calls
    one_by_one(losses["LBFGS on samples"], starts[:1], decays[:1], moments.Eyy)

    seconds: dict[str, dict[str, list[float]]] = {n: {"wall": [], "cpu": []} for n in runs}
    results: dict[str, object] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            wall, cpu, results[name] = timed(run)
            seconds[name]["wall"].append(wall / sizes[name])
            seconds[name]["cpu"].append(cpu / sizes[name])
        load.append(os.getloadavg())

    ds = results.pop("sweep")
    swept = ds["loss"].values.ravel()[chosen]
    accuracy: dict[str, object] = {
        "sweep": {"share converged": float(np.mean(ds["status"].values == "converged"))}
    }
    for name, (values, trained) in results.items():
        # gradients of all three are taken with the same formula, that of the samples
        norms = [
            torch.cat([w.grad.flatten() for w in weights]).norm().item() for weights in trained
        ]
        same = np.abs(values - swept) < 1e-6 * moments.Eyy
        accuracy[name] = {
            "networks in the same minimum as the sweep's": f"{same.sum()} of {len(same)}",
            "largest difference of loss there": float(np.abs(values - swept)[same].max()),
            "largest gradient norm": max(norms),
        }
    again = pu.train(network, init, gamma[chosen], settings)
    _, gradient = network.value_and_gradient(again.weights, torch.tensor(gamma[chosen]))
    accuracy["sweep"]["largest gradient norm"] = (
        torch.cat([g.flatten(1) for g in gradient], dim=1).norm(dim=1).max().item()
    )
    return {
        "what": "seconds per network, one thread of the CPU, float64",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "plan": {
            "data": task.description,
            "depth": DEPTH,
            "width": WIDTH,
            "gammas": f"{len(gammas)} in |E[xy]| * [0.02, 0.6]",
            "init_scale": SCALES,
            "seeds": len(SEEDS),
            "networks": len(gamma),
            "networks of the loops": f"{len(chosen)}, every {STRIDE}th",
            "tolerance": TOLERANCE,
        },
        "seconds per network": seconds,
        "summary": {
            name: {
                clock: {"min": min(values), "median": statistics.median(values)}
                for clock, values in clocks.items()
            }
            for name, clocks in seconds.items()
        },
        "sweep is faster by": {
            name: {
                clock: {
                    "of minima": min(clocks[clock]) / min(seconds["sweep"][clock]),
                    "of medians": statistics.median(clocks[clock])
                    / statistics.median(seconds["sweep"][clock]),
                }
                for clock in ("wall", "cpu")
            }
            for name, clocks in seconds.items()
            if name != "sweep"
        },
        "accuracy": accuracy,
        "hardware": {"processor": processor(), "cores": os.cpu_count()},
        "load averages before and after every repeat": load,
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
        },
    }


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "training.json")
    options = parser.parse_args()
    record = measure(options.repeats)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=2) + "\n")
    for name in ("plan", "summary", "sweep is faster by", "accuracy", "hardware", "versions"):
        print(name, json.dumps(record[name], indent=2))
    print("load averages", record["load averages before and after every repeat"])


if __name__ == "__main__":
    main()
