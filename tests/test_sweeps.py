"""Sweeps: the labels, the numbers of single networks, and the exact theory behind them."""

import io
import math
from itertools import product

import numpy as np
import pytest
import torch
import xarray
from problems import Isotropic
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import phase_utils as pu
from phase_utils.sweeps import sweep as sweeps
from phase_utils.training import compiled, minimisers

MOMENTS = pu.Moments.isotropic(3)
PLAN = {
    "gamma": [0.3, 0.02, 0.1],  # the order of a reader is kept
    "depth": [2, 0],
    "width": 5,
    "noise_variance": 0.4,
    "init_scale": [0.7, 0.05],
    "seed": [4, 1],
}
MEASURED = ("loss", "data_loss", "slope", "B", "status", "steps")


@pytest.fixture(scope="module")
def dataset():
    return pu.sweep(MOMENTS, **PLAN, device="cpu")


def test_dimensions_and_coordinates_are_those_of_the_plan(dataset):
    assert tuple(dataset.sizes.items()) == (
        ("depth", 2),
        ("gamma", 3),
        ("init_scale", 2),
        ("seed", 2),
    )
    for name in dataset.sizes:
        np.testing.assert_array_equal(dataset[name], PLAN[name])
    assert dataset["depth"].dtype == dataset["seed"].dtype == np.int64
    assert set(dataset.data_vars) == set(MEASURED)
    assert all(dataset[name].dims == tuple(dataset.sizes) for name in MEASURED)
    assert set(dataset["status"].values.ravel()) == {"converged"}
    assert dataset["steps"].dtype == np.int64


def test_everything_has_a_name_and_a_unit(dataset):
    for name in dataset.variables:
        assert set(dataset[name].attrs) == {"long_name", "units"}
    units = {name: dataset[name].attrs["units"] for name in dataset.variables}
    assert units["loss"] == units["data_loss"] == "units of y^2"
    assert units["slope"] == "units of w^2"
    assert units["B"] == units["init_scale"] == "units of w"


def test_attributes_say_how_the_numbers_came_about(dataset):
    attrs = dataset.attrs
    assert (attrs["width"], attrs["noise_variance"], attrs["device"]) == ("5", "0.4", "cpu")
    assert attrs["problem"] == repr(MOMENTS)
    assert {k: attrs[k] for k in ("method", "tolerance", "memory")} == {
        "method": "lbfgs",
        "tolerance": 1e-10,
        "memory": 8,
    }
    assert attrs["torch_version"] == torch.__version__
    assert attrs["numpy_version"] == np.__version__
    assert attrs["xarray_version"] == xarray.__version__
    # plain text and numbers, so that any file format takes them
    assert all(type(value) in (str, int, float) for value in attrs.values())


def test_loss_is_data_loss_plus_gamma_times_slope(dataset):
    composed = dataset["data_loss"] + dataset["gamma"] * dataset["slope"]
    np.testing.assert_allclose(dataset["loss"], composed, rtol=1e-15)


def test_a_sweep_is_the_training_of_its_networks_one_at_a_time(dataset):
    for depth in PLAN["depth"]:
        network = pu.LinearNetwork(MOMENTS, depth, 5, 0.4)
        for gamma, scale, seed in product(PLAN["gamma"], PLAN["init_scale"], PLAN["seed"]):
            one = pu.train(network, network.initial_weights(scale, seed), gamma)
            row = dataset.sel(depth=depth, gamma=gamma, init_scale=scale, seed=seed)
            assert row["status"] == one.status[0]
            for name in ("loss", "slope"):
                assert row[name].item() == pytest.approx(getattr(one, name)[0], abs=1e-9)


def test_every_row_starts_from_its_own_weights():
    hasty = pu.Settings(max_steps=7)
    ds = pu.sweep(MOMENTS, **PLAN, settings=hasty, device="cpu")
    for depth in PLAN["depth"]:
        network = pu.LinearNetwork(MOMENTS, depth, 5, 0.4)
        for gamma, scale, seed in product(PLAN["gamma"], PLAN["init_scale"], PLAN["seed"]):
            one = pu.train(network, network.initial_weights(scale, seed), gamma, hasty)
            row = ds.sel(depth=depth, gamma=gamma, init_scale=scale, seed=seed)
            assert row["loss"].item() == pytest.approx(one.loss[0], rel=1e-10)
            assert row["slope"].item() == pytest.approx(one.slope[0], rel=1e-8)
    deep = ds["loss"].sel(depth=2).values
    assert len(np.unique(deep)) == deep.size


@pytest.mark.parametrize(
    ("bytes_", "batches"), [(1, [1] * 24), (75_000, [4, 4, 4, 12]), (2**30, [12, 12])]
)
def test_batches_change_nothing(dataset, monkeypatch, bytes_, batches):
    monkeypatch.setitem(sweeps.BATCH_BYTES, "cpu", bytes_)
    trained = []

    def counting(problem, init, *rest):
        trained.append(len(init[0]))
        return pu.train(problem, init, *rest)

    monkeypatch.setattr(sweeps, "train", counting)
    split = pu.sweep(MOMENTS, **PLAN, device="cpu")
    assert trained == batches
    np.testing.assert_array_equal(split["status"], dataset["status"])
    np.testing.assert_allclose(split["loss"], dataset["loss"], rtol=0, atol=1e-12)
    # rounding depends on the batch, and a gradient of 1e-10 leaves the weights this freedom
    np.testing.assert_allclose(split["slope"], dataset["slope"], rtol=0, atol=1e-9)


def test_the_memory_of_a_batch_is_bounded(monkeypatch):
    sizes = []

    def recorded(_problem, init, *_rest):
        sizes.append(sum(w.numel() for w in init) * 8)
        n = len(init[0])
        zero = np.zeros(n)
        return pu.Result(init, zero, zero, zero, zero, np.full(n, "converged"), zero.astype(int))

    monkeypatch.setattr(sweeps, "train", recorded)
    pu.sweep(pu.Moments.isotropic(50), gamma=[0.1], depth=2, width=100, seed=range(50))
    state = 2 * pu.Settings().memory + 16
    assert len(sizes) > 1
    assert max(sizes) * state <= sweeps.BATCH_BYTES["cpu"]


def test_the_same_sweep_twice_gives_the_same_bits(dataset):
    assert pu.sweep(MOMENTS, **PLAN, device="cpu").identical(dataset)


def test_scalars_are_axes_of_length_one():
    ds = pu.sweep(MOMENTS, gamma=[0.1], depth=1, width=2, init_scale=0.1, seed=3, device="cpu")
    assert ds["loss"].shape == (1, 1, 1, 1)
    assert ds["seed"].values == 3


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_the_lowest_of_a_sweep_is_the_exact_minimum(depth):
    problem = Isotropic(depth)
    gammas = np.linspace(0.02, 0.6, 12)
    ds = pu.sweep(MOMENTS, gamma=gammas, depth=depth, width=4, init_scale=[0.1, 1.0])
    lowest = ds.sel(depth=depth).stack(start=("init_scale", "seed"))
    best = lowest.isel(start=lowest["loss"].argmin("start"))
    loss, slope, B = problem.curve(gammas)
    np.testing.assert_allclose(best["loss"], loss, rtol=0, atol=1e-12)
    np.testing.assert_allclose(best["slope"], slope, rtol=0, atol=1e-9)
    np.testing.assert_allclose(best["B"], B, rtol=0, atol=1e-9)


def test_rows_that_do_not_finish_are_kept_with_their_status():
    hasty = pu.Settings("sgd", learning_rate=0.3, momentum=0.0, max_steps=60)
    ds = pu.sweep(
        MOMENTS, gamma=[0.1, 0.2], depth=1, width=4, init_scale=[0.1, 20.0], seed=0, settings=hasty
    )
    status = ds["status"].isel(depth=0, seed=0)
    assert set(status.sel(init_scale=20.0).values) == {"diverged"}
    assert "diverged" not in status.sel(init_scale=0.1)
    assert ds.attrs["method"] == "sgd"
    selected = ds["loss"].where(ds["status"] != "diverged")
    assert selected.notnull().sum() == 2


def test_progress_is_shown_on_request(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    quiet = pu.sweep(MOMENTS, gamma=[0.1], depth=0, seed=0)
    assert screen.getvalue() == ""
    loud = pu.sweep(MOMENTS, gamma=[0.1], depth=0, seed=0, progress=True)
    assert "sweep" in screen.getvalue()
    assert loud.identical(quiet)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"problem": 3}, "problem must be a Moments or a ModuleProblem, got int"),
        ({"gamma": 0.1}, "gamma must have 1 dimensions"),
        ({"gamma": []}, "gamma must not be empty"),
        ({"gamma": [0.1, -1]}, "gamma must be >= 0, got -1"),
        ({"gamma": [0.1, np.nan]}, "gamma must be finite"),
        ({"gamma": [0.1, 0.2, 0.1]}, "gamma must not repeat values, got 0.1 twice"),
        ({"gamma": [[0.1]]}, "gamma must have 1 dimensions"),
        ({"depth": -1}, "depth must be >= 0, got -1"),
        ({"depth": [1, 1.5]}, "depth must be integers <= 2.53, got 1.5"),
        ({"depth": [1, 1]}, "depth must not repeat values, got 1 twice"),
        ({"depth": math.inf}, "depth must be finite"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": [3, 3, 3]}, "width must be a scalar or have"),
        ({"noise_variance": -1}, "noise_variance must be >= 0, got -1"),
        ({"init_scale": [-0.1]}, "init_scale must be >= 0, got -0.1"),
        ({"init_scale": "x"}, "init_scale must be real numbers"),
        ({"seed": [0, 0]}, "seed must not repeat values, got 0 twice"),
        ({"seed": 0.5}, "seed must be integers <= 2.53, got 0.5"),
        ({"seed": range(0)}, "seed must not be empty"),
        ({"settings": 5}, "settings must be a Settings or None, got int"),
        ({"device": "abacus"}, "device must be auto or a torch device"),
    ],
)
def test_bad_sweeps_are_refused_before_anything_is_trained(arguments, message, monkeypatch):
    def refuse(*_):
        raise AssertionError("trained")

    monkeypatch.setattr(sweeps, "train", refuse)
    with pytest.raises(ValueError, match=message):
        pu.sweep(**{"problem": MOMENTS, "gamma": [0.1], **arguments})


def test_a_problem_is_taken_by_its_old_name_too():
    plan = {"gamma": [0.1], "depth": 0, "seed": 0}
    with pytest.warns(DeprecationWarning, match="moments is called problem now"):
        old = pu.sweep(moments=MOMENTS, **plan)
    assert old.identical(pu.sweep(problem=MOMENTS, **plan))
    for both in ((MOMENTS,), ()):
        named = {} if both else {"problem": MOMENTS}
        with pytest.raises(ValueError, match="problem must be given once, got moments"):
            pu.sweep(*both, **named, moments=MOMENTS, **plan)


class Held(TorchDispatchMode):
    """The most bytes that tensors made meanwhile hold at a time."""

    def __init__(self):
        super().__init__()
        self.sizes, self.most = {}, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        self.sizes = {held: size for held, size in self.sizes.items() if not held.expired()}
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self.sizes[StorageWeakRef(storage)] = storage.nbytes()
        self.most = max(self.most, sum(self.sizes.values()))
        return result


@pytest.mark.parametrize("memory", [2, 10])
@pytest.mark.parametrize(("depth", "noise"), [(1, 0.0), (2, 0.0), (1, 0.5), (4, 0.5)])
def test_what_trains_at_once_fits_in_its_memory_and_nearly_fills_it(
    depth, noise, memory, monkeypatch
):
    monkeypatch.setattr(minimisers, "KEPT", 1)
    monkeypatch.setattr(compiled, "kernels", lambda _: None)  # which hold one network at a time
    monkeypatch.setitem(sweeps.BATCH_BYTES, "cpu", 10 * 2**20)
    network = pu.LinearNetwork(pu.Moments.isotropic(6), depth, 30, noise)
    settings = pu.Settings(max_steps=20, memory=memory)
    fitting = sweeps._fitting(network, settings, torch.device("cpu"))
    init = network.initial_weights(0.5, range(fitting))
    with Held() as held:
        pu.train(network, init, 0.05, settings)
    assert 0.5 < held.most / sweeps.BATCH_BYTES["cpu"] < 1.05
