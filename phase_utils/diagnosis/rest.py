"""Where AdamW comes to rest: its mean force, followed at an infinitely small rate."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap

from phase_utils.training.modules import ModuleProblem

HELD_GRADIENTS = 1_000_000  # of the gradients of samples that are held at once, 8 MB
LONGEST_MOVE = 0.1  # step, in units of the time 1 / (lr lambda) in which decay acts
TURN = 0.05  # most that a step changes the weights by, relative to them
CROSSING = 0.02  # of the force: smaller weights move as if they were of that size, across zero
LAST_MOVE = 0.02  # last step over the longest: in full batches signs chatter by as much
CHATTER = 0.5  # of the force of decay, by which a rest is out of balance where signs change
SHRINKING = 0.7  # part of the steps after which they shrink


class Gradients:
    """The mean gradient of a problem, and the mean square of the gradient of a batch.

    batch : samples of a batch, drawn without replacement as torch's DataLoader does; None for all.

    Raises ValueError where there are batches and the loss is no mean over samples.
    """

    def __init__(self, problem: ModuleProblem, batch: int | None) -> None:
        self.problem = problem
        n = problem.samples
        # variance of the mean of a batch over that of a sample
        self.share = 0.0 if batch is None or batch == n else (n - batch) / ((n - 1) * batch)
        self.together = True
        if self.share:
            self._try(problem.random(1.0, [0])[0])

    def moments(self, row: Tensor) -> tuple[Tensor, Tensor]:
        """Both at flattened weights (P,), (P,) each."""
        if not self.share:
            gradient = self.problem.evaluate(row[None])[1][0]
            return gradient, gradient.square()
        total, square = torch.zeros_like(row), torch.zeros_like(row)
        for part in self._parts(row):
            total += part.sum(0)
            square += part.square().sum(0)
        mean, square = total / self.problem.samples, square / self.problem.samples
        return mean, mean.square() + self.share * (square - mean.square()).clamp_min(0)

    def _parts(self, row: Tensor) -> Iterator[Tensor]:
        """Gradients of the samples, (some, P) at a time."""
        problem = self.problem
        size = max(1, min(problem.chunks[0].stop, HELD_GRADIENTS // len(row)))
        for x, y in zip(problem.x.split(size), problem.y.split(size), strict=True):
            if self.together:
                yield vmap(grad(self._one), in_dims=(None, 0, 0))(row, x, y).detach()
            else:
                yield torch.stack([self._alone(row, a, b) for a, b in zip(x, y, strict=True)])

    def _one(self, row: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The loss of one sample."""
        named = self.problem.named(row)
        output = functional_call(self.problem.model, named, (x[None],))
        return self.problem.loss_fn(output, y[None])

    def _alone(self, row: Tensor, x: Tensor, y: Tensor) -> Tensor:
        with torch.enable_grad():
            w = row.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self._one(w, x, y), w, materialize_grads=True)
        return gradient

    def _try(self, row: Tensor) -> None:
        """Find out whether samples can be batched, and whether the loss is their mean."""
        rule = "loss_fn must be the mean over samples where there are batches"
        try:
            next(self._parts(row))
        except Exception:  # what vmap does not know, a module of its own say, may raise anything
            self.together = False
        try:
            mean = sum(part.sum(0) for part in self._parts(row)) / self.problem.samples
        except Exception as error:  # a module that takes no sample alone may raise anything
            said = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            raise ValueError(f"{rule}, but for one sample alone it raised {said}") from error
        whole = self.problem.evaluate(row[None])[1][0]
        if not (mean - whole).norm() <= 1e-8 * whole.norm():
            raise ValueError(
                f"{rule}, got another combination (a sum, weights, statistics of the batch); pass "
                "batch=None for full batches"
            )


class Rest:
    """The branch of weights at which the two forces of AdamW cancel, r w + rho / lambda = 0.

    rates : (P,), r, the decay of each weight over lambda; 0 where there is none.
    trained : (P,) of bool, the weights that move at all.
    eps : what AdamW adds to the root that it divides by.
    """

    def __init__(self, gradients: Gradients, rates: Tensor, trained: Tensor, eps: float) -> None:
        self.gradients, self.rates, self.trained, self.eps = gradients, rates, trained, eps

    def force(self, row: Tensor, decay: float) -> Tensor:
        """At weights (P,): r w + rho / lambda, rho = g / (root of the mean square + eps)."""
        mean, square = self.gradients.moments(row)
        rho = mean / (square.sqrt() + self.eps).clamp_min(torch.finfo(row.dtype).tiny)
        return torch.where(self.trained, self.rates * row + rho / decay, 0.0)

    def follow(self, row: Tensor, decay: float, steps: int) -> Tensor:
        """The weights (P,) to which AdamW drifts from `row`."""
        draws = torch.Generator().manual_seed(0)
        for step in range(steps):
            force = self.force(row, decay)
            size = float(force.norm())
            if size == 0:
                break
            late = max(0.0, step / steps - SHRINKING) / (1 - SHRINKING)
            reach = max(
                float(row.norm()), CROSSING * size
            )  # else a weight alone never crosses zero
            move = min(LONGEST_MOVE, TURN * reach / size) * LAST_MOVE**late
            # unequal, since two weights that cross zero together would do so for ever
            unequal = 0.5 + torch.rand(len(row), generator=draws, dtype=row.dtype)
            row = row - move * unequal.to(row) * force
        return row

    def steepness(self, row: Tensor, decay: float) -> float:
        """At weights (P,): s = d ln |g| / d ln (scale of the decayed weights).

        It is -inf where the forces are out of balance because g changes its sign from step to step:
        the weights are at a minimum of the loss, and small changes of g mean nothing.
        """
        problem, kept = self.gradients.problem, self.rates > 0
        gradient = torch.where(kept, problem.evaluate(row[None])[1][0], 0.0)
        size = float(gradient.norm())
        force = torch.where(kept, self.force(row, decay), 0.0)
        if size == 0 or force.norm() > CHATTER * (self.rates * row).norm():
            return -math.inf
        along = problem.hessian_product(row, torch.where(kept, row, 0.0))
        return float((gradient / size) @ (along / size))
