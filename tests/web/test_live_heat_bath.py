"""The live heat bath against chapter 13 and the package, and its noisy descent."""

import ast
import math

import in_process
import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu
from phase_utils.chapters.live import heat_bath

CHAIN = pu.Moments.isotropic(signal=1.0)
LANDS = {D: pu.Landscape(CHAIN, D) for D in (1, 2)}
CRITICAL = {D: land.transitions()[0].gamma for D, land in LANDS.items()}


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "heat_bath") as tab:
        yield tab


@pytest.fixture(scope="module")
def of_chapter():
    """The quadrature of chapter 13."""
    (function,) = (
        node
        for node in ast.parse(in_process.source("13_temperature")).body
        if isinstance(node, ast.FunctionDef) and node.name == "gibbs"
    )
    names = {"np": np, "math": math}
    exec(ast.unparse(function), names)
    return names["gibbs"]


@pytest.mark.parametrize("depth", [1, 2])
def test_quadrature_is_that_of_the_chapter(formulas, of_chapter, depth):
    for part, T in ((0.4, 0.004), (0.97, 0.01), (1, 0.08), (1.6, 0.03)):
        gamma = part * CRITICAL[depth]
        one = formulas.evaluate("([D, g, t]) => T.gibbs(D, g, t)", [depth, gamma, T])
        _, mean, variance = of_chapter(CHAIN, depth, gamma, T, 240)
        assert one["mean"] == pytest.approx(mean, rel=1e-8)
        assert one["variance"] == pytest.approx(variance, rel=1e-7)
        assert heat_bath.mean_norm(depth, gamma, T) == pytest.approx(mean, rel=1e-9)


@pytest.mark.parametrize("depth", [1, 2])
def test_zero_temperature_is_the_global_minimum(formulas, depth):
    unit = formulas.evaluate("D => T.critical(D)", depth)
    assert unit == pytest.approx(CRITICAL[depth], rel=1e-12)
    for part in (0.4, 0.8, 1 - 1e-6, 1 + 1e-6, 1.5):
        found_ = formulas.evaluate("([D, g]) => T.cold(D, g)", [depth, part * unit])
        expected = float(LANDS[depth].global_minimum(part * unit).slope)
        assert found_ == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("depth", "power"), [(1, 0.5), (2, 1)])
def test_widths_follow_their_powers(formulas, depth, power):
    cold, hot = (
        formulas.evaluate("([D, T]) => window.T.width(D, T)", [depth, T]) for T in (0.002, 0.008)
    )
    assert np.log(hot / cold) / np.log(4) == pytest.approx(power, abs=0.05)
    jump = LANDS[2].transitions()[0]
    if depth == 2:
        law = 4 * 0.002 / (3 * jump.B_below**2) / jump.gamma
        assert cold == pytest.approx(law, rel=0.05)


@pytest.mark.parametrize(("depth", "T"), [(1, 0.02), (2, 0.08)])
def test_a_long_descent_finds_the_mean(formulas, depth, T):
    gamma = CRITICAL[depth]
    ask = "([D, g, T]) => window.T.walk(D, g, T, 400000)"
    seen = np.array(formulas.evaluate(ask, [depth, gamma, T]))
    blocks = seen.reshape(40, -1).mean(axis=1)
    error = blocks.std(ddof=1) / np.sqrt(len(blocks))
    expected = heat_bath.mean_norm(depth, gamma, T)
    assert error < 0.03 * expected
    assert abs(blocks.mean() - expected) < 4.5 * error
    assert formulas.evaluate(ask.replace("400000", "50"), [depth, gamma, T]) == seen[:50].tolist()


def test_cooling_answers_the_question(visit):
    tab = visit("heat_bath", has_touch=True)

    def agrees(depth, part, T):
        text = shown(tab)
        assert values(text, "D") == [depth]
        assert values(text, "T")[0] == pytest.approx(T, rel=1e-2)
        T = values(text, "T")[0]
        mean = heat_bath.mean_norm(depth, part * CRITICAL[depth], T)
        assert float(text.split("|w|² is ")[1].split()[0]) == pytest.approx(mean, rel=1e-2)
        assert bool(found(tab)) == (T <= 0.02)

    def rounded():
        return float(shown(tab).split("rounded over ")[1].split()[0])

    agrees(2, 1, 0.08)
    wide = rounded()
    slide(tab, "temperature", *["PageDown"] * 29)
    agrees(2, 1, 0.022)
    slide(tab, "temperature", "PageDown")
    agrees(2, 1, 0.02)
    assert wide / rounded() == pytest.approx(4, rel=0.1)
    assert f"it was {wide:g} %" in found(tab)
    tab.get_by_role("button", name="One hidden").press("Enter")
    agrees(1, 1, 0.02)
    assert float(found(tab).split("it was ")[1].split()[0]) / rounded() == pytest.approx(2, rel=0.1)
    box = tab.locator("rect.hit").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 60)
    agrees(1, 0.7, 0.02)
