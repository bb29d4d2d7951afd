"""Diagnoses of many small networks, each against a truth that does not use them.

    python benchmarks/panel.py [--second] [--only NAME ...] [--again | --record]

Writes results/panel.json and panel.svg; one core, about half an hour for each set of seeds. Every
network is a file in results/rows when it is done, and is not done twice; with --second its data and
weights are drawn anew. A network that fails is a row that says so.
"""

import argparse
import json
import math
import os
import platform
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from networks import NAMES
from networks.case import SEEDS, Case, Exact, build
from networks.table import cells, tables, verdict
from networks.truth import is_unbounded, observe
from report import RESULTS, Report

import phase_utils as pu
from phase_utils._files import write_atomic

ROWS = RESULTS / "rows"
FEW = 4  # starts for a network with noise, each of whose losses is a mean over draws


def measure(name: str, which: str, case: Case, starts: int | None = None) -> dict[str, Any]:
    """The row of one network: what is predicted, what is true, what it took."""
    options: dict[str, Any] = {"progress": False, **case.options}
    if starts or case.noisy:
        options["starts"] = starts or FEW
    wall, cpu = time.perf_counter(), time.process_time()
    found = pu.diagnose(case.model, case.loss, case.data, **options)
    row: dict[str, Any] = {
        "name": name,
        "set": which,
        "what": case.what,
        "weights": sum(p.numel() for p in case.model.parameters() if p.requires_grad),
        "predicted": found.gamma_coexistence,
        "predicted order": found.order,
        "upper": found.gamma_upper,
        "noise": found.evidence.noise,
        "hits": {k: list(v) for k, v in found.evidence.hits.items()},
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
    }
    begun = time.process_time()
    if isinstance(case.truth, Exact):
        row |= {"truth": case.truth.value, "order": case.truth.order, "why": case.truth.why}
        if case.truth.resize is not None:
            row["checked"] = is_unbounded(case)
    elif 0 < found.gamma_coexistence < math.inf:
        seen = observe(case, found.gamma_coexistence, found.weights)
        row |= {
            "low": seen.low,
            "high": seen.high,
            "order": seen.order,
            "why": "training",
            "certified": seen.certified,
            "cold": list(seen.cold),
            "complete": seen.complete,
            "totals": {str(k): v for k, v in seen.totals.items()},
        }
    row["truth cpu"] = time.process_time() - begun
    row["verdict"] = verdict(row)
    return row


WHAT = """\
`pu.diagnose`, with its defaults (four starts for noisy networks), for small networks with
losses and penalties of many kinds. The truth is a closed form, or plain training in PyTorch
around the predicted decay: cold at four sizes of the initial weights, followed from three
tenths of it upwards, and from the weights that the diagnosis found. The truth is given between
two decays: the largest at which training fell below the best blind network, and the next one at
which it did not.

Verdicts on the decay. *right*: within 1 % of the closed form (5 % where the network is noisy,
and the answer a mean over draws); or training is below at .98 of the predicted decay and not at
1.02, and the weights that were found tie with the blind network at the prediction, within a
ten-thousandth of it, in plain PyTorch. *true bound*: the same, but training alone did not reach
.98. *too low*: training, or the closed form, learns at decays beyond; the lower bound is true
and poor. *too high*: a false bound. *wrong*: a transition is taken for none, or for one without
end, or the reverse. *refused*: no answer.

An order is seen in training where the square of the weights at .98 is above .6 of that at .90, or
that at .995 above .6 of that at .98 (first), or where that last ratio is below .4 (continuous); in
between it is undecided.
"""


def figure(rows: Sequence[Mapping[str, Any]]) -> None:
    """Truth over prediction, a point for a closed form and a bar for a bracket."""
    import matplotlib.pyplot as plt

    pu.plotting.use_style()
    finite = [r for r in rows if 0 < r.get("predicted", 0) < math.inf]
    names = [name for name in NAMES if any(r["name"] == name for r in finite)]
    canvas, axes = plt.subplots(figsize=(6, 0.17 * len(names) + 1.2))
    for row in finite:
        second = row["set"] == "second"
        at, colour = names.index(row["name"]) + 0.3 * second, f"C{int(second)}"
        if "truth" in row and 0 < row["truth"] < math.inf:
            axes.plot(row["truth"] / row["predicted"], at, "o", ms=3, color=colour)
        elif "low" in row:
            axes.plot([max(row["low"], 0.5), min(row["high"], 1.6)], [at, at], lw=2, color=colour)
    axes.axvline(1, lw=0.8, color="0.5")
    axes.set_xscale("log")
    ticks = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3, 1.6)
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, 0.94), max(high, 1.06))
    ticks = [t for t in ticks if axes.get_xlim()[0] <= t <= axes.get_xlim()[1]]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(names)), names, fontsize=6)
    axes.set_ylim(len(names), -1)
    axes.set_xlabel("true over predicted decay")
    canvas.savefig(RESULTS / "panel.svg", transparent=True, metadata={"Date": None})


def saved(path: Path, row: Mapping[str, Any]) -> None:
    """Write a row as strict JSON, which has no infinity."""
    words = {k: "inf" if v == math.inf else v for k, v in row.items()}
    write_atomic(path, json.dumps(words, indent=1, allow_nan=False) + "\n")


def restored(row: dict[str, Any]) -> dict[str, Any]:
    """The row that was saved."""
    return {k: math.inf if v == "inf" else v for k, v in row.items()}


def write(rows: Sequence[Mapping[str, Any]]) -> None:
    """Tables, figure and machine into results/."""
    report = Report("How well a diagnosis predicts", WHAT)
    report.record["seeds"] = SEEDS
    report.record["rows"] = [
        {k: "inf" if v == math.inf else v for k, v in row.items()} for row in rows
    ]
    for caption, columns, lines in tables(rows):
        report.table(caption, columns, lines)
    figure(rows)
    report.figure(
        "panel.svg",
        "True over predicted decay: points are closed forms, bars the brackets of training; blue "
        "the first set of seeds and data, orange the second. Right of one lies what the lower "
        "bound missed.",
        "One line per network with a point or a short bar, nearly all of them at one",
    )
    report.write("panel")


def main() -> None:
    """Measure what is not yet measured, and write what there is."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=NAMES)
    parser.add_argument("--second", action="store_true", help="the second set of seeds and data")
    parser.add_argument("--again", action="store_true", help="measure again what is measured")
    parser.add_argument("--record", action="store_true", help="measure nothing, write the rows")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of the rows")
    parser.add_argument("--starts", type=int, help="ascents of each diagnosis")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    which = "second" if chosen.second else "first"
    chosen.rows.mkdir(parents=True, exist_ok=True)
    for name in [] if chosen.record else chosen.only or NAMES:
        path = chosen.rows / f"{name}.{which}.json"
        if path.exists() and not chosen.again:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                row = measure(name, which, build(name, which), chosen.starts)
        except Exception as error:
            traceback.print_exc()
            row = {"name": name, "set": which, "what": name, "verdict": "refused",
                   "error": f"{type(error).__name__}: {error}"[:300]}  # fmt: skip
        row["versions"] = {"python": platform.python_version(), "torch": torch.__version__}
        saved(path, row)
        print(name, row["verdict"], cells(row)[2:], flush=True)
    if chosen.rows == ROWS and not chosen.only:
        found = [ROWS / f"{name}.{k}.json" for k in SEEDS for name in NAMES]
        write([restored(json.loads(p.read_text())) for p in found if p.exists()])


if __name__ == "__main__":
    main()
