"""The live ray of a residual network: paths, and a plain chain against the package's landscape."""

import numpy as np
import pytest
from live_tabs import formulas_of, found, shown, slide, values
from scipy.optimize import minimize_scalar

import phase_utils as pu
from phase_utils.chapters.live import residual_ray

STATE = pu.widgets.residual_ray().state


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "residual_ray") as tab:
        yield tab


@pytest.mark.parametrize("hidden", [2, 3, 7])
def test_without_branches_it_is_a_chain_of_matrices(formulas, hidden):
    given = {"n": hidden - 1, "m": hidden - 1, "c": 0}
    pays, ends = formulas.evaluate("P => [T.pays(P), T.ends(P)]", given)
    land = pu.Landscape(pu.Moments.isotropic(signal=1.0), hidden)
    change, (end,) = land.transitions()[0], land.spinodals()
    # there |w|^2 is D + 1 where the output is one
    assert pays["gamma"] == pytest.approx((hidden + 1) * change.gamma, rel=1e-9)
    assert pays["a"] == pytest.approx(change.B_below, rel=1e-6)
    assert ends["gamma"] == pytest.approx((hidden + 1) * end.gamma, rel=1e-9)


@pytest.mark.parametrize(("matrices", "branch"), [(0, 0.3), (3, 1.0), (8, 4.0)])
def test_the_exponent_goes_from_the_shortest_to_the_longest_path(formulas, matrices, branch):
    given = {"n": 8, "m": matrices, "c": branch}
    state = {"blocks": 8, "matrices": matrices, "branch": branch}
    ask = "([P, all]) => all.map((a) => [T.output(P, a), T.depth(P, a)])"
    scales = [1e-6, 0.2, 1, 3, 1e6]
    answers = np.array(formulas.evaluate(ask, [given, scales]))
    np.testing.assert_allclose(answers[:, 0], residual_ray.output(state, scales), rtol=1e-9)
    h = 1e-5
    up, down = (np.log(residual_ray.output(state, np.multiply(scales, np.exp(x)))) for x in (h, -h))
    np.testing.assert_allclose(answers[:, 1], (up - down) / (2 * h), rtol=1e-6)
    np.testing.assert_allclose(answers[[0, -1], 1], [2 + matrices, 18], atol=1e-4)


def test_the_wall_goes_with_the_last_matrix(visit):
    tab = visit("residual_ray", has_touch=True)

    def agrees(matrices, gamma, branch):
        text = shown(tab)
        state = {**STATE, "matrices": matrices, "branch": branch}
        assert f"Paths of {2 + matrices} to 18" in text

        def quotient(a):
            f = residual_ray.output(state, a)
            return -float(f * (2 - f) / a**2)

        first = minimize_scalar(quotient, bounds=(0.5, 1), method="bounded")
        pays, now = values(text, "γ")[:2]
        assert pays == pytest.approx(-first.fun, rel=1e-3)
        assert now == pytest.approx(gamma, rel=1e-2)
        grid = np.linspace(0, 1.1, 20001)
        f = residual_ray.output(state, grid)
        total = f * (f - 2) + now * grid**2
        slope = np.sign(np.diff(total))
        walls = int(np.sum((slope[:-1] > 0) & (slope[1:] < 0)))
        assert tab.locator("circle.top").count() == walls
        assert bool(found(tab)) == (matrices == 0)

    agrees(3, STATE["gamma"], STATE["branch"])
    for left in (2, 1, 0):
        tab.get_by_role("button", name="One matrix less").press("Enter")
        agrees(left, STATE["gamma"], STATE["branch"])
    assert tab.get_by_role("button", name="One matrix less").is_disabled()
    gamma = slide(tab, "weight decay", "Home")
    agrees(0, gamma, STATE["branch"])
    branch = slide(tab, "branch", *["PageUp"] * 3)
    agrees(0, gamma, branch)
    tab.get_by_role("button", name="One more").click()
    agrees(1, gamma, branch)
    box = tab.locator("rect.hit").bounding_box()
    tab.touchscreen.tap(box["x"] + box["width"] * 0.96 / 1.1, box["y"] + 40)
    state, h = {**STATE, "matrices": 1, "branch": branch}, 1e-5
    f, up, down = (float(residual_ray.output(state, 0.96 + x)) for x in (0, h, -h))
    agrees(
        1, (up - down) / (2 * h) * (1 - f) / 0.96, branch
    )  # f (2 - f) and gamma a^2 have one slope
