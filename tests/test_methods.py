"""Adam, the gradient flow, minibatches, and modules on samples, against torch and exact answers."""

import numpy as np
import pytest
import torch
from problems import Isotropic, anisotropic
from scipy.integrate import solve_ivp

import phase_utils as pu
from phase_utils.training.descents import Adam, Flow, FullBatch, HeavyBall, RandomBatch, hashed
from phase_utils.training.minimisers import ADVICE
from phase_utils.training.quasi_newton import Lbfgs
from phase_utils.training.train import flat_evaluate

MOMENTS = pu.Moments(*anisotropic())
NETWORK = pu.LinearNetwork(MOMENTS, 2, 4, 0.3)


def samples(n=40, d=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)), rng.normal(size=(n, 1))


mse = torch.nn.functional.mse_loss


def linear_module(d=3, width=4):
    layers = torch.nn.Linear(d, width, bias=False), torch.nn.Linear(width, 1, bias=False)
    return torch.nn.Sequential(*layers).double()


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_steps_are_those_of_torch_at_the_rate_of_each_network(method):
    rates, gammas = [0.003, 0.05, 0.01], np.array([0.0, 0.04, 0.2])
    init = NETWORK.initial_weights(0.5, range(3))
    chosen = pu.Settings(method, learning_rate=rates, momentum=0.8, max_steps=57)
    result = pu.train(NETWORK, init, gammas, chosen)
    for row, (rate, gamma) in enumerate(zip(rates, gammas, strict=True)):
        leaves = [w[row : row + 1].clone().requires_grad_() for w in init]
        if method == "adam":
            optimiser = torch.optim.Adam(leaves, lr=rate, weight_decay=2 * gamma)
        else:
            optimiser = torch.optim.SGD(leaves, lr=rate, momentum=0.8, weight_decay=2 * gamma)
        for _ in range(57):
            optimiser.zero_grad()
            NETWORK.data_loss(leaves).sum().backward()
            optimiser.step()
        for ours, theirs in zip(result.weights, leaves, strict=True):
            torch.testing.assert_close(ours[row], theirs.detach()[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    "method",
    [Lbfgs(4, 0.2), HeavyBall(0.9, FullBatch()), Adam(FullBatch()), Flow(1e-6)],
    ids=lambda method: type(method).__name__,
)
def test_a_tick_keeps_the_names_shapes_and_types_of_the_state(method):
    # what a graph replays is fixed when it is captured
    init = NETWORK.initial_weights(0.5, range(3))
    evaluate = flat_evaluate(NETWORK, tuple(w.shape[1:] for w in init))
    x = torch.cat([w.flatten(1) for w in init], dim=1)
    ones = torch.ones(3, dtype=torch.float64)
    f, g = evaluate(x, ones)
    state = {"x": x, "f": f, "g": g, "gamma": ones, "unit": f, "rate": 0.01 * ones, "until": ones}
    method.start(state, evaluate)
    before = {name: (value.shape, value.dtype) for name, value in state.items()}
    for number in range(method.period):
        method.tick(state, evaluate, number)
        assert {name: (value.shape, value.dtype) for name, value in state.items()} == before
    assert all(value.shape[0] == 3 for value in state.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lbfgs(4, 0.2),
        lambda: HeavyBall(0.9, RandomBatch(2, 9)),
        lambda: Adam(FullBatch()),
        lambda: Flow(1e-6),
    ],
)
def test_a_method_remembers_nothing(make):
    """What a tick needs is in the state: one method may serve several batches in turn."""
    init = NETWORK.initial_weights(0.5, range(3))
    whole = flat_evaluate(NETWORK, tuple(w.shape[1:] for w in init))
    x = torch.cat([w.flatten(1) for w in init], dim=1)
    ones = torch.ones(3, dtype=torch.float64)
    extra = {"rate": 0.01 * ones, "until": ones, "stream": torch.arange(3)}

    def started(method, shift):
        f, g = whole(x + shift, ones)
        state = {"x": x + shift, "f": f, "g": g, "gamma": ones, "unit": f} | extra
        method.start(state, evaluate)
        return state

    def evaluate(x, gamma, _=None):
        return whole(x, gamma)

    shared, own = make(), make()
    alone, first, second = started(own, 0.0), started(shared, 0.0), started(shared, 0.1)
    for number in range(7):
        own.tick(alone, evaluate, number)
        shared.tick(second, evaluate, number)
        shared.tick(first, evaluate, number)
    assert all(torch.equal(alone[name], first[name]) for name in alone)


def test_adam_reaches_the_exact_minimum():
    problem = Isotropic(2)
    network = pu.LinearNetwork(pu.Moments.isotropic(3), 2, 4)
    gammas = problem.critical * np.array([0.3, 0.8, 2.0])
    init = network.initial_weights(0.6, range(3))
    chosen = pu.Settings("adam", learning_rate=0.01, max_steps=20000, tolerance=1e-9)
    result = pu.train(network, init, gammas, chosen)
    assert set(result.status) == {"converged"}
    np.testing.assert_allclose(result.loss, problem.curve(gammas)[0], rtol=0, atol=1e-12)


def test_the_flow_is_the_solution_of_its_equation():
    init = NETWORK.initial_weights([0.8, 0.05], range(2))
    gammas, time = np.array([0.0, 0.3]), 1.3
    result = pu.train(NETWORK, init, gammas, pu.Settings("flow", time=time, accuracy=1e-9))
    assert set(result.status) == {"time"}
    for row, gamma in enumerate(gammas):
        start = [w[row : row + 1] for w in init]
        decay = torch.tensor([gamma], dtype=torch.float64)

        def minus_gradient(_, flat, start=start, decay=decay):
            parts = torch.from_numpy(flat.copy()).split([w.numel() for w in start])
            weights = tuple(p.reshape(w.shape) for p, w in zip(parts, start, strict=True))
            gradients = NETWORK.value_and_gradient(weights, decay)[1]
            return -torch.cat([g.flatten() for g in gradients]).numpy()

        flat = torch.cat([w.flatten() for w in start]).numpy()
        solved = solve_ivp(minus_gradient, (0, time), flat, "DOP853", rtol=1e-12, atol=1e-13)
        ours = torch.cat([w[row].flatten() for w in result.weights]).numpy()
        np.testing.assert_allclose(ours, solved.y[:, -1], rtol=0, atol=1e-7)


def test_the_flow_solves_ridge_in_closed_form():
    a, e, gamma, time = np.array([0.5, 2.0]), np.array([0.3, 0.4]), 0.1, 0.9
    network = pu.LinearNetwork(pu.Moments.from_spectrum(a, e, 2.0), 0)
    init = network.initial_weights(1.0, [3])
    result = pu.train(network, init, gamma, pu.Settings("flow", time=time, accuracy=1e-10))
    fixed = e / (a + gamma)
    expected = fixed + (init[0][0, 0].numpy() - fixed) * np.exp(-2 * (a + gamma) * time)
    np.testing.assert_allclose(result.weights[0][0, 0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [0.01, 0.7])
def test_the_flow_never_raises_the_loss_and_converges(scale):
    init = NETWORK.initial_weights(scale, range(4))
    gammas = np.array([0.02, 0.05, 0.1, 0.4])
    weights, before = init, np.full(4, np.inf)
    for steps in (10, 10, 20, 40):
        result = pu.train(NETWORK, weights, gammas, pu.Settings("flow", max_steps=steps))
        assert np.all(result.loss <= before * (1 + 1e-14))
        weights, before = result.weights, result.loss
    end = pu.train(NETWORK, weights, gammas, pu.Settings("flow", tolerance=1e-9))
    assert set(end.status) == {"converged"}
    assert np.all(end.loss <= before * (1 + 1e-14))


def test_a_module_on_samples_is_the_linear_network_on_their_moments():
    x, y = samples()
    problem = pu.ModuleProblem(linear_module(), mse, (x, y))
    network = pu.LinearNetwork(pu.Moments.from_samples(x, y), 1, 4)
    init = network.initial_weights(0.5, range(4))
    drawn = problem.initial_weights(0.5, range(4))
    assert all(torch.equal(a, b) for a, b in zip(init, drawn, strict=True))
    gammas = np.array([0.0, 0.01, 0.05, 0.5])
    for method in ("lbfgs", "adam", "sgd", "flow"):
        chosen = pu.Settings(method, max_steps=40, learning_rate=0.02)
        ours, exact = (pu.train(p, init, gammas, chosen) for p in (problem, network))
        np.testing.assert_allclose(ours.loss, exact.loss, rtol=1e-9)
        np.testing.assert_allclose(ours.slope, exact.slope, rtol=1e-7)


def test_a_module_has_any_loss_and_parameters_without_decay():
    x, _ = samples()
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 1)
    layers = torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)
    problem = pu.ModuleProblem(
        torch.nn.Sequential(*layers),
        torch.nn.functional.cross_entropy,
        (x, y),
        decayed=["0.weight", "0.bias", "2.weight"],
    )
    init = problem.initial_weights(0.3, range(3))
    result = pu.train(problem, init, [0.001, 0.01, 1.0])
    assert set(result.status) == {"converged"}
    # beyond its transition the network is trivial, and its free bias knows the frequencies
    shares = np.bincount(y) / len(y)
    assert result.slope[2] < 1e-9
    assert result.loss[2] == pytest.approx(-np.sum(shares * np.log(shares)), abs=1e-9)
    np.testing.assert_allclose(torch.softmax(result.weights[3][2], 0), shares, atol=1e-6)


def test_minibatches_of_all_networks_come_from_their_own_streams():
    batches, seen = RandomBatch(5, 100), []
    state = {"stream": hashed(torch.arange(4)), "x": torch.zeros(4, 1), "gamma": torch.zeros(4)}

    def evaluate(_x, _gamma, rows):
        seen.append(rows)
        return torch.zeros(4), torch.zeros(4, 1)

    for _ in range(2000):
        batches.evaluate(state, evaluate)
    rows = torch.stack(seen)  # (steps, networks, size)
    assert rows.shape == (2000, 4, 5) and rows.min() == 0 and rows.max() == 99
    counts = np.stack([np.bincount(rows[:, i].flatten(), minlength=100) for i in range(4)])
    chi2 = ((counts - 100) ** 2 / 100).sum(axis=1)  # 99 degrees of freedom
    assert np.all((chi2 > 45) & (chi2 < 175))
    flat = rows.double().permute(1, 2, 0).reshape(20, -1).numpy()
    correlations = np.corrcoef(flat) - np.eye(20)
    assert np.abs(correlations).max() < 4.5 / np.sqrt(2000)
    lagged = [np.corrcoef(row[1:], row[:-1])[0, 1] for row in flat]
    assert np.abs(lagged).max() < 4.5 / np.sqrt(2000)


@pytest.mark.parametrize("method", ["adam", "sgd"])
def test_minibatch_gradients_are_unbiased_and_belong_to_the_seed(method):
    x, y = samples(12)
    problem = pu.ModuleProblem(linear_module(), mse, (x, y))
    init = tuple(w[:1].repeat(600, 1, 1) for w in problem.initial_weights(0.5, 1))
    one = {"max_steps": 1, "learning_rate": 1e-3, "momentum": 0.0}
    noisy = pu.train(problem, init, 0.02, pu.Settings(method, batch_size=3, **one))
    assert set(noisy.status) == {"max_steps"}
    chosen = pu.Settings(method, batch_size=3, **{**one, "max_steps": 20})
    whole = pu.train(problem, init, 0.02, chosen, range(600))
    part = pu.train(problem, [w[:2] for w in init], 0.02, chosen, [17, 400])
    for a, b in zip(whole.weights, part.weights, strict=True):
        torch.testing.assert_close(a[[17, 400]], b, rtol=1e-12, atol=1e-13)
    if method == "sgd":
        exact = pu.train(problem, init, 0.02, pu.Settings(method, **one))
        for a, b in zip(noisy.weights, exact.weights, strict=True):
            error = (a - b).std(0) / np.sqrt(600)
            assert torch.all((a.mean(0) - b[0]).abs() < 4.5 * error)
            assert torch.all(error > 0)


def test_the_summary_says_what_to_try_next():
    init = NETWORK.initial_weights(0.5, range(3))
    init[0][1] = torch.nan
    text = pu.train(NETWORK, init, 0.05, pu.Settings("sgd", max_steps=5)).summary()
    assert f"2 max_steps: {ADVICE['max_steps']}" in text
    assert f"1 nonfinite: {ADVICE['nonfinite']}" in text
    assert pu.train(NETWORK, NETWORK.initial_weights(0.5, 0), 0.05).summary() == "1 converged"


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_a_sweep_of_modules_over_the_same_grids(precision):
    x, y = samples()
    problem = pu.ModuleProblem(linear_module(), mse, (x, y))
    plan = {"gamma": [0.01, 0.2], "init_scale": [0.3, 0.6], "seed": range(2), "device": "cpu"}
    settings = pu.Settings(precision=precision)
    ours = pu.sweep(problem, **plan, depth=1, settings=settings)
    moments = pu.sweep(pu.Moments.from_samples(x, y), **plan, depth=1, width=4)
    assert ours.sizes == moments.sizes
    assert set(ours.status.values.ravel()) == {"converged"}
    tolerance = 1e-10 if precision == "float64" else 1e-5
    np.testing.assert_allclose(ours.loss, moments.loss, rtol=0, atol=tolerance)
    np.testing.assert_allclose(ours.slope, moments.slope, rtol=0, atol=1e3 * tolerance)


def test_settings_that_do_not_fit_the_networks_are_refused():
    init = NETWORK.initial_weights(0.5, range(3))
    x, y = samples()
    problem = pu.ModuleProblem(linear_module(), mse, (x, y))
    with pytest.raises(ValueError, match="learning_rate must be a scalar or have 3 entries, got 2"):
        pu.train(NETWORK, init, 0.1, pu.Settings("adam", learning_rate=[0.1, 0.2]))
    with pytest.raises(ValueError, match=r"batch_size must be 0 .* got 4 for LinearNetwork"):
        pu.train(NETWORK, init, 0.1, pu.Settings("adam", batch_size=4))
    several, few = pu.Settings(learning_rate=[0.1, 0.2]), pu.Settings("sgd", batch_size=4)
    two = problem.initial_weights(0.1, [0, 1])
    with pytest.raises(ValueError, match="seeds must be 2 integers"):
        pu.train(problem, two, 0.1, few, [1])
    with pytest.raises(ValueError, match="learning_rate must be one number for a sweep"):
        pu.sweep(MOMENTS, gamma=[0.1, 0.2], settings=several)
    with pytest.raises(ValueError, match="depth must be one number for a ModuleProblem"):
        pu.sweep(problem, gamma=[0.1])


def test_a_full_batch_is_at_rest_only_when_slow():
    state = {"g": torch.tensor([[1e-9], [1e-12]], dtype=torch.float64)}
    speed = torch.tensor([1e-9, 1e-6], dtype=torch.float64)
    assert FullBatch().at_rest(state, speed).tolist() == [True, False]


def test_the_first_step_of_the_flow_is_short_however_steep_the_loss():
    x = torch.tensor([[3.0, 4.0], [0.0, 1e-9]], dtype=torch.float64)
    steep = torch.tensor([[1e9, 0.0], [0.0, 2.0]], dtype=torch.float64)
    state = {"x": x, "f": torch.zeros(2, dtype=torch.float64), "g": steep}
    Flow(1e-6).start(state, None)
    assert (state["step"] * steep.norm(dim=1)).tolist() == pytest.approx([5e-3, 1e-6])


def test_the_flow_stays_where_the_next_slope_is_not_finite():
    x, ones = torch.zeros(1, 2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    state = {"x": x, "f": ones, "g": torch.ones_like(x), "gamma": ones, "unit": ones}
    state |= {"time": 0 * ones, "until": ones, "step": 0.1 * ones}

    def evaluate(x, _):
        return ones + x.sum(1), torch.tensor([[1.0, float("nan")]], dtype=torch.float64)

    Flow(1e-6).tick(state, evaluate, 0)
    assert torch.equal(state["x"], x)
    assert (state["time"].item(), state["step"].item()) == (0, pytest.approx(0.02))


def test_a_row_is_at_rest_where_twice_its_gradient_could_make_it_as_fast():
    g = torch.tensor([[3.0, 4.0]], dtype=torch.float64).repeat(3, 1)
    speed = torch.tensor([0.0, 10.0, 10.1], dtype=torch.float64)
    assert FullBatch().at_rest({"g": g}, speed).tolist() == [True, True, False]


def test_the_first_direction_of_lbfgs_ends_where_the_curvature_along_it_says():
    curvatures = torch.tensor([0.5, 2.0, 8.0], dtype=torch.float64)

    def evaluate(x, _):
        return 0.5 * (curvatures * x.square()).sum(1), curvatures * x

    x = torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    f, g = evaluate(x, None)
    state = {"x": x, "f": f, "g": g, "gamma": torch.zeros(2, dtype=torch.float64), "unit": f}
    Lbfgs(4, 0.2).start(state, evaluate)
    along = (curvatures * g.square()).sum(1) / g.square().sum(1)
    torch.testing.assert_close(state["curvature"], along)
    torch.testing.assert_close(state["h0"], 1 / along)
    torch.testing.assert_close(state["d"], -g / along[:, None])
    # but no step is longer than its cap
    torch.testing.assert_close((state["alpha"] * state["d"].norm(dim=1)), 0.2 * x.norm(dim=1))
