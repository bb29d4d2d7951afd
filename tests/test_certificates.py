"""`gap` against arithmetic of sixty digits, in units that take floats to their ends.

A case draws the number of modes, the units of x and y, the depth, the noise, the decay ratios and
the power of the penalty, and looks at gamma = 0, around every transition and spinodal, at tiny and
at huge decays. Beside the certified loss it compares what is computed without a bound: minima, B,
transitions and spinodals. `pytest -m scheduled tests/test_certificates.py` runs them all.
"""

import math
from collections.abc import Iterable

import high_precision
import mpmath
import numpy as np
import pytest
from mpmath import mpf

import phase_utils as pu

DEPTHS = (0, 0.5, 1, 1.5, 2, 3, 10, 1000, math.inf)
SAMPLE = 9  # one for each depth
CASES, BUNDLE = 720, 40
SMALLEST = 1e-300  # what is below may be 0 as a float


class Case:
    """A landscape in odd units and the same in sixty digits."""

    def __init__(self, seed: int, depth: float | None = None, **options: float) -> None:
        rng = np.random.default_rng([seed, 13])
        d = int(rng.choice([1, 2, 5]))
        self.depth = DEPTHS[seed % len(DEPTHS)] if depth is None else depth
        x, y = 10.0 ** rng.uniform(-140, 140, 2)
        a = 10.0 ** rng.uniform(-rng.choice([0.5, 4, 12]), 0, d)
        e = rng.normal(size=d) * np.sqrt(a) * 10.0 ** rng.uniform(-rng.choice([0, 3]), 0, d)
        Eyy = float(np.sum(e**2 / a)) * (1 + 10.0 ** rng.uniform(-8, 3))
        options = options or _options(rng, self.depth)
        moments = pu.Moments.from_spectrum(a * x * x, e * x * y, Eyy * y * y)
        self.land = pu.Landscape(moments, self.depth, **options)
        self.text = f"case {seed}: {d} modes, depth {self.depth}, x {x:.1e}, y {y:.1e}, {options}"
        self.exact = high_precision.Problem(
            [mpf(v) for v in moments.eigenvalues.tolist()],
            [mpf(v) for v in moments.signals.tolist()],
            mpf(self.depth),
            _noise(options, self.depth),
            _mean_ratio(options),
            mpf(self.land.penalty_power),
        )

    def decays(self) -> list[float]:
        """Weight decays at which something may go wrong."""
        land = self.land
        places = [t.gamma for t in land.transitions()] + [s.gamma for s in land.spinodals()]
        shifts = (0.5, 1 - 1e-9, 1, 1 + 1e-9, 2)
        # where the ridge penalty is an eigenvalue
        edges = [mpmath.exp(self.exact.log_gamma(-mpmath.log(h))) for h, _ in self.exact.modes]
        wide = [float(edges[0] * f) for f in (1e-60, 1e-9, 0.01, 0.3, 1e9, 1e60)]
        found = [0.0, 1e-300, 1e300, *(p * f for p in places for f in shifts), *wide]
        return [gamma for gamma in found if 0 <= gamma < math.inf]

    def worst(self) -> tuple[int, float]:
        """How many minima were looked at, and the largest error of their loss in units of gap."""
        gamma = np.array(self.decays())
        with np.errstate(all="raise", under="ignore"):
            found = self.land.global_minimum(gamma)
        Eyy = self.land.moments.Eyy
        assert np.all(found.gap <= 1e-10 * Eyy)
        ratios = []
        for i, g in enumerate(gamma.tolist()):
            true = mpf(Eyy) - self.exact.least(mpf(g)).gain
            ratios.append(float(abs(mpf(float(found.loss[i])) - true) / mpf(float(found.gap[i]))))
        return len(gamma), max(ratios)

    def check_states(self) -> None:
        """All stationary B, and the global one, away from where rounding is amplified."""
        land, exact = self.land, self.exact
        if math.isinf(self.depth):
            return
        turns = [mpmath.exp(exact.log_gamma(t)) for t in exact.turning_points]
        for gamma in self.decays():
            near = any(abs(gamma / turn - 1) < 1e-3 for turn in turns)
            if gamma == 0 or near or (exact.exponent == 1 and gamma > 0.99 * _critical(exact)):
                continue
            states = exact.stationary(mpf(gamma))
            B, kind = land.stationary(gamma)
            states = [s for s in states if s.B > SMALLEST]
            B, kind = B[B > SMALLEST], kind[B > SMALLEST]
            assert B.tolist() == pytest.approx([float(s.B) for s in states], rel=1e-11), gamma
            force = exact.force(mpf(gamma))
            for state, sign in zip(states, kind, strict=True):
                assert (force(state.t + mpf("1e-9")) > 0) == (sign > 0)

    def check_transitions(self) -> float:
        """That none is wrong or missing; the largest relative error of gamma."""
        land, exact = self.land, self.exact
        found, error = land.transitions(), 0.0
        ends = sorted(mpmath.exp(exact.log_gamma(t)) for t in exact.turning_points)
        spinodals = land.spinodals()
        assert len(spinodals) == len(ends)
        for one, end in zip(spinodals, ends, strict=True):
            error = max(error, _relative(one.gamma, end))
        if math.isinf(self.depth):
            (jump,) = found
            gain = exact.least(mpf(0)).gain
            assert (jump.gamma, jump.order) == (0, 0)
            assert abs(mpf(jump.latent_heat) - gain) < 1e-13 * gain + SMALLEST
            return error
        if exact.exponent > 1:
            assert found == []
            return error
        if exact.exponent == 1:
            gamma = _critical(exact)
            if not SMALLEST < gamma < 1 / SMALLEST:
                return error
            (critical,) = found
            assert critical.order == 2
            return max(error, _relative(critical.gamma, gamma))
        label = len(exact.turning_points)  # of the branch of the global minimum, from gamma = 0 on
        for t in found:
            gamma, below, above = exact.coexistence(mpf(t.gamma), mpf(t.B_below), mpf(t.B_above))
            heat = gamma * (below.T - above.T)
            # the rounding of both losses, as a share of all that can be learned, moves a weak one
            weak = min(1, 100 * heat / exact.least(mpf(0)).gain)
            error = max(error, _relative(t.gamma, gamma) * float(weak))
            assert abs(mpf(t.latent_heat) - heat) < 1e-9 * heat + SMALLEST, t
            tops = [s.gain for s in exact.stationary(gamma) if above.t < s.t < below.t]
            barrier = below.gain - min(tops)
            assert abs(mpf(t.barrier) - barrier) < 1e-9 * barrier + 1e-13 * heat + SMALLEST, t
            assert self._label(gamma * (1 - mpf("1e-7"))) == label, "a transition is missing"
            label = self._label(gamma * (1 + mpf("1e-7")))
        assert self._label(mpf(SMALLEST)) == -1 or label == -1, "a transition is missing"
        return error

    def _label(self, gamma: mpf) -> int:
        """The branch of the exact global minimum: turning points below it, -1 if trivial."""
        state = self.exact.least(gamma)
        return sum(state.t > t for t in self.exact.turning_points) if state.B else -1


def _options(rng: np.random.Generator, depth: float) -> dict:
    """Noise, decay ratios and a power, or none of them."""
    options, whole = {}, isinstance(depth, int)
    if rng.random() < 0.3:
        options["noise_factor"] = float(10.0 ** rng.choice([0.1, 2, 6, 200]))
    elif whole and rng.random() < 0.5:
        options |= {"width": 8, "noise_variance": float(rng.choice([0.1, 5]))}
    if whole and depth < 100 and rng.random() < 0.3:
        options["decay_ratios"] = (10.0 ** rng.uniform(-3, 3, depth + 1)).tolist()
    if depth < math.inf and rng.random() < 0.25:
        options["penalty_power"] = float(rng.choice([0.3, 1, 2.5, depth + 1, 7]))
    return options


def _relative(found: float, true: mpf) -> float:
    return float(abs(mpf(found) - true) / max(true, mpf(SMALLEST)))


def _critical(exact: high_precision.Problem) -> mpf:
    """Gamma of the critical point at p = D + 1, the left end of the curve."""
    return mpmath.exp(exact.log_gamma(min(exact.grid) - 10_000))


def _noise(options, depth) -> mpf:
    if "noise_factor" in options:
        return mpf(options["noise_factor"])
    variance = mpf(options.get("noise_variance", 0))
    return (1 + variance / options["width"]) ** depth if variance else mpf(1)


def _mean_ratio(options) -> mpf:
    ratios = [mpf(r) for r in options.get("decay_ratios", [1])]
    return mpmath.exp(mpmath.fsum(mpmath.log(r) for r in ratios) / len(ratios))


def examine(cases: Iterable[Case]) -> tuple[int, float, float]:
    """Minima looked at, worst error in units of gap, worst relative error of a gamma."""
    minima, worst, gammas = 0, 0.0, 0.0
    for case in cases:
        try:
            count, ratio = case.worst()
            assert ratio <= 1
            case.check_states()
            error = case.check_transitions()
            assert error <= 1e-11
        except Exception as problem:
            problem.add_note(case.text)
            raise
        minima, worst, gammas = minima + count, max(worst, ratio), max(gammas, error)
    return minima, worst, gammas


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_no_gap_is_exceeded(seed):
    examine([Case(seed)])


@pytest.mark.scheduled
@pytest.mark.parametrize("first", range(SAMPLE, CASES, BUNDLE))
def test_no_gap_is_exceeded_in_the_whole_campaign(first):
    examine(map(Case, range(first, min(first + BUNDLE, CASES))))


@pytest.mark.parametrize(
    ("depth", "power"),
    [(1e17, 2), (1e308, 2), (1e8, 2), (2, 1e10), (0, 1e9), (2, 1e-10), (2, 1e-300), (5, 1e4)],
)
@pytest.mark.parametrize("seed", [0, 1])
def test_no_gap_is_exceeded_at_absurd_depths_and_powers(depth, power, seed):
    examine([Case(seed, depth, penalty_power=power)])
