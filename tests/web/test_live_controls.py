"""The frame of live figures: what is set is what is shown, by pointer, finger, keys and link.

Of what is the same for all figures two things are asked of each in every run, in turn, and all on
schedule.
"""

import math
from importlib.resources import files

import pytest
from in_browser import PHONE
from in_turn import in_turn
from live_tabs import NAMES, finger, found, shown, slide

import phase_utils as pu


def state(tab):
    """What the sliders show, by the name of the quantity."""
    return tab.locator("[type=range]").evaluate_all(
        "all => Object.fromEntries(all.map(e => [e.name, e.ariaValueText ??"
        " e.getAttribute('aria-valuetext')]))"
    )


def inwards(slider):
    """The key that moves a slider away from the nearer of its ends."""
    return "PageUp" if float(slider.input_value()) < 500 else "PageDown"


def used(tab, key):
    """The value that the drawing uses, from the state that a link would carry."""
    return tab.evaluate(
        "key => Number(new URLSearchParams(location.hash.split('?')[1]).get(key))", key
    )


def drag(tab, label, parts):
    """Drag a slider's thumb through these parts of its length."""
    box = tab.get_by_role("slider", name=label).bounding_box()
    y = box["y"] + box["height"] / 2
    places = [box["x"] + 8 + part * (box["width"] - 16) for part in parts]
    tab.mouse.move(places[0], y)
    tab.mouse.down()
    for x in places[1:]:
        tab.mouse.move(x, y)
    tab.mouse.up()


# what axe-core finds wrong
AXE = """async () => {
  const rules = {"label-content-name-mismatch": {enabled: true}, "target-size": {enabled: true}};
  const found = await axe.run(document, {preload: false, resultTypes: ["violations"], rules});
  return found.violations.flatMap(v => v.nodes.map(n => `${v.id}: ${n.target.join(" ")}`));
}"""
ON_A_PHONE = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
LINEAR = ("landscape", "equation_of_state", "phase_diagram")  # figures with a depth


def arrive(tab, key, label, goal, up):
    """Move a slider until it is at the goal or beyond: by pages, then by arrows from a page off."""
    forth, back, arrow = ("PageUp", "PageDown", "ArrowRight")
    if not up:
        forth, back, arrow = (back, forth, "ArrowLeft")
    sign = 1 if up else -1
    for step, most in ((forth, 40), (arrow, 20)):
        for _ in range(most):
            if sign * slide(tab, label, step) >= sign * goal * (1 - sign * 1e-4):
                break
        assert used(tab, key) == pytest.approx(goal, rel=1e-12), step  # and not over it
        if step == forth:
            assert sign * slide(tab, label, back) < sign * goal


@pytest.mark.parametrize("name", LINEAR)
def test_depth_one_and_two_are_hit_by_switch_slider_and_keys(visit, name):
    tab = visit(name)
    critical = pu.Landscape(pu.Moments.isotropic(), 1).transitions()[0].gamma

    def at_one():
        text = shown(tab)
        assert state(tab)["depth"] == "1"
        assert used(tab, "depth") == 1  # and not 1.0005, a first-order transition
        assert "barrier" not in text
        slide(tab, "weight decay", "End")
        assert "pass at" not in shown(tab)
        arrive(tab, "gamma", "weight decay", critical, up=False)
        assert state(tab)["gamma"] == f"{critical:g}, critical point"

    tab.get_by_role("radio", name="1", exact=True).check()
    at_one()
    tab.get_by_role("button", name="Reset").click()
    drag(tab, "depth", [2 / 6, 0.3, 0.2, 1 / 6 + 0.004])
    at_one()
    tab.keyboard.press("Escape")
    slide(tab, "depth", "Home")
    arrive(tab, "depth", "depth", 1, up=True)
    at_one()
    for step in ("PageUp", "ArrowRight"):  # lost once touched, and found again
        slide(tab, "depth", "PageDown")
        while slide(tab, "depth", step) < 2:
            pass
    assert state(tab)["depth"] == "2"
    radio = tab.get_by_role("radio", name="2", exact=True)
    assert radio.is_checked()
    radio.press("ArrowLeft")
    assert state(tab)["depth"] == "1"


@pytest.mark.parametrize("name", ["landscape", "equation_of_state"])
def test_the_button_says_where_it_leads(visit, name):
    tab = visit(name)
    button = tab.get_by_role("button", name="Go to")
    for depth, words, mark in (
        ("1", "the critical point", "critical point"),
        ("2", "coexistence", "coexistence"),
    ):
        tab.get_by_role("radio", name=depth, exact=True).check()
        assert button.inner_text() == f"Go to {words}"
        button.click()
        assert state(tab)["gamma"].endswith(f", {mark}")
    tab.get_by_role("radio", name="0", exact=True).check()
    assert button.is_disabled()


@pytest.mark.parametrize("name", LINEAR)
def test_coexistence_and_spinodal_are_hit_exactly(visit, name):
    tab = visit(name)
    land = pu.Landscape(pu.Moments.isotropic(), 2)
    change, last = land.transitions()[0].gamma, land.spinodals()[0].gamma
    arrive(tab, "gamma", "weight decay", change, up=True)
    assert state(tab)["gamma"] == f"{change:.5g}, coexistence"
    arrive(tab, "gamma", "weight decay", last, up=True)
    assert state(tab)["gamma"] == f"{last:.5g}, spinodal"
    # values between are those shown, of three digits
    beyond = slide(tab, "weight decay", "ArrowRight")
    assert used(tab, "gamma") == beyond == float(f"{beyond:.3g}")
    # dragging near is enough
    lo, hi = getattr(pu.widgets, name)().state["limits"]["gamma"]
    part = math.log(change / lo) / math.log(hi / lo)
    drag(tab, "weight decay", [0.9, 0.8, part + 0.003])
    assert used(tab, "gamma") == pytest.approx(change, rel=1e-12)


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 0))
def test_a_figure_begins_with_an_open_question_and_is_reset_to_it(visit, name):
    tab = visit(name)
    question = tab.locator(".ask")
    assert question.inner_text().strip().endswith(("?", "."))
    assert question.bounding_box()["y"] < tab.locator(".draw").bounding_box()["y"]
    assert found(tab) == ""
    start, text = state(tab), shown(tab)
    button = tab.get_by_role("button", name="Reset")
    slider = tab.get_by_role("slider").first
    for reset in (button.click, lambda: slider.press("Escape")):
        assert button.is_disabled()
        slider.press(inwards(slider))
        assert state(tab) != start
        reset()
        assert (state(tab), shown(tab)) == (start, text)
        assert "?" not in tab.url


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 1))
def test_a_link_brings_the_state_back(visit, name):
    tab = visit(name, new=True)
    slider = tab.get_by_role("slider").first
    for key in (inwards(slider), "ArrowLeft", "ArrowLeft"):
        slider.press(key)
    moved, text, url = state(tab), shown(tab), tab.url
    assert f"#{name}?" in url
    assert tab.evaluate("history.length") <= 2  # nothing to go back through
    tab.reload()
    assert (state(tab), shown(tab), tab.url) == (moved, text, url)
    # an address typed into the same page, and one that says what cannot be
    tab.evaluate("location.hash = ''")
    tab.get_by_role("button", name="Reset").click()
    tab.evaluate("url => { location.href = url; }", url)
    tab.wait_for_function(
        "text => document.querySelector('.live').shadowRoot"
        ".querySelector('[aria-live]').textContent.length > 0",
        arg=text,
    )
    assert shown(tab) == text
    key = tab.locator("[type=range]").first.get_attribute("name")
    tab.evaluate("hash => { location.hash = hash; }", f"{name}?{key}=1e9&a=7&{key}x=2")
    tab.wait_for_timeout(50)
    highest = getattr(pu.widgets, name)().state["limits"][key][1]
    assert float(state(tab)[key].split(",")[0]) == pytest.approx(highest, rel=1e-4)
    tab.evaluate("hash => { location.hash = hash; }", f"{name}?{key}=<b>")
    tab.wait_for_timeout(50)
    assert tab.locator(".live b:not([role])").count() == 0


def test_a_link_leads_to_its_figure_and_writing_it_never_scrolls(visit, tmp_path):
    body = f"<div style='height:3000px'></div>{pu.widgets.landscape()._repr_html_()}"
    tab = visit("landscape")
    path = tmp_path / "long.html"
    path.write_text(f"<!doctype html><meta charset=utf-8><body>{body}", encoding="utf-8")
    tab.goto(path.as_uri() + "#landscape?depth=1")
    tab.wait_for_function("scrollY > 1000")
    assert state(tab)["depth"] == "1"
    tab.evaluate("scrollTo(0, 2950)")
    before = tab.evaluate("scrollY")
    drag(tab, "weight decay", [0.5, 0.6, 0.7])
    assert used(tab, "gamma") > 0
    assert tab.evaluate("scrollY") == before


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 2))
def test_a_finger_scrolls_over_a_drawing_or_moves_its_point(visit, name):
    tab = visit(name, **ON_A_PHONE)
    tab.evaluate("document.body.style.paddingBottom = '2000px'")
    areas, drawing = tab.locator("rect.hit"), tab.locator(".draw")
    box = (areas if areas.count() else drawing).first.bounding_box()
    x, y = box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2
    start = drawing.inner_html()
    ways = {
        "tap": lambda: tab.touchscreen.tap(x, y),
        "sideways": lambda: finger(tab, (x, y), (x + 80, y - 20)),
        "held": lambda: finger(tab, (x, y), (x + 4, y - 150), rest=500),
    }
    for way, touch in ways.items() if areas.count() else ():  # else it has sliders alone
        touch()
        assert tab.evaluate("scrollY") == 0, way
        assert drawing.inner_html() != start, way
        tab.get_by_role("button", name="Reset").evaluate("e => e.click()")  # without scrolling
        assert drawing.inner_html() == start, way
    finger(tab, (x, y), (x + 4, y - 150))
    tab.wait_for_function("scrollY > 60")
    assert drawing.inner_html() == start, "up"


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 3))
def test_targets_of_a_phone_are_large_and_stay_in_view(visit, name):
    # a page of the book has a figure in a cell's output, which scrolls sideways
    tab = visit(name, "<div class='output' style='overflow-x:auto'>{}</div>", **ON_A_PHONE)
    if tab.locator("summary").count():
        tab.locator("summary").click()
    for target in tab.locator(".live :is(input, button, summary)").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 44, target
    for slider in tab.get_by_role("slider").all():
        box = slider.bounding_box()
        assert 0 < box["y"] < box["y"] + box["height"] <= PHONE["height"] + 1


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 4))
def test_axe_finds_nothing_in_either_theme(visit, name):
    tab = visit(name, "<main><h1>Live</h1>{}</main>")
    if tab.locator("summary").count():
        tab.locator("summary").click()
    tab.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    for theme in ("light", "dark"):
        tab.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        assert tab.evaluate(AXE) == []


@pytest.mark.parametrize("theme", ["pst", "jp"])
def test_colours_follow_the_theme_of_the_book_and_of_jupyterlab(visit, theme):
    tab = visit("landscape")
    line = tab.locator(".live path.curve").first
    lit = line.evaluate("e => getComputedStyle(e).stroke")
    tab.evaluate(
        """theme => {
          const page = document.documentElement;
          if (theme === "pst") { page.dataset.theme = "dark"; return; }
          page.removeAttribute("data-theme");
          page.style.setProperty("--pst-color-background", "initial");
          page.style.setProperty("--jp-layout-color0", "rgb(17, 17, 17)");
          document.body.dataset.jpThemeLight = "false";
        }""",
        theme,
    )
    assert line.evaluate("e => getComputedStyle(e).stroke") != lit
    paper = tab.locator(".live svg text").first.evaluate("e => getComputedStyle(e).stroke")
    assert paper == ("rgb(20, 24, 30)" if theme == "pst" else "rgb(17, 17, 17)")


def test_the_rules_of_a_page_end_at_the_figure(visit):
    tab = visit("landscape")
    tab.add_style_tag(content="p, label, button, input { margin: 99px; font-size: 50px }")
    sizes = "es => es.map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert max(tab.locator(".live :is(p, label, button)").evaluate_all(sizes)) < 20


@pytest.mark.parametrize("name", in_turn(NAMES, 3, 5))
def test_every_value_that_is_shown_is_the_one_that_is_used(visit, name):
    tab = visit(name)
    if tab.locator("summary").count():
        tab.locator("summary").click()
    for slider in tab.get_by_role("slider").all():
        key = slider.get_attribute("name")
        for move in ("PageUp", "ArrowLeft", "ArrowDown", "drag"):
            before = slider.get_attribute("aria-valuetext")
            if move == "drag":
                box = slider.bounding_box()
                tab.mouse.click(box["x"] + 0.437 * box["width"], box["y"] + box["height"] / 2)
            else:
                slider.press(move)
            said = slider.get_attribute("aria-valuetext")
            value, _, mark = said.partition(", ")
            if said != before:
                shown_is = pytest.approx(used(tab, key), rel=1e-4 if mark else 1e-12)
                assert float(value.replace("−", "-")) == shown_is, (key, move)
            assert slider.evaluate("e => e.labels[0].querySelector('output').innerText") == value
