"""The branch on which learning fades under AdamW, followed from decay to decay."""

from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor
from torch.func import functional_call

from phase_utils._check import kind
from phase_utils.diagnosis.adamw_options import Options
from phase_utils.diagnosis.rest import Gradients, Rest
from phase_utils.training.modules import ModuleProblem

DECAY_FACTOR = 2**0.5  # between decays that are chosen here
LEAST_DECAY, MOST_DECAY = 1e-3, 1e6  # decays that are chosen
SETTLING = 4  # times as many steps at the first decay
FADED = 2**-6  # of the weights at rest, small enough for the power that leads
NEAR_POWER = 0.1  # of an integer, within which that power counts weight layers


class FadingBranch:
    """The branch of rests, followed from decay to decay."""

    def __init__(
        self, problem: ModuleProblem, held: Options, batch: int | None, steps: int
    ) -> None:
        self.problem, self.held, self.batch, self.steps = problem, held, batch, steps
        sizes = {name: s.numel() for name, s in zip(problem.names, problem.shapes, strict=True)}
        start = problem.start
        rates = [start.new_full((n,), held.rates.get(k, 0.0)) for k, n in sizes.items()]
        trained = [start.new_full((n,), float(k in held.trained)) for k, n in sizes.items()]
        gradients = Gradients(problem, batch)
        self.rest = Rest(gradients, torch.cat(rates), torch.cat(trained) > 0, held.eps)
        self.kept = self.rest.rates > 0
        self.constant = _constant_loss(problem)
        if not float(torch.where(self.kept, gradients.moments(start)[0], 0.0).norm()) > 0:
            raise ValueError(
                "model must have decayed weights with a gradient, got none at its own weights; "
                "start from fresh ones"
            )
        self.points: list[tuple[float, float, float, Tensor]] = []

    def visit(self, decay: float) -> float:
        """The gain at a decay, from the rest at the nearest one so far."""
        if self.points:
            near, _, _, row = min(self.points, key=lambda p: abs(np.log(p[0] / decay)))
            row = torch.where(self.kept, row * (near / decay), row)  # w = -rho / lambda
            row = self.rest.follow(row, decay, self.steps)
        else:
            start, rates = self.problem.start, self.rest.rates
            box = min(1.0, 1 / (decay * float((rates * start).abs().max())))  # no rest is outside
            row = torch.where(self.kept, box * start, start)
            row = self.rest.follow(row, decay, SETTLING * self.steps)
        gain = self._gain(row)
        self.points.append((decay, gain, self.rest.steepness(row, decay), row))
        self.points.sort(key=lambda p: p[0])
        return gain

    def search(self, bar: Any) -> None:
        """Decays from about 1 up to where 1 % is left, and down to where 10 % is."""
        first = decay = 1.0
        while self.visit(decay) >= 0.01 and decay * DECAY_FACTOR <= min(
            1 / self.held.lr, MOST_DECAY
        ):
            decay *= DECAY_FACTOR
            bar.update()
        decay = first
        while self.points[0][1] < 0.1 and decay > LEAST_DECAY:
            decay /= DECAY_FACTOR
            bar.update()
            if self.visit(decay) < 1.01 * self.points[1][1]:
                break  # no more can be learned

    def _gain(self, row: Tensor) -> float:
        """The loss at the mean output less the loss, in units of the constant loss."""
        output = self._output(row)
        blind = output.mean(0, keepdim=True).expand_as(output)
        loss, y = self.problem.loss_fn, self.problem.y
        return float(loss(blind, y) - loss(output, y)) / self.constant

    def _output(self, row: Tensor) -> Tensor:
        return _output(self.problem, row)

    def layers(self) -> int | None:
        """The power of small decayed weights that the output varies by, where it is one."""
        row = self.points[-1][3]
        spread = []
        for scale in (FADED, FADED / 2):
            output = self._output(torch.where(self.kept, scale * row, row))
            spread.append(float((output - output.mean(0)).norm()))
        if min(spread) <= 0:
            return None
        power = float(np.log2(spread[0] / spread[1]))
        return round(power) if abs(power - round(power)) < NEAR_POWER else None


def _output(problem: ModuleProblem, row: Tensor) -> Tensor:
    """The output on all samples, by parts, without a graph."""
    with torch.no_grad():
        parts = [
            functional_call(problem.model, problem.named(row), (problem.x[part],))
            for part in problem.chunks
        ]
    if not isinstance(parts[0], Tensor) or not parts[0].is_floating_point():
        raise ValueError(f"model must return one floating tensor, got {kind(parts[0])}")
    return torch.cat(parts)


def _constant_loss(problem: ModuleProblem) -> float:
    """The loss of the best output that does not depend on the input."""
    output = _output(problem, problem.start)

    def objective(constant: np.ndarray) -> tuple[float, np.ndarray]:
        row = torch.from_numpy(constant).to(output).reshape(output.shape[1:]).requires_grad_()
        with torch.enable_grad():
            loss = problem.loss_fn(row.expand_as(output), problem.y)
            (gradient,) = torch.autograd.grad(loss, row)
        return float(loss.detach()), gradient.cpu().numpy().ravel()

    start = output.mean(0).cpu().numpy().ravel()
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": 500})
    if not found.fun > 0:
        raise ValueError(
            "data must leave something to learn, and loss_fn be > 0 without it, got a loss of "
            f"{found.fun:g} for the best constant output"
        )
    return float(found.fun)
