"""The frame of live figures: what is set is what is shown, by pointer, finger, keys and link."""

import math
from importlib.resources import files

import pytest
from in_browser import PHONE
from live_tabs import NAMES, PAGE, finger, found, html, shown, slide

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
LINEAR = ("landscape", "equation_of_state", "phase_diagram")  # figures with a depth


@pytest.mark.parametrize("name", LINEAR)
def test_depth_one_and_two_are_hit_by_switch_slider_and_keys(visit, name):
    tab = visit(name)
    critical = pu.Landscape(pu.Moments.isotropic(), 1).transitions()[0].gamma

    def at_one():
        text = shown(tab)
        assert state(tab)["depth"] == "1"
        assert used(tab, "depth") == 1  # and not 1.0005, a first-order transition
        assert "barrier" not in text
        slide(tab, "weight decay", *["PageUp"] * 30)
        assert "pass at" not in shown(tab)
        for _ in range(90):  # arrows land on the critical point
            if slide(tab, "weight decay", "ArrowLeft") == critical:
                break
        assert used(tab, "gamma") == pytest.approx(critical, rel=1e-12)
        assert state(tab)["gamma"] == f"{critical:g}, critical point"

    tab.get_by_role("radio", name="1", exact=True).check()
    at_one()
    tab.get_by_role("button", name="Reset").click()
    drag(tab, "depth", [2 / 6, 0.3, 0.2, 1 / 6 + 0.004])
    at_one()
    tab.keyboard.press("Escape")
    slide(tab, "depth", *["PageDown"] * 6)
    while slide(tab, "depth", "ArrowRight") < 1:
        pass
    at_one()
    while slide(tab, "depth", "ArrowRight") < 2:  # lost once touched, and found again
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
    for _ in range(60):
        if slide(tab, "weight decay", "ArrowRight") > 0.999 * change:
            break
    assert used(tab, "gamma") == pytest.approx(change, rel=1e-12)
    assert state(tab)["gamma"] == f"{change:.5g}, coexistence"
    for _ in range(60):
        if slide(tab, "weight decay", "ArrowRight") > 0.999 * last:
            break
    assert used(tab, "gamma") == pytest.approx(last, rel=1e-12)
    assert state(tab)["gamma"] == f"{last:.5g}, spinodal"
    # values between are those shown, of three digits
    beyond = slide(tab, "weight decay", "ArrowRight")
    assert used(tab, "gamma") == beyond == float(f"{beyond:.3g}")
    # dragging near is enough
    lo, hi = getattr(pu.widgets, name)().state["limits"]["gamma"]
    part = math.log(change / lo) / math.log(hi / lo)
    drag(tab, "weight decay", [0.9, 0.8, part + 0.003])
    assert used(tab, "gamma") == pytest.approx(change, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_is_reset_by_a_key_and_a_button(visit, name):
    tab = visit(name)
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


@pytest.mark.parametrize("name", NAMES)
def test_a_link_brings_the_state_back(visit, name):
    tab = visit(name)
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["up", "sideways", "held", "tap"])
def test_a_finger_scrolls_over_a_drawing_or_moves_its_point(visit, name, way):
    tab = visit(name, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.evaluate("document.body.style.paddingBottom = '2000px'")
    areas, drawing = tab.locator("rect.hit"), tab.locator(".draw")
    if way != "up" and not areas.count():
        return  # a figure with sliders alone
    box = (areas if areas.count() else drawing).first.bounding_box()
    x, y = box["x"] + 0.4 * box["width"], box["y"] + box["height"] / 2
    before = drawing.inner_html()
    if way == "tap":
        tab.touchscreen.tap(x, y)
    else:
        end = (x + 80, y - 20) if way == "sideways" else (x + 4, y - 150)
        finger(tab, (x, y), end, rest=500 if way == "held" else 0)
    if way == "up":
        tab.wait_for_function("scrollY > 60")
    else:
        assert tab.evaluate("scrollY") == 0
    assert (drawing.inner_html() == before) == (way == "up")


@pytest.mark.parametrize("name", NAMES)
def test_targets_of_a_phone_are_large_and_stay_in_view(visit, name, tmp_path):
    # a page of the book has a figure in a cell's output, which scrolls sideways
    body = f"<div class='output' style='overflow-x:auto'>{html(name)}</div>"
    path = tmp_path / "cell.html"
    path.write_text(PAGE.format(body=body), encoding="utf-8")
    tab = visit(name, viewport=PHONE, has_touch=True, is_mobile=True)
    tab.goto(path.as_uri())
    if tab.locator("summary").count():
        tab.locator("summary").click()
    for target in tab.locator(".live :is(input, button, summary)").all():
        box = target.bounding_box()
        assert min(box["width"], box["height"]) >= 44, target
    for slider in tab.get_by_role("slider").all():
        box = slider.bounding_box()
        assert 0 < box["y"] < box["y"] + box["height"] <= PHONE["height"] + 1


@pytest.mark.parametrize("name", NAMES)
def test_axe_finds_nothing_in_either_theme(visit, name, tmp_path):
    path = tmp_path / "whole.html"
    body = f"<main><h1>Live</h1>{html(name)}</main>"
    path.write_text(PAGE.format(body=body), encoding="utf-8")
    tab = visit(name)
    tab.goto(path.as_uri())
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


@pytest.mark.parametrize("name", NAMES)
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


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_asks_what_is_not_answered_at_its_start(visit, name):
    tab = visit(name)
    question = tab.locator(".ask")
    assert question.inner_text().strip().endswith(("?", "."))
    assert question.bounding_box()["y"] < tab.locator(".draw").bounding_box()["y"]
    assert found(tab) == ""
