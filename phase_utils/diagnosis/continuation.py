"""The learned branch of a module, followed up in weight decay until it ends."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor
from tqdm import tqdm

from phase_utils.diagnosis.origin import TrivialPoint
from phase_utils.training.minimisers import minimise
from phase_utils.training.modules import ModuleProblem
from phase_utils.training.quasi_newton import Lbfgs
from phase_utils.training.train import flat_evaluate

FIRST, STRIDE = 0.95, 0.02  # where it starts and the steps, in units of gamma_coexistence
FARTHEST = 200  # most steps
DEAD = 1e-3  # share of the first R below which nothing is left


@dataclass(frozen=True)
class Branch:
    """Trained minima, each started from the last.

    gamma, loss, square : (m,) of the states that were alive, ascending in gamma; loss is l0 +
        gamma R.
    coexistence : where the loss crosses l_triv, by Hermite interpolation with slopes R; the end of
        the branch where it does not.
    end, end_error : where the branch ends, and half of the bracket. Beyond a spinodal the motion is
        slow: a state that had not converged counts as undecided and widens the bracket.
    """

    gamma: np.ndarray
    loss: np.ndarray
    square: np.ndarray
    coexistence: float
    end: float
    end_error: float


def follow(
    problem: ModuleProblem,
    trivial: TrivialPoint,
    weights: Tensor,
    gamma: float,
    *,
    precision: float = 1e-3,
    max_steps: int = 3000,
    progress: bool = False,
) -> Branch:
    """Follow the learned state up from 0.95 gamma, warm-started, and bisect its end.

    weights : (P,) from which the first state is trained.
    gamma : the coexistence, > 0; precision : of the end, in units of it.
    """
    flat = flat_evaluate(problem, problem.shapes)

    def trained(x: Tensor, decay: float) -> tuple[Tensor, float, float, bool]:
        with torch.no_grad():
            end, status, _ = minimise(
                flat,
                x[None],
                x.new_full((1,), decay),
                Lbfgs(8, 0.05),
                tolerance=1e-8,
                max_steps=max_steps,
                gives_up=True,
            )
            square = float(problem.square(end)[0])
            loss = float(problem.losses(end)[0]) + decay * square
        # at a kink (ReLU) no step lowers the loss although the gradient does not vanish
        return end[0], loss, square, status[0] in ("converged", "stalled")

    states: list[tuple[float, float, float]] = []
    x, low, high = _grown(problem, weights, FIRST * gamma), FIRST * gamma, np.inf
    undecided = False
    bar = tqdm(desc="learned branch", disable=not progress, leave=False)
    decay = low
    for _ in range(FARTHEST):
        new, loss, square, converged = trained(x, decay)
        bar.update()
        unit = states[0][2] if states else square
        if states and (square <= DEAD * unit or square < states[-1][2] / 30):
            high = decay
        else:
            undecided = undecided or not converged
            if converged:
                x, low, undecided = new, decay, False
                states.append((decay, loss, square))
            else:  # alive or still falling: neither bound is moved by it
                high = min(high, decay) if states else np.inf
                if not states:
                    x = new
                    states.append((decay, loss, square))
        if high - low <= precision * gamma:
            break
        decay = low + STRIDE * gamma if not np.isfinite(high) else (low + high) / 2
    bar.close()
    table = np.array(sorted(states))
    end = (low + high) / 2 if np.isfinite(high) else np.inf
    error = (high - low) / 2 if np.isfinite(high) else np.nan
    return Branch(
        table[:, 0], table[:, 1], table[:, 2], _crossing(table, trivial.loss, end), end, error
    )


def _grown(problem: ModuleProblem, weights: Tensor, decay: float) -> Tensor:
    """The decayed weights at the best size along their ray: at a kink of zero no step starts."""
    sizes = torch.logspace(0, 6, 61, dtype=weights.dtype, device=weights.device)[:, None]
    rows = torch.where(problem.mask, sizes * weights, weights)
    loss = problem.losses(rows) + decay * problem.square(rows)
    return rows[int(torch.nan_to_num(loss, nan=torch.inf).argmin())]


def _crossing(table: np.ndarray, level: float, end: float) -> float:
    """Where the loss reaches that of the trivial state."""
    gamma, loss, square = table.T
    tolerance = 1e-12 * max(abs(level), 1e-12)
    if len(gamma) < 2 or loss[-1] <= level + tolerance:
        return end
    roots = CubicHermiteSpline(gamma, loss - level, square).roots(extrapolate=False)
    return float(roots[0]) if len(roots) else end
