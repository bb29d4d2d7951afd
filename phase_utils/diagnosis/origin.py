"""Where the trivial point of a network becomes unstable: the lowest Hessian eigenvalue."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from phase_utils._check import integer, takes
from phase_utils.diagnosis.krylov import lowest
from phase_utils.diagnosis.one_layer import one_layer
from phase_utils.diagnosis.trivial import (
    AnyProblem,
    TrivialPoint,
    checked,
    checked_trivial,
    trivial_point,
)

NORMALISING = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.LocalResponseNorm,
)
FLOOR = 1e-11  # relative rounding of gradients and Hessian products
STEEP = (
    "zero weights are not stationary: the loss falls at first order in them, at every weight decay "
    "(no hidden layer, a path around all of them, or an activation with h(0) != 0)"
)
SLOPE = 1e-6  # share of a gradient at unit weights that the optimum of theta may leave
DENSE = 256  # undecayed parameters whose Hessian is formed


@dataclass(frozen=True)
class Origin:
    """Expansion about the trivial point.

    Attributes
    ----------
    gamma : float or None
        Where the trivial point becomes unstable, -lambda_min / 2 with its sign, > 0 where something
        can be learned gently; 0 where the Hessian has no signal; None without expansion.
    error : float
        Bound of the error of gamma, from the residual of Lanczos.
    reason : str
        Why gamma is None or not from the Hessian; empty otherwise.
    trivial : TrivialPoint
        The point of the expansion.
    mode : (P,) tensor or None
        A unit eigenvector.
    smooth : bool
        Whether gamma is from the Hessian.
    stationary : bool
        False where the loss falls at first order in the weights: then the trivial state is never
        the best.
    """

    gamma: float | None
    error: float
    reason: str
    trivial: TrivialPoint
    mode: Tensor | None
    smooth: bool
    stationary: bool = True


@takes(1, "expand_origin takes a problem: expand_origin(ModuleProblem(model, loss_fn, (x, y)))")
def expand_origin(
    problem: AnyProblem, *, trivial: TrivialPoint | None = None, seed: int = 0
) -> Origin:
    """Where the trivial point of a module becomes unstable as weight decay falls.

    gamma_origin = -lambda_min/2, lambda_min the lowest eigenvalue of the Hessian of l0 in the
    decayed weights, the undecayed eliminated (Schur complement). Hessian-vector products and
    Lanczos; the Hessian is never formed. Networks without a regular expansion get a reason; for one
    hidden layer with a free hidden bias or ReLU a closed form takes its place.

    Parameters
    ----------
    problem : ModuleProblem
        The module, its loss and its data.
    trivial : TrivialPoint, optional
        Default: `trivial_point` of the problem.
    seed : int
        Of the first vector of Lanczos and of the probes of regularity.

    Returns
    -------
    Origin
        gamma_origin with a bound of its error, or the reason why there is none.

    Raises
    ------
    ValueError
        For anything but a `ModuleProblem`, with its own `TrivialPoint` or None.

    Examples
    --------
    One hidden layer: gamma_origin is |h'(0)| |E[xy]|.

    >>> import torch
    >>> import phase_utils as pu
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)
    ... )
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> problem = pu.ModuleProblem(model, torch.nn.functional.mse_loss, (x, 0.45 * x))
    >>> round(pu.expand_origin(problem).gamma, 6)
    0.45
    """
    checked(problem)
    seed = integer("seed", seed, minimum=0)
    trivial = trivial_point(problem) if trivial is None else checked_trivial(problem, trivial)
    closed = _closed(problem, trivial)
    if closed is not None:
        gamma, reason = closed
        return Origin(gamma, 0.0, reason, trivial, None, False)
    reason = _irregular(problem, trivial, seed)
    if reason:
        return Origin(None, np.nan, reason, trivial, None, False, reason != STEEP)

    apply, scale = curvature(problem, trivial, seed)
    start = torch.randn(
        problem.parameters, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(trivial.weights)
    start = torch.where(problem.mask, start, 0.0)
    if float(apply(start).norm()) <= FLOOR * scale * float(start.norm()):
        return Origin(0.0, 0.0, "", trivial, None, True)
    value, mode, residual = lowest(apply, start)
    return Origin(-value / 2, residual / 2, "", trivial, mode, True)


def curvature(
    problem: AnyProblem, trivial: TrivialPoint, seed: int = 0
) -> tuple[Callable[[Tensor], Tensor], float]:
    """The Hessian of l0 at the trivial point as a function of vectors, theta eliminated; its scale.

    The scale is that of the Hessian at random weights: what is far below it is rounding.
    """
    row, mask = trivial.weights, problem.mask

    def hessian(vector: Tensor) -> Tensor:
        return problem.hessian_product(row, vector)

    def within(vector: Tensor) -> Tensor:
        return torch.where(mask, vector, 0.0)

    probe = within(problem.random(1.0, [seed])[0])
    unit = probe / probe.norm()
    away = problem.hessian_product(problem.random(1.0, [seed + 1])[0], unit)
    scale = float(within(away).norm())
    mixed = torch.where(mask, 0.0, hessian(unit))
    if float(mixed.norm()) <= 1e-9 * scale:
        return (lambda vector: within(hessian(vector))), scale
    index = torch.nonzero(~mask).ravel()
    if len(index) > DENSE:
        raise ValueError(f"model must have at most {DENSE} undecayed parameters that mix")
    eye = torch.eye(problem.parameters, dtype=row.dtype, device=row.device)[index]
    block = torch.stack([hessian(e)[index] for e in eye])
    inverse = torch.linalg.pinv(block, hermitian=True, rtol=1e-10)

    def schur(vector: Tensor) -> Tensor:
        image = hessian(vector)
        back = torch.zeros_like(vector)
        back[index] = -(inverse @ image[index])
        return within(image + hessian(back))

    return schur, scale


def _closed(problem: AnyProblem, trivial: TrivialPoint) -> tuple[float, str] | None:
    """gamma_origin of one hidden layer where the Hessian at zero does not say it."""
    relu = any(isinstance(m, nn.ReLU | nn.LeakyReLU) for m in problem.model.modules())
    if not relu and not trivial.free:
        return None
    layer = one_layer(problem, trivial.weights)
    if layer is None:
        return None
    if layer.exact:
        return layer.supremum, f"{layer.method}: no Hessian at a kink"
    steepest, signal = layer.linear
    return steepest * signal / 2, (
        "max over b of |h'(b)| times s_max(E[x g^T]) / 2: the hidden bias is free"
    )


def _irregular(problem: AnyProblem, trivial: TrivialPoint, seed: int) -> str:
    """Why the loss has no expansion at the trivial point, or nothing."""
    for name, module in problem.model.named_modules():
        if isinstance(module, NORMALISING):
            return (
                f"{type(module).__name__} ({name or 'model'}) makes the loss singular at zero "
                "weights: it sees their direction, not their size"
            )
        if hasattr(module, "parametrizations") or hasattr(module, "weight_g"):
            return f"a reparametrised weight ({name or 'model'}) is singular at zero"
    if trivial.free:
        return (
            f"{', '.join(trivial.free)} is not decayed and has no effect at zero weights, so that "
            "the trivial state is not one point; name it in decayed, or read gamma_coexistence"
        )
    row = trivial.weights
    v = torch.where(problem.mask, problem.random(1.0, [seed])[0], 0.0)
    loss, gradient = problem.evaluate(torch.stack([row, row + v]))
    if not (gradient.isfinite().all() and loss.isfinite().all()):
        return "the gradient is not finite at zero weights"
    at = torch.where(problem.mask, gradient[0], 0.0)
    unit = float(gradient[1].norm())
    if float(at.norm()) > SLOPE * unit:
        return STEEP
    even, odd = [], []
    for t in (1e-2, 1e-3):
        g = problem.evaluate(torch.stack([row + t * v, row - t * v]))[1]
        even.append(float((g[0] + g[1] - 2 * gradient[0]).norm()))
        odd.append(torch.where(problem.mask, (g[0] - g[1]) / (2 * t), 0.0))
    floor = 1e-10 * unit
    if even[1] > floor and np.log10(even[0] / even[1]) < 1.5:
        return "the gradient has a kink at zero weights (as with ReLU): there is no Hessian"
    product = torch.where(problem.mask, problem.hessian_product(row, v), 0.0)
    far, near = (float((o - product).norm()) for o in odd)
    if near > 0.3 * far and near > 0.02 * float(product.norm()) + 1e3 * floor:
        return "the Hessian at zero weights is not that of small weights: no regular expansion"
    return ""
