"""Landscapes along a ray: exact polynomials, the minima of the theory, normalisation, bad input."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import phase_utils as pu


def squared(out, y):
    return (out - y).square().sum(1).mean()


def linear(depth, width=3, inputs=4, bias=False):
    sizes = [inputs] + [width] * depth + [1]
    pairs = pairwise(sizes)
    return nn.Sequential(*(nn.Linear(i, o, bias=bias) for i, o in pairs)).double()


@pytest.fixture
def samples():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4))
    return x, (x @ [0.3, -0.2, 0.5, 0.1])[:, None] + 0.1 * rng.normal(size=(60, 1))


@pytest.mark.parametrize("depth", [0, 1, 2, 4])
def test_a_linear_net_gives_the_polynomial_of_its_depth(depth, samples):
    x, y = samples
    torch.manual_seed(depth)
    model = linear(depth)
    beta = np.eye(4)
    for layer in model:
        beta = layer.weight.detach().numpy() @ beta
    beta = beta[0]
    a = np.linspace(0, 2, 31)
    found = pu.rescaled_landscape(model, squared, samples, a)
    signal, curvature = beta @ x.T @ y[:, 0] / len(x), np.mean((x @ beta) ** 2)
    expected = np.mean(y**2) - 2 * signal * a ** (depth + 1) + curvature * a ** (2 * depth + 2)
    np.testing.assert_allclose(found.terms["loss"], expected, rtol=1e-11)
    norm = sum(float(p.detach().square().sum()) for p in model.parameters())
    np.testing.assert_allclose(found.square, norm * a**2, rtol=1e-13)
    np.testing.assert_allclose(found.total(0.3), expected + 0.3 * norm * a**2, rtol=1e-11)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_minima_are_those_of_the_effective_landscape(depth):
    # one input: the ray holds all balanced networks, so the exact theory has the same minima
    x = np.random.default_rng(0).normal(size=(50, 1))
    x /= np.sqrt(np.mean(x**2))
    y = 0.45 * x
    model = linear(depth, width=1, inputs=1)
    for layer in model:
        nn.init.ones_(layer.weight)
    found = pu.rescaled_landscape(model, squared, (x, y), np.linspace(0, 1.2, 1201))
    land = pu.Landscape(pu.Moments.from_samples(x, y[:, 0]), depth)
    for gamma in np.array([0.02, 0.1, 0.3, 0.6]) * 0.45:
        minima = found.minima(gamma)
        np.testing.assert_allclose(minima.scale, land.minima(gamma), atol=2e-5)
        np.testing.assert_allclose(
            minima.total, land.balanced_loss(land.minima(gamma), gamma), atol=1e-8
        )
        assert len(minima.scale) == land.count_minima(gamma)
        assert not minima.beyond
    phases = [found.classify(g) for g in (0.02, 0.45)]
    assert phases == ["learning" if depth == 1 else "coexistence", "trivial"]


def test_named_parameters_are_rescaled_alone(samples):
    x, y = samples
    model = linear(1)
    a = np.linspace(0, 3, 7)
    found = pu.rescaled_landscape(model, squared, samples, a, parameters=["1.weight"])
    with torch.no_grad():
        out = model(torch.as_tensor(x)).numpy()
    expected = [np.mean((s * out - y) ** 2) for s in a]
    np.testing.assert_allclose(found.terms["loss"], expected, rtol=1e-12)
    np.testing.assert_allclose(
        found.square, a**2 * float(model[1].weight.detach().square().sum()), rtol=1e-13
    )


def test_terms_are_weighed(samples):
    model = linear(1)
    terms = {"fit": squared, "size": lambda out, _: out.square().mean()}
    found = pu.rescaled_landscape(model, terms, samples, [0, 1, 2])
    alone = [
        pu.rescaled_landscape(model, f, samples, [0, 1, 2]).terms["loss"] for f in terms.values()
    ]
    np.testing.assert_allclose(found.total(size=4), alone[0] + 4 * alone[1], rtol=1e-13)
    with pytest.raises(ValueError, match="weights must name terms fit, size, got"):
        found.total(kl=1.0)


def test_batch_statistics_make_the_loss_flat_and_leave_the_model_alone(samples):
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5, eps=1e-30), nn.Linear(5, 1)).double()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    a = np.linspace(0.1, 2, 9)
    train = pu.rescaled_landscape(model, squared, samples, a, parameters=["0.weight", "0.bias"])
    np.testing.assert_allclose(train.terms["loss"], train.terms["loss"][0], rtol=1e-9)
    model.eval()
    frozen = pu.rescaled_landscape(model, squared, samples, a, parameters=["0.weight"])
    assert np.ptp(frozen.terms["loss"]) > 1e-3
    model.train()
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def made(values, a=None):
    values = np.asarray(values, dtype=float)
    a = np.linspace(0, 1, len(values)) if a is None else np.asarray(a, dtype=float)
    return pu.RescaledLandscape(a, {"loss": values}, np.zeros_like(values))


@pytest.mark.parametrize(
    ("values", "scales", "beyond", "phase"),
    [
        ([1, 2, 3, 4], [0], False, "trivial"),
        ([1, 1, 1, 1], [0], False, "trivial"),
        ([4, 3, 2, 1], [], True, "learning"),
        ([1, 2, 1, 0], [0], True, "coexistence"),
        ([1, 1 + 1e-13, 1 - 1e-13, 1, 2], [0.5], False, "learning"),
        ([1, 2, 0.5, 2, 3], [0, 0.5], False, "coexistence"),
        ([3, 1, 1.1, 1.2, 1.3], [0.25], False, "learning"),  # a jump: the grid point stands
    ],
)
def test_minima_of_plain_numbers(values, scales, beyond, phase):
    minima = made(values).minima()
    np.testing.assert_allclose(minima.scale, scales, atol=0)
    assert minima.beyond == beyond
    assert made(values).classify() == phase


@pytest.mark.parametrize(("barrier", "count"), [(0.8e-9, 1), (1.2e-9, 2)])
def test_minima_are_told_apart_by_a_barrier_above_a_billionth_of_the_range(barrier, count):
    values = np.array([1.0, 0.0, barrier, 0.0, 1.0])
    assert len(made(values).minima().scale) == count


def test_minima_between_grid_points():
    a = np.linspace(0, 1, 11) ** 1.3
    minima = made((a - 0.431) ** 2 + 2, a).minima()
    assert minima.scale == pytest.approx([0.431], rel=1e-12)
    assert minima.total == pytest.approx([2], rel=1e-14)


def test_bad_input_is_named(samples):
    model = linear(1)
    for scales in ([1], [0, 2, 1], [-1, 0, 1], [0, np.nan, 1]):
        with pytest.raises(ValueError, match="scales must be"):
            pu.rescaled_landscape(model, squared, samples, scales)
    with pytest.raises(ValueError, match=r"some of 0.weight, 1.weight"):
        pu.rescaled_landscape(model, squared, samples, [0, 1, 2], parameters=["2.weight"])
    with pytest.raises(ValueError, match="parameters must name"):
        pu.rescaled_landscape(model, squared, samples, [0, 1, 2], parameters=[])
    with pytest.raises(ValueError, match=r"model must be a torch.nn.Module"):
        pu.rescaled_landscape(lambda x: x, squared, samples, [0, 1, 2])
    with pytest.raises(ValueError, match="loss_fn must be a function or name at least one"):
        pu.rescaled_landscape(model, {}, samples, [0, 1, 2])
    with pytest.raises(ValueError, match="a random loss"):
        pu.rescaled_landscape(nn.Sequential(*model, nn.Dropout()), squared, samples, [0, 1, 2])
    with pytest.raises(ValueError, match="gamma must be >= 0"):
        made([1, 2, 3]).total(-1)
    with pytest.raises(ValueError, match="scales must reach down to the first minimum"):
        made([1, 2, 3], [1, 2, 3]).minima()
