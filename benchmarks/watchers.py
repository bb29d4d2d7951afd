"""Two libraries that watch a training for collapse, beside `pu.Watch`, on the same runs.

    pip install thermoclaw==0.1.6 torchmortem==0.1.1
    python benchmarks/watchers.py    # one core, some minutes; results/watchers.json

Handwritten digits, a ReLU network 64-24-10 with biases, plain SGD on full batches, all of it
decayed as torch's optimisers do. All three look at the same runs, each used as its own pages say:
thermoclaw with parameter groups of its own making, torchmortem in a `with` around the loop. What
they write is recorded as they wrote it.
"""

import os
import warnings
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from report import Report
from sklearn.datasets import load_digits
from torch import nn

import phase_utils as pu

SAMPLES, STEPS, RATE, MOMENTUM = 400, 1500, 0.1, 0.9
DECAYS = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5)  # torch's weight_decay
EVERY = 25  # steps between readings of the margin
FIRST = 100  # steps in which the first alarm is looked for, which takes longer with each step


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """The samples, in single precision as people train."""
    x, y = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(y))[:SAMPLES]
    return torch.tensor(x[chosen] / 16, dtype=torch.float32), torch.tensor(y[chosen])


def network() -> nn.Module:
    """The network at its start, the same in all runs."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))


def train(decay: float, x: torch.Tensor, y: torch.Tensor) -> dict[str, Any]:
    """One run that all three watch."""
    from thermoclaw import CollapseDetector, make_param_groups
    from torchmortem import Autopsy

    model = network()
    groups = make_param_groups(model, lr=RATE, weight_decay=decay)
    optimiser = torch.optim.SGD(groups, lr=RATE, momentum=MOMENTUM)
    detector = CollapseDetector(model, optimiser)
    watch = pu.Watch(model, F.cross_entropy, (x, y), optimiser)
    alarm = 0
    with Autopsy(model, optimizer=optimiser) as autopsy:
        for step in range(1, STEPS + 1):
            optimiser.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimiser.step()
            detector.step()
            autopsy.step(loss=loss.item())
            if not alarm and step <= FIRST and detector.is_collapsing:
                alarm = step
            if step % EVERY == 0:
                watch.read(model)
    report = autopsy.get_report()
    assert report is not None
    output = model(x)
    last = watch.history[-1]
    return {
        "accuracy": float((output.argmax(1) == y).double().mean()),
        "constant": bool(output.std(0).max() < 1e-4),
        "alarm": alarm,
        "at the end": detector.get_recommendations(),
        "findings": [
            {"severity": f.severity.name.lower(), "title": f.title, "summary": f.summary}
            for f in report.findings
        ],
        "margin": last.margin,
        "collapsed": last.collapsed,
        "cause": last.cause,
    }


def main() -> None:
    """Run all decays, print and store."""
    torch.set_num_threads(1)
    x, y = data()
    optimiser = torch.optim.SGD(
        (model := network()).parameters(), lr=RATE, weight_decay=max(DECAYS)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pu.diagnose(model, F.cross_entropy, (x, y), optimizer=optimiser)
        runs = {decay: train(decay, x, y) for decay in DECAYS}
    report = Report(
        "Others that watch a run",
        f"{SAMPLES} handwritten digits, a ReLU network 64-24-10 with biases, SGD with rate {RATE} "
        f"and momentum {MOMENTUM}, {STEPS} full batches, one start. `pu.diagnose` says, before "
        f"any run, that learning pays up to a weight decay of {found.weight_decay:.4f} "
        f"({found.order}). "
        "A margin of 2 means that twice the decay could be borne by the weights as they are.",
    )
    report.record["weight_decay"] = found.weight_decay
    report.record["runs"] = {str(k): v for k, v in runs.items()}
    for name in ("thermoclaw", "torchmortem"):
        report.record["versions"][name] = version(name)
    report.table(
        "The same runs, watched by three",
        ["weight decay", "accuracy at the end", "output constant",
         f"thermoclaw: alarm, in the first {FIRST} steps", "thermoclaw: alarm at the end",
         "torchmortem: critical findings", "pu.Watch: margin", "pu.Watch: collapsed by"],
        [row(decay, run) for decay, run in runs.items()],
    )  # fmt: skip
    report.write("watchers")


def version(name: str) -> str:
    """Of an installed package."""
    from importlib import metadata

    return metadata.version(name)


def row(decay: float, run: dict[str, Any]) -> list[str]:
    """Cells of one run."""
    critical = [f["title"] for f in run["findings"] if f["severity"] == "critical"]
    return [
        f"{decay:g}",
        f"{run['accuracy']:.0%}",
        "yes" if run["constant"] else "no",
        f"step {run['alarm']}" if run["alarm"] else "none",
        "yes" if run["at the end"] else "no",
        "; ".join(critical) or "none",
        f"{run['margin']:.2f}",
        run["cause"] if run["collapsed"] else "-",
    ]


if __name__ == "__main__":
    main()
