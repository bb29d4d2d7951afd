"""One hidden layer under a convex loss: a bound from above of the decay at which it still learns.

With g the derivative of the loss by the output at the best constant output, convexity gives for
f = c + sum_k u_k h(v_k.x + b_k)

    l0(f) >= l0(c) + E[g.(f - c)] >= l0(c) - sum_k |u_k| |E[g h(v_k.x + b_k)]|,

and 2 |u_k| |v_k| <= R: learning pays at no gamma above sup_{v, b} |E[g h(v.x + b)]| / (2 |v|).
Where the output bias is free E[g] = 0, whatever rounding says of it.

A hidden bias that decays is the weight of an input that is constant. An output bias c that decays
makes g that of the best blind network at gamma, c_0. Its stationarity, E[g] = -2 gamma c_0, turns
E[g].(c - c_0) + gamma (|c|^2 - |c_0|^2) into gamma |c - c_0|^2 >= 0, so that the bound is the
largest root of S(gamma) = gamma, S the supremum at this g. Constant hidden units u h(b) of the
blind network are allowed for where E[g].u h(b) + gamma (|u|^2 + b^2) <= 0, as holds with equality
for homogeneous h. Where E[g] = 0 at c_0 = 0, as in classes of equal size, no constant output is of
use, and h(0) may be what it likes.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor, nn
from torch.func import functional_call

from phase_utils._check import Array
from phase_utils.diagnosis.convexity import convex
from phase_utils.diagnosis.directions import HOMOGENEOUS, ROUND, ROUNDS, supremum

UNPAID = 1e6  # gamma at which no bias pays
LOOKED = (4.0, 1.3, 1.0, 0.7, 0.3, 0.1)  # of S at UNPAID: where roots are sought
OVERPAID = 1e-6  # relative, of what constant hidden units cost


@dataclass(frozen=True)
class OneLayer:
    """What a single hidden layer allows.

    supremum : as far as a search over directions found it; exact : whether learning sets in there,
    as for homogeneous activations; convex : "known", "probed" (not refuted), or "" where the loss
    is not convex in the output, and the supremum bounds nothing; method : in words; linear : for
    units of infinitesimal weights, the largest |h'| (over b, where it is free) and the largest
    singular value of E[x g^T]; unit : the unit that attains it where it is small, else None; at :
    gamma of the blind network whose slopes g are, where that depends on gamma, else nan; rows : the
    ends of the search over directions.
    """

    supremum: float
    exact: bool
    convex: str
    method: str
    linear: tuple[float, float]
    unit: "SmallUnit | None" = None
    at: float = math.nan
    rows: Tensor | None = None


@dataclass(frozen=True)
class SmallUnit:
    """One hidden unit, |v| = |u| = 1, whose quotient tends to the supremum as both shrink.

    Where the hidden bias decays |(v, b)| = 1. bias : of such a v; shrinks : whether it does so with
    v. height : h(bias) where it does not, which the output bias takes away.
    """

    v: Array
    bias: float
    u: Array
    shrinks: bool
    height: float

    def placed(self, problem: Any, blind: Array, size: float) -> Array:
        """Flat weights of a problem: blind ones, with this unit of norms `size` as one."""
        named = problem.named(blind)
        first, last = (k for k in named if k.endswith("weight"))
        factors = problem.penalty.factors
        v, u = (size * t / math.sqrt(factors[k]) for k, t in ((first, self.v), (last, self.u)))
        k = int(named[last].norm(dim=0).argmin())  # one that the blind network does not use
        named[first][k], named[last][:, k] = torch.from_numpy(v), torch.from_numpy(u)
        hidden, output = (k.removesuffix("weight") + "bias" for k in (first, last))
        if hidden in named:
            shrunk = size / math.sqrt(factors[first]) if self.shrinks else 1.0
            named[hidden][k] = shrunk * self.bias
        if output in named:
            named[output] -= torch.from_numpy(self.height * u)
        flat = torch.cat([named[k].reshape(-1) for k in problem.names])
        return np.asarray(problem.scaled(flat.numpy()))


@dataclass(frozen=True)
class _Layers:
    """What a Linear - activation - Linear network is made of.

    free : whether the hidden bias is trained and does not decay; constant : the input that makes a
    weight of a hidden bias that decays, else 0; output : "free", "decayed" or "" for none; factor :
    root of the factors of both weights; names : of first and last layer.
    """

    activation: nn.Module
    free: bool
    constant: float
    output: str
    factor: float
    names: tuple[str, str]


class _Beyond(Exception):
    """Constant hidden units of a blind network that the bound does not allow for."""


def bounded(problem: Any, blind: Callable[[float], Array]) -> OneLayer | None:
    """The bound of a Linear - activation - Linear network at any gamma; None for others.

    problem : an Objective; blind : weights of its best blind network at a gamma.
    """

    def at(
        gamma: float, rows: Tensor | None = None, steps: Sequence[int] = ROUNDS
    ) -> OneLayer | None:
        return one_layer(problem, torch.from_numpy(blind(gamma)), gamma, rows, steps)

    layer = at(UNPAID)
    if layer is None or math.isnan(layer.at) or not layer.supremum > 0:
        return layer
    seen: dict[float, OneLayer] = {}

    def excess(gamma: float) -> float:
        if gamma not in seen:
            known = at(gamma, layer.rows, ROUND)
            if known is None:
                raise _Beyond
            seen[gamma] = known
        return seen[gamma].supremum - gamma

    above = math.inf
    try:
        for share in LOOKED:
            gamma = share * layer.supremum
            if excess(gamma) >= 0:
                break
            above = gamma
        else:
            return None
        if above == math.inf:
            return None
        root = float(brentq(excess, gamma, above, rtol=1e-9))
        end = at(root, layer.rows)
    except _Beyond:
        return None
    return end and replace(end, supremum=float(max(root, end.supremum)))


def one_layer(
    problem: Any,
    trivial: Tensor,
    gamma: float | None = None,
    rows: Tensor | None = None,
    steps: Sequence[int] = ROUNDS,
) -> OneLayer | None:
    """The bound of a Linear - activation - Linear network, at one gamma; None for others.

    problem : a ModuleProblem or an Objective; trivial : its weights at the best constant output,
    which depends on `gamma` where no output bias is free; rows : starts of the search; steps : of
    its rounds.
    """
    layers = _layers(problem)
    if layers is None:
        return None
    activation, free = layers.activation, layers.free
    x = problem.x.reshape(len(problem.x), -1).double().cpu().numpy()
    if layers.constant:
        x = np.concatenate([x, np.full((len(x), 1), layers.constant)], 1)
    slope = _output_slope(problem, trivial)
    if slope is None:
        return None
    g, output = slope
    mean = float(np.linalg.norm(g.mean(0)))
    best_constant = mean <= 1e-4 * math.sqrt(float(np.mean(np.sum(g**2, 1))))
    if layers.output == "free":
        if not best_constant:
            return None  # the constant is not the best one: the loss has no minimum there
        g = g - g.mean(0)  # zero at the best constant
    elif free:
        return None  # a constant output can still be learned
    elif float(activation(torch.zeros(1, dtype=torch.float64)).abs()) > 0:
        if not best_constant:
            return None  # the same, by units without input
        g = g - g.mean(0)
    elif gamma is None:
        if layers.output and not best_constant:
            return None
    elif not _allowed(problem, layers, trivial, g, gamma):
        return None
    left, values, right = np.linalg.svd(x.T @ g / len(x), full_matrices=False)
    slope_at, bias = _steepest(activation, free)
    linear = (abs(slope_at), float(values[0]) / layers.factor)
    # units of infinitesimal weights, which an ascent would reach in the limit only
    limit = linear[0] * linear[1] / 2
    best, row, ends = supremum(x, g, activation, free, rows, steps)
    most = max(best / layers.factor, limit)
    inputs = x.shape[1]
    exact = isinstance(activation, HOMOGENEOUS)
    shrinks = exact or not free
    unit = None
    if exact:
        v, b = row[:inputs] / np.linalg.norm(row[:inputs]), float(row[-1]) * free
        height = activation(torch.from_numpy(x @ v + b)).numpy() @ g
        u, shift = -height / max(float(np.linalg.norm(height)), 1e-300), 0.0
    else:
        v, b, u = left[:, 0], bias, -np.sign(slope_at) * right[0]
        shift = float(activation(torch.tensor(bias, dtype=torch.float64)))
    if layers.constant:
        v, b = v[:-1], float(v[-1]) * layers.constant
    if exact or most <= limit * (1 + 1e-6):
        unit = SmallUnit(v, b, u, shrinks, shift)
    known, at = convex(problem, output), math.nan
    if layers.output != "free" and gamma is not None and (layers.output or layers.constant):
        at = gamma
    method = _method(layers)
    return OneLayer(float(most), exact, known, method, linear, unit, at, ends)


def _method(layers: _Layers) -> str:
    """The supremum in words."""
    biased = layers.free or layers.constant > 0
    size = "|(v, b)|" if layers.constant else "|v|"
    name = f"{type(layers.activation).__name__}(v.x{' + b' if biased else ''})"
    return f"sup over v{' and b' if biased else ''} of |E[g {name}]| / (2 {size})"


def _allowed(problem: Any, layers: _Layers, trivial: Tensor, g: Array, gamma: float) -> bool:
    """Whether constant hidden units of the blind network leave the bound as it is."""
    named = problem.named(trivial)
    first, last = layers.names
    bias = named.get(f"{first}.bias")
    if bias is None or not layers.constant:
        return True
    with torch.no_grad():
        u = named[f"{last}.weight"].double()
        constant = u @ layers.activation(bias.double())
    factors = problem.penalty.factors
    cost = factors[f"{last}.weight"] * u.square().sum()
    cost = gamma * float(cost + factors[f"{first}.bias"] * bias.square().sum())
    return float(g.mean(0) @ constant.cpu().numpy()) + cost <= OVERPAID * cost + 1e-12


def _layers(problem: Any) -> _Layers | None:
    """What the network is made of, None where it is none of this kind."""
    model = problem.model
    if not isinstance(model, nn.Sequential) or not isinstance(problem.x, Tensor):
        return None
    flat = nn.Flatten | nn.Identity if len(model) > 3 else nn.Flatten
    named = [(k, m) for k, m in model.named_children() if not isinstance(m, flat)]
    if len(named) != 3:
        return None
    (first, hidden), (_, activation), (last, output) = named
    if not (isinstance(hidden, nn.Linear) and isinstance(output, nn.Linear)):
        return None
    if list(activation.parameters()) or isinstance(activation, nn.Linear | nn.Dropout):
        return None
    if not problem.x.is_floating_point() or problem.x[0].numel() != hidden.in_features:
        return None
    trained = set(problem.names)
    decayed = set(problem.decayed)
    if not {f"{first}.weight", f"{last}.weight"} <= decayed & trained:
        return None
    biases = {f"{first}.bias": hidden.bias, f"{last}.bias": output.bias}
    if any(b is not None and k not in trained for k, b in biases.items()):
        return None
    penalty = getattr(problem, "penalty", None)
    factors = dict.fromkeys(decayed, 1.0) | dict(getattr(penalty, "factors", None) or {})
    price = factors[f"{first}.weight"]
    free = hidden.bias is not None and f"{first}.bias" not in decayed
    constant = 0.0 if free or hidden.bias is None else math.sqrt(price / factors[f"{first}.bias"])
    kind = "" if output.bias is None else "decayed" if f"{last}.bias" in decayed else "free"
    factor = math.sqrt(price * factors[f"{last}.weight"])
    return _Layers(activation, free, constant, kind, factor, (first, last))


def _output_slope(problem: Any, trivial: Tensor) -> tuple[Array, Tensor] | None:
    """Derivative of each sample's loss by the outputs, (n, k), and the constant output."""
    named = {k: v.to(problem.x) for k, v in problem.named(trivial).items()}
    with torch.no_grad():
        out = functional_call(problem.model, named, (problem.x,))
    if not isinstance(out, Tensor) or out.ndim != 2:
        return None
    out = out.detach().requires_grad_()
    with torch.enable_grad():
        (g,) = torch.autograd.grad(problem.loss_fn(out, problem.y), out)
    return np.asarray((g * len(out)).double().cpu().numpy()), out.detach()


def _steepest(activation: nn.Module, free: bool) -> tuple[float, float]:
    """The slope h'(0) and 0, or the h'(b) of largest size, where the bias is free, and its b."""

    def slope(b: float) -> float:
        z = torch.tensor(b, dtype=torch.float64, requires_grad=True)
        with torch.enable_grad():
            (d,) = torch.autograd.grad(activation(z), z)
        return float(d)

    if not free:
        return slope(0.0), 0.0
    grid = np.linspace(-12, 12, 481)
    best = grid[np.argmax([abs(slope(b)) for b in grid])]
    step = grid[1] - grid[0]
    found = minimize_scalar(
        lambda b: -abs(slope(b)),
        bounds=(best - step, best + step),
        method="bounded",
        options={"xatol": 1e-12},
    )
    return slope(float(found.x)), float(found.x)
