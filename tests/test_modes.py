"""Several outputs and white inputs: one transition per singular value, against trained networks."""

import numpy as np
import pytest

import phase_utils as pu

a, SIGMA = 0.8, np.array([0.6, 0.35, 0.2])


def white(sigma=SIGMA, d=4, k=3, extra=0.1):
    """Moments with A0 = a I and the given singular values of E[xy], in random directions."""
    rng = np.random.default_rng(0)
    left, right = (np.linalg.qr(rng.normal(size=(n, n)))[0][:, : len(sigma)] for n in (d, k))
    return pu.Moments(a * np.eye(d), left * sigma @ right.T, np.sum(sigma**2) / a + extra)


def trained(network, gamma, starts=24):
    """Best of many trained networks at each gamma."""
    scale = np.tile(np.repeat([0.05, 0.3, 0.6, 0.9], starts // 4), len(gamma))
    init = network.initial_weights(scale, np.tile(np.arange(starts), len(gamma)))
    result = pu.train(network, init, np.repeat(gamma, starts))
    rows = np.arange(len(gamma)), result.loss.reshape(len(gamma), starts).argmin(axis=1)
    shape = (len(gamma), starts)
    return [getattr(result, name).reshape(shape)[rows] for name in ("loss", "slope", "B")]


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_trained_networks_reach_the_minimum_of_the_modes(depth):
    moments = white()
    modes = pu.Modes(moments, depth)
    gamma = {0: [0.1, 0.5], 1: [0.1, 0.3, 0.5, 0.65], 2: [0.03, 0.09, 0.2, 0.23]}.get(
        depth, [0.02, 0.05, 0.12, 0.15]
    )
    found = modes.global_minimum(gamma)
    loss, slope, B = trained(pu.LinearNetwork(moments, depth, 6), gamma)
    np.testing.assert_allclose(loss, found.loss, rtol=1e-10)
    np.testing.assert_allclose(slope, found.slope, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(B, found.B, rtol=1e-5, atol=1e-4)
    assert np.all(found.gap <= 1e-10 * moments.Eyy)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_one_transition_per_singular_value(depth):
    transitions = pu.mode_transitions(white(), depth)
    D, sigma = depth, SIGMA[::-1]
    expected = (
        sigma if D == 1 else (sigma / D) ** (2 * D / (D + 1)) * ((D - 1) / a) ** ((D - 1) / (D + 1))
    )
    np.testing.assert_allclose([t.gamma for t in transitions], expected, rtol=1e-12)
    assert {t.order for t in transitions} == {2 if D == 1 else 1}
    heat = [t.latent_heat for t in transitions]
    np.testing.assert_allclose(heat, sigma**2 / a * (1 - 1 / D**2), rtol=1e-12, atol=1e-15)


def test_narrow_networks_learn_the_strongest_modes_only():
    moments = white()
    modes = pu.Modes(moments, 1, width=2)
    np.testing.assert_allclose(modes.singular_values, SIGMA[:2], rtol=1e-14)
    loss, slope, _ = trained(pu.LinearNetwork(moments, 1, 2), [0.05, 0.25])
    found = modes.global_minimum([0.05, 0.25])
    np.testing.assert_allclose(loss, found.loss, rtol=1e-10)
    np.testing.assert_allclose(slope, found.slope, rtol=1e-5)


def test_one_output_is_the_scalar_landscape():
    moments = pu.Moments.isotropic(3, a, 0.45)
    gamma = np.linspace(0, 0.3, 7)
    scalar, modes = pu.Landscape(moments, 2), pu.Modes(moments, 2)
    for name in ("loss", "slope", "B"):
        np.testing.assert_allclose(
            getattr(modes.global_minimum(gamma), name),
            getattr(scalar.global_minimum(gamma), name),
            rtol=1e-12,
            atol=1e-15,
        )
    assert pu.mode_transitions(pu.Moments(np.eye(2), np.zeros((2, 2)), 1.0)) == []


@pytest.mark.parametrize(("depth", "gamma"), [(2, 0.03), (2, 0.13), (3, 0.05)])
def test_networks_are_caught_in_nested_sets_of_modes_only(depth, gamma):
    modes = pu.Modes(white(), depth)
    alive = [land for land in modes.landscapes if gamma < land.spinodals()[0].gamma]
    size = [land.minima(gamma)[-1] ** (depth + 1) for land in alive]
    sets = np.array([size[:m] + [0.0] * (3 - m) for m in range(len(alive) + 1)])
    network = pu.LinearNetwork(modes.moments, depth, 4)
    init = network.initial_weights(np.tile([0.1, 0.3, 0.5, 0.7], 12), np.arange(48))
    beta = network.end_to_end(pu.train(network, init, gamma).weights).numpy()
    reached = np.linalg.svd(beta, compute_uv=False)
    distance = np.abs(reached[:, None] - sets).max(axis=2)
    assert distance.min(axis=1).max() < 1e-4
    assert len(np.unique(distance.argmin(axis=1))) > 1


def test_noise_lowers_the_threshold_of_the_weaker_mode():
    s1, s2, ratio = 0.5, 0.4, 0.5  # ratio = noise_variance / width
    moments = pu.Moments(np.eye(2), np.diag([s1, s2]), 0.5)
    threshold = s2 - ratio * (s1 - s2)
    gamma = np.array([threshold - 0.01, threshold + 0.01, s1 - 0.01, s1 + 0.01])
    modes = {}
    for noise in (0.0, 4 * ratio):
        network = pu.LinearNetwork(moments, 1, 4, noise)
        result = pu.train(network, network.initial_weights(0.5, np.arange(4)), gamma)
        beta = network.end_to_end(result.weights).numpy()
        modes[noise > 0] = np.linalg.svd(beta, compute_uv=False)
    assert (modes[False] > 1e-4).tolist() == [[1, 1], [1, 1], [1, 0], [0, 0]]
    assert (modes[True] > 1e-4).tolist() == [[1, 1], [1, 0], [1, 0], [0, 0]]
    # least of |beta|^2 + ratio |beta|_*^2 - 2 tr + 2 gamma |beta|_*: soft thresholding
    nuclear = (s1 + s2 - 2 * gamma[0]) / (1 + 2 * ratio)
    expected = np.array([s1, s2]) - gamma[0] - ratio * nuclear
    np.testing.assert_allclose(modes[True][0], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pu.Modes("x"), "moments must be a Moments"),
        (lambda: pu.Modes(white(), 1.5), "depth must be an integer >= 0"),
        (lambda: pu.Modes(white(), 1, 0), "width must be an integer >= 1"),
        (
            lambda: pu.Modes(pu.Moments(np.diag([1, 2.0]), np.eye(2), 9)),
            "A0 must be a multiple of the identity",
        ),
        (
            lambda: pu.Modes(pu.Moments(np.diag([1, 1, 2.0]), np.eye(3), 9)),
            "eigenvalues from 1 to 2",
        ),
        (lambda: pu.Modes(white()).global_minimum(-1), "gamma must be >= 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_variance_of_nearly_white_inputs_is_the_middle_of_their_spectrum():
    moments = pu.Moments(np.diag([1.0, 1.0 + 8e-10]), np.diag([0.5, 0.3]), 0.4)
    for mode in pu.Modes(moments).landscapes:
        assert mode.moments.eigenvalues[0] - 1 == pytest.approx(4e-10, rel=1e-5)
