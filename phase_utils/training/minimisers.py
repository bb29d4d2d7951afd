"""Batched minimisers: every row of a batch is a problem of its own, with its own step and status.

One tick evaluates value and gradient of all rows once. A row whose trial point is refused waits
with a shorter step while the others go on. Nothing is read back from the device between checks.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phase_utils.training import standstill
from phase_utils.training.graphs import Ticks
from phase_utils.training.rows import RUNAWAY, Evaluate, State, norm

KEPT = 30 * 2**20  # bytes; glibc hands freed memory back and takes it anew below twice that size
# status of a row, and what to try next
ADVICE = {
    "max_steps": "raise max_steps, loosen the tolerance, or start nearer",
    "converged": "",
    "diverged": "lower the learning rate or the initial scale; is the loss bounded from below?",
    "nonfinite": "lower the initial scale, and look for nan or huge numbers in weights and data",
    "stalled": "loosen the tolerance or use float64; the loss may have a kink there",
    "time": "",
}
STATUS = tuple(ADVICE)
RUNNING, CONVERGED, DIVERGED, NONFINITE, STALLED, TIME = range(6)


class Method(Protocol):
    """A minimiser: prepares its part of the state, then advances the state by one tick."""

    @property
    def period(self) -> int:
        """Ticks after which a tick does the same again with the same tensors."""
        ...

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Add to the state, which has x, f, g and gamma, what `tick` needs."""

    def tick(self, state: State, evaluate: Evaluate, number: int, /) -> None:
        """Take step `number`, counted from 0, with one evaluation, every row for itself."""

    def settled(self, state: State) -> Tensor:
        """(n,) of bool: whether a row whose gradient vanishes is at rest."""
        ...


def minimise(
    evaluate: Evaluate,
    x: Tensor,
    gamma: Tensor,
    method: Method,
    settings_of_rows: State | None = None,
    *,
    tolerance: float,
    max_steps: int,
    capture: bool = False,
) -> tuple[Tensor, NDArray[np.str_], NDArray[np.int64]]:
    """Minimise all rows of x (n, P); return the final x, a status and the ticks used per row.

    What differs between rows, such as the learning rate, stands in `settings_of_rows`, each (n,).
    With `capture`, ticks are replayed as CUDA graphs: `evaluate` must not read from the device.

    A row has converged as the notes of `Settings` say.
    """
    final, code, steps = x.clone(), np.zeros(len(x), dtype=np.int64), np.zeros(len(x), np.int64)
    f, g = evaluate(x, gamma)
    sound = f.isfinite() & g.isfinite().all(1)
    code[~sound.cpu().numpy()] = NONFINITE
    f_trivial = evaluate(torch.zeros_like(x), gamma)[0].abs()
    state: State = {
        **(settings_of_rows or {}),
        "x": x,
        "f": f,
        "g": g,
        "gamma": gamma,
        "row": torch.arange(len(x), device=x.device),
        "unit": torch.where(f_trivial.isfinite() & (f_trivial > 0), f_trivial, f.abs()),
        "farthest": RUNAWAY * norm(x).clamp_min(1.0),
    }
    state = {name: value[sound] for name, value in state.items()}
    tolerance = max(tolerance, 8 * torch.finfo(x.dtype).eps)
    alive = np.ones(int(sound.sum()), dtype=bool)
    if alive.size:
        method.start(state, evaluate)
    # One large block, freed at once, teaches glibc to keep the memory of a step for the next: the
    # page faults took a fifth of the time of a step on a CPU.
    torch.empty(KEPT, dtype=torch.uint8)
    ticks = Ticks(method, evaluate, capture=capture)
    tick = 0
    while alive.any():
        verdict = _judge(state, method, tolerance)
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
            block = min(ticks.block, max_steps - tick)
            ticks.advance(state, block)
            tick += block
    return final, np.array(STATUS)[code], steps


def _judge(state: State, method: Method, tolerance: float) -> NDArray[np.int64]:
    """Status code of every row."""
    f, norm_g, norm_x = state["f"], norm(state["g"]), norm(state["x"])
    bound = tolerance * standstill.unit(state)
    converged = (norm_g <= bound / norm_x.clamp_min(1.0)) & method.settled(state)
    diverged = ~f.isfinite() | ~norm_g.isfinite() | (norm_x > state["farthest"])
    code = torch.zeros_like(f, dtype=torch.int64)
    if "slope" in state:  # the method knows curvatures, and how much its step should win
        arrived, stalled = standstill.judged(state)
        converged &= -0.5 * state["slope"] <= bound
        converged |= arrived
        code[stalled] = STALLED
    if "until" in state:
        code[state["time"] >= state["until"]] = TIME
    code[converged] = CONVERGED
    code[diverged] = DIVERGED
    return code.cpu().numpy()
