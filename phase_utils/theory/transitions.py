"""Phase transitions and spinodals, from the branches of the stationary curve."""

from dataclasses import dataclass
from math import inf, log, nan

import numpy as np
from scipy.optimize import brentq

from phase_utils.theory.branches import TRIVIAL, Stationary, StationaryBranch
from phase_utils.theory.reduction import Reduction


@dataclass(frozen=True)
class Transition:
    """A phase transition; below and above refer to gamma.

    Attributes
    ----------
    gamma : float
        Where the phases coexist (order 1) or the critical point (order 0 or 2).
    order : int
        0, 1 or 2, Ehrenfest's order in gamma.
    B_below, B_above : float
        Order parameter of the two phases.
    latent_heat : float
        gamma times the jump of the penalty |w|^p that gamma multiplies, units of y^2.
    barrier : float
        Lowest maximum to be climbed between the phases at coexistence, above L(gamma).
    gamma_error, exponent, exponent_error, latent_heat_error : float
        Of transitions found in measured curves, with standard errors.
    evidence : str
        Of transitions found in measured curves.

    Examples
    --------
    >>> import phase_utils as pu
    >>> (found,) = pu.Landscape(pu.Moments.isotropic(), depth=2).transitions()
    >>> found.order, round(found.gamma, 6), round(found.latent_heat, 6)
    (1, 0.13685, 0.151875)
    """

    gamma: float
    order: int
    B_below: float
    B_above: float
    latent_heat: float
    barrier: float
    gamma_error: float = 0.0
    exponent: float = nan
    exponent_error: float = nan
    latent_heat_error: float = 0.0
    evidence: str = ""


@dataclass(frozen=True)
class Spinodal:
    """The end of a branch of minima.

    Attributes
    ----------
    gamma : float
        Weight decay.
    B : float
        Order parameter.

    Examples
    --------
    >>> import phase_utils as pu
    >>> (end,) = pu.Landscape(pu.Moments.isotropic(), depth=2).spinodals()
    >>> round(end.gamma, 6), round(end.B, 6)
    (0.162926, 0.482745)
    """

    gamma: float
    B: float


def find_spinodals(reduced: Reduction) -> list[Spinodal]:
    """Turning points of gamma along the curve.

    Parameters
    ----------
    reduced : Reduction
        The landscape in units of its own.

    Returns
    -------
    list of Spinodal
        Ascending in gamma.
    """
    found = []
    for branch in reduced.branches:
        if branch.kind != 0 and not branch.first:
            at = reduced.spectrum.at(np.array([branch.piece.left]))
            gamma = reduced.gamma.exp(reduced.curve.log_decay(at)[0])
            B = reduced.order_parameter(at.log_beta2)
            found.append(Spinodal(float(gamma[0]), float(B[0])))
    return sorted(found, key=lambda spinodal: spinodal.gamma)


def find_transitions(reduced: Reduction) -> list[Transition]:
    """Walk the lower envelope of the branches of minima from gamma = 0 upwards.

    Parameters
    ----------
    reduced : Reduction
        The landscape in units of its own, with an exponent 0 < k < 1.

    Returns
    -------
    list of Transition
        All of first order, ascending in gamma, without those whose gamma is 0 or inf as a float.

    Notes
    -----
    The difference of two branches is monotone in gamma, because the one at larger T has the
    steeper slope, so that each pair exchanges the global minimum at most once.
    """
    minima = [branch for branch in reduced.branches if branch.kind < 0]
    current, found = len(minima) - 1, []
    while current >= 0:
        crossings = [
            (log_decay, other)
            for other in range(-1, current)
            if (log_decay := _crossing(minima, current, other)) is not None
        ]
        if not crossings:  # the branch goes over into the next one, with a jump below rounding
            current -= 1
            continue
        log_decay, other = min(crossings)
        below = minima[current].value(log_decay)
        above = TRIVIAL if other < 0 else minima[other].value(log_decay)
        found.append(_first_order(reduced, log_decay, below, above))
        current = other
    return [transition for transition in found if 0 < transition.gamma < inf]


def _crossing(minima: list[StationaryBranch], upper: int, lower: int) -> float | None:
    """ln(lambda) above which minimum `lower` (-1: the trivial one) beats `upper`, or None."""
    a = minima[upper]
    start, stop = a.log_low, a.log_high
    if lower >= 0:
        start, stop = max(start, minima[lower].log_low), min(stop, minima[lower].log_high)
    if start >= stop:
        return None

    def excess(log_decay: float) -> float:
        below = 0.0 if lower < 0 else minima[lower].value(log_decay).gain
        return below - a.value(log_decay).gain

    if start == -inf:  # where the penalty of the best linear predictor is half of what it gains
        start = log(a.curve.spectrum.total_gain / 2) - float(a.curve.log_penalty(a.ends)[1])
    if start >= stop or excess(start) > 0 or excess(stop) < 0:
        return None
    return float(brentq(excess, start, stop, xtol=1e-15, rtol=1e-15))


def _first_order(
    reduced: Reduction, log_decay: float, below: Stationary, above: Stationary
) -> Transition:
    tops = []
    for branch in reduced.branches:
        if branch.kind > 0 and branch.log_low < log_decay < branch.log_high:
            top = branch.value(log_decay)
            if above.log_beta2 < top.log_beta2 < below.log_beta2:
                tops.append(top.gain)
    gamma = reduced.gamma.exp(log_decay)
    B_below, B_above = reduced.order_parameter(np.array([below.log_beta2, above.log_beta2]))
    heat = reduced.loss.times(below.penalty - above.penalty)
    barrier = reduced.loss.times(below.gain - min(tops)) if tops else 0.0
    return Transition(float(gamma), 1, float(B_below), float(B_above), float(heat), float(barrier))
