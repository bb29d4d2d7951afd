"""The live modes under augmentation against their loss, minimised, and what is said of them."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide
from scipy.optimize import minimize_scalar

import phase_utils as pu
from phase_utils.chapters.live import augmentation

STATE = pu.widgets.augmentation().state
A = np.array(STATE["a"])
CASES = [(0.03, 0, False), (0.4, 0.1, False), (5, 0.2, False), (0.03, 0.3, True), (18, 0, True)]


def best(ratio):
    """Variance of one mode and its loss, by a search over Gaussian integrals."""

    def loss(s):
        return ratio * s - np.log(1 + s) / 2 - s / (1 + s) / 2

    one = minimize_scalar(loss, bounds=(0, 60), method="bounded", options={"xatol": 1e-10})
    return (one.x, one.fun) if one.fun < -1e-12 else (0.0, 0.0)


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "augmentation") as tab:
        yield tab


def test_modes_are_those_of_least_loss(formulas):
    for noise, gamma, views in CASES:
        modes = formulas.evaluate("given => T.modes(...given)", [STATE["a"], noise, gamma, views])
        s = [mode["s"] for mode in modes]
        expected = augmentation.variances(A, noise, gamma, views)
        np.testing.assert_allclose(s, expected, rtol=1e-9, atol=1e-12)
        searched = [best((noise + gamma) / (a + noise * views)) for a in A]
        np.testing.assert_allclose(s, [one[0] for one in searched], rtol=1e-4, atol=1e-4)
        losses = [mode["loss"] for mode in modes]
        np.testing.assert_allclose(losses, [one[1] for one in searched], rtol=1e-8, atol=1e-12)


def test_noise_between_clean_images_is_weight_decay(formulas):
    ask = "([a, c, g]) => T.modes(a, c, g, false).map((m) => [m.loss, m.norm])"
    h = 1e-4
    below, at, above = (
        np.array(formulas.evaluate(ask, [STATE["a"], c, 0.05])) for c in (0.3 - h, 0.3, 0.3 + h)
    )
    np.testing.assert_allclose((above[:, 0] - below[:, 0]) / (2 * h), at[:, 1], rtol=1e-6)
    np.testing.assert_allclose(formulas.evaluate(ask, [STATE["a"], 0.05, 0.3]), at, rtol=1e-12)


def test_views_kill_no_mode(visit):
    tab = visit("augmentation", has_touch=True)

    def agrees(noise, gamma, views):
        text = shown(tab)
        s = augmentation.variances(A, noise, gamma, views)
        live = int(np.sum(s > 0))
        assert f"{live} of 8 modes live" in text
        assert ("between views" in text) == views
        assert tab.locator("circle.full").count() == live
        if live:
            ratio = (noise + gamma) / (A[live - 1] + noise * views)
            assert float(text.split("r = ")[1].split()[0]) == pytest.approx(ratio, rel=1e-2)
        return found(tab)

    assert not agrees(0.03, 0, False)
    noise = slide(tab, "noise", *["PageUp"] * 10)
    assert not agrees(noise, 0, False)
    noise = slide(tab, "noise", "End")
    assert "its own variance" in agrees(noise, 0, False)
    tab.get_by_role("button", name="Views").press("Enter")
    assert "None dies" in agrees(noise, 0, True)
    box = tab.locator("rect.hit").bounding_box()
    tab.touchscreen.tap(box["x"] + 0.1 * box["width"], box["y"] + 60)
    low, high = STATE["limits"]["noise"]
    assert not agrees(low * (high / low) ** 0.1, 0, True)
    tab.get_by_text("More").click()
    gamma = slide(tab, "weight decay", "End")
    assert not agrees(low * (high / low) ** 0.1, gamma, True)
