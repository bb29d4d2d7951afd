"""What a call is, and small valid arguments of which the calls are made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import phase_utils as pu

Labels = frozenset[str]
Function = Callable[..., Any]


class Inside(NamedTuple):
    """How a wrong value gets inside of a valid argument; `named` is who else may be to blame."""

    argument: str
    enter: Callable[[Any], Any]
    answers: Labels
    named: str = ""


@dataclass(frozen=True)
class Call:
    """One public function, constructor or method with valid arguments.

    make : returns the function and its arguments by name, anew each time.
    answers : argument -> labels of the values in `values.WRONG` that are legitimate there.
    inside : label -> how a wrong value enters a valid one.
    nan : the fields of the answer that may hold nan, "" for the answer itself.
    """

    make: Callable[[], tuple[Function, dict[str, Any]]]
    answers: Mapping[str, Labels] = field(default_factory=dict)
    inside: Mapping[str, Inside] = field(default_factory=dict)
    nan: Labels = frozenset()


def labels(*names: str) -> Labels:
    return frozenset(names)


NOTHING = labels()
NONE = labels("None")
FLAG = labels("True")
POSITIVE = labels("1.5", "1e308", "1e-308", "10**9", "10**30", "array ()", "tensor ()")
NON_NEGATIVE = POSITIVE | {"0"}
FRACTION = labels("1e-308", "array ()", "tensor ()")  # above 0, below 1
SEED = labels("0", "10**9")
CAP = labels("10**9")  # a bound that is not reached
PAIR = labels("series", "data array", "tensor with graph")  # two numbers > 0
TRIPLE = labels("array (3,)", "integers", "integer tensor")  # three
WHOLE = labels("integers", "integer tensor")
VECTOR = PAIR | TRIPLE | {"array (1,)"}
MATRIX = labels("array (2, 3)", "frame", "parameter", "float16 tensor")
SHAPED = VECTOR | MATRIX | {"array (2, 2, 2)", "range(3)"}
SEEDS = SEED | WHOLE | {"range(3)"}
NAME = labels("'x'", "'1'", "long text", "long name")
FLOATING = labels("parameter", "float16 tensor", "bfloat16 tensor", "tensor with graph")
FLOATING |= {"tensor ()", "tensor (0,)", "meta tensor"}

# ---- small valid arguments -----------------------------------------------------------------------

X = np.random.default_rng(0).normal(size=(8, 5))
Y = X[:, :1] * 0.5 + 0.1
FEW = pu.Settings(max_steps=30)


@cache
def moments() -> pu.Moments:
    return pu.Moments.from_samples(X, Y[:, 0])


def white() -> pu.Moments:
    return pu.Moments(np.eye(3), np.diag([0.5, 0.4, 0.3])[:, :2], 1.0)


def land(**options: Any) -> pu.Landscape:
    return pu.Landscape(pu.Moments.isotropic(), **options)


def network() -> pu.LinearNetwork:
    return pu.LinearNetwork(moments(), 1, 2)


def weights() -> tuple[torch.Tensor, ...]:
    return network().initial_weights(0.3, [0, 1])


def squared(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (out - y).square().mean()


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Linear(5, 2, bias=False), nn.Tanh(), nn.Linear(2, 1)
    return nn.Sequential(*layers).to(torch.float64)


def problem() -> pu.ModuleProblem:
    return pu.ModuleProblem(model(), squared, (X, Y))


@cache
def trivial() -> pu.TrivialPoint:
    return pu.trivial_point(problem())


@cache
def origin() -> pu.Origin:
    return pu.expand_origin(problem(), trivial=trivial())


@cache
def rescaled() -> pu.RescaledLandscape:
    return pu.rescaled_landscape(model(), {"loss": squared}, (X, Y), [0.0, 0.5, 1.0, 2.0])


@cache
def chains() -> pu.Chains:
    return pu.langevin(network(), weights(), 0.1, 0.01, dt=0.01, steps=20)


def flat(rows: int) -> torch.Tensor:
    return problem().random(1.0, range(rows))


def entry(argument: str, place: int, valid: Any, answers: Labels = NOTHING) -> dict[str, Inside]:
    """A wrong value in one place of a sequence."""

    def replaced(wrong: Any) -> Any:
        return [*valid[:place], wrong, *valid[place + 1 :]]

    return {f"{argument}[{place}]": Inside(argument, replaced, answers)}


def pair(x: Labels = NOTHING, y: Labels = NOTHING) -> dict[str, Inside]:
    """A wrong x or y of `data`."""
    return {**entry("data", 0, (X, Y), x), **entry("data", 1, (X, Y), y)}
