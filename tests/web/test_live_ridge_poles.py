"""The live poles of ridge regression against the package, and where their series stops."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu

SHARES = (0.5, 0.4)


def moments(weak, shares=SHARES):
    a = np.array([1.0, weak])
    return pu.Moments.from_spectrum(a, np.sqrt(a * shares), 1.0)


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "ridge_poles") as tab:
        yield tab


def test_loss_and_its_modulus_agree_with_the_package(formulas):
    rng = np.random.default_rng(1)
    for _ in range(30):
        weak, gamma = rng.uniform(0.01, 1), rng.uniform(0.01, 3)
        shares = rng.uniform(0, 0.5, 2)
        x, y = rng.uniform(-1.3, 1.5), rng.uniform(0.05, 1)
        both = formulas.evaluate(
            "([w, s, g, x, y]) => { const all = T.modes(w, s);"
            " return [T.least(all, g), T.modulus(all, x, y)]; }",
            [weak, shares.tolist(), gamma, x, y],
        )
        land = pu.Landscape(moments(weak, shares), depth=0)
        m = land.moments
        assert both[0] == pytest.approx(float(land.global_minimum(gamma).loss), rel=1e-9)
        # a resolvent instead of a sum over modes
        resolvent = np.linalg.solve(m.A0 + (x + 1j * y) * np.eye(2), m.Exy)
        assert both[1] == pytest.approx(abs(m.Exy @ resolvent), rel=1e-9)


def test_series_has_the_derivatives_of_the_loss_and_its_radius(formulas):
    weak, gamma = 0.3, 0.5
    ask = "([t, n]) => T.series(T.modes(0.3, [0.5, 0.4]), 0.5, t, n)"
    m = moments(weak)
    solve = np.linalg.inv(m.A0 + gamma * np.eye(2))
    t, v, sums = 0.37, m.Exy, 1.0
    for n in range(12):  # powers of the inverse: the recursion of the chapter
        v = solve @ v
        sums -= (-t) ** n * (m.Exy @ v)
        assert formulas.evaluate(ask, [t, n + 1]) == pytest.approx(sums, rel=1e-12)
    land = pu.Landscape(m, depth=0)

    def error(t, terms):
        return abs(formulas.evaluate(ask, [t, terms]) - float(land.global_minimum(gamma + t).loss))

    radius = gamma + weak
    assert error(0.7 * radius, 64) < 1e-6 * error(0.7 * radius, 8)
    assert error(1.2 * radius, 64) > 1e3 * error(1.2 * radius, 8)


def test_a_mode_without_variance_has_no_pole(formulas):
    assert len(formulas.evaluate("T.modes(0, [0.5, 0.4])")) == 1


def test_the_question_stands_until_the_weak_pole_is_near_zero(visit):
    tab = visit("ridge_poles")
    assert not found(tab)
    assert float(shown(tab).split("distance of ")[1].split(",")[0]) == pytest.approx(0.9)
    weak = slide(tab, "eigenvalue", *["PageDown"] * 4)
    text = found(tab)
    assert 0 < weak < 0.25
    assert f"It fades as it nears zero: at -{weak:.3g}" in text
    assert values(text, "e²") == pytest.approx([weak * SHARES[1]], rel=1e-2)
    slide(tab, "eigenvalue", "Home")
    assert "is gone" in found(tab)
    assert shown(tab).startswith("Pole at γ = -1.")
    tab.get_by_role("button", name="More terms").press("Enter")
    assert "16 terms" in shown(tab)
    tab.get_by_role("button", name="Fewer terms").click()
    assert "8 terms" in shown(tab)


def test_pole_and_centre_are_pulled(visit):
    tab = visit("ridge_poles", has_touch=True)
    box = tab.locator("rect.hit").first.bounding_box()

    def place(re):
        return box["x"] + box["width"] * (re + 1.3) / 2.8, box["y"] + 0.4 * box["height"]

    tab.touchscreen.tap(*place(-0.2))
    assert "Poles at γ = -1 and -0.2" in shown(tab)
    tab.mouse.move(*place(-0.2))
    tab.mouse.down()
    tab.mouse.move(*place(-0.1))
    tab.mouse.move(*place(0.5))  # it does not pass zero
    tab.mouse.up()
    assert "is gone" in found(tab)
    tab.touchscreen.tap(*place(1))
    assert "The series about γ = 1 holds up to a distance of 2" in shown(tab)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weak": 2}, "weak must be 0 to 1, got 2"),
        ({"gamma": 0}, "gamma must be 0.05 to 1.5, got 0"),
        ({"terms": 65}, "terms must be at most 64, got 65"),
        ({"shares": (0.7, 0.6)}, r"shares must be two numbers of sum <= 1, got \[0.7, 0.6\]"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.widgets.ridge_poles(**arguments)
