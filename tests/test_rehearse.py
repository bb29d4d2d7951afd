"""Runs of one's own at several decays, and readings of a training."""

import math
import sys
import types
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import phase_utils as pu
from phase_utils.diagnosis.own_runs import EndOfRun
from phase_utils.diagnosis.rehearse import _dying

X = torch.linspace(-1.7, 1.7, 40)[:, None]
SIGNAL = float((X * 0.6 * X).mean())  # |E[xy]| of y = 0.6 x


def linear(depth=1, gain=1.0):
    torch.manual_seed(0)
    sizes = [1, *[3] * depth, 1]
    layers = [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]
    with torch.no_grad():
        for layer in layers:
            layer.weight.mul_(gain)
    return nn.Sequential(*layers)


def test_a_continuous_transition_is_where_runs_die():
    model = linear()
    sgd = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=0.01)
    kept = [p.clone() for p in model.parameters()]
    found = pu.rehearse(model, F.mse_loss, (X, 0.6 * X), sgd, epochs=400, precision=0.05)
    # depth one: no start dies below gamma* = |E[xy]|, which is half of weight_decay
    assert found.low < 2 * SIGNAL * 1.02
    assert found.high > 2 * SIGNAL * 0.93
    assert found.high / found.low <= 1.05
    assert np.all(np.diff(found.decays) > 0)
    parts = 2**8 * np.log(found.decays / found.decays[0]) / np.log(4)  # fours, then halves of them
    assert parts == pytest.approx(np.round(parts), abs=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(kept, model.parameters(), strict=True))
    assert "dies between weight_decay" in str(found)


def test_a_small_start_dies_below_what_the_landscape_allows_and_a_warm_one_lives():
    model = linear(depth=2, gain=0.4)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
    data = (X, 0.6 * X)
    diagnosis = pu.diagnose(model, F.mse_loss, data, starts=4)
    moments = pu.Moments.isotropic(1, float(X.square().mean()), SIGNAL)
    exact = pu.Landscape(moments, depth=2).transitions()[0].gamma
    assert diagnosis.weight_decay == pytest.approx(2 * exact, rel=1e-6)
    found = pu.rehearse(model, F.mse_loss, data, sgd, epochs=800, diagnosis=diagnosis)
    assert found.high < 0.8 * diagnosis.weight_decay
    assert found.warm
    assert found.high < found.warm_decay < found.allowed
    assert "Remedy" in str(found)


def test_groups_schedules_batches_and_noise():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Dropout(0.1), nn.Linear(6, 1))
    adam = torch.optim.Adam(
        [
            {"params": model[0].parameters(), "weight_decay": 0.1},
            {"params": model[3].parameters(), "weight_decay": 0.0},
        ],
        lr=0.05,
    )
    stepped = []

    def scheduler(optimizer):
        stepped.append([g["weight_decay"] for g in optimizer.param_groups])
        return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    options = {"epochs": 10, "batch": 16, "scheduler": scheduler, "runs": 2}
    found = pu.rehearse(model, F.mse_loss, (X, X), adam, **options)
    again = pu.rehearse(model, F.mse_loss, (X, X), adam, **options)
    assert np.array_equal(found.loss, again.loss)
    assert stepped[0] == [pytest.approx(0.1), 0.0]
    assert len(stepped) == 4


def test_a_run_that_diverges_has_neither_lived_nor_died():
    model = linear()
    sgd = torch.optim.SGD(model.parameters(), lr=50.0, weight_decay=0.01)
    found = pu.rehearse(model, F.mse_loss, (X, X), sgd, epochs=50, runs=2)
    assert (found.low, found.high) == (0, math.inf)
    assert np.isnan(found.loss).all()
    assert np.isnan(found.spread).all()
    assert str(found).startswith("Every run diverged")


def test_a_head_of_zeros_starts_blind_and_may_live():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    nn.init.zeros_(model[2].weight)
    sgd = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, weight_decay=0.01)
    found = pu.rehearse(model, F.mse_loss, (X, X), sgd, epochs=200, precision=0.5)
    assert 0.01 <= found.low < found.high < 4
    assert found.spread.max() == 1
    assert np.all((found.spread < 1e-3) == (found.decays >= found.high))


def test_a_network_that_nothing_moves_is_dead_at_every_decay():
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.01)
    found = pu.rehearse(model, F.mse_loss, (X, 0 * X), sgd, epochs=2, runs=2)
    assert found.spread.tolist() == [0, 0]
    assert (found.low, found.high) == (0, found.decays[0])


def test_adamw_is_not_measured_by_the_landscape():
    model = linear()
    adamw = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.01)
    diagnosis = pu.diagnose(model, F.mse_loss, (X, X), optimizer=adamw, starts=1)
    assert diagnosis.weight_decay is None
    found = pu.rehearse(model, F.mse_loss, (X, X), adamw, epochs=5, runs=2, diagnosis=diagnosis)
    assert found.allowed is None
    assert "landscape" not in str(found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer must be"),
        ({"epochs": 0}, "epochs must be"),
        ({"batch": 41}, "batch must be from 1 to 40"),
        ({"runs": 1}, "runs must be"),
        ({"precision": 0.0}, "precision must be"),
        ({"scheduler": 3}, "scheduler must be"),
        ({"diagnosis": 3}, "diagnosis must be"),
    ],
)
def test_bad_rehearsals(change, message):
    model = linear()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    arguments = {"model": model, "loss_fn": F.mse_loss, "data": (X, X), "optimizer": sgd} | change
    with pytest.raises(ValueError, match=message):
        pu.rehearse(**arguments)


def trained(model, decay, lr=0.2, steps=300, each=50):
    sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=decay)
    watch = pu.Watch(model, F.mse_loss, (X, 0.6 * X), sgd)
    watch.read(model)
    for step in range(steps):
        sgd.zero_grad()
        F.mse_loss(model(X), 0.6 * X).backward()
        sgd.step()
        if (step + 1) % each == 0:
            watch.read(model)
    return watch


def test_the_margin_is_the_quotient_over_gamma():
    model = linear()
    gamma = 0.3 * SIGNAL
    watch = trained(model, 2 * gamma)
    last = watch.history[-1]
    # at its minimum B of 2 |E[xy]| B - a B^2 - 2 gamma B, a = E[x^2]
    a = float(X.square().mean())
    B = (SIGNAL - gamma) / a
    assert last.margin == pytest.approx((2 * SIGNAL * B - a * B**2) / (2 * B) / gamma, rel=1e-3)
    assert last.square == pytest.approx(2 * B, rel=1e-3)
    assert last.blind == pytest.approx(0.36 * a, rel=1e-6)
    assert not last.collapsed
    assert last.cause == ""


def test_the_blind_loss_is_that_of_the_own_decay():
    model = nn.Linear(1, 1)
    y = 0.6 * X + 0.8
    least = float((0.6 * X).square().mean())
    for decay in (0.0, 0.4):  # a decayed bias b costs gamma b^2, gamma half of it
        sgd = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=decay)
        names = None if decay else ["weight", "bias"]
        watch = pu.Watch(
            model, F.mse_loss, (X, y), sgd if decay else None, decayed=names, gamma=decay / 2
        )
        expected = least + 0.64 * (decay / 2) / (1 + decay / 2)
        assert watch.read(model).blind == pytest.approx(expected, abs=2e-6)


def test_a_reading_takes_two_passes_over_the_samples():
    model, passes = linear(), []
    watch = pu.Watch(model, F.mse_loss, (X, 0.6 * X), gamma=0.1)
    watch._objective.model.register_forward_hook(lambda *_: passes.append(1))
    for count in (2, 4):
        watch.read(model)
        assert len(passes) == count


def test_decay_is_named_as_the_cause_or_cleared():
    decayed = trained(linear(), 4 * SIGNAL).history[-1]
    assert decayed.collapsed
    assert decayed.cause == "decay"
    assert decayed.margin < 1
    # units that die by a step that is too large: the weights stay
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 4), nn.ReLU(), nn.Linear(4, 1))
    watch = pu.Watch(model, F.mse_loss, (X, 0.6 * X), gamma=1e-4)
    watch.read(model)
    with torch.no_grad():
        model[0].bias.fill_(-100.0)
    dead = watch.read(model)
    assert dead.collapsed
    assert dead.cause == "not decay"


def test_bad_watches():
    model = linear()
    with pytest.raises(ValueError, match="gamma must be given"):
        pu.Watch(model, F.mse_loss, (X, X))
    watch = pu.Watch(model, F.mse_loss, (X, X), gamma=0.1)
    with pytest.raises(ValueError, match="must have the parameters of the watch"):
        watch.read(nn.Linear(1, 1))


class Base:
    """What the callbacks of both libraries derive from."""


def test_callbacks_read_where_trainers_call_them(monkeypatch):
    module = types.ModuleType("pytorch_lightning")
    module.Callback = Base
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.setitem(sys.modules, "pytorch_lightning", module)
    other = types.ModuleType("transformers")
    other.TrainerCallback = Base
    monkeypatch.setitem(sys.modules, "transformers", other)
    model = linear()
    watch = pu.Watch(model, F.mse_loss, (X, X), gamma=0.1)
    logged = []
    model.log_dict = logged.append
    callback = watch.callback("lightning")
    assert isinstance(callback, Base)
    callback.on_train_epoch_end(None, model)
    state = types.SimpleNamespace(log_history=[], epoch=3.0)
    watch.callback("transformers").on_epoch_end(None, state, None, model=model, optimizer=None)
    last = watch.history[-1]
    assert logged == [{"margin": last.margin, "spread": last.spread, "blind": last.blind}]
    assert state.log_history == [{"epoch": 3.0, **logged[0]}]
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModuleNotFoundError, match=r"Watch.callback needs the package transformers"):
        watch.callback("transformers")


@pytest.mark.parametrize(
    ("late", "spread", "dying"),
    [
        (0.1, 0.04, True),
        (0.1, 0.06, False),  # little, and it stays
        (0.5, 0.2, False),  # much is left
        (0.09, 0.0005, False),  # dead already
        (math.nan, math.nan, False),
    ],
)
def test_a_run_is_dying_of_which_little_is_left_and_that_has_halved(late, spread, dying):
    assert _dying(EndOfRun(late, spread, 0.0), 1.0) == dying
