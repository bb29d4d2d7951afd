"""What Langevin chains did: averages, acceptance, passage times, and how each ended."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from phase_utils._check import Array, integer, one_of

OBSERVABLES = ("loss", "data_loss", "penalty", "B")


@dataclass(frozen=True, eq=False)
class Chains:
    """What Langevin chains did, the batch axis first; arrays are NumPy, float64, on the CPU.

    Attributes
    ----------
    weights : tuple of tensors (n, ...)
        The last weights of every chain.
    loss, data_loss, penalty, B : (n,) arrays
        Time averages of each chain over its measurements after `burn_in`; nan for a chain with none
        or one that failed, and for B where the problem defines no order parameter.
    acceptance : (n,) array
        Fraction of accepted steps.
    passage : (n,) array
        Time, steps times dt, at which `event` first held; 0 if it held at the start, nan if it
        never did.
    status : (n,) array of str
        "ok"; "passed", ended by its event; "stuck", fewer than one step in a hundred was accepted,
        so dt is too long for where the chain started; "diverged", the weights grew without bound;
        "nonfinite", loss or gradient not finite at the start.
    steps : (n,) array of int
        Steps made.
    traces : dict of str to (measurements, n) arrays
        Observables by name, with nan after the end of a chain; empty unless asked for. Measurement
        j follows step (j + 1) * every, burn-in included.
    """

    weights: tuple[Tensor, ...]
    loss: Array
    data_loss: Array
    penalty: Array
    B: Array
    acceptance: Array
    passage: Array
    status: NDArray[np.str_]
    steps: NDArray[np.int64]
    traces: dict[str, Array]

    def average(self, name: str, replicas: int) -> tuple[Array, Array]:
        """Mean and standard error over groups of equal chains.

        Parameters
        ----------
        name : {"loss", "data_loss", "penalty", "B", "passage"}
            What is averaged.
        replicas : int
            At least 1, and a divisor of n: chains i * replicas ... (i + 1) * replicas - 1 differ in
            their seed alone.

        Returns
        -------
        mean, error : (n / replicas,) arrays
            Chains that are nan are left out; an error from fewer than two is nan.

        Raises
        ------
        ValueError
            For another name, and for replicas that do not divide n.
        """
        one_of("name", name, (*OBSERVABLES, "passage"))
        size = integer("replicas", replicas, minimum=1)
        values = getattr(self, name)
        if len(values) % size:
            raise ValueError(f"replicas must divide the {len(values)} chains, got {size}")
        groups = values.reshape(-1, size)
        sound = np.isfinite(groups)
        count = sound.sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(sound, groups, 0.0).sum(axis=1) / count
            squares = np.where(sound, (groups - mean[:, None]) ** 2, 0.0).sum(axis=1)
            error = np.where(count > 1, np.sqrt(squares / (count - 1) / count), np.nan)
        return mean, error
