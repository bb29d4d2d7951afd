"""The penalty gamma |w|^p on torch tensors: its value, its derivatives, and the origin."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import phase_utils as pu

SHAPES = [(3, 2), (4,), (), (1, 2, 3)]
POWERS = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 7.0]


def weights(seed=0, dtype=torch.float64, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    drawn = [scale * torch.randn(shape, generator=generator) for shape in SHAPES]
    return [w.to(dtype).requires_grad_() for w in drawn]


def norm(tensors):
    return math.sqrt(sum(float(w.detach().double().square().sum()) for w in tensors))


@settings(max_examples=50)
@given(st.integers(0, 1000), st.floats(0, 10), st.sampled_from(POWERS), st.floats(-3, 2))
def test_value_and_gradient_are_those_of_a_power_of_the_norm(seed, gamma, power, log_scale):
    w = weights(seed, scale=10**log_scale)
    value = pu.norm_power_penalty(w, gamma, power)
    size = norm(w)
    assert value.item() == pytest.approx(gamma * size**power, rel=1e-12)
    value.backward()
    for one in w:
        expected = gamma * power * size ** (power - 2) * one.detach()
        # the rounding of a subnormal number is absolute, of some of the least there is
        torch.testing.assert_close(one.grad, expected, rtol=1e-10, atol=8 * 5e-324)


@pytest.mark.parametrize("power", [1.0, 3.0, 4.0])
def test_gradients_and_second_derivatives_by_finite_differences(power):
    def penalty(*w):
        return pu.norm_power_penalty(w, 0.3, power)

    assert torch.autograd.gradcheck(penalty, weights())
    assert torch.autograd.gradgradcheck(penalty, weights())


def test_it_is_the_penalty_of_the_landscape():
    network = pu.LinearNetwork(pu.Moments.isotropic(3), 2, 4)
    init = network.initial_weights(0.5, 0)
    for power in (2, 4):
        expected = 0.1 * network.penalty(init) ** (power / 2)
        found = pu.norm_power_penalty(init, 0.1, power)
        torch.testing.assert_close(found, expected[0])


def test_power_two_is_weight_decay():
    gamma, rate = 0.3, 0.1
    w, decayed = weights(), weights()
    torch.optim.SGD(decayed, lr=rate, weight_decay=2 * gamma).zero_grad()
    for one in decayed:
        one.grad = torch.zeros_like(one)
    torch.optim.SGD(decayed, lr=rate, weight_decay=2 * gamma).step()
    pu.norm_power_penalty(w, gamma, 2).backward()
    torch.optim.SGD(w, lr=rate).step()
    for one, other in zip(w, decayed, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("power", POWERS)
def test_zero_weights_have_value_and_gradient_zero(power, dtype):
    w = [torch.zeros(shape, dtype=dtype, requires_grad=True) for shape in SHAPES]
    value = pu.norm_power_penalty(w, 0.7, power)
    value.backward()
    assert value.shape == () and value.item() == 0
    assert all(torch.equal(one.grad, torch.zeros_like(one)) for one in w)


@pytest.mark.parametrize(("power", "curvature"), [(2, 1.4), (3, 0.0), (4, 0.0)])
def test_hessian_at_zero(power, curvature):
    hessian = torch.autograd.functional.hessian(
        lambda w: pu.norm_power_penalty([w], 0.7, power), torch.zeros(3, dtype=torch.float64)
    )
    torch.testing.assert_close(hessian, curvature * torch.eye(3, dtype=torch.float64))


def test_half_precision_neither_overflows_nor_loses_the_sum():
    w = [torch.full((1000,), 300.0, dtype=torch.float16, requires_grad=True)]
    value = pu.norm_power_penalty(w, 1e-6, 3)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(1e-6 * (300 * math.sqrt(1000)) ** 3, rel=1e-5)
    value.backward()
    assert w[0].grad.dtype == torch.float16 and torch.isfinite(w[0].grad).all()


def test_mixed_dtypes_are_promoted_and_each_keeps_its_own_gradient():
    w = [torch.ones(2, dtype=d, requires_grad=True) for d in (torch.float32, torch.float64)]
    value = pu.norm_power_penalty(w, 1.0, 4)
    assert value.dtype == torch.float64
    value.backward()
    for one in w:
        assert one.grad.dtype == one.dtype
        np.testing.assert_allclose(one.grad.numpy(), 16.0)


def test_a_generator_a_frozen_tensor_and_an_empty_one():
    model = torch.nn.Linear(3, 2)
    model.bias.requires_grad_(False)
    penalty = pu.norm_power_penalty((p for p in model.parameters()), 1.0, 3)
    penalty.backward()
    assert model.bias.grad is None and model.weight.grad.abs().sum() > 0
    assert float(pu.norm_power_penalty([torch.zeros(0), torch.ones(1)], 2.0, 3)) == 2


def test_weights_that_are_not_finite_show():
    assert pu.norm_power_penalty([torch.tensor([math.nan])], 1.0, 3).isnan()
    assert pu.norm_power_penalty([torch.tensor([math.inf])], 1.0, 3).isinf()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensors_on_two_devices():
    w = [torch.ones(2, device="cuda", requires_grad=True), torch.ones(2, requires_grad=True)]
    value = pu.norm_power_penalty(w, 1.0, 4)
    assert value.device.type == "cuda"
    value.backward()
    assert all(float(one.grad.sum()) == 32 for one in w)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ([], r"parameters must hold one tensor or more, got none"),
        (torch.ones(3), r"parameters must be an iterable of tensors, got Tensor"),
        (3.0, r"parameters must be an iterable of tensors, got float"),
        ([torch.ones(3), 1.0], r"parameters must be real floating-point tensors, got float"),
        ([torch.ones(3).int()], r"real floating-point tensors, got torch\.int32"),
        ([torch.ones(3) + 0j], r"real floating-point tensors, got torch\.complex64"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        pu.norm_power_penalty(parameters, 0.1, 3)


@pytest.mark.parametrize("gamma", [-1, math.nan, math.inf, "much", [1, 2]])
def test_bad_gamma_is_named(gamma):
    with pytest.raises(ValueError, match="gamma must"):
        pu.norm_power_penalty([torch.ones(1)], gamma, 3)


@pytest.mark.parametrize("power", [0, -1, math.nan, math.inf, "two", [2, 3]])
def test_bad_power_is_named(power):
    with pytest.raises(ValueError, match="power must"):
        pu.norm_power_penalty([torch.ones(1)], 0.1, power)
