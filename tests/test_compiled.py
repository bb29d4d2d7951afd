"""The compiled engine against the one of torch: same losses, same algorithms, same ends."""

import dataclasses
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from places import COMPILED

import phase_utils as pu
from phase_utils.training import compiled

pytest.importorskip("numba")

from phase_utils.training import compiling, kernels, minimisers
from phase_utils.training import rows as rows_of_batches
from phase_utils.training.layout import (
    Batch,
    block_for,
    network_of,
    pace_of,
    room_for,
    rules_of,
)

TYPES = {torch.float64: np.dtype(np.float64), torch.float32: np.dtype(np.float32)}


def network(case, depth, outputs):
    """A network of random sizes: without noise, with noise on all layers, or on some."""
    rng = np.random.default_rng([case, depth, outputs])
    d = int(rng.integers(1, 8))
    factor = rng.normal(size=(d, d))
    A0, Exy = factor @ factor.T / d + 0.3 * np.eye(d), rng.normal(size=(d, outputs))
    Eyy = float(np.trace(Exy.T @ np.linalg.solve(A0, Exy))) + 0.1
    noises = rng.uniform(0, 1, depth) * [0, 1, rng.uniform() < 0.5][case % 3]
    if case % 3 == 2 and depth:
        noises[rng.integers(depth)] = 0
    return pu.LinearNetwork(
        pu.Moments(A0, Exy[:, 0] if outputs == 1 else Exy, Eyy),
        depth,
        rng.integers(1, 12, size=depth).tolist() or None,
        noises.tolist(),
        rng.uniform(0.3, 2, depth + 1).tolist() if case % 2 else None,
    )


CASES = [
    pytest.param(network(case, depth, outputs), id=f"{case}-{depth}-{outputs}")
    for case in range(3)
    for depth in range(5)
    for outputs in (1, 2, 3)
]


def near(net):
    """Whether the minima are found within some hundred steps."""
    return net.moments.k == 1 or not any(net.noises)


@pytest.fixture
def by_torch(monkeypatch):
    """Train as one without numba does."""

    def train(*arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(compiled, "kernels", lambda _: None)
            return pu.train(*arguments, **options)

    return train


def same(a, b):
    """Whether two descents end with the same bits."""
    pairs = [(x.numpy(), y.numpy()) for x, y in zip(a.weights, b.weights, strict=True)]
    pairs += [(getattr(a, name), getattr(b, name)) for name in ("status", "steps")]
    return all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in pairs)


def rows(result, which):
    """A part of a result."""
    cut = {
        name: getattr(result, name)[which]
        for name in ("loss", "data_loss", "slope", "B", "status", "steps")
    }
    return dataclasses.replace(result, weights=tuple(w[which] for w in result.weights), **cut)


@pytest.mark.parametrize("net", CASES)
@pytest.mark.parametrize(("dtype", "share"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_loss_and_gradient_are_those_of_torch(net, dtype, share):
    weights = net.initial_weights(0.7, [3], dtype=dtype)
    loss, gradients = net.value_and_gradient(weights, torch.tensor([0.17], dtype=dtype))
    flat = torch.cat([g.flatten() for g in gradients]).numpy()
    x = torch.cat([w.flatten() for w in weights]).numpy()
    description, out = network_of(net, TYPES[dtype]), np.full_like(x, np.nan)
    room = room_for(description, 1, TYPES[dtype])
    for _ in range(2):  # the room is used again
        gamma = float(torch.tensor(0.17, dtype=dtype))
        value = kernels.value_and_gradient(description, x, gamma, room, out)
        assert value == pytest.approx(loss.item(), rel=share, abs=0)
        np.testing.assert_allclose(out, flat, rtol=0, atol=share * np.abs(flat).max())


@pytest.mark.parametrize("net", CASES)
@pytest.mark.parametrize(("dtype", "share"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_loss_of_lanes_is_that_of_torch(net, dtype, share):
    """It says when a descent ends, and nothing else tells it."""
    number, lanes = TYPES[dtype], compiled.kernels("adam")
    weights, gammas = net.initial_weights(0.7, range(3), dtype=dtype), torch.tensor([0.1, 0.2, 0.7])
    loss, gradients = net.value_and_gradient(weights, gammas.to(dtype))
    x = torch.cat([w.flatten(1) for w in weights], 1).numpy()
    ended = np.zeros(3, np.int64), np.zeros(3, np.int64)
    batch = Batch(x, gammas.to(dtype).numpy(), np.full(3, 0.1, number), *ended)
    description = network_of(net, number)
    block = block_for(description, lanes.abreast(number), number)
    block.queue[:] = 0, 3
    at_once = pace_of(pu.Settings("adam"), dtype)._replace(max_steps=0)
    lanes.descend(description, at_once, block, batch, 1)
    np.testing.assert_allclose(block.f[:3], loss, rtol=share, atol=0)
    steepness = torch.cat([g.flatten(1) for g in gradients], 1).norm(dim=1)
    np.testing.assert_allclose(block.steepness[:3], steepness, rtol=share, atol=0)


@pytest.mark.parametrize("net", CASES)
def test_descents_follow_the_same_path(net, by_torch):
    """Where rounding has not yet told them apart, and to the same end where that is near."""
    gammas = np.array([0.02, 0.1, 0.5])
    init, few = net.initial_weights(0.6, range(3)), pu.Settings(max_steps=15)
    ours, theirs = pu.train(net, init, gammas, few), by_torch(net, init, gammas, few)
    assert (ours.engine, theirs.engine) == ("compiled", "torch")
    assert ours.steps.tolist() == theirs.steps.tolist()
    assert ours.status.tolist() == theirs.status.tolist()
    for w, v in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(w, v, rtol=0, atol=1e-8)


@pytest.mark.parametrize("net", [case for case in CASES if near(case.values[0])])
def test_descents_end_as_those_of_torch(net, by_torch):
    gammas = np.geomspace(0.05, 1, 5)
    init = net.initial_weights(0.6, range(5))
    ours, theirs = pu.train(net, init, gammas), by_torch(net, init, gammas)
    assert ours.status.tolist() == theirs.status.tolist()
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-9, atol=0)
    assert np.median(np.abs(ours.steps - theirs.steps)) <= 30


@pytest.mark.parametrize("net", CASES[::4])
def test_float32_ends_as_with_torch(net, by_torch):
    gammas = np.geomspace(0.01, 1, 8)
    init = net.initial_weights(0.6, range(8), dtype=torch.float32)
    ours, theirs = pu.train(net, init, gammas), by_torch(net, init, gammas)
    assert ours.weights[0].dtype == torch.float32
    both = (ours.status == "converged") & (theirs.status == "converged")
    assert both.mean() > 0.7
    np.testing.assert_allclose(ours.loss[both], theirs.loss[both], rtol=1e-4, atol=0)


@pytest.mark.parametrize("settings", [{"memory": 1}, {"memory": 3}, {"step_cap": 0.03}])
def test_settings_are_followed(settings, by_torch):
    net = network(0, 2, 1)
    init, chosen = net.initial_weights(0.6, range(6)), pu.Settings(max_steps=15, **settings)
    ours, theirs = pu.train(net, init, 0.05, chosen), by_torch(net, init, 0.05, chosen)
    default = pu.train(net, init, 0.05, pu.Settings(max_steps=15))
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-9, atol=0)
    assert np.abs(ours.loss - default.loss).max() > 1e-9


def test_moments_are_trained_without_noise(by_torch):
    moments = pu.Moments.isotropic(3)
    init = pu.LinearNetwork(moments, 1, 4).initial_weights(0.5, [0, 1])
    ours = pu.train(moments, init, 0.2)
    assert ours.engine == "compiled"
    np.testing.assert_allclose(ours.loss, by_torch(moments, init, 0.2).loss, rtol=1e-12)


@pytest.mark.parametrize("dtype", TYPES)
def test_a_network_is_the_same_alone_and_in_a_batch(dtype):
    for net in (network(0, 2, 1), network(1, 2, 2)):
        gammas = np.geomspace(0.01, 0.5, 7)
        init = net.initial_weights(0.6, range(7), dtype=dtype)
        together = pu.train(net, init, gammas)
        assert same(together, pu.train(net, init, gammas))
        for i in range(7):
            alone = pu.train(net, [w[i : i + 1] for w in init], gammas[i])
            assert same(alone, rows(together, slice(i, i + 1)))


def test_threads_change_nothing(monkeypatch):
    net = network(1, 2, 2)
    gammas = np.geomspace(0.01, 0.5, 41)
    init = net.initial_weights(0.6, range(41))
    results = []
    for count in (1, 2, 3, 64):
        monkeypatch.setattr(compiled, "threads", lambda count=count: count)
        results.append(pu.train(net, init, gammas))
    assert all(same(results[0], other) for other in results)


def test_there_are_as_many_threads_as_torch_has():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert compiled.threads() == 1
        torch.set_num_threads(10**3)
        assert 1 <= compiled.threads() < 10**3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_a_row_that_fails_leaves_the_others_alone(noise, by_torch):
    net = pu.LinearNetwork(pu.Moments.isotropic(3), 2, 4, noise)
    init = net.initial_weights(0.5, range(4))
    good = pu.train(net, init, 0.05)
    init[1][1, 0, 0], init[0][2, 0, 0] = torch.nan, 1e200
    bad = pu.train(net, init, 0.05)
    assert bad.status.tolist() == ["converged", "nonfinite", "nonfinite", "converged"]
    assert bad.status.tolist() == by_torch(net, init, 0.05).status.tolist()
    assert bad.steps[1:3].tolist() == [0, 0]
    assert same(rows(bad, [0, 3]), rows(good, [0, 3]))
    assert torch.equal(bad.weights[0][2], init[0][2])


def test_weights_that_run_away_have_diverged(monkeypatch, by_torch):
    for module in (rows_of_batches, minimisers):
        monkeypatch.setattr(module, "RUNAWAY", 0.5)
    net = pu.LinearNetwork(pu.Moments.isotropic(3), 1, 4)
    init = net.initial_weights(0.01, range(3))
    ours, theirs = (train(net, init, [0.05, 0.1, 0.7]) for train in (pu.train, by_torch))
    assert ours.status.tolist() == theirs.status.tolist() == ["diverged"] * 2 + ["converged"]
    assert ours.steps.tolist() == theirs.steps.tolist()


def test_steps_are_bounded():
    net = network(1, 3, 1)
    init = net.initial_weights(0.6, range(3))
    for most in (1, 7, 20, 23):
        result = pu.train(net, init, 0.01, pu.Settings(max_steps=most))
        assert result.status.tolist() == ["max_steps"] * 3
        assert result.steps.tolist() == [most] * 3


def test_initial_weights_stay():
    net = network(0, 0, 1)
    init = net.initial_weights(0.6, [0])
    kept = init[0].clone()
    pu.train(net, init, 0.1)
    assert torch.equal(init[0], kept)


def test_constants_are_those_of_the_engine_of_torch(monkeypatch):
    monkeypatch.setattr("phase_utils.training.standstill.FADE", 0.25)
    rules = rules_of(pu.Settings(memory=5, tolerance=1e-3), torch.float32)
    assert (rules.fade, rules.memory, rules.tolerance) == (0.25, 5, 1e-3)
    assert rules.eps == torch.finfo(torch.float32).eps
    assert rules_of(pu.Settings(tolerance=1e-20), torch.float64).tolerance == 2.0**-49


class Other(pu.LinearNetwork):
    """What a user's own class may change."""


def test_everything_else_stays_on_torch():
    net = pu.LinearNetwork(pu.Moments.isotropic(2), 1, 3)
    init = net.initial_weights(0.5, [0])
    assert pu.train(net, init, 0.1).engine == "compiled"
    assert pu.train(Other(net.moments, 1, 3), init, 0.1).engine == "torch"
    flow = pu.Settings("flow", max_steps=3)
    assert pu.train(net, init, 0.1, flow).engine == "torch"
    many = pu.LinearNetwork(pu.Moments.isotropic(compiled.WIDEST + 1), 0)
    adam = pu.Settings("adam", max_steps=1)
    assert pu.train(many, many.initial_weights(0.1, [0]), 0.1, adam).engine == "torch"
    wide = pu.LinearNetwork(net.moments, 1, compiled.WIDEST + 1, 0.1)
    one = pu.Settings(max_steps=1)
    assert pu.train(wide, wide.initial_weights(0.1, [0]), 0.1, one).engine == "torch"


STEPPING = ("adam", "sgd")


@pytest.mark.parametrize("net", CASES)
@pytest.mark.parametrize("method", STEPPING)
def test_steps_are_those_of_torch(net, method, by_torch):
    """More networks than lanes, each with a rate of its own."""
    gammas, rates = np.linspace(0.01, 0.3, 11), np.linspace(0.0005, 0.003, 11).tolist()
    settings = pu.Settings(method, max_steps=37, learning_rate=rates, momentum=0.8)
    init = net.initial_weights(0.4, range(11))
    ours, theirs = (train(net, init, gammas, settings) for train in (pu.train, by_torch))
    assert (ours.engine, theirs.engine) == ("compiled", "torch")
    assert ours.status.tolist() == theirs.status.tolist()
    assert ours.steps.tolist() == theirs.steps.tolist()
    sound = ours.status != "diverged"
    assert sound.mean() > 0.5
    for w, v in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(w[sound], v[sound], rtol=0, atol=1e-12)


@pytest.mark.parametrize("net", CASES[1::7])
@pytest.mark.parametrize("method", STEPPING)
def test_steps_in_float32_are_those_of_torch(net, method, by_torch):
    settings = pu.Settings(method, max_steps=37, learning_rate=0.003)
    init = net.initial_weights(0.4, range(9), dtype=torch.float32)
    ours, theirs = (train(net, init, 0.05, settings) for train in (pu.train, by_torch))
    assert (ours.engine, ours.weights[0].dtype) == ("compiled", torch.float32)
    assert ours.status.tolist() == theirs.status.tolist()
    for w, v in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(w, v, rtol=0, atol=1e-4)


def of_unequal_lengths(method, count=23):
    """Networks that end after different numbers of steps, some never."""
    net = pu.LinearNetwork(pu.Moments.isotropic(3), 1, 4, 0.2)
    settings = pu.Settings(method, tolerance=1e-6, max_steps=997, learning_rate=0.02)
    return net, net.initial_weights(0.5, range(count)), np.geomspace(1e-2, 3, count), settings


@pytest.mark.parametrize("method", STEPPING)
def test_networks_end_when_those_of_torch_do(method, by_torch):
    ours, theirs = (train(*of_unequal_lengths(method)) for train in (pu.train, by_torch))
    assert len(set(ours.steps.tolist())) > 5
    assert "converged" in ours.status
    assert ours.status.tolist() == theirs.status.tolist()
    assert np.abs(ours.steps - theirs.steps).max() <= 10
    np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-9)


@pytest.mark.parametrize("method", STEPPING)
def test_neighbours_threads_and_calls_change_no_step(method, monkeypatch):
    net, init, gammas, settings = of_unequal_lengths(method)
    together = pu.train(net, init, gammas, settings)
    assert same(together, pu.train(net, init, gammas, settings))
    for i in (0, 9, 22):
        alone = pu.train(net, [w[i : i + 1] for w in init], gammas[i], settings)
        assert same(alone, rows(together, slice(i, i + 1)))
    monkeypatch.setattr(compiled, "WORK", 0)  # a call ends at every check
    for count in (1, 2, 3, 64):
        monkeypatch.setattr(compiled, "threads", lambda count=count: count)
        assert same(together, pu.train(net, init, gammas, settings))


@pytest.mark.parametrize("method", STEPPING)
def test_a_lane_that_fails_leaves_the_others_alone(method, by_torch):
    net = pu.LinearNetwork(pu.Moments.isotropic(3), 2, 4, 0.3)
    init, settings = net.initial_weights(0.5, range(6)), pu.Settings(method, max_steps=43)
    good = pu.train(net, init, 0.05, settings)
    init[1][1, 0, 0], init[0][2, 0, 0], init[0][3] = torch.nan, 1e200, 1e30
    bad, theirs = (train(net, init, 0.05, settings) for train in (pu.train, by_torch))
    assert bad.status.tolist() == theirs.status.tolist()
    assert bad.status[1:3].tolist() == ["nonfinite", "nonfinite"]
    assert bad.steps.tolist() == theirs.steps.tolist()
    assert same(rows(bad, [0, 4, 5]), rows(good, [0, 4, 5]))


def test_lanes_stop_where_weights_run_away(monkeypatch, by_torch):
    for module in (rows_of_batches, minimisers):
        monkeypatch.setattr(module, "RUNAWAY", 0.5)
    net = pu.LinearNetwork(pu.Moments.isotropic(3), 1, 4)
    settings = pu.Settings("sgd", learning_rate=0.05, max_steps=500)
    init = net.initial_weights(0.1, range(3))
    ours, theirs = (train(net, init, [0.05, 0.1, 0.7], settings) for train in (pu.train, by_torch))
    assert ours.status.tolist() == theirs.status.tolist()
    assert ours.status.tolist()[:2] == ["diverged"] * 2
    assert ours.steps.tolist() == theirs.steps.tolist()


def test_an_interrupt_ends_what_has_begun(monkeypatch):
    net, init, gammas, settings = of_unequal_lengths("adam")
    x = torch.cat([w.flatten(1) for w in init], 1)
    monkeypatch.setattr(compiled, "WORK", 0)
    monkeypatch.setattr(compiled.Event, "is_set", lambda _: True)
    rate = torch.full((23,), 0.02, dtype=torch.float64)
    _, _, steps = compiled.minimise(net, x, torch.tensor(gammas), settings, rate)
    assert steps.max() < settings.max_steps


def test_a_pace_is_that_of_the_engine_of_torch(monkeypatch):
    monkeypatch.setattr("phase_utils.training.descents.BETAS", (0.7, 0.8))
    pace = pace_of(pu.Settings("adam", tolerance=1e-20), torch.float32)
    assert (pace.adam, pace.momentum, pace.square_kept, pace.rest) == (True, 0.7, 0.8, 1.0)
    assert pace.tolerance == 8 * torch.finfo(torch.float32).eps
    pace = pace_of(pu.Settings("sgd", momentum=0.75, tolerance=1e-3), torch.float64)
    assert (pace.adam, pace.momentum, pace.rest, pace.tolerance) == (False, 0.75, 0.25, 1e-3)


@pytest.fixture
def imported_anew(monkeypatch):
    compiled.kernels.cache_clear()
    for name in ("compiling", "kernels", "kernels_lbfgs"):
        monkeypatch.delitem(sys.modules, f"phase_utils.training.{name}")
    yield
    compiled.kernels.cache_clear()


@pytest.mark.usefixtures("imported_anew")
def test_without_numba_torch_trains(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)  # as where it is not installed
    net = pu.LinearNetwork(pu.Moments.isotropic(2), 1, 3)
    assert pu.train(net, net.initial_weights(0.5, [0]), 0.1).engine == "torch"


@pytest.mark.usefixtures("imported_anew")
def test_without_a_folder_to_keep_compiled_code_torch_trains(monkeypatch):
    def refusing(**_):
        raise RuntimeError("cannot cache function: no locator available")

    monkeypatch.setattr("numba.njit", refusing)
    net = pu.LinearNetwork(pu.Moments.isotropic(2), 1, 3)
    assert pu.train(net, net.initial_weights(0.5, [0]), 0.1).engine == "torch"


def test_what_is_compiled_is_kept_until_any_file_of_the_engine_changes(tmp_path):
    folder, uses = Path(compiling.__file__).parent, set(COMPILED)
    for name in COMPILED:
        text = (folder / f"{name}.py").read_text()
        uses |= set(re.findall(r"^from phase_utils\.training\.(\w+) import", text, re.M))
    assert uses == set(compiling.FILES)
    for name in compiling.FILES:
        shutil.copy(folder / f"{name}.py", tmp_path)
    assert compiling.digest(tmp_path) == compiling.STATE
    (tmp_path / "layout.py").write_text((folder / "layout.py").read_text() + "#")
    assert compiling.digest(tmp_path) != compiling.STATE
    # under this name numba files what it has compiled, and finds it again
    for kernel in (kernels.dot, *(compiled.kernels(m).descend for m in ("lbfgs", "adam"))):
        assert kernel.py_func.__qualname__.endswith(compiling.STATE)
