"""The search for the largest penalty at which a network pays: many starts, one reference."""

import math
import time
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from phase_utils._check import Array
from phase_utils.diagnosis.ascent import ENDLESS, Ascent, ascend
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.one_layer import OneLayer, one_layer
from phase_utils.diagnosis.samples import Data, gather, leaves, mapped
from phase_utils.diagnosis.starts import draw
from phase_utils.training.trials import LossFunction

SHORT, SHORT_STEPS = 40, 5  # iterations and steps of the first round, in which all starts run
FINISHED = 4  # starts that are finished, besides the best of each kind
LARGE = 2e7  # samples times weights above which starts are screened on a part of the samples
LARGE_INPUTS = 2e6  # samples times inputs above which no bound from above is looked for
SLOW = 60.0  # seconds from which a call shows its progress unasked
NEAR = 1e-3  # of the best gamma: a start within it has found it
LEAST = 0.01  # of the best gamma, below which other starts are not looked for
REACHED = 0.95  # of the best gamma, to which other starts leap
SIZES = np.geomspace(0.1, 1e-4, 13)  # of a unit where continuous transitions begin
MET = 3e-6  # relative distance at which bounds from below and above have met


class Search:
    """Ascents from many starts against one reference, and what they found."""

    def __init__(
        self, objective: Objective, starts: int, steps: int, seed: int, progress: bool | None
    ) -> None:
        self.objective, self.starts, self.steps, self.seed = objective, starts, steps, seed
        self.progress = progress
        loss, square = objective.values(objective.first)
        self.first_gamma = 0.05 * abs(loss) / max(square, 1e-300)
        if not (math.isfinite(self.first_gamma) and 0 < self.first_gamma < 1e6):
            self.first_gamma = 0.02
        self.reference = Reference(objective, self.first_gamma, seed)
        self.pool: list[Ascent] = []
        self.screened: tuple[tuple[str, ...], Array] | None = None
        self.layer = self._bounded()

    def run(self) -> None:
        """All starts for a few steps, then the best, and the best of each kind, to their end."""
        blind = self.reference.at(self.first_gamma).weights
        pairs = draw(self.objective, blind, self.starts, self.seed)
        self.pool = [Ascent(kind, weights) for kind, weights in pairs]
        begun = time.perf_counter()
        bar: tqdm[Any] | None = None
        for i, run in enumerate(self.pool):
            self._short(run)
            if i == 0:
                bar = self._bar(time.perf_counter() - begun)
            if bar is not None:
                bar.update()
            if i + 1 >= FINISHED and self._met():
                self.pool = self.pool[: i + 1]
                break
        for run in self._best():
            if self._met():
                break
            if not run.done and run.gamma > 0:
                self._finish(run)
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.close()

    def _bounded(self) -> OneLayer | None:
        """The bound from above of one hidden layer, where F is constant and exact in float64."""
        objective = self.objective
        if objective.penalty.function is not None or objective.draws:
            return None
        inputs = objective.x[0].numel() if isinstance(objective.x, torch.Tensor) else math.inf
        if objective.dtype != torch.float64 or objective.count * inputs > LARGE_INPUTS:
            return None
        return one_layer(objective, torch.from_numpy(self.reference.at(1e6).weights))

    def _met(self) -> bool:
        """Whether the bounds from below and above have met: nothing is left to search for."""
        if self.layer is None or not self.layer.convex:
            return False
        return max(r.gamma for r in self.pool) >= (1 - MET) * self.layer.supremum

    def _small(self, run: Ascent) -> None:
        """Put a run at the unit that attains the bound from above, at the size that does best."""
        assert self.layer is not None and self.layer.unit is not None
        blind = self.reference.at(self.first_gamma)
        for size in SIZES:
            w = self.layer.unit.placed(self.objective, blind.weights, size)
            loss, square = self.objective.values(w)
            if loss + self.first_gamma * square >= blind.value:
                continue
            tie = self.reference.root(loss, square, self.first_gamma)
            if tie > run.gamma:
                run.gamma, run.first, run.size, run.weights = tie, tie, square, w
                run.square, run.gain = square, blind.value - loss
        if run.gamma > 0:
            run.path.append((run.gamma, run.square, run.gain))
            run.lines.append((blind.value - run.gain, run.square))

    def _short(self, run: Ascent) -> None:
        iterations = min(SHORT, self.steps)
        if run.kind == "steepest" and self.layer is not None and self.layer.unit is not None:
            self._small(run)
            if self._met():
                return
        best = min(max(r.gamma for r in self.pool), ENDLESS * self.first_gamma)
        ascend(
            self.objective,
            self.reference,
            run,
            run.gamma or self.first_gamma,
            steps=SHORT_STEPS,
            iterations=iterations,
            least=LEAST * best,
            leap=REACHED * best,
        )
        self.offer(run)

    def _finish(self, run: Ascent) -> None:
        """Ascend to the end, from the best gamma that is known: below it nothing is to be won."""
        best = max(r.gamma for r in self.pool)
        ascend(self.objective, self.reference, run, best, iterations=self.steps)
        if (1 - 10 * NEAR) * best <= run.gamma < (1 - NEAR) * best:  # as good, if not better?
            level = (1 - NEAR) * best
            ascend(self.objective, self.reference, run, level, steps=1, iterations=self.steps)
        self.offer(run)

    def offer(self, run: Ascent) -> None:
        """A learned state made blind may be a better reference: bounds are then lowered to it."""
        if not 0 < run.gamma < 1e6 or not self.reference.offer(run.weights, run.gamma):
            return
        for other in self.pool:
            if other.gamma <= 0:
                continue
            loss, square = self.objective.values(other.weights)
            low = 0.5 * min(other.gamma, 1e6)
            while low > 1e-9 * other.gamma and (
                loss + low * square >= self.reference.at(low).value
            ):
                low /= 4
            if loss + low * square < self.reference.at(low).value:
                other.gamma = self.reference.root(loss, square, low)
            else:
                other.gamma, other.path, other.lines, other.done = 0.0, [], [], False

    def _best(self) -> list[Ascent]:
        ranked = sorted(self.pool, key=lambda r: -r.gamma)
        chosen = ranked[:FINISHED]
        for kind in ("own", "fresh", "steepest", "unit"):
            best = next((r for r in ranked if r.kind == kind and r.gamma > 0), None)
            if best is not None and best not in chosen:
                chosen.append(best)
        return chosen

    def _bar(self, seconds: float) -> "tqdm[Any] | None":
        total = len(self.pool) + min(FINISHED + 2, len(self.pool))
        expected = seconds * (len(self.pool) + min(FINISHED + 2, len(self.pool)))
        if self.progress is False or (self.progress is None and expected < SLOW):
            return None
        text = f"diagnosis, about {expected:.0f} s"
        return tqdm(total=total, desc=text)


def screen(search: Search, model: nn.Module, loss_fn: LossFunction, data: Data) -> None:
    """Run the search; of large data a few starts on a part, the best of them finished on all."""
    whole = search.objective
    if whole.count * whole.parameters <= LARGE:
        search.run()
        return
    if search.layer is not None and search.layer.convex and search.layer.unit is not None:
        search.starts = min(search.starts, FINISHED)  # it is known where they end
        search.run()
        return
    samples = gather(data, whole.device)
    sliced = all(len(t) == samples.count for v in (samples.x, samples.y) for t in leaves(v))
    few = int(max(256, LARGE / (2 * whole.parameters)))
    if not sliced or few >= samples.count:
        search.starts, search.steps = min(search.starts, 3), min(search.steps, 80)
        search.run()
        return
    chosen = np.sort(np.random.default_rng(search.seed).permutation(samples.count)[:few])
    index = torch.from_numpy(chosen).to(whole.device)
    x, y = (mapped(lambda t: t[index], v) for v in (samples.x, samples.y))
    part = Objective(
        model,
        loss_fn,
        (x, y),
        whole.penalty,
        draws=whole.draws or None,
        seed=search.seed,
        device=str(whole.device),
    )
    small = Search(part, min(search.starts, 4), min(search.steps, 80), search.seed, search.progress)
    small.run()
    search.pool = small.pool
    best = max(small.pool, key=lambda r: r.gamma)
    ends = [r.gamma for r in small.pool]
    run = Ascent(best.kind, best.weights)
    gamma = 0.9 * best.gamma if 0 < best.gamma < math.inf else search.first_gamma
    ascend(whole, search.reference, run, gamma, steps=4, iterations=min(search.steps, 40))
    search.pool = [run]
    search.offer(run)
    # the other starts were seen on a part of the samples only, and bound nothing
    search.screened = (tuple(r.kind for r in small.pool), np.array(ends))
