"""Training sweeps: every depth, decay, initial scale and seed of a plan as a labelled dataset."""

import hashlib
import warnings
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import wraps
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from phase_utils._check import Array, Integers, Reals, bar, integers, kind, non_negative, numeric
from phase_utils._extras import brought_by
from phase_utils.sweeps import chunks
from phase_utils.sweeps.labels import labelled
from phase_utils.sweeps.store import Store
from phase_utils.sweeps.workers import checked_client, completed
from phase_utils.theory.moments import Moments
from phase_utils.training import devices
from phase_utils.training.modules import ModuleProblem
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.settings import Settings, checked_settings
from phase_utils.training.train import train

if TYPE_CHECKING:
    import xarray

# A batch whose optimiser state stays in the cache is faster on a CPU; a GPU wants large ones.
BATCH_BYTES = {"cpu": 32 * 2**20, "cuda": 2**30}

Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def _taking_moments(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Take `problem` by its name of version 0.1.0 too, when it could only be moments."""

    @wraps(function)
    def taking(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if "moments" in kwargs:
            if args or "problem" in kwargs:
                raise ValueError("problem must be given once, got moments, its old name, as well")
            warnings.warn("moments is called problem now", DeprecationWarning, stacklevel=2)
            kwargs["problem"] = kwargs.pop("moments")
        return function(*args, **kwargs)

    return taking


@_taking_moments
def sweep(
    problem: Moments | ModuleProblem,
    *,
    gamma: ArrayLike,
    depth: Integers = (0, 1, 2),
    width: int | Sequence[int] = 32,
    noise_variance: float | Sequence[float] = 0.0,
    init_scale: Reals = (0.01, 0.3),
    seed: Integers = range(4),
    settings: Settings | None = None,
    device: str = "auto",
    store: str | Path | None = None,
    client: Any = None,
    progress: bool | None = None,
) -> "xarray.Dataset":
    """Train a network for every combination of depth, gamma, initial scale and seed.

    Parameters
    ----------
    problem : Moments or ModuleProblem
        The data of linear networks; or a network on samples of its own, to be trained at all
        gammas, scales and seeds. Its `depth` is one number, a label; the widths are its own.
    gamma : (m,) array_like
        Weight decays >= 0, without repeats, in the units of the loss per |w|^2.
    depth : int or sequence of int
        Numbers of hidden layers >= 0, without repeats.
    width : int or sequence of int
        As for `LinearNetwork`, the same for all depths.
    noise_variance : float or sequence of float
        As for `LinearNetwork`, the same for all depths.
    init_scale : float or sequence of float
        Standard deviations >= 0 of the initial weights.
    seed : int or sequence of int
        At least 0. Equal seeds start from the same normal deviates at all gammas and scales.
    settings : Settings, optional
        Of the training.
    device : str
        "auto" (CUDA where there is one, else the CPU) or a torch device.
    store : str or Path, optional
        Folder of a zarr store. It gets each chunk when it is trained, and the same sweep with the
        same store goes on where it stopped: what is there is read, what is damaged or missing is
        trained. One run at a time: another one is refused, and one that was killed blocks none.
        Where nothing can be written, a store that is done can be read.
    client : distributed.Client, optional
        The chunks are trained by the workers of that Dask cluster, each of which needs this package
        and the device. Workers may come late, die and be replaced: a warning comes when there has
        been none for 10 s, an error after 300 s.
    progress : bool, optional
        Whether to show a progress bar; default: where stderr is a terminal.

    Returns
    -------
    xarray.Dataset
        loss, data_loss, slope, B, status and steps over (depth, gamma, init_scale, seed), the
        coordinates in the order given; settings, versions and the chunks are its attributes. A row
        with a status other than "converged" is kept as it is: select with `ds.where`.

    Raises
    ------
    ValueError
        For an argument out of range, and for a store that holds anything but this sweep, is in use
        by another run, or can be neither made nor written, before anything is trained.
    ImportError
        For a client without the package distributed, and without xarray.
    TimeoutError
        When the cluster has had no worker for 300 s. What is stored is kept: the same sweep goes on
        from it.
    ConnectionError
        When the scheduler of the cluster is lost or restarted; what is stored is kept as well.
    OSError
        When a chunk cannot be stored, because the disk is full, say; the others are kept.

    Notes
    -----
    The batch is cut into chunks whose optimiser state fits in `BATCH_BYTES`. The same chunks on the
    same hardware with the same number of threads give the same bits, stored or not, interrupted or
    not; Dask's workers have one thread unless told otherwise.

    Until version 0.1.0 `problem` was called `moments`: that keyword still works, with a
    DeprecationWarning.

    Examples
    --------
    >>> import phase_utils as pu
    >>> m = pu.Moments.isotropic()
    >>> ds = pu.sweep(m, gamma=[0.1, 0.2], depth=[1, 2], width=4, init_scale=0.5, seed=range(3))
    >>> ds.B.max("seed").sel(depth=1).values.ravel().round(6).tolist()
    [0.591608, 0.5]
    """
    with brought_by("sweeps", "sweep"):  # before anything is trained
        import xarray  # noqa: F401
    if not isinstance(problem, Moments | ModuleProblem):
        raise ValueError(
            f"problem must be a Moments or a ModuleProblem, got {kind(problem)}; "
            "ModuleProblem(model, loss_fn, (x, y)) makes one of a module"
        )
    progress = bar("progress", progress)
    settings = checked_settings(settings, Settings())
    axes = {
        "depth": _axis("depth", depth, whole=True),
        "gamma": _axis("gamma", numeric("gamma", gamma, ndim=(1,))),
        "init_scale": _axis("init_scale", init_scale),
        "seed": _axis("seed", seed, whole=True),
    }
    if not isinstance(settings.learning_rate, float):
        raise ValueError("settings.learning_rate must be one number for a sweep, got several")
    place = devices.resolve(device)
    networks = [_network(problem, int(D), width, noise_variance) for D in axes["depth"]]
    if isinstance(problem, ModuleProblem) and len(networks) > 1:
        raise ValueError(f"depth must be one number for a ModuleProblem, got {axes['depth']}")
    client = checked_client(client)
    shape = tuple(len(axis) for axis in axes.values())
    plan = chunks.cut(shape, [_fitting(network, settings, place) for network in networks])
    attributes = {
        "problem": repr(problem),
        "problem_sha256": _sha256(problem),
        "width": str(width),
        "noise_variance": str(noise_variance),
        "device": str(place),
        **asdict(settings),
        "chunks": plan.describe(axes["depth"].tolist()),
        "phase_utils_version": metadata.version("phase-utils"),
    }
    work = _Work(tuple(networks), tuple(axes.values()), settings, str(place))
    if store is None:
        values = run(plan, _trained, work, client=client, progress=progress)
    else:
        template = labelled(chunks.untrained(shape), axes, attributes)
        with Store(store, template, plan) as disk:
            values = run(plan, _trained, work, store=disk, client=client, progress=progress)
    return labelled(values, axes, attributes)


def run(
    plan: chunks.Plan,
    train: Callable[[Any, chunks.Chunk], chunks.Values],
    work: Any,
    *,
    store: Store | None = None,
    client: Any = None,
    progress: bool | None = None,
) -> chunks.Values:
    """Train what the store does not hold; the fields of all networks, arrays of `plan.shape`.

    train(work, chunk) returns the fields of a chunk, arrays of `chunk.shape`.
    """
    from tqdm import tqdm

    values = {name: np.zeros(plan.shape, dtype) for name, dtype in chunks.FIELDS.items()}
    left = plan.chunks if store is None else store.left(values)
    total = int(np.prod(plan.shape))
    converged = np.count_nonzero(values["status"] == "converged")
    with (
        tqdm(
            desc="sweep",
            total=total,
            initial=total - sum(chunk.networks for chunk in left),
            unit=" networks",
            disable=None if progress is None else not progress,
        ) as bar,
        closing(completed(train, work, left, client)) as results,
    ):
        for chunk, result in results:
            for name, trained in result().items():
                # a text that is too long is an error, not cut
                np.copyto(values[name][chunk.region], trained, casting="safe")
            if store is not None:
                store.write(chunk, values)
            converged += np.count_nonzero(values["status"][chunk.region] == "converged")
            bar.set_postfix({"converged": f"{converged:,}"}, refresh=False)
            bar.update(chunk.networks)
    return values


@dataclass(frozen=True)
class _Work:
    """What the chunks of a sweep have in common; `axes` are depth, gamma, init_scale and seed."""

    networks: tuple[LinearNetwork | ModuleProblem, ...]
    axes: tuple[Array, ...]
    settings: Settings
    device: str


def _trained(work: _Work, chunk: chunks.Chunk) -> chunks.Values:
    """The fields of the networks of one chunk."""
    level, *rows = chunk.region
    axes = [axis[part] for axis, part in zip(work.axes[1:], rows, strict=True)]
    gammas, scales, seeds = (values.ravel() for values in np.meshgrid(*axes, indexing="ij"))
    network = work.networks[level.start]
    init = network.initial_weights(
        scales,
        seeds,
        device=devices.resolve(work.device),
        dtype=getattr(torch, work.settings.precision),
    )
    result = train(network, init, gammas, work.settings, seeds)
    return {name: getattr(result, name).reshape(chunk.shape) for name in chunks.FIELDS}


def _network(problem: Any, depth: int, width: Any, noise_variance: Any) -> Any:
    """The network of one depth: on moments a linear one."""
    if isinstance(problem, ModuleProblem):
        return problem
    return LinearNetwork(problem, depth=depth, width=width, noise_variance=noise_variance)


def _axis(name: str, value: Any, *, whole: bool = False) -> NDArray[Any]:
    """A coordinate: 1-D, non-negative, without repeats, of integers if `whole`."""
    array = np.atleast_1d(non_negative(name, value, ndim=(0, 1)))
    if len(np.unique(array)) != len(array):
        values, counts = np.unique(array, return_counts=True)
        raise ValueError(f"{name} must not repeat values, got {values[counts > 1][0]:g} twice")
    if whole:
        return integers(name, array)
    return array


def _fitting(network: Any, settings: Settings, device: torch.device) -> int:
    """How many networks train at once, at least one, so that their optimiser state fits."""
    # steps and changes of gradients, the state, and what one evaluation holds besides
    per_row = 8 * (2 * settings.memory + 16) * network.parameters
    return max(1, BATCH_BYTES.get(device.type, BATCH_BYTES["cuda"]) // per_row)


def _sha256(problem: Moments | ModuleProblem) -> str:
    """Of the data, and of the module if there is one; its loss function has no digest."""
    if isinstance(problem, ModuleProblem):
        parts = [
            repr(problem).encode(),
            *(v.cpu().numpy().tobytes() for v in (problem.x, problem.y)),
        ]
    else:
        arrays = (problem.A0, problem.Exy, np.float64(problem.Eyy))
        parts = [array.tobytes() for array in arrays]
    return hashlib.sha256(b"".join(parts)).hexdigest()
