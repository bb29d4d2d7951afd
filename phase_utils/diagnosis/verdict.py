"""What a search says of the order, and in words; the expansion that it is held against."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from phase_utils.diagnosis.ascent import Ascent
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.landau import Landau, expand_landau
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.origin import Origin, expand_origin
from phase_utils.diagnosis.search import LARGE, Search
from phase_utils.diagnosis.trivial import TrivialPoint, trivial_point

EXCESS = 1e-5  # of the best gamma over gamma_origin that counts as a jump
SMALL = 2e-3  # R at the end over that of the first states, below which nothing is left
SMALL_WITH_NOISE = 2e-2  # the same where fixed draws blur what is small
LEAST_JUMP = 1e-4  # R over that of the first states, below which its settling says nothing
STAYS = 3e-4  # relative step in gamma in which R of a jump stays, and else halves
FRESH = 8  # sets of fresh draws that a model with noise is measured on
FAR = 300.0  # times the first gamma of any start: unbounded


def expanded(search: Search, pool: Sequence[Ascent]) -> tuple[Origin | None, Landau | None]:
    """The expansion about the blind state, where it is zero decayed weights and there is one."""
    objective = search.objective
    if objective.penalty.function is not None or objective.draws:
        return None, None
    if objective.dtype != torch.float64 or objective.total > objective.count:
        return None, None
    ends = [r.gamma for r in pool if 0 < r.gamma < 1e6]
    if search.reference.at(max(ends, default=search.first_gamma)).square > 1e-12:
        return None, None  # the blind network pays for a bias
    trivial: TrivialPoint = trivial_point(objective)
    origin: Origin | None = None
    landau: Landau | None = None
    large = objective.count * objective.parameters > LARGE
    try:
        origin = expand_origin(objective, trivial=trivial, seed=search.seed)
        smooth = origin.smooth and origin.gamma is not None and origin.gamma > origin.error
        if smooth and not large:
            landau = expand_landau(objective, origin, starts=2, iterations=8, seed=search.seed)
    except (ValueError, RuntimeError):  # torch has no second derivative, or too many mix
        return origin, None
    return origin, landau


def order_of(pool: Sequence[Ascent], origin: Origin | None, noisy: bool) -> tuple[str, float]:
    """The order and gamma_coexistence, as far as the search tells."""
    best = pool[0]
    floor = 0.0
    if origin is not None and origin.gamma is not None:
        floor = max(origin.gamma - origin.error, 0.0)
    if best.gamma <= 0 and floor <= 0:
        return "none", 0.0
    far = best.gamma > FAR * max(r.first for r in pool) > 0
    if best.runaway or far:
        steep = origin is not None and not origin.stationary
        free = all("bias" in name.rpartition(".")[2] for name in best.growing)
        return ("none" if steep and free else "unbounded"), math.inf
    reference = max(r.size for r in pool)
    gone = best.square < (SMALL_WITH_NOISE if noisy else SMALL) * reference
    if not noisy and best.square > LEAST_JUMP * reference and settled(best):
        gone = False
    if origin is not None and origin.gamma is not None and origin.gamma > 0:
        gone = best.gamma <= origin.gamma * (1 + EXCESS)
    return ("continuous" if gone else "first"), float(max(best.gamma, floor))


def settled(run: Ascent) -> bool:
    """Whether R of an ascent stayed while its gamma converged.

    Where a transition is continuous R goes with the distance to it, which each step halves.
    """
    if len(run.path) < 2:
        return False
    (before, larger, _), (gamma, square, _) = run.path[-2:]
    return gamma - before < STAYS * gamma and square > 0.8 * larger


def fresh(objective: Objective, reference: Reference, best: Ascent) -> tuple[float, float]:
    """The quotient of the best weights on fresh draws, and its standard error."""
    blind = reference.at(best.gamma)
    found = []
    for k in range(1, FRESH + 1):
        seed = objective.seed + k
        loss, square = objective.values(best.weights, seed=seed)
        level, price = objective.values(blind.weights, blind=True, seed=seed)
        found.append((level - loss) / (square - price))
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(FRESH))


def reason(origin: Origin | None, objective: Objective) -> str:
    """Why there is no gamma_origin, or that it is a closed form; else nothing."""
    if origin is not None:
        return origin.reason
    if objective.penalty.function is not None:
        return "a penalty of your own is not expanded about the blind state"
    if objective.draws:
        return "a model with noise is not expanded about the blind state"
    if objective.dtype != torch.float64:
        return "the model runs in float32 only, which is too coarse for an expansion"
    if objective.total > objective.count:
        return "data that are read anew for each loss are not expanded about the blind state"
    return "the blind network pays for biases that decay: it is not zero weights"


def statement(
    search: Search,
    best: Ascent,
    order: str,
    value: float,
    origin: Origin | None,
    landau: Landau | None,
    hits: Mapping[str, tuple[int, int]],
    noise: float | None,
) -> str:
    """The verdict in words, with what it does not exclude."""
    layer = search.layer
    count = ", ".join(f"{k} {n} of {m}" for k, (n, m) in hits.items())
    said = []
    if order == "unbounded":
        said.append(
            "Unbounded: gamma grows without end while R goes to zero"
            + (f", as {', '.join(best.shrinking)} shrink" if best.shrinking else "")
            + (f" and {', '.join(best.growing)}, which do not decay, grow" if best.growing else "")
            + ". Under normalisation decay then sets an effective learning rate, it does not "
            "collapse; decay gains, shifts and head too (name them in decayed) for a transition."
        )
    elif order == "none" and value == math.inf:
        why = origin.reason if origin is not None and origin.reason else "the gain fades with R"
        said.append(f"There is no transition: {why}.")
    elif order == "none":
        tried = sum(m for _, m in hits.values())
        said.append(f"None of {tried} starts learned anything at any gamma tried.")
    else:
        if order == "first":
            said.append(
                f"First order: the best state found has R = {best.square:.4g} at coexistence."
            )
        else:
            said.append(
                "Continuous as far as the search tells, which is no proof: R of the best states "
                "goes to zero."
            )
        if noise is not None:
            said.append(
                f"gamma_coexistence is a mean over fresh draws, +- {noise:.2g}, no lower bound."
            )
        else:
            said.append("gamma_coexistence is a lower bound; a better state may exist.")
        where, objective = "", search.objective
        if objective.total > objective.count:
            where = f" on the {objective.count} of {objective.total} samples that all were tried on"
        said.append(f"Starts within .1 % of it{where}: {count}.")
    if layer is not None and layer.convex and 0 < value < math.inf:
        trust = "" if layer.convex == "known" else " (loss_fn looked convex at random outputs)"
        said.append(
            f"One hidden layer: gamma_upper is {layer.method}, as far as a search over directions "
            f"found it{trust}; it lies {max(layer.supremum / value - 1, 0):.2g} above."
        )
    if search.objective.rounding > 1e-9:
        said.append("The model runs in float32 only: gamma is known to about four digits.")
    if landau is not None and order in ("first", "continuous"):
        said.append(
            f"Landau: C = {landau.cubic:.3g} +- {landau.cubic_error:.1g}, least Q = "
            f"{landau.quartic_least:.3g}; near the blind state alone it looks {landau.order}."
        )
    return " ".join(said)
