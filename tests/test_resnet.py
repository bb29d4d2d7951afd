"""The residual network: its size, its homogeneity, what normalisation adds, bad input."""

import pytest
import torch

import phase_utils as pu


def test_the_full_network_has_the_known_number_of_parameters():
    assert sum(p.numel() for p in pu.ResNet18().parameters()) == 11_173_962


@pytest.mark.parametrize("size", [8, 28, 32])
def test_shapes(size):
    model = pu.ResNet18(1, 7, width=2)
    x = torch.randn(3, 1, size, size)
    assert model(x).shape == (3, 7)
    assert model.features(x).shape == (3, 16)
    assert torch.equal(model(x), model.out(model.features(x)))


def test_without_normalisation_the_stem_and_the_output_are_homogeneous_and_skips_are_not():
    torch.manual_seed(0)
    model = pu.ResNet18(1, 4, width=3, normalisation="none").double()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    assert all(p.ndim > 1 for p in model.parameters())  # no biases, no gains
    with torch.no_grad():
        before = model(x)
        for weight in (model.stem[0].weight, model.out.weight):
            weight.mul_(3)
        torch.testing.assert_close(model(x), 9 * before, rtol=1e-12, atol=0)
        model.blocks[0].first[0].weight.mul_(3)
        assert not torch.allclose(model(x), 27 * before, rtol=1e-3)


def test_the_signal_keeps_its_order_of_magnitude_without_normalisation():
    torch.manual_seed(0)
    model = pu.ResNet18(1, 10, width=8, normalisation="none")
    size = model.features(torch.randn(64, 1, 8, 8)).square().mean().sqrt()
    assert 0.1 < float(size.detach()) < 10


def test_eps_is_that_of_every_normalisation():
    model = pu.ResNet18(width=2, eps=0.1)
    found = [m.eps for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert found == [0.1] * 20  # 17 convolutions and 3 on shortcuts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channels": 0}, "channels must be an integer >= 1"),
        ({"outputs": 1.5}, "outputs must be an integer"),
        ({"width": 0}, "width must be an integer >= 1"),
        ({"normalisation": "layer"}, "normalisation must be one of batch, none"),
        ({"eps": 0}, "eps must be > 0"),
    ],
)
def test_bad_arguments_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        pu.ResNet18(**changes)
