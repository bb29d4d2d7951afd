"""One call: at which penalty a network becomes blind to its input, and how."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from phase_utils._check import flag, function, integer, takes
from phase_utils.diagnosis import verdict
from phase_utils.diagnosis.adamw import AdamWFade, adamw_fade
from phase_utils.diagnosis.continuation import follow
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import Regulariser, penalty_of
from phase_utils.diagnosis.quotient import MOST_STARTS
from phase_utils.diagnosis.report import Diagnosis as Diagnosis
from phase_utils.diagnosis.report import Evidence
from phase_utils.diagnosis.samples import Data, gather
from phase_utils.diagnosis.search import NEAR, Found, Search, few_samples, screen
from phase_utils.diagnosis.streaming import Streamed, stream_of
from phase_utils.training.trials import LossFunction, checked


@takes(
    3, "diagnose takes model, loss_fn and data, which is a pair: diagnose(model, loss_fn, (x, y))"
)
def diagnose(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    *,
    decayed: Iterable[str] | Mapping[str, float] | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    penalty: Regulariser | None = None,
    hysteresis: bool = False,
    starts: int = 16,
    steps: int = 150,
    draws: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    progress: bool | None = None,
) -> Diagnosis:
    """At which penalty a network becomes blind to its input, and whether with a jump.

    The loss is l0 + gamma R. The reference is the best network that cannot see its input under
    the same penalty, F(gamma). Learning pays up to gamma_coexistence, the largest gamma at which
    some network does better.

    Parameters
    ----------
    model : torch.nn.Module
        Copied; its own mode (train or eval) is kept, its buffers are not changed. In float64 where
        the module allows it. Frozen parameters are constants.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar, a mean over samples: a sum over them is refused. It is given
        the logits of an output that has them if it does not take the output itself.
    data : (x, y), Dataset or DataLoader
        x and y are tensors or arrays, or tuples or dicts of them (several inputs: the tuple or the
        dict is unpacked into `forward`); a mapping alone is a batch with "labels". A loader or
        dataset is read once, up to 4 GiB in float64. Up to 64 GiB starts are tried on a random
        part, and the best is taken further, and bounded, on all samples, which are read in batches
        for each loss: where these are the same each time, and the loss is a mean over them.
    decayed : iterable of str, or mapping of str to float, optional
        Names of the decayed parameters, or a factor >= 0 for each: R is the sum of factor times
        |w|^2. Default: all of two or more dimensions, with factor 1.
    optimizer : torch.optim.Optimizer, optional
        Instead of `decayed`: the factors are those of the weight_decay of its groups, in units of
        the largest. With an AdamW the answer also says what it does instead, `adamw_fade`, in the
        batches of a DataLoader, else in full ones.
    penalty : callable, optional
        Instead of both: R = penalty(model) or penalty(model, output) >= 0, as L1 or a KL term.
    hysteresis : bool
        Also follow the learned state up to its end, which takes longest.
    starts : int
        Ascents, from 1 to 10,000: the module's own weights, fresh ones at three sizes, the
        steepest direction at the blind state, one unit alone.
    steps : int
        Most iterations >= 1 of each minimisation.
    draws : int, optional
        Draws >= 1 whose mean is the loss of a model with noise (dropout, sampling); default 8.
    seed : int
        Of all that is random.
    device : str
        "auto", "cpu", "cuda", ...
    progress : bool, optional
        Show a progress bar; default: where the call is going to take more than a minute.

    Returns
    -------
    Diagnosis
        gamma_coexistence is a lower bound given the blind network that was found. "first" and
        "continuous" are what the search found: read `evidence`.

    Raises
    ------
    ValueError
        For arguments that are out of range, do not fit to each other or cannot be what was meant.

    Examples
    --------
    An ordinary network with biases, all of it decayed as torch's optimisers do:

    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> x = torch.randn(60, 3)
    >>> y = torch.tanh(x[:, :1])
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)
    ... )
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    >>> found = pu.diagnose(model, torch.nn.functional.mse_loss, (x, y), optimizer=optimizer)
    >>> found.order
    'continuous'
    >>> round(found.weight_decay, 3) == round(2 * found.gamma_coexistence, 3)
    True
    """
    starts = integer("starts", starts, minimum=1, maximum=MOST_STARTS)
    steps, seed = integer("steps", steps, minimum=1), integer("seed", seed, minimum=0)
    draws = None if draws is None else integer("draws", draws, minimum=1, maximum=100_000)
    hysteresis = flag("hysteresis", hysteresis)
    shows = None if progress is None else flag("progress", progress)
    checked(model)
    function("loss_fn", loss_fn, "the model's output and y")
    what = penalty_of(model, decayed, optimizer, penalty)
    few = few_samples(sum(p.numel() for p in model.parameters()))
    stream = stream_of(data, few, seed, shows is not False)
    held = data if stream is None else stream.part
    if stream is None:
        objective = Objective(model, loss_fn, data, what, draws=draws, seed=seed, device=device)
    elif hysteresis:
        raise ValueError(
            f"hysteresis must be False for data that do not fit into memory, here {stream.total} "
            "samples: following a state reads them some thousand times; pass a part, as "
            "torch.utils.data.Subset(dataset, range(5000)) gives it"
        )
    else:
        objective = Streamed(
            model, loss_fn, stream, what, seed=seed, device=device, progress=shows is not False
        )
    objective.refuse_sum()
    search = Search(objective, seed, shows)
    found = screen(search, model, loss_fn, held, starts, steps)
    adamw = None
    if isinstance(optimizer, torch.optim.AdamW):
        batch = data.batch_size if isinstance(data, DataLoader) else None
        adamw = _faded(model, loss_fn, held, batch, optimizer, device)
    return replace(_judged(search, found, hysteresis), adamw=adamw)


def _faded(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    batch: int | None,
    optimizer: torch.optim.AdamW,
    device: str,
) -> AdamWFade | None:
    """What AdamW does, in batches of the loader; None where its theory does not reach."""
    samples = gather(data, torch.device("cpu"))
    try:
        return adamw_fade(
            model, loss_fn, (samples.x, samples.y), optimizer=optimizer, batch=batch, device=device
        )
    except ValueError:  # several inputs, a loss that is no mean, nothing to learn
        return None


def _judged(search: Search, found: Found, hysteresis: bool) -> Diagnosis:
    objective, reference = search.objective, search.reference
    pool, kinds, values = found.pool, found.kinds, found.values
    best = pool[0]
    origin, landau = verdict.expanded(search, pool)
    layer = search.layer
    order, value = verdict.order_of(pool, origin, objective.draws > 0)
    upper = layer.supremum if layer is not None and layer.convex else None
    noise = None
    if objective.draws and 0 < value < math.inf:
        value, noise = verdict.fresh(objective, reference, best)
    end = error = measured = width = None
    if hysteresis and 0 < value < math.inf and order in ("first", "continuous"):
        branch = follow(objective, reference.at, best.weights, value)
        measured, end, error = branch.coexistence, branch.end, branch.end_error
        if origin is not None and origin.gamma is not None and end > 0:
            width = (end - origin.gamma) / end
    finite = value if 0 < value < math.inf else search.first_gamma
    blind = reference.at(finite)
    hits = {
        kind: (
            sum(
                k == kind and bool(v >= (1 - NEAR) * values.max())
                for k, v in zip(kinds, values, strict=True)
            ),
            kinds.count(kind),
        )
        for kind in dict.fromkeys(kinds)
    }
    flat = reference.at(0.02 * finite).square == 0  # else every F costs a minimisation
    gammas = np.linspace(0.0, 1.3 * finite, 40 if flat else 9)[1:]
    evidence = Evidence(
        statement=verdict.statement(search, best, order, value, origin, landau, hits, noise),
        reason=verdict.reason(origin, objective),
        starts=len(kinds),
        kinds=kinds,
        values=values,
        hits=hits,
        square=best.square if order == "first" else 0.0,
        latent_heat=value * best.square if order == "first" else 0.0,
        blind_loss=blind.value,
        blind_square=blind.square,
        blind_spread=reference.spread(finite),
        lines=np.array(best.lines).reshape(-1, 2),
        blind=np.array([[g, reference.at(g).value] for g in gammas[::-1]])[::-1],
        shrinking=best.shrinking if order == "unbounded" else (),
        growing=best.growing if order == "unbounded" else (),
        noise=noise,
        resolution=objective.rounding,
        landau=landau,
        coexistence_measured=measured,
        learned_end_error=error,
        hysteresis_width=width,
    )
    what = objective.penalty
    decay = 2 * value if what.coupled else None
    return Diagnosis(
        gamma_origin=None if origin is None else origin.gamma,
        gamma_coexistence=value,
        gamma_upper=upper,
        gamma_learned_end=end,
        order=order,
        unit=what.unit,
        weight_decay=decay,
        evidence=evidence,
        adamw=None,
        weights=objective.named(best.weights),
    )
