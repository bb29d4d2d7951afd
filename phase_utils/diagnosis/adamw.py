"""What AdamW does as its decay grows: a fade without threshold, and in deep networks a jump."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from phase_utils._check import Array, flag, integer, numeric, takes
from phase_utils.diagnosis.adamw_options import Options, options
from phase_utils.diagnosis.fading import FadingBranch
from phase_utils.training.modules import ModuleProblem
from phase_utils.training.trials import LossFunction, copied

MOST_FOLLOWING = 10_000  # between two decays; more is taken for a slip
LEAST_STEEPNESS = -10.0  # power s below which its value does not matter
SAFE_BETA = 0.97  # beta2 at which plain networks were not seen to jump


@dataclass(frozen=True, eq=False)
class AdamWFade:
    """What is learned under AdamW at each decay, at rest; as text, what to do about it.

    Attributes
    ----------
    decays : (k,) array
        Values of lambda, torch's `weight_decay`, ascending; that of the most decayed parameters.
    gain : (k,) array
        The loss at the network's mean output minus its loss, over the loss of the best constant
        output: the share of it that is left to be gained from the inputs, on the branch that fades.
    steepness : (k,) array
        s = d ln |g| / d ln (scale of the decayed weights) there; -inf where all is learned, and g
        is zero but for a chatter.
    tenth, hundredth : float or None
        Decays at which the gain is 0.1 and 0.01; None where it is not so within `decays`.
    jump : float or None
        Decay above which the memory of the second moment makes the branch unstable, so that
        nothing is learned; None where none of `decays` brackets it.
    layers : int or None
        W, the number of decayed weight layers on the shortest way to the output: the power by which
        it falls with the weights. None where it is no power.
    weight_decay : float or None
        The optimiser's own, of its most decayed parameters; None where none was given.
    setting : str
        lr, betas and batch that this holds for.
    remedies : tuple of str
        What would move the fade or remove the jump.
    """

    decays: Array
    gain: Array
    steepness: Array
    tenth: float | None
    hundredth: float | None
    jump: float | None
    layers: int | None
    weight_decay: float | None
    setting: str
    remedies: tuple[str, ...]

    def __str__(self) -> str:
        def shown(value: float | None) -> str:
            if value is None:
                return f"not between {self.decays[0]:.3g} and {self.decays[-1]:.3g}"
            return f"weight_decay {value:.3g}"

        power = f", as weight_decay^-{self.layers} in the end" if self.layers else ""
        lines = [
            f"{self.setting}: learning fades without a threshold{power}",
            f"gain of 10 %  {shown(self.tenth)}",
            f"gain of 1 %   {shown(self.hundredth)}",
        ]
        above = ", above it nothing is learned"
        lines.append("no jump" if self.jump is None else f"jump          {shown(self.jump)}{above}")
        if self.weight_decay is not None:
            lines.append(f"yours         weight_decay {self.weight_decay:.3g}, {self._left()}")
        return "\n".join([*lines, *(f"- {remedy}" for remedy in self.remedies)])

    def _left(self) -> str:
        """What is left at the optimiser's own decay."""
        decay, (least, *_, most) = self.weight_decay or 0.0, (self.decays[0], self.decays[-1])
        if decay < least or decay > most:
            return "below the decays looked at" if decay < least else "above the decays looked at"
        if self.jump is not None and decay > self.jump:
            return "above the jump"
        return f"where the gain is {_at(self, decay):.0%}"


@takes(
    3,
    "adamw_fade takes model, loss_fn and data, which is a pair: adamw_fade(model, loss_fn, (x, y))",
)
def adamw_fade(
    model: nn.Module,
    loss_fn: LossFunction,
    data: tuple[Any, Any],
    *,
    batch: int | None = None,
    optimizer: torch.optim.Optimizer | None = None,
    decays: Sequence[float] | Array | None = None,
    decayed: Iterable[str] | None = None,
    lr: float | None = None,
    betas: tuple[float, float] | None = None,
    eps: float | None = None,
    steps: int = 40,
    device: str = "cpu",
    progress: bool = False,
) -> AdamWFade:
    """What a network learns under AdamW as the decay grows, and whether it ends with a jump.

    Parameters
    ----------
    model : torch.nn.Module
        Its own weights are where the branch is started. They must have a gradient.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar; with batches it must be the mean over samples.
    data : (x, y)
        Tensors or arrays, first axis the n samples.
    batch : int, optional
        Samples in a batch, from 1 to n, drawn without replacement; default all.
    optimizer : torch.optim.AdamW, optional
        Its groups say which parameters of the model are trained and decayed, at which rate and
        betas; decays of groups keep their ratios. Leave out the arguments below then.
    decays : (k,) array_like, optional
        Ascending values > 0 of lambda, torch's `weight_decay`. Default: steps of a factor of
        sqrt(2) as far as the gain falls from 10 % or more to below 1 %, and lr lambda <= 1.
    decayed : iterable of str, optional
        Names of the decayed parameters; default all, as with torch's AdamW.
    lr : float, optional
        Learning rate in (0, 1]; default 0.001. It decides on the jump alone.
    betas : pair of floats, optional
        In [0, 1); default (0.9, 0.999).
    eps : float, optional
        >= 0; default 1e-8.
    steps : int
        From 1 to 10,000, by which the branch is followed from one decay to the next; four times as
        many at the first.
    device : str
        "auto", "cpu", "cuda", ...
    progress : bool
        Show a progress bar.

    Returns
    -------
    AdamWFade
        The gain on the branch, where it is 10 % and 1 %, and the jump.

    Raises
    ------
    ValueError
        As `ModuleProblem` does, for other arguments out of range, for a loss that is no mean over
        samples with batches, and where the data or the model's weights leave nothing to learn.

    Notes
    -----
    With g the mean gradient and s^2 its variance from batch to batch, AdamW at a small rate moves
    as dw = -lr (lambda w + rho), rho = g / sqrt(g^2 + s^2), and rests at w = -rho / lambda. Small
    weights scale g and s alike, so that rho keeps its size: there is always something learned, and
    the gain falls as lambda^-W. In full batches rho is a sign, and |w| stays below 1 / lambda (Xie
    and Li 2024).

    The mean square lags behind the weights by 1 / (1 - beta2) steps. To first order the branch
    loses its stability where lr lambda (s - 1) = 1 - beta2, s as in `steepness`; on small weights s
    is W - 1. Two weight layers have s <= 1 and never jump, unless a bent activation lifts s above.

    Where small weights see nothing of the task, because only products of inputs tell (sums modulo a
    prime), the noise of batches ends the fade at a finite decay, which this does not find.

    In full batches rho is a sign and the weights chatter about their rest: `gain` is then good to
    some per cent. What the rate alone adds to the noise of the weights is left out.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)
    ... )
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> fade = pu.adamw_fade(model, torch.nn.functional.mse_loss, (x, 0.45 * x))
    >>> fade.layers, fade.jump, round(fade.hundredth)
    (2, None, 42)
    """
    batch = None if batch is None else integer("batch", batch, minimum=1)
    steps, progress = (
        integer("steps", steps, minimum=1, maximum=MOST_FOLLOWING),
        flag("progress", progress),
    )
    copied(model)  # a model that is none is refused before its parameters are read
    held = options(model, optimizer, decayed, lr, betas, eps)
    ladder = None if decays is None else _ladder(decays)
    problem = ModuleProblem(model, loss_fn, data, decayed=list(held.rates), device=device)
    if batch is not None and batch > problem.samples:
        raise ValueError(f"batch must be at most the {problem.samples} samples, got {batch}")
    branch = FadingBranch(problem, held, batch, steps)
    with tqdm(total=None, desc="decays", disable=not progress) as bar:
        if ladder is None:
            branch.search(bar)
        else:
            for decay in ladder:
                branch.visit(decay)
                bar.update()
    return _read(branch, held, batch)


def _ladder(decays: Any) -> Array:
    ladder = numeric("decays", decays, ndim=(1,))
    if ladder.min() <= 0 or np.any(np.diff(ladder) <= 0):
        raise ValueError(f"decays must be ascending numbers > 0, got {ladder}")
    return ladder


def _read(branch: FadingBranch, held: Options, batch: int | None) -> AdamWFade:
    """What the points on the branch say."""
    decays, gain, steepness = (np.array([p[i] for p in branch.points]) for i in range(3))
    layers = branch.layers()
    lag = 1 - held.betas[1]
    excess = held.lr * decays * (np.maximum(steepness, LEAST_STEEPNESS) - 1) - lag
    rises = [decay for decay, up in _crossings(decays, excess) if up]

    def falls(level: float) -> float | None:
        height = np.log(np.maximum(gain, 1e-300) / level)
        down = [decay for decay, up in _crossings(decays, height) if not up]
        return down[-1] if down else None

    batches = "full batches" if batch is None else f"batches of {batch}"
    fade = AdamWFade(
        decays,
        gain,
        steepness,
        falls(0.1),
        falls(0.01),
        rises[0] if rises else None,
        layers,
        held.decay,
        f"AdamW, lr {held.lr:g}, betas {held.betas}, {batches}",
        (),
    )
    return replace(fade, remedies=_remedies(fade, held, batch))


def _crossings(decays: Array, height: Array) -> list[tuple[float, bool]]:
    """Decays at which a height changes its sign, linear in ln lambda; whether it rises there."""
    found, at = [], np.log(decays)
    for i in range(len(at) - 1):
        a, b = height[i], height[i + 1]
        if (a < 0) != (b < 0):
            found.append((float(np.exp(at[i] + (at[i + 1] - at[i]) * a / (a - b))), bool(a < 0)))
    return found


def _at(fade: AdamWFade, decay: float) -> float:
    """The gain at a decay, between those that were visited."""
    return float(np.interp(np.log(decay), np.log(fade.decays), fade.gain))


def _remedies(fade: AdamWFade, held: Options, batch: int | None) -> tuple[str, ...]:
    """What to change, in words."""
    words = []
    if fade.tenth is not None:
        less = max(fade.tenth / 4, float(fade.decays[0]))
        words.append(f"decay less: at {less:.2g} the gain is {_at(fade, less):.0%}")
    if batch is not None:
        words.append(
            "larger batches move the fade up: the root of their noise divides the gradient"
        )
    words.append("the learning rate does not move the fade; wider hidden layers move its end")
    if fade.jump is not None:
        end = np.searchsorted(fade.decays, fade.hundredth or np.inf) + 1  # all that is learned
        most = float(np.max((held.lr * fade.decays * (fade.steepness - 1))[:end]))
        beta = min(SAFE_BETA, np.floor(100 * (1 - most)) / 100)
        cure = f"betas=({held.betas[0]:g}, {beta:g})" if beta > 0 else "a smaller learning rate"
        words.append(
            f"against the jump: {cure}, so that the mean square follows the weights faster than "
            "they fall"
        )
    return tuple(words)
