"""Real and infinite depth, layer-wise widths, noises and decays, against independent routes."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import phase_utils as pu

E, a = 0.45, 0.7


def isotropic(depth, **options):
    return pu.Landscape(pu.Moments.isotropic(3, a, E), depth, **options)


@pytest.mark.parametrize("depth", [1 + 1e-6, 1.001, 1.5, math.pi, 47.5, 1000, 10_000, 1e8])
@pytest.mark.parametrize("N", [1.0, 1e6])
def test_closed_forms_hold_at_real_depth(depth, N):
    land, D = isotropic(depth, noise_factor=N), depth
    ((transition,), (spinodal,)) = land.transitions(), land.spinodals()
    gamma = (E / D) ** (2 * D / (D + 1)) * ((D - 1) / (a * N)) ** ((D - 1) / (D + 1))
    beta_s = E * (D - 1) / (2 * a * N * D)
    assert transition.order == 1
    assert transition.gamma == pytest.approx(gamma, rel=1e-12)
    assert transition.latent_heat == pytest.approx(E**2 / (a * N) * (1 - 1 / D**2), rel=1e-8)
    u = ((D - 1) * gamma / (a * N)) ** (1 / D)
    assert transition.B_below**2 == pytest.approx(u, rel=1e-8)
    gamma = E * beta_s ** ((D - 1) / (D + 1)) * (D + 1) / (2 * D)
    assert spinodal.gamma == pytest.approx(gamma, rel=1e-10)
    log_B = math.log(beta_s) / (D + 1)
    assert math.log(spinodal.B) == pytest.approx(log_B, rel=1e-8)


@pytest.mark.parametrize("depth", [0, 1e-6, 0.3, 0.5, 1 - 1e-9])
def test_below_depth_one_the_trivial_state_is_never_a_minimum(depth):
    land = isotropic(depth)
    assert land.transitions() == []
    assert land.spinodals() == []
    gamma = np.geomspace(1e-6, 1, 7) * E
    assert land.count_minima(gamma).tolist() == [1] * 7
    minimum = land.global_minimum(gamma)
    equation = E * minimum.B ** (depth - 1) - a * minimum.B ** (2 * depth)
    np.testing.assert_allclose(gamma, equation, rtol=1e-9, atol=2e-14)


def test_first_order_closes_continuously_at_depth_one():
    depths = 1 + np.geomspace(1e-5, 1e-2, 4)
    found = [isotropic(D).transitions()[0] for D in depths]
    assert isotropic(1).transitions()[0].order == 2
    # beta* = E (D-1) / (a D) and a latent heat of 2 (D-1) E^2 / a to first order
    np.testing.assert_allclose([t.latent_heat for t in found], 2 * (depths - 1) * E**2 / a, 2e-2)
    np.testing.assert_allclose([t.gamma for t in found], E, rtol=0.06)


def test_depth_shorter_than_one_decays_as_a_power_of_gamma():
    land = isotropic(0.5)
    gamma = np.array([1e12, 1e14])
    B = land.global_minimum(gamma).B
    np.testing.assert_allclose(
        np.diff(np.log(B)) / np.diff(np.log(gamma)), 1 / (0.5 - 1), rtol=1e-9
    )


@pytest.mark.parametrize(
    ("eigenvalues", "squared", "Eyy", "tops"),
    [
        # two maxima between the states of the upper transition, and one beyond them
        ([1.0, 1.7e-4, 1.6e-6], [0.1, 6.6e-4, 8.5e-5], 60.0, [(2, 1), (1, 0)]),
        # a maximum beyond the two states is higher than the one between
        ([1.0, 1e-3, 2.2e-5], [0.1, 8e-4, 1.9e-5], 1.8, [(1, 1), (1, 0)]),
    ],
)
def test_the_barrier_is_the_highest_loss_between_the_two_states(eigenvalues, squared, Eyy, tops):
    land = pu.Landscape(pu.Moments.from_spectrum(eigenvalues, np.sqrt(squared), Eyy), 2)
    found = []
    for change in land.transitions():
        B, kind = land.stationary(change.gamma)
        inside = (change.B_above < B[kind > 0]) & (B[kind > 0] < change.B_below)
        found.append((int(inside.sum()), int((~inside).sum())))
        between = np.geomspace(max(change.B_above, 1e-6 * change.B_below), change.B_below, 20_001)
        losses = land.loss(between, change.gamma)
        height = losses.max() - land.loss(change.B_below, change.gamma)
        assert change.barrier == pytest.approx(height, rel=1e-6)
        assert change.order == 1
        slopes = [(land.depth + 1) * B**2 for B in (change.B_below, change.B_above)]
        assert change.latent_heat == pytest.approx(change.gamma * (slopes[0] - slopes[1]), rel=1e-9)
    assert found == tops


def test_infinite_depth_is_the_limit_of_finite_depth():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    limit, deep = pu.Landscape(moments, math.inf), pu.Landscape(moments, 10**7)
    found = limit.global_minimum([0.0, 1e-3, 1.0])
    assert found.loss == pytest.approx([moments.residual_variance, 1.0, 1.0], rel=1e-14)
    assert found.B.tolist() == [1.0, 0.0, 0.0]
    assert found.slope.tolist() == [math.inf, 0.0, 0.0]
    near = deep.global_minimum([0.0, 1e-3, 1.0])
    np.testing.assert_allclose(near.loss, found.loss, rtol=1e-12)
    assert near.slope[0] > 1e7
    (transition,) = limit.transitions()
    (last,) = deep.transitions()
    assert (transition.gamma, transition.order) == (0.0, 0)
    assert transition.latent_heat == pytest.approx(last.latent_heat, rel=1e-6)
    assert transition.barrier == pytest.approx(last.barrier, rel=1e-4)
    assert transition.B_below == pytest.approx(last.B_below, rel=1e-5)
    # learned states stay metastable at fixed gamma
    for one, other in zip(limit.spinodals(), deep.spinodals(), strict=True):
        assert one.gamma == pytest.approx(other.gamma, rel=1e-4)
        assert one.B == 1.0
    gamma = limit.spinodals()[-1].gamma
    assert limit.minima(0.9 * gamma).tolist() == [0.0, 1.0]
    assert limit.minima(1.1 * gamma).tolist() == [0.0]
    assert limit.count_minima([0.9 * gamma, 1.1 * gamma]).tolist() == [2, 1]


def test_infinite_depth_without_noise_scales_as_gamma_times_depth():
    found = [isotropic(D).transitions()[0].gamma * D for D in (1e4, 1e6)]
    assert found[0] == pytest.approx(E**2 / a, rel=2e-3)
    assert found[1] == pytest.approx(E**2 / a, rel=4e-5)


def test_infinite_depth_under_noise():
    moments = pu.Moments.isotropic(3, a, E)
    fixed = pu.Landscape(moments, math.inf, width=8, noise_variance=0.1)
    assert fixed.noise_factor == math.inf
    assert fixed.transitions() == fixed.spinodals() == []
    assert fixed.global_minimum([0, 1.0]).loss.tolist() == [moments.Eyy] * 2
    np.testing.assert_allclose(fixed.global_minimum(0).loss, moments.Eyy)
    # noise_variance depth / width held at c: N tends to e^c
    c, D = 0.8, 10**6
    held = pu.Landscape(moments, math.inf, noise_factor=math.exp(c))
    finite = pu.Landscape(moments, D, width=10, noise_variance=10 * c / D)
    np.testing.assert_allclose(
        held.global_minimum(0).loss, finite.global_minimum(0).loss, rtol=1e-6
    )
    assert held.spinodals()[0].gamma == pytest.approx(finite.spinodals()[0].gamma, rel=1e-4)


def test_strong_noise_at_large_depth_stays_finite():
    moments, D = pu.Moments.isotropic(3, a, E), 10_000
    land = pu.Landscape(moments, D, width=10, noise_variance=0.5)
    log_N = D * math.log1p(0.05)
    (transition,) = land.transitions()
    log_gamma = 2 * D * math.log(E / D) + (D - 1) * (math.log((D - 1) / a) - log_N)
    assert math.log(transition.gamma) == pytest.approx(log_gamma / (D + 1), rel=1e-12)
    beyond = pu.Landscape(moments, D, width=1, noise_variance=3.0)
    assert beyond.noise_factor == math.inf  # 4^10000, and gamma* is below the smallest float
    assert beyond.transitions() == []
    for landscape in (land, beyond):
        minimum = landscape.global_minimum([0.0, transition.gamma / 2, 1e-8, 1.0])
        assert np.all(np.isfinite([minimum.loss, minimum.B, minimum.slope]))
        assert np.all(minimum.gap <= 1e-10 * moments.Eyy)


def test_widths_and_noises_enter_through_one_factor():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    widths, noises = (4, 8, 16), (0.5, 0.0, 1.0)
    layered = pu.Landscape(moments, 3, widths, noises)
    network = pu.LinearNetwork(moments, 3, widths, noises)
    assert layered.noise_factor == pytest.approx(network.noise_factor, rel=1e-14)
    direct = pu.Landscape(moments, 3, noise_factor=network.noise_factor)
    gamma = np.geomspace(1e-4, 0.1, 9)
    np.testing.assert_allclose(
        layered.global_minimum(gamma).loss, direct.global_minimum(gamma).loss, rtol=1e-13
    )
    scaled = pu.Moments(moments.A0 * network.noise_factor, moments.Exy, moments.Eyy)
    np.testing.assert_allclose(
        layered.global_minimum(gamma).loss,
        pu.Landscape(scaled, 3).global_minimum(gamma).loss,
        rtol=1e-13,
    )
    with pytest.raises(ValueError, match="width must be equal in all layers"):
        layered.paper_b(1.0)
    assert pu.Landscape(moments, 2, (8, 8)).paper_b(4.0) == 0.5


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_trained_networks_with_decay_ratios_reach_the_minimum_and_its_slope(noise):
    moments = pu.Moments.from_spectrum([0.3, 1, 2], [0.3, 0.5, 0.2], 1.0)
    ratios = (0.5, 2.0, 1.0)
    land = pu.Landscape(moments, 2, 4, noise, decay_ratios=ratios)
    network = pu.LinearNetwork(moments, 2, 4, noise, decay_ratios=ratios)
    gamma = np.array([0.01, 0.05, 0.1, 0.15])
    best = land.global_minimum(gamma)
    assert np.all(best.B > 0)
    result = pu.train(network, network.initial_weights(0.5, np.arange(4)), gamma)
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.loss, best.loss, rtol=1e-10)
    np.testing.assert_allclose(result.slope, best.slope, rtol=1e-5)
    np.testing.assert_allclose(result.B, best.B, rtol=1e-5)
    squares = [w.square().sum((1, 2)).numpy() for w in result.weights]
    for r, square in zip(ratios, squares, strict=True):  # gamma_l |W_l|^2 is equal over layers
        np.testing.assert_allclose(r * square, best.slope / 3, rtol=1e-5)
    h = 1e-6
    up, down = land.global_minimum(gamma + h).loss, land.global_minimum(gamma - h).loss
    np.testing.assert_allclose((up - down) / (2 * h), best.slope, rtol=1e-6)
    # Eq. 6 and the balanced landscape have the same minimum
    for landscape in (land.loss, land.balanced_loss):
        np.testing.assert_allclose(landscape(best.B, gamma), best.loss, rtol=1e-12)
    (plain,) = pu.Landscape(moments, 2, 4, noise).transitions()
    (weighted,) = land.transitions()
    assert weighted.gamma == pytest.approx(plain.gamma / np.prod(ratios) ** (1 / 3), rel=1e-12)
    assert weighted.latent_heat == pytest.approx(plain.latent_heat, rel=1e-12)


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
    st.one_of(st.sampled_from([1.0, 1.001, 2.0, 1000.0, 10_000.0]), st.floats(0.01, 30)),
    st.sampled_from([1.0, 1.5, 1e6]),
    st.lists(st.floats(-8, 1), min_size=1, max_size=4),
)
def test_no_grid_point_lies_below_the_certified_minimum(modes, depth, N, log_gammas):
    values = np.array([mode[0] for mode in modes])
    signals = np.array([mode[1] for mode in modes]) * np.sqrt(values)
    kept = values > 0
    Eyy = 0.1 + float(np.sum(signals[kept] ** 2 / values[kept]))
    land = pu.Landscape(pu.Moments.from_spectrum(values, signals, Eyy), depth, noise_factor=N)
    gamma = 10.0 ** np.array(log_gammas)
    minimum = land.global_minimum(gamma)
    assert np.all(minimum.gap <= 1e-10 * Eyy)
    size = np.geomspace(1e-9, 1e9, 2000)  # of beta
    B = np.concatenate([[0], size ** (1 / (depth + 1))])
    grid = land.loss(B[:, None], gamma)
    assert np.all(minimum.loss - minimum.gap <= grid.min(axis=0))
    assert land.loss(minimum.B, gamma) == pytest.approx(minimum.loss, rel=1e-9, abs=1e-11 * Eyy)
    for g, count in zip(gamma, land.count_minima(gamma), strict=True):
        found = land.minima(g)
        assert len(found) == count
        for b in found:
            nearby = b * (1 + np.array([-1e-4, 0, 1e-4]) / (depth + 1))
            around = land.loss(nearby, g)
            assert around[1] <= around.min() + 1e-13 * Eyy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": -0.5}, "depth must be >= 0, got -0.5"),
        ({"depth": -math.inf}, "depth must be finite or inf"),
        ({"depth": math.nan}, "depth must be finite or inf"),
        ({"depth": "two"}, "depth must be real numbers"),
        ({"depth": True}, "depth must be real numbers, got True"),
        ({"depth": [1, 2]}, "depth must have 0 dimensions"),
        ({"depth": 1.5, "width": 4, "noise_variance": 0.1}, "depth must be an integer where noise"),
        ({"depth": 1.5, "decay_ratios": [1, 1]}, "decay_ratios must be None where depth is no int"),
        ({"depth": math.inf, "decay_ratios": [1]}, "decay_ratios must be None where depth is no"),
        ({"decay_ratios": [1, 2]}, "decay_ratios must be a scalar or have 3 entries, got 2"),
        ({"decay_ratios": [1, 0, 1]}, "decay_ratios must be > 0, got 0"),
        ({"width": [4, 8, 16]}, "width must be a scalar or have 2 entries, got 3"),
        ({"width": [4, 2.5]}, "width must be an integer >= 1, got 2.5"),
        ({"width": 4, "noise_variance": [0.1, -1]}, "noise_variance must be >= 0, got -1"),
        ({"depth": 2.5, "width": [4, 4]}, "width must be one number where depth is no integer"),
        ({"noise_factor": 0.5}, "noise_factor must be >= 1, got 0.5"),
        (
            {"width": 4, "noise_variance": 0.1, "noise_factor": 2.0},
            "noise_factor must be None where noise_variance > 0",
        ),
        ({"depth": math.inf, "penalty_power": 3}, "penalty_power must be 2 at infinite depth"),
    ],
)
def test_bad_input_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        pu.Landscape(pu.Moments.isotropic(3), **options)


def test_landscapes_in_B_need_a_finite_depth():
    limit = isotropic(math.inf)
    for method in (limit.loss, limit.balanced_loss):
        with pytest.raises(ValueError, match="depth must be"):
            method(1.0, 0.1)
