"""AdamW's fade and jump: closed forms, exact sums over batches, and torch's own AdamW."""

from itertools import combinations, pairwise, product

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import nn

import phase_utils as pu
from phase_utils.diagnosis.adamw_options import options
from phase_utils.diagnosis.fading import FadingBranch
from phase_utils.diagnosis.rest import Gradients, Rest

entropy = nn.functional.cross_entropy
SIGN = np.array([[-1.0], [1.0]])


def squared(out, y):
    return (out - y).square().sum(1).mean()


def network(*sizes, act=nn.Tanh, bias=False, seed=0):
    torch.manual_seed(seed)
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b, bias=bias), act())]
    return nn.Sequential(*layers[:-1]).double()


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3)) * [1.0, 0.6, 0.4]
    y = np.tanh(x @ [[0.8], [0.5], [-0.4]]) + 0.2 * rng.normal(size=(60, 1))
    return x - x.mean(0), y - y.mean(0)


# ---- the mean square of a batch's gradient -------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 3, 5])
def test_the_mean_square_is_that_of_all_batches(samples, batch):
    x, y = (v[:6] for v in samples)
    problem = pu.ModuleProblem(network(3, 2, 1), squared, (x, y))
    row = problem.start
    mean, square = Gradients(problem, batch).moments(row)
    drawn = []
    for chosen in combinations(range(6), batch):
        some = pu.ModuleProblem(network(3, 2, 1), squared, (x[list(chosen)], y[list(chosen)]))
        drawn.append(some.evaluate(row[None])[1][0])
    drawn = torch.stack(drawn)
    np.testing.assert_allclose(mean, drawn.mean(0), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(square, drawn.square().mean(0), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("batch", [None, 60])
def test_full_batches_have_no_noise(samples, batch):
    problem = pu.ModuleProblem(network(3, 2, 1), squared, samples)
    mean, square = Gradients(problem, batch).moments(problem.start)
    np.testing.assert_allclose(square, mean.square(), rtol=1e-14)
    np.testing.assert_allclose(mean, problem.evaluate(problem.start[None])[1][0], rtol=1e-14)


class Turns(nn.Module):
    """A module with a branch in Python, which vmap cannot take over samples."""

    def __init__(self):
        super().__init__()
        self.near, self.far = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)

    def forward(self, x):
        rows = [self.near(r) if r.abs().sum() < 1 else self.far(r) for r in x]
        return torch.stack(rows)


def test_samples_are_taken_in_turn_where_they_cannot_be_batched(samples):
    torch.manual_seed(0)
    problem = pu.ModuleProblem(Turns(), squared, samples)
    gradients = Gradients(problem, 4)
    assert not gradients.together
    weights = problem.start.reshape(2, 3)
    x, y = (torch.from_numpy(v) for v in samples)
    far = x.abs().sum(1) >= 1
    each = 2 * ((x * weights[far.long()]).sum(1, keepdim=True) - y) * x
    each = torch.cat([each * ~far[:, None], each * far[:, None]], dim=1)
    mean, square = gradients.moments(problem.start)
    np.testing.assert_allclose(mean, each.mean(0), rtol=1e-12)
    noise = each.var(0, correction=1) / 4 * (1 - 4 / 60)
    np.testing.assert_allclose(square, each.mean(0) ** 2 + noise, rtol=1e-12)


def test_parts_of_the_samples_give_the_same(samples, monkeypatch):
    problem = pu.ModuleProblem(network(3, 2, 1), squared, samples)
    whole = Gradients(problem, 4).moments(problem.start)
    monkeypatch.setattr("phase_utils.diagnosis.rest.HELD_GRADIENTS", 60)  # 7 samples of 8 weights
    parts = Gradients(problem, 4).moments(problem.start)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


# ---- the branch ----------------------------------------------------------------------------------


def best_signs(x, y, above, below):
    """The most that a hidden unit gains times lambda^2, h(z) = above z or below z by its sign."""
    gains = []
    for v in product([-1, 1], repeat=x.shape[1]):
        z = x @ v
        h = np.where(z > 0, above * z, below * z)
        gains.append(np.abs(2 * y.T @ (h - h.mean()) / len(y)).sum())
    return max(gains)


@pytest.mark.parametrize(("act", "slopes"), [(nn.Tanh, (1, 1)), (nn.SiLU, (0.5, 0.5))])
@pytest.mark.parametrize("outputs", [1, 2])
def test_full_batches_and_one_hidden_layer_find_the_best_signs(samples, act, slopes, outputs):
    x, y = samples
    y = np.hstack([y, 0.4 * y**2 - np.mean(0.4 * y**2)])[:, :outputs]
    width, decays = 5, np.array([300.0, 1000.0])
    fade = pu.adamw_fade(network(3, width, outputs, act=act), squared, (x, y), decays=decays)
    gain = width * best_signs(x, y, *slopes) / decays**2
    np.testing.assert_allclose(fade.gain * np.mean(np.sum(y**2, axis=1)), gain, rtol=0.02)


def test_no_unit_is_left_between_two_signs():
    """A unit whose two weights cross zero in the same steps changes its signs for ever."""
    fade = pu.adamw_fade(network(1, 40, 1), squared, (SIGN, 0.45 * SIGN), decays=[1000.0])
    assert fade.gain[0] == pytest.approx(2 * 40 * 0.45 / 1e6 / 0.45**2, rel=0.01)


def test_hidden_units_of_relu_stay_at_signs_that_no_flip_improves(samples):
    x, y = samples
    gains = [
        pu.adamw_fade(
            network(3, 1, 1, act=nn.ReLU, seed=seed), squared, samples, decays=[1000.0]
        ).gain[0]
        for seed in range(4)
    ]
    assert max(gains) * np.mean(y**2) == pytest.approx(best_signs(x, y, 1, 0) / 1e6, rel=0.01)


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("batch", [None, 6])
def test_the_tail_falls_with_the_number_of_weight_layers(samples, layers, batch):
    decays = [20.0, 40.0, 60.0, 120.0]
    net = network(3, *[6] * (layers - 1), 1)
    fade = pu.adamw_fade(net, squared, samples, batch=batch, decays=decays)
    assert fade.layers == layers
    power = -np.diff(np.log(fade.gain)) / np.diff(np.log(fade.decays))
    np.testing.assert_allclose(power[-1], layers, rtol=0.03)
    np.testing.assert_allclose(fade.steepness[-1], layers - 1, atol=0.1)


def test_a_way_around_a_layer_is_what_small_weights_take(samples):
    class Around(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(3, 4, bias=False), nn.Linear(4, 1, bias=False)
            self.inner = nn.Linear(4, 4, bias=False)

        def forward(self, x):
            h = self.first(x)
            return self.last(h + self.inner(h.tanh()))

    torch.manual_seed(0)
    assert pu.adamw_fade(Around(), squared, samples, decays=[50.0]).layers == 2


@pytest.mark.parametrize("bias", [False, True])
def test_steepness_is_the_slope_of_the_gradient(samples, bias):
    net = network(3, 4, 4, 1, bias=bias)
    problem = pu.ModuleProblem(net, squared, samples)
    kept = problem.mask
    rest = Rest(Gradients(problem, None), kept.double(), torch.ones_like(kept), 1e-8)
    sizes = []
    for step in (-1e-4, 1e-4):
        row = torch.where(kept, problem.start * np.exp(step), problem.start)
        sizes.append(float(torch.where(kept, problem.evaluate(row[None])[1][0], 0.0).norm()))
    slope = np.log(sizes[1] / sizes[0]) / 2e-4
    rest.force = lambda row, _: 0 * row  # as at rest
    assert rest.steepness(problem.start, 1.0) == pytest.approx(slope, rel=1e-6)


def test_at_rest_every_weight_balances_decay_and_gradient(samples):
    """Decays of groups keep their ratio; what is not trained does not move."""
    net = network(3, 4, 1, bias=True)
    net[0].bias.requires_grad_(False)
    groups = [
        {"params": [net[0].weight], "weight_decay": 3.0, "lr": 0.05},
        {"params": [net[2].weight], "weight_decay": 6.0},
        {"params": [net[2].bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.01)
    held = options(net, optimizer, None, None, None, None)
    assert held.rates == {"0.weight": 0.5, "2.weight": 1.0}
    assert held.lr == pytest.approx(0.025) and held.decay == 6.0
    problem = pu.ModuleProblem(net, squared, samples, decayed=list(held.rates))
    branch = FadingBranch(problem, held, 6, 400)
    branch.visit(12.0)
    row = branch.points[0][3]
    mean, square = branch.rest.gradients.moments(row)
    named = problem.named(row)
    rho = problem.named(mean / (square.sqrt() + 1e-8))
    np.testing.assert_allclose(named["0.weight"], -rho["0.weight"] / 6.0, atol=2e-4)
    np.testing.assert_allclose(named["2.weight"], -rho["2.weight"] / 12.0, atol=2e-4)
    np.testing.assert_array_equal(named["0.bias"], net[0].bias.detach())
    assert abs(float(problem.named(mean)["2.bias"])) < 1e-3  # undecayed: at its optimum


def test_what_fades_early_is_followed_down_to_where_a_tenth_is_left():
    # one weight against a target of 100: the gain 1 - (1 - 1 / (100 lambda))^2 is .02 at lambda = 1
    net = network(1, 1)
    nn.init.constant_(net[0].weight, -0.01)  # AdamW takes it across zero
    fade = pu.adamw_fade(net, squared, (SIGN, 100 * SIGN))
    assert fade.tenth == pytest.approx(0.01 / (1 - np.sqrt(0.9)), rel=0.01)
    assert fade.hundredth == pytest.approx(0.01 / (1 - np.sqrt(0.99)), rel=0.01)


def test_epsilon_lessens_the_force(samples):
    net = network(3, 1)
    x, y = samples
    fade = pu.adamw_fade(net, squared, samples, decays=[400.0], eps=0.1, steps=100)
    g = 2 * np.abs(x.T @ y)[:, 0] / len(x)  # at small weights
    expected = np.sum(g * g / (g + 0.1)) / 400 / np.mean(y**2)
    assert fade.gain[0] == pytest.approx(expected, rel=0.01)


# ---- the jump ------------------------------------------------------------------------------------


class Chain(nn.Module):
    """f(x) = (b + bend b^2) x, b = w_1 ... w_W."""

    def __init__(self, layers, bend=0.0):
        super().__init__()
        self.w = nn.Parameter(torch.full((layers,), 0.6, dtype=torch.float64))
        self.bend = bend

    def forward(self, x):
        b = self.w.prod()
        return x * (b + self.bend * b**2)


def chain_jump(layers, lr, beta2, target):
    """At rest w = 1 / lambda, so that s = W - 1 - W b / (t - b), b = lambda^-W."""

    def excess(decay):
        b = decay**-layers
        return lr * decay * (layers - 2 - layers * b / (target - b)) - (1 - beta2)

    return brentq(excess, 1.001 * target ** (-1 / layers), 1e4)


@pytest.mark.parametrize(
    ("layers", "lr", "beta2"), [(3, 1e-2, 0.99), (4, 1e-3, 0.999), (3, 1e-2, 0.95), (5, 3e-3, 0.98)]
)
def test_the_jump_of_a_chain_has_a_closed_form(layers, lr, beta2):
    expected = chain_jump(layers, lr, beta2, 0.45)
    fade = pu.adamw_fade(
        Chain(layers),
        squared,
        (SIGN, 0.45 * SIGN),
        decays=expected * np.linspace(0.9, 1.1, 9),
        lr=lr,
        betas=(0.9, beta2),
        steps=100,
    )
    assert fade.jump == pytest.approx(expected, rel=2e-3)


def test_two_layers_and_short_memories_do_not_jump():
    data = (SIGN, 0.45 * SIGN)
    assert pu.adamw_fade(Chain(2), squared, data, lr=0.01).jump is None
    assert pu.adamw_fade(Chain(3), squared, data, lr=0.01, betas=(0.9, 0.999)).jump is not None
    assert pu.adamw_fade(Chain(3), squared, data, lr=0.001, betas=(0.9, 0.9)).jump is None


def trained_chain(layers, decays, lr, beta2, steps, target=0.45, bend=0.0):
    """The product of the weights over that at rest, 0 where torch's AdamW has left the branch."""
    weights = [torch.full((layers,), 1.02 / d, dtype=torch.float64) for d in decays]
    for w in weights:
        w.requires_grad_()
    groups = [{"params": [w], "weight_decay": d} for w, d in zip(weights, decays, strict=True)]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2))
    for _ in range(steps):
        optimizer.zero_grad()
        b = torch.stack([w.prod() for w in weights])
        (b + bend * b**2 - target).square().sum().backward()
        optimizer.step()
    return [float(w.detach().prod()) * d**layers for w, d in zip(weights, decays, strict=True)]


def test_torch_jumps_there():
    jump = chain_jump(3, 0.01, 0.99, 0.45)
    left = trained_chain(3, [0.9 * jump, 1.4 * jump], 0.01, 0.99, 3000)
    assert left == pytest.approx([1, 0], abs=0.01)
    assert trained_chain(3, [1.4 * jump], 0.01, 0.9, 1000) == pytest.approx([1], abs=0.01)
    assert trained_chain(2, [1.4 * jump], 0.01, 0.99, 3000) == pytest.approx([1], abs=0.01)


def test_two_layers_jump_where_a_bend_makes_the_gradient_steep():
    fade = pu.adamw_fade(Chain(2, 10.0), squared, (SIGN, 0.45 * SIGN), lr=0.01)
    assert fade.layers == 2 and 3 < fade.jump < 6
    left = trained_chain(2, [0.8 * fade.jump, 1.4 * fade.jump], 0.01, 0.999, 6000, bend=10.0)
    assert left[0] == pytest.approx(1, abs=0.01)
    assert left[1] == pytest.approx(0, abs=0.01)


# ---- prediction against training -----------------------------------------------------------------


def trained_gain(x, y, sizes, decays, batch, seeds, lr, steps):
    """Gains (decays, seeds) of tanh networks trained by torch's AdamW, mean of the last third."""
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    draw = torch.Generator().manual_seed(5)
    layers = [
        [
            (torch.randn(seeds, a, b, generator=draw, dtype=x.dtype) / a**0.5).requires_grad_()
            for a, b in pairwise(sizes)
        ]
        for _ in decays
    ]
    groups = [{"params": w, "weight_decay": d} for w, d in zip(layers, decays, strict=True)]
    optimizer = torch.optim.AdamW(groups, lr=lr)

    def outputs(x):
        stacked = [torch.cat(parts) for parts in zip(*layers, strict=True)]
        for w in stacked[:-1]:
            x = torch.tanh(x @ w)
        return x @ stacked[-1]

    total = torch.zeros(len(decays) * seeds, dtype=x.dtype)
    for step in range(steps):
        rows = torch.rand(len(total), len(x), generator=draw).topk(batch).indices
        optimizer.zero_grad()
        (outputs(x[rows]) - y[rows]).square().sum(2).mean(1).sum().backward()
        optimizer.step()
        if step >= steps * 2 // 3:
            with torch.no_grad():
                out = outputs(x)
            blind = out.mean(1, keepdim=True)
            total += ((blind - y) ** 2 - (out - y) ** 2).sum(2).mean(1)
    constant = (y - y.mean(0)).square().sum(1).mean()
    return (total / (steps - steps * 2 // 3) / constant).reshape(len(decays), seeds).numpy()


def test_training_fades_as_predicted(samples):
    x, y = samples
    sizes, batch = (3, 8, 1), 6
    predicted = pu.adamw_fade(network(*sizes), squared, samples, batch=batch, lr=3e-3)
    assert predicted.layers == 2 and predicted.jump is None
    decays = [predicted.tenth / 1.5, predicted.tenth, predicted.tenth * 1.5]
    measured = trained_gain(x, y, sizes, decays, batch, 6, 3e-3, 2000).mean(axis=1)
    at = np.exp(np.interp(-np.log(0.1), -np.log(measured), np.log(decays)))
    assert measured[0] > 0.1 > measured[-1]
    assert at == pytest.approx(predicted.tenth, rel=0.1)


@pytest.mark.parametrize("batch", [None, 32])
def test_the_fade_of_digits(batch):
    """ReLU 64-24-10, all decayed, 400 digits: training by AdamW gave 11.0 and 36.8 in batches."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(labels))[:400]
    net = network(64, 24, 10, act=nn.ReLU, bias=True)
    data = (images[chosen] / 16, labels[chosen])
    tenth, hundredth = {32: (11.0, 36.8), None: (15.6, 50.8)}[batch]
    decays = [0.5 * tenth, 0.85 * tenth, 1.2 * tenth, 0.85 * hundredth, 1.2 * hundredth]
    fade = pu.adamw_fade(net, entropy, data, batch=batch, decays=decays)
    assert fade.tenth == pytest.approx(tenth, rel=0.05)
    assert fade.hundredth == pytest.approx(hundredth, rel=0.05)


# ---- the ladder and what is said -----------------------------------------------------------------


def test_the_gain_is_what_the_inputs_bring(samples):
    """Not what a better constant would: the mean output may be off while weights fade."""
    x, y = samples
    net = network(3, 4, 1, bias=True)
    fade = pu.adamw_fade(net, squared, (x, y + 5.0), decays=[500.0], batch=6)
    assert 0 < fade.gain[0] < 0.1  # the outputs miss the mean of y by nearly 5


def test_crossings_are_between_the_right_decays(samples):
    fade = pu.adamw_fade(network(3, 8, 1), squared, samples)
    for level, decay in ((0.1, fade.tenth), (0.01, fade.hundredth)):
        i = int(np.searchsorted(fade.decays, decay)) - 1
        assert fade.gain[i] >= level > fade.gain[i + 1]
        again = pu.adamw_fade(
            network(3, 8, 1), squared, samples, decays=[fade.decays[i - 1], fade.decays[i], decay]
        )
        assert again.gain[-1] == pytest.approx(level, rel=0.1)
    assert fade.decays[0] == 1
    np.testing.assert_allclose(fade.decays[1:] / fade.decays[:-1], 2**0.5)


def test_weak_signals_are_sought_at_small_decays(samples):
    x, y = samples
    fade = pu.adamw_fade(network(3, 1), squared, (0.01 * x, y))
    assert fade.decays[0] < fade.tenth < 1


def test_a_signal_that_is_never_a_tenth(samples):
    x, _ = samples
    noise = np.random.default_rng(1).normal(size=(60, 1))
    fade = pu.adamw_fade(network(3, 1), squared, (x, noise))
    assert fade.tenth is None and fade.decays[0] >= 0.0007
    assert "gain of 10 %  not between" in str(fade)


def test_the_ladder_ends_where_the_rate_does(samples):
    fade = pu.adamw_fade(network(3, 8, 1), squared, samples, lr=0.2)
    assert 0.2 * fade.decays[-1] <= 1 and fade.hundredth is None


def test_what_is_said(samples):
    net = network(3, 6, 6, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=2.0)
    fade = pu.adamw_fade(net, squared, samples, batch=10, optimizer=optimizer)
    text = str(fade)
    assert fade.jump is not None and fade.weight_decay == 2.0
    for part in (
        "AdamW, lr 0.01, betas (0.9, 0.999), batches of 10: learning fades without a threshold",
        "as weight_decay^-3",
        f"gain of 10 %  weight_decay {fade.tenth:.3g}",
        f"jump          weight_decay {fade.jump:.3g}, above it nothing is learned",
        "yours         weight_decay 2, ",
        "larger batches",
    ):
        assert part in text
    (cure,) = [r for r in fade.remedies if "betas=(0.9, " in r]
    beta2 = float(cure.partition("(0.9, ")[2].partition(")")[0])
    cured = pu.adamw_fade(net, squared, samples, batch=10, lr=0.01, betas=(0.9, beta2))
    assert cured.jump is None
    shallow = pu.adamw_fade(network(3, 6, 1), squared, samples)
    assert "no jump" in str(shallow) and "yours" not in str(shallow)


@pytest.mark.parametrize(
    ("own", "jump", "said"),
    [
        (0.9, 8.0, "below the decays looked at"),
        (1.0, 8.0, "where the gain is 90%"),
        (2.0, 8.0, "where the gain is 60%"),  # half way from 1 to 4 in the logarithm
        (9.0, 8.0, "above the jump"),
        (16.0, None, "where the gain is 1%"),
        (17.0, None, "above the decays looked at"),
    ],
)
def test_what_is_left_at_the_own_decay(own, jump, said):
    decays, gain = np.array([1.0, 4.0, 16.0]), np.array([0.9, 0.3, 0.01])
    fade = pu.AdamWFade(decays, gain, gain, 8.0, None, jump, 2, own, "", ())
    assert str(fade).endswith(f"yours         weight_decay {own:.3g}, {said}")


def test_an_optimiser_says_what_arguments_say(samples):
    net = network(3, 4, 1, bias=True)
    weights = [p for p in net.parameters() if p.ndim > 1]
    biases = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": weights}, {"params": biases, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.004, betas=(0.8, 0.95), weight_decay=0.1, eps=1e-6)
    names = ["0.weight", "2.weight"]
    given = {"decayed": names, "lr": 0.004, "betas": (0.8, 0.95), "eps": 1e-6}
    decays, before = [4.0, 8.0], {k: v.clone() for k, v in net.state_dict().items()}
    one = pu.adamw_fade(net, squared, samples, optimizer=optimizer, decays=decays, batch=7)
    two = pu.adamw_fade(net, squared, samples, **given, decays=decays, batch=7)
    np.testing.assert_array_equal(one.gain, two.gain)
    assert one.setting == two.setting
    assert (one.weight_decay, two.weight_decay) == (0.1, None)
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key])


class Tokens(nn.Module):
    """Whole numbers as inputs, a recurrent layer that vmap does not know."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm = nn.Embedding(5, 3), nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.lstm(self.embedding(x))[0][:, -1])


def test_any_module_runs():
    torch.manual_seed(0)
    tokens = torch.randint(5, (24, 4))
    labels = (tokens == 2).any(1).long()
    fade = pu.adamw_fade(Tokens(), entropy, (tokens, labels), batch=8, decays=[2.0, 4.0], steps=10)
    assert 0 < fade.gain[1] < fade.gain[0]
    images = torch.randn(20, 1, 6, 6)
    conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.Tanh(), nn.Flatten())
    conv.append(nn.Linear(32, 2))
    found = pu.adamw_fade(
        conv, entropy, (images, torch.arange(20) % 2), batch=8, decays=[2.0], steps=20
    )
    assert found.gain[0] > 0


# ---- what is refused -----------------------------------------------------------------------------


def test_a_loss_that_is_no_mean_needs_full_batches(samples):
    net = network(3, 4, 1)
    for loss in (lambda o, y: (o - y).square().sum(), lambda o, y: (o - y).abs().max()):
        with pytest.raises(ValueError, match=r"must be the mean over samples .* batch=None"):
            pu.adamw_fade(net, loss, samples, batch=4)
        assert pu.adamw_fade(net, loss, samples, decays=[3.0]).gain[0] > 0
    norm = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    with pytest.raises(ValueError, match="one sample alone it raised ValueError: Expected more"):
        pu.adamw_fade(norm, squared, samples, batch=4)


def zeroed():
    net = network(3, 4, 1)
    for p in net.parameters():
        nn.init.zeros_(p)
    return net


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 61}, "batch must be at most the 60 samples, got 61"),
        ({"batch": 0}, "batch must be an integer >= 1"),
        ({"decays": [2.0, 1.0]}, "decays must be ascending numbers > 0"),
        ({"decays": [0.0, 1.0]}, "decays must be ascending numbers > 0"),
        ({"decayed": ["3.weight"]}, "decayed must name"),
        ({"lr": 0.0}, r"lr must be in \(0, 1\]"),
        ({"lr": 2.0}, r"lr must be in \(0, 1\]"),
        ({"betas": (0.9, 1.0)}, r"betas must be two numbers in \[0, 1\)"),
        ({"betas": (0.9,)}, r"betas must be two numbers in \[0, 1\)"),
        ({"eps": -1.0}, "eps must be >= 0"),
        ({"steps": 0}, "steps must be an integer >= 1"),
        ({"model": zeroed()}, "model must have decayed weights with a gradient"),
        ({"model": network(3, 1).requires_grad_(False)}, "model must have parameters that require"),
        ({"data": (np.ones((4, 3)), np.ones((4, 1)))}, "data must leave something to learn"),
        ({"model": nn.LSTM(3, 1), "loss_fn": lambda o, _: o[0].sum()}, "model must return"),
    ],
)
def test_wrong_arguments_are_named(samples, change, message):
    arguments = {"model": network(3, 4, 1), "loss_fn": squared, "data": samples, **change}
    with pytest.raises(ValueError, match=message):
        pu.adamw_fade(**arguments)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: torch.optim.SGD(p), "optimizer must be a torch.optim.AdamW, got SGD"),
        (lambda p: torch.optim.Adam(p, weight_decay=1.0), "AdamW, got Adam; with other"),
        (lambda p: torch.optim.AdamW(p, weight_decay=0.0), "decay some parameters of model"),
        (lambda p: torch.optim.AdamW(p, lr=0.0), r"lr of optimizer must be in \(0, 1\]"),
        (lambda p: torch.optim.AdamW(p, amsgrad=True), "neither amsgrad nor maximize"),
        (lambda p: torch.optim.AdamW(p, maximize=True), "neither amsgrad nor maximize"),
        (lambda _: torch.optim.AdamW(network(2, 1).parameters()), "hold parameters of model"),
        (
            lambda p: torch.optim.AdamW([{"params": p[:1]}, {"params": p[1:], "eps": 1e-3}]),
            "same betas and eps in all groups",
        ),
    ],
)
def test_wrong_optimisers_are_named(samples, make, message):
    net = network(3, 4, 1)
    with pytest.raises(ValueError, match=message):
        pu.adamw_fade(net, squared, samples, optimizer=make(list(net.parameters())))


def test_what_the_optimiser_says_is_not_said_twice(samples):
    net = network(3, 4, 1)
    optimizer = torch.optim.AdamW(net.parameters())
    for name, value in {
        "lr": 0.1,
        "betas": (0.9, 0.9),
        "eps": 0.1,
        "decayed": ["0.weight"],
    }.items():
        with pytest.raises(ValueError, match=f"{name} must be left out beside optimizer"):
            pu.adamw_fade(net, squared, samples, optimizer=optimizer, **{name: value})
