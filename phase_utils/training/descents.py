"""Minimisers that follow the gradient: with momentum, Adam, and the gradient flow itself."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim.adam import adam

from phase_utils.training.rows import STEP_FLOOR, Evaluate, State, norm

BETAS, EPSILON = (0.9, 0.999), 1e-8  # those of torch.optim.Adam

# Dormand and Prince 5(4): stages, weights of the step, and those of its error
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)
FIRST_STEP = 1e-3  # length of the first step of the flow in units of |w|


@dataclass(frozen=True)
class RandomBatch:
    """Samples of every step, drawn with replacement from a stream of each network's own.

    The draws are a hash of stream and step, the same on every device and in every batch.
    """

    size: int
    samples: int

    def start(self, state: State, evaluate: Evaluate) -> None:
        """Exchange the gradient on all samples, which the state has, for one of the first batch."""
        self.evaluate(state, evaluate)

    def evaluate(self, state: State, evaluate: Evaluate) -> None:
        """Value and gradient on fresh samples; advances the stream."""
        stream = state["stream"]
        state["stream"] = stream + 1
        place = torch.arange(self.size, device=stream.device)
        drawn = hashed(hashed(stream)[:, None] + place).remainder(self.samples)
        state["f"], state["g"] = evaluate(state["x"], state["gamma"], drawn)

    def at_rest(self, state: State, _speed: Tensor) -> Tensor:
        """No row ever: a gradient on a few samples says nothing about the end."""
        return torch.zeros_like(state["f"], dtype=torch.bool)


class FullBatch:
    """All samples, or moments: nothing to draw."""

    def start(self, _state: State, _evaluate: Evaluate) -> None:
        """The state has its gradient."""

    def evaluate(self, state: State, evaluate: Evaluate) -> None:
        """Value and gradient."""
        state["f"], state["g"] = evaluate(state["x"], state["gamma"])

    def at_rest(self, state: State, speed: Tensor) -> Tensor:
        """Rows that are not faster than their gradient can make them."""
        return speed <= 2 * norm(state["g"]) + torch.finfo(speed.dtype).tiny


@dataclass(frozen=True)
class HeavyBall:
    """Gradient descent with momentum, in the convention of torch.optim.SGD: v <- m v + g.

    The learning rates are `state["rate"]`, one per row.
    """

    momentum: float
    batches: RandomBatch | FullBatch
    period: ClassVar[int] = 1

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Begin at rest."""
        state["v"] = torch.zeros_like(state["x"])
        self.batches.start(state, evaluate)

    def tick(self, state: State, evaluate: Evaluate, _number: int, /) -> None:
        """One step of gradient descent with momentum."""
        state["v"] = self.momentum * state["v"] + state["g"]
        state["x"] = state["x"] - state["rate"][:, None] * state["v"]
        self.batches.evaluate(state, evaluate)

    def settled(self, state: State) -> Tensor:
        """Rows at rest: a moving row passes points where the gradient vanishes."""
        return self.batches.at_rest(state, (1 - self.momentum) * norm(state["v"]))


@dataclass(frozen=True)
class Adam:
    """Adam in the convention of torch.optim.Adam, with the penalty as part of the gradient.

    The fused kernel takes one rate, so it moves z = x / rate with unit rate, which is the same.
    """

    batches: RandomBatch | FullBatch
    period: ClassVar[int] = 1

    def start(self, state: State, evaluate: Evaluate, /) -> None:
        """Begin at rest, without a history."""
        x = state["x"]
        state["z"] = x / state["rate"][:, None]
        state["mean"], state["square"] = torch.zeros_like(x), torch.zeros_like(x)
        state["age"] = torch.zeros(len(x), dtype=torch.float32, device=x.device)
        self.batches.start(state, evaluate)

    def tick(self, state: State, evaluate: Evaluate, _number: int, /) -> None:
        """One step of Adam."""
        adam(
            [state["z"]],
            [state["g"]],
            [state["mean"]],
            [state["square"]],
            [],
            [state["age"][:1].clone()],  # of all rows; the kernel adds one to its copy
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=1.0,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )
        state["age"] += 1
        torch.mul(state["z"], state["rate"][:, None], out=state["x"])
        self.batches.evaluate(state, evaluate)

    def settled(self, state: State) -> Tensor:
        """Rows at rest."""
        return self.batches.at_rest(state, norm(state["mean"]))


@dataclass(frozen=True)
class Flow:
    """dw/dt = -gradient by Dormand and Prince's method, every row with its own step in time.

    A step is taken where its error is at most `accuracy` of its length and the loss does not rise.
    A tick costs six evaluations; time runs in `state["time"]` and ends at `state["until"]`.
    """

    accuracy: float
    period: ClassVar[int] = 1

    def start(self, state: State, _evaluate: Evaluate, /) -> None:
        """A short first step."""
        x, g = state["x"], state["g"]
        length = FIRST_STEP * norm(x).clamp_min(STEP_FLOOR)
        state["time"] = torch.zeros_like(state["f"])
        state["step"] = length / norm(g).clamp_min(torch.finfo(x.dtype).tiny)

    def tick(self, state: State, evaluate: Evaluate, _number: int, /) -> None:
        """Try one step; take it, or shorten it."""
        x, f, g, gamma = (state[name] for name in ("x", "f", "g", "gamma"))
        step = torch.minimum(state["step"], state["until"] - state["time"])
        slopes = [g]
        for stage in STAGES:
            new = x - step[:, None] * _combined(stage, slopes)
            f_new, slope = evaluate(new, gamma)
            slopes.append(slope)
        error, length = step * norm(_combined(ERROR, slopes)), norm(new - x)
        rounding = 4 * torch.finfo(x.dtype).eps
        level = f_new <= f + rounding * torch.maximum(f.abs(), state["unit"])
        allowed = self.accuracy * length + rounding * norm(x)
        taken = level & (error <= allowed) & slope.isfinite().all(1)
        # the ratio of error and length grows as the fourth power of the step
        factor = (0.9 * (allowed / error) ** 0.25).clamp(0.2, 5.0)
        factor = torch.where(level & factor.isfinite(), factor, torch.where(level, 5.0, 0.5))
        factor = torch.where(slope.isfinite().all(1), factor, 0.2)
        state["time"] = torch.where(taken, state["time"] + step, state["time"])
        state["x"] = torch.where(taken[:, None], new, x)
        state["f"] = torch.where(taken, f_new, f)
        state["g"] = torch.where(taken[:, None], slope, g)
        # a step that the end of time cut short says nothing about the next
        cut = taken & (step < state["step"])
        state["step"] = torch.where(cut, state["step"], step * factor)

    def settled(self, state: State) -> Tensor:
        """All rows: the flow has no momentum."""
        return torch.ones_like(state["f"], dtype=torch.bool)


def _combined(coefficients: tuple[float, ...], slopes: list[Tensor]) -> Tensor:
    total = coefficients[0] * slopes[0]
    for c, slope in zip(coefficients[1:], slopes[1:], strict=True):
        if c:
            total.add_(slope, alpha=c)
    return total


def hashed(numbers: Tensor) -> Tensor:
    """splitmix64 of int64 numbers (its products wrap around): a good start of a stream."""
    z = numbers * -7046029254386353131
    z = (z ^ ((z >> 30) & 0x3FFFFFFFF)) * -4658895280553007687
    z = (z ^ ((z >> 27) & 0x1FFFFFFFFF)) * -7723592293110705685
    return z ^ ((z >> 31) & 0x1FFFFFFFF)
