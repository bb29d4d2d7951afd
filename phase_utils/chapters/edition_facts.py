"""What some data do, by the theory alone: moments, and where learning stops at each depth."""

from dataclasses import dataclass
from math import nan

import numpy as np

from phase_utils.chapters.data import Task
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.transitions import Transition

SHOWN_DEPTHS = (0, 1, 2, 3, 5)
ONE_JUMP = 33.97  # ratio of eigenvalues with signal below which no depth has a cascade, chapter 7
HALF = 0.5  # of the critical decay: where a start is given


@dataclass(frozen=True)
class Mode:
    """An eigenvector of E[x x^T]: its eigenvalue, |E[xy]| along it, its share of |E[xy]|^2."""

    eigenvalue: float
    signal: float
    share: float


@dataclass(frozen=True)
class Depth:
    """What happens at a depth as the decay grows.

    Attributes
    ----------
    depth : int
        Number of hidden layers.
    transitions : tuple of Transition
        Ascending in gamma; the last one ends learning.
    metastable : float
        Where the last learned state ends, nan where it ends at a transition.
    start : tuple of float
        Norms of a layer between which training may start at half the last decay: that of the pass,
        and that of the learned minimum; nan where nothing is learned.
    """

    depth: int
    transitions: tuple[Transition, ...]
    metastable: float = nan
    start: tuple[float, float] = (nan, nan)


@dataclass(frozen=True)
class Facts:
    """All of it.

    Attributes
    ----------
    modes : tuple of Mode
        From the strongest signal to the weakest.
    depths : tuple of Depth
        Those of `SHOWN_DEPTHS`.
    spread : float
        Ratio of the largest to the least eigenvalue with signal, nan where there is none.
    """

    modes: tuple[Mode, ...]
    depths: tuple[Depth, ...]
    spread: float

    @property
    def cascades(self) -> tuple[Depth, ...]:
        """The depths that give up what they learned in several steps."""
        return tuple(d for d in self.depths if len(d.transitions) > 1)


def facts(task: Task) -> Facts:
    """Return what the data of a task do."""
    m = task.moments
    order = np.argsort(-np.abs(m.signals), kind="stable")
    total = m.signal**2
    modes = [
        Mode(float(m.eigenvalues[i]), abs(float(m.signals[i])), float(m.signals[i] ** 2) / total)
        if total
        else Mode(float(m.eigenvalues[i]), 0.0, 0.0)
        for i in order
    ]
    if task.silent:
        return Facts(tuple(modes), tuple(Depth(D, ()) for D in SHOWN_DEPTHS), nan)
    told = [mode.eigenvalue for mode in modes if mode.share > 1e-18 and mode.eigenvalue > 0]
    spread = max(told) / min(told)
    return Facts(tuple(modes), tuple(at(task, depth) for depth in SHOWN_DEPTHS), spread)


def at(task: Task, depth: int) -> Depth:
    """Return what happens at one depth; the data are not silent."""
    from phase_utils.training.initialisation import learning_basin

    land = Landscape(task.moments, depth=depth)
    transitions = tuple(land.transitions())
    if not transitions:
        return Depth(depth, ())
    ends = [spinodal.gamma for spinodal in land.spinodals()]
    end = max(ends, default=nan)
    try:
        basin = learning_basin(land, HALF * transitions[-1].gamma)
    except ValueError:  # as shallow as rounding
        return Depth(depth, transitions, end)
    return Depth(depth, transitions, end, (basin.B_low, basin.B))
