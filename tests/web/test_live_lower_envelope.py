"""The live lower envelope: its pieces against all lines at once, and that no line makes it jump."""

import numpy as np
import pytest
from in_browser import DESKTOP, PHONE
from live_tabs import finger, formulas_of, found, shown, slide, values

import phase_utils as pu

LIMITS = pu.widgets.lower_envelope().state["limits"]


@pytest.fixture(scope="module")
def formulas(browser):
    with formulas_of(browser, "lower_envelope") as tab:
        yield tab


def test_pieces_are_the_least_of_all_lines(formulas):
    rng = np.random.default_rng(1)
    kinks = 0
    for _ in range(100):
        lines = rng.uniform(0, 2, (int(rng.integers(2, 6)), 2))
        pieces = formulas.evaluate("l => T.envelope(l, 1)", lines.tolist())
        starts, best = np.array([g for g, _ in pieces]), np.array([i for _, i in pieces])
        gamma = np.sort(np.append(starts, rng.uniform(0, 1, 200)))
        inside = best[np.searchsorted(starts, gamma, side="right") - 1]
        losses = lines[:, :1] + lines[:, 1:] * gamma
        least = losses[inside, range(len(gamma))]
        np.testing.assert_allclose(least, losses.min(axis=0), rtol=0, atol=1e-12)
        assert np.all(np.diff(lines[best, 1]) < 0)  # the slope only falls
        kinks += len(pieces) - 1
    assert kinks > 20


def test_equal_starts_and_equal_slopes_have_one_best(formulas):
    ask = "l => T.envelope(l, 1)"
    assert formulas.evaluate(ask, [[0.5, 1], [0.5, 0.2]]) == [[0, 1]]
    assert formulas.evaluate(ask, [[0.5, 1], [0.4, 1]]) == [[0, 1]]
    # three lines through one point: the flattest takes over
    assert formulas.evaluate(ask, [[0.125, 0.75], [0.25, 0.5], [0.5, 0]]) == [[0, 0], [0.5, 2]]


def envelope_of(lines):
    """Where the lowest of three lines changes, and its slopes."""
    gamma = np.linspace(0, 1, 200_001)
    best = np.argmin(lines[:, :1] + lines[:, 1:] * gamma, axis=0)
    new = np.flatnonzero(np.diff(best, prepend=-1))
    return gamma[new[1:]], lines[best[new], 1]


def agrees(tab, lines):
    text = shown(tab)
    kinks, slopes = envelope_of(np.array(lines))
    if not len(kinks):
        assert text.endswith("L is one line.")
        assert not found(tab)
        return
    places = [float(v) for v in text.split("kink")[1].split("γ = ")[1].split(", two")[0].split(",")]
    assert places == pytest.approx(kinks.tolist(), abs=2e-3)
    said = [float(v) for v in found(tab).split("only falls: ")[1].rstrip(".").split(", then ")]
    assert said == pytest.approx(slopes.tolist(), abs=6e-3)
    assert "does not jump" in found(tab)


def test_the_question_stands_before_a_line_is_moved_and_the_answer_after(visit):
    tab = visit("lower_envelope")
    lines = [list(line) for line in pu.widgets.lower_envelope().state["lines"]]
    agrees(tab, lines)
    assert values(shown(tab), "L") == pytest.approx([0.5])
    lines[1][1] = slide(tab, "norm", "Home", "ArrowRight")
    agrees(tab, lines)
    assert "kink" in shown(tab)
    tab.get_by_role("button", name="Next network").press("Enter")
    lines[2][0] = slide(tab, "data loss", "Home", "PageUp")
    lines[2][1] = slide(tab, "norm", "End")
    agrees(tab, lines)
    gamma = slide(tab, "weight decay", "PageDown", "PageDown")
    assert values(shown(tab), "γ")[0] == pytest.approx(gamma, abs=1e-3)


def test_lines_are_lifted_and_turned_by_finger(visit):
    tab = visit("lower_envelope", has_touch=True)
    lines = [list(line) for line in pu.widgets.lower_envelope().state["lines"]]
    box = tab.locator("rect.hit").first.bounding_box()
    x, y, w, h = box["x"] + 12, box["y"], box["width"] - 24, box["height"]
    high = 1.25 * LIMITS["loss"][1]

    def at(gamma, loss):
        return x + w * gamma, y + h * (1 - loss / high)

    finger(tab, at(0.8, lines[1][0] + 0.8 * lines[1][1]), at(0.8, 0.3), rest=500)
    lines[1][1] = 0  # a slope below zero is none of a norm
    agrees(tab, lines)
    finger(tab, at(0.02, lines[2][0]), at(0.1, 0.2), rest=500)
    lines[2][0] = 0.2
    agrees(tab, lines)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_drawing_stays_in_its_place_when_the_answer_appears(visit, size):
    tab = visit("lower_envelope", viewport=size)
    drawing = tab.locator("svg[role=img]").last
    before = drawing.bounding_box()
    slide(tab, "norm", "Home")
    assert found(tab)  # else a line that is being pulled would leave the pointer
    assert drawing.bounding_box() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lines": [(0.1, 1)]}, r"lines must have shape \(2 to 5, 2\), got \(1, 2\)"),
        ({"lines": [(0.1, 1), (2, 1)]}, r"lines\[:, 0\] must be 0 to 1.2, got 2"),
        ({"lines": [(0.1, 1), (1, 9)]}, r"lines\[:, 1\] must be 0 to 2, got 9"),
        ({"gamma": 1.5}, "gamma must be 0 to 1, got 1.5"),
    ],
)
def test_bad_input_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        pu.widgets.lower_envelope(**arguments)
