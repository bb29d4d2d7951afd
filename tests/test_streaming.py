"""Data that do not fit into memory: diagnosed on a part, and bounded on all that is read."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset, WeightedRandomSampler

import phase_utils as pu
from phase_utils.diagnosis import samples, search

N = 600
X = torch.randn(N, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tanh(X[:, :1] - 0.5 * X[:, 1:2])
FULL = N * 8 * 5  # bytes of x and y


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setattr(samples, "MOST_READ", FULL // 2)
    monkeypatch.setattr(search, "LARGE", 1e4)


def network(*between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6, bias=False), *between, nn.Tanh(), nn.Linear(6, 1))


class Counted(Dataset):
    """Pairs of X and Y; how often each was read."""

    def __init__(self):
        self.read = torch.zeros(N, dtype=torch.int64)

    def __len__(self):
        return N

    def __getitem__(self, i):
        self.read[i] += 1
        return X[i], Y[i]


def test_the_bound_is_one_on_all_samples(monkeypatch):
    data, model = Counted(), network()
    found = pu.diagnose(model, F.mse_loss, data, starts=4, steps=40, progress=False)
    value = found.gamma_coexistence
    first, later = data.read[: samples.BATCH], data.read[samples.BATCH :]
    assert len(later.unique()) == 1  # a loss over all takes all
    assert (first == later[0] + 2).all()  # two looks at the first batch
    assert later[0] < 60
    own = network().double()
    own.load_state_dict(found.weights)
    with torch.no_grad():
        loss = float(F.mse_loss(own(X), Y))
    square = sum(float(own[i].weight.detach().square().sum()) for i in (0, 2))
    blind = float((Y - Y.mean()).square().mean())
    assert (blind - loss) / square == pytest.approx(value, rel=1e-6)
    assert "on the 256 of 600 samples" in found.evidence.statement
    assert found.gamma_origin is None
    assert "read anew" in found.evidence.reason
    monkeypatch.setattr(samples, "MOST_READ", 2 * FULL)
    monkeypatch.setattr(search, "LARGE", 1e9)
    whole = pu.diagnose(model, F.mse_loss, (X, Y), starts=4)
    assert 0.98 * whole.gamma_coexistence < value <= whole.gamma_coexistence * (1 + 1e-6)


class Changing(Counted):
    """Samples with a random transform."""

    def __getitem__(self, i):
        return X[i] + 0.1 * torch.randn(4), Y[i]


def sum_of_squares(out, y):
    return (out - y).square().sum()


@pytest.mark.parametrize(
    ("model", "loss", "data", "words"),
    [
        (network(), F.mse_loss, Changing(), "must be the same each time"),
        (network(nn.BatchNorm1d(6)), F.mse_loss, Counted(), "mixes samples"),
        (network(nn.Dropout()), F.mse_loss, Counted(), "is random"),
        (network(), sum_of_squares, Counted(), "no mean over them"),
        (
            network(),
            F.mse_loss,
            DataLoader(Counted(), sampler=WeightedRandomSampler([1.0] * N, N)),
            "must fit into",
        ),
    ],
)
def test_what_cannot_be_read_in_batches_is_refused(model, loss, data, words):
    with pytest.raises(ValueError, match=f"data .*{words}"):
        pu.diagnose(model, loss, data, progress=False)


def test_a_state_is_not_followed_through_data_that_are_read_anew():
    with pytest.raises(ValueError, match="hysteresis must be False"):
        pu.diagnose(network(), F.mse_loss, Counted(), hysteresis=True, progress=False)


def test_what_would_be_read_for_days_is_refused(monkeypatch):
    monkeypatch.setattr(samples, "MOST_READ", FULL // 20)
    data = Counted()
    with pytest.raises(ValueError, match=r"must fit into.*Subset\("):
        pu.diagnose(network(), F.mse_loss, data)
    assert data.read.sum() <= 2 * samples.BATCH


class Named(Counted):
    """Samples as a model of two inputs takes them."""

    def __getitem__(self, i):
        return {"left": X[i, :2], "right": X[i, 2:]}, Y[i]


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.own = network()

    def forward(self, left, right):
        return self.own(torch.cat([left, right], 1))


def test_loaders_are_read_whole_and_in_order_and_inputs_may_have_names(capsys):
    loader = DataLoader(TensorDataset(X, Y), batch_size=64, shuffle=True, drop_last=True)
    few = {"starts": 1, "steps": 8}
    one = pu.diagnose(network(), F.mse_loss, loader, **few)
    said = capsys.readouterr().err  # unasked, for it takes long
    assert "reading data" in said and "all data" in said
    both = pu.diagnose(Two(), F.mse_loss, Named(), progress=False, **few)
    assert capsys.readouterr().err == ""
    assert both.gamma_coexistence == pytest.approx(one.gamma_coexistence, rel=1e-6)
