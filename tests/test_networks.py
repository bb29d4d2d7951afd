"""The exact population loss against enumeration and sampling, its gradient against differences."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import anisotropic, central_differences

import phase_utils as pu
from phase_utils import _check

GENERAL = {"depth": 2, "width": [3, 2], "noise_variance": [0.7, 0.2], "decay_ratios": [1, 3, 0.5]}


def several_outputs(seed=0, d=3, k=2, n=20):
    """Samples x (n, d) and y (n, k)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    return x, x @ rng.normal(size=(d, k)) + rng.normal(size=(n, k))


def forward(weights, x, noises=None):
    """Outputs (..., n, k) for x (n, d); noises[l] multiplies the neurons of hidden layer l + 1."""
    h = x
    for level, w in enumerate(weights[:-1]):
        h = h @ w.T
        if noises is not None:
            h = h * noises[level]
    return h @ weights[-1].T


def single(weights, row=0):
    return [w[row].numpy() for w in weights]


def vector(weights):
    return np.concatenate([w.numpy().ravel() for w in weights])


def shaped(network, flat):
    """Weights of one network (1, ...) from its flattened entries."""
    sizes = [rows * columns for rows, columns in network.shapes]
    parts = torch.from_numpy(np.array(flat)).split(sizes)
    return tuple(p.reshape(1, *s) for p, s in zip(parts, network.shapes, strict=True))


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
def test_without_noise_the_loss_is_that_of_the_samples(depth):
    x, y = several_outputs()
    network = pu.LinearNetwork(pu.Moments.from_samples(x, y), depth, 4)
    weights = network.initial_weights(0.6, range(3))
    expected = [
        np.mean(np.sum((forward(single(weights, row), x) - y) ** 2, axis=1)) for row in range(3)
    ]
    np.testing.assert_allclose(network.data_loss(weights).numpy(), expected, rtol=1e-12)


def test_loss_is_the_average_over_every_pattern_of_two_valued_noise():
    x, y = several_outputs(1)
    network = pu.LinearNetwork(pu.Moments.from_samples(x, y), **GENERAL)
    weights = single(network.initial_weights(0.8, 4))
    total, patterns = 0.0, 0
    for signs in itertools.product((-1, 1), repeat=sum(network.widths)):
        first, second = np.split(np.array(signs), [network.widths[0]])
        noises = (1 + np.sqrt(0.7) * first, 1 + np.sqrt(0.2) * second)
        total += np.mean(np.sum((forward(weights, x, noises) - y) ** 2, axis=1))
        patterns += 1
    measured = network.data_loss([torch.from_numpy(w)[None] for w in weights]).item()
    assert measured == pytest.approx(total / patterns, rel=1e-12)


def test_loss_is_the_mean_over_data_and_gaussian_noise():
    A0, Exy, Eyy = anisotropic()
    network = pu.LinearNetwork(pu.Moments(A0, Exy, Eyy), 3, 4, [0.5, 0.0, 0.3])
    weights = single(network.initial_weights(0.5, 2))
    rng = np.random.default_rng(0)
    n = 200_000
    x = rng.normal(size=(n, len(A0))) @ np.linalg.cholesky(A0).T
    teacher = np.linalg.solve(A0, Exy)
    y = x @ teacher + np.sqrt(Eyy - Exy @ teacher) * rng.normal(size=n)
    noises = [1 + np.sqrt(s2) * rng.normal(size=(n, 4)) for s2 in network.noises]
    sampled = (forward(weights, x, noises)[:, 0] - y) ** 2
    measured = network.data_loss([torch.from_numpy(w)[None] for w in weights]).item()
    error = sampled.std() / np.sqrt(n)
    assert error < 0.02 * measured
    assert abs(measured - sampled.mean()) < 4 * error


@settings(max_examples=40)
@given(st.data())
def test_gradient_and_value_for_any_shape_and_moments(data):
    depth = data.draw(st.integers(0, 4))
    layers = st.lists(st.integers(1, 4), min_size=depth, max_size=depth)
    noises = st.lists(st.sampled_from([0.0, 0.4, 2.0]), min_size=depth, max_size=depth)
    ratios = st.lists(st.sampled_from([0.3, 1.0, 2.5]), min_size=depth + 1, max_size=depth + 1)
    seed = data.draw(st.integers(0, 10**6))
    x, y = several_outputs(seed, data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3)), 6)
    network = pu.LinearNetwork(
        pu.Moments.from_samples(x, y),
        depth,
        data.draw(layers) or 1,
        data.draw(noises) if depth else 0.0,
        data.draw(ratios),
    )
    weights = network.initial_weights(0.7, seed)
    gamma = torch.tensor([0.2], dtype=torch.float64)
    value, gradient = network.value_and_gradient(weights, gamma)
    composed = network.data_loss(weights) + gamma * network.penalty(weights)
    assert value.item() == pytest.approx(composed.item(), rel=1e-13)

    leaves = [w.clone().requires_grad_() for w in weights]
    total = (network.data_loss(leaves) + gamma * network.penalty(leaves)).sum()
    differentiated = vector(torch.autograd.grad(total, leaves))
    scale = np.linalg.norm(differentiated) + value.item()
    np.testing.assert_allclose(vector(gradient), differentiated, rtol=0, atol=1e-12 * scale)

    def f(flat):
        point = shaped(network, flat)
        return (network.data_loss(point) + 0.2 * network.penalty(point)).item()

    differences = central_differences(f, vector(weights))
    np.testing.assert_allclose(vector(gradient), differences, rtol=0, atol=1e-7 * scale)


def test_penalty_weighs_each_layer_by_its_ratio():
    network = pu.LinearNetwork(pu.Moments.isotropic(3), **GENERAL)
    weights = network.initial_weights(1.0, [3, 4])
    for row in range(2):
        squares = [np.sum(w**2) for w in single(weights, row)]
        expected = squares[0] + 3 * squares[1] + 0.5 * squares[2]
        assert network.penalty(weights)[row].item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("noise", [0.0, 0.4])
def test_loss_and_penalty_have_second_derivatives_at_zero_weights(noise):
    network = pu.LinearNetwork(pu.Moments(*anisotropic()), 2, 3, noise, decay_ratios=[1, 3, 0.5])
    sizes = [rows * columns for rows, columns in network.shapes]

    def loss(x):
        parts = zip(x.split(sizes), network.shapes, strict=True)
        weights = tuple(part.reshape(1, *shape) for part, shape in parts)
        return (network.data_loss(weights) + 0.7 * network.penalty(weights))[0]

    hessian = torch.autograd.functional.hessian(loss, torch.zeros(sum(sizes), dtype=torch.float64))
    expected = 1.4 * torch.cat(
        [torch.full((n,), r) for n, r in zip(sizes, [1, 3, 0.5], strict=True)]
    )
    torch.testing.assert_close(hessian, torch.diag(expected.double()))


def test_end_to_end_map_and_order_parameter():
    network = pu.LinearNetwork(pu.Moments.from_samples(*several_outputs()), 2, [3, 4])
    assert network.shapes == ((3, 3), (4, 3), (2, 4))
    weights = network.initial_weights(1.0, range(2))
    for row in range(2):
        beta = np.linalg.multi_dot(single(weights, row)[::-1])
        np.testing.assert_allclose(network.end_to_end(weights)[row], beta, rtol=1e-13)
        expected = np.linalg.norm(beta) ** (1 / 3)
        assert network.order_parameter(weights)[row].item() == pytest.approx(expected, rel=1e-14)


def test_noise_factor_is_the_product_over_layers():
    network = pu.LinearNetwork(pu.Moments.isotropic(), **GENERAL)
    assert network.noise_factor == pytest.approx((1 + 0.7 / 3) * (1 + 0.2 / 2), rel=1e-15)
    assert pu.LinearNetwork(pu.Moments.isotropic(), 0, None).noise_factor == 1


def test_noise_enters_the_loss_of_equal_weights_through_its_factor_alone():
    A0, Exy, Eyy = anisotropic()
    network = pu.LinearNetwork(pu.Moments(A0, Exy, Eyy), 2, [3, 4], [0.6, 0.2])
    v = np.random.default_rng(3).normal(size=5)
    weights = [np.outer(np.ones(3), v), np.ones((4, 3)), np.ones((1, 4))]
    beta = 12 * v
    expected = network.noise_factor * beta @ A0 @ beta - 2 * beta @ Exy + Eyy
    measured = network.data_loss([torch.from_numpy(w)[None] for w in weights]).item()
    assert measured == pytest.approx(expected, rel=1e-13)


def test_initial_weights_belong_to_the_seed_alone():
    network = pu.LinearNetwork(pu.Moments.isotropic(3), 2, 5)
    batch = network.initial_weights([0.1, 0.2, 0.2, 0.3], [7, 3, 7, 0])
    alone = network.initial_weights(0.2, 7)
    for together, one in zip(batch, alone, strict=True):
        assert torch.equal(together[2], one[0])
        torch.testing.assert_close(together[0] * 2, one[0], rtol=1e-15, atol=0)
        assert not torch.equal(together[1], together[2])
    single_precision = network.initial_weights(0.2, 7, dtype=torch.float32)
    assert all(
        torch.equal(a.to(torch.float32), b) for a, b in zip(alone, single_precision, strict=True)
    )


def test_initial_weights_are_standard_normal_times_scale():
    network = pu.LinearNetwork(pu.Moments.isotropic(10), 2, 50)
    entries = vector(network.initial_weights(0.3, range(10)))
    n = len(entries)
    assert abs(entries.mean()) < 4 * 0.3 / np.sqrt(n)
    assert entries.var() == pytest.approx(0.09, rel=4 * np.sqrt(2 / n))
    assert np.mean(entries**4) == pytest.approx(3 * 0.3**4, rel=4 * np.sqrt(32 / 3 / n))


def test_initial_weights_differ_between_neighbouring_seeds_and_layers():
    network = pu.LinearNetwork(pu.Moments.isotropic(30), 1, 30)
    first, second = network.initial_weights(1.0, [0, 1])[0].flatten(1).numpy()
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / 30


def test_float32_agrees_with_float64():
    network = pu.LinearNetwork(pu.Moments.from_samples(*several_outputs()), **GENERAL)
    double = network.initial_weights(0.5, range(4))
    gamma = torch.full((4,), 0.1, dtype=torch.float64)
    value, gradient = network.value_and_gradient(double, gamma)
    value32, gradient32 = network.value_and_gradient([w.float() for w in double], gamma.float())
    assert value32.dtype == gradient32[0].dtype == torch.float32
    torch.testing.assert_close(value32.double(), value, rtol=1e-5, atol=0)
    for a, b in zip(gradient32, gradient, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)


MOMENTS = pu.Moments.isotropic(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"moments": [[1.0]]}, "moments must be a Moments, got list"),
        ({"depth": -1}, "depth must be an integer >= 0, got -1"),
        ({"depth": 1.5}, "depth must be an integer >= 0, got 1.5"),
        ({"depth": None}, "depth must be real numbers"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": 1.5}, "width must be an integer >= 1, got 1.5"),
        ({"width": None}, "width must be given for depth 2"),
        ({"width": [3, 3, 3]}, "width must be a scalar or have 2 entries, got 3"),
        ({"width": np.inf}, "width must be finite"),
        ({"noise_variance": -0.1}, "noise_variance must be >= 0, got -0.1"),
        ({"noise_variance": [0.1, np.nan]}, "noise_variance must be finite"),
        ({"noise_variance": [0.1]}, "noise_variance must be a scalar or have 2 entries, got 1"),
        ({"decay_ratios": 0.0}, "decay_ratios must be > 0, got 0"),
        ({"decay_ratios": [1, -2, 3]}, "decay_ratios must be > 0, got -2"),
        ({"decay_ratios": [1, 2]}, "decay_ratios must be a scalar or have 3 entries, got 2"),
        ({"decay_ratios": "x"}, "decay_ratios must be real numbers"),
    ],
)
def test_bad_networks_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.LinearNetwork(**{"moments": MOMENTS, **arguments})


@pytest.mark.parametrize(
    ("scale", "seed", "message"),
    [
        (-1, 0, "scale must be >= 0, got -1"),
        (np.nan, 0, "scale must be finite"),
        (1, -1, "seed must be >= 0, got -1"),
        (1, 0.5, "seed must be integers <= 2.53, got 0.5"),
        (1, 2**53 + 2, "seed must be integers <= 2.53, got 9007199254740994"),
        (1, [], "seed must not be empty"),
        (1, [[1]], "seed must have 0 or 1 dimensions"),
        ([1, 2], [1, 2, 3], "scale and seed must be scalars or have equal length, got 2 and 3"),
    ],
)
def test_bad_initial_weights_are_refused(scale, seed, message):
    with pytest.raises(ValueError, match=message):
        pu.LinearNetwork(MOMENTS).initial_weights(scale, seed)


def test_integers_may_come_as_floats():
    network = pu.LinearNetwork(MOMENTS, 2.0, 3.0)
    assert network.shapes == ((3, 2), (3, 3), (1, 3))


def test_more_weights_than_can_be_held_are_refused_before_they_are_drawn(monkeypatch):
    network = pu.LinearNetwork(pu.Moments.isotropic(3), 1, 4)
    monkeypatch.setattr(_check, "MOST_NUMBERS", 6 * network.parameters)
    assert network.initial_weights(0.1, range(6))[0].shape == (6, 4, 3)
    with pytest.raises(ValueError, match=r"seed must .*all networks"):
        network.initial_weights(0.1, range(7))


def test_a_decay_of_another_shape_is_refused_by_name():
    network = pu.LinearNetwork(MOMENTS, depth=1, width=2)
    init = network.initial_weights(0.1, range(3))
    with pytest.raises(ValueError, match="gamma must"):
        network.value_and_gradient(init, torch.full((2,), 0.1, dtype=torch.float64))
