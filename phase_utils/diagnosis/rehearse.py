"""Where a run of one's own dies: the user's weights, optimiser and epochs at a few decays."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from phase_utils._check import Array, flag, function, instance, integer, scalar, takes
from phase_utils.diagnosis.own_runs import EndOfRun, OwnRuns, Scheduler
from phase_utils.diagnosis.penalties import Penalty, penalty_of
from phase_utils.diagnosis.report import Diagnosis
from phase_utils.diagnosis.samples import Data
from phase_utils.training.trials import LossFunction, checked

BLIND = 1e-3  # spread of the output, of the largest seen, below which a run has died
# the same, below which a run is dying whose spread has fallen by so much in its last fifth
NEARLY_GONE, FALLING = 0.1, 0.5
LADDER = 4.0  # factor between decays until one run lives and one dies
MOST_RUNS = 1000


@dataclass(frozen=True)
class Rehearsal:
    """Runs of one's own at several decays, and between which of them they die.

    Attributes
    ----------
    decays : (k,) array
        `weight_decay` of the most decayed group, ascending.
    spread : (k,) array
        Spread of the output over the samples at the end, in units of the largest seen, the start
        included; nan where the run diverged, which is neither life nor death.
    loss : (k,) array
        Data loss at the end; nan where the run diverged.
    low, high : float
        The largest decay of a run that lived below the smallest that died, and that; 0 and inf
        where there was none.
    allowed : float or None
        The decay up to which the landscape allows learning, of the diagnosis that was given.
    warm : bool or None
        Whether a run from the weights of the diagnosis lives at `warm_decay`, where one from the
        own start dies; None where it was not tried.
    warm_decay : float or None
        The decay at which that was tried.
    dying : (k,) boolean array
        Where the run ended before its death: little was left, and that had halved in its last
        fifth. Such runs count as dead.
    """

    decays: Array
    spread: Array
    loss: Array
    low: float
    high: float
    allowed: float | None
    warm: bool | None
    warm_decay: float | None
    dying: Array

    def __str__(self) -> str:
        diverged = int(np.isnan(self.spread).sum())
        if diverged == len(self.spread):
            return "Every run diverged, whatever its decay: the learning rate is too large."
        if self.high == math.inf:
            lines = [f"Every run lives, up to weight_decay {self.low:.4g}."]
        elif self.low == 0:
            lines = [f"Every run dies, down to weight_decay {self.high:.4g}."]
        else:
            lines = [
                f"Your run dies between weight_decay {self.low:.4g} and {self.high:.4g}: its "
                "output no longer depends on the input."
            ]
        if diverged:
            lines.append(f"{diverged} of {len(self.spread)} runs diverged, and count for neither.")
        if self.dying.any():
            some = f"{int(self.dying.sum())} of {len(self.spread)} runs"
            lines.append(f"{some} were still dying at their end, and count as dead.")
        if self.allowed is not None and math.isfinite(self.allowed) and self.high < math.inf:
            share = self.high / self.allowed
            lines.append(
                f"The landscape allows learning up to {self.allowed:.4g}; you reach "
                f"{min(share, 1.0):.0%} of it."
            )
            if self.warm:
                lines.append(
                    f"Remedy: start from the weights of the diagnosis; such a run lives at "
                    f"{self.warm_decay:.4g}. Decay that grows during training does the same."
                )
            elif self.warm is False:
                lines.append(
                    f"A start from the weights of the diagnosis dies at {self.warm_decay:.4g} too: "
                    "there the optimiser is the limit (learning rate, batch), or decay less."
                )
        return "\n".join(lines)


@takes(
    4,
    "rehearse takes model, loss_fn, data, which is a pair, and optimizer: "
    "rehearse(model, loss_fn, (x, y), optimizer)",
)
def rehearse(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Data,
    optimizer: torch.optim.Optimizer,
    *,
    epochs: int = 200,
    batch: int | None = None,
    scheduler: Scheduler | None = None,
    diagnosis: Diagnosis | None = None,
    precision: float = 0.1,
    runs: int = 16,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = False,
) -> Rehearsal:
    """At which weight decay a run of one's own dies, from one's own weights.

    A cold run can die well below the decay up to which learning pays. The model is copied and
    trained as given, at a handful of decays: by factors of four until one run lives and one dies,
    then by bisection.

    Parameters
    ----------
    model : torch.nn.Module
        The start of every run; not changed.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar.
    data : (x, y), Dataset or DataLoader
        As for `diagnose`.
    optimizer : torch.optim.Optimizer
        Made of the parameters of this model; its class, its groups and their ratios of decay are
        kept, the decay is varied. Without any decay all parameters are decayed.
    epochs : int
        Passes >= 1 over the data of each run.
    batch : int, optional
        Samples in a batch, from 1; default all, one step an epoch.
    scheduler : callable, optional
        scheduler(optimizer) -> a learning-rate scheduler, stepped after each epoch.
    diagnosis : Diagnosis, optional
        Of the same network: adds what the landscape allows, and tries its weights as a start.
    precision : float
        Relative width in (0, 1] at which bisection stops.
    runs : int
        Most runs, from 2 to 1000.
    seed : int
        Of the batches and of the noise of a model.
    device : str
        "auto", "cpu", "cuda", ...
    progress : bool
        Show a progress bar.

    Returns
    -------
    Rehearsal
        All runs and the bracket.

    Raises
    ------
    ValueError
        For arguments out of range or that do not fit to each other.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(1, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    >>> x = torch.linspace(-1, 1, 20)[:, None]
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=0.01)
    >>> found = pu.rehearse(model, torch.nn.functional.mse_loss, (x, x), sgd, epochs=300)
    >>> found.low < found.high
    True
    """
    checked(model)
    function("loss_fn", loss_fn, "the model's output and y")
    instance("optimizer", optimizer, torch.optim.Optimizer, "a torch.optim.Optimizer")
    epochs = integer("epochs", epochs, minimum=1, maximum=10**7)
    batch = None if batch is None else integer("batch", batch, minimum=1)
    if scheduler is not None:
        function("scheduler", scheduler, "an optimiser")
    if diagnosis is not None:
        instance("diagnosis", diagnosis, Diagnosis, "a Diagnosis, as diagnose returns it")
    precision = scalar("precision", precision, minimum=0, strict=True)
    runs = integer("runs", runs, minimum=2, maximum=MOST_RUNS)
    seed, progress = integer("seed", seed, minimum=0), flag("progress", progress)
    what, own = _decay(model, optimizer)
    run = OwnRuns(model, loss_fn, data, optimizer, what, epochs, batch, scheduler, seed, device)
    allowed = None if diagnosis is None else diagnosis.weight_decay
    known: dict[float, EndOfRun] = {}
    decay = own if allowed is None or not 0 < allowed < math.inf else allowed / 2
    bar = tqdm(total=runs, desc="rehearsal", disable=not progress)
    while len(known) < runs:
        known[decay] = run(decay)
        bar.update()
        low, high = _bracket(known, run.first)
        if low == 0:
            decay = min(known) / LADDER
        elif high == math.inf:
            decay = max(known) * LADDER
        elif high / low - 1 <= precision:
            break
        else:
            decay = math.sqrt(low * high)
    bar.close()
    low, high = _bracket(known, run.first)
    largest = _largest(known, run.first)
    warm, tried = None, None
    if diagnosis is not None and allowed is not None and high < 0.9 * allowed < math.inf:
        tried = math.sqrt(high * allowed)
        ended = run(tried, diagnosis.weights)
        warm = ended.spread >= BLIND * largest and not _dying(ended, largest)
    order = sorted(known)
    return Rehearsal(
        np.array(order),
        np.array([known[d].spread / largest if largest > 0 else 0.0 for d in order]),
        np.array([known[d].loss for d in order]),
        low,
        high,
        allowed,
        warm,
        tried,
        np.array([_dying(known[d], largest) for d in order]),
    )


def _largest(known: dict[float, EndOfRun], first: float) -> float:
    """The largest spread seen: a head of zeros, say, starts with none."""
    return max([first, *(run.spread for run in known.values() if math.isfinite(run.spread))])


def _dying(run: EndOfRun, largest: float) -> bool:
    """Whether a run that is not dead was about to die when it ended."""
    return BLIND * largest <= run.spread < min(NEARLY_GONE * largest, FALLING * run.late)


def _bracket(known: dict[float, EndOfRun], first: float) -> tuple[float, float]:
    """The largest decay that lived below the first death, and the smallest that died."""
    largest = _largest(known, first)
    limit = BLIND * largest
    died = [
        d
        for d, run in known.items()
        if run.spread <= 0 or run.spread < limit or _dying(run, largest)
    ]
    high = min(died, default=math.inf)
    lived = [d for d, run in known.items() if d < high and run.spread > 0 and run.spread >= limit]
    return max(lived, default=0.0), high


def _decay(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Penalty, float]:
    """Factors of the decay and its present value; all parameters where there is none."""
    largest = max((float(g.get("weight_decay", 0.0)) for g in optimizer.param_groups), default=0.0)
    if largest > 0:
        return penalty_of(model, None, optimizer, None), largest
    return penalty_of(model, [k for k, _ in model.named_parameters()], None, None), 1e-3
