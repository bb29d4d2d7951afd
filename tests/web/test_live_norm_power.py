"""The live figure of a power of the norm: its formulas against the package, and what it says."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu

CASES = [
    (2, 2.0),
    (2, 2.9),
    (2, 3),
    (2, 3.1),
    (2, 4),
    (1, 1.0),
    (1, 2),
    (3.3, 1.7),
    (4, 7),
    (1.5, 6),
]
ASK = """all => all.map(([D, p, part, B]) => {
  const P = { D, p }, gamma = part * T.unit(P);
  return { gamma, loss: T.balanced(P, B, gamma), points: T.stationary(P, gamma), jump: T.jump(P) };
})"""


def landscape(depth, power):
    return pu.Landscape(pu.Moments.isotropic(), depth, penalty_power=power)


def test_formulas_agree_with_the_package(browser):
    rng = np.random.default_rng(15)
    asked = [(D, p, *rng.uniform([0.06, 0.1], [1.6, 1]).tolist()) for D, p in CASES * 4]
    with formulas_of(browser, "norm_power") as tab:
        answers = tab.evaluate(ASK, asked)
    for (D, p, part, B), answer in zip(asked, answers, strict=True):
        land = landscape(D, p)
        scale = land.moments.Eyy
        gamma = part * 2 * land.moments.signal / (D + 1) ** (p / 2)
        assert answer["gamma"] == pytest.approx(gamma, rel=1e-12)
        loss = float(land.balanced_loss(B, gamma)) - scale
        assert answer["loss"] == pytest.approx(loss, abs=1e-9 * scale)
        places, _ = land.stationary(gamma)
        assert answer["points"] == pytest.approx(places.tolist(), rel=1e-9)
        first = [t for t in land.transitions() if t.order == 1]
        assert (answer["jump"] is not None) == bool(first) == (p < D + 1)
        if first:
            assert answer["jump"]["gamma"] == pytest.approx(first[0].gamma, rel=1e-9)
            assert answer["jump"]["B"] == pytest.approx(first[0].B_below, rel=1e-9)


def test_the_trap_goes_where_the_power_is_that_of_the_gain(visit):
    tab = visit("norm_power", has_touch=True)

    def agrees(power, depth, part):
        text, land = shown(tab), landscape(depth, power)
        gamma = part * 2 * land.moments.signal / (depth + 1) ** (power / 2)
        best = float(land.global_minimum(gamma).B)
        assert values(text, "p")[0] == pytest.approx(power, rel=5e-3)
        assert values(text, "γ")[0] == pytest.approx(gamma, rel=1e-2)
        assert float(text.split("best B is ")[1].rstrip(".").split(". ")[0]) == pytest.approx(
            best, rel=1e-2
        )
        assert ("minimum at every decay" in text) == (power < depth + 1)
        assert ("no barrier" in text) == (power == depth + 1)
        assert ("at no decay" in text) == (power > depth + 1)
        assert ("the trap" in found(tab)) == (power >= depth + 1)
        for change in land.transitions():
            assert values(text, "γ")[-1] == pytest.approx(change.gamma, rel=1e-3)

    agrees(2, 2, 0.5)
    assert tab.locator("circle.top").count() == 1
    tab.get_by_role("button", name="Go to").press("Enter")
    agrees(3, 2, 0.5)
    assert tab.locator("circle.top").count() == 0
    power = slide(tab, "power", "PageUp")
    agrees(power, 2, 0.5)
    part = slide(tab, "decay", "End")
    agrees(power, 2, part)
    depth = slide(tab, "depth", "End")
    agrees(power, depth, part)
    box = tab.locator("rect.hit").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.25 * box["width"], box["y"] + 60)
    agrees(power, depth, 0.4)
