"""Langevin dynamics at a temperature: many chains at once, sampling the Gibbs density of Eq. 3."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from phase_utils._check import (
    MOST_STEPS,
    Array,
    flag,
    function,
    integer,
    non_negative,
    shown,
    tried,
)
from phase_utils.theory.moments import Moments
from phase_utils.training.chains import OBSERVABLES, Chains
from phase_utils.training.noise import ChainNoise
from phase_utils.training.problem import Problem
from phase_utils.training.rows import RUNAWAY, total_square
from phase_utils.training.train import as_problem, checked_weights, flat_evaluate, views

Event = Callable[[tuple[Tensor, ...]], Tensor]

OUTCOMES = ("ok", "passed", "stuck", "diverged", "nonfinite")
OK, PASSED, STUCK, LOST, UNSOUND = range(5)
LEAST_ACCEPTANCE = 0.01  # a chain that accepts less has not sampled anything
BLOCK_BYTES = 2**25  # of the noise drawn at once


def langevin(
    problem: Problem | Moments,
    init: Sequence[Tensor],
    gamma: ArrayLike,
    temperature: ArrayLike,
    *,
    dt: ArrayLike,
    steps: int,
    burn_in: int = 0,
    every: int = 10,
    seed: ArrayLike = 0,
    event: Event | None = None,
    trace: bool = False,
) -> Chains:
    """Sample exp(-(data_loss + gamma penalty) / T) by Metropolis-adjusted Langevin dynamics.

    Each step proposes w' = w - dt grad l + sqrt(2 T dt) xi, a step of dw = -grad l dt + sqrt(2 T)
    dW, and accepts it with the probability of Metropolis and Hastings, else stays at w.

    Parameters
    ----------
    problem : Moments, LinearNetwork, ModuleProblem or Problem
        As for `train`.
    init : sequence of float64 tensors (n, ...)
        As for `train`; float64, because T divides small differences of the loss.
    gamma : float or (n,) array_like
        Weight decay >= 0.
    temperature : float or (n,) array_like
        T > 0, in units of the loss.
    dt : float or (n,) array_like
        Step > 0, in units of w^2 / loss. Accepted steps should be the rule: see
        `Chains.acceptance`.
    steps : int
        Steps of each chain, from 1 to 10^8. Physical time is steps times dt.
    burn_in : int
        Steps >= 0 before the averages begin, fewer than `steps`.
    every : int
        Steps >= 1 between measurements, of which one at least must follow `burn_in`.
    seed : int or (n,) array_like of int
        A seed >= 0, from which n are spawned; or n distinct ones, one per chain. The noise of a
        chain depends on its seed and number of weights alone, not on the batch.
    event : callable, optional
        Of the weights, a tuple of tensors (m, ...), m <= n; returns a boolean tensor (m,), row by
        row. It is looked at after every step, and a chain ends where it holds.
    trace : bool
        Whether to keep every measurement.

    Returns
    -------
    Chains
        Averages, acceptance, passage times and a status for each chain.

    Raises
    ------
    ValueError
        For weights, decays, temperatures, times, counts or seeds of the wrong shape, type or range.

    Notes
    -----
    Source: Eq. 3 of the paper. The density is invariant under the adjusted step: averages have no
    bias in dt, whatever its length; without the adjustment it would be of first order in dt. Times
    are right for small dt only: rejections slow the dynamics, by about 1 - acceptance, and a
    passage is seen at whole steps, an error of order sqrt(dt) for a threshold that is crossed.
    Equal seeds give equal noise in every batch; trajectories then agree as far as the rounding of
    batched sums does.

    Examples
    --------
    One weight under ridge regression, l = (1 + gamma) w^2 - 2 (0.45) w + const, has variance
    T / (2 (1 + gamma)), so that its loss lies T / 2 above the minimum on average:

    >>> import phase_utils as pu
    >>> network = pu.LinearNetwork(pu.Moments.isotropic(), depth=0)
    >>> init = network.initial_weights(0.1, range(200))
    >>> chains = pu.langevin(network, init, 0.1, 0.02, dt=0.2, steps=600, burn_in=100)
    >>> mean, error = chains.average("loss", 200)
    >>> least = 0.45**2 * (1 - 1 / 1.1)
    >>> bool(abs(mean[0] - least - 0.01) < 4 * error[0])
    True
    """
    weights = checked_weights(init)
    first, n = weights[0], len(weights[0])
    if first.dtype != torch.float64:
        raise ValueError(f"init must be float64, got {first.dtype}")
    problem = as_problem(problem, weights)
    decay = torch.from_numpy(_rows("gamma", gamma, n)).to(first)
    T = torch.from_numpy(_rows("temperature", temperature, n, positive=True)).to(first)
    tau = torch.from_numpy(_rows("dt", dt, n, positive=True)).to(first)
    steps = integer("steps", steps, minimum=1, maximum=MOST_STEPS)
    burn_in, every = integer("burn_in", burn_in, minimum=0), integer("every", every, minimum=1)
    if burn_in >= steps:
        raise ValueError(f"burn_in must be less than steps = {steps}, got {burn_in}")
    if steps - steps % every <= burn_in:
        raise ValueError(
            f"every must leave a measurement between burn_in = {burn_in} and steps = {steps}, "
            f"got {every}"
        )
    if event is not None:
        function("event", event, "the weights")
    flag("trace", trace)
    noise = ChainNoise(seed, n)

    with torch.no_grad():
        run = _Run(problem, weights, decay, T, tau, event)
        run.advance(noise, steps, burn_in, every, trace)
        return run.result()


def _rows(name: str, value: Any, n: int, *, positive: bool = False) -> Array:
    """One finite number >= 0 (> 0 where `positive`) per chain, (n,)."""
    array = non_negative(name, value, ndim=(0, 1))
    if positive and np.any(array == 0):
        raise ValueError(f"{name} must be > 0, got 0")
    if array.ndim and len(array) != n:
        raise ValueError(f"{name} must be a scalar or have {n} entries, got {len(array)}")
    return np.broadcast_to(array, (n,)).copy()


class _Run:
    """State of the chains that are still moving, and what was measured of all."""

    def __init__(
        self,
        problem: Any,
        weights: tuple[Tensor, ...],
        gamma: Tensor,
        T: Tensor,
        dt: Tensor,
        event: Event | None,
    ) -> None:
        self.problem, self.event = problem, event
        self.shapes = tuple(w.shape[1:] for w in weights)
        self.evaluate = flat_evaluate(problem, self.shapes)
        n = len(gamma)
        x = torch.cat([w.reshape(n, -1) for w in weights], dim=1)
        f, g = self.evaluate(x, gamma)
        self.x, self.sums, self.counts = x.clone(), x.new_zeros(n, 4), x.new_zeros(n)
        self.code, self.steps = np.full(n, OK), np.zeros(n, np.int64)
        self.passage, self.accepted = np.full(n, np.nan), np.zeros(n)
        self.traces: list[Tensor] = []
        finite = f.isfinite() & g.isfinite().all(1)
        self.code[(~finite).cpu().numpy()] = UNSOUND
        self.state = {
            "x": x,
            "f": f,
            "g": g,
            "gamma": gamma,
            "T": T,
            "dt": dt,
            "step": dt[:, None].clone(),
            "kick": (2 * T * dt).sqrt()[:, None],
            "row": torch.arange(n, device=x.device),
            "passed": torch.full_like(f, -1.0),  # the step at which the event held
            "accepted": torch.zeros_like(f),
            "farthest": RUNAWAY * x.norm(dim=1).clamp_min(1.0),
        }
        self._keep(finite)
        self._look(0)
        self._retire(0)

    def advance(self, noise: ChainNoise, steps: int, burn_in: int, every: int, trace: bool) -> None:
        """Move every chain on, in blocks between which chains that have ended are taken out."""
        done = 0
        while done < steps and len(self.state["row"]):
            rows, size = self.state["row"].cpu().numpy(), self.state["x"].shape[1]
            fitting = BLOCK_BYTES // (8 * len(rows) * (size + 1))
            length = min(int(np.clip(fitting, 1, 256)), steps - done)
            xi, waits = noise.draw(rows, length, size, self.state["x"])
            for k in range(length):
                self._step(xi[k], waits[k])
                done += 1
                self._look(done)
                if done % every == 0:
                    self._measure(done > burn_in, trace)
            self._retire(done)
        self._end(self.state["row"] >= 0, done)

    def result(self) -> Chains:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = (self.sums / self.counts[:, None]).cpu().numpy()
            acceptance = self.accepted / self.steps
        self.code[(self.code == OK) & (acceptance < LEAST_ACCEPTANCE)] = STUCK
        means[self.code >= STUCK] = np.nan
        stacked = torch.stack(self.traces).cpu().numpy() if self.traces else None
        columns = list(enumerate(OBSERVABLES))
        return Chains(
            weights=tuple(w.contiguous() for w in views(self.x, self.shapes)),
            acceptance=acceptance,
            passage=self.passage,
            status=np.array(OUTCOMES)[self.code],
            steps=self.steps,
            traces={} if stacked is None else {k: stacked[..., i] for i, k in columns},
            **{k: means[:, i].copy() for i, k in columns},
        )

    def _step(self, xi: Tensor, wait: Tensor) -> None:
        s = self.state
        kick = s["kick"] * xi
        trial = torch.addcmul(s["x"], s["step"], s["g"], value=-1).add_(kick)
        f, g = self.evaluate(trial, s["gamma"])
        # log of the odds of the way back: x - trial + dt g' against the kick that led here
        back = torch.addcmul(kick, s["step"], s["g"] + g, value=-1)  # squared, so either sign
        odds = (kick.square() - back.square_()).sum(1).div_(4 * s["dt"]) - (f - s["f"])
        # a comparison with nan is False: what is not finite is refused
        take = (-wait * s["T"] < odds) & f.isfinite() & (s["passed"] < 0)
        s["x"] = torch.where(take[:, None], trial, s["x"])
        s["g"] = torch.where(take[:, None], g, s["g"])
        s["f"] = torch.where(take, f, s["f"])
        s["accepted"] = s["accepted"] + take

    def _look(self, done: int) -> None:
        if self.event is None:
            return
        s = self.state
        weights = views(s["x"], self.shapes)
        if done:
            holds = self.event(weights)
        else:
            holds = tried("event must be a function of the weights", self.event, weights)
        fits = isinstance(holds, Tensor) and holds.dtype == torch.bool
        if not fits or holds.shape != s["f"].shape:
            raise ValueError(f"event must return {len(s['f'])} booleans, got {shown(holds)}")
        s["passed"] = torch.where(holds & (s["passed"] < 0), float(done), s["passed"])

    def _measure(self, average: bool, trace: bool) -> None:
        s = self.state
        weights = views(s["x"], self.shapes)
        penalty = getattr(self.problem, "penalty", total_square)(weights)
        order = getattr(self.problem, "order_parameter", None)
        B = torch.full_like(penalty, torch.nan) if order is None else order(weights)
        values = torch.stack([s["f"], s["f"] - s["gamma"] * penalty, penalty, B], dim=1)
        moving = s["passed"] < 0
        if average:
            self.sums[s["row"]] += torch.where(moving[:, None], values, 0.0)
            self.counts[s["row"]] += moving
        if trace:
            full = torch.full_like(self.sums, torch.nan)
            full[s["row"]] = torch.where(moving[:, None], values, torch.nan)
            self.traces.append(full)

    def _retire(self, done: int) -> None:
        """Take out the chains that have passed their event or have diverged."""
        far = ~(self.state["x"].norm(dim=1) <= self.state["farthest"])
        ended = far | (self.state["passed"] >= 0)
        if ended.any():
            self.code[self.state["row"][far].cpu().numpy()] = LOST
            self._end(ended, done)
            self._keep(~ended)

    def _end(self, ended: Tensor, done: int) -> None:
        part = {name: value[ended] for name, value in self.state.items()}
        rows, passed = part["row"].cpu().numpy(), part["passed"].cpu().numpy()
        self.x[part["row"]] = part["x"]
        self.accepted[rows] = part["accepted"].cpu().numpy()
        self.steps[rows] = np.where(passed < 0, done, passed)
        self.passage[rows] = np.where(passed < 0, np.nan, passed * part["dt"].cpu().numpy())
        self.code[rows[(passed >= 0) & (self.code[rows] == OK)]] = PASSED

    def _keep(self, mask: Tensor) -> None:
        self.state = {name: value[mask] for name, value in self.state.items()}
