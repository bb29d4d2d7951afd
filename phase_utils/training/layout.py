"""What the compiled functions work on: a network, the rules of its descent, and room for both."""

from collections import ChainMap
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from phase_utils.training import descents, graphs, minimisers, quasi_newton, rows, standstill
from phase_utils.training.networks import LinearNetwork
from phase_utils.training.settings import Settings

CONSTANTS = ChainMap(*map(vars, (rows, graphs, standstill, quasi_newton, minimisers)))


class Network(NamedTuple):
    """A linear network on moments; arrays of one dtype."""

    sizes: Any  # d, widths, k
    at: Any  # where the weights of a layer begin among all of them, and their end
    neurons_at: Any  # the same of the neurons, inputs first
    squares_at: Any  # the same of the matrices M
    ratios: Any
    noises: Any
    A0: Any
    Exy: Any  # (k, d)
    Eyy: float
    noisy: bool


class Rules(NamedTuple):
    """Settings, limits of the dtype, and the constants of the modules that are followed here."""

    tolerance: float
    max_steps: int
    memory: int
    step_cap: float
    eps: float
    tiny: float
    runaway: float
    step_floor: float
    check_every: int
    roundings: int
    fade: float
    shortest: float
    faint: float
    flatter: float
    unheard: int
    idle_checks: int
    probe: float
    decrease: float
    level: int
    curvature: float
    first_reach: float
    refusals: int
    shrink: tuple[float, float]
    downhill: float
    running: int
    converged: int
    diverged: int
    nonfinite: int
    stalled: int


class Room(NamedTuple):
    """What one network needs while it trains."""

    x: Any
    g: Any
    x_new: Any
    g_new: Any
    d: Any
    s: Any
    y: Any
    basis: Any  # (2 m, P): steps first, then changes of the gradient
    steps_changes: Any  # (m, m), the products of both
    changes_changes: Any  # (m, m), those of the changes
    along: Any  # (2 m,), the products of the basis with the gradient
    inverse: Any  # 1 / (s.y), 0 where a slot is empty
    first: Any
    above: Any  # U ... W^(l) of every layer
    carried: Any  # (2, k, .)
    images: Any  # W^(l) M_l
    M: Any  # E[h h^T] of every layer, that of the inputs given
    correlation: Any  # E[y h^T], the same
    scratch: Any  # (4, .)


class Pace(NamedTuple):
    """Settings of "adam" or "sgd", and the constants of the modules that are followed here."""

    adam: bool
    momentum: float  # of the first moments; the first beta of Adam
    square_kept: float
    epsilon: float
    rest: float  # speed in units of what `first` holds
    tolerance: float
    max_steps: int
    tiny: float
    runaway: float
    check_every: int
    running: int
    converged: int
    diverged: int
    nonfinite: int


class Abreast(NamedTuple):
    """Networks that train together, one in each lane: arrays (., lanes), the last axis theirs."""

    x: Any
    g: Any  # of the loss without decay
    first: Any
    second: Any
    above: Any
    carried: Any  # (2, ., lanes)
    images: Any
    M: Any
    correlation: Any  # -2 E[y h^T], that of the inputs given
    scratch: Any  # (2, ., lanes)
    loss: Any  # without decay
    gamma: Any
    rate: Any
    step: Any  # (2, lanes): Adam's rate and unit of the second moments, both without bias
    bias: Any  # of the first moments; from here on (lanes,), in double precision
    square_bias: Any
    f: Any  # with decay
    size: Any  # norm of the weights
    steepness: Any  # that of the gradient
    speed: Any  # that of the first moments
    unit: Any
    farthest: Any
    row: Any  # -1 for none
    age: Any
    queue: Any  # the next row, and the end of them


class Batch(NamedTuple):
    """All networks of a batch, and what becomes of them."""

    x: Any  # (n, P), replaced by what was trained
    gamma: Any
    rate: Any  # empty for "lbfgs"
    code: Any  # of the status
    steps: Any


def _starts(counts: Any) -> NDArray[np.int64]:
    """Where each of several pieces begins, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])


def network_of(problem: LinearNetwork, dtype: Any) -> Network:
    """Sizes and moments of a problem."""
    m = problem.moments
    sizes = np.array([m.d, *problem.widths, m.k], dtype=np.int64)
    return Network(
        sizes=sizes,
        at=_starts(sizes[1:] * sizes[:-1]),
        neurons_at=_starts(sizes),
        squares_at=_starts(sizes**2),
        ratios=np.array(problem.ratios),
        noises=np.array(problem.noises, dtype=dtype),
        A0=np.array(m.A0, dtype=dtype, order="C"),
        Exy=np.array(m.Exy.reshape(m.d, -1).T, dtype=dtype, order="C"),
        Eyy=float(m.Eyy),
        noisy=any(problem.noises),
    )


def rules_of(settings: Settings, dtype: torch.dtype) -> Rules:
    """Settings and constants."""
    limits = torch.finfo(dtype)
    given: dict[str, Any] = {
        "tolerance": max(settings.tolerance, 8 * limits.eps),
        "max_steps": settings.max_steps,
        "memory": settings.memory,
        "step_cap": settings.step_cap,
        "eps": limits.eps,
        "tiny": limits.tiny,
    }
    taken = {name: CONSTANTS[name.upper()] for name in Rules._fields if name not in given}
    return Rules(**given, **taken)


def room_for(network: Network, memory: int, dtype: Any) -> Room:
    """Room for one network after another; that for noise is empty without noise."""
    sizes, P, k = network.sizes, int(network.at[-1]), int(network.sizes[-1])
    noisy = int(network.noisy)
    widest = int(max(sizes))
    largest = noisy * int(max(*(sizes[1:] * sizes[:-1]), *(sizes[1:-1] ** 2), 0))
    M, correlation = np.zeros(noisy * network.squares_at[-1], dtype), np.zeros(0, dtype)
    if noisy:
        correlation = np.zeros(k * network.neurons_at[-1], dtype)
        M[: network.A0.size] = network.A0.ravel()
        correlation[: network.Exy.size] = network.Exy.ravel()
    return Room(
        **{name: np.empty(P, dtype) for name in ("x", "g", "x_new", "g_new", "d", "s", "y")},
        basis=np.zeros((2 * memory, P), dtype),
        steps_changes=np.zeros((memory, memory)),
        changes_changes=np.zeros((memory, memory)),
        along=np.zeros(2 * memory),
        inverse=np.zeros(memory),
        first=np.zeros(memory),
        above=np.zeros(k * network.neurons_at[-1], dtype),
        carried=np.zeros((2, k, widest), dtype),
        images=np.zeros(noisy * P, dtype),
        M=M,
        correlation=correlation,
        scratch=np.zeros((4, largest), dtype),
    )


def pace_of(settings: Settings, dtype: torch.dtype) -> Pace:
    """Settings and constants."""
    limits, adam = torch.finfo(dtype), settings.method == "adam"
    momentum = descents.BETAS[0] if adam else settings.momentum
    names = ("runaway", "check_every", "running", "converged", "diverged", "nonfinite")
    return Pace(
        adam=adam,
        momentum=momentum,
        square_kept=descents.BETAS[1],
        epsilon=descents.EPSILON,
        rest=1.0 if adam else 1 - momentum,
        tolerance=max(settings.tolerance, 8 * limits.eps),
        max_steps=settings.max_steps,
        tiny=limits.tiny,
        **{name: CONSTANTS[name.upper()] for name in names},
    )


def block_for(network: Network, lanes: int, dtype: Any) -> Abreast:
    """Room for one network in each lane, and none in it yet."""
    sizes, P, k = network.sizes, int(network.at[-1]), int(network.sizes[-1])
    noisy, neurons = int(network.noisy), int(network.neurons_at[-1])
    largest = noisy * int(max(*(sizes[1:] * sizes[:-1]), *(sizes[1:-1] ** 2), 0))
    counts = {
        **dict.fromkeys(("x", "g", "first", "second"), (P,)),
        "above": (k * neurons,),
        "carried": (2, k * int(max(sizes))),
        "images": (noisy * P,),
        "M": (noisy * int(network.squares_at[-1]),),
        "correlation": (k * neurons,),
        "scratch": (2, largest),
        **dict.fromkeys(("loss", "gamma", "rate"), (1,)),
        "step": (2,),
    }
    made = {name: _aligned((*count, lanes), dtype) for name, count in counts.items()}
    made["correlation"][: network.Exy.size] = -2 * network.Exy.reshape(-1, 1)
    doubles = "bias", "square_bias", "f", "size", "steepness", "speed", "unit", "farthest"
    return Abreast(
        **made,
        **{name: np.zeros(lanes) for name in doubles},
        row=np.full(lanes, -1),
        age=np.zeros(lanes, np.int64),
        queue=np.zeros(2, np.int64),
    )


def _aligned(shape: tuple[int, ...], dtype: Any) -> Any:
    """Zeros that begin with a line of the cache."""
    line, size = 64 // dtype.itemsize, int(np.prod(shape))
    room = np.zeros(size + line, dtype)
    first = -room.ctypes.data % 64 // dtype.itemsize
    return room[first : first + size].reshape(shape)
