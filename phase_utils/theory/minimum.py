"""The certified global minimum over the branches of the stationary curve."""

from dataclasses import dataclass

import numpy as np

from phase_utils._check import Array
from phase_utils.theory.reduction import Reduction
from phase_utils.theory.units import EPS

GAMMAS = 8192  # at a time, so that everything about them stays in the cache
# in ln(lambda), how far beyond a branch its end is tried
AT_A_TURN = 1e-9  # there may be an unresolved piece behind
AT_THE_ORIGIN = 1e-12
UNDERFLOW = 8 * float(np.finfo(float).smallest_subnormal)


@dataclass(frozen=True)
class GlobalMinimum:
    """The global minimum at each weight decay, arrays of the shape of gamma.

    Attributes
    ----------
    B : array
        Order parameter of a minimiser (>= 0); at a coexistence point, of one of the two.
    loss : array
        L(gamma), units of y^2.
    slope : array
        dL/dgamma = |w|^p there, (D+1) B^2 for p = 2 and equal decays; inf where it is no float.
    gap : array
        Certified bound on |loss - L(gamma)|, rounding included; at most 1e-10 E[y^2].

    Examples
    --------
    >>> import phase_utils as pu
    >>> best = pu.Landscape(pu.Moments.isotropic(), depth=2).global_minimum([0.1, 0.15])
    >>> best.B.round(6).tolist(), bool(best.gap.max() < 1e-13)
    ([0.669985, 0.0], True)
    """

    B: Array
    loss: Array
    slope: Array
    gap: Array


def certified_minimum(reduced: Reduction, Eyy: float, gamma: Array) -> GlobalMinimum:
    """Certified L(gamma) at a depth D < inf.

    Parameters
    ----------
    reduced : Reduction
        The landscape in units of its own.
    Eyy : float
        E[y^2], from which its gain is taken.
    gamma : array
        Weight decays >= 0.

    Returns
    -------
    GlobalMinimum
        Arrays of the shape of gamma.
    """
    flat = gamma.reshape(-1)
    blocks = [flat[i : i + GAMMAS] for i in range(0, len(flat), GAMMAS)]
    columns = zip(*(_block(reduced, Eyy, block) for block in blocks), strict=True)
    return GlobalMinimum(*(np.concatenate(column).reshape(gamma.shape) for column in columns))


def _block(reduced: Reduction, Eyy: float, gamma: Array) -> tuple[Array, Array, Array, Array]:
    """B, loss, slope and gap of one block, (n,) each."""
    log_decay = reduced.gamma.log_of(gamma)
    # of the best state so far: the trivial one
    gain, penalty = np.zeros_like(gamma), np.zeros_like(gamma)
    log_beta2 = np.full_like(gamma, -np.inf)
    ceiling = gain.copy()  # of the gain of any state
    only = reduced.curve.alpha <= 0  # the one branch is all: its gain may be zero to rounding
    for branch in reduced.branches:
        beyond = AT_THE_ORIGIN if branch.first else AT_A_TURN
        here = (log_decay <= branch.log_high + beyond) & (
            (log_decay >= branch.log_low - AT_A_TURN) | branch.last
        )
        if branch.kind == 0:
            ceiling = np.maximum(ceiling, branch.ceiling(log_decay))
        if branch.kind >= 0 or not here.any():
            continue
        rows = np.flatnonzero(here)
        found = branch.minima(log_decay[rows])
        ceiling[rows] = np.maximum(ceiling[rows], found.ceiling)
        better = (found.gain > gain[rows]) | only
        rows = rows[better]
        gain[rows], penalty[rows] = found.gain[better], found.penalty[better]
        log_beta2[rows] = found.log_beta2[better]
    units = reduced.loss_error * (gain + penalty) + reduced.penalty_error * penalty
    gap = reduced.loss.times(ceiling - gain + units) + 2 * EPS * Eyy + UNDERFLOW
    loss = Eyy - reduced.loss.times(gain)
    slope = reduced.slope.exp(reduced.curve.exponent / 2 * log_beta2)
    return reduced.order_parameter(log_beta2), loss, slope, gap
