"""Langevin chains: Gibbs averages against quadrature, passage times against Kramers' integral."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad

import phase_utils as pu

A, E, EYY = 1.3, 0.45, 0.3
MOMENTS = pu.Moments([[A]], [E], EYY)
RIDGE = pu.LinearNetwork(MOMENTS, depth=0)
CHAIN = pu.LinearNetwork(MOMENTS, depth=1, width=1)


def weights(*columns):
    return tuple(torch.tensor(c, dtype=torch.float64).reshape(-1, 1, 1) for c in columns)


def ridge(w, gamma):
    return A * w**2 - 2 * E * w + EYY + gamma * w**2


def gibbs(depth, gamma, T):
    """<loss>, <data loss> and <|w|^2> of one neuron per layer, on a grid over all weights."""
    axis = np.linspace(-3, 3, 801)
    grid = np.meshgrid(*[axis] * (depth + 1))
    product, R = np.prod(grid, axis=0), np.sum(np.square(grid), axis=0)
    data = A * product**2 - 2 * E * product + EYY
    loss = data + gamma * R
    p = np.exp(-(loss - loss.min()) / T)
    return [np.sum(p * v) / np.sum(p) for v in (loss, data, R)]


class Quartic:
    """A problem that offers nothing but a data loss, unbounded below beyond |w| = 100."""

    def data_loss(self, weights):
        w = weights[0]
        return torch.where(w.abs() > 100, -1e12 * w.abs(), (w - 1) ** 2 + w**4)


@pytest.mark.parametrize("stiff_dt", [0.2, 1.2])
def test_harmonic_variance_has_no_bias_at_any_step(stiff_dt):
    n, gamma, T = 2048, 0.2, 0.05
    k = 2 * (A + gamma)
    start = RIDGE.initial_weights(0.1, range(n))
    done = pu.langevin(RIDGE, start, gamma, T, dt=stiff_dt / k, steps=400, burn_in=100, seed=2)
    mean, error = done.average("loss", n)
    excess = mean[0] - ridge(E / (A + gamma), gamma)  # k <(w - w*)^2> / 2 = T / 2
    assert abs(excess - T / 2) < 4 * error[0]
    # without the adjustment the variance is T / k / (1 - k dt / 2): the test would see it
    assert T / 2 * (1 / (1 - stiff_dt / 2) - 1) > 10 * error[0]


@pytest.mark.parametrize("network", [RIDGE, CHAIN])
def test_gibbs_averages_at_different_decays_and_temperatures(network):
    replicas, cases = 512, [(0.3, 0.02), (0.45, 0.05), (0.6, 0.02)]
    gamma, T = np.repeat(cases, replicas, axis=0).T
    start = network.initial_weights(0.5, range(len(T)))
    done = pu.langevin(network, start, gamma, T, dt=0.25, steps=1500, burn_in=300, seed=1)
    assert set(done.status) == {"ok"} and done.acceptance.min() > 0.5
    measured = [done.average(name, replicas) for name in ("loss", "data_loss", "penalty")]
    for i, case in enumerate(cases):
        for (mean, error), expected in zip(measured, gibbs(network.depth, *case), strict=True):
            assert abs(mean[i] - expected) < 4 * error[i]
            assert error[i] < 0.02 * expected


def test_equipartition():
    n, T, gamma = 8192, 0.03, torch.tensor(0.4, dtype=torch.float64)
    start = CHAIN.initial_weights(0.5, range(n))
    done = pu.langevin(CHAIN, start, float(gamma), T, dt=0.3, steps=300, seed=4)
    gradients = CHAIN.value_and_gradient(done.weights, gamma.expand(n))[1]
    for w, g in zip(done.weights, gradients, strict=True):
        virial = (w * g).flatten().numpy()
        assert abs(virial.mean() - T) < 4 * virial.std() / np.sqrt(n)


def passage_time(start, level, gamma, T):
    """Mean time from `start` to `level` above it: (1/T) int e^(l/T) int e^(-l/T)."""

    def inner(y):
        return quad(lambda z: np.exp((ridge(y, gamma) - ridge(z, gamma)) / T), -6, y, limit=200)[0]

    return quad(inner, start, level, epsabs=1e-8)[0] / T


def test_mean_passage_time():
    n, gamma, T, level, dt = 2048, 0.2, 0.05, 0.5, 0.01
    done = pu.langevin(
        RIDGE,
        weights(np.zeros(n)),
        gamma,
        T,
        dt=dt,
        steps=20_000,
        event=lambda w: w[0][:, 0, 0] > level,
        seed=5,
    )
    assert set(done.status) == {"passed"}
    np.testing.assert_allclose(done.passage, done.steps * dt)
    mean, error = done.average("passage", n)
    # a level seen at whole steps acts like one that is 0.5826 sqrt(2 T dt) farther away
    expected = passage_time(0.0, level + 0.5826 * np.sqrt(2 * T * dt), gamma, T)
    assert abs(mean[0] - expected) < 4 * error[0] + 0.01 * expected
    assert error[0] < 0.02 * expected
    assert all(w.min() > level for w in done.weights)


def test_noise_of_a_chain_does_not_depend_on_the_batch():
    start = CHAIN.initial_weights(0.5, range(6))
    seeds, gamma = np.array([7, 1, 4, 9, 2, 30]), np.linspace(0.1, 0.6, 6)
    options = {"dt": 0.1, "steps": 300, "trace": True}
    whole = pu.langevin(CHAIN, start, gamma, 0.02, seed=seeds, **options)
    again = pu.langevin(CHAIN, start, gamma, 0.02, seed=seeds, **options)
    some = [4, 1]
    part = pu.langevin(
        CHAIN, tuple(w[some] for w in start), gamma[some], 0.02, seed=seeds[some], **options
    )
    for name in ("loss", "data_loss", "penalty", "B"):
        np.testing.assert_array_equal(whole.traces[name], again.traces[name])
        np.testing.assert_allclose(whole.traces[name][:, some], part.traces[name], rtol=1e-9)
        np.testing.assert_allclose(whole.traces[name].mean(0), getattr(whole, name))
    assert whole.traces["loss"].shape == (30, 6)


def test_spawned_seeds_differ():
    done = pu.langevin(CHAIN, weights(*[np.full(50, 0.3)] * 2), 0.3, 0.02, dt=0.1, steps=20, seed=3)
    assert len(np.unique(done.penalty)) == 50


def test_bad_rows_leave_the_others_alone():
    start = weights([0.5, np.nan, 200.0, 0.9])
    done = pu.langevin(Quartic(), [w[:, 0, 0] for w in start], 0.0, 0.1, dt=1e-3, steps=2000)
    assert done.status.tolist() == ["ok", "nonfinite", "diverged", "ok"]
    assert np.isfinite(done.loss).tolist() == [True, False, False, True]
    assert done.steps[1] == 0 and done.steps[2] < 2000
    assert np.all(np.isnan(done.B))
    alone = pu.langevin(Quartic(), [torch.ones(4)[:1].double() / 2], 0.0, 0.1, dt=1e-3, steps=2000)
    np.testing.assert_allclose(done.loss[0], alone.loss[0], rtol=1e-9)
    mean, error = done.average("loss", 4)
    assert mean[0] == pytest.approx(done.loss[[0, 3]].mean())
    assert error[0] == pytest.approx(done.loss[[0, 3]].std(ddof=1) / np.sqrt(2))


def test_too_long_a_step_is_stuck():
    start = CHAIN.initial_weights(1.0, range(3))
    done = pu.langevin(CHAIN, start, 0.4, 1e-4, dt=[50.0, 0.1, 0.1], steps=200)
    assert done.status.tolist() == ["stuck", "ok", "ok"]
    assert np.isfinite(done.loss).tolist() == [False, True, True]


def test_event_that_holds_at_the_start():
    start = weights([0.0, 3.0])
    done = pu.langevin(
        RIDGE, start, 0.2, 0.01, dt=0.01, steps=5, every=1, event=lambda w: w[0][:, 0, 0] > 2
    )
    assert done.status.tolist() == ["ok", "passed"]
    assert done.steps.tolist() == [5, 0]
    assert done.passage[1] == 0 and np.isnan(done.passage[0]) and np.isnan(done.loss[1])


GOOD = {"gamma": 0.1, "temperature": 0.1, "dt": 0.1, "steps": 20}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gamma": -1.0}, "gamma must be >= 0, got -1"),
        ({"gamma": [0.1, 0.2]}, "gamma must be a scalar or have 3 entries, got 2"),
        ({"temperature": 0.0}, "temperature must be > 0, got 0"),
        ({"temperature": np.nan}, "temperature must be finite, got nan"),
        ({"dt": 0}, "dt must be > 0, got 0"),
        ({"dt": [0.1] * 4}, "dt must be a scalar or have 3 entries, got 4"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"burn_in": 20}, "burn_in must be less than steps = 20, got 20"),
        ({"every": 1.5}, "every must be an integer >= 1, got 1.5"),
        ({"seed": [1, 2]}, "seed must be a scalar or have 3 entries, got 2"),
        ({"seed": [1, 2, 2]}, "seed must be distinct for every chain, got repeats"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"event": 0.3}, "event must be a callable of the weights, got float"),
        ({"event": lambda w: w[0].sum()}, "event must return 3 booleans"),
        ({"problem": object()}, "problem must be a LinearNetwork"),
        ({"init": [torch.zeros(3, 1, 1)]}, "init must be float64, got torch.float32"),
        ({"init": weights([0.0], [0.0])}, "init must have shapes"),
    ],
)
def test_bad_input(change, message):
    arguments = {"problem": RIDGE, "init": weights([0.0, 0.1, 0.2]), **GOOD, **change}
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        pu.langevin(**arguments)


def test_bad_average():
    done = pu.langevin(RIDGE, weights([0.0, 0.1, 0.2]), **GOOD)
    with pytest.raises(ValueError, match="replicas must divide the 3 chains, got 2"):
        done.average("loss", 2)
    with pytest.raises(ValueError, match="name must be one of loss"):
        done.average("slope", 3)
    with pytest.raises(ValueError, match="replicas must be an integer >= 1, got 0"):
        done.average("loss", 0)
    mean, error = done.average("loss", 1)  # chains one by one have no error
    np.testing.assert_array_equal(mean, done.loss)
    assert np.isnan(error).all()


def test_every_step_that_was_asked_for_is_taken_and_may_be_traced():
    start = RIDGE.initial_weights(0.1, range(2))
    done = pu.langevin(RIDGE, start, 0.1, 0.05, dt=0.01, steps=7, every=1, trace=True)
    assert done.steps.tolist() == [7, 7]
    assert done.traces["loss"].shape == (7, 2)
    later = pu.langevin(RIDGE, start, 0.1, 0.05, dt=0.01, steps=7, burn_in=4, every=1)
    np.testing.assert_allclose(later.loss, done.traces["loss"][4:].mean(0), rtol=1e-12)
