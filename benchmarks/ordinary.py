"""Cost of `pu.diagnose` for networks as people have them, on one core.

    python benchmarks/ordinary.py    # some minutes; results/ordinary.json

Handwritten digits (400), cross-entropy, biases, defaults throughout; and a million weights on
10,000 samples of a fixed random teacher, as much as is promised within ten minutes.
"""

import os
import resource
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
import torch.nn.functional as F
from report import Report, seconds
from sklearn.datasets import load_digits
from torch import Tensor, nn

import phase_utils as pu

SAMPLES = 400
INPUTS, WIDTH, MANY = 500, 1960, 10_000  # of the largest network, and its samples


def relu(*widths: int) -> nn.Module:
    """A ReLU network with biases."""
    parts: list[nn.Module] = []
    for a, b in pairwise((64, *widths, 10)):
        parts += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*parts[:-1])


class Recurrent(nn.Module):
    """An LSTM that reads the eight rows of an image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = nn.LSTM(8, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of images (n, 64)."""
        return self.head(self.rows(x.reshape(-1, 8, 8))[0][:, -1])


NETWORKS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "ReLU 64-14-10, weights decayed": (lambda: relu(14), False),
    "ReLU 64-135-10, weights decayed": (lambda: relu(135), False),
    "ReLU 64-1333-10, weights decayed": (lambda: relu(1333), False),
    "ReLU 64-14-10, all decayed": (lambda: relu(14), True),
    "ReLU 64-135-10, all decayed": (lambda: relu(135), True),
    "ReLU 64-12-12-10, all decayed": (lambda: relu(12, 12), True),
    "ReLU 64-70-70-10, all decayed": (lambda: relu(70, 70), True),
    "LSTM of 16 units, matrices decayed": (lambda: Recurrent(16), False),
}


def teacher() -> tuple[Tensor, Tensor]:
    """Inputs and classes for a million weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(MANY, INPUTS)) / INPUTS**0.5
    scores = 8 * np.tanh(x @ rng.normal(size=(INPUTS, 10)))
    y = np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)
    return torch.tensor(x), torch.tensor(y)


def large() -> nn.Module:
    """A tanh network of a million weights, without biases."""
    parts = nn.Linear(INPUTS, WIDTH, bias=False), nn.Tanh(), nn.Linear(WIDTH, 10, bias=False)
    return nn.Sequential(*parts)


def measure(make: Callable[[], nn.Module], every: bool, x: Tensor, y: Tensor) -> list[Any]:
    """Weights, wall and CPU seconds, memory, answer and starts that found it."""
    torch.manual_seed(0)
    model = make()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01) if every else None
    wall, cpu = time.perf_counter(), time.process_time()
    found = pu.diagnose(model, F.cross_entropy, (x, y), optimizer=sgd, progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    hits = ", ".join(f"{kind} {n}/{m}" for kind, (n, m) in found.evidence.hits.items())
    return [
        f"{sum(p.numel() for p in model.parameters()):,}",
        seconds(cpu),
        seconds(wall),
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB",
        f"{found.gamma_coexistence:.5g}",
        "" if found.gamma_upper is None else f"{found.gamma_upper:.5g}",
        found.order,
        hits,
    ]


def main() -> None:
    """Measure all, print and store."""
    torch.set_num_threads(1)
    digits = load_digits()
    x, y = torch.tensor(digits.data[:SAMPLES] / 16), torch.tensor(digits.target[:SAMPLES])
    report = Report(
        "Ordinary networks",
        f"`pu.diagnose` with its defaults for networks with biases on {SAMPLES} digits under "
        f"cross-entropy, and for a million weights on {MANY:,} samples; one core, one run each. "
        "Memory is the peak of the process up to there. Starts that hit: within .1 % of the best.",
    )
    columns = ["network", "weights", "CPU", "wall", "memory", "gamma_coexistence", "gamma_upper",
               "order", "starts that hit"]  # fmt: skip
    rows = []
    for name, how in NETWORKS.items():
        rows.append([name, *measure(*how, x, y)])
        print(*rows[-1], flush=True)
    rows.append([f"tanh {INPUTS}-{WIDTH}-10, weights decayed", *measure(large, False, *teacher())])
    report.table("Cost of a diagnosis", columns, rows)
    report.write("ordinary")


if __name__ == "__main__":
    main()
