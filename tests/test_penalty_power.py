"""The penalty gamma |w|^p: closed forms, brute force over ridge solutions, trained networks."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import phase_utils as pu

E, a = 0.45, 0.7
CASES = [(D, p) for D in (0, 0.5, 1, 2, 3, 10) for p in (0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 11, 13)]


def landscape(depth, power, **options):
    return pu.Landscape(pu.Moments.isotropic(3, a, E), depth, penalty_power=power, **options)


def gamma_of(beta, D, p):
    """The L2 equation of state gamma_e = E B^(D-1) - a B^(2D), and gamma from gamma_e."""
    u = beta ** (2 / (D + 1))
    effective = E * u ** ((D - 1) / 2) - a * u**D
    return effective * 2 / (p * ((D + 1) * u) ** ((p - 2) / 2))


@pytest.mark.parametrize(("D", "p"), CASES)
def test_closed_forms_of_isotropic_data(D, p):
    land, m = landscape(D, p), D + 1
    transitions, spinodals = land.transitions(), land.spinodals()
    if p > m:
        assert transitions == spinodals == []
        assert land.minima(1.0).min() > 0
    elif p == m:
        (transition,) = transitions
        assert transition.order == 2
        gamma = 2 / p * m ** (1 - p / 2) * E
        assert transition.gamma == pytest.approx(gamma, rel=1e-14)
        assert land.minima(0.999 * gamma).min() > 0
        assert land.minima(1.001 * gamma).tolist() == [0.0]
    else:
        # a beta^2 - 2 E beta + gamma T = 0 and m (E beta - a beta^2) = (p/2) gamma T
        beta, end = E * (m - p) / (a * (m - p / 2)), E * (m - p) / (a * (2 * m - p))
        ((transition,), (spinodal,)) = transitions, spinodals
        assert transition.order == 1
        assert transition.gamma == pytest.approx(gamma_of(beta, D, p), rel=1e-12)
        assert transition.B_below == pytest.approx(beta ** (1 / m), rel=1e-10)
        heat = 2 * E * beta - a * beta**2
        assert transition.latent_heat == pytest.approx(heat, rel=1e-10)
        assert spinodal.gamma == pytest.approx(gamma_of(end, D, p), rel=1e-12)
        assert spinodal.B**m == pytest.approx(end, rel=1e-8)


def test_spinodal_is_where_gamma_turns():
    for D, p in [(2, 1), (2, 2.5), (5, 4)]:
        (spinodal,) = landscape(D, p).spinodals()
        beta = spinodal.B ** (D + 1)
        around = gamma_of(beta * np.array([0.99, 1, 1.01]), D, p)
        assert around.argmax() == 1


@pytest.mark.parametrize(("D", "p"), [(0, 2), (1, 3), (2, 4), (2, 7), (0.5, 2)])
def test_without_a_trivial_phase_B_falls_as_a_power_of_gamma(D, p):
    gamma = np.array([1e8, 1e10])
    B = landscape(D, p).global_minimum(gamma).B
    exponent = np.diff(np.log(B)) / np.diff(np.log(gamma))
    np.testing.assert_allclose(exponent, -1 / (p - D - 1), rtol=1e-3)


@pytest.mark.parametrize(("D", "p"), CASES)
def test_slope_is_the_derivative_of_the_loss(D, p):
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    land = pu.Landscape(moments, D, penalty_power=p)
    gamma = np.array([1e-3, 0.03, 1.0])
    h = 1e-5 * gamma
    up, down = land.global_minimum(gamma + h).loss, land.global_minimum(gamma - h).loss
    found = land.global_minimum(gamma)
    np.testing.assert_allclose((up - down) / (2 * h), found.slope, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.slope, ((D + 1) * found.B**2) ** (p / 2), rtol=1e-12)


class PowerOfNorm:
    """A linear network under the penalty gamma (sum_l r_l |W_l|^2)^(p/2)."""

    def __init__(self, network, power):
        self.data_loss, self.order_parameter = network.data_loss, network.order_parameter
        self.penalty = lambda weights: network.penalty(weights) ** (power / 2)


@pytest.mark.parametrize(
    ("D", "p", "ratios"), [(1, 1.5, None), (1, 3, None), (2, 4, None), (2, 3, (0.5, 2.0, 3.0))]
)
def test_trained_networks_reach_the_minimum(D, p, ratios):
    moments = pu.Moments.from_spectrum([0.3, 1, 2], [0.3, 0.5, 0.2], 1.0)
    land = pu.Landscape(moments, D, 4, 0.2, ratios, p)
    network = pu.LinearNetwork(moments, D, 4, 0.2, decay_ratios=ratios)
    gamma = np.array([0.005, 0.02, 0.05])
    best = land.global_minimum(gamma)
    assert np.all(best.B > 0.1)
    init = network.initial_weights(0.5, np.arange(3))
    result = pu.train(PowerOfNorm(network, p), init, gamma)
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.loss, best.loss, rtol=1e-10)
    np.testing.assert_allclose(result.slope, best.slope, rtol=1e-5)
    np.testing.assert_allclose(result.B, best.B, rtol=1e-5)


spectra = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.just(1.0), st.floats(-12, 1).map(lambda x: 10.0**x)),
        st.one_of(st.just(0.0), st.floats(-1, 1)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60)
@given(
    spectra,
    st.one_of(st.sampled_from([0, 1, 2, 100, 10_000]), st.floats(0, 8)),
    st.one_of(st.sampled_from([1.0, 2.0, 3.0, 11.0]), st.floats(0.3, 12)),
    st.lists(st.floats(-6, 2), min_size=1, max_size=4),
)
def test_no_ridge_solution_lies_below_the_certified_minimum(modes, depth, power, log_gammas):
    values = np.array([mode[0] for mode in modes])
    signals = np.array([mode[1] for mode in modes]) * np.sqrt(values)
    kept = values > 0
    Eyy = 0.1 + float(np.sum(signals[kept] ** 2 / values[kept]))
    moments = pu.Moments.from_spectrum(values, signals, Eyy)
    land = pu.Landscape(moments, depth, penalty_power=power)
    # in units in which the penalty of |beta| = 1 is gamma
    gamma = 10.0 ** np.array(log_gammas) / (depth + 1) ** (power / 2)
    minimum = land.global_minimum(gamma)
    assert np.all(minimum.gap <= 1e-10 * Eyy)
    beta = moments.signals / (moments.eigenvalues + np.geomspace(1e14, 1e-14, 3000)[:, None])
    data = Eyy + np.sum(beta * (moments.eigenvalues * beta - 2 * moments.signals), axis=1)
    R = (depth + 1) * np.linalg.norm(beta, axis=1) ** (2 / (depth + 1))
    grid = data[:, None] + gamma * R[:, None] ** (power / 2)
    lowest = np.minimum(grid.min(axis=0), Eyy)
    assert np.all(minimum.loss - minimum.gap <= lowest + 1e-14 * Eyy)
    here = land.balanced_loss(minimum.B, gamma)
    assert here == pytest.approx(minimum.loss, abs=1e-10 * Eyy)
    for g, count in zip(gamma, land.count_minima(gamma), strict=True):
        found = land.minima(g)
        assert len(found) == count
        for b in found:
            nearby = b * (1 + np.array([-1e-4, 0, 1e-4]) / (depth + 1))
            around = land.balanced_loss(nearby, g)
            assert around[1] <= around.min() + 1e-13 * Eyy


def test_balanced_loss_lies_above_the_landscape_and_touches_it_where_stationary():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    land = pu.Landscape(moments, 2)
    B = np.linspace(0, 3, 200)
    for gamma in (0.01, 0.05):
        assert np.all(land.balanced_loss(B, gamma) >= land.loss(B, gamma) - 1e-14)
        stationary, kinds = land.stationary(gamma)
        assert kinds.tolist() == [1, -1]
        np.testing.assert_allclose(
            land.balanced_loss(stationary, gamma), land.loss(stationary, gamma), rtol=1e-13
        )


@pytest.mark.parametrize("power", [0, -1, math.nan, math.inf, "two", [2, 3]])
def test_bad_power_is_named(power):
    with pytest.raises(ValueError, match="penalty_power must"):
        landscape(2, power)


def test_equation_6_holds_for_p_two_only():
    with pytest.raises(ValueError, match=r"penalty_power must be 2 for Eq\. 6, got 3"):
        landscape(2, 3).loss(1.0, 0.1)
