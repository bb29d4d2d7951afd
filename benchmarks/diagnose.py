"""Cost of `pu.diagnose`, stage by stage, as a network grows.

    python benchmarks/diagnose.py    # a quarter of an hour; results/diagnose.json, diagnose.svg

One hidden layer of tanh neurons under cross-entropy on 10,000 samples of a fixed random teacher,
widths up to a million weights. Every size runs in a process of its own, so that its peak memory is
its own. gamma_origin is checked against the closed form, half the top singular value of
E[x (onehot(y) - 1/C)^T].
"""

import argparse
import json
import resource
import subprocess
import sys
import time

import numpy as np
import torch
from report import RESULTS, Report, seconds
from torch import nn

import phase_utils as pu

INPUTS, CLASSES = 500, 10
WIDTHS, SAMPLES = (20, 200, 1960), 10_000
LIMITS = {"gamma_origin": 120.0, "diagnosis": 600.0, "GiB": 2.0}


def measure(width: int) -> dict[str, float]:
    """Time both calls at one width; run in a process of its own."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(SAMPLES, INPUTS)) / INPUTS**0.5
    scores = 8 * np.tanh(x @ rng.normal(size=(INPUTS, CLASSES)))
    y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    model = nn.Sequential(
        nn.Linear(INPUTS, width, bias=False), nn.Tanh(), nn.Linear(width, CLASSES, bias=False)
    )
    start = time.perf_counter()
    problem = pu.ModuleProblem(model, nn.CrossEntropyLoss(), (x, y))
    origin = pu.expand_origin(problem)
    middle = time.perf_counter()
    del problem
    found = pu.diagnose(model, nn.CrossEntropyLoss(), (x, y))
    end = time.perf_counter()
    signal = x.T @ (np.eye(CLASSES)[y] - 1 / CLASSES) / SAMPLES
    exact = np.linalg.svd(signal, compute_uv=False)[0] / 2
    return {
        "weights": sum(p.numel() for p in model.parameters()),
        "gamma_origin": middle - start,
        "diagnosis": end - middle,
        "GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "error": abs(origin.gamma / exact - 1),
        "ratio": found.gamma_coexistence / exact,
    }


def figure(rows: list[dict[str, float]]) -> None:
    """Seconds against weights, next to the table in results/."""
    import matplotlib.pyplot as plt

    pu.plotting.use_style()
    canvas, axes = plt.subplots(figsize=(5, 3.2))
    sizes = [row["weights"] for row in rows]
    for i, name in enumerate(("gamma_origin", "diagnosis")):
        values = [row[name] for row in rows]
        axes.loglog(sizes, values, marker=pu.plotting.MARKERS[i], label=name)
        axes.axhline(LIMITS[name], ls=":", lw=1, color=f"C{i}")
    axes.set_xlabel("weights")
    axes.set_ylabel("seconds")
    axes.legend()
    canvas.savefig(RESULTS / "diagnose.svg", transparent=True)


def main() -> None:
    """Measure all sizes, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--width", type=int, help="measure one size and print it as JSON")
    one = parser.parse_args().width
    if one is not None:
        print(json.dumps(measure(one)))
        return
    report = Report(
        "Diagnosis",
        f"`pu.diagnose` and its first stage for a tanh network of one hidden layer, {INPUTS} "
        f"inputs, {CLASSES} classes, {SAMPLES} samples, float64. "
        "Memory is the peak of the process, libraries and data included. The error is that of "
        "gamma_origin against its closed form; the last column is the bound on gamma_coexistence "
        "in units of gamma_origin. Dotted in the figure: the limits that the package keeps for a "
        "million weights.",
    )
    rows = []
    for width in WIDTHS:
        command = [sys.executable, __file__, "--width", str(width)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout))
    columns = ["weights", "gamma_origin", "diagnosis", "memory", "error", "coexistence / origin"]
    report.table(
        "Cost of a diagnosis",
        columns,
        [
            [
                f"{row['weights']:,}",
                seconds(row["gamma_origin"]),
                seconds(row["diagnosis"]),
                f"{row['GiB']:.2f} GiB",
                f"{row['error']:.0e}",
                f"{row['ratio']:.6f}",
            ]
            for row in rows
        ],
    )
    figure(rows)
    report.figure(
        "diagnose.svg",
        "Seconds of gamma_origin and of a whole diagnosis against the number of weights, 10,000 "
        "samples. Dotted: the limits for a million weights.",
        "Two lines that rise with slope one on double logarithmic axes, each below its dotted "
        "limit at a million weights",
    )
    report.write("diagnose")


if __name__ == "__main__":
    main()
