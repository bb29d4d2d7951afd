"""Training on minibatches: against torch's own steps, killed and resumed to the same bits."""

import io
import os
import signal
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import read_only
from torch import nn

import phase_utils as pu
from phase_utils.chapters import checkpoints


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


def copy_of(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(one, other):
    return one[0] == other[0] and all(torch.equal(one[1][k], v) for k, v in other[1].items())


def test_what_was_spent_before_is_counted(tmp_path):
    found = []
    for _ in range(2):  # the second finds all epochs done
        model, data = problem()
        place = tmp_path / "a.pt"
        found.append(pu.train_minibatches(model, squared, data, epochs=2, checkpoint=place))
    assert found[0].seconds > 0
    assert found[1].seconds == found[0].seconds


def test_a_killed_training_goes_on_to_the_same_bits(tmp_path):
    place = tmp_path / "killed"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    code = [sys.executable, "-c", CODE, str(place)]
    done = subprocess.run(code, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == -signal.SIGKILL  # 4 batches an epoch: within the third
    payload = checkpoints.unsealed(place.read_bytes())
    assert len(torch.load(io.BytesIO(payload), weights_only=True)["losses"]) == 2
    (tmp_path / ".killed.1.tmp").write_bytes(b"left behind")
    assert same(resumable("adam", place), resumable("adam", tmp_path / "whole"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed", "whole"]


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
    for changes, difference in [
        ({"epochs": 3}, "epochs is 2 there and 3 here$"),
        ({"gamma": 0.1}, "gamma is 0.0 there and 0.1 here; decays is"),
        ({"seed": 1}, "seed is 0 there and 1 here$"),
        ({"momentum": 0.5}, "momentum is 0.9 there and 0.5 here$"),
        ({"batch_size": 7}, "batch_size is .* there and 7 here$"),
        ({"learning_rate": 0.01}, "learning_rate is .* there and 0.01 here$"),
        ({"optimiser": "adam"}, "optimiser is sgd there and adam here"),
        ({"schedule": "cosine"}, "schedule is constant there and cosine here$"),
    ]:
        with pytest.raises(ValueError, match=f"of this training, got .*a.pt of.*: {difference}"):
            go(**changes)
    model, (x, y) = problem()
    for changed in ((x, y + 1), (-x, y)):
        with pytest.raises(ValueError, match=r"of another .*: data is \w+ there and \w+ here$"):
            pu.train_minibatches(model, squared, changed, epochs=2, checkpoint=place)
    with pytest.raises(ValueError, match=r"of another .*: decays is .* there and .* here$"):
        pu.train_minibatches(
            model, squared, (x, y), epochs=2, decayed=["0.weight"], checkpoint=place
        )
    other, data = problem(seed=1)
    before = copy_of(other)
    with pytest.raises(ValueError, match=r"of another \(delete it or give another path\)"):
        pu.train_minibatches(other, squared, data, epochs=2, checkpoint=place)
    assert same(([], copy_of(other)), ([], before))


# Damage


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A checkpoint, small and whole."""
    place = tmp_path_factory.mktemp("sound") / "a.pt"
    tiny(place)
    return place.read_bytes()


def tiny(place, **changes):
    torch.manual_seed(0)
    model = nn.Linear(2, 1)
    x = torch.randn(6, 2)
    pu.train_minibatches(
        model, squared, (x, x[:, :1]), **{"epochs": 1, "checkpoint": place, **changes}
    )
    return model


def test_every_single_bit_and_every_length_is_guarded(sound):
    payload = checkpoints.unsealed(sound)
    assert checkpoints.sealed(payload) == sound
    assert sum(checkpoints.unsealed(sound[:n]) is not None for n in range(len(sound))) == 0
    content, accepted = bytearray(sound), 0
    for bit in range(8 * len(sound)):
        content[bit // 8] ^= 1 << bit % 8
        accepted += checkpoints.unsealed(bytes(content)) is not None
        content[bit // 8] ^= 1 << bit % 8
    assert accepted == 0
    assert checkpoints.unsealed(sound + b"\0") is None


def damage(sound):
    position = st.integers(0, len(sound) - 1)
    flipped = st.builds(
        lambda i, bit: sound[:i] + bytes([sound[i] ^ 1 << bit]) + sound[i + 1 :],
        position,
        st.integers(0, 7),
    )
    return st.one_of(
        flipped,
        position.map(lambda n: sound[:n]),
        st.binary(max_size=200),
        st.binary(min_size=1, max_size=9).map(lambda tail: sound + tail),
        st.binary(max_size=300).map(checkpoints.sealed),
    )


REFUSED = r"checkpoint must be a file that this training left, got .*; delete it or give another"


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_damaged_checkpoint_is_refused_and_the_model_left_alone(sound, data):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "a.pt")
        content = data.draw(damage(sound))
        place.write_bytes(content)
        torch.manual_seed(0)
        untouched = copy_of(nn.Linear(2, 1))
        found = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(nn.Module, "load_state_dict", lambda *_: found.append("loaded"))
            with pytest.raises(ValueError, match=REFUSED):
                tiny(place)
        assert found == []
        assert place.read_bytes() == content
        place.unlink()
        assert not same(([], copy_of(tiny(place))), ([], untouched))


class Payload:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    "state",
    [
        {"identity": Payload()},
        {},
        [1],
        {"identity": 3, "losses": [], "model": {}, "optimiser": {}},
        {"identity": {}, "losses": ["a"], "model": {}, "optimiser": {}},
        {"identity": {}, "losses": torch.nn.Parameter(torch.zeros(())), "model": {}},
    ],
)
def test_what_is_sealed_but_no_checkpoint_is_refused_and_executes_nothing(tmp_path, state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    (tmp_path / "bad.pt").write_bytes(checkpoints.sealed(buffer.getvalue()))
    with pytest.raises(ValueError, match=REFUSED):
        tiny(tmp_path / "bad.pt")


def test_weights_that_do_not_fit_are_refused_too(tmp_path, sound):
    state = torch.load(io.BytesIO(checkpoints.unsealed(sound)), weights_only=True)
    for harm in ({"model": {"weight": torch.zeros(3)}}, {"optimiser": {"state": {}}}):
        buffer = io.BytesIO()
        torch.save({**state, **harm}, buffer)
        (tmp_path / "bad.pt").write_bytes(checkpoints.sealed(buffer.getvalue()))
        with pytest.raises(ValueError, match=REFUSED):
            tiny(tmp_path / "bad.pt")


# Places


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("s3://bucket/a.pt", "checkpoint must be a path of this machine, got the address"),
        ("", "checkpoint must be a path, got ''"),
        (7, "checkpoint must be a path, got int"),
    ],
)
def test_what_is_no_path_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        tiny(name)


def test_a_folder_or_a_file_in_the_way_is_refused_before_training(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for place, message in [
        (tmp_path / "folder", f"{REFUSED}"),
        (tmp_path / "file" / "a.pt", "checkpoint must be in a folder that can be written, got"),
        (tmp_path / ("a" * 300), "checkpoint must be a path of names of at most 255 bytes"),
    ]:
        with pytest.raises(ValueError, match=message):
            tiny(place, augment=None, epochs=10**6)
    tiny(tmp_path / "new" / "deeper" / "a.pt")
    assert [p.name for p in (tmp_path / "new" / "deeper").iterdir()] == ["a.pt"]


def test_two_trainings_at_one_checkpoint_are_refused(tmp_path):
    def augment(x):
        with pytest.raises(ValueError, match="checkpoint must be of one run at a time"):
            tiny(tmp_path / "a.pt")
        tiny(tmp_path / "b.pt")
        return x

    tiny(tmp_path / "a.pt", augment=augment)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.pt", "b.pt"]


def test_where_nothing_can_be_written_what_is_done_is_read(tmp_path, sound):
    place = tmp_path / "a.pt"
    place.write_bytes(sound)
    with read_only(tmp_path):
        assert same(([], copy_of(tiny(place))), ([], copy_of(tiny(None))))
        with pytest.raises(ValueError, match=r"in a folder that can be written, .*denied"):
            tiny(tmp_path / "b.pt", epochs=10**6)
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt"]


# Threads


def drawing_models():
    """Models that draw in dropout, and the data of each."""
    torch.manual_seed(0)
    made = []
    for _ in range(8):
        layers = nn.Linear(3, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1)
        made.append((nn.Sequential(*layers), torch.randn(40, 3)))
    return made


def drawing(seed, model, x, place=None):
    """A training that draws in the module, in the loss and in `augment`."""
    found = pu.train_minibatches(
        model,
        lambda out, y: squared(out + 0.1 * torch.randn_like(out), y),
        (x, x[:, :1]),
        epochs=6,
        batch_size=8,
        seed=seed,
        augment=lambda x: x + 0.1 * torch.rand_like(x),
        checkpoint=place,
    )
    return found.data_loss.tolist(), model.state_dict()


def test_eight_threads_at_once_give_what_each_gives_alone(tmp_path):
    alone = [drawing(seed, *made) for seed, made in enumerate(drawing_models())]
    assert len({tuple(losses) for losses, _ in alone}) == 8
    models = drawing_models()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    together, turns = threading.Barrier(8), []

    def one(seed):
        together.wait(60)
        model, x = models[seed]
        model.register_forward_hook(lambda *_: turns.append(seed))
        return drawing(seed, model, x, tmp_path / f"{seed}.pt")

    with ThreadPoolExecutor(8) as pool:
        at_once = list(pool.map(one, range(8)))
    assert all(map(same, at_once, alone))
    assert torch.equal(torch.get_rng_state(), before)
    # they took turns: six epochs each, of five batches
    assert len(turns) == 240
    assert all(len(set(turns[i : i + 5])) == 1 for i in range(0, 240, 5))


def test_the_order_is_drawn_beside_what_the_module_draws():
    """A module that draws more sees the samples in the same order."""
    orders = []
    for draws in (0, 5):
        seen = []

        def loss(out, y, seen=seen, draws=draws):
            torch.rand(draws)
            seen.extend(y[:, 0].tolist())
            return squared(out, y)

        x = torch.arange(9.0)[:, None]
        pu.train_minibatches(nn.Linear(1, 1), loss, (x, x), epochs=2, batch_size=4)
        orders.append(seen)
    assert orders[0] == orders[1]


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
