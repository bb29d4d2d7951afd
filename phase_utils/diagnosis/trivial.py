"""The trivial point of a network: zero decayed weights, the others at their optimum."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from phase_utils._check import instance, takes
from phase_utils.diagnosis.objective import Objective
from phase_utils.training.modules import ModuleProblem, checked_problem
from phase_utils.training.tensors import floating

AnyProblem = ModuleProblem | Objective


def checked(problem: AnyProblem) -> AnyProblem:
    """Return a problem, or raise ValueError that says how one is made of a module."""
    return problem if isinstance(problem, Objective) else checked_problem(problem)


@dataclass(frozen=True)
class TrivialPoint:
    """Zero decayed weights, the undecayed at their optimum.

    Attributes
    ----------
    weights : (P,) tensor
        Flattened, as a problem takes them.
    loss : float
        l_triv.
    free : tuple of str
        Undecayed parameters that the loss does not feel at zero weights, but feels elsewhere: the
        trivial point is then not one point.
    """

    weights: Tensor
    loss: float
    free: tuple[str, ...]


@takes(1, "trivial_point takes a problem: trivial_point(ModuleProblem(model, loss_fn, (x, y)))")
def trivial_point(problem: AnyProblem) -> TrivialPoint:
    """The trivial point of a module: w = 0, and theta by minimisation of l0(0, theta).

    Parameters
    ----------
    problem : ModuleProblem
        The module, its loss and its data.

    Returns
    -------
    TrivialPoint
        The point, its loss, and the parameters that have no effect there.

    Raises
    ------
    ValueError
        For anything but a `ModuleProblem`.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> problem = pu.ModuleProblem(torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, (x, x + 2))
    >>> round(pu.trivial_point(problem).loss, 6)  # the bias is free, and finds the mean
    1.0
    """
    checked(problem)
    free = ~problem.mask
    point = torch.where(problem.mask, 0.0, problem.start)
    natural = problem.random(1.0, [0])[0]
    loose = []
    base = problem.losses(torch.stack([point, natural]))
    offset = 0
    for name, shape in zip(problem.names, problem.shapes, strict=True):
        part = slice(offset, offset + shape.numel())
        offset = part.stop
        if name in problem.decayed:
            continue
        shift = torch.zeros_like(point)
        generator = torch.Generator().manual_seed(1)
        drawn = torch.randn(shape.numel(), generator=generator, dtype=torch.float64)
        shift[part] = drawn.to(shift)
        moved = (problem.losses(torch.stack([point, natural]) + shift) - base).abs()
        felt = moved > 1e-10 * base.abs().clamp_min(1e-3)
        if not felt[0] and felt[1]:
            loose.append(name)
    if free.any() and len(loose) < len(problem.names) - len(problem.decayed):

        def objective(theta: np.ndarray) -> tuple[float, np.ndarray]:
            row = point.clone()
            row[free] = torch.from_numpy(theta).to(row)
            value, gradient = problem.evaluate(row[None])
            return float(value), gradient[0][free].cpu().numpy()

        found = minimize(
            objective,
            point[free].cpu().numpy(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 500, "ftol": 1e-16, "gtol": 1e-11},
        )
        point[free] = torch.from_numpy(found.x).to(point)
    return TrivialPoint(point, float(problem.losses(point[None])), tuple(loose))


def checked_trivial(problem: AnyProblem, trivial: TrivialPoint) -> TrivialPoint:
    """Return the trivial point, or raise ValueError where it is not one of this problem."""
    instance("trivial", trivial, TrivialPoint, "a TrivialPoint, as trivial_point returns it")
    floating("trivial.weights", trivial.weights, problem.parameters)
    return trivial
