"""Training on minibatches: against torch's own steps, killed and resumed to the same bits."""

import os
import signal
import subprocess
import sys
from itertools import chain

import numpy as np
import pytest
import torch
from torch import nn

import phase_utils as pu


def squared(out, y):
    return (out - y).square().mean()


def problem(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.2), nn.Linear(4, 1))
    x = torch.randn(50, 3)
    return model, (x, x.sum(1, keepdim=True))


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_one_batch_takes_the_steps_of_plain_gradients(optimiser, device):
    torch.manual_seed(0)
    model = nn.Linear(3, 1).double()
    x = torch.randn(8, 3, dtype=torch.float64)
    y = x.sum(1, keepdim=True)
    weight, bias = (p.detach().clone().requires_grad_() for p in model.parameters())
    found = pu.train_minibatches(
        model,
        squared,
        (x, y),
        epochs=3,
        gamma=0.1,
        decayed=["weight"],
        optimiser=optimiser,
        learning_rate=0.01,
        schedule="cosine",
        device=device,
    )
    choice = {
        "sgd": lambda p: torch.optim.SGD(p, momentum=0.9),
        "adam": torch.optim.Adam,
    }[optimiser]([weight, bias])
    losses = []
    for epoch in range(3):
        choice.param_groups[0]["lr"] = 0.01 * (1 + np.cos(np.pi * epoch / 3)) / 2
        choice.zero_grad()
        loss = squared(x @ weight.T + bias, y)
        losses.append(float(loss.detach()))
        (loss + 0.1 * weight.square().sum()).backward()
        choice.step()
    np.testing.assert_allclose(found.data_loss, losses, rtol=1e-12)
    for got, want in zip(model.parameters(), (weight, bias), strict=True):
        np.testing.assert_allclose(got.detach().cpu(), want.detach(), rtol=1e-12)
    assert found.status == "completed"


def test_an_epoch_sees_every_sample_once_in_batches_of_nearly_equal_size():
    seen = []

    def loss(out, y):
        seen.append(y[:, 0].tolist())
        return squared(out, y)

    x = torch.arange(23.0)[:, None] / 23
    pu.train_minibatches(nn.Linear(1, 1), loss, (x, x), epochs=2, batch_size=6)
    assert sorted(map(len, seen[:4])) == [5, 6, 6, 6]
    first, second = list(chain(*seen[:4])), list(chain(*seen[4:]))
    assert sorted(first) == sorted(second) == x[:, 0].tolist()
    assert first != second


def test_the_seed_decides_and_the_callers_random_state_is_left_alone():
    weights = []
    for seed in (0, 0, 1):
        model, data = problem()
        torch.manual_seed(5)
        pu.train_minibatches(
            model,
            squared,
            data,
            epochs=2,
            batch_size=16,
            seed=seed,
            augment=lambda x: x + 0.1 * torch.randn_like(x),
        )
        following = torch.rand(1)
        torch.manual_seed(5)
        assert torch.equal(following, torch.rand(1))
        weights.append(model[0].weight.detach().clone())
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


CODE = """
import os, signal, sys
import test_minibatches as t
steps = 0

def loss(out, y):
    global steps
    steps += 1
    if steps == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return t.squared(out, y)

t.resumable("adam", sys.argv[1], loss)
"""


def resumable(optimiser, place, loss=squared):
    torch.set_num_threads(1)
    model, data = problem()
    found = pu.train_minibatches(
        model,
        loss,
        data,
        epochs=4,
        batch_size=16,
        gamma=0.01,
        schedule="cosine",
        learning_rate=0.05,
        optimiser=optimiser,
        checkpoint=place,
    )
    return found.data_loss.tolist(), model.state_dict()


def same(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][k], v) for k, v in other[1].items())


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    place = tmp_path / "killed"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    code = [sys.executable, "-c", CODE, str(place)]
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL  # 4 batches an epoch: within the third
    assert len(torch.load(place, weights_only=True)["losses"]) == 2
    (tmp_path / ".killed.1.tmp").write_bytes(b"left behind")
    assert same(resumable("adam", place), resumable("adam", tmp_path / "whole"))


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path):
    steps = []

    def loss(out, y):
        steps.append(1)
        if len(steps) == 7:
            raise KeyboardInterrupt
        return squared(out, y)

    with pytest.raises(KeyboardInterrupt):
        resumable("sgd", tmp_path / "cut", loss)
    assert same(resumable("sgd", tmp_path / "cut"), resumable("sgd", tmp_path / "whole"))
    assert same(resumable("sgd", tmp_path / "cut"), resumable("sgd", tmp_path / "whole"))


def test_a_finished_training_is_read_and_another_is_refused(tmp_path):
    place = tmp_path / "a.pt"

    def go(**changes):
        model, data = problem()
        found = pu.train_minibatches(
            model, squared, data, **{"epochs": 2, "checkpoint": place, **changes}
        )
        return found, model

    first, model = go()
    again, copy = go()
    assert first.data_loss.tolist() == again.data_loss.tolist()
    assert torch.equal(model[0].weight, copy[0].weight)
    for changes in ({"epochs": 3}, {"gamma": 0.1}, {"seed": 1}, {"momentum": 0.5}):
        with pytest.raises(ValueError, match=r"of this training, got a\.pt of another"):
            go(**changes)
    other, data = problem(seed=1)
    with pytest.raises(ValueError, match="of another"):
        pu.train_minibatches(other, squared, data, epochs=2, checkpoint=place)
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"checkpoint must be a file of this training, got a\.pt"):
        go()


class Payload:
    def __reduce__(self):
        return os.system, ("exit 1",)


def test_a_checkpoint_executes_nothing(tmp_path):
    torch.save({"identity": Payload()}, tmp_path / "bad.pt")
    model, data = problem()
    with pytest.raises(ValueError, match="UnpicklingError"):
        pu.train_minibatches(model, squared, data, epochs=1, checkpoint=tmp_path / "bad.pt")


def test_divergence_is_a_status():
    _, data = problem()
    deep = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    found = pu.train_minibatches(deep, squared, data, epochs=200, learning_rate=50)
    assert found.status == "diverged"
    assert len(found.data_loss) < 200


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be an integer >= 1"),
        ({"batch_size": 1.5}, "batch_size must be an integer"),
        ({"gamma": -1}, "gamma must be >= 0"),
        ({"learning_rate": 0}, "learning_rate must be > 0"),
        ({"momentum": 1}, "momentum must be < 1"),
        ({"optimiser": "lion"}, "optimiser must be one of sgd, adam"),
        ({"schedule": "step"}, "schedule must be one of constant, cosine"),
        ({"decayed": ["9.weight"]}, "decayed must name parameters of the model"),
        ({"device": "nowhere"}, "device must be"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    model, data = problem()
    with pytest.raises(ValueError, match=message):
        pu.train_minibatches(model, squared, data, **{"epochs": 1, **changes})


def test_bad_data_are_named():
    model, (x, y) = problem()
    cases = [((x, y[:-1]), "as many x as y"), (x, "a pair"), ((x[:0], y[:0]), "at least one")]
    for data, message in cases:
        with pytest.raises(ValueError, match=message):
            pu.train_minibatches(model, squared, data, epochs=1)
    with pytest.raises(ValueError, match="model must have parameters"):
        pu.train_minibatches(nn.ReLU(), squared, (x, y), epochs=1)
