"""One call: where a network stops learning as weight decay grows, and how."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn
from tqdm import tqdm

from phase_utils._check import flag, integer
from phase_utils.diagnosis.continuation import follow
from phase_utils.diagnosis.landau import Landau, expand_landau
from phase_utils.diagnosis.origin import Origin, expand_origin, trivial_point
from phase_utils.diagnosis.quotient import MOST_STARTS, Quotient, collapse_quotient
from phase_utils.training.modules import ModuleProblem
from phase_utils.training.trials import LossFunction

EXCESS = 1e-5  # of q over gamma_origin that counts; a weaker first-order transition is not seen
NEAR = 1e-4  # R in units of that of unit-gain weights, below which a start went to the origin
LARGE = 2e7  # samples times weights above which starts are screened on a part of the samples


@dataclass(frozen=True)
class Evidence:
    """What a diagnosis rests on.

    Attributes
    ----------
    statement : str
        The verdict in words, with what it does not exclude.
    reason : str
        Why there is no gamma_origin, or that it is a closed form; else empty.
    starts : int
        Number of ascents.
    values : (starts,) array
        The q in which they ended, best first.
    square, latent_heat : float
        R at the best q, and q R; 0 where the supremum lies at the trivial point.
    landau : Landau or None
        The expansion along the soft modes, where there is one.
    coexistence_measured : float or None
        Crossing of trained losses; None unless hysteresis was asked for.
    learned_end_error : float or None
        Half of the bracket of gamma_learned_end.
    hysteresis_width : float or None
        (gamma_learned_end - gamma_origin) / gamma_learned_end.
    """

    statement: str
    reason: str
    starts: int
    values: np.ndarray
    square: float
    latent_heat: float
    landau: Landau | None
    coexistence_measured: float | None
    learned_end_error: float | None
    hysteresis_width: float | None


@dataclass(frozen=True)
class Diagnosis:
    """Where learning stops as gamma, the factor of |w|^2, grows; torch's weight_decay is 2 gamma.

    Attributes
    ----------
    gamma_origin : float or None
        Above it the trivial state is a local minimum; None with `evidence.reason`.
    gamma_coexistence : float
        Above it the trivial state is the best; a lower bound, found by ascent (inf where the
        trivial state is never the best).
    gamma_learned_end : float or None
        Above it no learned state was found on the branch; None unless asked for.
    order : {"continuous", "first", "none"}
        "none" where there is no transition to find.
    evidence : Evidence
        What this rests on.
    weights : dict of str to Tensor
        Parameters by name at the best quotient: a start in the basin of the learned state.
    """

    gamma_origin: float | None
    gamma_coexistence: float
    gamma_learned_end: float | None
    order: str
    evidence: Evidence
    weights: dict[str, Tensor]

    def __str__(self) -> str:
        def shown(value: float | None) -> str:
            return "-" if value is None else f"{value:.6g}"

        return "\n".join(
            [
                f"order              {self.order}",
                f"gamma_origin       {shown(self.gamma_origin)}",
                f"gamma_coexistence  {shown(self.gamma_coexistence)}",
                f"gamma_learned_end  {shown(self.gamma_learned_end)}",
                self.evidence.statement,
            ]
        )


def diagnose(
    model: nn.Module,
    loss_fn: LossFunction,
    data: tuple[Any, Any],
    *,
    decayed: Iterable[str] | None = None,
    hysteresis: bool = False,
    starts: int = 12,
    steps: int = 400,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = False,
) -> Diagnosis:
    """Where and how a network stops learning as weight decay grows.

    Parameters
    ----------
    model : torch.nn.Module
        As for `ModuleProblem`.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar, the mean over samples.
    data : (x, y)
        Tensors or arrays, first axis the samples.
    decayed : iterable of str, optional
        Names of the decayed parameters; default: all of two or more dimensions.
    hysteresis : bool
        Also follow the learned state up to its end, which takes longest.
    starts : int
        Ascents of the collapse quotient, from 1 to 10,000.
    steps : int
        Most steps >= 1 of each stage of them.
    seed : int
        Of all that is random.
    device : str
        "auto", "cpu", "cuda", ...
    progress : bool
        Show progress bars.

    Returns
    -------
    Diagnosis
        gamma_coexistence is a lower bound that holds whatever the starts did. "first" is certified
        by weights that beat gamma_origin. "continuous" means that no start did: not refuted, which
        is less than proved.

    Raises
    ------
    ValueError
        As `ModuleProblem` does, and for other arguments out of range.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)
    ... )
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> found = pu.diagnose(model, torch.nn.functional.mse_loss, (x, 0.45 * x), starts=4)
    >>> found.order, round(found.gamma_origin, 6)
    ('continuous', 0.45)
    """
    starts = integer("starts", starts, minimum=1, maximum=MOST_STARTS)
    steps, seed = integer("steps", steps, minimum=1), integer("seed", seed, minimum=0)
    hysteresis, progress = flag("hysteresis", hysteresis), flag("progress", progress)
    problem = ModuleProblem(model, loss_fn, data, decayed=decayed, device=device)
    bar = tqdm(total=4 if hysteresis else 3, desc="diagnosis", disable=not progress)
    trivial = trivial_point(problem)
    origin = expand_origin(problem, trivial=trivial, seed=seed)
    bar.update()
    large = problem.size * len(problem.x) > LARGE
    landau = None
    if origin.smooth and origin.gamma is not None and origin.gamma > origin.error:
        few = {"starts": 1, "iterations": 1} if large else {"starts": 2, "iterations": 8}
        landau = expand_landau(problem, origin, seed=seed, **few)
    bar.update()
    soft = landau.modes if landau is not None else None
    best = _ascend(problem, origin, soft, starts, steps, seed, progress, large)
    bar.update()
    return _judged(problem, origin, landau, best, hysteresis, progress, bar)


def _ascend(
    problem: ModuleProblem,
    origin: Origin,
    soft: Tensor | None,
    starts: int,
    steps: int,
    seed: int,
    progress: bool,
    large: bool,
) -> Quotient:
    """The quotient; a large problem is screened on a part of its samples and finished on all."""
    options: dict[str, Any] = {"starts": starts, "steps": steps, "seed": seed, "progress": progress}
    if not large:
        return collapse_quotient(problem, origin.trivial, soft=soft, **options)
    part = problem.subset(max(256, int(LARGE / (2 * problem.size))), seed)
    options |= {"starts": min(starts, 3), "steps": min(steps, 80)}
    screened = collapse_quotient(part, trivial_point(part), soft=soft, **options)
    problem.start = screened.weights
    finished = collapse_quotient(
        problem,
        origin.trivial,
        starts=1,
        steps=min(steps, 40),
        scale=0.9 * screened.value if screened.value > 0 else None,
        progress=progress,
    )
    return Quotient(
        finished.value, finished.weights, finished.square, screened.values, screened.squares
    )


def _judged(
    problem: ModuleProblem,
    origin: Origin,
    landau: Landau | None,
    best: Quotient,
    hysteresis: bool,
    progress: bool,
    bar: Any,
) -> Diagnosis:
    natural = float(problem.square(problem.random(1.0, [0])))
    floor = origin.gamma if origin.gamma is not None else 0.0
    excess = best.value - floor
    many = len(best.values)
    if not origin.stationary:
        order, coexistence = "none", np.inf
        statement = f"There is no transition: {origin.reason}."
    elif max(best.value, floor) <= 0:
        order, coexistence = "none", 0.0
        statement = f"None of {many} starts learned anything at any weight decay that was tried."
    elif excess > EXCESS * abs(floor) and (floor or best.square > NEAR * natural):
        order, coexistence = "first", best.value
        statement = (
            f"First order: weights with R = {best.square:.4g} beat the trivial state up to this "
            "decay, above gamma_origin. The bound is rigorous; a better state may exist."
        )
        if origin.gamma is None:
            statement = (
                f"First order as far as {many} starts tell: the best has R = {best.square:.4g}, "
                "away from the trivial point. The bound is rigorous; the order is not certified."
            )
    else:
        order, coexistence = "continuous", max(best.value, floor)
        statement = (
            f"Continuous: not refuted by {many} starts, all of which ended at or below the limit "
            "at the trivial point. This is no proof."
        )
    if landau is not None and order in ("first", "continuous"):
        statement += (
            f" Landau: C = {landau.cubic:.3g} +- {landau.cubic_error:.1g}, least Q = "
            f"{landau.quartic_least:.3g}; near the trivial point alone it looks {landau.order}."
        )
    measured = end = error = width = None
    if hysteresis and 0 < coexistence < np.inf:
        branch = follow(problem, origin.trivial, best.weights, coexistence, progress=progress)
        measured, end, error = branch.coexistence, branch.end, branch.end_error
        if origin.gamma is not None:
            width = (end - origin.gamma) / end
    if hysteresis:
        bar.update()
    bar.close()
    away = order == "first"
    evidence = Evidence(
        statement,
        origin.reason,
        many,
        best.values,
        best.square if away else 0.0,
        best.latent_heat if away else 0.0,
        landau,
        measured,
        error,
        width,
    )
    named = {k: v.detach().clone() for k, v in problem.named(best.weights).items()}
    return Diagnosis(origin.gamma, coexistence, end, order, evidence, named)
