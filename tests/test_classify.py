"""The order of a transition found in curves whose answer is known; the errors are calibrated."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import curves
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import CASCADE_TRANSITIONS, Isotropic

import phase_utils as pu
from phase_utils.sweeps import residuals
from phase_utils.sweeps.gaps import Gaps

NOISES = (0.0, 1e-8, 1e-5, 1e-3)


@dataclass(frozen=True)
class Outcome:
    curve: curves.Curve
    points: int
    verdict: pu.Transition | pu.NoTransition | pu.Undetermined

    @property
    def determined(self):
        return not isinstance(self.verdict, pu.Undetermined)

    @property
    def right(self):
        return getattr(self.verdict, "order", None) == self.curve.order

    def __str__(self):
        return f"{self.curve} with {self.points} points: {self.verdict}"


@cache
def outcomes(noise):
    """Every curve on a jittered or uniform grid, three sizes in turn; grids and seeds differ."""
    found = []
    for number, (curve, size) in enumerate(product(curves.CURVES, (15, 30, 70))):
        kind = ("uniform", "jittered", "geometric")[(number + number // 3) % 3]
        points = 200 if kind == "jittered" and size == 70 else max(size, curve.least)
        data = curves.measured(curve, kind, points, noise, number)
        found.append(Outcome(curve, points, pu.classify(*data)))
    return found


@pytest.mark.parametrize("noise", NOISES)
def test_the_order_is_right(noise):
    determined = [outcome for outcome in outcomes(noise) if outcome.determined]
    wrong = [str(outcome) for outcome in determined if not outcome.right]
    assert len(wrong) <= (0 if noise <= 1e-5 else 0.05 * len(determined)), "\n".join(wrong)


@pytest.mark.parametrize("noises", [*[(noise,) for noise in NOISES if noise <= 1e-5], NOISES])
def test_few_curves_stay_undetermined(noises):
    """At each noise up to 1e-5, and of all curves together with noise up to 1e-3."""
    judged = [outcome for noise in noises for outcome in outcomes(noise)]
    unsure = [str(outcome) for outcome in judged if not outcome.determined]
    assert len(unsure) <= 0.05 * len(judged), "\n".join(unsure)


def pulls(quantity):
    """Distances from the truth in reported errors, over all noises and curves rightly judged."""
    found = []
    for outcome in (o for noise in NOISES for o in outcomes(noise)):
        curve, verdict = outcome.curve, outcome.verdict
        truth = getattr(curve, {"latent_heat": "heat"}.get(quantity, quantity))
        if outcome.right and curve.order is not None and np.isfinite(truth):
            error = getattr(verdict, f"{quantity}_error")
            found.append(abs(getattr(verdict, quantity) - truth) / error)
    return np.array(found)


@pytest.mark.parametrize("quantity", ["gamma", "latent_heat", "exponent"])
def test_three_reported_errors_hold_the_truth(quantity):
    distances = pulls(quantity)
    inside = {k: round(float(np.mean(distances <= k)), 3) for k in (1, 2, 3)}
    print(f"{quantity}: {len(distances)} values, within k errors {inside}")
    assert len(distances) > 50
    assert inside[3] >= 0.95


def test_errors_are_not_idle():
    """Errors that hold the truth because they are large would be useless."""
    for noise, largest in ((0.0, 3e-3), (1e-5, 3e-3), (1e-3, 2e-2)):
        errors = [
            o.verdict.gamma_error / o.verdict.gamma
            for o in outcomes(noise)
            if o.right and o.curve.order in (1, 2) and o.points >= 30
        ]
        assert np.median(errors) < largest


@pytest.mark.parametrize("depth_one", [Isotropic(1), Isotropic(1, 1.7, 0.8, 1.3)])
def test_depth_one_has_exponent_one_half(depth_one):
    gamma = np.linspace(0.2, 1.4, 60) * depth_one.signal
    found = pu.classify(gamma, *depth_one.curve(gamma)[:2])
    assert found.order == 2
    assert found.gamma == pytest.approx(depth_one.signal, rel=1e-6)
    assert found.exponent == pytest.approx(0.5, abs=1e-4)
    assert found.exponent_error < 1e-3


@pytest.mark.parametrize("points", [30, 80])
def test_a_cascade_is_of_first_order_and_names_both_transitions(points):
    gamma = np.linspace(0.05, 0.2, points)
    found = pu.classify(gamma, *curves.cascade().function(gamma))
    assert found.order == 1
    assert abs(found.gamma - CASCADE_TRANSITIONS[0][0]) <= 3 * found.gamma_error
    assert "further jumps near gamma = 0.13" in found.evidence


@pytest.mark.parametrize("power", [1.5, 2.0])
def test_a_transition_of_third_order_is_not_called_second(power):
    gamma = np.linspace(0.1, 1.0, 80)
    t = np.maximum(0.637 - gamma, 0)
    found = pu.classify(gamma, 1 - t ** (power + 1) / (power + 1), t**power)
    assert isinstance(found, pu.Undetermined), found


@cache
def trained():
    """Minimum over initial scales of few networks: loss and slope for D = 0, 1, 2, 3."""
    moments = pu.Moments.isotropic(2)
    found = {}
    for depth in range(4):
        top = 1.7 * Isotropic(depth).critical if depth else 1.0
        gamma = np.linspace(0.1 * top, top, 24)
        ds = pu.sweep(
            moments,
            gamma=gamma,
            depth=depth,
            width=4,
            init_scale=(0.01, 0.5, 1.0),
            seed=0,
            device="cpu",
        ).isel(depth=0, seed=0)
        best = ds.isel(init_scale=ds.loss.argmin("init_scale"))
        found[depth] = gamma, best.loss.values, best.slope.values
    return found


@pytest.mark.parametrize("depth", range(4))
def test_trained_networks(depth):
    found = pu.classify(*trained()[depth])
    problem = Isotropic(depth)
    if depth == 0:
        assert isinstance(found, pu.NoTransition)
        return
    assert found.order == problem.order, found
    assert abs(found.gamma - problem.critical) <= 3 * found.gamma_error


def test_a_network_followed_to_its_spinodal_jumps_in_loss():
    problem = Isotropic(2)
    gamma = np.linspace(0.3, 1.3, 30) * problem.spinodal
    network = pu.LinearNetwork(pu.Moments.isotropic(2), depth=2, width=4)
    up = pu.hysteresis(network, gamma, init_scale=0.7).isel(seed=0).sel(direction="up")
    found = pu.classify(gamma, up.loss.values, up.slope.values)
    assert found.order == 0
    assert abs(found.gamma - problem.spinodal) <= found.gamma_error


UNITS = st.floats(-3, 3).map(lambda x: 10.0**x)


@settings(max_examples=15)
@given(st.sampled_from([c for c in curves.CURVES if "depth" in c.name]), UNITS, UNITS)
def test_units_do_not_matter(curve, gamma_unit, loss_unit):
    gamma, loss, slope = curves.measured(curve, "jittered", 30, 1e-5, 0)
    here = pu.classify(gamma, loss, slope)
    there = pu.classify(gamma * gamma_unit, loss * loss_unit, slope * loss_unit / gamma_unit)
    assert type(here) is type(there)
    if isinstance(here, pu.Transition):
        assert there.order == here.order
        moved = abs(there.gamma - here.gamma * gamma_unit)
        assert moved <= 0.1 * there.gamma_error + 1e-6 * there.gamma


@pytest.mark.parametrize("noise", [0.0, 1e-5])
def test_evidence_is_a_sentence_with_numbers(noise):
    for outcome in outcomes(noise):
        text = outcome.verdict.evidence
        assert text[0].isupper() and text.endswith(".") and any(c.isdigit() for c in text)


def test_too_few_points_and_a_zero_slope():
    gamma = np.linspace(0, 1, 9)
    assert isinstance(pu.classify(gamma, gamma, np.ones(9)), pu.Undetermined)
    gamma = np.linspace(0, 1, 20)
    assert isinstance(pu.classify(gamma, np.ones(20), np.zeros(20)), pu.NoTransition)
    assert isinstance(pu.classify(gamma, np.zeros(20), np.zeros(20)), pu.NoTransition)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"gamma": np.ones(20)}, "gamma must be strictly increasing, got 1 before 1"),
        ({"gamma": -np.arange(20.0)[::-1]}, "gamma must be >= 0, got -19"),
        ({"gamma": np.ones((2, 10))}, r"gamma must have 1 dimensions, got shape \(2, 10\)"),
        ({"loss": np.ones(19)}, "loss must have 20 entries like gamma, got 19"),
        ({"slope": np.ones(21)}, "slope must have 20 entries like gamma, got 21"),
        ({"loss": np.full(20, np.nan)}, "loss must be finite, got nan"),
        ({"slope": ["a"] * 20}, "slope must be real numbers"),
    ],
)
def test_bad_input_is_named(changed, message):
    arguments = {"gamma": np.arange(20.0), "loss": np.ones(20), "slope": np.ones(20)} | changed
    with pytest.raises(ValueError, match=message):
        pu.classify(**arguments)


def test_a_jump_of_the_loss_is_named_with_its_gap_and_the_slopes_beside_it():
    gamma = np.linspace(1.0, 2.0, 21)
    below = gamma < 1.475
    loss = np.where(below, 1 + 2 * gamma, 3.5 + 0.5 * gamma)
    verdict = pu.classify(gamma, loss, np.where(below, 2.0, 0.5))
    assert (verdict.order, verdict.gamma) == (0, pytest.approx(1.475))
    assert verdict.gamma_error == pytest.approx(0.025)
    assert verdict.latent_heat == pytest.approx(1.475 * 1.5)


def test_of_two_jumps_of_the_loss_the_larger_is_found_and_the_other_named():
    gamma = np.linspace(1.0, 2.0, 41)
    loss = gamma - 0.1 * (gamma > 1.21) - 0.4 * (gamma > 1.71)
    verdict = pu.classify(gamma, loss, np.ones_like(gamma))
    assert (verdict.order, verdict.gamma) == (0, pytest.approx(1.7125))
    assert "further jumps near gamma = 1.212" in verdict.evidence
    assert np.isnan([verdict.B_below, verdict.B_above, verdict.barrier]).all()


@pytest.mark.parametrize("power", [1.0, 0.5])
def test_the_end_of_a_clean_power_law_has_a_small_error(power):
    gamma = np.linspace(0.3, 1.6, 53)
    left = np.maximum(1 - gamma, 0)
    verdict = pu.classify(gamma, 1 - left ** (power + 1) / (power + 1), left**power)
    assert verdict.order == 2
    assert abs(verdict.gamma - 1) <= max(3 * verdict.gamma_error, 1e-6)
    assert verdict.gamma_error < 1e-3  # of a spacing of 0.025
    assert verdict.exponent == pytest.approx(power / 2, abs=1e-3)
    assert verdict.exponent_error < 1e-3


def test_branches_that_meet_within_a_gap_are_not_apart():
    gamma = np.linspace(0.0, 1.0, 12)
    gaps = Gaps(gamma, np.sin(gamma), np.cos(gamma))
    significance, error = gaps.slope_gap()
    assert np.all(error > 0)
    assert significance.min() == 0
    jump = Gaps(gamma, np.minimum(2 * gamma, 0.5 + gamma), np.where(gamma < 0.5, 2.0, 1.0))
    assert int(np.argmax(jump.slope_gap()[0])) == 5


def test_a_kink_of_the_slope_is_found_wherever_it_lies_in_its_gap():
    gamma = np.linspace(0.0, 2.0, 21)
    for share in (0.05, 0.5, 0.95):
        kink = 1.0 + 0.1 * share
        loss = gamma + 0.5 * np.maximum(gamma - kink, 0.0) ** 2
        gaps = Gaps(gamma, loss, 1 + np.maximum(gamma - kink, 0.0))
        places, errors, significance = gaps.kinks()
        assert significance.argmax() == 10
        assert significance[10] > 1e3
        assert abs(places[10] - kink) <= errors[10] + 1e-9
        assert significance[[5, 15]].max() < 1


def test_noise_is_the_median_of_what_deviates_nearby(monkeypatch):
    monkeypatch.setattr(residuals, "residuals", lambda _, values: values)  # as they deviate
    size = np.array([4.0, 1, 8, *[2.0] * 30, 7, 3, 5])
    sigma = residuals.local_noise(np.arange(len(size) + 4), size) / 1.4826
    # at the ends the larger of the two last deviations stands for what is beyond
    assert (sigma[0], sigma[-1]) == pytest.approx((4, 5))
    assert sigma[20] == pytest.approx(2)
    below, above = (
        residuals.one_sided(np.arange(len(size) + 4), size, step) / 1.4826 for step in (-1, 1)
    )
    assert above[len(size) - 2] == pytest.approx(5)  # the last that lies above
    assert below[4] == pytest.approx(4)  # the first that lies below
    assert below[20] == above[10] == pytest.approx(2)
    assert np.all(residuals.one_sided(np.arange(24), np.zeros(20), 1) > 0)
