"""Growth of time and memory of a training step with the number, width and depth of the networks.

    python benchmarks/growth.py [--repeats 3]    # minutes; results/growth.json and growth.svg

Every point is a process of its own, whose peak memory is read at its end.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from report import RESULTS, Report, seconds
from work import bytes_per_step, flops_per_step, job_one

import phase_utils as pu

# networks, width, depth: each varied about (1000, 16, 2), with fewer networks where they are large
AXES = {
    "networks": [(100, 16, 2), (1000, 16, 2), (10_000, 16, 2), (100_000, 16, 2)],
    "width": [(200, w, 2) for w in (8, 32, 128, 256)],
    "depth": [(1000, 16, d) for d in (1, 2, 4, 8)],
}
STEPS = 4


def point(n: int, width: int, depth: int, repeats: int) -> dict[str, float]:
    """Seconds per step, least of `repeats`, and peak memory of this process in bytes."""
    network, init, gamma = job_one(n, width, depth)
    empty = peak_memory()

    def run(steps: int) -> float:
        settings = pu.Settings("adam", learning_rate=1e-4, max_steps=steps, tolerance=1e-30)
        start = time.process_time()
        pu.train(network, init, gamma, settings)
        return time.process_time() - start

    run(2)
    # two lengths, so that the start of a training is not counted as a step
    best = min(run(3 * STEPS) - run(STEPS) for _ in range(repeats)) / (2 * STEPS)
    return {"seconds": best, "peak": peak_memory(), "empty": empty}


def peak_memory() -> float:
    """Largest resident memory of this process so far, in bytes.

    Not from `getrusage`, which counts the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return 1024.0 * int(status.partition("VmHWM:")[2].split()[0])


def limits() -> tuple[float, float]:
    """Flop/s of a large product and bytes/s of a copy far larger than the caches."""
    a, long = torch.randn(1024, 1024, dtype=torch.float64), torch.randn(2**26, dtype=torch.float64)
    target = torch.empty_like(long)

    def best(run: Any) -> float:
        times = []
        for _ in range(5):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
        return min(times)

    flops = 2 * 1024**3 / best(lambda: a @ a)
    return flops, 2 * 8 * 2**26 / best(lambda: target.copy_(long))


def draw(measured: dict[str, list[dict[str, float]]], flops: float, rate: float) -> None:
    """Time per step above, peak memory below, the limits of arithmetic and memory beside."""
    import matplotlib.pyplot as plt

    pu.plotting.use_style()
    figure, axes = plt.subplots(2, 3, figsize=(8.4, 4.6), sharex="col", sharey="row")
    for column, (name, points) in enumerate(measured.items()):
        x = [p[name] for p in points]
        top, bottom = axes[0][column], axes[1][column]
        for axis in (top, bottom):
            axis.set(xscale="log", yscale="log")
            axis.set_xticks(x, [f"{value:,}" for value in x])
            axis.minorticks_off()
        colour = pu.plotting.COLOURS
        top.plot(x, [p["seconds"] for p in points], marker="o", color=colour[0], label="measured")
        top.plot(x, [p["flops"] / flops for p in points], "--", color=colour[1], label="arithmetic")
        top.plot(x, [p["bytes"] / rate for p in points], ":", color=colour[2], label="memory")
        bottom.plot(x, [p["peak"] / 2**20 for p in points], marker="o", color=colour[0])
        bottom.plot(x, [p["empty"] / 2**20 for p in points], ":", color=colour[2])
        bottom.set_xlabel(name)
        if column == 0:
            top.set_ylabel("seconds per step")
            bottom.set_ylabel("peak memory, MiB")
            bottom.set_yticks([300, 1000, 3000], ["300", "1,000", "3,000"])
            top.legend()
    figure.savefig(RESULTS / "growth.svg")


def measure(repeats: int) -> Report:
    """All points, each in a process of its own."""
    torch.set_num_threads(1)
    report = Report(
        "Growth",
        "CPU time of one step of Adam and peak memory of the process as the number of networks, "
        "their width or their depth grows; noise variance 0.09, d = 10, float64, one thread. The "
        "limits are what the floating-point operations of the step would take at the speed of one "
        "large matrix product, and what moving the optimiser's state once would take at the speed "
        "of a copy.",
    )
    flops, rate = limits()
    measured: dict[str, list[dict[str, float]]] = {}
    for name, points in AXES.items():
        measured[name] = []
        for n, width, depth in points:
            command = [sys.executable, __file__, "--point", f"{n},{width},{depth}"]
            command += ["--repeats", str(repeats)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            network, _, _ = job_one(1, width, depth)
            found = json.loads(text) | {"networks": n, "width": width, "depth": depth}
            found["flops"] = n * flops_per_step(network)
            found["bytes"] = n * bytes_per_step(network, 8)
            measured[name].append(found)
            print(found, flush=True)
    rows = []
    for points in measured.values():
        for p in points:
            least = max(p["flops"] / flops, p["bytes"] / rate)
            bound = "arithmetic" if p["flops"] / flops > p["bytes"] / rate else "memory"
            shape = [f"{p[k]:,}" for k in ("networks", "width", "depth")]
            rows.append(
                [
                    *shape,
                    seconds(p["seconds"]),
                    f"{(p['peak'] - p['empty']) / 2**20:.0f} MiB",
                    bound,
                    f"{p['seconds'] / least:.1f}",
                ]
            )
    columns = ["networks", "width", "depth", "one step", "memory", "nearer limit", "times its time"]
    report.table(
        f"One step against the nearer of two limits: {flops / 1e9:.0f} Gflop/s and "
        f"{rate / 1e9:.1f} GB/s, measured in the same run",
        columns,
        rows,
    )
    draw(measured, flops, rate)
    report.figure(
        "growth.svg",
        "CPU time per step and peak memory against the number of networks (width 16, depth 2), "
        "their width (200 networks) and their depth (1,000 networks). Dashed and dotted above: "
        "limits of arithmetic and of memory. Dotted below: the process before training.",
        "Six panels on logarithmic scales. Times grow in proportion to the number of networks and "
        "the depth, and at large width with its cube, some times above the nearer limit; memory "
        "grows in proportion to the weights.",
    )
    return report


def main() -> None:
    """Measure, print and store; or measure one point."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--point", help="networks,width,depth: print that one as JSON")
    given = parser.parse_args()
    if given.point:
        torch.set_num_threads(1)
        n, width, depth = map(int, given.point.split(","))
        print(json.dumps(point(n, width, depth, given.repeats)))
    else:
        measure(given.repeats).write("growth")


if __name__ == "__main__":
    main()
