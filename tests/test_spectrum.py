"""The tabulated sums against the sums themselves, and the bounds their certificates rest on."""

import numpy as np
import pytest

from phase_utils.theory.inversion import Monotone
from phase_utils.theory.spectrum import Spectrum

SPECTRA = {
    "one mode": ([1.0], [0.3]),
    "two modes far apart": ([1.0, 1e-12], [0.4, 1e-7]),
    "repeated": ([2.0, 2.0, 2.0, 0.1], [0.1, 0.2, -0.3, 0.05]),
    "784 modes over 12 decades": (
        np.logspace(-12, 0, 784),
        np.random.default_rng(0).normal(size=784) * np.logspace(-6, 0, 784),
    ),
    "in large units": (np.array([1e-3, 1.0]) * 1e270, [0.1, 0.2]),
    "wider than floats are": ([1e200, 1e-200], [1e100, 1e-100]),
}


@pytest.fixture(params=SPECTRA)
def spectrum(request):
    return Spectrum(*(np.asarray(v, dtype=float) for v in SPECTRA[request.param]))


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 1), (-90, 60), (45, -70)])
def test_units_of_a_power_of_two_change_nothing(name, x, y):
    a, e = (np.asarray(v, dtype=float) for v in SPECTRA[name])
    one, other = Spectrum(a, e), Spectrum(np.ldexp(a, 2 * x), np.ldexp(e, x + y))
    assert (other.x, other.y) == (one.x + x, one.y + y)
    for part in ("log_a", "log_e2", "gain", "table", "left", "right", "total_gain"):
        np.testing.assert_array_equal(getattr(other, part), getattr(one, part))
    assert 1 <= one.total_gain < 4
    assert 0 <= one.log_a[-1] < np.log(4)


def test_table_agrees_with_the_sums_to_rounding(spectrum):
    s = np.random.default_rng(1).uniform(spectrum.left, spectrum.right, 4000)
    log_G, P, taken = spectrum.direct(s)
    size = np.abs(log_G) + np.abs(s)
    assert np.all(np.abs(spectrum.log_gain(s)[0] - log_G) <= 4e-16 * size + 4e-15)
    # |dP/ds| <= 1/2 turns the rounding of s + ln(N a_i) into one of P
    assert np.all(np.abs(spectrum.log_gain(s)[1] - P) <= 1e-14 + 1e-16 * np.abs(s))
    error = np.abs(spectrum.taken(s) - taken) / spectrum.total_gain
    assert np.all(error <= 1e-14 + 2e-16 * np.abs(s))


def test_slope_of_P_is_its_derivative_and_within_the_bounds(spectrum):
    s = np.random.default_rng(2).uniform(spectrum.left + 1, spectrum.right - 1, 2000)
    slope, h = spectrum.slope_of_P(s), 1e-4
    np.testing.assert_allclose(
        slope,
        (spectrum.direct(s + h)[1] - spectrum.direct(s - h)[1]) / (2 * h),
        atol=1e-8,
    )
    assert -0.5 <= slope.min() <= slope.max() <= 0.25 + 1e-11
    P = spectrum.log_gain(s)[1]
    seen = P > 1e-6
    assert np.all(slope[seen] / P[seen] <= 1 + 1e-5)
    assert np.all(slope[seen] / P[seen] >= -2 - 1e-5)


def test_tails_continue_the_table(spectrum):
    for edge in (spectrum.left, spectrum.right):
        inside, outside = np.nextafter(edge, [0.0, np.sign(edge) * np.inf])
        inside, outside = np.array([inside]), np.array([outside])
        for function in (lambda s: spectrum.log_gain(s)[0], lambda s: spectrum.at(s).log_beta2):
            assert function(outside)[0] == pytest.approx(
                function(inside)[0], abs=2e-15 * (50 + abs(edge))
            )
    ends = np.array([-np.inf, np.inf])
    expected = [0, spectrum.total_gain]
    assert spectrum.taken(ends) == pytest.approx(expected, rel=1e-14, abs=1e-14 * expected[1])
    assert spectrum.log_gain(ends)[1].tolist() == [0.0, 1.0]


def test_third_derivative_of_log_gain_stays_below_its_bound():
    # two atoms in [0, 1] attain the extremes of what is linear in the moments
    q1, q2, w = np.meshgrid(*[np.linspace(0, 1, 101)] * 3, indexing="ij")
    m1, m2, m3 = (w * q1**k + (1 - w) * q2**k for k in (1, 2, 3))
    second = (m1 - 3 * m2 + 2 * m1**2) * (1 + 4 * m1) - 6 * m2 + 12 * m3 - 6 * m1 * m2
    assert 0.42 < np.abs(second).max() <= 0.4213


@pytest.mark.parametrize("kind", [1, -1])
def test_inversion_of_a_function_with_a_flat_end(kind):
    inverse = Monotone(lambda x: (kind * x**3, 3 * kind * x**2), 0.0, 2.0, kind)
    target = np.concatenate([[0.0, 1e-12], np.linspace(1e-3, 8, 1000), [9.0]])
    expected = np.minimum(np.cbrt(target), 2.0)
    np.testing.assert_allclose(inverse(kind * target), expected, rtol=1e-14)
