"""The order of a phase transition from measured curves: loss and slope against weight decay.

Between neighbouring gammas the branches on both sides are continued into the gap (`gaps`, `sides`).
- Order 0: the loss changes by more than the slopes allow (mean value theorem).
- Order 1: the continued slopes stay apart all through the gap. Gamma is where the losses cross.
- Order 2: the slope vanishes as a power p <= 1 of the distance (`power_law`), or it has a kink.
"""

from dataclasses import dataclass
from math import hypot, nan

import numpy as np
from numpy.typing import ArrayLike

from phase_utils._check import Array, non_negative, numeric
from phase_utils.sweeps.gaps import Gaps
from phase_utils.sweeps.power_law import fit_power_law
from phase_utils.sweeps.residuals import LEAST_ERROR, local_noise
from phase_utils.sweeps.sides import Indices
from phase_utils.theory.transitions import Transition

SIGNIFICANT = 6.0  # a difference counts from this many standard errors on
NEGLIGIBLE = 1e-6  # a slope below this part of the largest counts as zero
LEAST_POINTS = 10  # fewer cannot tell a jump from a steep change
UNRESOLVED = 0.15  # part of the range of the slope that one gap may hide
LEAST_POWER = 0.35  # a slope that vanishes more steeply looks like a jump
HIGHEST_POWER = 1.05  # above 1 the second derivative of the loss is continuous
FADING = 0.01  # part of the largest slope from which zero is reached smoothly, not abruptly
POWER_ERROR = 1 / 3  # three errors then tell powers 1 and 2 apart


@dataclass(frozen=True)
class NoTransition:
    """Loss and slope are smooth over the measured range.

    Attributes
    ----------
    evidence : str
        To what accuracy.
    """

    evidence: str


@dataclass(frozen=True)
class Undetermined:
    """The curves do not decide.

    Attributes
    ----------
    evidence : str
        What is missing.
    """

    evidence: str


Verdict = Transition | NoTransition | Undetermined


def classify(gamma: ArrayLike, loss: ArrayLike, slope: ArrayLike) -> Verdict:
    """Find the transition in measured curves and its order, with uncertainties.

    Parameters
    ----------
    gamma : (m,) array_like
        Weight decays >= 0, strictly increasing.
    loss : (m,) array_like
        The loss with decay, L(gamma).
    slope : (m,) array_like
        dL/dgamma, which is the penalty |w|^2 of the trained networks.

    Returns
    -------
    Transition
        The one of lowest order; of several of order 1 that with the largest latent heat, of order 0
        the largest jump (the others are in `evidence`). Errors are standard errors; gamma_error of
        order 0 is half the gap. B_below, B_above and barrier are nan: curves do not tell. exponent
        is beta of B ~ (gamma_c - gamma)^beta, slope ~ B^2, for a slope that vanishes.
    NoTransition
        No singularity of order 0, 1 or 2 above the noise.
    Undetermined
        Too few points, too coarse, too noisy, or a singularity of higher order.

    Raises
    ------
    ValueError
        For arrays that are not finite, not 1-D, of different lengths, or gammas not increasing.

    Notes
    -----
    What happens within one gap of the grid is not seen: a continuous change sharper than the grid
    counts as a jump, and a smooth crossover needs about six points per width. A second-order
    transition at 15 points, or noise of 1e-3 of the largest slope, may stay open. A measured
    metastable branch has a zeroth-order jump where it ends.

    Examples
    --------
    >>> import numpy as np
    >>> import phase_utils as pu
    >>> gamma = np.linspace(0.05, 0.25, 60)
    >>> best = pu.Landscape(pu.Moments.isotropic(), depth=2).global_minimum(gamma)
    >>> found = pu.classify(gamma, best.loss, best.slope)
    >>> found.order, round(found.gamma, 3)
    (1, 0.137)
    """
    gamma = non_negative("gamma", gamma, ndim=(1,))
    loss, slope = numeric("loss", loss, ndim=(1,)), numeric("slope", slope, ndim=(1,))
    for name, values in (("loss", loss), ("slope", slope)):
        if len(values) != len(gamma):
            raise ValueError(f"{name} must have {len(gamma)} entries like gamma, got {len(values)}")
    if np.any(steps := np.diff(gamma) <= 0):
        i = int(np.argmax(steps))
        raise ValueError(
            f"gamma must be strictly increasing, got {gamma[i]:g} before {gamma[i + 1]:g}"
        )
    if len(gamma) < LEAST_POINTS:
        return Undetermined(f"There are {len(gamma)} points, and {LEAST_POINTS} are needed.")
    gaps = Gaps(gamma, loss, slope)
    law = _vanishing(gamma, slope)
    return (
        _zeroth(gaps)
        or (law if isinstance(law, Transition) else None)
        or _first(gaps)
        or law
        or _unresolved(gaps)
        or _kink(gaps)
        or _none(gaps)
    )


def _zeroth(gaps: Gaps) -> Transition | None:
    excess, error = gaps.loss_excess()
    found = np.flatnonzero(np.abs(excess) > SIGNIFICANT * error)
    if not len(found):
        return None
    k = int(found[np.argmax(np.abs(excess[found]))])
    gamma = float(gaps.low[k] + gaps.high[k]) / 2
    jump = float(gaps.slope[k] - gaps.slope[k + 1])
    return Transition(
        gamma=gamma,
        order=0,
        B_below=nan,
        B_above=nan,
        latent_heat=gamma * jump,
        barrier=nan,
        gamma_error=float(gaps.width[k]) / 2,
        evidence=f"Between gamma = {gaps.low[k]:.6g} and {gaps.high[k]:.6g} the loss changes by "
        f"{excess[k]:.4g} (error {error[k]:.2g}) more than its slope allows."
        + _others(gaps, found, k),
    )


def _first(gaps: Gaps) -> Transition | None:
    crossing, crossing_error = gaps.crossing()
    jump, jump_error = gaps.slope_difference(crossing)
    significance = np.minimum(gaps.slope_gap()[0], np.abs(jump) / jump_error)
    found = np.flatnonzero(significance > SIGNIFICANT)
    if not len(found):
        return None
    k = int(found[np.argmax((crossing * np.abs(jump))[found])])
    gamma, error = float(crossing[k]), float(crossing_error[k])
    return Transition(
        gamma=gamma,
        order=1,
        B_below=nan,
        B_above=nan,
        latent_heat=gamma * float(jump[k]),
        barrier=nan,
        gamma_error=error,
        latent_heat_error=hypot(gamma * float(jump_error[k]), error * float(jump[k])),
        evidence=f"Between gamma = {gaps.low[k]:.6g} and {gaps.high[k]:.6g} the slope jumps by "
        f"{jump[k]:.4g} (error {jump_error[k]:.2g}) while the loss is continuous."
        + _others(gaps, found, k),
    )


def _others(gaps: Gaps, found: Indices, chosen: int) -> str:
    places = [f"{(gaps.low[k] + gaps.high[k]) / 2:.4g}" for k in found if k != chosen]
    return f" There are further jumps near gamma = {', '.join(places)}." if places else ""


def _vanishing(gamma: Array, slope: Array) -> Transition | Undetermined | None:
    """A slope that reaches zero within the range and stays there."""
    largest = np.abs(slope).max()
    noise = np.maximum(local_noise(gamma, slope), LEAST_ERROR * largest)
    above = np.flatnonzero(np.abs(slope) > np.maximum(NEGLIGIBLE * largest, SIGNIFICANT * noise))
    count = int(above[-1]) + 1 if len(above) else 0
    if not 0 < count <= len(gamma) - 2:
        return None
    law = fit_power_law(gamma, slope, noise, count)
    if law is None:
        return Undetermined(
            f"The slope vanishes after {count} points, and no power law is resolved by them."
        )
    text = (
        f"The slope vanishes as t^p with p = {law.power:.4g} (error {law.power_error:.2g}), "
        f"t = gamma_c - gamma, at gamma_c = {law.gamma:.6g} (error {law.gamma_error:.2g})"
    )
    fades = abs(slope[count - 1]) < FADING * largest
    if fades and (law.pinned or law.power - 3 * law.power_error > 2):
        return None  # as a smooth curve may
    if law.pinned or law.power_error > POWER_ERROR or law.power - law.power_error < LEAST_POWER:
        return Undetermined(f"{text}, which is not resolved.")
    if law.power - 3 * law.power_error > HIGHEST_POWER:
        return Undetermined(f"{text}, so that a transition would be of higher than second order.")
    return Transition(
        gamma=law.gamma,
        order=2,
        B_below=nan,
        B_above=nan,
        latent_heat=0.0,
        barrier=nan,
        gamma_error=law.gamma_error,
        exponent=law.power / 2,
        exponent_error=law.power_error / 2,
        evidence=f"{text}, with chi^2 = {law.misfit:.2g} per degree of freedom; neither loss nor "
        "slope jumps.",
    )


def _unresolved(gaps: Gaps) -> Undetermined | None:
    """A gap over which the slope changes much, by an amount the neighbours do not foretell."""
    change, error = np.abs(np.diff(gaps.slope)), gaps.unforeseen()
    noise = np.maximum(gaps.below.noise, gaps.above.noise)
    large = change > np.maximum(UNRESOLVED * np.ptp(gaps.slope), SIGNIFICANT * noise)
    hidden = large & (error > change / 2)
    if not hidden.any():
        return None
    k = int(np.argmax(np.where(hidden, change, 0)))
    return Undetermined(
        f"Between gamma = {gaps.low[k]:.6g} and {gaps.high[k]:.6g} the slope changes by "
        f"{change[k]:.4g}, known from its neighbours only to {error[k]:.2g}: refine the grid there."
    )


def _kink(gaps: Gaps) -> Transition | None:
    gamma, error, significance = gaps.kinks()
    k = int(np.argmax(significance))
    if significance[k] <= SIGNIFICANT:
        return None
    return Transition(
        gamma=float(gamma[k]),
        order=2,
        B_below=nan,
        B_above=nan,
        latent_heat=0.0,
        barrier=nan,
        gamma_error=float(error[k]),
        evidence=f"At gamma = {gamma[k]:.6g} the slope is continuous and its derivative jumps by "
        f"{significance[k]:.3g} times the error; the slope does not vanish there.",
    )


def _none(gaps: Gaps) -> NoTransition:
    error = gaps.slope_gap()[1][gaps.known].max()
    return NoTransition(
        f"Over {len(gaps.slope)} points the loss agrees with its slope, and the slope with its "
        f"continuation across every gap, to {error:.2g}."
    )
