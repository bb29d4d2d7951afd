"""Training of one module on minibatches, the ordinary way, which can be killed and goes on.

`train` follows many networks to stationary points; this is for one network too large for that.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from phase_utils._check import (
    Array,
    flag,
    function,
    integer,
    kind,
    names,
    one_of,
    scalar,
    tried,
)
from phase_utils.chapters import checkpoints
from phase_utils.training import devices
from phase_utils.training.tensors import samples
from phase_utils.training.trials import applied, checked, compared

OPTIMISERS = ("sgd", "adam")
SCHEDULES = ("constant", "cosine")
# torch's global generators are one for all threads: an epoch that draws from them has them alone
_TURN = threading.RLock()


@dataclass(frozen=True, eq=False)
class Minibatches:
    """What a training on minibatches left, beside the module's new parameters.

    Attributes
    ----------
    data_loss : (epochs,) array
        The mean over each epoch's batches, while they were trained on.
    status : {"completed", "diverged"}
        "diverged" after an epoch with a loss that is not finite.
    seconds : float
        Of processors, that this process spent over all epochs; those before a kill count too.
    """

    data_loss: Array
    status: str
    seconds: float


def train_minibatches(
    model: nn.Module,
    loss_fn: Callable[[Any, Any], Tensor],
    data: tuple[Tensor, Tensor],
    *,
    epochs: int,
    gamma: float = 0.0,
    decayed: Iterable[str] | None = None,
    batch_size: int = 256,
    optimiser: str = "sgd",
    learning_rate: float = 0.002,
    momentum: float = 0.9,
    schedule: str = "constant",
    augment: Callable[[Tensor], Tensor] | None = None,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: str | Path | None = None,
    progress: bool = False,
) -> Minibatches:
    """Train a module in place on loss_fn(model(augment(x)), y) + gamma |w|^2.

    Parameters
    ----------
    model : torch.nn.Module
        Trained in its own mode, moved to `device`; its dtype is kept, and floating data follow it.
    loss_fn : callable
        loss_fn(model(x), y) -> scalar, the mean over samples.
    data : (x, y)
        Tensors, first axis the samples.
    epochs : int
        From 1 to 10^6.
    gamma : float
        Weight decay >= 0 of the parameters named in `decayed`; it enters the gradient, as torch's
        weight_decay = 2 gamma, of SGD and of Adam.
    decayed : iterable of str, optional
        Names of parameters; default all.
    batch_size : int
        At least 1; an epoch is cut into as few batches of nearly equal size as this allows.
    optimiser : {"sgd", "adam"}
        That of torch.
    learning_rate : float
        Above 0.
    momentum : float
        Of "sgd" alone, 0 <= m < 1.
    schedule : {"constant", "cosine"}
        "cosine" goes from the learning rate to 0.
    augment : callable, optional
        Of the images of a batch, anew each time.
    seed : int
        Of the order of the samples, and of all that the module, the loss and `augment` draw from
        torch; each epoch has streams of its own, and the caller's random state is left alone.
    device : str
        "auto", "cpu", "cuda", ...
    checkpoint : str or Path, optional
        A file that is replaced after every epoch, whole or not at all; its folder is created. Where
        it exists, training goes on from it to the same bits, on the same machine. It is tied to
        these arguments (functions excepted), the initial parameters, the data and the version of
        torch. A digest guards every bit of it. One run at a time.
    progress : bool
        Show a progress bar over the epochs.

    Returns
    -------
    Minibatches
        The loss of each epoch, and how it ended.

    Raises
    ------
    ValueError
        For arguments out of range, and for a checkpoint that is damaged, of another training, in
        use by another run, or not to be written.

    Notes
    -----
    Threads that train at once, each a model of its own, get what they would get one after the
    other: an epoch has torch's generators, which are one for all threads, to itself. Only what
    draws from those outside of this function meanwhile (the making of another model, say) changes
    what a module, a loss or an `augment` that draws sees; it never changes the order.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model, x = torch.nn.Linear(2, 1), torch.randn(64, 2)
    >>> loss = torch.nn.functional.mse_loss
    >>> done = pu.train_minibatches(model, loss, (x, x[:, :1]), epochs=30, learning_rate=0.1)
    >>> done.status, bool(done.data_loss[-1] < 0.1 * done.data_loss[0])
    ('completed', True)
    """
    epochs = integer("epochs", epochs, minimum=1, maximum=10**6)
    batch_size = integer("batch_size", batch_size, minimum=1)
    gamma = scalar("gamma", gamma, minimum=0)
    rate = scalar("learning_rate", learning_rate, minimum=0, strict=True)
    momentum = scalar("momentum", momentum, minimum=0)
    if momentum >= 1:
        raise ValueError(f"momentum must be < 1, got {momentum:g}")
    seed = integer("seed", seed, minimum=0)
    one_of("optimiser", optimiser, OPTIMISERS)
    one_of("schedule", schedule, SCHEDULES)
    flag("progress", progress)
    place = devices.resolve(device)
    x, y = _samples(data, checked(model), place)
    function("loss_fn", loss_fn, "the model's output and y")
    if augment is not None:
        function("augment", augment, "the images of a batch")
    model.to(place)
    groups = _groups(model, gamma, decayed)
    choice = (
        torch.optim.SGD(groups, lr=rate, momentum=momentum)
        if optimiser == "sgd"
        else torch.optim.Adam(groups, lr=rate)
    )
    losses: list[float] = []
    spent = 0.0
    batches = -(-len(x) // batch_size)
    with ExitStack() as held:
        saved = None
        if checkpoint is not None:
            identity = {
                "epochs": epochs,
                "gamma": gamma,
                "batch_size": batch_size,
                "optimiser": optimiser,
                "learning_rate": rate,
                "momentum": momentum,
                "schedule": schedule,
                "seed": seed,
                "device": str(place),
                "decays": [(len(g["params"]), g["weight_decay"]) for g in groups],
                "torch": str(torch.__version__),
                "initial parameters": checkpoints.digest(_tensors(model)),
                "data": checkpoints.digest({"x": x, "y": y}),
            }
            saved = held.enter_context(checkpoints.opened(checkpoint, identity, model, choice))
            losses, spent = saved.load()
        bar = held.enter_context(_bar(epochs, len(losses), progress))
        resumed = len(losses)
        for epoch in range(resumed, epochs):
            if losses and not np.isfinite(losses[-1]):
                break
            begun = time.process_time()
            stream = torch.Generator()  # on the CPU: the same order on every device
            stream.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]))
            order = torch.randperm(len(x), generator=stream).to(place)
            with _drawing_from(stream, place):
                total = torch.zeros((), dtype=torch.float64, device=place)
                for i, rows in enumerate(order.tensor_split(batches)):
                    _set_rate(choice, rate, schedule, (epoch + i / batches) / epochs)
                    choice.zero_grad()
                    if i == 0 and epoch == resumed:
                        loss = _first(model, loss_fn, augment, x[rows], y[rows])
                    else:
                        images = x[rows] if augment is None else augment(x[rows])
                        loss = loss_fn(model(images), y[rows])
                    loss.backward()
                    choice.step()
                    total += loss.detach() * len(rows)
                losses.append(float(total) / len(x))
            spent += time.process_time() - begun
            if saved is not None:
                saved.save(losses, spent)
            bar.set_postfix(loss=losses[-1], refresh=False)
            bar.update()
    status = "completed" if np.isfinite(losses[-1]) else "diverged"
    return Minibatches(np.array(losses), status, spent)


@contextmanager
def _drawing_from(stream: torch.Generator, place: torch.device) -> Iterator[None]:
    """Torch's own draws go on with `stream`, in one thread at a time; then all is as it was."""
    cuda = [place] if place.type == "cuda" else []
    with _TURN, torch.random.fork_rng(devices=cuda):
        torch.default_generator.set_state(stream.get_state())
        if cuda:  # torch.manual_seed would seed all devices, of which one is put back
            with torch.cuda.device(place):
                torch.cuda.manual_seed(stream.initial_seed())
        yield


def _bar(epochs: int, done: int, shown: bool) -> Any:
    from tqdm import tqdm

    return tqdm(total=epochs, initial=done, desc="training", unit=" epochs", disable=not shown)


def _samples(data: Any, model: nn.Module, place: torch.device) -> tuple[Tensor, Tensor]:
    dtype = next((p.dtype for p in model.parameters()), None)
    if dtype is None:
        raise ValueError("model must have parameters, got none")
    x, y = (v.to(dtype) if v.is_floating_point() else v for v in samples(data, place))
    return x, y


def _first(model: nn.Module, loss_fn: Any, augment: Any, x: Tensor, y: Tensor) -> Tensor:
    """The loss of the first batch; what does not fit is refused before anything is trained."""
    after = ""
    if augment is not None:
        after = " that augment returns"
        x = tried("augment must take the images of a batch", augment, x)
        if not isinstance(x, Tensor):
            raise ValueError(f"augment must return a tensor, got {kind(x)}")
    loss = compared(loss_fn, applied(model, x, after), y)
    if not loss.requires_grad:
        raise ValueError("loss_fn must be differentiable by torch, got a constant")
    return loss


def _groups(model: nn.Module, gamma: float, decayed: Iterable[str] | None) -> list[dict[str, Any]]:
    """The parameters with and without decay."""
    own = dict(model.named_parameters())
    chosen = set(own)
    if decayed is not None:
        chosen = set(names("decayed", decayed, own, "parameters of the model"))
    groups = [
        {"params": [p for k, p in own.items() if k in chosen], "weight_decay": 2 * gamma},
        {"params": [p for k, p in own.items() if k not in chosen], "weight_decay": 0.0},
    ]
    return [g for g in groups if g["params"]]


def _set_rate(optimiser: torch.optim.Optimizer, rate: float, schedule: str, done: float) -> None:
    factor = 1.0 if schedule == "constant" else (1 + math.cos(math.pi * done)) / 2
    for group in optimiser.param_groups:
        group["lr"] = rate * factor


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in model.state_dict().items() if isinstance(v, Tensor)}
