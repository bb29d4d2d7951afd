"""The trivial point of a module, its instability and its Landau expansion."""

import numpy as np
import pytest
import torch
from torch import nn

import phase_utils as pu
from phase_utils.diagnosis.krylov import lowest, project, solve
from phase_utils.diagnosis.landau import _cubic_error

RNG = np.random.default_rng(7)
X = RNG.normal(size=(120, 5)) * np.linspace(0.5, 1.5, 5)
Y = X @ RNG.normal(size=(5, 1)) * 0.3 + 0.2 * RNG.normal(size=(120, 1))
CLASSES = np.argmax(X[:, :3] + RNG.gumbel(size=(120, 3)), axis=1)


def squared(out, y):
    return (out - y).square().sum(1).mean()


def mlp(activation, depth=1, width=3, bias=False, inputs=5, outputs=1):
    layers = []
    for level in range(depth):
        layers += [nn.Linear(width if level else inputs, width, bias=bias), activation()]
    return nn.Sequential(*layers, nn.Linear(width, outputs, bias=bias))


def problem(model, loss=squared, data=(X, Y), **options):
    torch.manual_seed(0)
    return pu.ModuleProblem(model, loss, data, **options)


@pytest.mark.parametrize(
    ("activation", "slope"), [(nn.Identity, 1), (nn.Tanh, 1), (nn.SiLU, 0.5), (nn.GELU, 0.5)]
)
def test_squared_loss_is_unstable_at_the_signal_times_the_slope(activation, slope):
    origin = pu.expand_origin(problem(mlp(activation)))
    assert origin.gamma == pytest.approx(slope * np.linalg.norm(X.T @ Y / len(X)), rel=1e-9)
    assert origin.error < 1e-8


@pytest.mark.parametrize("activation", [nn.Identity, nn.Tanh, nn.ReLU])
def test_deeper_networks_have_no_signal_at_zero(activation):
    assert pu.expand_origin(problem(mlp(activation, depth=2))).gamma == 0


@pytest.mark.parametrize("bias", [False, True])
def test_cross_entropy_is_unstable_at_half_the_top_singular_value(bias):
    model = nn.Sequential(nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 3, bias=bias))
    origin = pu.expand_origin(problem(model, nn.CrossEntropyLoss(), (X, CLASSES)))
    onehot = np.eye(3)[CLASSES]
    guess = onehot.mean(0) if bias else 1 / 3
    top = np.linalg.norm(X.T @ (onehot - guess) / len(X), 2)
    assert origin.gamma == pytest.approx(top / 2, rel=1e-7)


def test_a_linear_autoencoder_is_unstable_at_the_largest_variance():
    model = nn.Sequential(nn.Linear(5, 2, bias=False), nn.Linear(2, 5, bias=False))
    origin = pu.expand_origin(problem(model, squared, (X, X)))
    assert origin.gamma == pytest.approx(np.linalg.eigvalsh(X.T @ X / len(X))[-1], rel=1e-9)


class Skipping(nn.Module):
    """A hidden layer beside a deeper path, and an offset of the output."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.c = nn.Linear(3, 1)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return self.c(h + torch.tanh(self.b(h)))


class Curved(nn.Module):
    """A line, its square and an offset: where the mean input is not 0, theta mixes with w."""

    def __init__(self):
        super().__init__()
        self.line = nn.Linear(5, 1)

    def forward(self, x):
        along = x @ self.line.weight.T
        return along + 5 * along**2 + self.line.bias


def curved():
    """The problem of `Curved` on a target without linear signal, so that w = 0 is stationary."""
    x = X + np.arange(1, 6) / 2
    linear = np.column_stack([np.ones(len(x)), x])
    square = (x @ np.ones(5)) ** 2
    y = square - linear @ np.linalg.lstsq(linear, square, rcond=None)[0]
    return problem(Curved(), data=(x, y[:, None]))


@pytest.mark.parametrize("make", [lambda: problem(Skipping()), curved], ids=["apart", "mixed"])
def test_gamma_origin_is_that_of_the_dense_hessian(make, request):
    p = make()
    point = pu.trivial_point(p)
    dense = torch.autograd.functional.hessian(p.loss, point.weights)
    w, t = p.mask, ~p.mask
    schur = dense[w][:, w] - dense[w][:, t] @ torch.linalg.pinv(dense[t][:, t]) @ dense[t][:, w]
    lowest = float(torch.linalg.eigvalsh(schur)[0])
    assert lowest < -0.1
    assert pu.expand_origin(p).gamma == pytest.approx(-lowest / 2, rel=1e-8)
    fixed = float(torch.linalg.eigvalsh(dense[w][:, w])[0])  # as if theta stayed where it is
    assert (fixed > lowest + 0.01 * abs(lowest)) == (request.node.callspec.id == "mixed")


def test_relu_has_the_closed_form_of_its_best_direction():
    x = X[:, :2]
    origin = pu.expand_origin(problem(mlp(nn.ReLU, inputs=2), data=(x, Y)))
    angle = np.linspace(0, 2 * np.pi, 200_001)
    best = 0.0
    for part in np.array_split(angle, 50):
        z = np.maximum(x @ np.stack([np.cos(part), np.sin(part)]), 0)
        best = max(best, np.abs(Y[:, 0] @ z / len(x)).max())
    assert origin.gamma == pytest.approx(best, rel=1e-6)
    assert "ReLU" in origin.reason
    assert not origin.smooth


def test_a_free_hidden_bias_puts_neurons_where_they_are_steepest():
    model = mlp(nn.SiLU, bias=True)
    origin = pu.expand_origin(problem(model))
    b = np.linspace(-5, 5, 1_000_001)
    s = 1 / (1 + np.exp(-b))
    covariance = (X - X.mean(0)).T @ (Y - Y.mean()) / len(X)
    exact = np.max(s + b * s * (1 - s)) * np.linalg.norm(covariance)
    assert origin.gamma == pytest.approx(exact, rel=1e-9)
    assert "hidden bias" in origin.reason


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4), nn.Linear(4, 1)), "LayerNorm"),
        (nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)), "BatchNorm1d"),
        (mlp(nn.Tanh, depth=2, bias=True), "is not decayed"),
        (mlp(nn.Softplus), "not stationary"),
        (nn.Linear(5, 1, bias=False), "not stationary"),
        (
            nn.Sequential(
                nn.utils.parametrizations.weight_norm(nn.Linear(5, 4, bias=False)),
                nn.Linear(4, 1, bias=False),
            ),
            "reparametrised",
        ),
    ],
)
def test_no_regular_trivial_point_gives_a_reason_and_no_number(model, reason):
    origin = pu.expand_origin(problem(model))
    assert origin.gamma is None
    assert reason in origin.reason


def test_random_losses_are_refused():
    model = nn.Sequential(nn.Linear(5, 9), nn.Dropout(), nn.Linear(9, 1))
    with pytest.raises(ValueError, match="same loss twice"):
        problem(model)
    assert problem(model.eval()).parameters == 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": (X, Y[:-1])}, "as many x as y"),
        ({"data": X}, r"pair \(x, y\)"),
        ({"data": (np.full_like(X, np.nan), Y)}, "finite, got nan or inf in x"),
        ({"decayed": ["none.weight"]}, "decayed must name parameters"),
        ({"loss": lambda out, y: (out - y).square()}, "scalar"),
        ({"model": squared}, "torch.nn.Module"),
    ],
)
def test_bad_input(change, message):
    arguments = {"model": mlp(nn.Tanh), "loss": squared, "data": (X, Y)} | change
    model, loss, data = (arguments.pop(name) for name in ("model", "loss", "data"))
    with pytest.raises(ValueError, match=message):
        pu.ModuleProblem(model, loss, data, **arguments)


def test_rows_agree_with_one_at_a_time_and_with_autograd():
    p = problem(mlp(nn.Tanh, depth=2))
    x = p.random(1.0, range(5))
    loss, gradient = p.evaluate(x)
    assert p.rows >= 5
    for row, value, slope in zip(x, loss, gradient, strict=True):
        w = row.clone().requires_grad_()
        out = p.loss(w)
        out.backward()
        assert float(value) == pytest.approx(out.item(), rel=1e-13)
        assert torch.allclose(slope, w.grad, rtol=1e-11, atol=1e-14)
    assert p.sample_losses(x[0]).mean() == pytest.approx(float(loss[0]), rel=1e-12)


def test_lanczos_projects_on_an_eigenspace_of_any_multiplicity():
    rng = np.random.default_rng(3)
    q, _ = np.linalg.qr(rng.normal(size=(12, 12)))
    values = np.array([-2.0] * 5 + [0.0] * 4 + [1.0, 1.5, 3.0])
    H = torch.from_numpy((q * values) @ q.T)
    v = torch.from_numpy(rng.normal(size=12))
    calls = []

    def apply(u):
        calls.append(u)
        return H @ u

    soft = q[:, :5] @ (q[:, :5].T @ v.numpy())
    assert np.allclose(project(apply, v, -2.0), soft, atol=1e-10)
    assert len(calls) == 5  # distinct eigenvalues
    rest = q[:, 5:]
    exact = rest @ ((rest.T @ v.numpy()) / (values[5:] + 2))
    assert np.allclose(solve(apply, v, -2.0), exact, atol=1e-10)
    value, mode, error = lowest(apply, v)
    assert value == pytest.approx(-2, abs=1e-12)
    assert error < 1e-10
    assert np.allclose(mode, soft / np.linalg.norm(soft), atol=1e-10)


def test_lanczos_stops_once_what_is_wanted_is_known_and_not_before():
    rng = np.random.default_rng(4)
    q, _ = np.linalg.qr(rng.normal(size=(400, 400)))
    values = np.concatenate([[-2.0] * 40, rng.uniform(-1, 1, 360)])
    H, v = torch.from_numpy((q * values) @ q.T), torch.from_numpy(rng.normal(size=400))
    calls = []

    def apply(u):
        calls.append(u)
        return H @ u

    soft = q[:, :40] @ (q[:, :40].T @ v.numpy())
    assert np.allclose(project(apply, v, -2.0), soft, atol=1e-8)
    assert len(calls) < 60
    # a start without a component there must not be taken for one before the lowest is known
    other = v - torch.from_numpy(soft)
    assert float(project(apply, other, -2.0).norm()) < 1e-8
    exact = q[:, 40:] @ ((q[:, 40:].T @ v.numpy()) / (values[40:] + 2))
    assert np.allclose(solve(apply, v, -2.0), exact, atol=1e-7)


def test_eigenvalues_that_rounding_cannot_part_are_one_eigenspace():
    # 1e-5 apart, beside a largest one of 1000
    apply = torch.diag(torch.tensor([1e3, 1.0, 1 + 1e-5, 5.0], dtype=torch.float64)).matmul
    v = torch.ones(4, dtype=torch.float64)
    assert np.allclose(project(apply, v, 1.0), [0, 1, 1, 0], atol=1e-7)
    assert np.allclose(solve(apply, v, 1.0), [1 / 999, 0, 0, 1 / 4], atol=1e-7)


def skewed(n=400):
    x = -np.log1p(-(np.arange(n) + 0.5) / n)
    x = (x - x.mean())[:, None]
    return x / x.std()


@pytest.mark.parametrize("width", [1, 4])
def test_landau_of_silu_is_that_of_its_taylor_series(width):
    # one unit carries the extremal cubic form: f = u (v x / 2 + v^2 x^2 / 4 - v^4 x^4 / 48 ...)
    x = skewed()
    y = 0.45 * x
    p = problem(mlp(nn.SiLU, width=width, inputs=1), data=(x, y))
    landau = pu.expand_landau(p, pu.expand_origin(p))
    third, variance = np.mean(y * x**2), np.mean(x**2)
    # soft direction u = v = s / sqrt(2): -2 E[y f] at third order is -E[y x^2] s^3 / (4 sqrt 2)
    assert landau.cubic == pytest.approx(third / (4 * np.sqrt(2)), rel=1e-7)
    each = y * x**2 / (4 * np.sqrt(2))
    assert landau.cubic_error == pytest.approx(each.std(ddof=1) / len(x) ** 0.5, rel=1e-6)
    # E[f^2] = s^4 E[x^2] / 16, and no v^3 term in SiLU; the stiff mode (u, -v) answers T[z,z]:
    # l3 = -c u v^2, c = E[y x^2] / 2: b is -c (v^2, 2 u v) 2 off the soft mode, H_perp = 2 E[xy]
    b = third / 2 * (np.array([2, 1]) / 2 @ np.array([1, -1]) / np.sqrt(2))
    stiff = 4 * 0.5 * np.mean(y * x)
    assert landau.quartic == pytest.approx(variance / 16 - b**2 / (2 * stiff), rel=1e-6)
    assert landau.order == "first"


def test_landau_of_tanh_has_no_cubic_form_and_finds_the_collective_mode():
    x = skewed()
    p = problem(mlp(nn.Tanh, width=4, inputs=1), data=(x, 0.45 * x))
    landau = pu.expand_landau(p, pu.expand_origin(p), iterations=30)
    assert landau.cubic < 1e-9
    assert landau.order == "continuous"
    # k equal units: f = s^2/2 x - s^4/(12 k) x^3, l - l0 at fourth order: E[x^2]/4 + E[y x^3]/(6 k)
    fourth = np.mean(0.45 * x**4)
    assert landau.quartic_least == pytest.approx(np.mean(x**2) / 4 + fourth / 24, rel=1e-4)


def test_a_cubic_form_of_a_loss_that_is_no_mean_has_no_error():
    p = problem(mlp(nn.SiLU), lambda out, y: squared(out, y).sqrt())
    point = pu.trivial_point(p)
    assert np.isnan(_cubic_error(p, point, torch.ones_like(point.weights), 0.1))


def test_free_is_what_is_felt_elsewhere_but_not_at_zero_weights():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1, 5))
            self.gain, self.shift = (nn.Parameter(torch.ones(1)) for _ in range(2))

        def forward(self, x):
            return self.gain * nn.functional.linear(x, self.weight) + self.shift

    point = pu.trivial_point(problem(Scaled()))
    assert point.free == ("gain",)
    assert point.loss == pytest.approx(np.var(Y), rel=1e-9)


def test_landau_needs_a_soft_mode():
    p = problem(mlp(nn.Tanh, depth=2))
    with pytest.raises(ValueError, match="gamma > 0"):
        pu.expand_landau(p, pu.expand_origin(p))
