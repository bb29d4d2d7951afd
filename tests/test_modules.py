"""The loss of a module in pieces: of samples, of rows, and with models that cannot be batched."""

import numpy as np
import pytest
import torch
from torch import nn

import phase_utils as pu
from phase_utils.training import passes

RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(17, 4)), RNG.normal(size=(17, 2))


def problem(**options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    return pu.ModuleProblem(model, nn.functional.mse_loss, (X, Y), **options)


def test_the_samples_are_cut_where_their_activations_do_not_fit(monkeypatch):
    assert problem().chunks == [slice(0, 17)]
    monkeypatch.setattr(passes, "ACTIVATIONS", 60)  # numbers, of 17 x 8 that the layers give
    found = problem()
    assert [c.stop - c.start for c in found.chunks] == [5, 6, 6]
    assert [c.start for c in found.chunks[1:]] == [c.stop for c in found.chunks[:-1]]


@pytest.fixture(params=["whole", "row by row", "cut"])
def same(request):
    """The same loss computed at once, one set of weights at a time, and in uneven pieces."""
    found = problem()
    assert found.rows > 1
    if request.param == "row by row":
        found.rows = 1
    if request.param == "cut":
        found.chunks = [slice(0, 4), slice(4, 5), slice(5, 17)]
    return found


def by_hand(row):
    """The mean over samples and outputs, in NumPy."""
    a, b, c, d = np.split(row, [12, 15, 21])
    hidden = np.tanh(X @ a.reshape(3, 4).T + b)
    return np.square(hidden @ c.reshape(2, 3).T + d - Y)


def test_all_ways_to_a_loss_give_the_same(same):
    x = same.random(0.7, range(3))
    expected = [by_hand(row.numpy()).mean() for row in x]
    np.testing.assert_allclose(same.losses(x), expected, rtol=1e-13)
    np.testing.assert_allclose([same.loss(row) for row in x], expected, rtol=1e-13)
    loss, gradient = same.evaluate(x)
    np.testing.assert_allclose(loss, expected, rtol=1e-13)
    each = by_hand(x[0].numpy()).mean(1)
    np.testing.assert_allclose(same.sample_losses(x[0]), each, rtol=1e-12)

    along, step = torch.as_tensor(RNG.normal(size=same.parameters)), 1e-5
    ends = [by_hand((x[0] + s * step * along).numpy()).mean() for s in (1, -1)]
    assert float(gradient[0] @ along) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-7)
    slopes = [same.evaluate((x[0] + s * step * along)[None])[1][0] for s in (1, -1)]
    curved = (slopes[0] - slopes[1]) / (2 * step)
    torch.testing.assert_close(same.hessian_product(x[0], along), curved, rtol=1e-6, atol=1e-9)


def test_a_loss_that_is_no_mean_is_never_cut(monkeypatch):
    monkeypatch.setattr(passes, "ACTIVATIONS", 60)
    total = pu.ModuleProblem(nn.Linear(4, 2), lambda out, y: (out - y).square().sum(), (X, Y))
    assert total.chunks == [slice(0, 17)]
    with pytest.raises(ValueError, match="mean over samples"):
        total.sample_losses(total.start)


def test_a_subset_has_samples_of_the_whole_each_once():
    whole = problem()
    part = whole.subset(5, seed=1)
    places = [np.flatnonzero((row == X).all(1)).item() for row in part.x.numpy()]
    assert len(set(places)) == 5
    np.testing.assert_array_equal(part.y, Y[places])
    assert part.decayed == whole.decayed
    assert torch.equal(part.start, whole.start)
    assert whole.subset(17) is whole
    assert [whole.subset(5, seed=s).x[0].tolist() for s in (1, 1)] == [part.x[0].tolist()] * 2


@pytest.mark.parametrize(
    "rows", [[[-1, 3]], [[0, 17]], [[0.0, 1.0]], [0, 1], [[0, 1], [2, 3]], [[]]]
)
def test_samples_that_are_none_are_refused(rows):
    found = problem()
    weights = found.initial_weights(0.5, [0])
    assert found.data_loss(weights, torch.tensor([[0, 16]])).shape == (1,)
    with pytest.raises(ValueError, match="rows must be"):
        found.data_loss(weights, torch.tensor(rows))


def test_all_that_a_layer_gives_is_counted():
    with passes.counted(nn.LSTM(3, 2, batch_first=True)) as counts:
        nn.LSTM(3, 2)(torch.zeros(1, 1, 3))  # another one
        assert counts == []
    layer = nn.LSTM(3, 2, batch_first=True)
    with passes.counted(layer) as counts:
        layer(torch.zeros(4, 5, 3))
    assert counts == [4 * 5 * 2 + 2 * (4 * 2)]  # its outputs, and its two last states
    assert passes.cut(4, 0.5 * passes.ACTIVATIONS) == [slice(0, 4)]
    assert passes.cut(4, 9 * passes.ACTIVATIONS) == [slice(i, i + 1) for i in range(4)]


class Turning(nn.Module):
    """A branch in Python on the weights, which vmap cannot take."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.ones(2, 4))

    def forward(self, x):
        return x @ (self.w if self.w.sum() > 0 else -self.w).mT


def test_a_module_that_cannot_be_batched_is_taken_row_by_row():
    found = pu.ModuleProblem(Turning(), nn.functional.mse_loss, (X, Y))
    assert found.rows == 1
    x = found.random(1.0, range(5))
    signs = np.sign(x.numpy().sum(1))
    expected = [
        np.square(s * X @ row.reshape(2, 4).T - Y).mean()
        for s, row in zip(signs, x.numpy(), strict=True)
    ]
    assert {1, -1} <= set(signs)
    np.testing.assert_allclose(found.losses(x), expected, rtol=1e-13)


def test_weights_of_single_precision_meet_labels_that_stay_integers():
    torch.manual_seed(0)
    x, y = torch.randn(12, 3), torch.arange(12) % 3
    problem = pu.ModuleProblem(nn.Linear(3, 3), nn.functional.cross_entropy, (x, y))
    double = problem.initial_weights(0.5, range(2))
    gamma = torch.full((2,), 0.3, dtype=torch.float64)
    loss, _ = problem.value_and_gradient(double, gamma)
    whole = problem.data_loss(double) + gamma * problem.penalty(double)
    torch.testing.assert_close(loss, whole, rtol=1e-12, atol=0)
    single, _ = problem.value_and_gradient([w.float() for w in double], gamma.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), loss, rtol=1e-5, atol=0)


def test_a_random_loss_is_refused():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    x = torch.linspace(-1, 1, 30).reshape(10, 3)
    with pytest.raises(ValueError, match="same loss twice"):
        pu.ModuleProblem(model, nn.functional.mse_loss, (x, x[:, :1]))


def test_two_samples_whose_loss_reads_the_column_are_not_taken_for_mixed_up():
    x, y = torch.tensor([[1.0], [2.0]]), torch.tensor([0.5, -1.0])
    model = nn.Linear(1, 1)
    problem = pu.ModuleProblem(model, lambda out, y: ((out[:, 0] - y) ** 2).mean(), (x, y))
    weights = [p.detach().double()[None] for p in model.parameters()]
    expected = ((model(x)[:, 0] - y) ** 2).mean().item()
    assert problem.data_loss(weights).item() == pytest.approx(expected, rel=1e-6)
