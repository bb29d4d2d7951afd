"""Time of training one linear network: `pu.sweep` against plain torch, one network at a time.

    python benchmarks/training.py [--repeats 5]    # minutes; results/training.json

All train the same networks (same data, decays and initial weights, float64, one thread of the CPU)
to the same accuracy:

  sweep             all networks of the plan at once, on the exact moments of the data
  LBFGS on moments  torch.optim.LBFGS, network by network, on the same moments
  LBFGS on samples  torch.optim.LBFGS, network by network, on the samples

The loops train a subsample, every `STRIDE`th network of the plan. Times are those of one network.
"""

import argparse
from collections.abc import Callable

import numpy as np
import torch
from report import HEADS, Report, interleaved

import phase_utils as pu

DEPTH, WIDTH, SCALES, SEEDS, STRIDE = 2, 32, (0.05, 0.3), range(8), 7
TOLERANCE = 1e-10  # of the gradient, in units of the loss at zero weights over max(1, |w|)

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


def measure(repeats: int) -> Report:
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
    report = Report(
        "Training",
        f"{len(gamma)} networks on {task.description}: D = {DEPTH}, width {WIDTH}, {len(gammas)} "
        f"weight decays, two initial scales, {len(SEEDS)} seeds, float64, one thread, until the "
        f"gradient is below {TOLERANCE:g} of the loss. The peers are `torch.optim.LBFGS`, network "
        "by network, on the moments of the data and on its samples; they train every "
        f"{STRIDE}th network. Their stopping rule looks at the largest entry of the gradient.",
    )
    pu.sweep(moments, gamma=gammas[:2], depth=DEPTH, device="cpu")  # imports and first calls
    one_by_one(losses["LBFGS on samples"], starts[:1], decays[:1], moments.Eyy)
    times, results = interleaved(runs, repeats)

    ds = results.pop("sweep")
    if not np.all(ds["status"].values == "converged"):
        raise RuntimeError("networks of the sweep did not converge: the comparison is not fair")
    swept = ds["loss"].values.ravel()[chosen]
    again = pu.train(network, init, gamma[chosen], settings)
    _, gradient = network.value_and_gradient(again.weights, torch.tensor(gamma[chosen]))
    largest = torch.cat([g.flatten(1) for g in gradient], dim=1).norm(dim=1).max().item()
    ours = times["sweep"]
    rows = [["sweep", *ours.cells(1 / len(gamma)), "1", "1", f"{largest:.1e}", ""]]
    for name, (values, trained) in results.items():
        # gradients of all are taken with the formula of the samples
        norms = [torch.cat([w.grad.flatten() for w in ws]).norm().item() for ws in trained]
        same = np.abs(values - swept) < 1e-6 * moments.Eyy
        share = len(gamma) / len(chosen)
        rows.append(
            [
                name,
                *times[name].cells(1 / len(chosen)),
                f"{share * min(times[name].wall) / min(ours.wall):.1f}",
                f"{share * min(times[name].cpu) / min(ours.cpu):.1f}",
                f"{max(norms):.1e}",
                f"{same.sum()} of {len(same)}",
            ]
        )
    columns = ["method", *HEADS, "ratio, wall", "ratio, CPU", "largest gradient", "same minimum"]
    report.table("Time for one network", columns, rows)
    return report


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    measure(parser.parse_args().repeats).write("training")


if __name__ == "__main__":
    main()
