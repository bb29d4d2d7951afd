"""The loss l0 and the penalty R of any module as functions of one flat vector of its weights."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor, nn

from phase_utils._check import Array
from phase_utils.diagnosis.evaluation import Evaluation
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.progress import Progress
from phase_utils.diagnosis.samples import Data, leaves

FLAT_ENOUGH = 1e-9  # gradient, in units of the scale, from which no further run is tried
# steps that L-BFGS remembers, of up to so many weights: for many they cost more than a gradient
REMEMBERED = ((20, 5_000), (10, 200_000), (8, math.inf))
PIECES = 3  # L-BFGS evaluations allowed for each iteration


@dataclass(frozen=True, eq=False)
class _Known:
    """An evaluation: l0, R and the gradient of l0, or of l0 + gamma R for a penalty of its own."""

    weights: Array
    blind: bool
    gamma: float
    loss: float
    cost: float
    gradient: Array


class Objective(Evaluation):
    """l0 + gamma R of a module on data; weights are flat float64 vectors of what can be trained.

    The coordinates are scaled by the roots of the decay factors, so that R is the square norm of
    the decayed ones (`mask`), whatever the factors; `named` returns parameters in the module's own
    scale.
    """

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[[Any, Any], Tensor],
        data: Data,
        penalty: Penalty,
        *,
        draws: int | None = None,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        super().__init__(model, loss_fn, data, penalty, draws=draws, seed=seed, device=device)
        parameters = [(k, p) for k, p in self.model.named_parameters() if p.requires_grad]
        self.names = tuple(k for k, _ in parameters)
        self.shapes = tuple(p.shape for _, p in parameters)
        self._parameters = [p for _, p in parameters]
        edges = np.cumsum([0, *(p.numel() for p in self._parameters)])
        self.slices = {
            k: slice(a, b) for k, (a, b) in zip(self.names, pairwise(edges), strict=True)
        }
        self.parameters = int(edges[-1])
        self._flat = torch.cat([p.detach().reshape(-1) for p in self._parameters]).clone()
        for p, (a, b) in zip(self._parameters, pairwise(edges), strict=True):
            p.data = self._flat[a:b].view(p.shape)
        factors = np.zeros(self.parameters)
        for name, factor in penalty.factors.items():
            factors[self.slices[name]] = factor
        self.decays = factors > 0
        self._unit = np.where(self.decays, 1 / np.sqrt(np.where(factors > 0, factors, 1.0)), 1.0)
        self.first = self._flat.double().cpu().numpy() / self._unit
        self.calls = 0
        self._last: _Known | None = None

    def _set(self, w: Array) -> None:
        self._flat.copy_(torch.from_numpy(np.ascontiguousarray(w * self._unit)))

    def square(self, w: Array) -> float:
        """The square norm of the decayed weights."""
        kept = w[self.decays]
        return float(kept @ kept)

    def values(self, w: Array, blind: bool = False, seed: int | None = None) -> tuple[float, float]:
        """l0 and R; those of a model with noise from the draws of `seed`, default its own."""
        known = self._known(w, blind)
        if known is not None and seed is None:
            return known.loss, known.cost
        self._set(w)
        loss = cost = 0.0
        self.calls += 1
        with torch.no_grad():
            for value, penalty, share in self.passes(blind, seed):
                loss += share * float(value)
                cost += share * float(penalty)
        return loss, (cost if self.penalty.function is not None else self.square(w))

    def gradient(self, w: Array, gamma: float, blind: bool = False) -> tuple[float, float, Array]:
        """l0, R and the gradient of l0 + gamma R."""
        structured = self.penalty.function is None
        known = self._known(w, blind)
        if known is not None and (structured or known.gamma == gamma):
            return known.loss, known.cost, self._sloped(w, gamma, known.gradient)
        self._set(w)
        loss = cost = 0.0
        self.calls += 1
        total = torch.zeros_like(self._flat)
        with torch.enable_grad():
            for value, penalty, share in self.passes(blind):
                loss += share * float(value.detach())
                whole = value
                if isinstance(penalty, Tensor):
                    cost += share * float(penalty.detach())
                    whole = value + gamma * penalty
                if whole.requires_grad:
                    parts = torch.autograd.grad(
                        whole, self._parameters, allow_unused=True, materialize_grads=True
                    )
                    total += share * torch.cat([p.reshape(-1) for p in parts])
        g = total.double().cpu().numpy() * self._unit
        cost = self.square(w) if structured else cost
        self._last = _Known(w.copy(), blind, gamma, loss, cost, g)
        return loss, cost, self._sloped(w, gamma, g)

    def _known(self, w: Array, blind: bool) -> "_Known | None":
        """The last evaluation with a gradient, if it was the same."""
        last = self._last
        same = last is not None and last.blind == blind and np.array_equal(last.weights, w)
        return last if same else None

    def _sloped(self, w: Array, gamma: float, g: Array) -> Array:
        """The gradient of l0 + gamma R from that of l0, which a penalty of its own is part of."""
        if self.penalty.function is not None:
            return g.copy()
        return np.asarray(g + 2 * gamma * np.where(self.decays, w, 0.0))

    def output(self, w: Array) -> Tensor | None:
        """What the module returns for the data, its first tensor; None if it has no tensor."""
        self._set(w)
        with torch.no_grad(), torch.random.fork_rng(self.forked()):
            self.seeded(1000 * self.seed)
            kept = [b.clone() for b in self.model.buffers()]
            with self.context(False):
                out = self.read(self.call(self.x))
            for b, o in zip(self.model.buffers(), kept, strict=True):
                b.data.copy_(o)
        if isinstance(out, Mapping) and "logits" in out:
            return out["logits"]
        logits = getattr(out, "logits", out)
        return next((t for t in leaves(logits) if t.is_floating_point()), None)

    def minimise(
        self,
        w: Array,
        gamma: float,
        *,
        iterations: int = 150,
        blind: bool = False,
        scale: float = 1.0,
        live: Array | None = None,
        progress: Progress | None = None,
    ) -> tuple[Array, float, float]:
        """Weights of lower l0 + gamma R by L-BFGS from `w`, never higher; then l0 and R there.

        scale : what counts as one unit of the loss; live : coordinates that may move, default all;
        progress : says when it is enough.
        """
        start = self.gradient(w, gamma, blind)
        level = start[0] + gamma * start[1]
        lowest, best = level, (w.copy(), start[0], start[1])
        if not math.isfinite(level):
            return w, math.inf, math.inf

        def objective(v: Array) -> tuple[float, Array]:
            nonlocal lowest, best
            loss, cost, g = self.gradient(v, gamma, blind)
            total = loss + gamma * cost
            if not (math.isfinite(total) and np.isfinite(g).all()):
                return 1e10, np.zeros_like(v)
            if total < lowest:
                lowest, best = total, (v.copy(), loss, cost)
            return (total - level) / scale, (g if live is None else g * live) / scale

        enough = False

        def after(_: Array) -> None:
            nonlocal enough
            if progress is not None and progress.ended(lowest, best[2]):
                enough = True
                raise StopIteration

        left, v = iterations, w
        while left > 0:
            run = minimize(
                objective,
                v,
                jac=True,
                method="L-BFGS-B",
                callback=after,
                options={
                    "maxiter": left,
                    "maxfun": PIECES * left,
                    "maxcor": next(m for m, most in REMEMBERED if len(v) <= most),
                    "ftol": 1e-15,
                    "gtol": 1e-12,
                },
            )
            left -= max(run.nit, 1)
            moved = float(np.abs(run.x - v).max())
            v = run.x
            flat = float(np.abs(run.jac).max()) < FLAT_ENOUGH
            # a kink ends L-BFGS early: once more
            if enough or flat or run.nit < 3 or moved < 1e-13:
                break
        return best

    # ---------------------------------------------------------------- as a problem of the package

    @property
    def mask(self) -> Tensor:
        """Which weights are decayed, (P,) boolean."""
        return torch.from_numpy(self.decays)

    @property
    def start(self) -> Tensor:
        """The weights of the module, flat."""
        return torch.from_numpy(self.first.copy())

    @property
    def decayed(self) -> tuple[str, ...]:
        """Names of the decayed parameters."""
        return tuple(k for k in self.names if k in self.penalty.factors)

    def losses(self, rows: Tensor) -> Tensor:
        """l0 of every row of flat weights."""
        return torch.tensor([self.values(r.cpu().numpy())[0] for r in rows], dtype=torch.float64)

    def evaluate(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """l0 and its gradient of every row of flat weights."""
        found = [self.gradient(r.cpu().numpy(), 0.0) for r in rows]
        loss = torch.tensor([f[0] for f in found], dtype=torch.float64)
        return loss, torch.from_numpy(np.stack([f[2] for f in found]))

    def value_and_gradient(
        self, weights: Sequence[Tensor], gamma: Tensor
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """l0 + gamma R and its gradient for rows of weights by parameter, as `train` asks."""
        rows = torch.cat([w.reshape(len(w), -1) for w in weights], 1).double().cpu().numpy()
        found = [self.gradient(r, float(k)) for r, k in zip(rows, gamma, strict=True)]
        total = torch.tensor([f[0] + float(k) * f[1] for f, k in zip(found, gamma, strict=True)])
        flat = torch.from_numpy(np.stack([f[2] for f in found]))
        parts = flat.split([s.numel() for s in self.shapes], dim=1)
        return total.double(), tuple(
            p.reshape(len(rows), *s) for p, s in zip(parts, self.shapes, strict=True)
        )

    def hessian_product(self, row: Tensor, vector: Tensor) -> Tensor:
        """The Hessian of l0 at flat weights times a vector."""
        self._set(row.cpu().numpy())
        unit = torch.from_numpy(self._unit).to(self._flat)
        direction = vector.to(self._flat) * unit
        pieces = direction.split([s.numel() for s in self.shapes])
        total = torch.zeros_like(self._flat)
        with torch.enable_grad():
            for value, _, share in self.passes(False):
                if not value.requires_grad:
                    continue
                first = torch.autograd.grad(
                    value,
                    self._parameters,
                    create_graph=True,
                    allow_unused=True,
                    materialize_grads=True,
                )
                along = sum((g * p.view_as(g)).sum() for g, p in zip(first, pieces, strict=True))
                if not (isinstance(along, Tensor) and along.requires_grad):
                    continue
                second = torch.autograd.grad(
                    along, self._parameters, allow_unused=True, materialize_grads=True
                )
                total += share * torch.cat([h.reshape(-1) for h in second])
        return (total * unit).double().cpu()

    def sample_losses(self, row: Tensor) -> Tensor:
        """The loss of every sample, (n,); ValueError where the loss is no mean over samples."""
        self._set(row.cpu().numpy())
        with torch.no_grad(), self.context(False):
            out = self.read(self.call(self.x))
            if not isinstance(out, Tensor) or not isinstance(self.y, Tensor):
                raise ValueError("loss_fn must be a mean over samples of one output")
            parts = [self.loss_fn(out[i : i + 1], self.y[i : i + 1]) for i in range(self.count)]
        losses = torch.stack(parts).double().cpu()
        if not math.isclose(float(losses.mean()), self.values(row.cpu().numpy())[0], rel_tol=1e-9):
            raise ValueError("loss_fn must be the mean over samples, got another combination")
        return losses

    def random(self, scale: float, seeds: Sequence[int]) -> Tensor:
        """(len(seeds), P) flat weights of about unit gain, as `ModuleProblem.random` draws them."""
        rows = []
        for seed in seeds:
            rng, w = np.random.default_rng(seed), self.first.copy()
            for name, shape in zip(self.names, self.shapes, strict=True):
                part = self.slices[name]
                if self.decays[part].any():
                    fan = max(1, math.prod(shape[1:]))
                    w[part] = scale * rng.standard_normal(shape.numel()) / math.sqrt(fan)
                    w[part] /= self._unit[part]
            rows.append(torch.from_numpy(w))
        return torch.stack(rows)

    def scaled(self, own: Array) -> Array:
        """Flat weights in the coordinates used here, of parameters in the module's own scale."""
        return own / self._unit

    def of(self, model: nn.Module) -> Array:
        """The flat weights of a module like this one."""
        named = dict(model.named_parameters())
        parts = [named[k].detach().double().reshape(-1) for k in self.names]
        return self.scaled(torch.cat(parts).cpu().numpy())

    def spread(self, w: Array) -> float:
        """How much the output depends on the input: its largest deviation over the samples."""
        out = self.output(w)
        if out is None or len(out) < 2:
            return 0.0
        return float(out.double().reshape(len(out), -1).std(0).max())

    def named(self, w: Array | Tensor) -> dict[str, Tensor]:
        """Parameters by name in the module's own scale, as `load_state_dict` takes them."""
        flat = w.cpu().numpy() if isinstance(w, Tensor) else w
        own = torch.from_numpy(np.ascontiguousarray(flat * self._unit))
        parts = own.split([s.numel() for s in self.shapes])
        return {k: p.reshape(s) for k, p, s in zip(self.names, parts, self.shapes, strict=True)}
