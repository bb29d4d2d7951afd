"""Trainings of a user's own: copies of a model by copies of its optimiser, at other decays."""

import copy
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.samples import Data, gather, leaves, mapped
from phase_utils.diagnosis.seeing import caller
from phase_utils.training.trials import LossFunction, copied

Scheduler = Callable[[torch.optim.Optimizer], Any]
LATE = 0.8  # of the epochs, after which a run is looked at before its end


class EndOfRun(NamedTuple):
    """Spread of the output when most of a training was done, and at its end; the data loss then."""

    late: float
    spread: float
    loss: float


class OwnRuns:
    """One training at one decay, of a copy of the model by a copy of the optimiser."""

    def __init__(
        self,
        model: nn.Module,
        loss_fn: LossFunction,
        data: Data,
        optimizer: torch.optim.Optimizer,
        what: Penalty,
        epochs: int,
        batch: int | None,
        scheduler: Scheduler | None,
        seed: int,
        device: str,
    ) -> None:
        self.probe = Objective(model, loss_fn, data, what, draws=1, seed=seed, device=device)
        self.model, self.optimizer, self.what = model, optimizer, what
        self.epochs, self.scheduler, self.seed = epochs, scheduler, seed
        samples = gather(data, self.probe.device)
        self.count = samples.count
        sliced = all(len(t) == self.count for v in (samples.x, samples.y) for t in leaves(v))
        if batch is not None and not sliced:
            raise ValueError("batch must be None for inputs that are not one per sample")
        if batch is not None and batch > self.count:
            raise ValueError(f"batch must be from 1 to {self.count}, the samples, got {batch}")
        self.batch = batch or self.count
        own = next(p for p in model.parameters() if p.requires_grad).dtype
        self.x, self.y = (
            mapped(lambda t: t.to(own) if t.is_floating_point() else t, v)
            for v in (samples.x, samples.y)
        )
        self.loss_fn = copy.deepcopy(loss_fn)
        if isinstance(self.loss_fn, nn.Module):
            self.loss_fn = self.loss_fn.to(device=self.probe.device, dtype=own)
        self.first = self.probe.spread(self.probe.of(model))

    def __call__(self, decay: float, weights: dict[str, Tensor] | None = None) -> EndOfRun:
        """Train; nan where that diverges, which is not a collapse."""
        model = copied(self.model).to(self.probe.device)
        if weights is not None:
            model.load_state_dict(weights, strict=False)
        optimizer = self._copy(model, decay)
        scheduler = None if self.scheduler is None else self.scheduler(optimizer)
        order = torch.Generator().manual_seed(self.seed)
        loss, late = torch.tensor(math.nan), self.first
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            for epoch in range(self.epochs):
                if epoch == int(LATE * self.epochs):
                    late = self.probe.spread(self.probe.of(model))
                for rows in torch.randperm(self.count, generator=order).split(self.batch):
                    optimizer.zero_grad()
                    loss = self._loss(model, rows)
                    if not loss.isfinite():
                        return EndOfRun(math.nan, math.nan, math.nan)
                    loss.backward()
                    optimizer.step()
                if scheduler is not None:
                    scheduler.step()
        spread = self.probe.spread(self.probe.of(model))
        return EndOfRun(late, spread if math.isfinite(spread) else math.nan, float(loss.detach()))

    def _loss(self, model: nn.Module, rows: Tensor) -> Tensor:
        x, y = self.x, self.y
        if len(rows) < self.count:
            rows = rows.to(self.probe.device)
            x, y = (mapped(lambda t: t[rows], v) for v in (x, y))
        return self.loss_fn(self.probe.read(caller(model, self.x)(x)), y)

    def _copy(self, model: nn.Module, decay: float) -> torch.optim.Optimizer:
        called = {id(p): k for k, p in self.model.named_parameters()}
        named = dict(model.named_parameters())
        groups = []
        for group in self.optimizer.param_groups:
            options = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
            names = [called[id(p)] for p in group["params"]]
            for factor in sorted({self.what.factors.get(k, 0.0) for k in names}):
                chosen = [named[k] for k in names if self.what.factors.get(k, 0.0) == factor]
                groups.append({**options, "params": chosen, "weight_decay": factor * decay})
        made: Any = type(self.optimizer)
        return cast("torch.optim.Optimizer", made(groups))
