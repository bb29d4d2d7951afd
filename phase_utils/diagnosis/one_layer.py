"""One hidden layer under a convex loss: a bound from above of the decay at which it still learns.

With g the derivative of the loss by the output at the best constant output, convexity gives for
f = c + sum_k u_k h(v_k.x + b_k)

    l0(f) >= l0(c) + E[g.(f - c)] >= l0(c) - sum_k |u_k| |E[g h(v_k.x + b_k)]|,

and 2 |u_k| |v_k| <= R: learning pays at no gamma above sup_{v, b} |E[g h(v.x + b)]| / (2 |v|).
A hidden or output bias must be free: then E[g] = 0, whatever rounding says of it.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor, nn
from torch.func import functional_call

from phase_utils._check import Array
from phase_utils.training.minimisers import minimise
from phase_utils.training.quasi_newton import Lbfgs

HOMOGENEOUS = (nn.ReLU, nn.LeakyReLU, nn.Identity)  # h(t z) = t h(z) for t > 0
FUNCTIONS = (
    F.cross_entropy,
    F.mse_loss,
    F.l1_loss,
    F.smooth_l1_loss,
    F.huber_loss,
    F.binary_cross_entropy_with_logits,
    F.soft_margin_loss,
)
MODULES = (
    nn.CrossEntropyLoss,
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCEWithLogitsLoss,
    nn.SoftMarginLoss,
)
STARTS = 24  # of the search for the best direction, besides the singular vectors
PAIRS = 20  # pairs of outputs between which convexity is tried
NEAREST = 1e-7  # least size of units: below it heights are rounding


@dataclass(frozen=True)
class OneLayer:
    """What a single hidden layer allows.

    supremum : as far as a search over directions found it; exact : whether learning sets in there,
    as for homogeneous activations; convex : "known", "probed" (not refuted), or "" where the loss
    is not convex in the output, and the supremum bounds nothing; method : in words; linear : for
    units of infinitesimal weights, the largest |h'| (over b, where it is free) and the largest
    singular value of E[x g^T]; unit : the unit that attains it where it is small, else None.
    """

    supremum: float
    exact: bool
    convex: str
    method: str
    linear: tuple[float, float]
    unit: "SmallUnit | None" = None


@dataclass(frozen=True)
class SmallUnit:
    """One hidden unit, |v| = |u| = 1, whose quotient tends to the supremum as both shrink.

    bias : of v of norm one; it shrinks with v where the activation is homogeneous. height : h(bias)
    where it does not, which the output bias takes away.
    """

    v: Array
    bias: float
    u: Array
    homogeneous: bool
    height: float

    def placed(self, problem: Any, blind: Array, size: float) -> Array:
        """Flat weights of a problem: blind ones, with this unit of norms `size` as the first."""
        named = problem.named(blind)
        first, last = (k for k in named if k.endswith("weight"))
        factors = problem.penalty.factors
        v, u = (size * t / math.sqrt(factors[k]) for k, t in ((first, self.v), (last, self.u)))
        named[first][0], named[last][:, 0] = torch.from_numpy(v), torch.from_numpy(u)
        hidden, output = (k.removesuffix("weight") + "bias" for k in (first, last))
        if hidden in named:
            shrunk = float(np.linalg.norm(v)) if self.homogeneous else 1.0
            named[hidden][0] = shrunk * self.bias
        if output in named:
            named[output] -= torch.from_numpy(self.height * u)
        flat = torch.cat([named[k].reshape(-1) for k in problem.names])
        return np.asarray(problem.scaled(flat.numpy()))


def one_layer(problem: Any, trivial: Tensor) -> OneLayer | None:
    """The bound of a Linear - activation - Linear network; None for others.

    problem : a ModuleProblem or an Objective; trivial : its weights at the best constant output.
    """
    found = _layers(problem)
    if found is None:
        return None
    activation, free, output_free, factor = found
    x = problem.x.reshape(len(problem.x), -1).double().cpu().numpy()
    slope = _output_slope(problem, trivial)
    if slope is None:
        return None
    g, output = slope
    mean = float(np.linalg.norm(g.mean(0)))
    if output_free:
        if mean > 1e-4 * math.sqrt(float(np.mean(np.sum(g**2, 1)))):
            return None  # the constant is not the best one: the loss has no minimum there
        g = g - g.mean(0)  # zero at the best constant
    elif free or float(activation(torch.zeros(1, dtype=torch.float64)).abs()) > 0:
        return None  # a constant output can still be learned
    left, values, right = np.linalg.svd(x.T @ g / len(x), full_matrices=False)
    slope_at, bias = _steepest(activation, free)
    linear = (abs(slope_at), float(values[0]) / factor)
    # units of infinitesimal weights, which an ascent would reach in the limit only
    limit = linear[0] * linear[1] / 2
    best, row = _supremum(x, g, activation, free)
    supremum = max(best / factor, limit)
    kind = type(activation).__name__
    name = f"{kind}(v.x + b)" if free else f"{kind}(v.x)"
    method = f"sup over v{' and b' if free else ''} of |E[g {name}]| / (2 |v|)"
    exact = isinstance(activation, HOMOGENEOUS)
    unit = None
    if exact:
        v, b = row[: x.shape[1]] / np.linalg.norm(row[: x.shape[1]]), float(row[-1]) * free
        height = activation(torch.from_numpy(x @ v + b)).numpy() @ g
        unit = SmallUnit(v, b, -height / max(float(np.linalg.norm(height)), 1e-300), True, 0.0)
    elif supremum <= limit * (1 + 1e-6):
        shift = float(activation(torch.tensor(bias, dtype=torch.float64)))
        unit = SmallUnit(left[:, 0], bias, -np.sign(slope_at) * right[0], False, shift)
    return OneLayer(supremum, exact, _convex(problem, output), method, linear, unit)


def _layers(problem: Any) -> tuple[nn.Module, bool, bool, float] | None:
    """Activation, whether hidden and output bias are free, root of the factors."""
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
    if any(b is not None and (k in decayed or k not in trained) for k, b in biases.items()):
        return None
    penalty = getattr(problem, "penalty", None)
    factors = getattr(penalty, "factors", None) or {}
    factor = math.sqrt(factors.get(f"{first}.weight", 1.0) * factors.get(f"{last}.weight", 1.0))
    return activation, hidden.bias is not None, output.bias is not None, factor


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


def _convex(problem: Any, output: Tensor) -> str:
    """Whether the loss is convex in the output: "known", "probed", or "" where it is not."""
    loss_fn = problem.loss_fn
    if loss_fn in FUNCTIONS or isinstance(loss_fn, MODULES):
        return "known"
    generator = torch.Generator().manual_seed(0)
    numbers = isinstance(problem.y, Tensor) and problem.y.is_floating_point()
    size = float(problem.y.double().std(correction=0)) if numbers else 1.0
    with torch.no_grad():
        for _ in range(PAIRS):
            a, b = (
                output + 2 * size * torch.randn(output.shape, generator=generator).to(output)
                for _ in range(2)
            )
            ends = (float(loss_fn(a, problem.y)) + float(loss_fn(b, problem.y))) / 2
            if float(loss_fn((a + b) / 2, problem.y)) > ends + 1e-9 * abs(ends):
                return ""
    return "probed"


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


def _supremum(x: Array, g: Array, activation: nn.Module, free: bool) -> tuple[float, Array]:
    """Supremum over v (and b, where it is free) of |E[g h(v.x + b)]| / (2 |v|), by ascents.

    With v (and b) of the best one.
    """
    inputs = x.shape[1]
    tensor, slope = torch.from_numpy(x), torch.from_numpy(g)
    homogeneous = isinstance(activation, HOMOGENEOUS)
    kinked = isinstance(activation, nn.ReLU | nn.LeakyReLU)

    def evaluate(rows: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            p = rows.detach().requires_grad_()
            v = p[:, :inputs]
            size = v.norm(dim=1)
            z = tensor @ v.mT
            if homogeneous:  # only the direction counts
                z = z / size
            if free:
                z = z + p[:, inputs]
            height = (slope.mT @ activation(z) / len(x)).norm(dim=0)
            q = -height / 2 if homogeneous else -height / (2 * size)
            (gradient,) = torch.autograd.grad(q.sum(), p)
        return q.detach(), gradient

    rng = np.random.default_rng(0)
    left = np.linalg.svd(x.T @ g, full_matrices=False)[0].T[:8]
    spread = math.sqrt(float(np.mean(np.sum((x - x.mean(0)) ** 2, 1))) or 1.0)
    directions = np.concatenate([left, -left, rng.normal(size=(STARTS, inputs))])
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if not homogeneous:
        directions *= np.exp(rng.uniform(-4, 2, (len(directions), 1))) / spread
    rows = torch.from_numpy(directions)
    if free:
        biases = torch.from_numpy(rng.normal(size=(len(rows), 1)))
        biases[::2] = 0.0
        rows = torch.cat([rows, biases], 1)
    with torch.no_grad():
        for _ in range(2 if kinked else 1):  # kinks end a quasi-Newton run early
            rows, _, _ = minimise(
                evaluate,
                rows,
                rows.new_zeros(len(rows)),
                Lbfgs(8, 0.5),
                tolerance=1e-8,
                max_steps=300,
            )
    values = -evaluate(rows, rows.new_zeros(len(rows)))[0]
    sound = rows[:, :inputs].norm(dim=1) * spread > NEAREST
    best = int(torch.where(sound, values, 0.0).argmax())
    return float(values[best]) if bool(sound[best]) else 0.0, rows[best].numpy()
