"""Hysteresis: the metastable branch to its exact end and back, and none at second order."""

from importlib import import_module

import numpy as np
import pytest
import torch
from problems import Isotropic

import phase_utils as pu

STATUS = {"converged"}
module = import_module("phase_utils.sweeps.hysteresis")  # the function has taken the module's name


def network(depth, noise_factor=1.0):
    noise = 4 * (noise_factor ** (1 / depth) - 1)
    return pu.LinearNetwork(pu.Moments.isotropic(3), depth, 4, noise)


@pytest.mark.parametrize(("depth", "noise_factor"), [(2, 1.0), (2, 1.3), (3, 1.0)])
def test_first_order_up_to_the_exact_spinodal_and_back_from_the_origin(depth, noise_factor):
    problem = Isotropic(depth, noise_factor=noise_factor)
    below = problem.spinodal * np.array([0.5, 0.8, 0.95, 0.995, 0.999])
    above = problem.spinodal * np.array([1.001, 1.01, 1.3])
    assert below[-1] > problem.critical  # metastable beyond the coexistence
    gammas = np.concatenate([below, above])
    ds = pu.hysteresis(network(depth, noise_factor), gammas, init_scale=0.9, seeds=range(3))
    assert set(ds["status"].values.ravel()) == STATUS
    up, down = ds.sel(direction="up"), ds.sel(direction="down")
    for gamma in below:
        row = up.sel(gamma=gamma)
        B = problem.stationary(gamma)[-1]
        np.testing.assert_allclose(row["B"], B, rtol=0, atol=1e-9)
        np.testing.assert_allclose(row["loss"], problem.loss(B, gamma), rtol=0, atol=1e-12)
        np.testing.assert_allclose(row["slope"], (depth + 1) * B**2, rtol=0, atol=1e-9)
    # the origin never loses stability for D > 1
    for trivial in (up.sel(gamma=above), down):
        assert np.all(trivial["slope"] < 1e-12)
        np.testing.assert_allclose(trivial["loss"], problem.Eyy, rtol=1e-12)
    composed = ds["data_loss"] + ds["gamma"] * ds["slope"]
    np.testing.assert_allclose(ds["loss"], composed, rtol=1e-15)


def test_second_order_has_no_hysteresis():
    problem = Isotropic(1)
    gammas = problem.critical * np.array([0.3, 0.8, 0.97, 0.999, 1.001, 1.03, 1.5])
    ds = pu.hysteresis(network(1), gammas, seeds=[0, 5])
    assert set(ds["status"].values.ravel()) == STATUS
    loss, _, B = problem.curve(gammas)
    for direction in ("up", "down"):
        branch = ds.sel(direction=direction)
        np.testing.assert_allclose(branch["loss"], np.outer(loss, [1, 1]), rtol=0, atol=1e-11)
        np.testing.assert_allclose(branch["B"], np.outer(B, [1, 1]), rtol=0, atol=1e-6)


def test_only_a_kick_leaves_the_origin_once_it_is_unstable():
    down = {"direction": "down", "gamma": 0.1, "seed": 0}
    settings = pu.Settings(tolerance=1e-6)  # stops at weights that the kick must overcome
    kicked, still = (
        pu.hysteresis(network(1), [0.1, 0.3, 0.6], kick=kick, settings=settings)
        for kick in (1e-3, 0.0)
    )
    assert kicked["B"].sel(down).item() == pytest.approx(Isotropic(1).minimum(0.1)[2], abs=1e-5)
    assert still["B"].sel(direction="up", gamma=0.1).item() > 0.5
    assert still["B"].sel(down).item() < 1e-3


def test_a_network_that_never_learned_is_trivial_both_ways():
    ds = pu.hysteresis(network(2), [0.05, 0.1], init_scale=1e-3)
    assert np.all(ds["slope"] < 1e-12)


def test_cascade_is_followed_branch_by_branch():
    moments = pu.Moments.from_spectrum([1, 0.02], [0.45, 0.05], 0.5)
    land = pu.Landscape(moments, 2)
    gammas = np.linspace(0.01, 0.2, 8)
    ds = pu.hysteresis(pu.LinearNetwork(moments, 2, 4), gammas, init_scale=1.0)
    for direction in ("up", "down"):
        for gamma, B in zip(gammas, ds["B"].sel(direction=direction, seed=0).values, strict=True):
            assert np.min(np.abs(land.minima(gamma) - B)) < 1e-7


def test_labels():
    ds = pu.hysteresis(network(1), [0.1, 0.2], seeds=[4, 2], kick=2e-3)
    assert tuple(ds.sizes.items()) == (("direction", 2), ("gamma", 2), ("seed", 2))
    assert list(ds["direction"].values) == ["up", "down"]
    assert list(ds["seed"].values) == [4, 2]
    assert set(ds.data_vars) == {"loss", "data_loss", "slope", "B", "status"}
    assert (ds.attrs["problem"], ds.attrs["kick"]) == ("LinearNetwork", 2e-3)
    assert ds.attrs["step_cap"] == 0.05
    assert all(set(ds[name].attrs) == {"long_name", "units"} for name in ds.variables)


def test_every_network_is_followed_for_itself_and_alike_each_time():
    gammas = [0.08, 0.15, 0.2]
    both = pu.hysteresis(network(2), gammas, init_scale=0.8, seeds=[3, 8])
    assert pu.hysteresis(network(2), gammas, init_scale=0.8, seeds=[3, 8]).identical(both)
    alone = pu.hysteresis(network(2), gammas, init_scale=0.8, seeds=[8])
    np.testing.assert_allclose(both["loss"].sel(seed=[8]), alone["loss"], rtol=0, atol=1e-12)


@pytest.fixture
def recorded(monkeypatch):
    """Flattened weights at the starts and at the ends of all trainings."""
    starts, ends = [], []

    def recording(problem, init, *rest):
        starts.append(torch.cat([w.flatten(1) for w in init], dim=1))
        result = pu.train(problem, init, *rest)
        ends.append(torch.cat([w.flatten(1) for w in result.weights], dim=1))
        return result

    monkeypatch.setattr(module, "train", recording)
    return starts, ends


def test_where_nothing_was_learned_kicks_have_the_size_of_the_initial_weights(recorded):
    starts, ends = recorded
    pu.hysteresis(network(2), [0.05, 0.1], init_scale=1e-3, seeds=range(20), kick=0.01)
    assert ends[0].norm() < 1e-3 * starts[0].norm()
    kick = (starts[1] - ends[0]).norm() / starts[0].norm()
    assert kick.item() == pytest.approx(0.01, rel=0.2)


def test_kicks_have_their_norm_and_are_no_copies_of_the_initial_weights(recorded):
    starts, ends = recorded
    pu.hysteresis(network(1), [0.1, 0.2], seeds=range(40), kick=0.01)
    assert len(starts) == 5  # the first training, then every gamma up and down
    kicks = torch.stack(starts[1:]) - torch.stack(ends[:-1])
    norms = kicks.norm(dim=2) / (0.01 * ends[0].norm(dim=1))
    assert norms.square().mean().item() == pytest.approx(1, abs=4 * np.sqrt(2 / kicks.numel()))
    drawn = torch.cat([starts[0][None], kicks])
    drawn = drawn / drawn.norm(dim=2, keepdim=True)
    cosines = torch.einsum("anp,bnp->abn", drawn, drawn).mean(dim=2)
    unequal = cosines - torch.diag(cosines.diag())
    assert unequal.abs().max().item() < 5 / np.sqrt(drawn[0].numel())


class Runaway:
    """A well at 1 for gamma >= 0.2 when begun above 0, a slope without end when begun below."""

    def data_loss(self, weights):
        w = weights[0]
        return torch.where(w > 0, (w - 1) ** 2, 1 - 2 * w + w**4 - w.abs() ** 5)


def test_a_network_that_fails_stays_failed_and_leaves_the_others_alone():
    init = [torch.tensor([0.5, -3.0, torch.nan], dtype=torch.float64)]
    ds = pu.hysteresis(Runaway(), [0.0, 0.1, 50.0], init=init)
    assert set(ds["status"].sel(seed=0).values.ravel()) == STATUS
    for seed, status in ((1, "diverged"), (2, "nonfinite")):
        assert set(ds["status"].sel(seed=seed).values.ravel()) == {status}
        assert np.all(np.isnan(ds["loss"].sel(seed=seed)))
    w = 1 / (1 + ds["gamma"].values)
    expected = (w - 1) ** 2 + ds["gamma"].values * w**2
    for direction in ("up", "down"):
        loss = ds["loss"].sel(direction=direction, seed=0)
        np.testing.assert_allclose(loss, expected, rtol=1e-9)


def test_init_of_several_networks_numbers_them():
    problem = network(2)
    init = problem.initial_weights(0.8, [0, 1, 2])
    ds = pu.hysteresis(problem, [0.08, 0.1], init=init)
    assert list(ds["seed"].values) == [0, 1, 2]


class OnlyLoss:
    def data_loss(self, weights):
        return (weights[0] - 1) ** 2


INIT = [torch.ones(2, dtype=torch.float64)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gammas": [0.1]}, "gammas must be two or more, got 1"),
        ({"gammas": [0.2, 0.1]}, "gammas must increase strictly, got 0.1 after 0.2"),
        ({"gammas": [0.1, 0.1]}, "gammas must increase strictly, got 0.1 after 0.1"),
        ({"gammas": [-0.1, 0.1]}, "gammas must be >= 0, got -0.1"),
        ({"gammas": [0.1, np.inf]}, "gammas must be finite"),
        ({"gammas": 0.1}, "gammas must have 1 dimensions"),
        ({"kick": -1}, "kick must be >= 0, got -1"),
        ({"init_scale": 0}, "init_scale must be > 0, got 0"),
        ({"seeds": [1, 1]}, r"seeds must be distinct, got \[1, 1\]"),
        ({"seeds": []}, "seeds must not be empty"),
        ({"seeds": [0.5]}, "seeds must be integers <= 2.53, got 0.5"),
        ({"seeds": -1}, "seeds must be >= 0, got -1"),
        ({"settings": "fast"}, "settings must be a Settings or None, got str"),
        ({"problem": OnlyLoss()}, "init must be given"),
        ({"problem": OnlyLoss(), "init": []}, "init must hold one tensor or more"),
        ({"problem": OnlyLoss(), "init": 3}, "init must be a sequence of tensors"),
        ({"problem": OnlyLoss(), "init": INIT, "seeds": [1]}, "seeds must have 2 entries"),
    ],
)
def test_bad_hysteresis_is_refused_before_anything_is_trained(arguments, message, monkeypatch):
    def refuse(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(module, "train", refuse)
    with pytest.raises(ValueError, match=message):
        pu.hysteresis(**{"problem": network(1), "gammas": [0.1, 0.2], **arguments})
