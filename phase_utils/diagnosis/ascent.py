"""Ascent of the largest penalty at which a network still pays: Dinkelbach's iteration.

At gamma_k the weights of least l0 + gamma_k R are sought; gamma_{k+1} is where they tie with the
best blind network. Each step is a lower bound of the transition, monotone and superlinear.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from phase_utils._check import Array
from phase_utils.diagnosis.blind import Blind, Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.progress import Progress

RAYS = (0.7, 0.3, 0.1, 0.03, 0.01)  # shares of the way from the blind state
RESIZED = (0, 2, 5, 10, 20)  # steps after which sizes of tensors are tried
LOG_SIZE = 9.0  # largest change of the log of the size of a tensor at a time
CUTS = (1e-2, 1e-3, 1e-4)  # shares of the largest weight below which kinked penalties go to zero
ROUGH = 1e-5  # change of the log of the bound at which sizes are good enough
AT_ITS_END = 1e-5  # relative step of gamma from which an ascent is at its end
LEAPED = 2  # steps after which an ascent goes on from where others have come to
FAR_BELOW = 0.01  # of the best gamma, below which nothing is looked for
REACHED = 0.95  # of the best gamma, to which other starts leap
STILL_BEHIND = 0.1  # of what an ascent is behind the best: a smaller step will not get it there
LEAP = 100.0  # factor in gamma that sizes alone win only where nothing bounds them
ENDLESS = 1e6  # times the first gamma: there is no end


@dataclass(frozen=True, eq=False)
class Ascent:
    """One ascent and where it has come to.

    kind : of its start; gamma : its bound, 0 before anything was learned; first, size : gamma and
    R of the first step, before rays and sizes; square, gain : R and F - l0 beyond those of the
    blind network there; path : (gamma, square, gain) of every step, lines : its l0 and R;
    shrinking, growing : tensors whose sizes carry the bound off.
    """

    kind: str
    weights: Array
    gamma: float = 0.0
    first: float = 0.0
    size: float = 0.0
    square: float = math.nan
    gain: float = math.nan
    path: tuple[tuple[float, float, float], ...] = ()
    lines: tuple[tuple[float, float], ...] = ()
    done: bool = False
    shrinking: tuple[str, ...] = ()
    growing: tuple[str, ...] = ()

    @property
    def runaway(self) -> bool:
        """Whether sizes of tensors alone carry the bound off."""
        return bool(self.shrinking)


class _Point(NamedTuple):
    """Weights, l0 and R there, and the gamma at which they tie with the tangent of F."""

    tie: float
    weights: Array
    loss: float
    square: float


def ascend(
    objective: Objective,
    reference: Reference,
    run: Ascent,
    gamma: float,
    *,
    steps: int = 25,
    iterations: int = 150,
    tolerance: float = 1e-6,
    known: float = 0.0,
) -> Ascent:
    """Ascend from the weights of `run` at `gamma`, at most `steps` steps: where that has come to.

    known : gamma of other ascents. Far below it nothing is sought, this one goes on from close to
    it, and ends where a step is small against what is missing.
    """
    structured = objective.penalty.function is None
    floor = max(1e2 * objective.rounding, 1e-6 if objective.draws else 0.0)
    weights, fails, whole = run.weights, 0, bool(objective.decays.all())
    for step in range(steps):
        blind = reference.at(gamma)
        loss, square = objective.values(weights)
        margin = abs(blind.value - loss - gamma * square)
        scale = min(1.0, max(margin, 1e-3 * gamma * abs(square - blind.square), 1e-13))
        watch = Progress(gamma, blind.value, blind.square, tolerance, iterations) if whole else None
        found, loss, square = objective.minimise(
            weights, gamma, iterations=iterations, scale=scale, progress=watch
        )
        if not structured:
            found, loss, square = _snapped(objective, found, loss, square, gamma, iterations, scale)
        missed = not _pays(blind, gamma, loss, square, floor)
        if missed and run.gamma > 0:  # but perhaps beyond where it came from
            gamma, blind = run.gamma, reference.at(run.gamma)
            if not _pays(blind, gamma, loss, square, floor):
                break
        elif missed:
            fails += 1
            gamma /= 5
            if fails > 3 or gamma < FAR_BELOW * known:
                break
            continue
        tie = _tie(objective, blind, gamma, loss, square)
        plain = best = _Point(tie, found, loss, square)
        if not run.first:
            run = replace(run, first=plain.tie, size=square - blind.square)
        if structured:
            best = _along_rays(objective, blind, gamma, best)
            if step in RESIZED and best.square - blind.square > 1e-9:
                best, shrinking, growing = _resized(objective, blind, gamma, best)
                if shrinking or growing:
                    run = replace(run, shrinking=shrinking, growing=growing)
        new = reference.root(best.loss, best.square, gamma)
        if best is not plain and new < min(best.tie * (1 - 1e-6), plain.tie):  # too high a tangent
            other = reference.root(plain.loss, plain.square, gamma)
            if other > new:
                new, best = other, plain
        there = reference.at(new if math.isfinite(new) else gamma)
        level = new if math.isfinite(new) else gamma
        weights, beyond = best.weights, best.square - there.square
        gain = there.value - level * there.square - best.loss
        far = new > ENDLESS * run.first
        gone = run.runaway or not math.isfinite(new) or far
        ended = gone or new - gamma < max(tolerance * new, STILL_BEHIND * (known - new))
        ended = ended or (missed and new <= known)
        run = replace(
            run,
            weights=weights,
            gamma=new,
            square=beyond,
            gain=gain,
            path=(*run.path, (new, beyond, gain)),
            lines=(*run.lines, (best.loss, best.square)),
            done=run.done or gone or new - gamma < AT_ITS_END * new,
        )
        if ended:
            break
        gamma = max(new, REACHED * known) if step + 1 == LEAPED else new
    return run


def _pays(blind: Blind, gamma: float, loss: float, square: float, floor: float) -> bool:
    """Whether a state that differs from the blind network lies below it."""
    gap = blind.value - loss - gamma * square
    differs = square - blind.square >= 1e-13 * (1 + blind.square)
    return differs and gap > floor * max(abs(blind.value), 1e-3)


def _tie(objective: Objective, blind: Blind, gamma: float, loss: float, square: float) -> float:
    """Where l0 + gamma R meets the tangent of F at `gamma`, which lies above the concave F."""
    level = blind.value - gamma * blind.square - objective.rounding * abs(blind.value)
    return (level - loss) / (square - blind.square)


def _along_rays(
    objective: Objective,
    blind: Blind,
    gamma: float,
    end: _Point,
) -> _Point:
    """The best of a point and of those on the way from the blind state to it.

    A continuous transition halves the distance to its gamma per step of the ascent; rays reach it.
    """
    best, weights = end, end.weights
    tips = (np.ones(objective.parameters, dtype=bool), objective.decays)
    for share in RAYS:
        better = False
        for moving in tips:
            point = np.where(moving, blind.weights + share * (weights - blind.weights), weights)
            here_loss, here_square = objective.values(point)
            if here_square - blind.square < 1e-11 * max(1.0, blind.square):
                continue
            here = _tie(objective, blind, gamma, here_loss, here_square)
            if here > best.tie * (1 + 1e-12):
                best, better = _Point(here, point, here_loss, here_square), True
        if not better:
            break
    return best


def _resized(
    objective: Objective,
    blind: Blind,
    gamma: float,
    start: _Point,
) -> tuple[_Point, tuple[str, ...], tuple[str, ...]]:
    """The best size of every tensor at fixed directions: maximum of log gain - log R.

    R -> 0 at a gain that stays means that no finite gamma collapses the network: the tensors that
    then shrink, and those that grow.
    """
    weights = start.weights
    level = blind.value - gamma * blind.square
    names = [k for k, part in objective.slices.items() if np.any(weights[part])]

    def grown(logs: Array) -> Array:
        point = weights.copy()
        for name, log in zip(names, logs, strict=True):
            point[objective.slices[name]] *= math.exp(log)
        return point

    def value(logs: Array) -> tuple[float, Array]:
        point = grown(logs)
        here, cost, slope = objective.gradient(point, 0.0)
        gain, cost = level - here, cost - blind.square
        if not (gain > 0 and cost > 0):
            return 1e3, np.zeros(len(logs))
        parts = [objective.slices[k] for k in names]
        rise = np.array([point[p] @ slope[p] for p in parts])
        price = np.array([2 * objective.square(_only(point, p)) for p in parts])
        return math.log(cost) - math.log(gain), price / cost + rise / gain

    found = minimize(
        value,
        np.zeros(len(names)),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-LOG_SIZE, LOG_SIZE)] * len(names),
        options={"maxiter": 40, "ftol": ROUGH},
    )
    point = grown(found.x)
    here_loss, here_square = objective.values(point)
    if not here_square > blind.square:
        return start, (), ()
    end = _Point(
        _tie(objective, blind, gamma, here_loss, here_square), point, here_loss, here_square
    )
    if end.tie <= start.tie:
        return start, (), ()
    if end.tie <= LEAP * start.tie:
        return end, (), ()
    decayed = objective.penalty.factors
    logs = dict(zip(names, found.x, strict=True))
    shrinking = tuple(k for k, v in logs.items() if v < -2 and k in decayed)
    return end, shrinking, tuple(k for k, v in logs.items() if v > 1 and k not in decayed)


def _only(weights: Array, part: slice) -> Array:
    kept = np.zeros_like(weights)
    kept[part] = weights[part]
    return kept


def _snapped(
    objective: Objective,
    weights: Array,
    loss: float,
    square: float,
    gamma: float,
    iterations: int,
    scale: float,
) -> tuple[Array, float, float]:
    """Tiny weights at zero where that pays: what a penalty with kinks wants."""
    for share in CUTS:
        cut = np.where(np.abs(weights) < share * np.abs(weights).max(), 0.0, weights)
        here, cost = objective.values(cut)
        if here + gamma * cost <= loss + gamma * square + 1e-12:
            live = (cut != 0).astype(float)
            return objective.minimise(cut, gamma, iterations=iterations, scale=scale, live=live)
    return weights, loss, square
