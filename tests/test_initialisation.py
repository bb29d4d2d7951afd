"""Initial weights from the data: below the pass, on the learned side, and where they flow to."""

import numpy as np
import problems
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import phase_utils as pu

CASCADE = pu.Moments.from_spectrum([1.0, 1e-4], np.sqrt([0.2, 0.001]), 10.3)


def loss(network, weights, gamma):
    return (network.data_loss(weights) + gamma * network.penalty(weights)).numpy()


def gradient_norm(network, weights, gamma):
    decay = torch.full((len(weights[0]),), gamma, dtype=torch.float64)
    _, gradients = network.value_and_gradient(weights, decay)
    return torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt().numpy()


def flow(network, weights, gamma, rate, steps):
    """Gradient descent in small steps, and the largest rise of the loss that it saw."""
    decay = torch.full((len(weights[0]),), gamma, dtype=torch.float64)
    risen, before = -np.inf, np.inf
    for _ in range(steps):
        value, gradients = network.value_and_gradient(weights, decay)
        risen, before = max(risen, float((value - before).max())), value
        weights = tuple(w - rate * g for w, g in zip(weights, gradients, strict=True))
    return weights, risen


@st.composite
def cases(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    d, depth = draw(st.integers(1, 6)), draw(st.integers(2, 5))
    a = np.exp(rng.uniform(np.log(0.2), np.log(5), size=d))
    e = rng.normal(size=d)
    rotation, _ = np.linalg.qr(rng.normal(size=(d, d)))
    A0 = (rotation * a) @ rotation.T
    Eyy = float(np.sum(e**2 / a)) * draw(st.floats(1, 3)) + 1e-9
    moments = pu.Moments((A0 + A0.T) / 2, rotation @ e, Eyy)
    width = draw(st.integers(1, 9))
    noise = draw(st.sampled_from([0.0, 0.0, 0.3, 2.0]))
    return moments, depth, width, noise, draw(st.floats(0.05, 0.98))


@given(cases(), st.floats(0.05, 0.95), st.floats(0, 0.5))
def test_the_start_is_below_the_pass_on_the_learned_side_and_moves(case, place, perturbation):
    moments, depth, width, noise, fraction = case
    land = pu.Landscape(moments, depth, width, noise)
    network = pu.LinearNetwork(moments, depth, width, noise)
    gamma = fraction * max(s.gamma for s in land.spinodals())
    start = pu.learning_basin_init(
        moments, depth, width, gamma, noise, seed=[3, 8], place=place, perturbation=perturbation
    )
    B, kind = land.stationary(gamma)
    height = land.loss(B, gamma)
    learned = np.flatnonzero(kind < 0)[np.argmin(height[kind < 0])]
    passes = height[[i for i in (learned - 1, learned + 1) if i < len(B)]]
    assert tuple(w.shape[1:] for w in start) == network.shapes
    assert np.all(loss(network, start, gamma) < passes.min())
    assert np.all(loss(network, start, gamma) >= height[learned])
    assert np.all(network.order_parameter(start).numpy() > B[learned - 1])
    assert np.all(gradient_norm(network, start, gamma) > 1e-9 * moments.Eyy)


@given(cases(), st.floats(0.1, 2.5), st.integers(0, 1000))
def test_no_weights_lie_below_the_balanced_loss_of_their_norm(case, scale, seed):
    moments, depth, width, noise, fraction = case
    land = pu.Landscape(moments, depth, width, noise)
    network = pu.LinearNetwork(moments, depth, width, noise)
    gamma = fraction * max(s.gamma for s in land.spinodals())
    some = network.initial_weights(scale / np.sqrt(width), range(seed, seed + 4))
    pulled = pu.learning_basin_init(moments, depth, width, gamma, noise, perturbation=0.3)
    for weights in (some, pulled):
        bound = land.balanced_loss(network.order_parameter(weights).numpy(), gamma)
        assert np.all(loss(network, weights, gamma) >= bound - 1e-9 * moments.Eyy)


@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("where", [0.3, 0.99])
def test_gradient_flow_reaches_the_learned_minimum(depth, noise, where):
    moments = pu.Moments(*problems.anisotropic(4))
    land = pu.Landscape(moments, depth, 5, noise)
    network = pu.LinearNetwork(moments, depth, 5, noise)
    spinodals = land.spinodals()
    gamma = where * (max(s.gamma for s in spinodals) if spinodals else moments.signal)
    seeds = range(3)
    start = pu.learning_basin_init(moments, depth, 5, gamma, noise, seed=seeds)
    along, risen = flow(network, start, gamma, 0.02, 500)
    assert risen <= 1e-14 * moments.Eyy
    assert np.all(network.order_parameter(along).numpy() > pu.learning_basin(land, gamma).B_low)
    end = pu.train(network, along, gamma, pu.Settings(step_cap=0.05))
    minimum = land.minima(gamma)[-1]
    np.testing.assert_allclose(end.B, minimum, rtol=1e-4)
    np.testing.assert_allclose(end.loss, land.loss(minimum, gamma), rtol=1e-8)


@pytest.mark.parametrize("problem", [p for p in problems.ISOTROPIC if p.depth >= 2])
def test_isotropic_basin(problem):
    moments = pu.Moments.isotropic(3, problem.variance, problem.signal)
    land = pu.Landscape(moments, problem.depth, noise_factor=problem.noise_factor)
    gamma = 0.97 * problem.spinodal
    basin = pu.learning_basin(land, gamma)
    _, low, high = problem.stationary(gamma)
    np.testing.assert_allclose([basin.B_low, basin.B], [low, high], rtol=1e-9)
    np.testing.assert_allclose(basin.passage, problem.loss(low, gamma), rtol=1e-10)
    np.testing.assert_allclose(basin.loss, problem.loss(high, gamma), rtol=1e-10)
    assert basin.B_high == np.inf


def test_depth_one_has_no_pass_below_its_critical_decay():
    basin = pu.learning_basin(pu.Landscape(pu.Moments.isotropic(), 1), 0.3)
    assert (basin.B_low, basin.passage) == (0.0, 0.45**2)
    np.testing.assert_allclose(basin.B, np.sqrt(0.15))


@pytest.mark.parametrize(
    ("gamma", "place"), [(0.05, 0.5), (0.0875, 0.02), (0.0875, 0.9), (0.1, 0.5), (0.14, 0.5)]
)
def test_of_several_learned_minima_the_deepest_is_reached(gamma, place):
    land = pu.Landscape(CASCADE, 2)
    network = pu.LinearNetwork(CASCADE, 2, 3)
    learned = land.minima(gamma)[1:]
    target = learned[np.argmin(land.loss(learned, gamma))]
    start = pu.learning_basin_init(CASCADE, 2, 3, gamma, seed=range(3), place=place)
    assert np.all(loss(network, start, gamma) < pu.learning_basin(land, gamma).passage)
    end = pu.train(network, start, gamma, pu.Settings(step_cap=0.02, max_steps=20000))
    np.testing.assert_allclose(end.B, target, rtol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_perturbation_is_the_largest_that_leaves_half_of_the_margin(noise):
    moments, gamma = pu.Moments.isotropic(3), 0.1
    network = pu.LinearNetwork(moments, 2, 5, noise)
    basin = pu.learning_basin(pu.Landscape(moments, 2, 5, noise), gamma)
    given = (moments, 2, 5, gamma, noise)
    asked = {"seed": range(40), "place": 0.2}
    exact = pu.learning_basin_init(*given, **asked, perturbation=0)
    small = pu.learning_basin_init(*given, **asked, perturbation=1e-9)
    start = pu.learning_basin_init(*given, **asked, perturbation=0.25)
    shift = [s - e for s, e in zip(start, exact, strict=True)]
    size = np.array([s.flatten(1).norm(dim=1).numpy() for s in shift])
    unit = [s.sub(e).flatten(1).norm(dim=1).numpy() for s, e in zip(small, exact, strict=True)]
    halvings = np.log2(0.25e9 * np.array(unit) / size)
    np.testing.assert_allclose(halvings, np.round(halvings[:1]).repeat(3, 0), atol=1e-4)
    halved = halvings[0] > 0.5

    def stays(weights):
        B = network.order_parameter(weights).numpy()
        bound = (basin.passage + loss(network, exact, gamma)) / 2
        return (basin.B_low < B) & (basin.B_high > B) & (loss(network, weights, gamma) < bound)

    assert stays(start).all()
    twice = tuple(e + 2 * s for e, s in zip(exact, shift, strict=True))
    assert 5 < halved.sum() < 40
    assert not stays(twice)[halved].any()


def test_equal_seeds_give_equal_weights_in_every_batch():
    moments = pu.Moments.isotropic(3)
    batch = pu.learning_basin_init(moments, 2, [4, 5], 0.1, seed=[7, 1, 4])
    alone = pu.learning_basin_init(moments, 2, [4, 5], 0.1, seed=4)
    for several, one in zip(batch, alone, strict=True):
        assert torch.equal(several[2], one[0])
        assert not torch.equal(several[0], several[1])
    single = pu.learning_basin_init(moments, 2, [4, 5], 0.1, seed=4, dtype=torch.float32)
    assert {w.dtype for w in single} == {torch.float32}


def test_a_perturbation_breaks_the_symmetry_and_none_leaves_rank_one():
    moments = pu.Moments.isotropic(3)
    exact = pu.learning_basin_init(moments, 2, 4, 0.1, perturbation=0)
    assert torch.linalg.matrix_rank(exact[1][0]) == 1
    moved = pu.learning_basin_init(moments, 2, 4, 0.1)
    assert torch.linalg.matrix_rank(moved[1][0], atol=1e-6) == 4


ISOTROPIC = pu.Moments.isotropic()


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ISOTROPIC, 2, 4, 0.163), {}, r"gamma must be < 0\.1629263336\d*, where the last learned"),
        ((ISOTROPIC, 1, 4, 0.46), {}, r"gamma must be < 0\.45, where the last learned"),
        ((ISOTROPIC, 2, 4, 0.0), {}, "gamma must be > 0"),
        ((ISOTROPIC, 2, 4, np.nan), {}, "gamma must be finite"),
        ((ISOTROPIC, 0, 4, 0.1), {}, "depth must be an integer >= 1"),
        ((ISOTROPIC, 1.5, 4, 0.1), {}, "depth must be an integer >= 1"),
        ((ISOTROPIC, 2, 0, 0.1), {}, "width must be"),
        ((ISOTROPIC, 2, [4], 0.1), {}, "width must"),
        ((ISOTROPIC, 2, 4, 0.1, -1), {}, "noise_variance must be >= 0"),
        ((ISOTROPIC, 2, 4, 0.1), {"place": 1.0}, "place must be < 1"),
        ((ISOTROPIC, 2, 4, 0.1), {"place": 0.0}, "place must be > 0"),
        ((ISOTROPIC, 2, 4, 0.1), {"perturbation": -0.1}, "perturbation must be >= 0"),
        ((ISOTROPIC, 2, 4, 0.1), {"seed": -1}, "seed must be >= 0"),
        ((ISOTROPIC, 2, 4, 0.1), {"seed": 1.5}, "seed must be integers"),
        (("x", 2, 4, 0.1), {}, "moments must be a Moments"),
        ((pu.Moments([[1.0]], [0.0], 1.0), 2, 4, 0.1), {}, r"moments must have E\[xy\] != 0"),
        ((pu.Moments(np.eye(2), np.eye(2), 5.0), 2, 4, 0.1), {}, "one output"),
    ],
)
def test_bad_arguments(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        pu.learning_basin_init(*arguments, **options)


def test_bad_landscapes():
    for land, message in (
        (pu.Landscape(ISOTROPIC, np.inf), "depth must be"),
        (pu.Landscape(ISOTROPIC, 0), "depth must be"),
        (pu.Landscape(ISOTROPIC, 2, penalty_power=3), "penalty_power must be 2"),
    ):
        with pytest.raises(ValueError, match=message):
            pu.learning_basin(land, 0.1)
