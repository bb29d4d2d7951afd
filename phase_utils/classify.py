"""The order of a phase transition from measured curves: loss and slope against weight decay.

Between neighbouring gammas the branches from both sides are continued into the gap by polynomials,
with an error made of the scatter of the points and of the change with the polynomial's degree.
- Order 0: the loss changes by more than the slopes allow (mean value theorem).
- Order 1: the continued slopes stay apart all through the gap. Gamma is where the losses cross.
- Order 2: the slope vanishes at a finite gamma as a power of the distance, or it has a kink.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, nan
from typing import Any

import numpy as np
from scipy.optimize import brentq, least_squares

from phase_utils._check import Array, numeric
from phase_utils.transitions import Transition

SIGNIFICANT = 6.0  # a difference counts from this many standard errors on
SLOPE_FLOOR = 1e-8  # errors are never below this part of the largest slope or loss
TRIVIAL = 1e-6  # a slope below this part of the largest counts as zero
LEAST_POINTS = 10  # fewer cannot tell a jump from a steep change
UNRESOLVED = 0.15  # part of the range of the slope that one gap may hide
EXPONENTS = (0.25, 1.6)  # of the vanishing slope; outside, the transition is not of second order


@dataclass(frozen=True)
class NoTransition:
    """Loss and slope are smooth over the measured range; `evidence` says to what accuracy."""

    evidence: str


@dataclass(frozen=True)
class Undetermined:
    """The curves do not decide; `evidence` says what is missing."""

    evidence: str


def classify(gamma: Any, loss: Any, slope: Any) -> Transition | NoTransition | Undetermined:
    """Find the transition in measured curves and its order, with uncertainties.

    Parameters
    ----------
    gamma : (m,), >= 0, strictly increasing.
    loss : (m,), the loss with decay, L(gamma).
    slope : (m,), dL/dgamma, which is the penalty |w|^2 of the trained networks.

    Returns
    -------
    Transition
        The one of lowest order; of several first-order ones that with the largest latent heat
        (the others are in `evidence`). B_below, B_above and barrier are nan: curves do not tell.
        exponent is beta of B ~ (gamma_c - gamma)^beta, slope ~ B^2, for a slope that vanishes.
    NoTransition
        No singularity above the noise.
    Undetermined
        Too few points, too coarse, too noisy, or a slope that vanishes in some other way.

    Raises
    ------
    ValueError
        For arrays that are not finite, not 1-D, of different lengths, or gammas not increasing.

    Notes
    -----
    What happens within one gap of the grid is not seen: a continuous change sharper than the grid
    counts as a jump. A measured metastable branch has a zeroth-order jump where it ends.
    """
    gamma = numeric("gamma", gamma, ndim=(1,))
    loss, slope = numeric("loss", loss, ndim=(1,)), numeric("slope", slope, ndim=(1,))
    for name, values in (("loss", loss), ("slope", slope)):
        if len(values) != len(gamma):
            raise ValueError(f"{name} must have {len(gamma)} entries like gamma, got {len(values)}")
    if np.any(np.diff(gamma) <= 0) or gamma[0] < 0:
        raise ValueError("gamma must be >= 0 and strictly increasing, got it otherwise ordered")
    if len(gamma) < LEAST_POINTS:
        return Undetermined(f"{len(gamma)} points; {LEAST_POINTS} are needed")
    if np.ptp(slope) <= SLOPE_FLOOR * np.abs(loss).max() and np.abs(slope).max() <= np.ptp(slope):
        return NoTransition("the slope is zero throughout")
    gaps = [_Gap(gamma, loss, slope, i) for i in range(len(gamma) - 1)]
    return (
        _zeroth(gaps)
        or _first(gaps)
        or _unresolved(gaps, slope)
        or _vanishing(gamma, slope)
        or _kink(gaps)
        or NoTransition(
            f"over {len(gamma)} points the loss agrees with its slope and the slope with its "
            f"continuation, within {max(gap.error for gap in gaps if gap.tested):.2g}"
        )
    )


class _Branch:
    """One side of a gap: a polynomial for the slope, and the loss it implies."""

    def __init__(self, gamma: Array, loss: Array, slope: Array, floor: tuple[float, float]) -> None:
        """Points in order of their distance from the gap, the nearest first."""
        self.known = len(gamma) >= 2
        self.edge, self.width = gamma[0], np.ptp(gamma[:8]) if self.known else 1.0
        self.noise = max(_scatter(gamma, slope), floor[0])
        self.loss_noise = max(_scatter(gamma, loss), floor[1])
        self.slope, self.value = slope[0], loss[0]
        best = np.inf
        t = (gamma - self.edge) / self.width
        for degree in range(4):
            for points in (degree + 4, 2 * degree + 6, 4 * degree + 10):
                if points > len(gamma) and (degree or points != 4 or not self.known):
                    continue
                fit = _fit(t[:points], slope[:points], degree, self.noise)
                ahead = -0.5 * abs(t[1])  # half a step into the gap, on either side: t < 0 or > 0
                error = fit.error(-np.sign(t[1]) * abs(ahead))
                if error < best:
                    best, self.fit, self.used = error, fit, min(points, len(gamma))
        if self.known:
            rest = loss[: self.used] - self._integral(gamma[: self.used])
            self.anchor = float(rest.mean())
            self.anchor_error = max(float(rest.std()), self.loss_noise) / np.sqrt(self.used)

    def slope_at(self, gamma: float) -> tuple[float, float]:
        """Continued slope and its error."""
        t = (gamma - self.edge) / self.width
        return self.fit.value(t), self.fit.error(t)

    def derivative_at(self, gamma: float) -> tuple[float, float]:
        """Derivative of the continued slope and its error."""
        t = (gamma - self.edge) / self.width
        low, high = self.fit.value(t, 1), self.fit.finer(t, 1)
        return low / self.width, hypot(low - high, self.fit.spread(t, 1)) / self.width

    def loss_at(self, gamma: float) -> float:
        """Continued loss."""
        return self.anchor + float(self._integral(np.array(gamma)))

    def _integral(self, gamma: Array) -> Array:
        t = (gamma - self.edge) / self.width
        return np.asarray(
            self.width
            * np.polynomial.polynomial.polyval(t, np.polynomial.polynomial.polyint(self.fit.low))
        )


@dataclass(frozen=True)
class _Fit:
    """Polynomial least squares, with one degree more to tell the error of truncation."""

    low: Array
    high: Array
    covariance: Array

    def value(self, t: float, order: int = 0) -> float:
        return float(_powers(t, len(self.low), order) @ self.low)

    def finer(self, t: float, order: int = 0) -> float:
        return float(_powers(t, len(self.high), order) @ self.high)

    def spread(self, t: float, order: int = 0) -> float:
        v = _powers(t, len(self.low), order)
        return float(np.sqrt(v @ self.covariance @ v))

    def error(self, t: float) -> float:
        return hypot(self.value(t) - self.finer(t), self.spread(t))


def _fit(t: Array, values: Array, degree: int, noise: float) -> _Fit:
    vander = np.vander(t, degree + 2, increasing=True)
    high = np.linalg.lstsq(vander, values, rcond=None)[0]
    freedom = len(t) - degree - 2
    if freedom > 0:
        noise = max(noise, float(np.sqrt(np.sum((values - vander @ high) ** 2) / freedom)))
    inverse = np.linalg.pinv(vander[:, :-1])
    return _Fit(inverse @ values, high, noise**2 * inverse @ inverse.T)


def _powers(t: float, count: int, order: int) -> Array:
    """The row of powers of t whose product with the coefficients is the value or derivative."""
    exponents = np.arange(count)
    if order == 0:
        return np.asarray(float(t) ** exponents)
    return np.asarray(exponents * float(t) ** np.maximum(exponents - 1, 0))


def _scatter(gamma: Array, values: Array) -> float:
    """Robust standard deviation of the noise: how far the points are from their neighbours."""
    residuals = _residuals(gamma, values)[:12]
    return 1.4826 * float(np.median(np.abs(residuals))) if len(residuals) else 0.0


def _residuals(gamma: Array, values: Array) -> Array:
    """Distance of points 2..m-3 from the cubic through four neighbours, per unit of noise."""
    centre = np.arange(2, len(gamma) - 2)
    offsets = (-2, -1, 1, 2)
    weights = [
        np.prod(
            [
                (gamma[centre] - gamma[centre + k]) / (gamma[centre + j] - gamma[centre + k])
                for k in offsets
                if k != j
            ],
            axis=0,
        )
        for j in offsets
    ]
    expected = sum(w * values[centre + j] for w, j in zip(weights, offsets, strict=True))
    return np.asarray((values[centre] - expected) / np.sqrt(1 + np.sum(np.square(weights), axis=0)))


class _Gap:
    """The interval between two neighbouring gammas and the branches on both sides of it."""

    def __init__(self, gamma: Array, loss: Array, slope: Array, i: int) -> None:
        self.low, self.high = float(gamma[i]), float(gamma[i + 1])
        floor = (SLOPE_FLOOR * np.abs(slope).max(), SLOPE_FLOOR * np.abs(loss).max())
        self.left = _Branch(gamma[i::-1], loss[i::-1], slope[i::-1], floor)
        self.right = _Branch(gamma[i + 1 :], loss[i + 1 :], slope[i + 1 :], floor)
        self.tested = self.left.known and self.right.known
        self.change = abs(float(slope[i + 1] - slope[i]))
        self.error, self.jump, self.significance = np.inf, 0.0, 0.0
        if self.tested:
            inside = np.linspace(self.low, self.high, 5)
            differences, errors = np.array([self._difference(g) for g in inside]).T
            self.error = float(errors.max())
            if np.all(differences > 0) or np.all(differences < 0):
                self.significance = float(np.min(np.abs(differences) / errors))
                self.jump = float(differences[2])

    def _difference(self, gamma: float) -> tuple[float, float]:
        (a, a_error), (b, b_error) = self.left.slope_at(gamma), self.right.slope_at(gamma)
        return a - b, hypot(a_error, b_error)

    @property
    def width(self) -> float:
        return self.high - self.low

    def loss_jump(self) -> tuple[float, float]:
        """Change of the loss beyond what slopes between those at the ends allow; its error."""
        change = self.right.value - self.left.value
        bounds = sorted((self.left.slope * self.width, self.right.slope * self.width))
        excess = change - float(np.clip(change, *bounds))
        slopes = self.width * hypot(self.left.noise, self.right.noise)
        return excess, hypot(slopes, hypot(self.left.loss_noise, self.right.loss_noise))

    def crossing(self) -> tuple[float, float]:
        """Gamma at which the continued losses are equal, and its error."""

        def difference(gamma: float) -> float:
            return self.left.loss_at(gamma) - self.right.loss_at(gamma)

        ends = difference(self.low), difference(self.high)
        if ends[0] * ends[1] < 0:
            gamma = brentq(difference, self.low, self.high, xtol=1e-15)
        else:  # noise has moved the crossing out of the gap
            gamma = self.low if abs(ends[0]) < abs(ends[1]) else self.high
        jump, error = self._difference(gamma)
        anchors = hypot(self.left.anchor_error, self.right.anchor_error)
        return gamma, hypot(anchors, error * self.width) / abs(jump)

    def kink(self) -> tuple[float, float, float]:
        """Gamma where the continued slopes cross, its error, and the kink's significance."""
        middle = (self.low + self.high) / 2
        difference, error = self._difference(middle)
        (a, a_error), (b, b_error) = (
            self.left.derivative_at(middle),
            self.right.derivative_at(middle),
        )
        if a == b:
            return middle, np.inf, 0.0
        gamma = middle - difference / (a - b)
        gamma_error = error / abs(a - b)
        inside = abs(gamma - middle) <= 0.5 * self.width + 2 * gamma_error
        return gamma, gamma_error, abs(a - b) / hypot(a_error, b_error) if inside else 0.0


def _zeroth(gaps: Sequence[_Gap]) -> Transition | None:
    jumps = [gap.loss_jump() for gap in gaps]
    found = [k for k, (jump, error) in enumerate(jumps) if abs(jump) > SIGNIFICANT * error]
    if not found:
        return None
    k = max(found, key=lambda k: abs(jumps[k][0]))
    gap, (jump, error) = gaps[k], jumps[k]
    gamma = (gap.low + gap.high) / 2
    return Transition(
        gamma=gamma,
        order=0,
        B_below=nan,
        B_above=nan,
        latent_heat=gamma * (gap.left.slope - gap.right.slope),
        barrier=nan,
        gamma_error=gap.width / 2,
        evidence=f"between {gap.low:.6g} and {gap.high:.6g} the loss changes by {jump:.4g} "
        f"(error {error:.2g}) beyond what its slope allows" + _others(gaps, found, k),
    )


def _first(gaps: Sequence[_Gap]) -> Transition | None:
    found = [k for k, gap in enumerate(gaps) if gap.significance > SIGNIFICANT]
    if not found:
        return None
    k = max(found, key=lambda k: gaps[k].high * abs(gaps[k].jump))
    gap = gaps[k]
    gamma, error = gap.crossing()
    jump, jump_error = gap._difference(gamma)
    return Transition(
        gamma=gamma,
        order=1,
        B_below=nan,
        B_above=nan,
        latent_heat=gamma * jump,
        barrier=nan,
        gamma_error=error,
        evidence=f"between {gap.low:.6g} and {gap.high:.6g} the slope jumps by {jump:.4g} "
        f"(error {jump_error:.2g}) and the loss does not" + _others(gaps, found, k),
    )


def _others(gaps: Sequence[_Gap], found: Sequence[int], chosen: int) -> str:
    rest = [f"{(gaps[k].low + gaps[k].high) / 2:.4g}" for k in found if k != chosen]
    return f"; further jumps near {', '.join(rest)}" if rest else ""


def _unresolved(gaps: Sequence[_Gap], slope: Array) -> Undetermined | None:
    """A gap over which the slope changes much, by an amount the neighbours do not foretell."""
    limit = UNRESOLVED * float(np.ptp(slope))
    for gap in gaps:
        if gap.change > limit and gap.error > gap.change / 2:
            return Undetermined(
                f"between {gap.low:.6g} and {gap.high:.6g} the slope changes by {gap.change:.4g}, "
                f"known from its neighbours to {gap.error:.2g} only: refine the grid there"
            )
    return None


def _vanishing(gamma: Array, slope: Array) -> Transition | Undetermined | None:
    """A slope that reaches zero within the range and stays there: fit A t^p (1 + c t)."""
    noise = np.maximum(_local_noise(gamma, slope), SLOPE_FLOOR * slope.max())
    above = np.flatnonzero(slope > np.maximum(TRIVIAL * slope.max(), SIGNIFICANT * noise))
    count = int(above[-1]) + 1 if len(above) else 0
    if count > len(gamma) - 2:
        return None
    gap = float(gamma[count] - gamma[count - 1]) if count else nan
    sizes = [n for n in (count, count // 2, count // 4) if n >= 6]
    fits = [
        f
        for n in sizes
        if (f := _power(gamma[:count][-n:], slope[:count][-n:], noise[:count][-n:]))
    ]
    if not fits:
        return Undetermined(f"the slope vanishes after {count} points, too few for its power law")
    # The change from one window to the next tells the truncation; the smallest window has no next.
    judged = [
        (hypot(f[3], f[2] - s[2]), hypot(f[1], f[0] - s[0]), f)
        for f, s in zip(fits, [*fits[1:], *fits[-2:][:1]], strict=True)
    ]
    p_error, gamma_error, (critical, _, p, _, reduced) = min(judged, key=lambda j: j[0])
    law = f"the slope vanishes as t^p, p = {p:.4g} (error {p_error:.2g}), at {critical:.6g}"
    if not EXPONENTS[0] < p < EXPONENTS[1] or p_error > 0.25:
        return Undetermined(f"{law}: not the kink of a second-order transition, or not resolved")
    return Transition(
        gamma=critical,
        order=2,
        B_below=nan,
        B_above=nan,
        latent_heat=0.0,
        barrier=nan,
        gamma_error=min(gamma_error, gap + gamma_error),
        exponent=p / 2,
        exponent_error=p_error / 2,
        evidence=f"{law}; chi^2 per degree of freedom {reduced:.2g}; no jump of slope or loss",
    )


def _local_noise(gamma: Array, values: Array) -> Array:
    """Noise at every point: the median over nine neighbouring residuals."""
    residuals = np.pad(np.abs(_residuals(gamma, values)), 6, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(residuals, 9)
    return 1.4826 * np.asarray(np.median(windows, axis=1))


def _power(
    gamma: Array, slope: Array, noise: Array
) -> tuple[float, float, float, float, float] | None:
    """Fit slope = A t^p (1 + c t), t = gamma_c - gamma: gamma_c, error, p, error, reduced chi^2."""
    last, width = float(gamma[-1]), float(np.ptp(gamma))
    step = float(gamma[-1] - gamma[-2])

    def model(parameters: Array) -> Array:
        t = (last + np.exp(parameters[0]) * step - gamma) / width
        return np.asarray(np.exp(parameters[1]) * t ** parameters[2] * (1 + parameters[3] * t))

    start = np.array([0.0, np.log(slope[0]), 1.0, 0.0])
    # A log-uniform start keeps gamma_c beyond the last point; the scale keeps early steps finite.
    scale = noise + 1e-3 * slope
    for weights in (scale, noise):
        found = least_squares(
            lambda q, w=weights: (model(q) - slope) / w, start, method="lm", max_nfev=2000
        )
        start = found.x
    freedom = len(gamma) - 4
    reduced = float(2 * found.cost / freedom)
    try:
        covariance = np.linalg.inv(found.jac.T @ found.jac) * max(1.0, reduced)
    except np.linalg.LinAlgError:
        return None
    beyond = float(np.exp(found.x[0]) * step)
    errors = np.sqrt(np.diag(covariance))
    if not np.all(np.isfinite(errors)):
        return None
    return last + beyond, beyond * float(errors[0]), float(found.x[2]), float(errors[2]), reduced


def _kink(gaps: Sequence[_Gap]) -> Transition | None:
    kinks = [(gap.kink() if gap.tested else (nan, nan, 0.0)) for gap in gaps]
    gamma, error, significance = max(kinks, key=lambda kink: kink[2])
    if significance <= SIGNIFICANT:
        return None
    return Transition(
        gamma=gamma,
        order=2,
        B_below=nan,
        B_above=nan,
        latent_heat=0.0,
        barrier=nan,
        gamma_error=error,
        evidence=f"the slope is continuous and its derivative jumps, {significance:.3g} times "
        "its error; the slope does not vanish",
    )
