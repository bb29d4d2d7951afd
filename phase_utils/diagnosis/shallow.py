"""gamma_origin of one hidden layer in closed form, where the loss has no Hessian at zero."""

import numpy as np
import torch
from scipy.optimize import minimize, minimize_scalar
from torch import Tensor, nn

from phase_utils._check import Array
from phase_utils.training.modules import ModuleProblem


def shallow_origin(problem: ModuleProblem, trivial: Tensor) -> tuple[float, str] | None:
    """gamma_origin and how it was found, for Linear - activation - Linear; None for other networks.

    With g the derivative of the loss by the output at the trivial point (-2 y for squared loss):

    - free hidden bias, smooth h: max_b |h'(b)| s_max(E[x g^T]) / 2;
    - ReLU: max over |v| = 1 (and b, where it is free) of |E[g relu(v.x + b)]| / 2.

    Both need E[g] = 0 where the hidden bias is free, as a free output bias makes it.
    """
    found = _layers(problem)
    if found is None:
        return None
    activation, bias_free = found
    x = problem.x.reshape(len(problem.x), -1).cpu().numpy()
    g = _output_gradient(problem, trivial)
    if bias_free and np.linalg.norm(g.mean(0)) > 1e-7 * np.sqrt(np.mean(np.sum(g**2, 1))):
        return None
    if isinstance(activation, nn.ReLU):
        return _relu(x, g, bias_free), "max over v of |E[g relu(v.x)]| / 2: ReLU has no Hessian"
    if not bias_free:
        return None
    signal = float(np.linalg.norm(x.T @ g / len(x), 2))
    return _steepest(activation) * signal / 2, (
        "max over b of |h'(b)| times s_max(E[x g^T]) / 2: the hidden bias is free"
    )


def _layers(problem: ModuleProblem) -> tuple[nn.Module, bool] | None:
    """The activation, and whether the hidden bias is free."""
    model = problem.model
    if not isinstance(model, nn.Sequential):
        return None
    named = [(k, m) for k, m in model.named_children() if not isinstance(m, nn.Flatten)]
    if len(named) != 3:
        return None
    (first, hidden), (_, activation), (last, output) = named
    if not (isinstance(hidden, nn.Linear) and isinstance(output, nn.Linear)):
        return None
    if list(activation.parameters()):
        return None
    decayed = set(problem.decayed)
    if not {f"{first}.weight", f"{last}.weight"} <= decayed:
        return None
    if hidden.bias is not None and f"{first}.bias" in decayed:
        return None
    if output.bias is not None and f"{last}.bias" in decayed:
        return None
    return activation, hidden.bias is not None


def _output_gradient(problem: ModuleProblem, trivial: Tensor) -> Array:
    """Derivative of each sample's loss by the outputs, (n, k)."""
    with torch.no_grad():
        out = torch.func.functional_call(problem.model, problem.named(trivial), (problem.x,))
    out = out.detach().requires_grad_()
    (g,) = torch.autograd.grad(problem.loss_fn(out, problem.y), out)
    return np.asarray((g * len(out)).reshape(len(out), -1).cpu().numpy())


def _steepest(activation: nn.Module) -> float:
    """Largest |h'(b)|."""

    def slope(b: float) -> float:
        z = torch.tensor(b, dtype=torch.float64, requires_grad=True)
        return -abs(float(torch.autograd.grad(activation(z), z)[0]))

    grid = np.linspace(-12, 12, 481)
    best = grid[np.argmin([slope(b) for b in grid])]
    step = grid[1] - grid[0]
    return -float(
        minimize_scalar(
            slope, bounds=(best - step, best + step), method="bounded", options={"xatol": 1e-12}
        ).fun
    )


def _relu(x: Array, g: Array, bias_free: bool, starts: int = 32) -> float:
    """Largest |E[g relu(v.x + b)]| / 2 over the sphere by ascent from the data and at random."""

    def value(p: Array) -> tuple[float, Array]:
        size = float(np.linalg.norm(p[: x.shape[1]]))
        v = p[: x.shape[1]] / size
        z = x @ v + (p[-1] if bias_free else 0.0)
        m = g.T @ np.maximum(z, 0) / len(x)
        height = float(np.linalg.norm(m))
        dz = (z > 0) * (g @ m) / (len(x) * max(height, 1e-300))
        dv = x.T @ dz
        grad = (dv - (dv @ v) * v) / size
        slope = np.append(grad, dz.sum()) if bias_free else grad
        return -height, -slope

    rng = np.random.default_rng(0)
    left = np.linalg.svd(x.T @ g, full_matrices=False)[0].T
    candidates = np.concatenate([left[:8], -left[:8], rng.normal(size=(starts, x.shape[1]))])
    best = 0.0
    for v in candidates:
        p: Array = v / np.linalg.norm(v)
        p = np.append(p, 0.0) if bias_free else p
        for _ in range(3):  # kinks end a quasi-Newton run early
            run = minimize(value, p, jac=True, method="BFGS", options={"gtol": 1e-12})
            p = run.x
        best = max(best, -float(run.fun))
    return best / 2
