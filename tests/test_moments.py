"""Moments: the four constructors, and what is the moments of no distribution."""

import numpy as np
import pytest

import phase_utils as pu


def test_constructors_agree():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 4))
    y = x @ [1.0, 0, -1, 2] + rng.normal(size=50)
    m = pu.Moments.from_samples(x, y)
    same = pu.Moments(m.A0, m.Exy, m.Eyy)
    spectrum = pu.Moments.from_spectrum(m.eigenvalues, m.signals, m.Eyy)
    least = np.linalg.lstsq(x, y, rcond=None)[1][0] / 50
    for other in (m, same, spectrum):
        assert other.residual_variance == pytest.approx(least, rel=1e-12)
        assert other.signal == pytest.approx(np.linalg.norm(x.T @ y / 50), rel=1e-12)
    assert (m.d, m.k) == (4, 1)


def test_fewer_samples_than_inputs_keep_the_signal_in_range():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(5, 12)), rng.normal(size=5)
    m = pu.Moments.from_samples(x, y)
    assert np.count_nonzero(m.eigenvalues) == 5
    assert m.residual_variance == pytest.approx(0, abs=1e-12)


def test_several_outputs():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    m = pu.Moments.from_samples(x, y)
    assert (m.k, m.signals.shape) == (2, (3, 2))
    residual = np.sum(np.linalg.lstsq(x, y, rcond=None)[1]) / 40
    assert m.residual_variance == pytest.approx(residual, rel=1e-12)


def test_moments_cannot_be_changed():
    m = pu.Moments.isotropic(2)
    with pytest.raises(ValueError, match="read-only"):
        m.A0[0, 0] = 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pu.Moments([[1, 0.5], [0, 1]], [0, 0], 1), "A0 must be symmetric"),
        (lambda: pu.Moments([[1, 2], [2, 1]], [0, 0], 1), "positive semidefinite"),
        (lambda: pu.Moments([[1, 0], [0, 0]], [0, 0.1], 1), "range of A0"),
        (lambda: pu.Moments([[1.0]], [2.0], 1), "Eyy must be at least"),
        (lambda: pu.Moments([[1.0]], [np.nan], 1), "Exy must be finite"),
        (lambda: pu.Moments([[np.inf]], [1], 1), "A0 must be finite"),
        (lambda: pu.Moments([[1, 0]], [1], 1), "A0 must be square"),
        (lambda: pu.Moments([[1.0]], [1, 2], 1), "Exy must have 1 rows"),
        (lambda: pu.Moments([["a"]], [1], 1), "A0 must be real numbers"),
        (lambda: pu.Moments.from_samples([], []), "x must not be empty"),
        (lambda: pu.Moments.from_samples([[1], [2]], [1]), "same length"),
        (lambda: pu.Moments.from_spectrum([-1, 1], [0, 0], 1), "eigenvalues must be >= 0"),
        (lambda: pu.Moments.from_spectrum([1, 1], [0], 1), "signals must have 2 entries"),
        (lambda: pu.Moments.isotropic(0), "d must be an integer >= 1"),
        (lambda: pu.Moments.isotropic(1, -1), "variance must be >"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
