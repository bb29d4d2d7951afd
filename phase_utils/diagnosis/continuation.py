"""The learned branch of a module, followed up in weight decay until it ends."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.interpolate import CubicHermiteSpline
from torch import Tensor
from tqdm import tqdm

from phase_utils._check import Array
from phase_utils.diagnosis.blind import Blind
from phase_utils.diagnosis.objective import Objective
from phase_utils.training.minimisers import minimise
from phase_utils.training.quasi_newton import Lbfgs
from phase_utils.training.train import flat_evaluate

FIRST, STRIDE = 0.95, 0.02  # where it starts and the steps, in units of gamma_coexistence
FARTHEST = 200  # most steps
PATIENCE = 4  # continuations of a state that has neither converged nor gone
DEAD = 1e-3  # share of the first R below which nothing is left


@dataclass(frozen=True)
class Branch:
    """Trained minima, each started from the last.

    gamma, loss, square : (m,) of the states that were alive, ascending in gamma; loss is l0 +
        gamma R, square R beyond that of the blind network.
    coexistence : where the loss crosses F, by Hermite interpolation with slopes R; the end of
        the branch where it does not.
    end, end_error : where the branch ends, and half of the bracket: from the last decay at which a
        state converged alive (0 if none did) to the first at which nothing was left. A state that
        did neither within the steps is in doubt and stays inside the bracket.
    """

    gamma: np.ndarray
    loss: np.ndarray
    square: np.ndarray
    coexistence: float
    end: float
    end_error: float


def follow(
    problem: Objective,
    blind: Callable[[float], Blind],
    weights: Array,
    gamma: float,
    *,
    precision: float = 1e-3,
    max_steps: int = 3000,
    progress: bool = False,
) -> Branch:
    """Follow the learned state up from 0.95 gamma, warm-started, and bisect its end.

    blind : the best blind network at a gamma; weights : (P,) from which the first state is trained.
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
            )
        value, square = problem.values(end[0].numpy())
        # at a kink (ReLU) no step lowers the loss although the gradient does not vanish
        beyond = max(square - blind(decay).square, 0.0)
        return end[0], value + decay * square, beyond, status[0] in ("converged", "stalled")

    states: list[tuple[float, float, float]] = []
    x, bracket = _grown(problem, weights, FIRST * gamma), _Bracket(precision * gamma)
    bar = tqdm(desc="learned branch", disable=not progress, leave=False)
    decay: float | None = FIRST * gamma
    for _ in range(FARTHEST):
        if decay is None:
            break
        new, loss, square, converged = trained(x, decay)
        for _ in range(PATIENCE):  # beyond a spinodal the motion is slow
            if converged or _gone(square, states):
                break
            new, loss, square, converged = trained(new, decay)
        bar.update()
        if _gone(square, states):
            bracket.lost(decay)
        elif converged:
            bracket.held(decay)
        else:
            bracket.doubt(decay)
        if not _gone(square, states) and (converged or not states):
            x = new
            states.append((decay, loss, square))
        decay = bracket.following(decay, STRIDE * gamma)
    bar.close()
    table = np.array(sorted(states))
    end, error = bracket.middle()
    return Branch(table[:, 0], table[:, 1], table[:, 2], _crossing(table, blind, end), end, error)


def _gone(square: float, states: list[tuple[float, float, float]]) -> bool:
    """Whether nothing of the learned state is left."""
    return bool(states) and (square <= DEAD * states[0][2] or square < states[-1][2] / 30)


@dataclass
class _Bracket:
    """Decays at which the branch is known to live and to have ended, and those left in doubt."""

    precision: float
    alive: float = 0.0
    dead: float = np.inf
    doubtful: tuple[float, float] | None = None  # the least and the largest

    def held(self, decay: float) -> None:
        self.alive = max(self.alive, decay)

    def lost(self, decay: float) -> None:
        self.dead = min(self.dead, decay)

    def doubt(self, decay: float) -> None:
        low, high = self.doubtful or (decay, decay)
        self.doubtful = (min(low, decay), max(high, decay))

    def following(self, last: float, stride: float) -> float | None:
        """The next decay to try: up to the first that is dead, then into the widest gap."""
        if not np.isfinite(self.dead):
            return last + stride
        doubtful = [d for d in self.doubtful or () if self.alive < d < self.dead]
        known = [self.alive, *doubtful, self.dead]
        # between two doubtful ones there is nothing to learn
        gaps = [(known[1] - known[0], known[0]), (known[-1] - known[-2], known[-2])]
        width, start = max(gaps)
        return start + width / 2 if width > self.precision else None

    def middle(self) -> tuple[float, float]:
        """Where the branch ends, and half of the bracket."""
        if not np.isfinite(self.dead):
            return np.inf, np.nan
        return (self.alive + self.dead) / 2, (self.dead - self.alive) / 2


def _grown(problem: Objective, weights: Array, decay: float) -> Tensor:
    """The decayed weights at the best size along their ray: at a kink of zero no step starts."""
    rows = [np.where(problem.decays, k * weights, weights) for k in np.logspace(0, 6, 61)]
    pairs = [problem.values(row) for row in rows]
    totals = np.array([loss + decay * square for loss, square in pairs])
    return torch.from_numpy(rows[int(np.nan_to_num(totals, nan=np.inf).argmin())])


def _crossing(table: np.ndarray, blind: Callable[[float], Blind], end: float) -> float:
    """Where the loss reaches that of the blind network."""
    gamma, loss, square = table.T
    there = [blind(float(g)) for g in gamma]
    excess = loss - np.array([b.value for b in there])
    tolerance = 1e-12 * max(abs(there[-1].value), 1e-12)
    if len(gamma) < 2 or excess[-1] <= tolerance:
        return end
    roots = CubicHermiteSpline(gamma, excess, square).roots(extrapolate=False)
    return float(roots[0]) if len(roots) else end
