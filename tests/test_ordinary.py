"""Diagnoses of networks as people have them, each against a closed form or plain PyTorch."""

import copy
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

import phase_utils as pu
from phase_utils.diagnosis import samples
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.penalties import penalty_of
from phase_utils.diagnosis.samples import gather
from phase_utils.diagnosis.seeing import Mirrored, Unseeing


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def digits(count, centre=False):
    pixels, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(labels))[:count]
    x = torch.tensor(pixels[chosen] / 16)
    return (x - x.mean(0) if centre else x), torch.tensor(labels[chosen])


def signal(x, y, classes):
    """Largest singular value of E[x (onehot - frequency)^T], half of which is a linear gamma*."""
    onehot = F.one_hot(y, classes).double()
    return float(torch.linalg.matrix_norm(x.T @ (onehot - onehot.mean(0)) / len(x), 2))


def entropy(y):
    share = torch.bincount(y).double() / len(y)
    return float(-(share * share.log()).sum())


def certified(model, loss_fn, call, found, factors, level):
    """Plain PyTorch: the weights beat the blind level just below the bound, not above it."""
    own = copy.deepcopy(model).double()
    own.load_state_dict(found.weights, strict=False)
    with torch.no_grad():
        loss = float(loss_fn(call(own)))
        named = dict(own.named_parameters())
        square = sum(r * float(named[k].double().square().sum()) for k, r in factors.items())
    gamma = found.gamma_coexistence
    assert loss + (1 - 1e-4) * gamma * square < level
    return loss, square


def weights_only(model):
    return {k: 1.0 for k, p in model.named_parameters() if p.ndim > 1 and p.requires_grad}


# ---------------------------------------------------------------- values


def test_relu_with_biases_on_digits():
    x, y = digits(150)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
    found = pu.diagnose(model, F.cross_entropy, (x.float(), y), starts=5)
    assert found.order == "continuous"
    assert found.gamma_coexistence == pytest.approx(0.124888, abs=2e-6)
    assert found.gamma_upper == pytest.approx(found.gamma_coexistence, rel=1e-5)
    # a hidden bias that is free makes units linear on all samples, the best there is on digits
    assert found.gamma_coexistence == pytest.approx(signal(x, y, 10) / 2, rel=1e-5)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.i = nn.Linear(64, 12)
        self.b = nn.Sequential(nn.Linear(12, 12), nn.GELU(), nn.Linear(12, 12))
        self.o = nn.Linear(12, 10)

    def forward(self, x):
        h = self.i(x)
        return self.o(h + self.b(h))


def test_a_residual_network_is_continuous_at_its_linear_path_although_starts_agree_on_less():
    x, y = digits(200, centre=True)
    torch.manual_seed(0)
    found = pu.diagnose(Residual(), F.cross_entropy, (x, y), starts=4)
    assert found.order == "continuous"
    assert found.gamma_coexistence == pytest.approx(signal(x, y, 10) / 2, rel=1e-5)


def test_a_frozen_layer_is_a_constant():
    x = torch.randn(200, 6, generator=seeded(), dtype=torch.float64)
    y = torch.tanh(x[:, :2].sum(1, keepdim=True))
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 5, bias=False), nn.Tanh(),
        nn.Linear(5, 1),
    )  # fmt: skip
    model[0].weight.requires_grad_(False)
    kept = model[0].weight.clone()
    names = [k for k, _ in model.named_parameters() if "bias" not in k]
    found = pu.diagnose(model, F.mse_loss, (x, y), decayed=names, starts=4)
    with torch.no_grad():
        features = torch.tanh(x @ kept.double().T)
    expected = np.linalg.norm(features.T @ (y - y.mean()) / len(x), 2)  # |E[z y]| of its features
    assert found.gamma_coexistence == pytest.approx(expected, rel=1e-5)
    assert "0.weight" not in found.weights
    assert torch.equal(model[0].weight, kept)


def test_factors_of_groups_by_mapping_and_by_optimiser():
    x = torch.randn(300, 4, generator=seeded())
    y = torch.tanh(x[:, :1])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6, bias=False), nn.Tanh(), nn.Linear(6, 1, bias=False))
    expected = float((x * y).mean(0).norm()) / math.sqrt(10)
    mapped = pu.diagnose(
        model, F.mse_loss, (x, y), decayed={"0.weight": 1, "2.weight": 10}, starts=4
    )
    assert mapped.gamma_coexistence == pytest.approx(expected, rel=1e-5)
    optimizer = torch.optim.Adam(
        [
            {"params": model[0].parameters(), "weight_decay": 1e-3},
            {"params": model[2].parameters(), "weight_decay": 1e-2},
        ]
    )
    read = pu.diagnose(model, F.mse_loss, (x, y), optimizer=optimizer, starts=4)
    # gamma is now that of the head, the most decayed group: the body has a tenth of it
    assert read.gamma_coexistence == pytest.approx(expected * 10, rel=1e-5)
    assert read.weight_decay == pytest.approx(20 * expected, rel=1e-5)
    assert "Adam" in read.unit
    assert "most decayed group" in read.unit


def test_a_decayed_output_bias_makes_the_blind_loss_depend_on_gamma():
    x = torch.linspace(-1.7, 1.7, 40, dtype=torch.float64)[:, None]
    y = 0.5 * x + 0.8
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.Linear(3, 1))
    names = [k for k, _ in model.named_parameters()]
    found = pu.diagnose(model, F.mse_loss, (x, y), decayed=names, starts=4)
    # the bias decouples: gamma* = |E[xy]| as without it
    gamma = float((x * y).mean().abs())
    assert found.order == "continuous"
    assert found.gamma_coexistence == pytest.approx(gamma, rel=1e-4)
    blind = float((0.5 * x).square().mean()) + 0.64 * gamma / (1 + gamma)
    assert found.evidence.blind_loss == pytest.approx(blind, rel=1e-6)
    assert found.evidence.blind_square == pytest.approx((0.8 / (1 + gamma)) ** 2, rel=1e-4)


@pytest.mark.parametrize("slope", [1e-7, 1e-4, 1e-2, 1.0])
def test_a_tie_with_the_blind_network_is_met_from_below(slope):
    # the best blind network of mean m has F = v + m^2 gamma / (1 + gamma), R = (m / (1 + gamma))^2
    x = torch.linspace(-1.7, 1.7, 40, dtype=torch.float64)[:, None]
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.Linear(3, 1))
    what = penalty_of(model, [k for k, _ in model.named_parameters()], None, None)
    reference = Reference(Objective(model, F.mse_loss, (x, 0.5 * x + 0.8), what), 0.1)
    v = float((0.5 * x).square().mean())
    for gamma in (0.2, 0.7, 3.0):  # a line that is met there, hardly or clearly steeper than F
        square = (0.8 / (1 + gamma)) ** 2 * (1 + slope)
        loss = v + 0.64 * gamma / (1 + gamma) - gamma * square
        found = reference.root(loss, square, gamma * (1 - min(0.5, slope / 10)))
        assert found <= gamma
        # F is known to its rounding, which a line that is hardly steeper feels most
        assert gamma - found < 1e-7 * gamma + 1e-13 / (square - (0.8 / (1 + gamma)) ** 2)


def test_l1_has_the_closed_form_of_one_path():
    x = torch.linspace(-1.7, 1.7, 40, dtype=torch.float64)[:, None]
    a, e = float(x.square().mean()), 0.7 * float(x.square().mean())
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(1, 3, bias=False), nn.Linear(3, 1, bias=False))

    def lasso(net):
        return sum(p.abs().sum() for p in net.parameters())

    found = pu.diagnose(model, F.mse_loss, (x, 0.7 * x), penalty=lasso, starts=6)
    beta = 2 * e / (3 * a)  # maximum of (2 e beta - a beta^2) / (2 sqrt(beta))
    assert found.gamma_coexistence == pytest.approx((2 * e - a * beta) * beta**0.5 / 2, rel=1e-5)
    assert found.order == "first"
    assert found.weight_decay is None


class LinearVae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(3, 1, bias=False)
        self.spread = nn.Parameter(torch.zeros(1))
        self.decode = nn.Linear(1, 3, bias=False)

    def forward(self, x):
        mean = self.encode(x)
        code = mean + (0.5 * self.spread).exp() * torch.randn_like(mean)
        return self.decode(code), mean, self.spread.expand_as(mean)


def test_the_code_of_a_vae_collapses_at_the_largest_variance():
    x = torch.linalg.svd(torch.randn(150, 3, generator=seeded()), full_matrices=False)[0]
    x = x * math.sqrt(150) * torch.tensor([3.0, 1.0, 0.3]).sqrt()

    def rebuilt(out, target):
        return 0.5 * (out[0] - target).square().sum(1).mean()

    def divergence(_, out):
        return 0.5 * (out[1].square() + out[2].exp() - out[2] - 1).sum(1).mean()

    torch.manual_seed(0)
    found = pu.diagnose(LinearVae(), rebuilt, (x, x), penalty=divergence, starts=1, draws=4)
    assert found.gamma_coexistence == pytest.approx(3, rel=0.05)
    assert 0 < found.evidence.noise < 0.1
    assert "no lower bound" in str(found)


def test_dropout_is_an_expectation():
    x = torch.linspace(-1.7, 1.7, 60, dtype=torch.float64)[:, None]
    y = 0.6 * x
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(1, 30, bias=False), nn.Dropout(0.2), nn.Linear(30, 1, bias=False)
    )
    found = pu.diagnose(model, F.mse_loss, (x, y), starts=2, draws=4)
    # weights that go to zero feel dropout at fourth order only
    assert found.gamma_coexistence == pytest.approx(float((x * y).mean()), rel=0.03)
    assert found.evidence.noise is not None
    still = pu.diagnose(model.eval(), F.mse_loss, (x, y), starts=3)
    assert still.gamma_coexistence == pytest.approx(float((x * y).mean()), rel=1e-6)


# ---------------------------------------------------------------- unbounded


@pytest.mark.parametrize(
    ("layers", "decayed", "growing"),
    [
        ([nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2)], None, "1."),
        ([nn.Linear(6, 8), nn.Tanh(), nn.LayerNorm(8), nn.Linear(8, 2)], None, "2."),
        ([nn.Linear(6, 8, bias=False), nn.Tanh(), nn.Linear(8, 2)], ["0.weight"], "2.weight"),
    ],
)
def test_unbounded_transitions_name_what_runs_away(layers, decayed, growing):
    x = torch.randn(80, 6, generator=seeded())
    y = (x[:, 0] * x[:, 1] + 0.5 * x[:, 2] > 0).long()
    torch.manual_seed(0)
    model = nn.Sequential(*layers)
    found = pu.diagnose(model, F.cross_entropy, (x, y), decayed=decayed, starts=4)
    assert found.order == "unbounded"
    assert found.gamma_coexistence == math.inf
    assert found.weight_decay == math.inf
    assert any(name.startswith(growing) for name in found.evidence.growing)
    assert "0.weight" in found.evidence.shrinking
    assert "effective learning rate" in str(found)


def test_a_head_that_grows_for_free_is_unbounded_although_its_bias_is_no_rest():
    x = torch.randn(48, 3, generator=seeded())
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    y = torch.tanh(x[:, :1])
    found = pu.diagnose(model, F.mse_loss, (x, y), decayed=["0.weight"], starts=4)
    assert found.order == "unbounded"
    assert "2.weight" in found.evidence.growing


def test_gains_that_decay_too_bound_it_again():
    x = torch.randn(80, 4, generator=seeded())
    y = (x[:, 0] > 0).long()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 2))
    factors = {k: 1.0 for k, _ in model.named_parameters()}
    found = pu.diagnose(model, F.cross_entropy, (x, y), decayed=factors, starts=4)
    assert 0 < found.gamma_coexistence < 10
    certified(
        model, lambda out: F.cross_entropy(out, y), lambda m: m(x.double()), found, factors,
        found.evidence.blind_loss,
    )  # fmt: skip


def test_a_linear_model_has_no_transition():
    x = torch.randn(60, 3, generator=seeded())
    found = pu.diagnose(nn.Linear(3, 1), F.mse_loss, (x, x[:, :1]), starts=2)
    assert (found.order, found.gamma_coexistence) == ("none", math.inf)
    assert "no transition" in str(found)


def test_nothing_to_learn_is_said():
    x = torch.randn(60, 3, generator=seeded())
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    found = pu.diagnose(model, F.mse_loss, (x, torch.zeros(60, 1)), starts=3)
    assert (found.order, found.gamma_coexistence) == ("none", 0.0)


# ---------------------------------------------------------------- inputs and modules


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.r, self.o = kind(3, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x):
        if isinstance(self.r, nn.LSTM):  # as tutorials do: float32 by default
            state = torch.zeros(1, len(x), 4), torch.zeros(1, len(x), 4)
            return self.o(self.r(x, state)[0][:, -1])
        return self.o(self.r(x)[0][:, -1])


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_recurrent_layers(kind):
    x = torch.randn(40, 3, 3, generator=seeded())
    y = (x.double().sum((1, 2)) / 4)[:, None]
    y = y - y.mean()
    torch.manual_seed(0)
    model = Recurrent(kind)
    factors = {k: 1.0 for k, _ in model.named_parameters()}
    found = pu.diagnose(model, F.mse_loss, (x, y), decayed=factors, starts=3, steps=60)
    torch.set_default_dtype(torch.float64)
    try:
        certified(
            model, lambda out: F.mse_loss(out, y), lambda m: m(x.double()), found,
            factors, float(y.square().mean()),
        )  # fmt: skip
    finally:
        torch.set_default_dtype(torch.float32)


def test_free_biases_of_a_gru_run_away():
    # its candidate is tanh(.. + r (.. + b)): a bias that does not decay is a gain of the gate r
    x = torch.randn(40, 3, 3, generator=seeded())
    y = x.double().sum((1, 2))[:, None] / 4
    torch.manual_seed(0)
    found = pu.diagnose(Recurrent(nn.GRU), F.mse_loss, (x, y), starts=3)
    assert found.order == "unbounded"


class Graph(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4, bias=False), nn.Linear(4, 2, bias=False)

    def forward(self, x, adjacency):
        return adjacency @ self.b(F.relu(adjacency @ self.a(x)))


def test_several_inputs_as_a_tuple():
    g = seeded()
    y = torch.arange(30) % 2
    x = F.one_hot(y, 2).float() * 0.7 + torch.randn(30, 2, generator=g)
    x = torch.cat([x, torch.randn(30, 3, generator=g)], 1)
    adjacency = torch.eye(30) * 0.5 + (torch.rand(30, 30, generator=g) < 0.05).float()
    torch.manual_seed(0)
    model = Graph()
    found = pu.diagnose(model, F.cross_entropy, ((x, adjacency), y), starts=4)
    certified(
        model, lambda out: F.cross_entropy(out, y),
        lambda m: m(x.double(), adjacency.double()), found, weights_only(model), math.log(2),
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"several inputs go into x, \(\(a, b\), y\), got 3 entri"):
        pu.diagnose(model, F.cross_entropy, (x, adjacency, y))


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.u, self.i = nn.Embedding(12, 3), nn.Embedding(9, 3)

    def forward(self, user, item):
        return (self.u(user) * self.i(item)).sum(-1)


@pytest.mark.parametrize("form", ["tuple", "dict"])
def test_matrix_factorisation_collapses_at_the_largest_singular_value(form):
    g = seeded()
    user, item = torch.randint(0, 12, (200,), generator=g), torch.randint(0, 9, (200,), generator=g)
    p, q = torch.randn(12, 2, generator=g), torch.randn(9, 2, generator=g)
    y = (p[user] * q[item]).sum(1)
    mean = torch.zeros(12, 9).index_put_((user, item), y / len(y), accumulate=True)
    x = (user, item) if form == "tuple" else {"user": user, "item": item}
    torch.manual_seed(0)
    found = pu.diagnose(Factors(), F.mse_loss, (x, y), starts=4)
    assert found.order == "continuous"
    expected = float(torch.linalg.matrix_norm(mean.double(), 2))
    assert found.gamma_coexistence == pytest.approx(expected, rel=1e-5)


class Output(dict):
    __getattr__ = dict.__getitem__


class Named(nn.Module):
    """As transformers have it: named inputs, an output with loss and logits."""

    def __init__(self):
        super().__init__()
        self.e, self.h = nn.Embedding(10, 4), nn.Linear(4, 2)

    def forward(self, input_ids=None, attention_mask=None, labels=None):
        z = (self.e(input_ids) * attention_mask[..., None]).mean(1)
        logits = self.h(z)
        loss = None if labels is None else F.cross_entropy(logits, labels)
        return Output(loss=loss, logits=logits)


def test_outputs_with_logits_and_batches_with_labels_give_the_same_answer():
    g = seeded()
    ids = torch.randint(0, 10, (60, 5), generator=g)
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    y = (ids == 2).any(1).long()
    torch.manual_seed(0)
    model = Named()
    options = {"starts": 3, "steps": 80}
    plain = pu.diagnose(model, F.cross_entropy, (batch, y), **options)
    own = pu.diagnose(model, lambda o, t: F.cross_entropy(o.logits, t), (batch, y), **options)
    whole = pu.diagnose(model, lambda o, _: o.loss, batch | {"labels": y}, **options)
    assert 0 < plain.gamma_coexistence < math.inf
    assert own.gamma_coexistence == pytest.approx(plain.gamma_coexistence, rel=1e-9)
    assert whole.gamma_coexistence == pytest.approx(plain.gamma_coexistence, rel=1e-9)
    assert plain.evidence.blind_loss == pytest.approx(entropy(y), rel=1e-9)


def test_loaders_datasets_and_frames_give_the_answer_of_tensors():
    pd = pytest.importorskip("pandas")
    x = torch.randn(50, 3, generator=seeded(), dtype=torch.float64)
    y = torch.tanh(x[:, :1])
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Tanh(), nn.Linear(3, 1, bias=False))
    dataset = TensorDataset(x, y)
    forms = [
        (x, y), dataset, DataLoader(dataset, batch_size=16), (x.numpy(), y.numpy()),
        (x.tolist(), y.tolist()), (pd.DataFrame(x.numpy()), pd.DataFrame(y.numpy())),
    ]  # fmt: skip
    found = [pu.diagnose(model, F.mse_loss, data, starts=1, steps=20) for data in forms]
    assert len({f.gamma_coexistence for f in found}) == 1


class Single(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 1))

    def forward(self, x):
        return self.n(x.float())


def test_a_module_that_runs_in_float32_only_says_its_resolution():
    x = torch.randn(60, 3, generator=seeded())
    y = torch.tanh(x[:, :1])
    torch.manual_seed(0)
    model = Single()
    found = pu.diagnose(model, F.mse_loss, (x, y), starts=3)
    double = pu.diagnose(model.n, F.mse_loss, (x, y), starts=3)
    assert found.gamma_coexistence == pytest.approx(double.gamma_coexistence, rel=2e-3)
    assert "float32 only" in str(found)
    assert "float32" not in str(double)


def test_one_draw_is_enough_for_an_answer_without_an_error_bar_of_many():
    x = torch.randn(40, 4, generator=seeded())
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.1), nn.Linear(4, 1))
    found = pu.diagnose(model, F.mse_loss, (x, x[:, :1]), starts=1, steps=20, draws=1)
    assert found.gamma_coexistence > 0
    assert found.evidence.noise > 0


@pytest.mark.parametrize("number", ["starts", "steps", "draws"])
def test_one_is_enough_of_what_is_counted(number):
    x = torch.randn(9, 1, generator=seeded())
    with pytest.raises(ValueError, match="hysteresis must be"):  # which is looked at after them
        pu.diagnose(nn.Linear(1, 1), F.mse_loss, (x, x), hysteresis="no", **{number: 1})


def test_buffers_and_the_generator_of_torch_are_left_as_they_were():
    x = torch.randn(40, 4, generator=seeded())
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.1), nn.Linear(4, 2))
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    names = [k for k, _ in model.named_parameters()]
    pu.diagnose(model, F.cross_entropy, (x, y), decayed=names, starts=1, steps=5, draws=2)
    assert torch.equal(torch.random.get_rng_state(), state)
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


# ---------------------------------------------------------------- refusals

X, Y = torch.randn(20, 4, generator=seeded()), torch.randn(20, 1, generator=seeded(1))


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decayed": {"no.weight": 1.0}}, "decayed must name parameters"),
        ({"decayed": {"0.weight": -1.0}}, r"decayed\['0.weight'\] must be"),
        ({"decayed": "0.weight"}, "decayed must"),
        ({"decayed": 3}, "decayed must be names"),
        ({"decayed": list(small().parameters())}, "decayed must be names of parameters, got tens"),
        ({"decayed": small().parameters()}, "decayed must be names of parameters, got tensors"),
        ({"decayed": []}, "decayed must name"),
        ({"penalty": "l1"}, "penalty must be a function"),
        ({"penalty": lambda: 0}, "penalty must take the model"),
        ({"penalty": lambda _: 0.0, "decayed": ["0.weight"]}, "decayed must be None where penalty"),
        ({"optimizer": "adam"}, "optimizer must be a torch.optim.Optimizer"),
        (
            {"optimizer": torch.optim.SGD(small().parameters(), lr=0.1, weight_decay=0.1)},
            "optimizer must hold parameters of this model",
        ),
        ({"draws": 0}, "draws must be"),
        ({"data": (X, Y[:, 0])}, "data must have y of shape"),
        ({"data": (X[:5], Y)}, "as many x as y"),
        ({"data": iter([])}, "data must be a pair"),
        ({"loss_fn": nn.MSELoss(reduction="sum")}, "loss_fn must be a mean over samples, got a su"),
        ({"loss_fn": nn.MSELoss(reduction="none")}, "loss_fn must return a scalar"),
    ],
)
def test_what_cannot_be_meant_is_refused(change, message):
    arguments = {"model": small(), "loss_fn": F.mse_loss, "data": (X, Y)} | change
    with pytest.raises(ValueError, match=message):
        pu.diagnose(**arguments)


def test_a_sum_over_samples_is_refused_in_any_form_and_a_mean_is_not():
    x, y = X.double(), (X[:, 0] > 0).long()
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    weights = torch.tensor([1.0, 3.0], dtype=torch.float64)

    def made(loss_fn):
        return Objective(net, loss_fn, (x, y), penalty_of(net, None, None, None))

    for loss_fn in (
        nn.CrossEntropyLoss(reduction="sum"),
        lambda out, t: F.cross_entropy(out, t, reduction="none").sum(),
    ):
        with pytest.raises(ValueError, match="pass reduction='mean'"):
            made(loss_fn).refuse_sum()
        for call in (pu.diagnose, partial(pu.Watch, gamma=0.1)):
            with pytest.raises(ValueError, match="pass reduction='mean'"):
                call(net, loss_fn, (x, y))
    for loss_fn in (nn.CrossEntropyLoss(), nn.CrossEntropyLoss(weight=weights)):
        made(loss_fn).refuse_sum()
    # a loss that wants its own number of samples is not known to be a sum
    made(lambda out, t: (out.reshape(20, 2)[:, 0] * t).sum() / 20).refuse_sum()


SGD = torch.optim.SGD


class Compiled(nn.Module):
    """What torch.compile returns looks like this; the real one takes seconds to import."""

    def __init__(self, module):
        super().__init__()
        self._orig_mod = module

    def forward(self, x):
        return self._orig_mod(x)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: pu.diagnose(m, F.mse_loss, (X, Y)),
        lambda m: pu.rehearse(m, F.mse_loss, (X, Y), SGD(m.parameters(), lr=0.1)),
        lambda m: pu.Watch(m, F.mse_loss, (X, Y), gamma=0.1),
        lambda m: pu.ModuleProblem(m, F.mse_loss, (X, Y)),
        lambda m: pu.adamw_fade(m, F.mse_loss, (X, Y)),
    ],
)
def test_a_compiled_module_is_refused_with_its_remedy(call):
    with pytest.raises(ValueError, match=r"model must be the module itself.*compiled\._orig_mod"):
        call(Compiled(small()))


@pytest.mark.parametrize(
    ("call", "remedy"),
    [
        (lambda m: pu.diagnose(m, F.mse_loss, X, Y), r"diagnose\(model, loss_fn, \(x, y\)\)"),
        (
            lambda m: pu.rehearse(m, F.mse_loss, X, Y, None),
            r"rehearse\(model, loss_fn, \(x, y\), optimizer\)",
        ),
        (lambda m: pu.adamw_fade(m, F.mse_loss, X, Y), r"adamw_fade\(model, loss_fn, \(x, y\)\)"),
        (
            lambda m: pu.collapse_quotient(m, F.mse_loss, (X, Y)),
            r"collapse_quotient\(problem, trivial_point\(problem\)\)",
        ),
        (
            lambda m: pu.trivial_point(m, F.mse_loss, (X, Y)),
            r"trivial_point\(ModuleProblem\(.*\)\)",
        ),
        (
            lambda m: pu.expand_origin(m, F.mse_loss, (X, Y)),
            r"expand_origin\(ModuleProblem\(.*\)\)",
        ),
        (
            lambda m: pu.expand_landau(m, F.mse_loss, (X, Y)),
            r"expand_landau\(problem, expand_origin\(problem\)\)",
        ),
    ],
)
def test_arguments_in_another_order_are_told_how_to_be_given(call, remedy):
    with pytest.raises(ValueError, match=f"{remedy}; got . arguments by position"):
        call(small())


def test_adamw_is_told_apart():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    found = pu.diagnose(model, F.mse_loss, (X, torch.tanh(X[:, :1])), optimizer=adamw, starts=1)
    assert found.adamw is not None
    assert found.adamw.weight_decay == pytest.approx(0.1)
    assert str(found).startswith("AdamW does not follow")
    assert "fades without a threshold" in str(found)
    assert "adamw_fade" in found.unit
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, weight_decay=0.1)
    plain = pu.diagnose(model, F.mse_loss, (X, X[:, :1]), optimizer=sgd, starts=1, steps=10)
    assert plain.adamw is None


def test_an_optimiser_without_decay_is_refused():
    model = small()
    with pytest.raises(ValueError, match="a group with weight_decay > 0"):
        pu.diagnose(model, F.mse_loss, (X, Y), optimizer=torch.optim.SGD(model.parameters(), 0.1))


def test_the_report_is_text_html_and_a_picture():
    import matplotlib.pyplot as plt

    found = pu.diagnose(small(), F.mse_loss, (X, torch.tanh(X[:, :1])), starts=2, steps=50)
    assert str(found).startswith("Up to weight_decay = ")
    assert "<table>" in found._repr_html_()
    axes = found.plot()
    assert len(axes.lines) > len(found.evidence.lines)
    assert "gamma" in axes.get_xlabel()
    assert axes.get_ylabel() == "(l - F) / F"
    best = next(line for line in axes.lines if line.get_label() == "best state found")
    low, high = axes.get_ylim()
    assert low == pytest.approx(1.15 * best.get_ydata().min())
    assert high == pytest.approx(-0.3 / 1.15 * low)
    plt.close("all")

    for reason, gamma, shown in (
        ("", 0.1, []),
        ("a kink", 0.1, ["gamma_origin by"]),
        ("a kink", None, ["no gamma_origin"]),
    ):
        own = replace(found, evidence=replace(found.evidence, reason=reason), gamma_origin=gamma)
        told = own._repr_html_()
        assert [n for n in ("no gamma_origin", "gamma_origin by") if n in told] == shown


@pytest.mark.parametrize(
    ("order", "gamma", "said"),
    [
        ("continuous", 0.1, "Up to weight_decay = 0.2 learning pays; it fades to nothing there"),
        ("first", 0.1, "Up to weight_decay = 0.2 learning pays; there the best network becomes"),
        ("unbounded", math.inf, "No finite decay makes the best network blind"),
        ("none", math.inf, "Learning pays at every decay, a little"),
        ("none", 0.0, "Nothing that was tried learned anything"),
    ],
)
def test_the_first_sentence_is_that_of_the_order(linear_found, order, gamma, said):
    own = {"order": order, "gamma_coexistence": gamma, "weight_decay": 2 * gamma}
    assert str(replace(linear_found, **own)).startswith(said)


@pytest.fixture(scope="module")
def linear_found():
    return pu.diagnose(nn.Linear(4, 1), F.mse_loss, (X, Y), starts=1, steps=5)


# ---------------------------------------------------------------- what is not seen


def test_noise_is_mirrored_about_its_mean():
    mean = torch.tensor([1.0, -2.0])
    for draw, centre in (
        (lambda: torch.randn(2), 0 * mean),
        (lambda: torch.randn_like(mean), 0 * mean),
        (lambda: torch.normal(mean, 0.5), mean),
        (lambda: torch.normal(mean=mean, std=0.5 * mean.abs()), mean),
    ):
        torch.manual_seed(3)
        once = draw()
        torch.manual_seed(3)
        with Mirrored():
            torch.testing.assert_close(draw(), 2 * centre - once)
        assert not torch.allclose(once, centre)


def test_positions_are_no_sight_of_the_input():
    x = torch.tensor([0, 1, 2])
    unseeing = Unseeing({x.untyped_storage().data_ptr()}, 3)
    assert unseeing._sees(x)  # the input itself, although it reads like positions
    assert unseeing._sees(x[1:])
    assert unseeing._sees(torch.tensor([2, 0, 1]))  # made of it
    assert not unseeing._sees(torch.arange(3))
    assert not unseeing._sees(torch.arange(3)[:, None].expand(3, 2))
    assert not unseeing._sees(torch.tensor([2, 0, 1, 1]))  # of another number
    assert not unseeing._sees(torch.tensor(1))


# ---------------------------------------------------------------- how data are read


class Items(Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class Endless(Dataset):
    """More samples than any memory holds, of which it counts those that were asked for."""

    asked = 0

    def __len__(self):
        return 10**8

    def __getitem__(self, i):
        self.asked += 1
        return torch.zeros(100), 0


def test_a_dataset_that_does_not_fit_is_refused_before_it_is_read(monkeypatch):
    dataset = Endless()
    with pytest.raises(ValueError, match=r"fit into 4 GiB in float64.*about 7.* GiB.*Subset\("):
        pu.diagnose(nn.Linear(100, 2), F.cross_entropy, dataset)
    assert dataset.asked <= 2 * samples.BATCH

    class Stream(IterableDataset):
        def __iter__(self):
            return iter([(torch.zeros(100), 0)] * 100)

    with pytest.raises(ValueError, match="must have a length"):
        gather(Stream(), torch.device("cpu"))
    monkeypatch.setattr(samples, "MOST_READ", 50 * 808)
    with pytest.raises(ValueError, match="data must fit into"):
        gather(DataLoader(Stream(), batch_size=10), torch.device("cpu"))
    monkeypatch.setattr(samples, "MOST_READ", 100 * 808)
    assert gather(DataLoader(Stream(), batch_size=10), torch.device("cpu")).count == 100


@pytest.mark.parametrize("batches", [False, True])
def test_what_a_dataset_gives_is_joined_in_its_own_form(batches):
    def read(items):
        source = Items(items)
        loader = DataLoader(source, batch_size=3) if batches else source
        return gather(loader, torch.device("cpu"))

    several = read([((a, b), c) for a, b, c in zip(X, 2 * X, Y, strict=True)])
    assert isinstance(several.x, tuple)
    for part, expected in zip(several.x, (X, 2 * X), strict=True):
        assert torch.equal(part, expected)
    assert torch.equal(several.y, Y)
    assert several.count == 20
    named = read([{"inputs": a, "labels": b} for a, b in zip(X, Y, strict=True)])
    assert torch.equal(named.x["inputs"], X)
    assert torch.equal(named.x["labels"], named.y)
    nested = read([({"a": a}, b) for a, b in zip(X, Y, strict=True)])
    assert list(nested.x) == ["a"]
    assert torch.equal(nested.x["a"], X)
    with pytest.raises(ValueError, match="at least one sample, got an empty loader"):
        read([])
    with pytest.raises(ValueError, match=r"pairs \(x, y\) in batches, got"):
        read([(a, b, b) for a, b in zip(X, Y, strict=True)])
    with pytest.raises(ValueError, match="data must give tensors in batches, got 'a'"):
        read([("a", Y[0])])
