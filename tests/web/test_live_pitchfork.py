"""The live pitchfork against the package, and its law of the square root."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu

E = 0.45


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "pitchfork") as tab:
        yield tab


def test_the_best_order_parameter_is_that_of_the_package(formulas):
    rng = np.random.default_rng(1)
    for _ in range(30):
        k = int(rng.integers(1, 5))
        a, e = np.exp(rng.uniform(-5, 1, k)), rng.normal(size=k)
        N, part = float(rng.uniform(1, 4)), float(rng.uniform(0.05, 1.2))
        m = pu.Moments.from_spectrum(a, e, 1.1 * np.sum(e**2 / a))
        gamma = part * m.signal
        best = formulas.evaluate(
            "([p, g]) => T.best(p, g)", [{"a": a.tolist(), "e": e.tolist(), "D": 1, "N": N}, gamma]
        )
        land = pu.Landscape(m, 1, noise_factor=N)
        assert best == pytest.approx(float(land.global_minimum(gamma).B), rel=1e-9)
        assert (best == 0) == (part >= 1)


def arms(tab):
    """B at the decay, and a quarter as far below the critical point."""
    return values(shown(tab).replace("±", ""), "B")


def test_the_question_is_open_until_the_minimum_splits(visit):
    tab = visit("pitchfork")
    assert values(shown(tab), "γ")[0] == pytest.approx(1.3 * E, rel=1e-3)
    assert "one minimum, B = 0" in shown(tab)
    assert not found(tab)
    slide(tab, "weight decay", *["PageDown"] * 7)
    gamma = values(shown(tab), "γ")[0]
    assert gamma == E  # keys do not pass the critical point
    assert "the critical point. One minimum" in shown(tab)
    assert not found(tab)
    gamma = slide(tab, "weight decay", *["PageDown"] * 2)
    N = slide(tab, "noise factor", "PageUp", "PageUp")
    assert N > 1.05
    text = shown(tab)
    near = values(text, "γ")[1]
    assert near == pytest.approx(E - (E - gamma) / 4, rel=1e-3)
    closed = [np.sqrt((E - g) / N) for g in (gamma, near)]  # isotropic, a = 1
    assert arms(tab) == pytest.approx(closed, rel=2e-3)
    assert "a quarter of the way leaves 0.5 of B" in found(tab)


def test_the_decay_is_set_on_the_drawing_and_snaps(visit):
    tab = visit("pitchfork", has_touch=True)
    box = tab.locator("rect.hit").bounding_box()
    top = pu.widgets.pitchfork().state["limits"]["gamma"][1]
    y = box["y"] + 20
    tab.mouse.click(box["x"] + box["width"] * 0.2 / top, y)
    assert values(shown(tab), "γ")[0] == pytest.approx(0.2, abs=2e-3)
    box = tab.locator("rect.hit").bounding_box()  # the answer stands above
    y = box["y"] + 20
    tab.touchscreen.tap(box["x"] + box["width"] * 0.451 / top, y)
    assert values(shown(tab), "γ")[0] == E


def test_of_unequal_modes_only_the_start_is_a_square_root(visit):
    m = pu.Moments.from_spectrum([1, 0.1], [0.4, 0.2], 1)
    shares = []
    for part in (0.99, 0.3):
        figure = pu.widgets.pitchfork(m, gamma=part * m.signal)
        shares.append(float(found(visit(figure)).split("leaves ")[1].split()[0]))
        land, gamma = pu.Landscape(m, 1), m.signal * np.array([part, (3 + part) / 4])
        outer, inner = land.global_minimum(gamma).B
        assert shares[-1] == pytest.approx(inner / outer, abs=6e-4)
    assert shares[0] == pytest.approx(0.5, abs=2e-3)
    assert shares[1] < 0.45


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"gamma must be 0\.027 to 0.72, got 1"):
        pu.widgets.pitchfork(gamma=1)
    with pytest.raises(ValueError, match="noise_factor must be 1 to 4, got 5"):
        pu.widgets.pitchfork(noise_factor=5)
