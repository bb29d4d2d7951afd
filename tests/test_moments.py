"""Moments: the four constructors, and what is the moments of no distribution."""

import copy
import pickle

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
        (
            lambda: pu.Moments.isotropic(signal=1e-170),
            r"signal\^2 / variance must lie in the range",
        ),
        (lambda: pu.Moments.from_samples([[1e200], [1]], [1, 1]), "x must be of a size between"),
        (lambda: pu.Moments.from_samples([[1], [1]], [0, 1e-160]), "y must be of a size between"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_hundred_thousand_modes_need_no_matrix():
    d = 100_000
    a = np.full(d, 0.7)
    m = pu.Moments.from_spectrum(a, np.full(d, 0.45 / np.sqrt(d)), 0.3)
    same = pu.Moments.isotropic(d, 0.7, 0.45, 0.3)
    for moments in (m, same):
        (found,) = pu.Landscape(moments, 2).transitions()
        (one,) = pu.Landscape(pu.Moments.isotropic(1, 0.7, 0.45, 0.3), 2).transitions()
        assert found.gamma == pytest.approx(one.gamma, rel=1e-11)
        assert pu.Modes(moments).singular_values == pytest.approx([0.45])
        for name in ("A0", "eigenvectors"):
            with pytest.raises(ValueError, match=f"{name} must take at most 2 GiB, got 100000 inp"):
                getattr(moments, name)


def test_a_signal_far_from_the_size_of_the_outputs_is_compared_with_it():
    faint = pu.Moments.from_spectrum([1.0], [4e-311], 0.1)  # 2^1030 times below the outputs
    assert faint.residual_variance == 0.1
    with pytest.raises(ValueError, match="must lie in the range of A0, got a component of norm 1e"):
        pu.Moments.from_spectrum([0.0, 1e-300], [1e300, 0.0], 1.0)


def test_the_matrix_of_a_spectrum_is_built_when_asked_for():
    m = pu.Moments.from_spectrum([2.0, 0.0, 1.0], [0.1, 0.0, 0.3], 1.0)
    np.testing.assert_array_equal(m.A0, np.diag([2.0, 0.0, 1.0]))
    np.testing.assert_array_equal(m.eigenvalues, [0, 1, 2])
    np.testing.assert_array_equal(m.eigenvectors.T @ m.Exy, m.signals)
    for array in (m.A0, m.Exy):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 2
    with pytest.raises(AttributeError, match="Eyy cannot be set"):
        m.Eyy = 3.0
    with pytest.raises(AttributeError, match="Eyy cannot be deleted"):
        del m.Eyy


def test_copies_carry_the_moments_alone():
    m = pu.Moments.isotropic(3)
    pu.Landscape(m, 2).transitions()
    assert m.spectrum is m.spectrum
    for copied in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert "spectrum" in vars(m) and "spectrum" not in vars(copied)
        np.testing.assert_array_equal(copied.A0, m.A0)
        assert (copied.signal, copied.Eyy) == (m.signal, m.Eyy)
    assert len(pickle.dumps(m)) < 2000


@pytest.mark.parametrize(("x", "y"), [(-450, 100), (400, -400), (30, 500), (0, -480)])
def test_units_of_a_power_of_two_change_no_digit(x, y):
    rng = np.random.default_rng(4)
    samples = rng.normal(size=(50, 4)), rng.normal(size=50)
    one = pu.Moments.from_samples(*samples)
    other = pu.Moments(np.ldexp(one.A0, 2 * x), np.ldexp(one.Exy, x + y), np.ldexp(one.Eyy, 2 * y))
    np.testing.assert_array_equal(np.ldexp(other.eigenvalues, -2 * x), one.eigenvalues)
    np.testing.assert_array_equal(other.eigenvectors, one.eigenvectors)
    np.testing.assert_array_equal(np.ldexp(other.signal, -x - y), one.signal)
    np.testing.assert_array_equal(np.ldexp(other.residual_variance, -2 * y), one.residual_variance)


def test_samples_are_not_diagonalised_before_it_is_needed(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 12)), rng.normal(size=7)
    checked = pu.Moments(x.T @ x / 7, x.T @ y / 7, y @ y / 7)
    with monkeypatch.context() as without:
        without.setattr(np.linalg, "eigh", None)
        moments = pu.Moments.from_samples(x, y)
    np.testing.assert_array_equal(moments.A0, checked.A0)
    np.testing.assert_array_equal(moments.Exy, checked.Exy)
    assert moments.Eyy == pytest.approx(checked.Eyy, rel=1e-15)
    np.testing.assert_array_equal(moments.eigenvalues, checked.eigenvalues)
