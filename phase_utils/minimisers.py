"""Batched minimisers: every row of a batch is a problem of its own, with its own step and status.

One tick evaluates value and gradient of all rows once. A row whose trial point is refused waits
with a shorter step while the others go on. Nothing is read back from the device between checks.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Evaluate = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # x (n, P), gamma (n,) -> f, gradient
State = dict[str, Tensor]  # everything batch first, so that finished rows can be cut out

CHECK_EVERY = 10  # ticks between looks at convergence
STEP_FLOOR = 1e-3  # the step cap of weights smaller than this is that of weights of this norm
PROBE = 1e-3  # length of the step that measures the curvature at the start, in units of the cap
DECREASE = 1e-4  # Armijo's constant
CURVATURE = 1e-8  # least cosine between step and change of gradient that is learned from
REFUSALS = 12  # refused trials in a row after which the memory is dropped
FLAT = 1e-5  # relative gradient of a row that stands still at a minimum, not at a kink
PATIENCE = 5  # checks in a row without progress after which a row is given up
FARTHEST = 1e8  # norm of the weights, in units of max(1, initial), that counts as divergence
STATUS = ("max_steps", "converged", "diverged", "nonfinite", "stalled")
RUNNING, CONVERGED, DIVERGED, NONFINITE, STALLED = range(5)


class Method(Protocol):
    """A minimiser: prepares its part of the state, then advances the state by one tick."""

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Add to the state, which has x, f, g and gamma, what `tick` needs."""

    def tick(self, state: State, evaluate: Evaluate, /) -> None:
        """Take one step with one evaluation, every row for itself."""

    def settled(self, state: State) -> Tensor:
        """(n,) of bool: whether a row whose gradient vanishes is at rest."""
        ...


class Lbfgs:
    """L-BFGS with Armijo backtracking and a cap on the step relative to the norm of the weights.

    The two-loop recursion runs in the coefficients of the basis of stored steps and gradient
    changes, from their Gram matrix: two batched matrix products per tick carry all the work.
    """

    def __init__(self, memory: int, step_cap: float) -> None:
        self.memory = memory
        self.step_cap = step_cap
        self.slot = 0

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Empty memory; the direction is that of the gradient, its length from its curvature."""
        x, g = state["x"], state["g"]
        n, P = x.shape
        pairs = 2 * self.memory  # steps first, then changes of the gradient
        longest = self._longest(x) / _norm(g).clamp_min(torch.finfo(x.dtype).tiny)
        # The first step is the Cauchy step: a warm start must not be thrown out of its basin.
        probe = (-PROBE * longest)[:, None] * g
        change = evaluate(x + probe, state["gamma"])[1] - g
        cauchy = _dot(probe, probe) / _dot(probe, change)
        state["basis"] = x.new_zeros(n, pairs, P)
        state["gram"] = x.new_zeros(n, pairs, pairs)
        state["inverse"] = x.new_zeros(n, self.memory)  # 1 / (s.y), 0 where a slot is empty
        state["h0"] = torch.where(cauchy > 0, torch.minimum(cauchy, longest), longest)
        state["gain"] = x.new_ones(n)
        state["refused"] = x.new_zeros(n)
        self._aim(state, -state["h0"][:, None] * g)

    def _longest(self, x: Tensor) -> Tensor:
        return self.step_cap * _norm(x).clamp_min(STEP_FLOOR)

    def _aim(self, state: State, direction: Tensor, update: Tensor | None = None) -> None:
        """Set the direction and the first step along it (for the rows in `update`)."""
        length = _norm(direction).clamp_min(torch.finfo(direction.dtype).tiny)
        new = {
            "d": direction,
            "slope": _dot(state["g"], direction),
            "alpha": torch.minimum(state["gain"], self._longest(state["x"]) / length),
        }
        for name, value in new.items():
            if update is None:
                state[name] = value
            else:
                mask = update[:, None] if value.ndim == 2 else update
                state[name] = torch.where(mask, value, state[name])

    def tick(self, state: State, evaluate: Evaluate, /) -> None:
        """Try one step along the direction; take it where it lowers the loss, else shorten it."""
        x, f, g, d = state["x"], state["f"], state["g"], state["d"]
        alpha, slope = state["alpha"], state["slope"]
        s = alpha[:, None] * d
        f_new, g_new = evaluate(x + s, state["gamma"])
        slope_new = _dot(g_new, d)

        # Below the rounding of f, a decrease shows in the gradients alone (approximate Wolfe).
        rounding = 4 * torch.finfo(x.dtype).eps * torch.maximum(f.abs(), state["unit"])
        armijo = f_new <= f + DECREASE * alpha * slope
        level = (f_new <= f + rounding) & (slope_new <= (2 * DECREASE - 1) * slope)
        taken = (armijo | level) & f_new.isfinite() & slope_new.isfinite()
        column = taken[:, None]

        shorter = -slope * alpha**2 / (2 * (f_new - f - alpha * slope))
        shorter = torch.where(shorter.isfinite(), shorter, 0.0).clamp(0.1 * alpha, 0.5 * alpha)
        state["alpha"] = torch.where(taken, alpha, shorter)
        state["refused"] = torch.where(taken, 0.0, state["refused"] + 1)

        y = g_new - g
        sy, yy = _dot(s, y), _dot(y, y)
        curved = taken & (sy > CURVATURE * _norm(s) * yy.sqrt())
        state["gain"] = torch.where(taken & ~curved, 2 * state["gain"], 1.0)
        state["h0"] = torch.where(curved, sy / yy, state["h0"])
        state["x"] = torch.where(column, x + s, x)
        state["f"] = torch.where(taken, f_new, f)
        state["g"] = torch.where(column, g_new, g)

        self._remember(state, s, y, sy, curved)
        self._turn(state, taken)

    def _remember(self, state: State, s: Tensor, y: Tensor, sy: Tensor, curved: Tensor) -> None:
        """Write the pair (s, y) into the oldest slot, or empty it for rows that learn nothing."""
        basis, gram, slot = state["basis"], state["gram"], self.slot
        column = curved[:, None]
        zero = torch.zeros((), dtype=s.dtype, device=s.device)
        basis[:, slot] = torch.where(column, s, zero)
        basis[:, self.memory + slot] = torch.where(column, y, zero)
        state["inverse"][:, slot] = torch.where(curved, 1 / sy, zero)
        newest = torch.stack([basis[:, slot], basis[:, self.memory + slot], state["g"]], dim=2)
        products = basis @ newest
        for column_, where in ((0, slot), (1, self.memory + slot)):
            gram[:, :, where] = products[:, :, column_]
            gram[:, where, :] = products[:, :, column_]
        state["along_g"] = products[:, :, 2]
        self.slot = (slot + 1) % self.memory

    def _turn(self, state: State, taken: Tensor) -> None:
        """Two-loop recursion for the rows that moved; steepest descent for those that are stuck."""
        basis, gram, inverse = state["basis"], state["gram"], state["inverse"]
        m = self.memory
        newest_first = [(self.slot - 1 - i) % m for i in range(m)]
        along = state["along_g"].clone()  # products of the running vector with the basis
        weight = torch.zeros_like(along)  # its coefficients; that of the gradient is h0
        first = {}
        for i in newest_first:
            first[i] = inverse[:, i] * along[:, i]
            weight[:, m + i] = -first[i]
            along -= first[i][:, None] * gram[:, :, m + i]
        weight *= state["h0"][:, None]
        along *= state["h0"][:, None]
        for i in reversed(newest_first):
            change = first[i] - inverse[:, i] * along[:, m + i]
            weight[:, i] = change
            along += change[:, None] * gram[:, :, i]
        steepest = -state["h0"][:, None] * state["g"]
        direction = steepest - (weight[:, None, :] @ basis)[:, 0]

        stuck = state["refused"] >= REFUSALS
        state["refused"] = torch.where(stuck, 0.0, state["refused"])
        slope = _dot(state["g"], direction)
        downhill = slope < -1e-12 * _norm(direction) * _norm(state["g"])  # false for nan
        restart = stuck | (taken & ~downhill)
        state["inverse"] = torch.where(restart[:, None], 0.0, inverse)
        direction = torch.where(restart[:, None], steepest, direction)
        self._aim(state, direction, taken | stuck)

    def settled(self, state: State) -> Tensor:
        """All rows: they move only downhill."""
        return torch.ones_like(state["f"], dtype=torch.bool)


class HeavyBall:
    """Gradient descent with momentum, in the convention of torch.optim.SGD: v <- m v + g."""

    def __init__(self, learning_rate: float, momentum: float) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum

    def start(self, state: State, _evaluate: Evaluate, /) -> None:
        """Begin at rest."""
        state["v"] = torch.zeros_like(state["x"])

    def tick(self, state: State, evaluate: Evaluate, /) -> None:
        """One step of gradient descent with momentum."""
        state["v"] = self.momentum * state["v"] + state["g"]
        state["x"] = state["x"] - self.learning_rate * state["v"]
        state["f"], state["g"] = evaluate(state["x"], state["gamma"])

    def settled(self, state: State) -> Tensor:
        """Rows at rest: a moving row passes points where the gradient vanishes."""
        rest = (1 - self.momentum) * _norm(state["v"])
        return rest <= 2 * _norm(state["g"]) + torch.finfo(rest.dtype).tiny


def minimise(
    evaluate: Evaluate,
    x: Tensor,
    gamma: Tensor,
    method: Method,
    *,
    tolerance: float,
    max_steps: int,
    gives_up: bool,
) -> tuple[Tensor, NDArray[np.str_], NDArray[np.int64]]:
    """Minimise all rows of x (n, P); return the final x, a status and the ticks used per row.

    A row has converged where |gradient| <= tolerance * unit / max(1, |x|), the unit of loss being
    the larger of |loss| now and at x = 0 (at the start where the latter is 0), or, for a method
    that `gives_up`, where it stands still to rounding with a gradient below 1e-5 of the same scale.
    """
    final, code, steps = x.clone(), np.zeros(len(x), dtype=np.int64), np.zeros(len(x), np.int64)
    f, g = evaluate(x, gamma)
    sound = f.isfinite() & g.isfinite().all(1)
    code[~sound.cpu().numpy()] = NONFINITE
    f_trivial = evaluate(torch.zeros_like(x), gamma)[0].abs()
    state: State = {
        "x": x,
        "f": f,
        "g": g,
        "gamma": gamma,
        "row": torch.arange(len(x), device=x.device),
        "unit": torch.where(f_trivial.isfinite() & (f_trivial > 0), f_trivial, f.abs()),
        "farthest": FARTHEST * _norm(x).clamp_min(1.0),
        "f_seen": f,
        "g_seen": _norm(g),
        "idle": torch.full_like(f, -1.0),  # the check before the first tick can show no progress
    }
    state = {name: value[sound] for name, value in state.items()}
    tolerance = max(tolerance, 8 * torch.finfo(x.dtype).eps)
    alive = np.ones(int(sound.sum()), dtype=bool)
    if alive.size:
        method.start(state, evaluate)
    tick = 0
    while alive.any():
        verdict = _judge(state, method, tolerance, gives_up)
        ended = alive & (verdict != RUNNING)
        if tick >= max_steps:
            ended = alive.copy()
        if ended.any():
            mask = torch.from_numpy(ended).to(x.device)
            rows = state["row"][mask]
            final[rows] = state["x"][mask]
            code[rows.cpu().numpy()], steps[rows.cpu().numpy()] = verdict[ended], tick
            alive &= ~ended
            if 0 < alive.sum() <= 0.75 * alive.size:
                keep = torch.from_numpy(np.flatnonzero(alive)).to(x.device)
                state = {name: value[keep] for name, value in state.items()}
                alive = alive[alive]
        if alive.any():
            batch = min(CHECK_EVERY, max_steps - tick)
            for _ in range(batch):
                method.tick(state, evaluate)
            tick += batch
    return final, np.array(STATUS)[code], steps


def _judge(state: State, method: Method, tolerance: float, gives_up: bool) -> NDArray[np.int64]:
    """Status code of every row."""
    f, norm_g, norm_x = state["f"], _norm(state["g"]), _norm(state["x"])
    unit = torch.maximum(f.abs(), state["unit"])
    scale = unit / norm_x.clamp_min(1.0)
    converged = (norm_g <= tolerance * scale) & method.settled(state)
    diverged = ~f.isfinite() | ~norm_g.isfinite() | (norm_x > state["farthest"])
    code = torch.zeros_like(f, dtype=torch.int64)
    if gives_up:
        fell = state["f_seen"] - f > 4 * torch.finfo(f.dtype).eps * unit
        flatter = norm_g < 0.5 * state["g_seen"]
        state["idle"] = torch.where(fell | flatter, 0.0, state["idle"] + 1)
        state["f_seen"] = f
        state["g_seen"] = torch.minimum(state["g_seen"], norm_g)
        stands = state["idle"] >= PATIENCE
        code[stands] = STALLED
        converged |= stands & (norm_g <= FLAT * scale)
    code[converged] = CONVERGED
    code[diverged] = DIVERGED
    return code.cpu().numpy()


def _norm(v: Tensor) -> Tensor:
    return torch.linalg.vector_norm(v, dim=1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)
