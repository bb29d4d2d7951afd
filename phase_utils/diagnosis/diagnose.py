"""One call: at which penalty a network becomes blind to its input, and how."""

import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from phase_utils._check import Array, flag, function, instance, integer
from phase_utils.diagnosis.adamw import AdamWFade, adamw_fade
from phase_utils.diagnosis.ascent import Ascent, ascend
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.continuation import follow
from phase_utils.diagnosis.landau import Landau, expand_landau
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.one_layer import OneLayer, one_layer
from phase_utils.diagnosis.origin import Origin, TrivialPoint, expand_origin, trivial_point
from phase_utils.diagnosis.penalties import Penalty, Regulariser, penalty_of
from phase_utils.diagnosis.quotient import MOST_STARTS
from phase_utils.diagnosis.report import Diagnosis as Diagnosis
from phase_utils.diagnosis.report import Evidence
from phase_utils.diagnosis.samples import gather, leaves, mapped
from phase_utils.diagnosis.starts import draw
from phase_utils.training.trials import LossFunction

EXCESS = 1e-5  # of the best gamma over gamma_origin that counts as a jump
SMALL = 2e-3  # R at the end over that of the first states, below which nothing is left
SMALL_WITH_NOISE = 2e-2  # the same where fixed draws blur what is small
NEAR = 1e-3  # of the best gamma: a start within it has found it
SHORT, SHORT_STEPS = 40, 5  # iterations and steps of the first round, in which all starts run
FINISHED = 4  # starts that are finished, besides the best of each kind
LARGE = 2e7  # samples times weights above which starts are screened on a part of the samples
EXPANDED = 2e7  # samples times weights up to which the blind state is expanded
FRESH = 8  # sets of fresh draws that a model with noise is measured on
SLOW = 60.0  # seconds from which a call shows its progress unasked
MET = 1e-6  # relative distance at which bounds from below and above have met
FAR = 300.0  # times the first gamma of any start: unbounded


def diagnose(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Any,
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
        loss_fn(model(x), y) -> scalar; it is given the logits of an output that has them if it
        does not take the output itself.
    data : (x, y), Dataset or DataLoader
        x and y are tensors or arrays, or tuples or dicts of them (several inputs: the tuple or the
        dict is unpacked into `forward`); a loader or dataset is read once; a mapping alone is a
        batch with "labels".
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
    instance("model", model, nn.Module, "a torch.nn.Module")
    function("loss_fn", loss_fn, "the model's output and y")
    what = penalty_of(model, decayed, optimizer, penalty)
    objective = Objective(model, loss_fn, data, what, draws=draws, seed=seed, device=device)
    search = _Search(objective, starts, steps, seed, shows)
    if objective.count * objective.parameters > LARGE:
        _screen(search, model, loss_fn, data, what, device)
    else:
        search.run()
    adamw = None
    if isinstance(optimizer, torch.optim.AdamW):
        adamw = _faded(model, loss_fn, data, optimizer, device)
    return replace(_judged(search, hysteresis), adamw=adamw)


def _faded(
    model: nn.Module,
    loss_fn: LossFunction,
    data: Any,
    optimizer: torch.optim.AdamW,
    device: str,
) -> AdamWFade | None:
    """What AdamW does, in batches of the loader; None where its theory does not reach."""
    samples = gather(data, torch.device("cpu"))
    batch = data.batch_size if isinstance(data, DataLoader) else None
    try:
        return adamw_fade(
            model, loss_fn, (samples.x, samples.y), optimizer=optimizer, batch=batch, device=device
        )
    except ValueError:  # several inputs, a loss that is no mean, nothing to learn
        return None


class _Search:
    """Ascents from many starts against one reference, and what they found."""

    def __init__(
        self, objective: Objective, starts: int, steps: int, seed: int, progress: bool | None
    ) -> None:
        self.objective, self.starts, self.steps, self.seed = objective, starts, steps, seed
        self.progress = progress
        loss, square = objective.values(objective.first)
        self.first_gamma = 0.05 * abs(loss) / max(square, 1e-300)
        if not (math.isfinite(self.first_gamma) and 0 < self.first_gamma < 1e6):
            self.first_gamma = 0.02
        self.reference = Reference(objective, self.first_gamma, seed)
        self.pool: list[Ascent] = []
        self.screened: tuple[tuple[str, ...], Array] | None = None
        self.layer = self._bounded()

    def run(self) -> None:
        """All starts for a few steps, then the best, and the best of each kind, to their end."""
        blind = self.reference.at(self.first_gamma).weights
        pairs = draw(self.objective, blind, self.starts, self.seed)
        self.pool = [Ascent(kind, weights) for kind, weights in pairs]
        begun = time.perf_counter()
        bar: tqdm[Any] | None = None
        for i, run in enumerate(self.pool):
            self._short(run)
            if i == 0:
                bar = self._bar(time.perf_counter() - begun)
            if bar is not None:
                bar.update()
            if i + 1 >= FINISHED and self._met():
                self.pool = self.pool[: i + 1]
                break
        for run in self._best():
            if self._met():
                break
            if not run.done and run.gamma > 0:
                ascend(self.objective, self.reference, run, run.gamma, iterations=self.steps)
                self._offer(run)
            if bar is not None:
                bar.update()
        if bar is not None:
            bar.close()

    def _bounded(self) -> OneLayer | None:
        """The bound from above of one hidden layer, where F is constant and exact in float64."""
        objective = self.objective
        if objective.penalty.function is not None or objective.draws:
            return None
        if objective.dtype != torch.float64 or objective.count * objective.parameters > EXPANDED:
            return None
        return one_layer(objective, torch.from_numpy(self.reference.at(1e6).weights))

    def _met(self) -> bool:
        """Whether the bounds from below and above have met: nothing is left to search for."""
        if self.layer is None or not self.layer.convex:
            return False
        return max(r.gamma for r in self.pool) >= (1 - MET) * self.layer.supremum

    def _short(self, run: Ascent) -> None:
        iterations = min(SHORT, self.steps)
        ascend(
            self.objective,
            self.reference,
            run,
            self.first_gamma,
            steps=SHORT_STEPS,
            iterations=iterations,
        )
        self._offer(run)

    def _offer(self, run: Ascent) -> None:
        """A learned state made blind may be a better reference: bounds are then lowered to it."""
        if not 0 < run.gamma < 1e6 or not self.reference.offer(run.weights, run.gamma):
            return
        for other in self.pool:
            if other.gamma <= 0:
                continue
            loss, square = self.objective.values(other.weights)
            low = 0.5 * min(other.gamma, 1e6)
            while low > 1e-9 * other.gamma and (
                loss + low * square >= self.reference.at(low).value
            ):
                low /= 4
            if loss + low * square < self.reference.at(low).value:
                other.gamma = self.reference.root(loss, square, low)
            else:
                other.gamma, other.path, other.done = 0.0, [], False

    def _best(self) -> list[Ascent]:
        ranked = sorted(self.pool, key=lambda r: -r.gamma)
        chosen = ranked[:FINISHED]
        for kind in ("own", "fresh", "steepest", "unit"):
            best = next((r for r in ranked if r.kind == kind and r.gamma > 0), None)
            if best is not None and best not in chosen:
                chosen.append(best)
        return chosen

    def _bar(self, seconds: float) -> "tqdm[Any] | None":
        total = len(self.pool) + min(FINISHED + 2, len(self.pool))
        expected = seconds * (len(self.pool) + min(FINISHED + 2, len(self.pool)))
        if self.progress is False or (self.progress is None and expected < SLOW):
            return None
        text = f"diagnosis, about {expected:.0f} s"
        return tqdm(total=total, desc=text)


def _screen(
    search: _Search, model: nn.Module, loss_fn: LossFunction, data: Any, what: Penalty, device: str
) -> None:
    """A few starts on a part of the samples of large data, the best of them finished on all."""
    whole = search.objective
    samples = gather(data, whole.device)
    sliced = all(len(t) == samples.count for v in (samples.x, samples.y) for t in leaves(v))
    few = int(max(256, LARGE / (2 * whole.parameters)))
    if not sliced or few >= samples.count:
        search.starts, search.steps = min(search.starts, 3), min(search.steps, 80)
        search.run()
        return
    chosen = np.sort(np.random.default_rng(search.seed).permutation(samples.count)[:few])
    index = torch.from_numpy(chosen).to(whole.device)
    x, y = (mapped(lambda t: t[index], v) for v in (samples.x, samples.y))
    part = Objective(
        model, loss_fn, (x, y), what, draws=whole.draws or None, seed=search.seed, device=device
    )
    small = _Search(
        part, min(search.starts, 4), min(search.steps, 80), search.seed, search.progress
    )
    small.run()
    search.pool = small.pool
    best = max(small.pool, key=lambda r: r.gamma)
    ends = [r.gamma for r in small.pool]
    run = Ascent(best.kind, best.weights)
    gamma = 0.9 * best.gamma if 0 < best.gamma < math.inf else search.first_gamma
    ascend(whole, search.reference, run, gamma, steps=4, iterations=min(search.steps, 40))
    search.pool = [run]
    search._offer(run)
    # the other starts were seen on a part of the samples only, and bound nothing
    search.screened = (tuple(r.kind for r in small.pool), np.array(ends))


def _judged(search: _Search, hysteresis: bool) -> Diagnosis:
    objective, reference = search.objective, search.reference
    pool = sorted(search.pool, key=lambda r: -r.gamma)
    best = pool[0]
    origin, landau = _expanded(search)
    layer = search.layer
    order, value = _order(pool, origin, objective.draws > 0)
    upper = layer.supremum if layer is not None and layer.convex else None
    noise = None
    if objective.draws and 0 < value < math.inf:
        value, noise = _fresh(objective, reference, best)
    end = error = measured = width = None
    if hysteresis and 0 < value < math.inf and order in ("first", "continuous"):
        branch = follow(objective, reference.at, best.weights, value)
        measured, end, error = branch.coexistence, branch.end, branch.end_error
        if origin is not None and origin.gamma is not None and end > 0:
            width = (end - origin.gamma) / end
    finite = value if 0 < value < math.inf else search.first_gamma
    blind = reference.at(finite)
    kinds, values = search.screened or (
        tuple(r.kind for r in pool),
        np.array([r.gamma for r in pool]),
    )
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
        statement=_statement(search, best, order, value, upper, layer, origin, landau, hits, noise),
        reason=_reason(origin, objective),
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
    decay = None if what.function is not None else what.scale * value
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


def _expanded(search: _Search) -> tuple[Origin | None, Landau | None]:
    """The expansion about the blind state, where it is zero decayed weights and there is one."""
    objective = search.objective
    if objective.penalty.function is not None or objective.draws:
        return None, None
    if objective.dtype != torch.float64:
        return None, None
    ends = [r.gamma for r in search.pool if 0 < r.gamma < 1e6]
    if search.reference.at(max(ends, default=search.first_gamma)).square > 1e-12:
        return None, None  # the blind network pays for a bias
    trivial: TrivialPoint = trivial_point(objective)
    origin: Origin | None = None
    landau: Landau | None = None
    large = objective.count * objective.parameters > EXPANDED
    try:
        origin = expand_origin(objective, trivial=trivial, seed=search.seed)
        smooth = origin.smooth and origin.gamma is not None and origin.gamma > origin.error
        if smooth and not large:
            landau = expand_landau(objective, origin, starts=2, iterations=8, seed=search.seed)
    except (ValueError, RuntimeError, NotImplementedError):  # no second derivative, too many mix
        return origin, None
    return origin, landau


def _order(pool: list[Ascent], origin: Origin | None, noisy: bool) -> tuple[str, float]:
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
    if origin is not None and origin.gamma is not None and origin.gamma > 0:
        gone = best.gamma <= origin.gamma * (1 + EXCESS)
    return ("continuous" if gone else "first"), max(best.gamma, floor)


def _fresh(objective: Objective, reference: Reference, best: Ascent) -> tuple[float, float]:
    """The quotient of the best weights on fresh draws, and its standard error."""
    kept = objective.seed
    blind = reference.at(best.gamma)
    found = []
    for k in range(FRESH):
        objective.seed = kept + 1 + k
        loss, square = objective.values(best.weights)
        level, price = objective.values(blind.weights, blind=True)
        found.append((level - loss) / (square - price))
    objective.seed = kept
    return float(np.mean(found)), float(np.std(found, ddof=1) / math.sqrt(FRESH))


def _reason(origin: Origin | None, objective: Objective) -> str:
    if origin is not None:
        return origin.reason
    if objective.penalty.function is not None:
        return "a penalty of your own is not expanded about the blind state"
    if objective.draws:
        return "a model with noise is not expanded about the blind state"
    if objective.dtype != torch.float64:
        return "the model runs in float32 only, which is too coarse for an expansion"
    return "the blind network pays for biases that decay: it is not zero weights"


def _statement(
    search: _Search,
    best: Ascent,
    order: str,
    value: float,
    upper: float | None,
    layer: OneLayer | None,
    origin: Origin | None,
    landau: Landau | None,
    hits: Mapping[str, tuple[int, int]],
    noise: float | None,
) -> str:
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
        said.append(f"None of {len(search.pool)} starts learned anything at any gamma tried.")
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
        said.append(f"Starts within .1 % of it: {count}.")
    if upper is not None and layer is not None and 0 < value < math.inf:
        trust = "" if layer.convex == "known" else " (loss_fn looked convex at random outputs)"
        said.append(
            f"One hidden layer: gamma_upper is {layer.method}, as far as a search over directions "
            f"found it{trust}; it lies {max(upper / value - 1, 0):.2g} above."
        )
    if search.objective.rounding > 1e-9:
        said.append("The model runs in float32 only: gamma is known to about four digits.")
    if landau is not None and order in ("first", "continuous"):
        said.append(
            f"Landau: C = {landau.cubic:.3g} +- {landau.cubic_error:.1g}, least Q = "
            f"{landau.quartic_least:.3g}; near the blind state alone it looks {landau.order}."
        )
    return " ".join(said)
