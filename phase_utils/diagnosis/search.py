"""The search for the largest penalty at which a network pays: many starts, one reference."""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from phase_utils._check import Array
from phase_utils.diagnosis.ascent import ENDLESS, Ascent, ascend
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.one_layer import OneLayer, SmallUnit, bounded
from phase_utils.diagnosis.samples import Data, gather, leaves, taken
from phase_utils.diagnosis.starts import draw
from phase_utils.training.trials import LossFunction

SHORT, SHORT_STEPS = 40, 5  # iterations and steps of the first round, in which all starts run
FINISHED = 4  # starts that are finished, besides the best of each kind
# relative steps of gamma at which a first round, a start, and the best one end
LOOSELY, ROUGHLY, FINELY = 3e-4, 1e-5, 1e-6
ONE_STATE = 0.01  # relative distance of R at which two starts, NEAR in gamma, are in one state
MET_BY = 2  # starts where the bounds from below and above have met: the known one and the own
LARGE = 2e7  # samples times weights above which starts are screened on a part of the samples
# steps, and iterations of each, on all samples: where they are held, and where they are read anew
ON_ALL, ON_ALL_READ = (4, 40), (1, 8)
LARGE_INPUTS = 1e7  # samples times inputs above which no bound from above is looked for
SLOW = 60.0  # seconds from which a call shows its progress unasked
NEAR = 1e-3  # of the best gamma: a start within it has found it
SIZES = np.geomspace(0.1, 1e-4, 13)  # of a unit where continuous transitions begin
BELOW = 1 - np.array([1e-5, 1e-4, 1e-3, 1e-2, 1e-1])  # of a bound, where units may pay
PRESSED = (1.05, 1.1)  # factors in gamma beyond the best, where a state that is lost may fall on
MOST_PRESSED = 4  # times that both are tried
MET = 3e-6  # relative distance at which bounds from below and above have met


@dataclass(frozen=True, eq=False)
class Found:
    """What a search found.

    pool : the ascents, on all samples; kinds, values : of all starts the kind and the gamma, that
    on a part of the samples where no more was asked.
    """

    pool: tuple[Ascent, ...]
    kinds: tuple[str, ...]
    values: Array


class Search:
    """Ascents from many starts against one reference."""

    def __init__(self, objective: Objective, seed: int, progress: bool | None) -> None:
        self.objective, self.seed, self.progress = objective, seed, progress
        loss, square = objective.values(objective.first)
        self.first_gamma = 0.05 * abs(loss) / max(square, 1e-300)
        if not (math.isfinite(self.first_gamma) and 0 < self.first_gamma < 1e6):
            self.first_gamma = 0.02
        self.reference = Reference(objective, self.first_gamma, seed)
        self.layer = self._bounded()

    def run(self, starts: int, steps: int) -> Found:
        """All starts for a few steps, then the best, and the best of each kind, to their end."""
        blind = self.reference.at(self.first_gamma).weights
        pairs = draw(self.objective, blind, starts, self.seed)
        if self.layer is not None and self.layer.unit is not None:  # where it begins is known
            pairs.sort(key=lambda pair: pair[0] != "steepest")
        pool = [Ascent(kind, weights) for kind, weights in pairs]
        begun = time.perf_counter()
        bar: tqdm[Any] | None = None
        for i in range(len(pool)):
            pool = self._short(pool, i, min(SHORT, steps))
            if i == 0:
                bar = self._bar(len(pool), time.perf_counter() - begun)
            if bar is not None:
                bar.update()
            if i + 1 >= MET_BY and self._met(pool):
                pool = pool[: i + 1]
                break
        for i in _best(pool):
            if self._met(pool):
                break
            if not pool[i].done and pool[i].gamma > 0 and not self._joined(pool, i):
                pool = self._finish(pool, i, steps)
            if bar is not None:
                bar.update()
        pool = self._pressed(self._further(pool, steps), steps)
        if bar is not None:
            bar.close()
        best = tuple(sorted(pool, key=lambda r: -r.gamma))
        return Found(best, tuple(r.kind for r in best), np.array([r.gamma for r in best]))

    def _bounded(self) -> OneLayer | None:
        """The bound from above of one hidden layer, where F is exact in float64."""
        objective = self.objective
        if objective.penalty.function is not None or objective.draws:
            return None
        inputs = objective.x[0].numel() if isinstance(objective.x, torch.Tensor) else math.inf
        if objective.dtype != torch.float64 or objective.total * inputs > LARGE_INPUTS:
            return None
        return bounded(objective, lambda gamma: self.reference.at(gamma).weights)

    def _met(self, pool: list[Ascent]) -> bool:
        """Whether the bounds from below and above have met: nothing is left to search for."""
        if self.layer is None or not self.layer.convex:
            return False
        return max(r.gamma for r in pool) >= (1 - MET) * self.layer.supremum

    @staticmethod
    def _joined(pool: list[Ascent], i: int) -> bool:
        """Whether a start has come to the state of one that is finished."""
        run = pool[i]
        return any(
            other.done
            and run.gamma > (1 - NEAR) * other.gamma
            and abs(run.square - other.square) < ONE_STATE * other.square
            for other in pool
        )

    def _small(self, run: Ascent, layer: OneLayer, unit: SmallUnit) -> Ascent:
        """A run put at the unit that attains the bound from above, at the size that does best."""
        fixed = math.isnan(layer.at)
        nearest = self.reference.at(self.first_gamma if fixed else layer.supremum)
        # a bias that is right at the bound may be too poor far below it
        lows = (self.first_gamma,) if fixed else layer.supremum * BELOW
        for size in SIZES:
            w = unit.placed(self.objective, nearest.weights, size)
            loss, square = self.objective.values(w)
            paying = (k for k in lows if loss + k * square < self.reference.at(k).value)
            low = next(paying, None)
            tie = 0.0 if low is None else self.reference.root(loss, square, low)
            if tie > run.gamma:
                run = replace(run, gamma=tie, first=tie, weights=w, lines=((loss, square),))
        if run.gamma <= 0:
            return run
        (loss, square), blind = run.lines[0], self.reference.at(run.gamma)
        beyond = square - blind.square
        gain = blind.value - run.gamma * blind.square - loss
        return replace(
            run, size=beyond, square=beyond, gain=gain, path=((run.gamma, beyond, gain),)
        )

    def _short(self, pool: list[Ascent], i: int, iterations: int) -> list[Ascent]:
        """A pool after the first steps of one start."""
        run = pool[i]
        if run.kind == "steepest" and self.layer is not None and self.layer.unit is not None:
            run = self._small(run, self.layer, self.layer.unit)
            pool = _with(pool, i, run)
            if self._met(pool):
                return pool
        best = min(max(r.gamma for r in pool), ENDLESS * self.first_gamma)
        run = ascend(
            self.objective,
            self.reference,
            run,
            run.gamma or self.first_gamma,
            steps=SHORT_STEPS,
            iterations=iterations,
            tolerance=LOOSELY,
            known=best,
        )
        return self.lowered(pool, i, run)

    def _finish(self, pool: list[Ascent], i: int, iterations: int) -> list[Ascent]:
        """A pool after one start has ascended to its end.

        From the best gamma that is known: below it nothing is to be won.
        """
        best = max(r.gamma for r in pool)
        run = ascend(
            self.objective,
            self.reference,
            pool[i],
            best,
            iterations=iterations,
            tolerance=ROUGHLY,
            known=best,
        )
        return self.lowered(pool, i, run)

    def _further(self, pool: list[Ascent], iterations: int, factor: float = 1.0) -> list[Ascent]:
        """A pool whose best has ascended to its own end, from `factor` times its gamma.

        The others come close to their ends only.
        """
        i = max(range(len(pool)), key=lambda i: pool[i].gamma)
        run = pool[i]
        if self._met(pool) or run.runaway or not 0 < run.gamma < ENDLESS * run.first:
            return pool
        run = ascend(
            self.objective,
            self.reference,
            run,
            factor * run.gamma,
            iterations=iterations,
            tolerance=FINELY,
        )
        return self.lowered(pool, i, run)

    def _pressed(self, pool: list[Ascent], iterations: int) -> list[Ascent]:
        """A pool whose best was followed beyond its own end, as long as it falls on into a better.

        Where a large state ends, a smaller one that no start has found may still pay.
        """
        for _ in range(MOST_PRESSED):
            before = max(r.gamma for r in pool)
            for factor in PRESSED:
                pool = self._further(pool, iterations, factor)
            if max(r.gamma for r in pool) <= before:
                break
        return pool

    def alone(self) -> Found | None:
        """The small unit alone, where it attains the bound: nothing is left to search for."""
        if self.layer is None or self.layer.unit is None:
            return None
        run = self._small(Ascent("steepest", self.objective.first), self.layer, self.layer.unit)
        pool = self.lowered([run], 0, run)
        if not self._met(pool):
            return None
        return Found(tuple(pool), (run.kind,), np.array([pool[0].gamma]))

    def lowered(self, pool: list[Ascent], i: int, run: Ascent) -> list[Ascent]:
        """A pool with a run in place i, which, made blind, may be a better reference.

        Then all bounds are lower.
        """
        pool = _with(pool, i, run)
        if not 0 < run.gamma < 1e6 or not self.reference.offer(run.weights, run.gamma):
            return pool
        return [self._lowered(other) for other in pool]

    def _lowered(self, run: Ascent) -> Ascent:
        """A run against a new reference."""
        if run.gamma <= 0:
            return run
        loss, square = self.objective.values(run.weights)
        low = 0.5 * min(run.gamma, 1e6)
        while low > 1e-9 * run.gamma and loss + low * square >= self.reference.at(low).value:
            low /= 4
        if loss + low * square < self.reference.at(low).value:
            return replace(run, gamma=self.reference.root(loss, square, low))
        return replace(run, gamma=0.0, path=(), lines=(), done=False)

    def _bar(self, starts: int, seconds: float) -> "tqdm[Any] | None":
        total = starts + min(FINISHED + 2, starts)
        expected = seconds * total
        if self.progress is False or (self.progress is None and expected < SLOW):
            return None
        return tqdm(total=total, desc=f"diagnosis, about {expected:.0f} s")


def _with(pool: list[Ascent], i: int, run: Ascent) -> list[Ascent]:
    """A pool with a run in place i."""
    return [*pool[:i], run, *pool[i + 1 :]]


def _best(pool: list[Ascent]) -> list[int]:
    """Places in the pool of the best runs, and of the best of each kind that is missing there."""
    ranked = sorted(range(len(pool)), key=lambda i: -pool[i].gamma)
    chosen = ranked[:FINISHED]
    for kind in ("own", "fresh", "steepest", "unit"):
        best = next((i for i in ranked if pool[i].kind == kind and pool[i].gamma > 0), None)
        if best is not None and best not in chosen:
            chosen.append(best)
    return chosen


def screen(
    search: Search, model: nn.Module, loss_fn: LossFunction, data: Data, starts: int, steps: int
) -> Found:
    """Run the search; of large data a few starts on a part, the best of them finished on all."""
    whole = search.objective
    streamed = whole.total > whole.count
    if not streamed and whole.count * whole.parameters <= LARGE:
        return search.run(starts, steps)
    if search.layer is not None and search.layer.convex and search.layer.unit is not None:
        # it is known where they end
        return search.alone() or search.run(min(starts, FINISHED), steps)
    part = data if streamed else _part(search, data)
    if part is None:
        return search.run(min(starts, 3), min(steps, 80))
    few = Objective(
        model,
        loss_fn,
        part,
        whole.penalty,
        draws=whole.draws or None,
        seed=search.seed,
        device=str(whole.device),
    )
    small = Search(few, search.seed, search.progress).run(min(starts, 4), min(steps, 80))
    best = small.pool[0]
    gamma = 0.9 * best.gamma if 0 < best.gamma < math.inf else search.first_gamma
    most = ON_ALL_READ if streamed else ON_ALL
    begun = Ascent(best.kind, best.weights)
    run = ascend(
        whole, search.reference, begun, gamma, steps=most[0], iterations=min(steps, most[1])
    )
    # the other starts were seen on a part of the samples only, and bound nothing
    return replace(small, pool=tuple(search.lowered([run], 0, run)))


def few_samples(parameters: int) -> int:
    """How many samples of large data the starts of a network of so many weights are tried on."""
    return int(max(256, LARGE / (2 * parameters)))


def _part(search: Search, data: Data) -> Data | None:
    """Some of the samples; None where they cannot be told apart, or are few."""
    samples = gather(data, search.objective.device)
    sliced = all(len(t) == samples.count for v in (samples.x, samples.y) for t in leaves(v))
    few = few_samples(search.objective.parameters)
    if not sliced or few >= samples.count:
        return None
    chosen = np.sort(np.random.default_rng(search.seed).permutation(samples.count)[:few])
    index = torch.from_numpy(chosen).to(search.objective.device)
    return taken(samples.x, index), taken(samples.y, index)
