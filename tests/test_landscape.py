"""The exact theory against closed forms, brute force and properties that hold for any spectrum."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import phase_utils as pu

E, a = 0.45, 1.0


def closed_forms(D, E, a, N):
    """Coexistence, u* and spinodal of isotropic data."""
    gamma = (E**2 / D**2) ** (D / (D + 1)) * ((D - 1) / (a * N)) ** ((D - 1) / (D + 1))
    u = ((D - 1) * gamma / (a * N)) ** (1 / D)
    u_s = (E * (D - 1) / (2 * a * N * D)) ** (2 / (D + 1))
    return gamma, u, E * u_s ** ((D - 1) / 2) * (D + 1) / (2 * D), u_s


@pytest.mark.parametrize("depth", [2, 3, 5, 20])
@pytest.mark.parametrize("noise_variance", [0.0, 0.5])
def test_isotropic_closed_forms(depth, noise_variance):
    land = pu.Landscape(pu.Moments.isotropic(3, 0.7, E), depth, 8, noise_variance)
    gamma, u, gamma_s, u_s = closed_forms(depth, E, 0.7, land.noise_factor)
    ((transition,), (spinodal,)) = land.transitions(), land.spinodals()
    assert transition.order == 1
    assert transition.B_above == 0
    heat = E**2 / (0.7 * land.noise_factor) * (1 - 1 / depth**2)
    found = [transition.gamma, transition.B_below**2, transition.latent_heat]
    assert found == pytest.approx([gamma, u, heat], rel=1e-10)
    assert [spinodal.gamma, spinodal.B**2] == pytest.approx([gamma_s, u_s], rel=1e-10)


def test_depth_one_is_second_order_at_the_signal_whatever_width_noise_and_spectrum():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    for width, noise in [(1, 0.0), (4, 0.3), (64, 2.0)]:
        (transition,) = pu.Landscape(moments, 1, width, noise).transitions()
        assert (transition.gamma, transition.order) == (moments.signal, 2)


def test_ridge_is_exact_and_has_no_transition():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    land = pu.Landscape(moments, 0)
    gamma = np.geomspace(1e-6, 1e6, 50)
    w = moments.signals / (moments.eigenvalues + gamma[:, None])
    found = land.global_minimum(gamma)
    np.testing.assert_allclose(found.loss, 1.0 - w @ moments.signals, rtol=1e-13)
    np.testing.assert_allclose(found.slope, np.sum(w**2, axis=1), rtol=1e-9)
    assert land.transitions() == []


def test_cascade_of_anisotropic_data():
    land = pu.Landscape(pu.Moments.from_spectrum([1, 1e-4], np.sqrt([0.2, 0.001]), 20.0), 2)
    found = [(t.gamma, t.B_below, t.B_above) for t in land.transitions()]
    assert found[0] == pytest.approx((0.08706086, 5.3566, 0.6960), abs=5e-5)
    assert found[1] == pytest.approx((0.13662865, 0.6111, 0), abs=5e-5)
    gamma = np.linspace(0.001, 0.2, 400)
    grid = land.loss(np.linspace(0, 10, 20001)[:, None], gamma).min(axis=0)
    minimum = land.global_minimum(gamma)
    assert np.all(minimum.loss <= grid + minimum.gap)
    np.testing.assert_allclose(minimum.loss, grid, atol=1e-4)


def test_784_eigenvalues_over_12_decades_are_certified():
    rng = np.random.default_rng(0)
    values = np.logspace(-12, 0, 784)
    signals = rng.normal(size=784) * np.sqrt(values) / 28
    moments = pu.Moments.from_spectrum(values, signals, 1.2 * np.sum(signals**2 / values))
    for depth in (1, 2, 5):
        land = pu.Landscape(moments, depth)
        gamma = np.concatenate([[0], np.geomspace(1e-14, 10, 60)])
        minimum = land.global_minimum(gamma)
        assert minimum.gap.max() <= 1e-10 * moments.Eyy
        grid = land.loss(np.geomspace(1e-3, 1e5, 400)[:, None], gamma[1:]).min(axis=0)
        assert np.all(minimum.loss[1:] - minimum.gap[1:] <= grid)
        here = land.loss(minimum.B[1:], gamma[1:])
        np.testing.assert_allclose(here, minimum.loss[1:], rtol=1e-9, atol=1e-12)


spectra = st.lists(
    st.tuples(
        st.one_of(st.just(0.0), st.just(1.0), st.floats(-12, 1).map(lambda x: 10.0**x)),
        st.one_of(st.just(0.0), st.floats(-1, 1)),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60)
@given(
    spectra,
    st.sampled_from([1, 2, 3, 7, 100, 1000]),
    st.sampled_from([0.0, 0.1, 5.0]),
    st.lists(st.floats(-6, 1), min_size=1, max_size=5),
)
def test_no_grid_point_lies_below_the_certified_minimum(modes, depth, noise, log_gammas):
    values = np.array([mode[0] for mode in modes])
    signals = np.array([mode[1] for mode in modes]) * np.sqrt(values)
    kept = values > 0
    Eyy = 0.1 + float(np.sum(signals[kept] ** 2 / values[kept]))
    moments = pu.Moments.from_spectrum(values, signals, Eyy)
    land = pu.Landscape(moments, depth, 4, noise)
    gamma = 10.0 ** np.array(log_gammas)
    minimum = land.global_minimum(gamma)
    B = np.concatenate([[0], np.geomspace(1e-4, 1e6, 3000)])
    grid = land.loss(B[:, None], gamma)
    assert np.all(minimum.gap <= 1e-10 * Eyy)
    assert np.all(minimum.loss - minimum.gap <= grid.min(axis=0))
    for g in gamma:
        for b in land.minima(g):
            around = land.loss(b * (1 + np.array([-1e-4, 0, 1e-4])), g)
            assert around[1] <= around.min() + 1e-13 * Eyy


@settings(max_examples=10)
@given(
    st.floats(1.1, 8),
    st.lists(st.tuples(st.floats(0, 1), st.floats(-6, 6)), min_size=1, max_size=5),
    st.floats(-2, 2),
)
def test_transitions_and_minima_are_as_many_as_the_spread_allows(depth, inner, tilt):
    place = np.array([0.0, 1.0, *(mode[0] for mode in inner)])
    sizes = np.array([0.0, tilt, *(mode[1] for mode in inner)])
    cascade = np.arccosh(9 + 4 * ((depth - 1) + 1 / (depth - 1)))
    single = np.arccosh((7 * depth**2 - 1) / (depth**2 - 1))
    for log_ratio in (cascade, 0.999 * single, 3 * cascade):
        values = np.exp(log_ratio * place)
        gains = np.exp(sizes - 0.4 * log_ratio * place)  # the tilt that helps cascades
        moments = pu.Moments.from_spectrum(values, np.sqrt(gains * values), 1.1 * gains.sum())
        land = pu.Landscape(moments, depth)
        count = len(land.transitions()), len(land.spinodals())
        if log_ratio <= cascade:
            assert count[0] == 1
        if log_ratio < single:
            assert count[1] == 1
        different = len(np.unique(values))
        assert 1 <= count[0] <= different
        assert count[1] <= 2 * different - 1
        if depth == 2:
            for t in land.transitions()[:-1]:
                jump = 2 * np.log(t.B_below / t.B_above)
                assert np.cosh(log_ratio / 2) >= 2 + np.cosh(jump)


def test_a_cascade_begins_right_above_the_universal_ratio():
    # two equal bells of Eq. 6 at D = 2, a little more than 2 arccosh(3) apart
    ratio = np.exp(2 * np.arccosh(3) + 1e-3)
    strength = ratio**-0.5 * np.array([1.0, 0.9985, 1.0015])
    counts = []
    for r in (ratio, 0.998 * ratio):
        for share in strength * np.sqrt(ratio / r):
            moments = pu.Moments.from_spectrum([1, 1 / r], np.sqrt([1, share]), 2 + share * r)
            counts.append(len(pu.Landscape(moments, 2).transitions()))
    assert max(counts[:3]) == 2
    assert max(counts[3:]) == 1


def test_slope_is_the_derivative_of_the_loss():
    moments = pu.Moments.from_spectrum([0.1, 1, 4], [0.1, 0.3, 0.2], 1.0)
    for depth in (0, 1, 2, 4):
        land = pu.Landscape(moments, depth, 8, 0.4)
        gamma, h = np.array([0.01, 0.05, 0.3]), 1e-5
        up, down = land.global_minimum(gamma + h).loss, land.global_minimum(gamma - h).loss
        slope = land.global_minimum(gamma).slope
        np.testing.assert_allclose((up - down) / (2 * h), slope, rtol=1e-6, atol=1e-9)


def test_no_signal_means_no_learning():
    land = pu.Landscape(pu.Moments([[1.0]], [0.0], 2.0), 2)
    assert land.transitions() == []
    assert land.spinodals() == []
    assert land.minima(0.1).tolist() == [0.0]
    assert land.global_minimum([0, 1.0]).loss.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: pu.Landscape(m, -1), "depth must be >= 0, got -1"),
        (lambda m: pu.Landscape(m, 1.5, 4, 0.1), "depth must be an integer"),
        (lambda m: pu.Landscape(m, 2, 0), "width must be an integer >= 1, got 0"),
        (lambda m: pu.Landscape(m, 2, 1.5), "width must be an integer"),
        (lambda m: pu.Landscape(m, 2, None, 0.1), "width must be given"),
        (lambda m: pu.Landscape(m, 2, 4, -0.1), "noise_variance must be >= 0"),
        (lambda m: pu.Landscape(m).global_minimum(-1), "gamma must be >= 0, got -1"),
        (lambda m: pu.Landscape(m).global_minimum(np.nan), "gamma must be finite, got nan"),
        (lambda m: pu.Landscape(m).loss(-1, 1), "B must be >= 0"),
        (lambda m: pu.Landscape(m).minima(0), "gamma must be > 0"),
        (lambda m: pu.Landscape(m).stationary(0), "gamma must be > 0"),
        (lambda m: pu.Landscape(m).stationary([0.1, 0.2]), "gamma must have 0 dimensions"),
        (lambda m: pu.Landscape(m).count_minima(-1), "gamma must be >= 0, got -1"),
        (lambda m: pu.Landscape(m).paper_b(1), "width must be given"),
        (lambda _: pu.Landscape("x"), "moments must be a Moments"),
        (lambda m: pu.Landscape(pu.Moments(m.A0, np.ones((3, 2)), 9)), "one output"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        call(pu.Moments.isotropic(3))


def test_degenerate_turning_point_is_certified():
    def land(power):
        return pu.Landscape(pu.Moments.from_spectrum([1, 1e-2], np.sqrt([0.2, power]), 50.0), 2)

    low, high = 0.004, 0.006  # one spinodal and three: two are born between
    assert [len(land(power).spinodals()) for power in (low, high)] == [1, 3]
    while high - low > 4e-16 * high and (middle := (low + high) / 2) not in (low, high):
        low, high = (low, middle) if len(land(middle).spinodals()) > 1 else (middle, high)
    kinds = [[branch.kind for branch in land(power).reduction.branches] for power in (low, high)]
    assert kinds == [[1, -1], [1, -1, 1, 0, -1]]  # 0 is a piece that cannot be resolved
    critical = [[t.gamma for t in land(power).transitions()] for power in (low, high)]
    assert critical[0] == pytest.approx(critical[1], rel=1e-12)
    assert len(critical[0]) == 1
    B = np.geomspace(1e-3, 10, 4000)
    for power in (low, high):
        here = land(power)
        gamma = np.concatenate(
            [s.gamma * (1 + np.array([-1e-3, -1e-9, 0, 1e-9, 1e-3])) for s in here.spinodals()]
        )
        minimum = here.global_minimum(gamma)
        assert np.all(minimum.gap <= 1e-10 * 50)
        assert np.all(minimum.loss - minimum.gap <= here.loss(B[:, None], gamma).min(axis=0))


@pytest.mark.parametrize("depth", [0, 1, 2, 30])
def test_bound_on_an_inexact_inversion_holds(depth):
    land = pu.Landscape(pu.Moments.from_spectrum([1, 1e-4], np.sqrt([0.2, 0.001]), 20.0), depth)
    gamma = np.geomspace(1e-5, 1, 40)
    reduced, curve = land.reduction, land.reduction.curve
    for branch in reduced.branches:
        if branch.kind > 0:
            continue
        logs = reduced.gamma.log_of(gamma)
        logs = logs[(logs > branch.log_low) & (logs < branch.log_high)]
        best = branch.minima(logs).gain
        for shift in (0.3, 1e-3, 1e-6, -1e-6, -1e-3, -0.3):
            s = np.clip(branch.invert(logs) + shift, branch.piece.left, branch.piece.right)
            at = reduced.spectrum.at(s)
            penalty = np.exp(logs + curve.log_penalty(at))
            excess = best - (reduced.spectrum.taken(s) - penalty)
            bound = branch.error(at, logs, penalty)
            assert np.all(excess <= bound + 1e-14 * 20)
            if abs(shift) == 1e-3:  # nor is it idle: h is twice too long, dlnT/ds = k (1 - P)
                assert np.all((1 - at.P) * bound <= 5 * excess + 1e-12)


def test_loss_agrees_with_arithmetic_in_fifty_digits():
    values, signals = [1.0, 0.1, 1e-6], [0.4, 0.1, 1e-3]
    land = pu.Landscape(pu.Moments.from_spectrum(values, signals, 3.0), 3)
    gammas = [1e-4, 0.01, 0.05]
    minimum = land.global_minimum(gammas)
    with mpmath.workdps(50):
        modes = [(mpmath.mpf(a), mpmath.mpf(e) ** 2) for a, e in zip(values, signals, strict=True)]
        for i, gamma in enumerate(mpmath.mpf(g) for g in gammas):

            def stationary(u, gamma=gamma):
                return u**2 * mpmath.fsum(p / (a * u**3 + gamma) ** 2 for a, p in modes) - 1

            u = mpmath.findroot(stationary, mpmath.mpf(float(minimum.B[i])) ** 2)
            taken = mpmath.fsum(u**3 * p / (a * u**3 + gamma) for a, p in modes)
            error = 3 - taken + 3 * gamma * u - mpmath.mpf(float(minimum.loss[i]))
            assert abs(float(error)) <= minimum.gap[i]
            assert abs(float(mpmath.sqrt(u) / mpmath.mpf(float(minimum.B[i])) - 1)) <= 1e-13


@pytest.mark.parametrize("depth", [0, 1, 2, 3, 1.5])
@pytest.mark.parametrize(("x", "y"), [(-450, 90), (420, -420), (0, 480), (60, -300)])
def test_units_of_a_power_of_two_change_no_digit(depth, x, y):
    a, e = np.array([0.1, 1, 4]), np.array([0.1, 0.3, 0.2])
    B = round((y - x) / (depth + 1))  # of two, exactly in all of these cases
    loss, slope, decay = 2 * y, 2 * B, 2 * y - 2 * B
    scaled = pu.Moments.from_spectrum(np.ldexp(a, 2 * x), np.ldexp(e, x + y), np.ldexp(1.0, loss))
    land, other = (pu.Landscape(m, depth) for m in (pu.Moments.from_spectrum(a, e, 1.0), scaled))

    def same(found, expected, exponent):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(found, np.ldexp(expected, exponent))

    gamma = np.array([0.0, 1e-3, 0.05, 0.2, 3.0])
    best, found = land.global_minimum(gamma), other.global_minimum(np.ldexp(gamma, decay))
    for name, exponent in (("B", B), ("loss", loss), ("slope", slope), ("gap", loss)):
        same(getattr(found, name), getattr(best, name), exponent)
    for one, two in zip(land.transitions(), other.transitions(), strict=True):
        same([two.gamma, two.latent_heat], [one.gamma, one.latent_heat], [decay, loss])
    for one, two in zip(land.spinodals(), other.spinodals(), strict=True):
        same([two.gamma, two.B], [one.gamma, one.B], [decay, B])
    mu = np.array([0.0, 0.3, 2.0])
    one, two = land.ridge(mu), other.ridge(np.ldexp(mu, 2 * x))
    same([two.gamma, two.B, two.loss], [one.gamma, one.B, one.loss], [[decay], [B], [loss]])
    for one, two in zip(
        (land.loss, land.balanced_loss), (other.loss, other.balanced_loss), strict=True
    ):
        if depth > 0 or one == land.balanced_loss:
            same(two(np.ldexp(0.4, B), np.ldexp(0.05, decay)), one(0.4, 0.05), loss)


def test_a_weak_signal_has_its_own_transition():
    moments = pu.Moments.from_spectrum([1.0], [1e-170], 1.0)
    (second,) = pu.Landscape(moments, 1).transitions()
    assert (second.gamma, second.order) == (1e-170, 2)
    (first,) = pu.Landscape(moments, 2).transitions()
    assert first.gamma == pytest.approx(1e-170 ** (4 / 3) / 2 ** (4 / 3), rel=1e-13)


def test_at_a_depth_beyond_the_table_nothing_is_lost():
    """Coexistence lies where the ridge penalty is far below the spectrum."""
    moments = pu.Moments.isotropic(1, 0.7, 0.45)
    for depth in (1e16, 1e100, 1e308):
        land = pu.Landscape(moments, depth)
        (transition,), (spinodal,) = land.transitions(), land.spinodals()
        assert transition.gamma * depth == pytest.approx(0.45**2 / 0.7, rel=1e-13)
        assert spinodal.gamma == pytest.approx(0.45**2 / 2.8, rel=1e-12)
    (transition,) = pu.Landscape(moments, 2, penalty_power=1e-300).transitions()
    assert transition.gamma == pytest.approx(0.45**2 / 0.7, rel=1e-13)


@pytest.mark.parametrize(
    ("depth", "power"), [(2, 1e300), (2, 1e-310), (1e308, 1e-300), (1e10, 1e10 + 1), (1e5, 1e5)]
)
def test_absurd_powers_are_refused_by_name(depth, power):
    with pytest.raises(ValueError, match="penalty_power must be of a size for which gamma is a fl"):
        pu.Landscape(pu.Moments.isotropic(), depth, penalty_power=power)


@pytest.mark.parametrize(
    ("depth", "power", "call"),
    [
        (0, 2, lambda land: land.loss(1.0, 0.1)),
        (np.inf, 2, lambda land: land.loss(1.0, 0.1)),
        (np.inf, 2, lambda land: land.balanced_loss(1.0, 0.1)),
        (np.inf, 2, lambda land: land.ridge(0.5)),
        (2, 3, lambda land: land.loss(1.0, 0.1)),
    ],
)
def test_a_formula_is_refused_where_it_does_not_hold(depth, power, call):
    with pytest.raises(ValueError, match=r"depth must|penalty_power must"):
        call(pu.Landscape(pu.Moments.isotropic(), depth, penalty_power=power))
    nothing = pu.Landscape(pu.Moments.isotropic(signal=0.0, Eyy=1.0), 2)
    with pytest.raises(ValueError, match="learned states"):
        nothing.ridge(0.5)


def test_a_transition_whose_gamma_is_no_float_is_not_listed():
    # gamma goes as (E^4 / a)^(1/3)
    found = pu.Landscape(pu.Moments.isotropic(1, 1e300, 1e-200, 1.0), 2)
    assert found.transitions() == []
    near = pu.Landscape(pu.Moments.isotropic(1, 1e300, 1e-150, 1.0), 2)
    assert 0 < near.transitions()[0].gamma < 1e-299


def test_minima_at_zero_decay_are_those_just_above_it():
    for depth, noise, limit in ((2, 0.0, 2), (1, 0.0, 1), (0.5, 0.0, 1), (np.inf, 0.0, 2)):
        land = pu.Landscape(pu.Moments.isotropic(), depth, None, noise)
        assert land.count_minima([0.0, 1e-9]).tolist() == [limit, limit]
