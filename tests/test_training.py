"""Trained networks against exact minima; rows that fail, and rows that must not notice."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import ISOTROPIC, Isotropic, anisotropic, balanced_minima

import phase_utils as pu
from phase_utils.training.descents import FullBatch, HeavyBall
from phase_utils.training.minimisers import STATUS

EXACT = 1e-9  # to which trained losses, slopes and order parameters are exact
WIDTH = 4


def linear_network(problem: Isotropic) -> pu.LinearNetwork:
    """The network of a problem: its noise factor comes from the noise, or at D = 0 from x."""
    D, N = problem.depth, problem.noise_factor
    variance = problem.variance * (N if D == 0 else 1)
    moments = pu.Moments.isotropic(3, variance, problem.signal, problem.Eyy)
    noise = WIDTH * (N ** (1 / D) - 1) if D else 0.0
    return pu.LinearNetwork(moments, D, WIDTH, noise)


def grid(*axes):
    return [values.ravel() for values in np.meshgrid(*axes, indexing="ij")]


def batch(network, seeds=range(6), scale=0.5):
    return network.initial_weights(scale, seeds)


def rows(weights, index):
    return tuple(w[index] for w in weights)


def same(a, b):
    """Bitwise equality of two results."""
    return all(torch.equal(x, y) for x, y in zip(a.weights, b.weights, strict=True)) and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("loss", "data_loss", "slope", "B", "status", "steps")
    )


@pytest.mark.parametrize("problem", ISOTROPIC, ids=repr)
def test_training_reaches_the_exact_global_minimum(problem):
    network = linear_network(problem)
    unit = problem.critical if problem.depth else problem.signal
    gammas = unit * np.array([0.1, 0.5, 0.9, 0.97, 1.03, 1.1, 2.0])
    gamma, scale, seed = grid(gammas, [0.05, 0.6, 1.0], range(3))
    result = pu.train(network, network.initial_weights(scale, seed), gamma)
    assert set(result.status) == {"converged"}

    shape = (len(gammas), -1)
    best = result.loss.reshape(shape).argmin(axis=1)
    at = np.arange(len(gammas)), best
    loss, slope, B = problem.curve(gammas)
    np.testing.assert_allclose(result.loss.reshape(shape)[at], loss, rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.slope.reshape(shape)[at], slope, rtol=0, atol=EXACT)
    np.testing.assert_allclose(result.B.reshape(shape)[at], B, rtol=0, atol=EXACT)


@pytest.mark.parametrize("depth", range(4))
def test_every_start_ends_in_a_balanced_minimum_with_general_widths_noises_and_decays(depth):
    A0, Exy, Eyy = anisotropic()
    ratios = [1, 2, 0.5, 3][: depth + 1]
    network = pu.LinearNetwork(
        pu.Moments(A0, Exy, Eyy), depth, [6, 5, 4][:depth], [0.3, 0.6, 0.1][:depth], ratios
    )
    mean_ratio = np.prod(ratios) ** (1 / (depth + 1))
    N = network.noise_factor
    values, vectors = np.linalg.eigh(N * A0)
    power = (vectors.T @ Exy) ** 2
    gammas = [0.02, 0.08, 0.5]
    gamma, seed = grid(gammas, range(4))
    result = pu.train(network, network.initial_weights(0.6, seed), gamma)
    assert set(result.status) == {"converged"}
    learned = result.B > 1e-6
    assert depth == 0 or (learned.any() and not learned.all())
    for g, loss, slope, B, large in zip(
        gamma, result.loss, result.slope, result.B, learned, strict=True
    ):
        minima = balanced_minima(A0, Exy, Eyy, depth, N, g * mean_ratio)
        B_exact, loss_exact = min(minima, key=lambda minimum: abs(minimum[0] - B))
        assert loss == pytest.approx(loss_exact, abs=1e-12)
        assert pytest.approx(B_exact, abs=1e-7) == B  # all that a bracketing search can resolve
        assert slope == pytest.approx((depth + 1) * mean_ratio * B**2, abs=EXACT)
        if large and depth:
            u = B * B
            stationary = u ** (depth - 1) * np.sum(
                power / (values * u**depth + g * mean_ratio) ** 2
            )
            assert stationary == pytest.approx(1, abs=1e-8)


def test_ridge_with_wide_spectrum():
    a, e = np.geomspace(1e-4, 10, 12), np.linspace(0.01, 0.3, 12) * np.geomspace(0.01, 1, 12)
    moments = pu.Moments.from_spectrum(a, e, float(np.sum(e**2 / a)) + 0.2)
    network = pu.LinearNetwork(moments, 0)
    gammas = np.array([1e-4, 1e-2, 1.0])
    result = pu.train(network, network.initial_weights(1.0, range(3)), gammas)
    assert set(result.status) == {"converged"}
    stiffness = a + gammas[:, None]
    error = result.weights[0][:, 0].numpy() - e / stiffness
    # what "converged" promises: the gradient, hence the loss, hence weights by their curvature
    gradient = 1e-10 * moments.Eyy / np.maximum(1, np.sqrt(result.slope)) + 1e-14  # rounding
    assert np.all(np.linalg.norm(2 * stiffness * error, axis=1) <= gradient)
    assert np.all(np.abs(error) <= gradient[:, None] / (2 * stiffness))
    minimum = moments.Eyy - np.sum(e**2 / stiffness, axis=1)
    np.testing.assert_allclose(result.loss, minimum, rtol=0, atol=1e-10 * moments.Eyy)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_sgd_and_lbfgs_reach_the_same(depth):
    network = linear_network(Isotropic(depth, 1.7, 0.8, 1.3))
    gammas = np.array([0.05, 0.1, 0.2, 0.5])
    init = network.initial_weights(0.7, range(4))
    slow = pu.train(network, init, gammas, pu.Settings("sgd", learning_rate=0.02))
    fast = pu.train(network, init, gammas)
    assert set(slow.status) == set(fast.status) == {"converged"}
    assert fast.steps.max() < slow.steps.max()
    np.testing.assert_allclose(slow.loss, fast.loss, rtol=0, atol=1e-13)
    np.testing.assert_allclose(slow.slope, fast.slope, rtol=0, atol=EXACT)
    np.testing.assert_allclose(slow.B, fast.B, rtol=0, atol=EXACT)


def test_sgd_steps_are_those_of_torch():
    network = linear_network(Isotropic(2, noise_factor=1.3))
    init = batch(network, [5])
    leaves = [w.clone().requires_grad_() for w in init]
    torch_sgd = torch.optim.SGD(leaves, lr=0.03, momentum=0.8, weight_decay=2 * 0.04)
    for _ in range(37):
        torch_sgd.zero_grad()
        network.data_loss(leaves).sum().backward()
        torch_sgd.step()
    chosen = pu.Settings("sgd", learning_rate=0.03, momentum=0.8, max_steps=37)
    result = pu.train(network, init, 0.04, chosen)
    assert (result.status[0], result.steps[0]) == ("max_steps", 37)
    for ours, theirs in zip(result.weights, leaves, strict=True):
        torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-14)


def test_result_describes_its_weights():
    A0, Exy, Eyy = anisotropic()
    network = pu.LinearNetwork(pu.Moments(A0, Exy, Eyy), 2, 3, 0.4, [1, 2, 0.5])
    gammas = np.array([0.0, 0.05, 0.1])
    init = batch(network, range(3))
    kept = [w.clone() for w in init]
    result = pu.train(network, init, gammas, pu.Settings(max_steps=15))
    assert all(torch.equal(a, b) for a, b in zip(init, kept, strict=True))
    assert [tuple(w.shape[1:]) for w in result.weights] == list(network.shapes)
    np.testing.assert_array_equal(result.data_loss, network.data_loss(result.weights))
    np.testing.assert_array_equal(result.slope, network.penalty(result.weights))
    np.testing.assert_array_equal(result.B, network.order_parameter(result.weights))
    np.testing.assert_allclose(result.loss, result.data_loss + gammas * result.slope, rtol=1e-15)


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_converged_means_a_small_gradient(method):
    network = linear_network(Isotropic(1))
    gammas = np.linspace(0.1, 0.6, 6)
    chosen = pu.Settings(method, tolerance=1e-7, learning_rate=0.05)
    result = pu.train(network, batch(network), gammas, chosen)
    _, gradient = network.value_and_gradient(result.weights, torch.from_numpy(gammas))
    norm = torch.cat([g.flatten(1) for g in gradient], dim=1).norm(dim=1).numpy()
    size = np.maximum(1, np.sqrt(result.slope))
    unit = np.maximum(result.loss, network.moments.Eyy)
    assert set(result.status) == {"converged"}
    assert np.all(norm <= 1e-7 * unit / size)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    depth=st.integers(0, 4),
    noise=st.sampled_from([0.0, 0.5]),
    gamma=st.floats(0, 1),
    scale=st.floats(1e-6, 3),
    max_steps=st.integers(1, 60),
)
def test_lbfgs_never_raises_the_loss(seed, depth, noise, gamma, scale, max_steps):
    A0, Exy, Eyy = anisotropic(3, seed)
    network = pu.LinearNetwork(pu.Moments(A0, Exy, Eyy), depth, 3, noise)
    init = network.initial_weights(scale, [seed, seed + 1])
    decay = torch.full((2,), gamma, dtype=torch.float64)
    before = network.value_and_gradient(init, decay)[0].numpy()
    result = pu.train(network, init, gamma, pu.Settings(max_steps=max_steps))
    assert np.all(result.loss <= before * (1 + 1e-12))
    assert np.all(result.steps <= max_steps)
    assert set(result.status) <= {"converged", "max_steps"}


# Rows that fail


def mixed(network):
    """Six good rows and then a huge, a slow and a nan row, with their gammas."""
    weights = batch(network, range(9))
    for w in weights:
        w[6] *= 60
        w[8] = torch.nan
    critical = network.moments.signal  # where convergence at D = 1 is only algebraic
    return weights, np.array([0.05, 0.1, 0.15, 0.2, 0.3, 0.6, 0.1, critical, 0.1])


@pytest.mark.parametrize("method", ["sgd", "lbfgs"])
def test_a_failing_row_has_its_own_status_and_changes_no_other(method):
    network = linear_network(Isotropic(1))
    weights, gammas = mixed(network)
    chosen = pu.Settings(method, learning_rate=0.1, max_steps=1000, tolerance=1e-12)
    together = pu.train(network, weights, gammas, chosen)
    expected = "diverged" if method == "sgd" else "converged"
    assert list(together.status[:7]) == ["converged"] * 6 + [expected]
    assert together.status[8] == "nonfinite"
    assert together.steps[8] == 0
    if method == "sgd":
        assert together.status[7] == "max_steps"
        assert together.steps[7] == 1000

    good = batch(network, range(9))
    healthy = pu.train(network, good, np.where(np.arange(9) < 6, gammas, 0.1), chosen)
    alone = pu.train(network, rows(weights, slice(6)), gammas[:6], chosen)
    for a, b, c in zip(together.weights, healthy.weights, alone.weights, strict=True):
        assert torch.equal(a[:6], b[:6])
        torch.testing.assert_close(a[:6], c, rtol=1e-12, atol=1e-12)
    for name in ("loss", "slope"):
        measured, single = getattr(together, name)[:6], getattr(alone, name)
        np.testing.assert_allclose(measured, single, rtol=0, atol=1e-12)


def test_an_infinite_loss_raises_no_warning():
    network = linear_network(Isotropic(2))
    chosen = pu.Settings("sgd", learning_rate=5.0)
    result = pu.train(network, batch(network), [0, 0, 0, 0.1, 0.1, 1.0], chosen)
    assert set(result.status) == {"diverged"}


def test_numbers_too_large_for_floats_are_a_failure_of_their_row_alone():
    network = linear_network(Isotropic(2))
    weights = batch(network, range(4))
    weights[1][0] = 1e200
    weights[0][1] = torch.inf
    result = pu.train(network, weights, [0.0, 0.0, 0.05, 0.05])
    assert list(result.status) == ["nonfinite", "nonfinite", "converged", "converged"]


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
@pytest.mark.parametrize("gamma", [0.0, 0.05])
def test_weights_of_zero_are_stationary(method, gamma):
    network = linear_network(Isotropic(2))
    weights = batch(network, range(3))
    for w in weights:
        w[1] = 0
    result = pu.train(network, weights, gamma, pu.Settings(method, learning_rate=0.05))
    assert set(result.status) == {"converged"}
    assert (result.steps[1], result.B[1]) == (0, 0)
    assert result.loss[1] == network.moments.Eyy
    assert all(torch.all(w[1] == 0) for w in result.weights)
    assert result.B[0] > 0.5 and result.B[2] > 0.5


class Scalar:
    """One weight per network under a loss given as a function."""

    def __init__(self, function):
        self.function = function

    def data_loss(self, weights):
        return self.function(weights[0])


def test_a_loss_without_bound_diverges():
    problem = Scalar(lambda w: torch.where(w > 0, -(w**4), w**2))
    result = pu.train(problem, [torch.tensor([1.0, -1.0], dtype=torch.float64)], 0.1)
    assert list(result.status) == ["diverged", "converged"]


def test_a_kink_stalls():
    problem = Scalar(lambda w: (w**2 - 2).abs())  # no float64 has the square 2
    result = pu.train(problem, [torch.tensor([3.0, 0.2], dtype=torch.float64)], 0.0)
    assert list(result.status) == ["stalled", "stalled"]
    np.testing.assert_allclose(result.weights[0], np.sqrt(2), rtol=0, atol=1e-9)


def test_a_moving_ball_is_not_at_rest_where_the_gradient_vanishes():
    state = {
        "v": torch.tensor([[1.0], [0.0], [1e-9]], dtype=torch.float64),
        "g": torch.tensor([[1e-12], [1e-12], [1e-9]], dtype=torch.float64),
    }
    assert HeavyBall(0.9, FullBatch()).settled(state).tolist() == [False, True, True]


def test_the_unit_of_a_deep_loss_is_its_depth():
    # rounding keeps the gradient far above 1e-10 of the loss at zero weights
    problem = Scalar(lambda w: 1e6 * ((w**2 - 2) ** 2 - 4) + 1e-3)
    init = [torch.tensor([1.0, 1.2, -2.0], dtype=torch.float64)]
    result = pu.train(problem, init, 0.0, pu.Settings("sgd", learning_rate=3e-8))
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.loss, -4e6, rtol=1e-9)


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
@pytest.mark.parametrize("max_steps", [1, 3, 11])
def test_few_steps(method, max_steps):
    network = linear_network(Isotropic(2))
    init = batch(network, [0, 1])
    result = pu.train(network, init, 0.05, pu.Settings(method, max_steps=max_steps))
    assert list(result.status) == ["max_steps"] * 2
    assert list(result.steps) == [max_steps] * 2
    before = network.data_loss(init) + 0.05 * network.penalty(init)
    assert np.all(result.loss < before.numpy())


# Extremes


def test_without_decay_the_residual_variance_is_reached():
    A0, Exy, Eyy = anisotropic()
    moments = pu.Moments(A0, Exy, Eyy)
    for depth in range(4):
        network = pu.LinearNetwork(moments, depth, 6)
        result = pu.train(network, batch(network, range(3)), 0)
        assert set(result.status) == {"converged"}
        np.testing.assert_allclose(result.loss, moments.residual_variance, rtol=1e-12)


@pytest.mark.parametrize("depth", [0, 1, 2, 5])
@pytest.mark.parametrize("gamma", [0.0, 0.1])
def test_without_signal_nothing_is_learned(depth, gamma):
    network = pu.LinearNetwork(pu.Moments.isotropic(3, signal=0.0, Eyy=0.7), depth, 4, 0.2)
    result = pu.train(network, batch(network), gamma)
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.loss, 0.7, rtol=1e-9)
    assert np.all(result.B < 0.05 if gamma == 0 else result.slope < 1e-9)


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_a_loss_that_falls_to_zero_converges_too(method):
    moments = pu.Moments.isotropic(3, signal=0.0)
    assert moments.Eyy == 0
    network = pu.LinearNetwork(moments, 1, 4)
    result = pu.train(network, batch(network), 0.3, pu.Settings(method, learning_rate=0.02))
    assert set(result.status) == {"converged"}
    assert np.all(result.loss < 1e-15)


def test_width_one_and_depth_five():
    problem = Isotropic(5)
    network = pu.LinearNetwork(pu.Moments.isotropic(1), 5, 1)
    gamma = 0.9 * problem.critical
    positive = tuple(w.abs() for w in network.initial_weights(1.0, range(8)))
    result = pu.train(network, positive, gamma)
    assert set(result.status) == {"converged"}
    loss, slope, B = problem.minimum(gamma)
    best = result.loss.argmin()
    assert result.loss[best] == pytest.approx(loss, abs=1e-13)
    assert [result.slope[best], result.B[best]] == pytest.approx([slope, B], abs=EXACT)


def test_a_column_of_2000_networks_is_trained_at_once():
    network = linear_network(Isotropic(1))
    gammas = np.linspace(0.05, 0.9, 2000)
    result = pu.train(network, network.initial_weights(0.3, range(2000)), gammas)
    away = np.abs(gammas - 0.45) > 0.01
    assert set(result.status[away]) == {"converged"}
    loss, _, _ = Isotropic(1).curve(gammas)
    np.testing.assert_allclose(result.loss[away], loss[away], rtol=0, atol=1e-11)


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_float32(method):
    network = linear_network(Isotropic(2, noise_factor=1.3))
    init = network.initial_weights(0.7, range(4), dtype=torch.float32)
    gammas = np.array([0.02, 0.05, 0.08, 0.3])
    result = pu.train(network, init, gammas, pu.Settings(method, learning_rate=0.03))
    assert result.weights[0].dtype == torch.float32
    assert result.loss.dtype == np.float64
    assert set(result.status) == {"converged"}
    double = pu.train(network, [w.double() for w in init], gammas)
    np.testing.assert_allclose(result.loss, double.loss, rtol=0, atol=1e-6)
    np.testing.assert_allclose(result.B, double.B, rtol=0, atol=1e-4)


# Repetition, and independence of the batch


@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_training_is_deterministic(method):
    network = linear_network(Isotropic(2, noise_factor=1.3))
    chosen = pu.Settings(method, max_steps=200)
    first, second = (pu.train(network, batch(network), 0.05, chosen) for _ in range(2))
    assert same(first, second)


@pytest.mark.parametrize("noise_factor", [1.0, 1.3])
@pytest.mark.parametrize("method", ["lbfgs", "sgd"])
def test_a_network_is_trained_alike_in_any_batch(method, noise_factor):
    network = linear_network(Isotropic(2, noise_factor=noise_factor))
    gammas = np.array([0.02, 0.05, 0.08, 0.1, 0.2, 0.4])
    init = batch(network)
    chosen = pu.Settings(method, learning_rate=0.05, tolerance=1e-13)
    whole = pu.train(network, init, gammas, chosen)
    order = np.array([3, 0, 5])
    part = pu.train(network, rows(init, order), gammas[order], chosen)
    assert list(part.status) == list(whole.status[order])
    for name in ("loss", "slope"):
        measured, single = getattr(part, name), getattr(whole, name)[order]
        np.testing.assert_allclose(measured, single, rtol=1e-12, atol=1e-12)


def test_memory_and_step_cap_change_the_way_and_not_the_end():
    network = linear_network(Isotropic(1, 1.7, 0.8))
    ends = [
        pu.train(network, batch(network), 0.3, pu.Settings(memory=memory, step_cap=cap))
        for memory, cap in [(1, 0.2), (8, 0.02), (20, 10.0)]
    ]
    assert ends[0].steps.sum() != ends[1].steps.sum()
    loss = Isotropic(1, 1.7, 0.8).minimum(0.3)[0]
    for end in ends:
        assert set(end.status) == {"converged"}
        np.testing.assert_allclose(end.loss, loss, rtol=0, atol=1e-13)


# Any problem


class SamplesOnly:
    """A linear network that knows its samples and leaves the gradient to torch."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def data_loss(self, weights):
        h = self.x
        for w in weights:
            h = h @ w.mT
        return ((h - self.y) ** 2).sum(-1).mean(-1)


def test_an_object_with_a_data_loss_alone_is_differentiated():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    network = pu.LinearNetwork(pu.Moments.from_samples(x, y), 2, 4)
    init = batch(network, range(3))
    gammas = np.array([0.0, 0.005, 0.1])
    chosen = pu.Settings(tolerance=1e-12)
    exact = pu.train(network, init, gammas, chosen)
    sampled = pu.train(SamplesOnly(torch.tensor(x), torch.tensor(y)), init, gammas, chosen)
    np.testing.assert_allclose(sampled.loss, exact.loss, rtol=1e-12)
    np.testing.assert_allclose(sampled.slope[1:], exact.slope[1:], rtol=0, atol=1e-8)
    assert np.all(np.isnan(sampled.B))
    assert not any(w.requires_grad for w in sampled.weights)


class Tanh(SamplesOnly):
    """One hidden layer of tanh units with an undecayed output bias, a vector for each network."""

    def data_loss(self, weights):
        first, second, bias = weights
        output = torch.tanh(self.x @ first.mT) @ second.mT
        return ((output[..., 0] + bias[:, None] - self.y) ** 2).mean(-1)

    def penalty(self, weights):
        return sum(w.flatten(1).square().sum(1) for w in weights[:2])

    def order_parameter(self, weights):
        return weights[1].flatten(1).norm(dim=1)


def test_a_nonlinear_network_with_its_own_penalty_and_order_parameter():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(x @ torch.tensor([1.0, 0.5], dtype=torch.float64)) + 0.7
    problem = Tanh(x, y)
    init = [
        torch.randn(4, *shape, generator=generator, dtype=torch.float64)
        for shape in [(3, 2), (1, 3), ()]
    ]
    gammas = np.array([1e-3, 0.01, 0.1, 5.0])
    result = pu.train(problem, init, gammas)
    assert set(result.status) == {"converged"}
    leaves = [w.clone().requires_grad_() for w in result.weights]
    decay = torch.from_numpy(gammas)
    total = problem.data_loss(leaves) + decay * problem.penalty(leaves)
    for gradient in torch.autograd.grad(total.sum(), leaves):
        assert gradient.abs().max() < 1e-9
    np.testing.assert_array_equal(result.B, result.weights[1].flatten(1).norm(dim=1))
    # beyond its transition the network is trivial, and the free bias is the mean
    assert result.slope[3] < 1e-12
    assert result.weights[2][3].item() == pytest.approx(y.mean().item(), abs=1e-9)


def test_a_weight_that_the_loss_does_not_see_stays():
    class Unseen(Scalar):
        def penalty(self, weights):
            return weights[0] ** 2

    init = [torch.tensor([2.0], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)]
    result = pu.train(Unseen(lambda w: (w - 1) ** 2), init, 1.0)
    assert result.weights[0].item() == pytest.approx(0.5, abs=1e-10)
    assert result.weights[1].item() == 3


def test_lbfgs_finds_the_bottom_of_a_curved_valley():
    class Rosenbrock:
        def data_loss(self, weights):
            a, b = weights[0].unbind(1)
            return (1 - a) ** 2 + 100 * (b - a**2) ** 2

    starts = torch.tensor([[-1.2, 1.0], [2.0, 2.0], [0.0, 0.0], [-3.0, -4.0]], dtype=torch.float64)
    result = pu.train(Rosenbrock(), [starts], 0, pu.Settings(tolerance=1e-13))
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.weights[0], 1, rtol=0, atol=1e-9)
    assert result.steps.max() < 200


def test_moments_stand_for_the_network_that_the_weights_span():
    A0, Exy, Eyy = anisotropic()
    moments = pu.Moments(A0, Exy, Eyy)
    for depth, width in [(0, None), (2, [4, 3])]:
        network = pu.LinearNetwork(moments, depth, width)
        init = batch(network)
        assert same(pu.train(moments, init, 0.1), pu.train(network, init, 0.1))


# Bad input

NETWORK = pu.LinearNetwork(pu.Moments.isotropic(2), 1, 3)
INIT = NETWORK.initial_weights(0.3, [0, 1])


class Returning:
    def __init__(self, data_loss, penalty=None):
        self.data_loss = data_loss
        if penalty is not None:
            self.penalty = penalty


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gamma": -0.1}, "gamma must be >= 0, got -0.1"),
        ({"gamma": [0.1, np.nan]}, "gamma must be finite"),
        ({"gamma": [0.1, 0.1, 0.1]}, "gamma must be a scalar or have 2 entries, got 3"),
        ({"gamma": [[0.1], [0.1]]}, "gamma must have 0 or 1 dimensions"),
        ({"gamma": "x"}, "gamma must be real numbers"),
        ({"init": None}, "init must be a sequence of tensors, got NoneType"),
        ({"init": INIT[0]}, "init must be a sequence of tensors, got Tensor"),
        ({"init": [w.numpy() for w in INIT]}, "init must be a sequence of tensors"),
        ({"init": []}, "init must hold one tensor or more"),
        ({"init": INIT[:1]}, r"init must have shapes \(\(3, 2\), \(1, 3\)\) like the problem"),
        ({"init": (INIT[0], INIT[1][:1])}, "same number >= 1 of networks"),
        ({"init": tuple(w[:0] for w in INIT)}, "same number >= 1 of networks"),
        ({"init": (INIT[0], INIT[1].float())}, "one dtype"),
        ({"init": tuple(w.half() for w in INIT)}, "float32 or float64"),
        ({"init": tuple(w.int() for w in INIT)}, "float32 or float64"),
        ({"problem": None}, "problem must be a LinearNetwork"),
        ({"problem": NETWORK.moments, "init": [w[:, 0] for w in INIT]}, "init must be matrices"),
        ({"problem": NETWORK.moments, "init": [INIT[1]]}, "init must have shapes"),
        ({"settings": {"method": "sgd"}}, "settings must be a Settings or None, got dict"),
        ({"problem": Returning(lambda w: w[0].sum())}, r"data_loss .* \(2,\), got \(\)"),
        ({"problem": Returning(lambda _: 1.0)}, "data_loss .* got float"),
        ({"problem": Returning(lambda w: w[0].detach()[:, 0, 0])}, "data_loss .* differentiable"),
        (
            {"problem": Returning(lambda w: w[0][:, 0, 0], lambda w: w[0].sum())},
            r"penalty .* got \(\)",
        ),
    ],
)
def test_bad_training_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.train(**{"problem": NETWORK, "init": INIT, "gamma": 0.1, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "newton"}, "method must be one of lbfgs, sgd, adam, flow, got 'newton'"),
        ({"tolerance": 0}, "tolerance must be > 0, got 0"),
        ({"tolerance": np.nan}, "tolerance must be finite"),
        ({"learning_rate": -1}, "learning_rate must be > 0, got -1"),
        ({"momentum": 1}, "momentum must be < 1, got 1"),
        ({"momentum": -0.1}, "momentum must be >= 0, got -0.1"),
        ({"step_cap": 0}, "step_cap must be > 0"),
        ({"max_steps": 0}, "max_steps must be an integer >= 1, got 0"),
        ({"max_steps": 2.5}, "max_steps must be an integer >= 1, got 2.5"),
        ({"learning_rate": [0.1, 0]}, "learning_rate must be > 0, got 0"),
        ({"batch_size": 3}, "batch_size must be 0 for lbfgs, got 3"),
        ({"method": "sgd", "batch_size": -1}, "batch_size must be an integer >= 0, got -1"),
        ({"accuracy": 0}, "accuracy must be > 0"),
        ({"time": 0}, "time must be > 0"),
        ({"time": np.nan}, "time must be finite"),
        ({"precision": "half"}, "precision must be one of float64, float32, got 'half'"),
        ({"memory": 0}, "memory must be an integer >= 1, got 0"),
    ],
)
def test_bad_settings_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.Settings(**arguments)


def test_settings_may_come_as_any_numbers():
    chosen = pu.Settings(max_steps=30.0, memory=np.int64(4), tolerance=np.float32(1e-6))
    assert type(chosen.max_steps) is type(chosen.memory) is int
    assert type(chosen.tolerance) is float
    assert pu.train(NETWORK, INIT, 0.1, chosen).steps.max() <= 30


def test_every_status_is_distinct_and_documented():
    assert len(set(STATUS)) == len(STATUS)
    assert all(f'"{status}"' in pu.Result.__doc__ for status in STATUS)


class Well:
    """|w - place|, or its square: weights of any size, and a kink at the minimum."""

    def __init__(self, place=0.0, power=2.0):
        self.place, self.power = place, power

    def data_loss(self, weights):
        return (weights[0] - self.place).norm(dim=1) ** self.power


def test_large_initial_weights_are_no_divergence():
    init = [torch.full((2, 1), 1e6, dtype=torch.float64)]
    result = pu.train(Well(place=1e5), init, 0.0, pu.Settings(step_cap=10))
    assert list(result.status) == ["converged"] * 2
    assert result.weights[0].ravel().tolist() == pytest.approx([1e5] * 2)


def test_a_finite_loss_without_a_finite_gradient_is_named():
    class Rooted:
        def data_loss(self, weights):
            return weights[0].sum(1).clamp_min(0).sqrt() + weights[0].square().sum(1)

    init = [torch.tensor([[0.0, 0.0], [-1.0, -1.0]], dtype=torch.float64)]
    result = pu.train(Rooted(), init, 0.1)
    assert list(result.status) == ["nonfinite", "converged"]
    assert result.steps[0] == 0


def test_a_looser_tolerance_ends_sooner():
    network, init = linear_network(Isotropic(2)), batch(linear_network(Isotropic(2)))
    steps = [
        pu.train(network, init, 0.05, pu.Settings(tolerance=tolerance)).steps.max()
        for tolerance in (1e-3, 1e-13)
    ]
    assert steps[0] <= 0.7 * steps[1]
