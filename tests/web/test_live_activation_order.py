"""The live order at depth one: its formulas against torch and quadrature, and what makes a jump."""

import numpy as np
import pytest
import torch
from live_tabs import formulas_of, found, shown, slide, values

import phase_utils as pu

FUNCTIONS = {
    "linear": lambda z: z,
    "tanh": torch.tanh,
    "SiLU": torch.nn.functional.silu,
    "GELU": torch.nn.functional.gelu,
}
NODES, MASS = np.polynomial.hermite_e.hermegauss(180)
MASS = MASS / MASS.sum()


def inputs(skew):
    return (NODES + skew * (NODES**2 - 1)) / np.sqrt(1 + 2 * skew**2)


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "activation_order") as tab:
        yield tab


def quotient(name, skew, signal, w):
    """b, m and q of one unit, by Gauss and Hermite."""
    x = inputs(skew)
    out = FUNCTIONS[name](torch.from_numpy(w * x)).numpy()
    b, m = MASS @ (signal * x * out), MASS @ out**2
    return b, m, (np.sqrt(m**2 + 4 * (b / w) ** 2) - m) / 2


def test_activations_and_their_derivatives_are_those_of_torch(formulas):
    z = np.append(np.linspace(-9, 9, 61), [1e-3, -30, 30])
    listed = formulas.evaluate(
        "z => T.activations.map(([name, h, ...d]) => [name, z.map(h), d])", z.tolist()
    )
    assert [name for name, _, _ in listed] == list(FUNCTIONS)
    for name, mine, derivatives in listed:
        theirs = FUNCTIONS[name](torch.from_numpy(z)).numpy()
        np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-13)
        at = torch.zeros((), dtype=torch.float64, requires_grad=True)
        value = FUNCTIONS[name](at)
        for expected in derivatives:
            slope = (None,)
            if value.requires_grad:
                slope = torch.autograd.grad(value, at, create_graph=True, allow_unused=True)
            value = torch.zeros(()) if slope[0] is None else slope[0]
            assert float(value.detach()) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_quotient_agrees_with_another_quadrature(formulas, name):
    kind = list(FUNCTIONS).index(name)
    for skew, w in ((0, 0.7), (0.3, -0.9), (1, 0.25)):
        unit = formulas.evaluate(
            "([k, s, w]) => T.unit(T.activations[k], s, 0.45, w)", [kind, skew, w]
        )
        expected = quotient(name, skew, 0.45, w)
        assert [unit[key] for key in ("b", "m", "q")] == pytest.approx(expected, rel=1e-8)


def test_loss_and_norm_are_those_of_a_network(formulas):
    skew, w, gamma = 0.4, 0.6, 0.2
    unit = formulas.evaluate("([s, w]) => T.unit(T.activations[2], s, 0.45, w)", [skew, w])
    state = formulas.evaluate("([u, g]) => T.at(u, g)", [unit, gamma])
    x = inputs(skew)
    out = FUNCTIONS["SiLU"](torch.from_numpy(w * x)).numpy()
    u = np.sqrt(state["R"] - w**2)
    grid = u * np.array([0.99, 1, 1.01])  # the best u, and beside it
    losses = [MASS @ (v * out - 0.45 * x) ** 2 + gamma * (w**2 + v**2) for v in grid]
    assert state["loss"] + 0.45**2 == pytest.approx(losses[1], rel=1e-8)
    assert losses[1] < min(losses[0], losses[2])


def test_the_shift_is_that_of_small_skews_and_zero_for_tanh(formulas):
    ask = "([k, s]) => { const l = T.landau(T.activations[k], s, 0.45);"
    ask += " return [l.shift / l.origin, T.units(k, s, 0.45).star / l.origin - 1]; }"
    for kind in (2, 3):
        estimate, exact = formulas.evaluate(ask, [kind, 0.02])
        assert exact == pytest.approx(estimate, rel=0.05)
        assert exact > 1e-3
    for kind, skew in ((0, 0.5), (1, 0.5), (2, 0), (3, 0)):
        assert formulas.evaluate(ask, [kind, skew]) == pytest.approx([0, 0], abs=1e-12)


def test_the_transition_is_where_another_unit_stops_paying(formulas):
    star = formulas.evaluate("T.units(3, 0.6, 0.45).star")
    w = np.linspace(0.05, 1.6, 3101)
    assert star == pytest.approx(max(quotient("GELU", 0.6, 0.45, v)[2] for v in w), rel=1e-6)
    R = formulas.evaluate("([g]) => T.best(T.units(3, 0.6, 0.45).all, g).R", [0.9 * star])
    b, m, _ = np.array([quotient("GELU", 0.6, 0.45, v) for v in w]).T
    u = b / (m + 0.9 * star)
    i = np.argmin(0.9 * star * w**2 - b * u)
    assert pytest.approx(w[i] ** 2 + u[i] ** 2, rel=2e-3) == R


def test_a_jump_takes_curvature_and_skewed_inputs(visit):
    tab = visit("activation_order")
    assert shown(tab).startswith("tanh, skewness 0: h″(0) = 0, cubic term C = 0.")
    assert "learning pays up to there, too. Here" in shown(tab)
    assert not found(tab)
    slide(tab, "skew", *["PageUp"] * 8)
    assert not found(tab)  # tanh has no curvature
    tab.get_by_role("button", name="SiLU").click()
    assert "together" in found(tab)
    skew = float(tab.get_by_role("slider", name="skew").get_attribute("aria-valuetext"))
    star = max(quotient("SiLU", skew, 0.45, v)[2] for v in np.linspace(0.05, 1.6, 800))
    assert float(shown(tab).split("pays up to ")[1].split(",")[0]) == pytest.approx(star, rel=1e-3)
    relative = slide(tab, "decay", "Home")
    assert values(shown(tab), "R")[0] > 0.1
    assert relative == pytest.approx(0.7)
    slide(tab, "skew", "Home")
    assert not found(tab)  # symmetric inputs have no third moment
    tab.get_by_role("button", name="GELU").press("Enter")
    assert shown(tab).startswith("GELU")
    assert not found(tab)
    box = tab.locator("rect.hit").bounding_box()
    tab.mouse.click(box["x"] + box["width"] * (1 - 0.7) / 0.7, box["y"] + 40)
    assert values(shown(tab), "R")[0] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "ReLU"}, "activation must be one of linear, tanh, SiLU, GELU, got"),
        ({"skew": 2}, "skew must be 0 to 1, got 2"),
        ({"gamma": 0}, r"gamma must be 0\.7 to 1\.4, got 0"),
        ({"signal": 0}, r"signal must be 0\.2 to 1, got 0"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.widgets.activation_order(**arguments)
