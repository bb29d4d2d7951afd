"""What "converged" promises (notes of `Settings`), over problems whose exact minima are known."""

import numpy as np
import pytest
import torch
from problems import Ridges, nearest_stationary

import phase_utils as pu
from phase_utils.training import graphs, standstill
from phase_utils.training.descents import Adam, Flow, FullBatch, HeavyBall
from phase_utils.training.minimisers import minimise
from phase_utils.training.quasi_newton import Lbfgs


def trained(ridges, method, settings_of_rows=None, *, dtype=torch.float64, seed=0, **options):
    """Weights (n, d), status and steps: all problems in one batch, row i knowing its own moments.

    A row knows its number by a gamma that no other has, which is its decay but for a few roundings.
    """
    A0, Exy, Eyy, decays = (
        torch.tensor(values, dtype=dtype)
        for values in (*ridges.moments(), ridges.Eyy, ridges.gammas)
    )
    limits = torch.finfo(dtype)
    numbers = torch.arange(len(decays), dtype=dtype)
    gammas = decays * (1 + limits.eps * numbers) + limits.tiny * numbers
    in_order, order = gammas.sort()

    def evaluate(x, gamma):
        row = order[torch.searchsorted(in_order, gamma)]
        image = torch.einsum("ni,nij->nj", x, A0[row])
        data = (x * (image - 2 * Exy[row])).sum(1) + Eyy[row]
        decay = decays[row]
        gradient = 2 * (image - Exy[row] + decay[:, None] * x)
        return data + decay * x.square().sum(1), gradient

    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.uniform(-3, 1, size=(len(Eyy), 1))
    start = torch.tensor(scales * rng.normal(size=Exy.shape), dtype=dtype)
    with torch.no_grad():
        x, status, steps = minimise(evaluate, start, gammas, method, settings_of_rows, **options)
    return x.double().numpy(), status, steps


@pytest.mark.parametrize(
    ("octaves", "tolerance", "dtype", "share"),
    [
        (12, 1e-10, torch.float64, 0.99),
        (24, 1e-10, torch.float64, 0.75),
        (40, 1e-10, torch.float64, 0.5),
        (40, 1e-6, torch.float64, 0.5),
        (24, 1e-14, torch.float64, 0.7),
        (14, 1e-10, torch.float32, 0.85),
    ],
)
def test_lbfgs_ends_at_the_minimum_in_loss_however_wide_the_spectrum(
    octaves, tolerance, dtype, share
):
    eps = torch.finfo(dtype).eps
    ridges = Ridges.drawn(200, octaves, seed=octaves, shares=20 if dtype == torch.float64 else 8)
    weights, status, _ = trained(
        ridges, Lbfgs(8, 0.2), dtype=dtype, tolerance=tolerance, max_steps=2000
    )
    done = status == "converged"
    assert done.mean() > share
    curvature = 2 * (ridges.eigenvalues.max(axis=1) + ridges.gammas)
    rounding = 4 * eps * curvature * np.sum(weights**2, axis=1)
    # a parabola has no kink: nothing stalls unless rounding takes half of the digits
    coarse = rounding > eps**0.5 * ridges.Eyy
    assert set(status[~done & ~coarse]) <= {"max_steps"}

    bound = max(tolerance, 8 * eps) * ridges.Eyy
    bound = np.maximum(bound, np.minimum(rounding, eps**0.5 * ridges.Eyy))
    assert np.all(ridges.excess(weights)[done] <= bound[done])
    # what that implies for the weights, by the curvature of each direction
    stiffness = ridges.eigenvalues + ridges.gammas[:, None]
    error = np.abs(ridges.from_minimum(weights))
    assert np.all(error[done] <= np.sqrt(bound[:, None] / stiffness)[done])


@pytest.mark.parametrize("method", ["sgd", "adam", "flow"])
def test_the_others_end_within_tolerance_times_the_distance(method):
    """They reach it in few octaves only; where they do not, they do not say so."""
    tolerance = 1e-7
    ridges = Ridges.drawn(60, 9, seed=3, shares=8)
    rate = {"rate": torch.full((60,), 0.02, dtype=torch.float64)}
    methods = {
        "sgd": (HeavyBall(0.9, FullBatch()), rate),
        "adam": (Adam(FullBatch()), rate),
        "flow": (Flow(1e-6), {"until": torch.full((60,), torch.inf, dtype=torch.float64)}),
    }
    weights, status, _ = trained(ridges, *methods[method], tolerance=tolerance, max_steps=1500)
    done = status == "converged"
    assert 0.3 < done.mean() < 1
    assert set(status[~done]) == {"max_steps"}
    distance = np.linalg.norm(ridges.from_minimum(weights), axis=1)
    size = np.maximum(1, np.linalg.norm(weights, axis=1))
    bound = tolerance * ridges.Eyy * distance / size
    assert np.all(ridges.excess(weights)[done] <= bound[done])


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_deep_networks_end_at_a_stationary_loss_however_wide_the_spectrum(depth, dtype):
    a = np.geomspace(1e-4 if dtype == torch.float64 else 0.05, 2, 6)
    e = np.sqrt(a * np.geomspace(1, 0.01, 6)) * (-1) ** np.arange(6)
    moments = pu.Moments.from_spectrum(a, e, float(np.sum(e**2 / a)) + 0.3)
    network = pu.LinearNetwork(moments, depth, 2)
    gammas = np.geomspace(3e-3, 0.5, 12)
    init = network.initial_weights([0.3, 1.0] * 6, range(12), dtype=dtype)
    result = pu.train(network, init, gammas)
    done = result.status == "converged"
    assert set(result.status) <= {"converged", "max_steps"} | (
        {"stalled"} if dtype == torch.float32 else set()
    )
    assert done.mean() > 0.7
    learned = result.B > 1e-3
    assert learned[done].any() and not learned[done].all()
    # in float32 rounding may have taken half of the digits
    bound = (1e-10 if dtype == torch.float64 else torch.finfo(dtype).eps ** 0.5) * moments.Eyy
    for i in np.flatnonzero(done):
        exact = moments.Eyy
        if learned[i]:
            size = result.B[i] ** (depth + 1)
            exact = nearest_stationary(a, e, moments.Eyy, depth, gammas[i], size)
        assert result.loss[i] == pytest.approx(exact, rel=0, abs=bound)


@pytest.mark.parametrize("depth", [0, 1])
def test_lbfgs_keeps_its_promise_in_any_units_of_the_inputs(depth):
    """Small inputs make the gradient small, and not the distance to the minimum."""
    for unit in 10.0 ** np.arange(-7, 10):
        a, e = unit**2 * np.array([1.0, 0.1, 0.01]), unit * np.array([0.5, -0.2, 0.1])
        moments = pu.Moments.from_spectrum(a, e, float(np.sum(e**2 / a)) + 0.1)
        network = pu.LinearNetwork(moments, depth, 3)
        gamma = 0.05 * (a[0] if depth == 0 else e[0])
        init = network.initial_weights(unit ** (-1 / (depth + 1)), range(3))
        result = pu.train(network, init, gamma)
        assert set(result.status) == {"converged"}, unit
        if depth == 0:
            w = result.weights[0][:, 0].numpy()
            excess = np.sum((a + gamma) * (w - e / (a + gamma)) ** 2, axis=1)
            assert np.all(excess <= 1e-10 * moments.Eyy)
        else:
            best = nearest_stationary(a, e, moments.Eyy, 1, gamma, result.B[0] ** 2)
            np.testing.assert_allclose(result.loss, best, rtol=0, atol=1e-10 * moments.Eyy)


def test_a_loss_that_rounds_more_than_it_must_converges_near_its_transition():
    class Contrast:
        """-ln(1 + |w|^2), with terms of order 1 although it vanishes with the weights."""

        def data_loss(self, weights):
            return -torch.log(1 + weights[0].square().sum(1))

    gammas = np.linspace(0.88, 0.999, 40)
    starts = 0.3 * torch.randn(
        40, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    result = pu.train(Contrast(), [starts], gammas, pu.Settings(tolerance=1e-12))
    assert set(result.status) == {"converged"}
    assert result.steps.max() <= 200
    np.testing.assert_allclose(result.slope, 1 / gammas - 1, rtol=0, atol=1e-9)
    np.testing.assert_allclose(result.loss, np.log(gammas) + 1 - gammas, rtol=0, atol=1e-15)


def test_a_kink_is_not_taken_for_a_minimum():
    class Kinks:
        """|w1 - 1| + 10 |w2| + w1^2 / 10: the gradient never vanishes near (1, 0)."""

        def data_loss(self, weights):
            (w,) = weights
            return (w[:, 0] - 1).abs() + 10 * w[:, 1].abs() + 0.1 * w[:, 0] ** 2

    generator = torch.Generator().manual_seed(0)
    starts = 2 * torch.randn(20, 2, generator=generator, dtype=torch.float64)
    assert set(pu.train(Kinks(), [starts], 0.0).status) == {"stalled"}


def standing(**changed):
    """The state of one row of L-BFGS in float64, at |w| = 3 with curvature 8 and loss 2."""
    values = {"f": 2.0, "unit": 1.0, "size": 3.0, "curvature": 8.0, "gamma": 0.5}
    values |= {"alpha": 0.5, "slope": -0.25, **changed}
    state = {name: torch.tensor([value], dtype=torch.float64) for name, value in values.items()}
    state["g"] = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    standstill.begin(state)
    return state


EPS = 2.0**-52


def test_rounding_is_that_of_the_largest_terms():
    assert standstill.of_loss(standing()).item() == 4 * EPS * 8 * 3**2
    assert standstill.of_loss(standing(gamma=10.0)).item() == 4 * EPS * 20 * 3**2
    assert standstill.of_loss(standing(f=-100.0)).item() == 4 * EPS * 100
    assert standstill.of_gradient(standing()).item() == 4 * EPS * 8 * 3


def test_a_row_that_stands_still_has_arrived_or_is_stuck():
    state = standing()
    for check in range(6):
        arrived, stalled = standstill.judged(state)
        assert (arrived.item(), stalled.item()) == (False, check == 5)
        assert state["promised"].item() == (check + 1) * graphs.CHECK_EVERY * 0.5 * 0.5 * 0.25
    for small in (0.9, 1.1):
        state = standing()
        state["g"] *= small * standstill.of_gradient(state) / 0.5
        standstill.begin(state)
        for _ in range(6):
            arrived, stalled = standstill.judged(state)
        assert (arrived.item(), stalled.item()) == (small < 1, small > 1)


def test_a_row_gets_on_while_loss_or_gradient_fall_or_its_steps_promise_it():
    for fall in (
        lambda s, _: s["f"].sub_(5 * 4 * EPS),
        lambda s, _: s["g"].mul_(0.49),
        lambda s, k: s["g"].copy_(torch.tensor([[1e-13 * (1 + k % 2), 0.0]])),
    ):
        state = standing(slope=-1e-26, alpha=1.0)
        for check in range(12):
            fall(state, check)
            assert not any(kind.item() for kind in standstill.judged(state))
