"""The live limit of infinite depth against the package, from one hidden layer to ten thousand."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu

E = 0.45


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "deep_limit") as tab:
        yield tab


def test_loss_and_end_to_end_length_agree_with_the_package(formulas):
    rng = np.random.default_rng(1)
    learned = 0
    for depth in (1, 2, 10_000, *np.exp(rng.uniform(0, np.log(1e4), 25))):
        at, signal = float(rng.uniform(0.01, 2.2)), float(rng.uniform(0.1, 1))
        gamma = signal * formulas.evaluate(
            "([D, p, E]) => T.decay(D, p, E)", [float(depth), at, signal]
        )
        # the price of least squares is gamma (D+1) |beta_0|^(2/(D+1)), and beta_0 = E
        price = gamma * (depth + 1) * signal ** (2 / (depth + 1)) / signal**2
        assert at == pytest.approx(price, rel=1e-12)
        mine = formulas.evaluate("([D, p]) => T.best(D, p)", [float(depth), at])
        land = pu.Landscape(pu.Moments.isotropic(1, signal=signal), depth)
        theirs = land.global_minimum(gamma)
        lost = (float(theirs.loss) - land.moments.Eyy) / signal**2
        assert mine["loss"] == pytest.approx(lost, abs=1e-9)
        assert mine["x"] == pytest.approx(float(theirs.B) ** (depth + 1) / signal, abs=1e-8)
        learned += mine["x"] > 0
    assert 8 < learned < 28


@pytest.mark.parametrize("depth", [1, 2, 37, 10_000])
def test_learning_stops_at_the_packages_transition(formulas, depth):
    land = pu.Landscape(pu.Moments.isotropic(1, signal=E), depth)
    gamma = E * formulas.evaluate("([D, E]) => T.decay(D, T.price(D, 1 - 1 / D), E)", [depth, E])
    assert gamma == pytest.approx(land.transitions()[-1].gamma, rel=1e-9)


def test_the_distance_falls_with_the_square_of_the_depth(formulas):
    for depth in (1, 3, 50):
        grid = np.linspace(0, 2.2, 2201)
        both = formulas.evaluate(
            "([D, g]) => [T.distance(D), ...g.map((p) => T.best(D, p).loss - T.limit(p))]",
            [depth, grid.tolist()],
        )
        assert both[0] == pytest.approx(np.abs(both[1:]).max(), rel=2e-3)
    scaled = [formulas.evaluate("D => T.distance(D) * D * D", d) for d in (1e2, 1e3, 1e4)]
    # rho = 1 for isotropic data
    assert scaled == pytest.approx([1, 1, 1], abs=0.03)


def test_the_question_is_open_until_it_is_deep(visit):
    tab = visit("deep_limit")
    text = shown(tab)
    assert values(text, "D") == [1]
    assert values(text, "γ") == [E]
    assert "or 2 S when rescaled" in text
    assert values(text, r"L - E\[y²\]") == pytest.approx([-0.36])  # -(1 - 0.4)^2
    assert not found(tab)
    depth = slide(tab, "depth", *["PageUp"] * 22)
    assert depth > 100
    assert "Never." in found(tab)
    price = slide(tab, "price", "PageDown", "PageDown")
    text = shown(tab)
    land = pu.Landscape(pu.Moments.isotropic(1, signal=E), depth)
    assert values(text, "γ")[0] == pytest.approx(land.transitions()[-1].gamma, rel=1e-3)
    gamma = price * E**2 / ((depth + 1) * E ** (2 / (depth + 1)))
    lost = (float(land.global_minimum(gamma).loss) - E**2) / E**2
    assert values(text, r"L - E\[y²\]")[0] == pytest.approx(lost, abs=1e-3)
    slide(tab, "depth", "End")
    assert "within 1 S/D²" in found(tab)
    box = tab.locator("rect.hit").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * 0.5 / 2.2, box["y"] + 30)
    assert values(shown(tab), r"L - E\[y²\]")[0] == pytest.approx(-0.5, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0.5}, "depth must be 1 to 10000, got 0"),
        ({"price": 3}, r"price must be 0 to 2\.2, got 3"),
        ({"signal": 0}, r"signal must be 0\.1 to 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.widgets.deep_limit(**arguments)
