"""Phase transitions and spinodals, from the branches of the stationary curve."""

from dataclasses import dataclass
from math import exp, inf, log, nan

import numpy as np
from scipy.optimize import brentq

from phase_utils.theory.branches import Branch
from phase_utils.theory.curve import Curve


@dataclass(frozen=True)
class Transition:
    """A phase transition; below and above refer to gamma.

    gamma : where the phases coexist (order 1) or the critical point (order 0 or 2).
    order : 0, 1 or 2, Ehrenfest's order in gamma.
    B_below, B_above : order parameter of the two phases.
    latent_heat : gamma times the jump of the penalty |w|^p that gamma multiplies.
    barrier : lowest maximum to be climbed between the phases at coexistence, above L(gamma).
    gamma_error, exponent, exponent_error, latent_heat_error, evidence : of transitions found in
        measured curves; standard errors.
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
    """The end of a branch of minima: weight decay and order parameter."""

    gamma: float
    B: float


def find_spinodals(branches: list[Branch]) -> list[Spinodal]:
    """Turning points of gamma along the curve, ascending in gamma."""
    found = []
    for branch in branches:
        if branch.kind != 0 and not branch.first:
            left = np.array([branch.piece.left])
            gamma = float(np.exp(branch.curve.log_gamma(left)[0][0]))
            found.append(Spinodal(gamma, float(np.sqrt(branch.curve.norm(left)[0]))))
    return sorted(found, key=lambda spinodal: spinodal.gamma)


def find_transitions(curve: Curve, branches: list[Branch], signal: float) -> list[Transition]:
    """Walk the lower envelope of the branches of minima from gamma = 0 upwards.

    The difference of two branches is monotone in gamma, because the one at larger T has the
    steeper slope, so that each pair exchanges the global minimum at most once.
    """
    minima = [branch for branch in branches if branch.kind < 0]
    if not minima:
        return []
    if curve.depth == inf:
        # the limit of the first-order transition, whose gamma (D+1) tends to the learnable signal
        heat = curve.spectrum.total_gain
        return [Transition(0.0, 0, 1.0, 0.0, heat, heat)]
    if curve.critical:
        return [Transition(curve.critical_gamma(signal), 2, 0.0, 0.0, 0.0, 0.0)]
    if curve.alpha < 0:
        return []
    current, found = len(minima) - 1, []
    while current >= 0:
        crossings = [
            (gamma, other)
            for other in range(-1, current)
            if (gamma := _crossing(minima, current, other)) is not None
        ]
        if not crossings:  # the branch goes over into the next one, with a jump below rounding
            current -= 1
            continue
        gamma, other = min(crossings)
        found.append(_first_order(branches, minima, current, other, gamma))
        current = other
    return found


def _crossing(minima: list[Branch], upper: int, lower: int) -> float | None:
    """Gamma above which minimum `lower` (-1: the trivial one) beats `upper`, or None."""
    a = minima[upper]
    start, stop = a.low, a.high
    if lower >= 0:
        start, stop = max(start, minima[lower].low), min(stop, minima[lower].high)
    if start >= stop:
        return None

    def excess(gamma: float) -> float:
        below = 0.0 if lower < 0 else minima[lower].value(gamma)[0]
        return a.value(gamma)[0] - below

    if start == 0:  # beyond the spectrum nothing is left to be exchanged
        start = float(np.exp(a.curve.log_gamma(np.array([a.curve.spectrum.right]))[0][0]))
    if start == 0 or excess(start) > 0 or excess(stop) < 0:
        return None
    # in ln(gamma), which may span hundreds of decades
    logarithm = brentq(lambda x: excess(exp(x)), log(start), log(stop), xtol=1e-15, rtol=1e-15)
    return exp(logarithm)


def _first_order(
    branches: list[Branch], minima: list[Branch], upper: int, lower: int, gamma: float
) -> Transition:
    loss, u_below, T_below = minima[upper].value(gamma)
    _, u_above, T_above = minima[lower].value(gamma) if lower >= 0 else (0.0, 0.0, 0.0)
    tops = []
    for branch in branches:
        if branch.kind > 0 and branch.low < gamma < branch.high:
            top, u, _ = branch.value(gamma)
            if u_above < u < u_below:
                tops.append(top)
    heat = gamma * (T_below - T_above)
    barrier = max(tops) - loss if tops else 0.0
    return Transition(gamma, 1, float(np.sqrt(u_below)), float(np.sqrt(u_above)), heat, barrier)
