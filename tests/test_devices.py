"""Training on every device: exact minima, the same numbers, a status of its own for every row."""

import numpy as np
import pytest
import torch
from problems import Isotropic, anisotropic

import phase_utils as pu
from phase_utils.training import graphs

# comparisons with the CPU say nothing on the CPU itself
GPU = pytest.mark.parametrize(
    "device", [pytest.param("cuda", marks=pytest.mark.gpu)], indirect=True
)


def networks():
    A0, Exy, Eyy = anisotropic()
    moments = pu.Moments(A0, Exy, Eyy)
    rng = np.random.default_rng(1)
    several = pu.Moments.from_samples(rng.normal(size=(30, 4)), rng.normal(size=(30, 3)))
    return {
        "ridge": pu.LinearNetwork(moments, 0),
        "noise-free": pu.LinearNetwork(moments, 2, [6, 4]),
        "noisy": pu.LinearNetwork(moments, 2, [6, 4], 0.4, [1, 2, 0.5]),
        "deep": pu.LinearNetwork(moments, 4, 5, [0.1, 0.0, 0.3, 0.2]),
        "several outputs": pu.LinearNetwork(several, 3, 5, 0.2),
    }


def moved(weights, device, dtype=torch.float64):
    return tuple(w.to(device=device, dtype=dtype) for w in weights)


@pytest.mark.parametrize("name", networks())
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-4)])
def test_value_and_gradient(device, name, dtype, tolerance):
    network = networks()[name]
    init = network.initial_weights(0.6, range(5))
    gamma = torch.linspace(0.01, 0.3, 5, dtype=torch.float64)
    leaves = [w.clone().requires_grad_() for w in init]
    value = network.data_loss(leaves) + gamma * network.penalty(leaves)
    expected = torch.autograd.grad(value.sum(), leaves)
    measured, gradients = network.value_and_gradient(
        moved(init, device, dtype), gamma.to(device, dtype)
    )
    torch.testing.assert_close(
        measured.cpu().double(), value.detach(), rtol=tolerance, atol=tolerance
    )
    for g, e in zip(gradients, expected, strict=True):
        assert g.device.type == device and g.dtype == dtype
        scale = e.abs().max()
        torch.testing.assert_close(g.cpu().double(), e, rtol=0, atol=float(tolerance * (1 + scale)))


@pytest.mark.parametrize("method", ["lbfgs", "sgd", "adam", "flow"])
@pytest.mark.parametrize("depth", [1, 2])
def test_every_method_reaches_the_exact_minimum(device, method, depth):
    problem = Isotropic(depth, 1.7, 0.8, 1.3)
    noise = 4 * (1.3 ** (1 / depth) - 1)
    network = pu.LinearNetwork(pu.Moments.isotropic(3, 1.7, 0.8), depth, 4, noise)
    gammas = problem.critical * np.array([0.3, 0.6, 0.6, 1.5])
    init = network.initial_weights([0.5, 0.4, 0.6, 0.5], range(4), device=device)
    rates = {"sgd": 0.03, "adam": 0.01}.get(method, 1.0)
    chosen = pu.Settings(method, learning_rate=rates, max_steps=20000, tolerance=1e-9)
    result = pu.train(network, init, gammas, chosen)
    assert set(result.status) == {"converged"}
    assert all(w.device.type == device for w in result.weights)
    minima = np.array(
        [[problem.loss(B, g) for B in problem.stationary(g)[[0, -1]]] for g in gammas]
    )
    nearest = np.abs(minima - result.loss[:, None]).min(axis=1)
    np.testing.assert_allclose(nearest, 0, atol=1e-12)
    assert result.B[0] > 0.3 and result.B[3] < 1e-3


@GPU
@pytest.mark.parametrize("method", ["lbfgs", "sgd", "adam", "flow"])
def test_steps_are_those_of_the_cpu(device, method):
    network = networks()["noisy"]
    init = network.initial_weights(0.6, range(6))
    gammas = np.linspace(0.01, 0.4, 6)
    chosen = pu.Settings(method, learning_rate=np.linspace(0.005, 0.02, 6), max_steps=40)
    here = pu.train(network, init, gammas, chosen)
    there = pu.train(network, moved(init, device), gammas, chosen)
    assert list(here.status) == list(there.status)
    for a, b in zip(here.weights, there.weights, strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("method", ["lbfgs", "sgd", "adam", "flow"])
def test_a_failing_row_leaves_the_others_alone(device, method):
    network = networks()["noise-free"]
    good = network.initial_weights(0.4, range(6), device=device)
    bad = tuple(w.clone() for w in good)
    for w in bad:
        w[1] *= 1e60
        w[4] = torch.nan
    gammas = np.linspace(0.02, 0.2, 6)
    # steps of a given rate end before rounding has grown; those that adapt it become other steps,
    # but end within gradient^2 / (2 curvature) above the same minimum. The curvature is at least
    # 2 gamma, that of weights that are not used, but along rotations, which change nothing.
    adaptive = method in ("lbfgs", "flow")
    tolerance, steps = 1e-7, 2000 if adaptive else 300
    chosen = pu.Settings(method, learning_rate=0.01, max_steps=steps, tolerance=tolerance)
    whole, broken = (pu.train(network, w, gammas, chosen) for w in (good, bad))
    assert broken.status[4] == "nonfinite"
    assert broken.status[1] in ("nonfinite", "diverged", "max_steps", "stalled")
    kept = [0, 2, 3, 5]
    assert set(whole.status[kept]) == {"converged" if adaptive else "max_steps"}
    assert list(broken.status[kept]) == list(whole.status[kept])
    bound = np.full(4, 1e-13)
    if adaptive:
        bound += (tolerance * network.moments.Eyy) ** 2 / (4 * gammas[kept])
    assert np.all(np.abs(broken.loss - whole.loss)[kept] <= bound)
    assert "nan" in broken.summary()


def test_the_flow_never_raises_the_loss_and_ends_at_its_time(device):
    network = networks()["noisy"]
    weights = network.initial_weights(1.0, range(5), device=device)
    before = np.full(5, np.inf)
    for _ in range(8):
        result = pu.train(network, weights, 0.05, pu.Settings("flow", time=0.5))
        assert set(result.status) == {"time"}
        assert np.all(result.loss <= before)
        weights, before = result.weights, result.loss


@GPU
def test_minibatches_are_the_same_everywhere(device):
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 1))
    layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    problem = pu.ModuleProblem(layers, torch.nn.functional.mse_loss, (x, y))
    init = problem.initial_weights(0.5, range(5))
    chosen = pu.Settings("sgd", learning_rate=0.01, batch_size=7, max_steps=50)
    here = pu.train(problem, init, 0.01, chosen)
    there = pu.train(problem, moved(init, device), 0.01, chosen)
    for a, b in zip(here.weights, there.weights, strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-9, atol=1e-10)


@GPU
def test_a_sweep_is_that_of_the_cpu(device):
    moments = networks()["noisy"].moments
    plan = {"gamma": [0.02, 0.3], "depth": [0, 1, 2], "width": 4, "noise_variance": 0.2}
    ours = pu.sweep(moments, **plan, init_scale=0.6, seed=range(3), device=device)
    theirs = pu.sweep(moments, **plan, init_scale=0.6, seed=range(3), device="cpu")
    assert np.all(ours.status == theirs.status)
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=0, atol=1e-11)


@GPU
@pytest.mark.parametrize("method", ["lbfgs", "sgd", "adam", "flow"])
def test_graphs_take_the_same_steps(device, method, monkeypatch):
    network = networks()["noisy"]
    init = network.initial_weights(0.6, range(40), device=device)
    gammas = np.linspace(0.01, 0.4, 40)
    chosen = pu.Settings(method, learning_rate=0.01, max_steps=333)
    results, captured = [], []
    original = graphs.Ticks._captured
    monkeypatch.setattr(graphs.Ticks, "_captured", lambda *a: captured.append(1) or original(*a))
    for patience in (0, 10**9):
        monkeypatch.setattr(graphs, "PAYS_AFTER", patience)
        results.append(pu.train(network, init, gammas, chosen))
        replayed = len(captured)
        captured.clear()
        assert (replayed > 0) == (patience == 0)
    assert np.array_equal(results[0].status, results[1].status)
    for a, b in zip(results[0].weights, results[1].weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)
