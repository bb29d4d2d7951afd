"""The live Gibbs measure against quadrature, the package's network and what it jumps between."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from live_tabs import formulas_of, found, shown, slide, values
from scipy.integrate import quad
from scipy.optimize import brentq

import phase_utils as pu

E = 0.45
LIMITS = pu.widgets.gibbs_measure().state["limits"]


def land_of(signal=E):
    return pu.Landscape(pu.Moments.isotropic(1, signal=signal), depth=2)


def mean_and_free_energy(land, gamma, T):
    """Of the measure exp(-loss / T) dB on chains of weights B, by adaptive quadrature."""
    m = land.moments
    least = float(land.global_minimum(gamma).loss) - m.Eyy

    def weight(B):
        beta = B**3
        return np.exp((least - (beta**2 - 2 * beta * m.signal + 3 * gamma * B**2)) / T)

    pieces = np.linspace(0, 1.8, 13)

    def total(f):
        parts = (quad(f, *ends, epsabs=1e-15, epsrel=1e-13)[0] for ends in pairwise(pieces))
        return sum(parts)

    Z = total(weight)
    return total(lambda B: 3 * B**2 * weight(B)) / Z, least - T * np.log(Z)


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "gibbs_measure") as tab:
        yield tab


def test_loss_is_that_of_a_network_with_one_neuron_a_layer(formulas):
    B, gamma = 0.7, 0.13
    m = pu.Moments.isotropic(1, signal=E)
    weights = [torch.full((1, 1, 1), B, dtype=torch.float64)] * 3
    decay = torch.tensor([gamma], dtype=torch.float64)
    loss, _ = pu.LinearNetwork(m, 2, 1).value_and_gradient(weights, decay)
    relative = formulas.evaluate("([E, B, g]) => T.chain(E, B, g)", [E, B, gamma])
    assert relative + m.Eyy == pytest.approx(float(loss[0]), rel=1e-12)


def test_measure_agrees_with_quadrature(formulas):
    rng = np.random.default_rng(1)
    for _ in range(12):
        signal, part = float(rng.uniform(0.2, 1)), float(rng.uniform(0.5, 1.5))
        T = float(np.exp(rng.uniform(*np.log(LIMITS["temperature"]))))
        land = land_of(signal)
        gamma = part * land.transitions()[0].gamma
        R, F, norm = formulas.evaluate(
            "([E, g, t]) => { const m = T.measure(E, g, t), h = m.density()[1][0];"
            " return [m.R, m.F, h * m.density().reduce((s, [, d]) => s + d, 0)]; }",
            [signal, gamma, T],
        )
        expected = mean_and_free_energy(land, gamma, T)
        assert pytest.approx(expected, rel=1e-9, abs=1e-9 * signal**2) == (R, F)
        assert norm == pytest.approx(1, abs=0.05)


def test_slope_of_the_free_energy_is_the_mean_of_the_norm(formulas):
    h = 1e-4
    ask = "([E, g, t]) => { const m = T.measure(E, g, t); return [m.R, m.F]; }"
    (R, _), (_, low), (_, high) = (
        formulas.evaluate(ask, [E, 0.13 + s * h, 0.02]) for s in (0, -1, 1)
    )
    assert (high - low) / (2 * h) == pytest.approx(R, rel=1e-6)


@pytest.mark.parametrize("signal", [0.2, 0.45, 0.9])
def test_what_is_left_at_zero_temperature_is_the_packages(formulas, signal):
    land = land_of(signal)
    jump = land.transitions()[0]
    star, top = formulas.evaluate("E => [T.coexistence(E), T.barrier(E)]", signal)
    assert star == pytest.approx(jump.gamma, rel=1e-9)
    assert top == pytest.approx(jump.barrier, rel=1e-9)
    both = formulas.evaluate("E => T.best(E, T.coexistence(E))", signal)
    assert both == pytest.approx([3 * jump.B_below**2, 0], rel=1e-9)
    for part in (0.3, 0.95, 1.2):
        (R,) = formulas.evaluate("([E, g]) => T.best(E, g)", [signal, part * jump.gamma])
        assert pytest.approx(float(land.global_minimum(part * jump.gamma).slope), rel=1e-9) == R


def test_the_step_lies_between_a_quarter_and_three_quarters(formulas):
    T, land = 0.004, land_of()
    ends = formulas.evaluate("([E, t, l]) => T.step(E, t, l)", [E, T, LIMITS["gamma"]])
    whole = 3 * land.transitions()[0].B_below ** 2
    for share, end in zip((0.75, 0.25), ends, strict=True):
        gamma = brentq(
            lambda g, s=share: mean_and_free_energy(land, g, T)[0] - s * whole, *LIMITS["gamma"]
        )
        assert end == pytest.approx(gamma, rel=1e-6)


def test_the_question_is_open_until_it_is_colder_than_the_barrier(visit):
    tab = visit("gibbs_measure")
    jump = land_of().transitions()[0]
    assert values(shown(tab), "T") == [0.1]
    assert values(shown(tab), "γ")[0] == pytest.approx(jump.gamma, rel=1e-3)
    assert "1.11 or 0" in shown(tab)
    assert not found(tab)
    widths = []
    for keys in (["Home"], ["PageUp"] * 2):
        assert slide(tab, "temperature", *keys) < jump.barrier
        widths.append(float(found(tab).split("step ")[1].split()[0]))
        assert "a jump at T = 0 alone" in found(tab)
    assert widths[0] < widths[1]
    gamma = slide(tab, "weight decay", "PageUp")
    assert gamma > jump.gamma
    R = float(shown(tab).split("mean of R is ")[1].split(",")[0])
    T = values(shown(tab), "T")[0]
    assert pytest.approx(mean_and_free_energy(land_of(), gamma, T)[0], rel=2e-3) == R
    box = tab.locator("rect.hit").bounding_box()
    tab.mouse.click(box["x"] + 0.6 / 1.1 * box["width"], box["y"] + 50)
    assert values(shown(tab), "γ")[0] == pytest.approx(jump.gamma, rel=1e-3)  # a mark


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"signal": 2}, r"signal must be 0\.2 to 1, got 2"),
        ({"gamma": 0}, "gamma must be .*, got 0"),
        ({"temperature": 0}, r"temperature must be 0\.002 to 0\.1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.widgets.gibbs_measure(**arguments)
