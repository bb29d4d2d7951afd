"""Whether a loss is convex in the output, on which a bound from above rests."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FUNCTIONS = (
    F.cross_entropy,
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy_with_logits,
    F.soft_margin_loss,
)
MODULES = (
    nn.CrossEntropyLoss,
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCEWithLogitsLoss,
    nn.SoftMarginLoss,
)
PAIRS = 20  # pairs of outputs between which convexity is tried


def convex(problem: Any, output: Tensor) -> str:
    """Whether the loss is convex in the output: "known", "probed", or "" where it is not."""
    loss_fn = problem.loss_fn
    if loss_fn in FUNCTIONS or isinstance(loss_fn, MODULES):
        return "known"
    generator = torch.Generator().manual_seed(0)
    numbers = isinstance(problem.y, Tensor) and problem.y.is_floating_point()
    size = float(problem.y.double().std(correction=0)) if numbers else 1.0
    with torch.no_grad():
        for _ in range(PAIRS):
            a, b = (
                output + 2 * size * torch.randn(output.shape, generator=generator).to(output)
                for _ in range(2)
            )
            ends = (float(loss_fn(a, problem.y)) + float(loss_fn(b, problem.y))) / 2
            if float(loss_fn((a + b) / 2, problem.y)) > ends + 1e-9 * abs(ends):
                return ""
    return "probed"
