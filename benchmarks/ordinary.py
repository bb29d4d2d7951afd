"""Cost of `pu.diagnose` for networks as people have them, on one core.

    python benchmarks/ordinary.py    # some minutes; results/ordinary.json

Handwritten digits (400), cross-entropy, biases, defaults throughout.
"""

import os
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import torch
import torch.nn.functional as F
from report import Report, seconds
from sklearn.datasets import load_digits
from torch import Tensor, nn

import phase_utils as pu

SAMPLES = 400


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


def measure(make: Callable[[], nn.Module], every: bool, x: Tensor, y: Tensor) -> list[Any]:
    """Weights, wall and CPU seconds, answer and starts that found it."""
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
        f"{found.gamma_coexistence:.5g}",
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
        "cross-entropy, one core, one run each. Starts that hit: within .1 % of the best.",
    )
    columns = ["network", "weights", "CPU", "wall", "gamma_coexistence", "order", "starts that hit"]
    rows = [[name, *measure(*how, x, y)] for name, how in NETWORKS.items()]
    report.table("Cost of a diagnosis", columns, rows)
    report.write("ordinary")


if __name__ == "__main__":
    main()
