"""The collapse quotient: how much loss a unit of squared norm can buy, and its supremum."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from phase_utils._check import Array, flag, integer, scalar, takes
from phase_utils.diagnosis.ascent import Ascent, ascend
from phase_utils.diagnosis.blind import Blind, Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import Penalty
from phase_utils.diagnosis.trivial import TrivialPoint, checked_trivial
from phase_utils.training.modules import ModuleProblem, checked_problem
from phase_utils.training.tensors import floating
from phase_utils.training.trials import copied

MOST_STARTS = 10_000
ATTEMPTS, LOWERED = 4, 1 / 625  # first decays that are tried, each below what an ascent tries
SCALES = (1.0, 0.5, 1.7)  # of random starts, in units of a gain of about one
ROUNDING = 32 * np.finfo(float).eps  # of a loss, relative


@dataclass(frozen=True)
class Quotient:
    """sup q(w, theta), q = (l_triv - l0) / R, as found by ascent from many starts.

    Attributes
    ----------
    value : float
        The largest q seen, computed in float64 on all samples: a LOWER bound of gamma_coexistence,
        for at any smaller decay these weights beat the trivial state.
    weights : (P,) tensor
        Where it was seen.
    square : float
        R there.
    values, squares : (starts,) arrays
        The end of every ascent, best first.
    """

    value: float
    weights: Tensor
    square: float
    values: Array
    squares: Array

    @property
    def latent_heat(self) -> float:
        """The loss that the weights buy."""
        return self.value * self.square


@takes(
    2,
    "collapse_quotient takes a problem and its trivial point: make problem = ModuleProblem(model, "
    "loss_fn, (x, y)) and call collapse_quotient(problem, trivial_point(problem))",
)
def collapse_quotient(
    problem: ModuleProblem,
    trivial: TrivialPoint,
    *,
    soft: Tensor | None = None,
    starts: int = 12,
    scale: float | None = None,
    steps: int = 400,
    seed: int = 0,
    progress: bool = False,
) -> Quotient:
    """Ascend the collapse quotient from many starts.

    Each start is trained at a small decay, and then at the q that it has come to, again and again:
    the ascent of `diagnose`, with the trivial state in place of the best blind network. Starts are
    the weights of the model, soft modes at several amplitudes, and random weights at several sizes.

    Parameters
    ----------
    problem : ModuleProblem
        The module, its loss and its data.
    trivial : TrivialPoint
        Its trivial point.
    soft : (k, P) tensor, optional
        Unit vectors of soft modes.
    starts : int
        How many, from 1 to 10,000.
    scale : float, optional
        Decay of the first training; default: a tenth of l_triv over R of weights of unit gain. It
        is lowered for a start that does not learn.
    steps : int
        Most steps of each training.
    seed : int
        Of the random weights.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Quotient
        The largest value, its weights, and the end of every ascent.

    Raises
    ------
    ValueError
        For arguments of the wrong kind or out of range.

    Examples
    --------
    A deep linear network, whose coexistence is known in closed form:

    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> layers = [torch.nn.Linear(1, 3, bias=False), torch.nn.Linear(3, 3, bias=False)]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(3, 1, bias=False))
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> problem = pu.ModuleProblem(model, torch.nn.functional.mse_loss, (x, 0.45 * x))
    >>> found = pu.collapse_quotient(problem, pu.trivial_point(problem), starts=4)
    >>> (transition,) = pu.Landscape(pu.Moments.isotropic(), depth=2).transitions()
    >>> round(found.value, 6) == round(transition.gamma, 6)
    True
    """
    trivial = checked_trivial(checked_problem(problem), trivial)
    soft = (
        None if soft is None else floating("soft", soft, None, problem.parameters).to(problem.start)
    )
    starts = integer("starts", starts, minimum=1, maximum=MOST_STARTS)
    scale = None if scale is None else scalar("scale", scale, minimum=0, strict=True)
    steps, seed = integer("steps", steps, minimum=1), integer("seed", seed, minimum=0)
    flag("progress", progress)
    rows = _starts(problem, trivial, soft, starts, seed)
    if scale is None:
        natural = float(problem.square(problem.random(1.0, [0])))
        scale = 0.1 * max(trivial.loss, 1e-12) / natural
    model = copied(problem.model).requires_grad_()
    penalty = Penalty(dict.fromkeys(problem.decayed, 1.0))
    data, device = (problem.x, problem.y), str(problem.start.device)
    objective = Objective(model, problem.loss_fn, data, penalty, device=device)
    reference = _Trivial(objective, trivial)
    ends = []
    for row in tqdm(rows, desc="collapse quotient", disable=not progress, leave=False):
        run = Ascent("", row.double().cpu().numpy())
        for _ in range(ATTEMPTS):
            run = ascend(objective, reference, run, scale, iterations=steps)
            if run.gamma > 0:
                break
            scale = LOWERED * scale
        ends.append(torch.from_numpy(run.weights))
    x = torch.stack(ends).to(problem.start)
    square = problem.square(x)
    # what rounding of the losses may have added is taken off: the bound is to be rigorous
    gain = trivial.loss - problem.losses(x) - ROUNDING * abs(trivial.loss)
    q = torch.nan_to_num(torch.where(square > 0, gain / square, -torch.inf), nan=-torch.inf)
    order = q.argsort(descending=True)
    best = int(order[0])
    return Quotient(
        float(q[best]),
        x[best],
        float(square[best]),
        q[order].cpu().numpy(),
        square[order].cpu().numpy(),
    )


class _Trivial(Reference):
    """The trivial state as the reference: F does not depend on gamma."""

    def __init__(self, objective: Objective, trivial: TrivialPoint) -> None:
        self.objective = objective
        self._constant = 0.0, Blind(trivial.loss, 0.0, trivial.weights.double().cpu().numpy())


def _starts(
    problem: ModuleProblem, trivial: TrivialPoint, soft: Tensor | None, starts: int, seed: int
) -> Tensor:
    """(starts, P): the model's own weights, soft modes, random weights, in this order."""
    size = float(problem.square(problem.random(1.0, [0]))) ** 0.5
    rows = [problem.start]
    if soft is not None:
        for k in range((starts - 1) // 2):
            mode, amplitude = soft[k % len(soft)], (0.3, 0.1, 1.0)[k % 3]
            rows.append(trivial.weights + amplitude * size * (-1) ** (k // 2) * mode)
    for number in range(starts - len(rows)):
        drawn = problem.random(SCALES[number % len(SCALES)], [1000 * seed + number])[0]
        # theta starts at the trivial optimum half of the time, as in the model otherwise
        rows.append(torch.where(problem.mask, drawn, (trivial.weights, drawn)[number % 2]))
    return torch.stack(rows[:starts])
