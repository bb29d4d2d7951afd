"""Diagnoses against closed forms, exact landscapes and continuation."""

import copy
import math
import types

import numpy as np
import pytest
import torch
from test_origin import CLASSES, X, Y, mlp, skewed, squared
from torch import nn

import phase_utils as pu
from phase_utils.diagnosis import verdict
from phase_utils.diagnosis.ascent import Ascent, ascend
from phase_utils.diagnosis.blind import Reference
from phase_utils.diagnosis.continuation import _Bracket, follow
from phase_utils.diagnosis.convexity import convex
from phase_utils.diagnosis.objective import Objective
from phase_utils.diagnosis.one_layer import _steepest, one_layer
from phase_utils.diagnosis.penalties import penalty_of
from phase_utils.diagnosis.quotient import _starts
from phase_utils.diagnosis.starts import draw, one_unit
from phase_utils.training import passes

FAST = {"starts": 6, "steps": 300}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("depth", [2, 3])
def test_linear_networks_have_the_coexistence_and_the_end_of_their_landscape(depth):
    found = pu.diagnose(mlp(nn.Identity, depth), squared, (X, Y), hysteresis=True, **FAST)
    land = pu.Landscape(pu.Moments.from_samples(X, Y[:, 0]), depth)
    exact = land.transitions()[0]
    assert found.order == "first"
    assert found.gamma_origin == 0
    assert found.gamma_coexistence == pytest.approx(exact.gamma, rel=1e-8)
    assert found.evidence.latent_heat == pytest.approx(exact.latent_heat, rel=1e-4)
    assert found.evidence.coexistence_measured == pytest.approx(exact.gamma, rel=1e-4)
    end = land.spinodals()[0].gamma
    assert abs(found.gamma_learned_end - end) < 2 * found.evidence.learned_end_error
    blind = np.mean(Y**2)  # at any decay, with no weights
    seen = found.evidence
    assert (seen.blind_loss, seen.blind_square) == (pytest.approx(blind, rel=1e-12), 0)
    assert seen.blind[:, 1] == pytest.approx(np.full(len(seen.blind), blind), rel=1e-12)
    assert seen.blind_spread < 1e-12
    ties = (blind - seen.lines[:, 0]) / seen.lines[:, 1]
    assert ties.max() == pytest.approx(found.gamma_coexistence, rel=1e-9)
    assert seen.square == pytest.approx(seen.lines[-1, 1], rel=1e-6)


def test_a_linear_network_of_depth_one_is_continuous():
    found = pu.diagnose(mlp(nn.Identity), squared, (X, Y), hysteresis=True, **FAST)
    exact = np.linalg.norm(X.T @ Y / len(X))
    assert found.order == "continuous"
    assert found.gamma_coexistence == pytest.approx(exact, rel=1e-7)
    assert found.gamma_learned_end == pytest.approx(exact, rel=5e-3)
    assert abs(found.evidence.hysteresis_width) < 5e-3
    assert "no proof" in found.evidence.statement


@pytest.mark.parametrize(("activation", "width"), [(nn.SiLU, 1), (nn.SiLU, 4)])
def test_silu_on_skewed_inputs_is_first_order(activation, width):
    x = skewed()
    model = mlp(activation, width=width, inputs=1)
    found = pu.diagnose(model, squared, (x, 0.45 * x), hysteresis=True, **FAST)
    # one unit f = u silu(v x): at each v the best u is a quadratic problem, and v is scanned
    v = np.linspace(0.01, 6, 60_001)
    h = np.stack([np.mean(k, axis=0) for k in _silu_moments(x, v)])
    best = 0.0
    for u in np.linspace(0.02, 2, 400):
        best = max(best, np.max((2 * u * h[0] - u**2 * h[1]) / (u**2 + v**2)))
    assert found.order == "first"
    assert found.evidence.landau.order == "first"
    assert found.gamma_coexistence == pytest.approx(best, rel=1e-4)
    assert found.gamma_coexistence >= best
    assert found.evidence.coexistence_measured == pytest.approx(best, rel=5e-3)
    assert found.gamma_learned_end > found.gamma_coexistence > found.gamma_origin


def _silu_moments(x, v):
    first, second = [], []
    for part in np.array_split(v, 60):
        z = x * part
        h = z / (1 + np.exp(-z))
        first.append(np.mean(0.45 * x * h, axis=0))
        second.append(np.mean(h**2, axis=0))
    return np.concatenate(first)[None], np.concatenate(second)[None]


def test_gelu_on_gaussian_inputs_is_continuous_and_tanh_with_a_cubic_teacher_is_not():
    from scipy.special import ndtri

    x = ndtri((np.arange(400) + 0.5) / 400)[:, None]
    assert pu.diagnose(mlp(nn.GELU, inputs=1), squared, (x, 0.45 * x), **FAST).order == (
        "continuous"
    )
    hidden = pu.diagnose(mlp(nn.Tanh, inputs=1), squared, (x, 3.45 * x - x**3), **FAST)
    assert hidden.order == "first"
    assert hidden.evidence.landau.quartic_least < 0


def test_the_quotient_is_a_bound_that_its_weights_certify():
    p = pu.ModuleProblem(mlp(nn.SiLU, 2), squared, (X, Y))
    point = pu.trivial_point(p)
    best = pu.collapse_quotient(p, point, starts=4, steps=60)  # stopped early: still a bound
    gamma = best.value * (1 - 1e-9)
    assert float(p.losses(best.weights[None])[0]) + gamma * best.square < point.loss
    assert best.latent_heat == pytest.approx(point.loss - float(p.losses(best.weights[None])[0]))
    assert np.all(np.diff(best.values) <= 0)
    assert best.values[0] > best.values[-1]
    assert best.value == best.values[0]


def test_cross_entropy_of_a_normalised_network_keeps_a_quotient_and_says_why_no_origin():
    model = nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Tanh(), nn.Linear(4, 3))
    found = pu.diagnose(model, nn.CrossEntropyLoss(), (X, CLASSES), starts=2, steps=40)
    assert found.gamma_origin is None
    assert "LayerNorm" in found.evidence.reason
    assert found.gamma_coexistence > 0


def test_relu_is_continuous_and_ends_where_its_best_direction_does():
    found = pu.diagnose(mlp(nn.ReLU), squared, (X, Y), hysteresis=True, **FAST)
    assert found.order == "continuous"
    assert found.gamma_coexistence == pytest.approx(found.gamma_origin, rel=1e-6)
    assert found.gamma_learned_end == pytest.approx(found.gamma_origin, rel=5e-3)


def test_no_transition_without_a_hidden_layer():
    found = pu.diagnose(nn.Linear(5, 1), squared, (X, Y), starts=1, steps=20)
    assert (found.order, found.gamma_coexistence) == ("none", np.inf)


def test_hysteresis_of_a_module():
    p = pu.ModuleProblem(mlp(nn.Identity, 2), squared, (X, Y))
    land = pu.Landscape(pu.Moments.from_samples(X, Y[:, 0]), 2)
    end = land.spinodals()[0].gamma
    gammas = end * np.array([0.5, 0.9, 1.1])
    ds = pu.hysteresis(p, gammas, init_scale=1.0, seeds=[0])
    up, down = ds["slope"].values[:, :, 0]
    exact = land.global_minimum(gammas[:1]).slope[0]
    assert up[0] == pytest.approx(exact, rel=1e-6)
    assert up[1] > 0.1 * exact
    assert up[2] < 1e-6
    assert np.all(down < 1e-6)


def ascended():
    """A linear network of depth two at its coexistence."""
    model = mlp(nn.Identity, 2)
    objective = Objective(model, squared, (X, Y), penalty_of(model, None, None, None))
    reference = Reference(objective, 0.1)
    run = Ascent("own", objective.random(1.0, [0])[0].numpy())
    run = ascend(objective, reference, run, 0.01)
    return objective, reference, run.weights


def test_an_ascent_ends_once_it_does_not_rise():
    objective, reference, weights = ascended()
    run = ascend(objective, reference, Ascent("own", weights), 0.05)
    assert run.done
    assert len(run.path) < 8
    assert run.path[-1][0] == pytest.approx(run.path[-2][0], rel=1e-5)


def test_what_is_useless_to_a_blind_network_is_zero_beside_what_is_not():
    model = mlp(nn.Tanh, bias=True, inputs=5)
    every = [name for name, _ in model.named_parameters()]
    y = Y - Y.mean() + 1.0
    objective = Objective(model, squared, (X, y), penalty_of(model, every, None, None))
    reference = Reference(objective, 0.1)
    last = objective.slices["2.bias"]
    # small weights are left wherever a minimisation ends before they are nothing
    reference._weights = np.full(objective.parameters, 1e-7)
    reference._weights[last] = 1 / 1.1
    found = reference.at(0.1)
    assert np.flatnonzero(found.weights).tolist() == list(range(objective.parameters))[last]
    # the mean of y is 1: 1 - 2 b + (1 + gamma) b^2 is least at 1 / 1.1
    assert found.value == pytest.approx(np.mean(y**2) - 1 / 1.1, rel=1e-12)


def test_samples_that_do_not_fit_at_once_are_taken_in_pieces(monkeypatch):
    model = mlp(nn.Tanh)
    what = penalty_of(model, None, None, None)
    whole = Objective(model, squared, (X, Y), what)
    assert whole._chunks == [slice(None)]
    monkeypatch.setattr(passes, "ACTIVATIONS", 300)  # of 120 x 7 that the layers give
    pieces = Objective(model, squared, (X, Y), what)
    assert [c.stop - c.start for c in pieces._chunks] == [40, 40, 40]
    w = whole.random(1.0, [0])[0].numpy()
    assert pieces.values(w) == pytest.approx(whole.values(w), rel=1e-13)
    one, other = (objective.gradient(w, 0.1) for objective in (pieces, whole))
    np.testing.assert_allclose(one[2], other[2], rtol=1e-12, atol=1e-15)
    total = Objective(model, lambda out, y: (out - y).square().sum(), (X, Y), what)
    assert total._chunks == [slice(None)]  # no mean over samples


@pytest.mark.parametrize("steps", [8, 15, 30, 60])
def test_the_bracket_of_the_end_is_true_where_training_stops_early(steps):
    land = pu.Landscape(pu.Moments.from_samples(X, Y[:, 0]), 2)
    exact, start = land.spinodals()[0].gamma, land.transitions()[0].gamma
    torch.manual_seed(0)
    objective, reference, weights = ascended()
    branch = follow(objective, reference.at, weights, start, max_steps=steps)
    assert abs(branch.end - exact) <= branch.end_error


def test_the_next_decay_halves_the_widest_gap_next_to_what_is_known():
    bracket = _Bracket(0.01)
    assert bracket.following(0.5, 0.02) == 0.52  # nothing has died yet
    assert bracket.middle()[0] == np.inf
    for decay in (1.0, 0.7):
        bracket.held(decay)
    for decay in (2.0, 2.3):
        bracket.lost(decay)
    assert bracket.following(2.0, 0.02) == 1.5
    for decay in (0.5, 1.9, 1.8):
        bracket.doubt(decay)
    assert bracket.doubtful == (0.5, 1.9)
    assert bracket.following(2.0, 0.02) == 1.45  # what is doubtful below a living state is not
    assert bracket.middle() == (1.5, 0.5)
    bracket.held(1.995)
    assert bracket.following(2.0, 0.02) is None


def test_the_branch_is_followed_with_its_exact_slope():
    objective, reference, weights = ascended()
    land = pu.Landscape(pu.Moments.from_samples(X, Y[:, 0]), 2)
    exact = land.transitions()[0].gamma
    branch = follow(objective, reference.at, weights, exact)
    below = branch.gamma < exact
    assert below.sum() >= 2
    assert branch.loss[below] == pytest.approx(land.global_minimum(branch.gamma[below]).loss)


@pytest.mark.parametrize("change", [{"starts": 0}, {"steps": 0}, {"starts": 1.5}])
def test_bad_options(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))} must be an integer >= 1"):
        pu.diagnose(mlp(nn.Tanh), squared, (X, Y), **change)


@pytest.mark.parametrize("activation", [nn.Tanh, nn.GELU])
def test_the_bound_from_above_is_the_supremum_over_units_of_any_size(activation):
    from scipy.special import ndtri

    x = ndtri((np.arange(400) + 0.5) / 400)[:, None]
    # the signal of the linear term is small: the best unit has weights far from zero
    y = 0.3 * x - 0.4 * (x**3 - 3 * x) + 0.2 * (x**2 - 1)
    y = y - y.mean()
    model = nn.Sequential(
        nn.Linear(1, 3, bias=False), activation(), nn.Linear(3, 1)
    )  # fmt: skip
    found = pu.diagnose(model, nn.functional.mse_loss, (x, y), **FAST)
    v = np.concatenate([-np.geomspace(1e-3, 50, 20_000), np.geomspace(1e-3, 50, 20_000)])
    h = activation()(torch.from_numpy(x * v)).numpy()
    ratio = np.abs(np.mean(2 * y * h, axis=0)) / (2 * np.abs(v))
    assert found.gamma_upper == pytest.approx(ratio.max(), rel=1e-5)
    assert abs(v[ratio.argmax()]) > 0.1
    assert found.gamma_coexistence <= found.gamma_upper


def test_landau_says_first_where_the_cubic_form_stands_out_of_its_error_and_not_before():
    # C is proportional to E[y x^2]: y = x + c x^2 with c set by hand moves it through its error
    x = np.random.default_rng(1).normal(size=(200, 1))
    x = (x - x.mean()) / x.std()
    square = x**2 - np.mean(x**2)
    square -= x * np.mean(square * x)  # orthogonal to x: the linear signal stays
    orders = {}
    for share in (0.0, 0.5, 1.0, 2.0, 4.0):
        y = 0.45 * x - 0.45 * np.mean(x**3) / np.mean(square**2) * square + share * 0.1 * square
        p = pu.ModuleProblem(mlp(nn.SiLU, inputs=1), squared, (x, y))
        origin = pu.expand_origin(p)
        landau = pu.expand_landau(p, origin)
        orders[round(landau.cubic / landau.cubic_error, 3)] = landau.order
        assert landau.quartic_least > 0
        gain = landau.cubic**2 / landau.quartic
        # l = (gamma - origin) s^2 - C s^3 + Q s^4: a double root, and an inflection, of the cubic
        assert landau.gamma_coexistence == pytest.approx(origin.gamma + gain / 4)
        roots = np.roots([4 * landau.quartic, -3 * landau.cubic, 2 * gain * 9 / 32])
        assert np.ptp(roots) == pytest.approx(0, abs=1e-6 * abs(roots).max() + 1e-9)
        assert landau.gamma_learned_end == pytest.approx(origin.gamma + 9 * gain / 32)
    assert {order for ratio, order in orders.items() if ratio < 2} == {"continuous"}
    assert {order for ratio, order in orders.items() if ratio > 2} == {"first"}
    assert any(1 < ratio < 2 for ratio in orders)


def test_the_width_of_hysteresis_is_a_share_of_the_end():
    x = skewed()
    found = pu.diagnose(
        mlp(nn.SiLU, width=1, inputs=1), squared, (x, 0.45 * x), hysteresis=True, **FAST
    )
    width = (found.gamma_learned_end - found.gamma_origin) / found.gamma_learned_end
    assert found.evidence.hysteresis_width == pytest.approx(width, rel=1e-12)
    assert 0 < width < 1


def test_soft_modes_are_started_from_on_both_sides():
    p = pu.ModuleProblem(mlp(nn.Identity), squared, (X, Y))
    point = pu.trivial_point(p)
    soft = torch.eye(p.parameters, dtype=torch.float64)[:2]
    rows = _starts(p, point, soft, 9, 0) - point.weights
    size = float(p.square(p.random(1.0, [0]))) ** 0.5
    shares = (rows[1:5].abs().sum(1) / size).tolist()
    assert shares == pytest.approx([0.3, 0.1, 1.0, 0.3])  # amplitudes in turn
    along = torch.stack([soft[0], soft[1], -soft[0], -soft[1]])
    torch.testing.assert_close(rows[1:5].sign(), along.sign())
    torch.testing.assert_close(rows[5], p.random(1.0, [0])[0])


@pytest.mark.parametrize("offset", [1e4, 3.3e4, 7.7e5])
def test_rounding_does_not_lift_the_quotient_above_its_supremum(offset):
    # depth one: the supremum is approached as w -> 0, where a large loss rounds the gain away
    exact = np.linalg.norm(X.T @ Y / len(X))

    def lifted(out, y):
        return squared(out, y) + offset

    p = pu.ModuleProblem(mlp(nn.Identity), lifted, (X, Y))
    found = pu.collapse_quotient(p, pu.trivial_point(p), starts=6, steps=400)
    assert found.value <= exact
    assert found.value > 0.9 * exact


@pytest.mark.parametrize("activation", [nn.GELU, nn.Tanh])
def test_rounding_does_not_lift_an_ascent_above_a_continuous_transition(activation):
    from scipy.special import ndtri

    x = ndtri((np.arange(400) + 0.5) / 400)[:, None]
    hidden = nn.Sequential(mlp(activation, inputs=1))  # of which no bound from above is known
    found = pu.diagnose(hidden, squared, (x, 0.45 * x), **FAST)
    assert found.gamma_upper is None
    assert found.order == "continuous"
    assert max(found.evidence.values) <= found.gamma_origin
    assert max(found.evidence.values) > found.gamma_origin * (1 - 1e-6)


def test_a_large_problem_is_screened_on_a_part_and_finished_on_all_samples(monkeypatch):
    from phase_utils.diagnosis import search as module

    x = np.concatenate([X] * 20)
    y = np.concatenate([Y] * 20)
    land = pu.Landscape(pu.Moments.from_samples(X, Y[:, 0]), 2)
    exact = land.transitions()[0].gamma
    model = mlp(nn.Identity, 2)
    monkeypatch.setattr(module, "LARGE", len(x) * 33 / 4)
    tried = []

    class Seen(module.Search):
        def run(self, starts, steps):
            tried.append((self.objective.count, starts, steps))
            return super().run(starts, steps)

    diagnose = pu.diagnose  # loaded with the Search of its own
    monkeypatch.setattr(module, "Search", Seen)
    found = diagnose(model, squared, (x, y), starts=4)
    assert found.order == "first"
    assert found.gamma_coexistence == pytest.approx(exact, rel=1e-4)
    assert found.gamma_coexistence <= exact * (1 + 1e-9)  # of all samples, not of the part
    named = {k: v.numpy() for k, v in found.weights.items()}
    beta = named["4.weight"] @ named["2.weight"] @ named["0.weight"]
    loss = np.mean((x @ beta.T - y) ** 2)
    square = sum(np.sum(w**2) for w in named.values())
    assert (np.mean(y**2) - loss) / square == pytest.approx(found.gamma_coexistence, rel=1e-9)
    assert tried == [(int(len(x) * 33 / 8 / 27), 4, 80)]  # samples of the part, starts, steps


# ---- what it is made of --------------------------------------------------------------------------


def deep():
    return nn.Sequential(
        nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 4, bias=False), nn.Tanh(), nn.Linear(4, 1)
    )


def test_the_penalty_is_a_square_norm_in_the_coordinates_of_an_objective():
    model = deep()
    factors = {"0.weight": 4.0, "2.weight": 1.0, "4.weight": 0.25}
    objective = Objective(model, squared, (X, Y), penalty_of(model, factors, None, None))
    w = objective.first
    own = {k: p.detach().double() for k, p in model.named_parameters()}
    double = copy.deepcopy(model).double()
    out = double(torch.from_numpy(X)).detach()
    loss, square = objective.values(w)
    assert loss == pytest.approx(float(squared(out, torch.from_numpy(Y))), rel=1e-13)
    expected = sum(r * float(own[k].square().sum()) for k, r in factors.items())
    assert square == objective.square(w) == pytest.approx(expected, rel=1e-13)
    torch.testing.assert_close(objective.named(w), own)
    torch.testing.assert_close(objective.output(w), out)
    np.testing.assert_allclose(objective.of(model), w, rtol=1e-15)
    assert objective.spread(w) == pytest.approx(float(out.std()), rel=1e-12)

    along, gamma, t = np.random.default_rng(0).normal(size=len(w)), 0.3, 1e-5
    ends = [objective.values(w + s * t * along) for s in (1, -1)]
    slope = (ends[0][0] - ends[1][0] + gamma * (ends[0][1] - ends[1][1])) / (2 * t)
    assert objective.gradient(w, gamma)[2] @ along == pytest.approx(slope, rel=1e-8)
    turn = [objective.gradient(w + s * t * along, 0.0)[2] for s in (1, -1)]
    product = objective.hessian_product(torch.from_numpy(w), torch.from_numpy(along)).numpy()
    np.testing.assert_allclose(product, (turn[0] - turn[1]) / (2 * t), rtol=1e-6, atol=1e-9)

    drawn = objective.named(objective.random(2.0, [0])[0])
    assert float(drawn["0.weight"].std()) == pytest.approx(2 / np.sqrt(5), rel=0.3)
    torch.testing.assert_close(drawn["0.bias"], own["0.bias"])


def test_the_kinds_of_starts_follow_each_other():
    model = mlp(nn.Tanh)
    objective = Objective(model, squared, (X, Y), penalty_of(model, None, None, None))
    pool = draw(objective, np.zeros(objective.parameters), 8, 0)
    kinds = ["own", "fresh", "steepest", "unit", "fresh", "unit", "unit", "fresh"]
    assert [kind for kind, _ in pool] == kinds
    np.testing.assert_array_equal(pool[0][1], objective.first)
    again = draw(objective, np.zeros(objective.parameters), 8, 0)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(pool, again, strict=True))
    norm = penalty_of(model, None, None, lambda m: sum(p.abs().sum() for p in m.parameters()))
    own = draw(Objective(model, squared, (X, Y), norm), np.zeros(18), 5, 0)
    assert [kind for kind, _ in own] == ["own"] + ["fresh"] * 4


def test_one_unit_of_every_layer_is_alone():
    model = deep()
    objective = Objective(model, squared, (X, Y), penalty_of(model, None, None, None))
    named = objective.named(one_unit(objective, np.random.default_rng(0), 1.5))
    first, second, last = (named[f"{i}.weight"] for i in (0, 2, 4))
    (unit,) = first.norm(dim=1).nonzero().ravel().tolist()
    assert float(first.norm()) == pytest.approx(1.5)
    assert named["0.bias"].nonzero().ravel().tolist() == [unit]
    (following,) = second.norm(dim=1).nonzero().ravel().tolist()
    assert second[following].nonzero().ravel().tolist() == [unit]
    assert last[0].nonzero().ravel().tolist() == [following]
    assert float(last.norm()) == pytest.approx(1.5)


def ended(gamma, square=0.5, **also):
    return Ascent("own", np.zeros(1), gamma=gamma, first=0.1, size=1.0, square=square, **also)


STAYING = [(0.2 - 1e-9, 1.0, 0.0), (0.2, 0.9, 0.0)]  # of gamma, R and gain


@pytest.mark.parametrize(
    ("run", "origin", "noisy", "said"),
    [
        (ended(0.0), None, False, ("none", 0.0)),
        (ended(0.0), -0.1, False, ("none", 0.0)),
        (ended(0.0, 0.0), 0.1, False, ("continuous", 0.1)),
        (ended(0.2), None, False, ("first", 0.2)),
        (ended(0.2, 1e-3), None, False, ("continuous", 0.2)),
        (ended(0.2, 1e-2), None, False, ("first", 0.2)),
        (ended(0.2, 1e-2), None, True, ("continuous", 0.2)),
        (ended(0.2, 1e-3, path=STAYING), None, False, ("first", 0.2)),
        (ended(0.2, 1e-3, path=STAYING), None, True, ("continuous", 0.2)),
        (ended(0.2, 1e-5, path=STAYING), None, False, ("continuous", 0.2)),
        (ended(0.2), 0.2 / (1 + 2e-5), False, ("first", 0.2)),
        (ended(0.2), 0.2 / (1 + 5e-6), False, ("continuous", 0.2)),
        (ended(0.2), 0.3, False, ("continuous", 0.3)),
        (ended(29.0), None, False, ("first", 29.0)),
        (ended(31.0), None, False, ("unbounded", np.inf)),
        (ended(0.2, shrinking=("a",)), None, False, ("unbounded", np.inf)),
        (ended(0.2, shrinking=("a",), growing=("b.bias",)), "steep", False, ("none", np.inf)),
        (ended(0.2, shrinking=("a",), growing=("gain",)), "steep", False, ("unbounded", np.inf)),
    ],
)
def test_the_order_is_read_off_the_best_ascent(run, origin, noisy, said):
    if origin is not None:
        steep, gamma = origin == "steep", None if origin == "steep" else origin
        point = pu.TrivialPoint(torch.zeros(1), 1.0, ())
        origin = pu.Origin(gamma, 0.0, "", point, None, True, not steep)
    assert verdict.order_of([run], origin, noisy) == said


def test_a_search_in_vain_counts_all_starts_those_on_a_part_of_the_samples_too():
    space = types.SimpleNamespace
    search = space(layer=None, objective=space(rounding=1e-15))
    hits = {"own": (0, 1), "fresh": (0, 3)}
    said = verdict.statement(search, ended(0.0), "none", 0.0, None, None, hits, None)
    assert said == "None of 4 starts learned anything at any gamma tried."


def test_nothing_is_expanded_where_the_blind_network_pays_at_the_best_gamma():
    space = types.SimpleNamespace
    objective = space(penalty=space(function=None), draws=0, dtype=torch.float64, count=1, total=1)
    search = space(
        objective=objective,
        first_gamma=0.1,
        reference=space(at=lambda gamma: space(square=float(gamma == 0.5))),
    )
    pool = [ended(0.0), ended(0.5), ended(np.inf)]
    assert verdict.expanded(search, pool) == (None, None)


def test_a_single_start_shows_its_progress_too(capsys):
    pu.diagnose(nn.Linear(5, 1), squared, (X, Y), starts=1, steps=5, progress=True)
    assert "diagnosis, about" in capsys.readouterr().err


def test_fresh_draws_give_a_mean_and_its_error():
    quotients = {10 + k: 0.1 * k * (-1) ** k for k in range(1, 9)}

    class Drawn:
        seed = 10

        def values(self, _, blind=False, seed=None):
            return (3.0, 1.0) if blind else (3.0 - 2 * quotients[seed], 3.0)

    objective = Drawn()
    reference = types.SimpleNamespace(at=lambda _: types.SimpleNamespace(weights=None))
    mean, error = verdict.fresh(objective, reference, ended(0.2))
    found = np.array(list(quotients.values()))
    assert mean == pytest.approx(found.mean())
    assert error == pytest.approx(found.std(ddof=1) / np.sqrt(8))


def test_other_draws_are_not_what_is_known_of_the_last_ones():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.5), nn.Linear(4, 1)).double()
    objective = Objective(model, squared, (X, Y), penalty_of(model, None, None, None), draws=2)
    w = objective.first
    other = objective.values(w, seed=7)
    loss, cost, _ = objective.gradient(w, 0.1)
    assert objective.values(w) == (loss, cost)
    assert objective.values(w, seed=7) == other
    assert abs(other[0] - loss) > 1e-6


def test_the_steepest_place_of_an_activation():
    # GELU'(z) = Phi + z phi is largest at sqrt(2)
    top = 0.5 * (1 + math.erf(1)) + math.sqrt(2) * math.exp(-1) / math.sqrt(2 * math.pi)
    assert _steepest(nn.GELU(), True) == pytest.approx((top, math.sqrt(2)), rel=1e-6)
    assert _steepest(nn.GELU(), False) == (0.5, 0.0)
    assert _steepest(nn.Tanh(), True) == pytest.approx((1.0, 0.0), abs=1e-6)


def test_what_only_vanishing_weights_attain_is_the_linear_bound():
    x = np.linspace(-1.7, 1.7, 40)[:, None]
    p = pu.ModuleProblem(mlp(nn.Tanh, inputs=1), squared, (x, 0.45 * x))
    layer = one_layer(p, pu.trivial_point(p).weights)
    assert layer.supremum == pytest.approx(0.45 * np.mean(x**2), rel=1e-9)


def test_convexity_in_the_output_is_known_probed_or_missed():
    y, output = torch.zeros(20, 1, dtype=torch.float64), torch.zeros(20, 1, dtype=torch.float64)
    y[::2] = 1.0
    for loss_fn, said in (
        (nn.functional.mse_loss, "known"),
        (nn.MSELoss(), "known"),
        (squared, "probed"),
        (lambda out, _: out.mean(), "probed"),  # between chords and itself there is nothing
        (lambda out, _: (-(out.square())).exp().mean(), ""),  # largest in the middle
    ):
        assert convex(types.SimpleNamespace(loss_fn=loss_fn, y=y), output) == said


@pytest.mark.parametrize(
    ("kind", "options", "coupled"),
    [
        (torch.optim.SGD, {}, True),
        (torch.optim.Adam, {}, True),
        (torch.optim.AdamW, {}, False),
        (torch.optim.NAdam, {}, True),
        (torch.optim.NAdam, {"decoupled_weight_decay": True}, False),
    ],
)
def test_optimisers_that_decay_apart_from_the_gradient_are_known(kind, options, coupled):
    model = mlp(nn.Tanh)
    optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.01, **options)
    found = penalty_of(model, None, optimizer, None)
    assert found.coupled == coupled
    assert ("apart from the gradient" in found.unit) != coupled
    assert found.factors == {"0.weight": 1.0, "2.weight": 1.0}


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ([(0.1, 1.0)], False),
        ([(0.1, 1.0), (0.1 + 1e-9, 0.9)], True),
        ([(10.0, 1.0), (10.0 + 1e-9, 0.9)], True),
        ([(0.1, 1.0), (0.1 + 1e-9, 0.7)], False),  # half of R goes with half of the distance
        ([(0.1, 1.0), (0.11, 0.9)], False),
        ([(10.0, 1.0), (10.0 + 0.5 * verdict.STAYS * 10, 0.9)], True),
        ([(0.1, 1.0), (0.1 + 2 * verdict.STAYS * 0.1, 0.9)], False),
    ],
)
def test_an_ascent_is_settled_where_its_size_stays_while_gamma_converges(path, stays):
    run = ended(0.1, path=tuple((gamma, square, 0.0) for gamma, square in path))
    assert bool(verdict.settled(run)) == stays
