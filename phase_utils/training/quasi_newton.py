"""The fast minimiser: L-BFGS for every row of a batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from phase_utils.training import standstill
from phase_utils.training.rows import STEP_FLOOR, Evaluate, State, dot, norm

PROBE = 1e-3  # length of the step that measures the curvature at the start, in units of the cap
DECREASE = 1e-4  # Armijo's constant
LEVEL = 100  # roundings by which the loss may seem to rise where the gradient says that it falls
CURVATURE = 1e-8  # least cosine between step and change of gradient that is learned from
FIRST_REACH = 1e12  # the direction at the start is at most that many times the longest step
REFUSALS = 12  # refused trials in a row after which the memory is dropped
SHRINK = (0.1, 0.5)  # of a refused step, what the next one is at least and at most
DOWNHILL = 1e-12  # least cosine between a direction and the one against the gradient

Pair = tuple[Tensor, Tensor, Tensor]  # step, change of the gradient, their product


@dataclass(frozen=True)
class Lbfgs:
    """L-BFGS with Armijo backtracking and a cap on the step relative to the norm of the weights.

    The two-loop recursion runs in the coefficients of the basis of stored steps and gradient
    changes, from their Gram matrix: two batched matrix products per tick carry all the work.
    """

    memory: int
    step_cap: float

    @property
    def period(self) -> int:
        """Ticks after which the same slots of the memory are written again."""
        return self.memory

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Empty memory; the direction is that of the gradient, its length from its curvature."""
        x, g = state["x"], state["g"]
        n, P = x.shape
        pairs = 2 * self.memory  # steps first, then changes of the gradient
        longest = self._longest(norm(x)) / norm(g).clamp_min(torch.finfo(x.dtype).tiny)
        # The first step is the Cauchy step: a warm start must not be thrown out of its basin.
        probe = (-PROBE * longest)[:, None] * g
        change = evaluate(x + probe, state["gamma"])[1] - g
        cauchy = dot(probe, probe) / dot(probe, change)
        state["basis"] = x.new_zeros(n, pairs, P)
        state["gram"] = x.new_zeros(n, pairs, pairs)
        state["along_g"] = x.new_zeros(n, pairs)
        state["inverse"] = x.new_zeros(n, self.memory)  # 1 / (s.y), 0 where a slot is empty
        bent = cauchy > 0
        state["h0"] = torch.where(bent, torch.minimum(cauchy, FIRST_REACH * longest), longest)
        state["curvature"] = torch.where(bent, 1 / cauchy, 0.0)
        state["gain"] = x.new_ones(n)
        state["refused"] = x.new_zeros(n)
        self._aim(state, -state["h0"][:, None] * g)
        standstill.begin(state)

    def _longest(self, size: Tensor) -> Tensor:
        return self.step_cap * size.clamp_min(STEP_FLOOR)

    def _aim(self, state: State, direction: Tensor, update: Tensor | None = None) -> None:
        """Set the direction and the first step along it (for the rows in `update`)."""
        state["size"] = size = norm(state["x"])
        length = norm(direction).clamp_min(torch.finfo(direction.dtype).tiny)
        new = {
            "d": direction,
            "slope": dot(state["g"], direction),
            "alpha": torch.minimum(state["gain"], self._longest(size) / length),
        }
        for name, value in new.items():
            if update is None:
                state[name] = value
            else:
                mask = update[:, None] if value.ndim == 2 else update
                state[name] = torch.where(mask, value, state[name])

    def tick(self, state: State, evaluate: Evaluate, number: int, /) -> None:
        """Try one step along the direction; take it where it lowers the loss, else shorten it."""
        x, f, g, d = state["x"], state["f"], state["g"], state["d"]
        alpha, slope = state["alpha"], state["slope"]
        s = alpha[:, None] * d
        f_new, g_new = evaluate(x + s, state["gamma"])
        slope_new = dot(g_new, d)

        # Below the rounding of f, a decrease shows in the gradients alone (approximate Wolfe).
        rounding = standstill.of_loss(state)
        armijo = f_new <= f + DECREASE * alpha * slope
        level = (f_new <= f + LEVEL * rounding) & (slope_new <= (2 * DECREASE - 1) * slope)
        taken = (armijo | level) & f_new.isfinite() & slope_new.isfinite()
        column = taken[:, None]

        shorter = -slope * alpha**2 / (2 * (f_new - f - alpha * slope))
        shorter = torch.where(shorter.isfinite(), shorter, 0.0).clamp(
            SHRINK[0] * alpha, SHRINK[1] * alpha
        )
        state["alpha"] = torch.where(taken, alpha, shorter)
        state["refused"] = torch.where(taken, 0.0, state["refused"] + 1)

        y = g_new - g
        sy, yy, length = dot(s, y), dot(y, y), norm(s)
        curved = taken & (sy > CURVATURE * length * yy.sqrt())
        state["curvature"] = standstill.seen(state, curved, length, yy / sy)
        state["gain"] = torch.where(taken & ~curved, 2 * state["gain"], 1.0)
        state["h0"] = torch.where(curved, sy / yy, state["h0"])
        state["x"] = torch.where(column, x + s, x)
        state["f"] = torch.where(taken, f_new, f)
        state["g"] = torch.where(column, g_new, g)

        slot = number % self.memory  # that of the oldest pair
        self._remember(state, slot, (s, y, sy), curved)
        self._turn(state, slot, taken)

    def _remember(self, state: State, slot: int, pair: Pair, curved: Tensor) -> None:
        """Write the pair into its slot, or empty it for rows that learn nothing."""
        (s, y, sy), basis, gram = pair, state["basis"], state["gram"]
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

    def _recur(
        self, newest: int, along: Any, weight: Any, gram: Any, inverse: Any, h0: Any
    ) -> None:
        """Two-loop recursion in place, on tensors or on arrays."""
        m = self.memory
        newest_first = [(newest - i) % m for i in range(m)]
        first = {}
        for i in newest_first:
            first[i] = inverse[:, i] * along[:, i]
            weight[:, m + i] = -first[i]
            along -= first[i][:, None] * gram[:, :, m + i]
        weight *= h0[:, None]
        along *= h0[:, None]
        for i in reversed(newest_first):
            change = first[i] - inverse[:, i] * along[:, m + i]
            weight[:, i] = change
            along += change[:, None] * gram[:, :, i]

    def _turn(self, state: State, newest: int, taken: Tensor) -> None:
        """Two-loop recursion for the rows that moved; steepest descent for those that are stuck."""
        basis, inverse = state["basis"], state["inverse"]
        along = state["along_g"].clone()  # products of the running vector with the basis
        weight = torch.zeros_like(along)  # its coefficients; that of the gradient is h0
        numbers = [along, weight, state["gram"], inverse, state["h0"]]
        if along.device.type == "cpu":  # many operations on few numbers, which NumPy starts faster
            with np.errstate(all="ignore"):
                self._recur(newest, *(tensor.numpy() for tensor in numbers))
        else:
            self._recur(newest, *numbers)
        steepest = -state["h0"][:, None] * state["g"]
        direction = steepest - (weight[:, None, :] @ basis)[:, 0]

        stuck = state["refused"] >= REFUSALS
        state["refused"] = torch.where(stuck, 0.0, state["refused"])
        slope = dot(state["g"], direction)
        downhill = slope < -DOWNHILL * norm(direction) * norm(state["g"])  # false for nan
        restart = stuck | (taken & ~downhill)
        state["inverse"] = torch.where(restart[:, None], 0.0, inverse)
        direction = torch.where(restart[:, None], steepest, direction)
        self._aim(state, direction, taken | stuck)

    def settled(self, state: State) -> Tensor:
        """All rows: they move only downhill."""
        return torch.ones_like(state["f"], dtype=torch.bool)
