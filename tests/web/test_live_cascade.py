"""The live map of cascades: its lines against the package's transitions, and what it says."""

import numpy as np
import pytest
from live_tabs import finger, formulas_of, found, shown, slide, values

import phase_utils as pu
from phase_utils.chapters.live import cascade

DEPTHS = (1.3, 2, 2.7, 5)


def jumps(ratio, strength, depth):
    """The package's transitions of two modes with this ratio of eigenvalues and of signals."""
    a, e2 = np.array([1, 1 / ratio]), 0.2 * np.array([1, strength])
    moments = pu.Moments.from_spectrum(a, np.sqrt(e2), 1.1 * np.sum(e2 / a))
    return pu.Landscape(moments, depth).transitions()


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "cascade") as tab:
        yield tab


def test_lines_of_the_page_are_those_of_the_static_figure(formulas):
    rng = np.random.default_rng(7)
    asked = []
    for D in DEPTHS:
        tip = cascade.end_ratio(D)
        ratios = tip * np.exp(rng.uniform(0, 5, 4))
        asked += [(D, *pair) for pair in zip((0.1, 0.7, 2.1, 4.6), ratios.tolist(), strict=True)]
    answers = formulas.evaluate(
        "all => all.map(([D, theta, r]) => [T.least(D), T.faintest(r, D), ...T.triple(theta, D)])",
        asked,
    )
    expected = [
        [cascade.end_ratio(D), cascade.faintest(r, D), *cascade.triple(theta, D)]
        for D, theta, r in asked
    ]
    np.testing.assert_allclose(answers, expected, rtol=1e-9)


@pytest.mark.parametrize("depth", DEPTHS)
def test_wedge_holds_the_data_with_two_jumps(depth):
    for theta in (0.3, 1, 2.5):
        ratio, strength = cascade.triple(theta, depth)
        below, above = (jumps(ratio, strength * (1 + x), depth) for x in (-1e-6, 1e-6))
        assert (len(below), len(above)) == (2, 1)
        size = below[0].B_below / below[0].B_above
        assert size == pytest.approx(np.exp(theta / depth), rel=1e-4)
        faint = cascade.faintest(ratio, depth)
        assert faint < strength
        counts = [len(jumps(ratio, faint * (1 + x), depth)) for x in (-1e-5, 1e-3)]
        assert counts == [1, 2]
    tip = cascade.end_ratio(depth)
    np.testing.assert_allclose(cascade.triple(1e-3, depth)[0], tip, rtol=1e-5)
    at_tip = cascade.faintest(tip, depth)
    np.testing.assert_allclose(cascade.triple(1e-3, depth)[1], at_tip, rtol=1e-5)


def test_the_jumps_are_read_and_moved(visit):
    tab = visit("cascade", has_touch=True)
    state = pu.widgets.cascade().state
    (r0, r1), (s0, s1) = (state["limits"][key] for key in ("ratio", "strength"))

    def agrees(ratio, strength, depth, count):
        text = shown(tab)
        exact = jumps(ratio, strength, depth)
        assert len(exact) == count
        assert ("two jumps" in text) == bool(found(tab)) == (count == 2)
        assert values(text, "γ") == pytest.approx([t.gamma for t in exact], rel=1e-3)
        if count == 2:
            factor = float(text.split("factor ")[1].split()[0])
            assert factor == pytest.approx((exact[0].B_below / exact[0].B_above) ** 2, rel=5e-3)
            least = float(found(tab).split("is at ")[1].split(":")[0])
            assert least == pytest.approx(cascade.end_ratio(depth), rel=1e-3)
        else:
            U = exact[0].B_below ** (2 * depth)
            share = float(text.split("Up to there ")[1].split()[0])
            assert share == pytest.approx(100 * U / (U + ratio * exact[0].gamma), rel=0.05)

    strength = state["strength"]
    agrees(state["ratio"], strength, 2, 1)
    ratio = slide(tab, "ratio", *["PageUp"] * 16)
    agrees(ratio, strength, 2, 2)
    depth = slide(tab, "depth", "PageUp")
    agrees(ratio, strength, depth, 2)
    strength = slide(tab, "strength", "End", "ArrowLeft")
    agrees(ratio, strength, depth, 1)
    plane = tab.locator("rect.hit").first.bounding_box()
    start = plane["x"] + 0.2 * plane["width"], plane["y"] + 0.2 * plane["height"]
    end = plane["x"] + 0.8 * plane["width"], plane["y"] + 0.5 * plane["height"]
    finger(tab, start, end)
    agrees(r0 * (r1 / r0) ** 0.8, s0 * (s1 / s0) ** 0.5, depth, 2)
