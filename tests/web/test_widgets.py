"""Live figures against the package: their formulas, what they say when moved, and where they run.

The pages are made of `_repr_html_` alone and opened as files, without the network.
"""

import base64
import json
import re

import numpy as np
import pytest
import torch
from in_browser import PHONE
from live_tabs import NAMES, finger, formulas_of, found, shown, slide, values
from scipy.integrate import solve_ivp

import phase_utils as pu
from phase_utils.chapters.execution import STATIC
from phase_utils.chapters.live import scripts as live_scripts

# all that the formulas say about one problem
ASK = """(problems) => problems.map(([p, gamma, B]) => {
  const pieces = T.branches(p);
  return { loss: T.loss(p, B, gamma), points: T.stationary(p, gamma, pieces),
           ends: T.spinodals(pieces), jumps: T.transitions(p) };
})"""


@pytest.fixture(scope="module")
def formulas(browser):
    """A tab in which T holds the formulas of the figures of linear networks."""
    with formulas_of(browser, "transitions", "phase_diagram") as tab:
        yield tab


def problem(rng, modes=None, depth=None):
    """Random spectrum, real depth and noise: for the browser, and the package's landscape."""
    k = modes or int(rng.integers(1, 5))
    a = np.exp(rng.uniform(np.log(1e-3), np.log(3), k))
    e = 0.5 * rng.normal(size=k) * np.sqrt(a)
    D = float(rng.choice([rng.uniform(0.5, 6), 1, 2, 3])) if depth is None else depth
    N = float(rng.uniform(1, 4))
    m = pu.Moments.from_spectrum(a, e, 1.1 * np.sum(e**2 / a))
    given = {"a": a.tolist(), "e": e.tolist(), "D": D, "N": N}
    return given, pu.Landscape(m, D, noise_factor=N)


def test_formulas_agree_with_the_package(formulas):
    rng = np.random.default_rng(1)
    asked = []
    for _ in range(60):
        given, land = problem(rng)
        gamma = land.moments.signal * float(np.exp(rng.uniform(-4, 0.3)))
        asked.append((given, land, gamma, float(rng.uniform(0.05, 2))))
    answers = formulas.evaluate(ASK, [[given, gamma, B] for given, _, gamma, B in asked])
    counts = [0, 0, 0]
    for (_, land, gamma, B), answer in zip(asked, answers, strict=True):
        scale, zero = land.moments.Eyy, land.moments.Eyy
        assert answer["loss"] + zero == pytest.approx(float(land.loss(B, gamma)), rel=1e-9)
        inner = [s for s in answer["points"] if s["B"] > 0]
        places, kinds = land.stationary(gamma)
        assert [s["kind"] for s in inner] == kinds.tolist()
        assert [s["B"] for s in inner] == pytest.approx(places.tolist(), rel=1e-9)
        losses = np.array([float(land.loss(place, gamma)) for place in places]) - zero
        assert [s["loss"] for s in inner] == pytest.approx(losses.tolist(), abs=1e-9 * scale)
        minima = [s["B"] for s in answer["points"] if s["kind"] < 0]
        assert minima == pytest.approx(land.minima(gamma).tolist(), rel=1e-9)
        ends = [s.gamma for s in land.spinodals()]
        assert [s["gamma"] for s in answer["ends"]] == pytest.approx(ends, rel=1e-9)
        jumps = [t for t in land.transitions() if t.order == 1]
        assert len(jumps) == len(answer["jumps"])
        for mine, theirs in zip(jumps, answer["jumps"], strict=True):
            heat = theirs["gamma"] * (theirs["below"]["R"] - theirs["above"]["R"])
            assert theirs["gamma"] == pytest.approx(mine.gamma, rel=1e-9)
            assert theirs["below"]["B"] == pytest.approx(mine.B_below, rel=1e-9)
            assert theirs["above"]["B"] == pytest.approx(mine.B_above, rel=1e-9)
            assert heat == pytest.approx(mine.latent_heat, rel=1e-9)
            assert theirs["barrier"] == pytest.approx(mine.barrier, abs=1e-9 * scale)
        counts = np.add(counts, [len(inner) > 1, bool(jumps), len(jumps) > 1])
    assert min(counts) >= 3  # the random problems had loops, jumps and cascades


def test_closed_forms_and_balanced_loss_agree_with_the_package(formulas):
    rng = np.random.default_rng(2)
    for _ in range(20):
        given, land = problem(rng, modes=1, depth=float(rng.uniform(1.1, 6)))
        found = formulas.evaluate("p => [T.coexistence(p), T.spinodal(p)]", given)
        expected = [land.transitions()[0].gamma, land.spinodals()[0].gamma]
        assert found == pytest.approx(expected, rel=1e-9)
        fitted = land.moments.signal / (given["N"] * given["a"][0])
        B = float(rng.uniform(0.05, 1)) * fitted ** (1 / (given["D"] + 1))
        gamma = float(rng.uniform(0.1, 1.5)) * expected[0]
        loss = formulas.evaluate("([p, B, g]) => T.balanced(p, B, g)", [given, B, gamma])
        expected = float(land.balanced_loss(B, gamma)) - land.moments.Eyy
        assert loss == pytest.approx(expected, abs=1e-9 * land.moments.Eyy)


def test_without_a_hidden_layer_the_curve_is_a_slice_of_ridge_regression(formulas):
    rng = np.random.default_rng(3)
    for _ in range(10):
        given, land = problem(rng, depth=0)
        a, e = land.noise_factor * np.array(given["a"]), np.array(given["e"])
        gamma, B = float(rng.uniform(0.02, 1)), float(rng.uniform(0.05, 2))
        best = np.linalg.solve(np.diag(a + gamma), e)
        w = B * best / np.linalg.norm(best)
        found = formulas.evaluate(
            "([p, g, B]) => [T.loss(p, B, g), T.stationary(p, g)]", [given, gamma, B]
        )
        assert found[0] == pytest.approx(w @ (a * w) - 2 * w @ e + gamma * w @ w, rel=1e-9)
        (point,) = found[1]
        assert point["B"] == pytest.approx(np.linalg.norm(best), rel=1e-9)
        assert point["loss"] == pytest.approx(-best @ e, rel=1e-9)


def test_the_critical_point_is_a_minimum_for_either_rounding_of_its_decay(formulas):
    for gamma in (0.45, np.nextafter(0.45, 1), np.nextafter(0.45, 0)):
        ask = "g => T.stationary({ a: [1, 1], e: [0.43874821936960606, 0.1], D: 1, N: 1 }, g)"
        found = formulas.evaluate(ask, float(gamma))
        assert min(point["B"] for point in found) == 0


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_velocity_is_that_of_a_network_under_gradient_flow(formulas, depth):
    E, width, B, gamma, noise = 0.45, 4, 0.53, 0.11, 0.5
    m = pu.Moments.isotropic(3, signal=E)
    network = pu.LinearNetwork(m, depth, width, noise_variance=noise)
    ones = torch.ones(1, width, width, dtype=torch.float64)
    direction = torch.from_numpy(m.Exy / E).reshape(1, 1, 3)
    weights = [B / np.sqrt(width) * ones[:, :, :1] @ direction]
    weights += [B / width * ones] * (depth - 1) + [B / np.sqrt(width) * ones[:, :1]]
    _, gradient = network.value_and_gradient(weights, torch.tensor([gamma], dtype=torch.float64))
    N = (1 + noise / width) ** depth
    given = [{"a": [1], "e": [E], "D": depth, "N": N}, B, gamma]
    v = formulas.evaluate("([p, B, g]) => T.velocity(p, B, g)", given)
    for w, g in zip(weights, gradient, strict=True):  # every layer changes its norm alike
        torch.testing.assert_close(-g, w * (v / B), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("depth", "B"), [(0.7, 0.05), (1, 0.02), (2, 0.9), (2, 0.2), (4.3, 1.1)])
def test_flow_agrees_with_an_integrator(formulas, depth, B):
    gamma, given = 0.12, {"a": [1], "e": [0.45], "D": depth, "N": 1.3}
    track = formulas.evaluate("([p, B, g]) => T.flow(p, B, g)", [given, B, gamma])
    times, found = np.array(track).T / np.array([[2 * gamma], [1]])

    def velocity(_, x):
        x = np.maximum(x, 0)
        return 2 * (0.45 * x**depth - 1.3 * x ** (2 * depth + 1) - gamma * x)

    run = solve_ivp(velocity, (0, times[-1]), [B], t_eval=times, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found, run.y[0], rtol=1e-5, atol=1e-6)
    land = pu.Landscape(pu.Moments.isotropic(), depth, noise_factor=1.3)
    assert np.abs(land.minima(gamma) - found[-1]).min() < 2e-3


def test_landscape_is_read_and_moved(visit):
    tab = visit("landscape", has_touch=True)
    figure = pu.widgets.landscape()
    lo, hi = figure.state["limits"]["gamma"]
    isotropic = pu.Landscape(pu.Moments.isotropic(), 2)
    change = isotropic.transitions()[0]
    text = shown(tab)
    gamma = figure.state["gamma"]
    assert gamma == float(f"{0.7 * change.gamma:.3g}")  # what is asked for is left to be found
    ends = [change.gamma, isotropic.spinodals()[0].gamma]
    assert values(text, "γ") == pytest.approx([gamma, *ends], rel=1e-3)
    assert values(text, "B") == pytest.approx(isotropic.minima(gamma).tolist(), rel=1e-3)
    assert found(tab) == ""
    tab.get_by_role("button", name="Go to coexistence").click()
    text = shown(tab)
    assert values(text, "B") == pytest.approx([0, change.B_below], rel=1e-3)
    assert f"from B = {change.B_below:.4g} to 0" in found(tab)
    assert text.count("(global)") == 2
    assert float(re.search(r"barrier ([\d.]+)", text)[1]) == pytest.approx(change.barrier, rel=1e-3)

    gamma = slide(tab, "weight decay", *["ArrowLeft"] * 4, "PageDown")
    assert lo < gamma < hi
    text = shown(tab)
    assert gamma < 0.9 * change.gamma
    assert values(text, "γ")[0] == pytest.approx(gamma, rel=1e-3)
    assert values(text, "B") == pytest.approx(isotropic.minima(gamma).tolist(), rel=1e-3)
    assert "0 (metastable)" in text

    D = slide(tab, "depth", "PageUp", "ArrowRight")
    assert D == 2.22
    tab.get_by_text("More").click()
    N = slide(tab, "noise factor", "PageUp")
    power = slide(tab, "anisotropy", "End", "ArrowLeft")
    assert (N, power) == (1.1, 0.99)
    e = np.array([np.sqrt(0.1925), 0.1])
    a = np.array([1, 0.01]) ** power
    land = pu.Landscape(pu.Moments.from_spectrum(a, e, np.sum(e**2 / a)), D, noise_factor=N)
    text = shown(tab)
    assert values(text, "B") == pytest.approx(land.minima(gamma)[::1].tolist(), rel=1e-3)
    jumps, ends = land.transitions(), land.spinodals()
    listed = [float(v) for v in re.findall(r"[\d.]+\d", text[text.index("Coexistence") :])]
    assert listed == pytest.approx([t.gamma for t in (*jumps, *ends)], rel=1e-3)

    tab.get_by_role("button", name="Go to coexistence").press("Enter")
    assert values(shown(tab), "γ")[0] == pytest.approx(jumps[-1].gamma, rel=1e-3)

    # the axis of gamma: a quarter and three quarters of its length, mouse and touch
    box = tab.locator("rect.hit").bounding_box()
    x, y = box["x"] + 10, box["y"] + box["height"] / 2
    length = box["width"] - 20
    far = 1.3 * ends[-1].gamma
    tab.mouse.move(x + 0.5 * length, y)
    tab.mouse.down()
    for part in (0.4, 0.3, 0.25):
        tab.mouse.move(x + part * length, y)
    tab.mouse.up()
    tab.mouse.move(x + 0.6 * length, y)  # no longer held
    assert values(shown(tab), "γ")[0] == pytest.approx(0.25 * far, rel=0.01)
    finger(tab, (x + 0.4 * length, y), (x + 0.75 * length, y))
    assert values(shown(tab), "γ")[0] == pytest.approx(0.75 * far, rel=0.01)


@pytest.mark.parametrize(("keys", "said"), [(["Home"], "No transition"), ([], "Coexistence")])
def test_depth_decides_what_the_landscape_says(visit, keys, said):
    tab = visit("landscape")
    slide(tab, "depth", *keys)
    assert said in shown(tab)
    assert tab.get_by_role("button", name="coexistence").is_enabled() == (said == "Coexistence")


def test_equation_of_state_is_read_and_moved(visit):
    tab = visit("equation_of_state", has_touch=True)
    land = pu.Landscape(pu.Moments.isotropic(), 2)
    change = land.transitions()[0]

    def agrees(gamma):
        text = shown(tab)
        B, _ = land.stationary(gamma)
        assert values(text, "γ")[0] == pytest.approx(gamma, rel=0.01)
        gamma = values(text, "γ")[0]
        B, _ = land.stationary(gamma)
        R = [0, *(3 * B**2)]
        assert values(text, "R") == pytest.approx(R, rel=2e-3)
        losses = [0, *(land.loss(B, gamma) - land.moments.Eyy)]
        areas = [float(v) for v in re.findall(r"curve: ([\d.]+), ([\d.]+)", text)[0]]
        assert areas == pytest.approx(np.abs(np.diff(losses)).tolist(), rel=3e-3)
        assert ("equal, the phases coexist" in text) == (abs(gamma / change.gamma - 1) < 1e-3)
        least = values(text, "E\\[y²\\]")[0]
        expected = float(land.global_minimum(gamma).loss) - land.moments.Eyy
        assert least == pytest.approx(expected, abs=1e-4)  # gamma is read to four digits

    agrees(pu.widgets.equation_of_state().state["gamma"])
    agrees(slide(tab, "weight decay", "PageDown"))
    left, right = (tab.locator("rect.hit").nth(i).bounding_box() for i in range(2))
    far = 1.25 * land.spinodals()[0].gamma
    tab.mouse.click(left["x"] + 40, left["y"] + 0.4 * left["height"])
    agrees(0.6 * far)
    tab.touchscreen.tap(right["x"] + 0.3 * right["width"], right["y"] + 50)
    agrees(0.3 * far)
    assert found(tab) == ""
    tab.get_by_role("button", name="Go to coexistence").click()
    agrees(change.gamma)
    heat = (land.depth + 1) * change.B_below**2
    assert f"from R = {heat:.4g} to 0" in found(tab)


def test_phase_diagram_is_read_and_moved(visit):
    tab = visit("phase_diagram", has_touch=True)
    state = pu.widgets.phase_diagram().state
    hi = state["limits"]["gamma"][1]

    def agrees(D, gamma, B):
        text = shown(tab)
        assert values(text, "D")[0] == pytest.approx(D, rel=0.01)
        assert values(text, "γ")[0] == pytest.approx(gamma, rel=0.01)
        land = pu.Landscape(pu.Moments.isotropic(), values(text, "D")[0])
        gamma = values(text, "γ")[0]
        minima, top = land.minima(gamma), land.stationary(gamma)[0][0]
        *places, passed, start, end = values(text, "B")
        assert places == pytest.approx(minima.tolist(), rel=0.01)
        assert passed == pytest.approx(top, rel=0.02)
        assert start == pytest.approx(B, rel=0.01)
        assert end == places[int(top < B)]
        assert ("learned." in text) == (top < B)
        assert (found(tab) != "") == (top < B)  # what was asked for

    gamma = state["gamma"]
    agrees(2, gamma, 0.1)
    B = slide(tab, "start at", *["PageUp"] * 8)
    agrees(2, gamma, B)
    gamma = slide(tab, "weight decay", "PageDown")
    agrees(slide(tab, "depth", "PageUp"), gamma, B)

    plane, hill = (tab.locator("rect.hit").nth(i).bounding_box() for i in range(2))
    place = plane["x"] + 0.5 * plane["width"], plane["y"] + 0.9 * plane["height"]
    finger(tab, (place[0] + 190, place[1] - 60), place)  # across the plane, without scrolling
    agrees(3, 0.1 * hi, B)
    tab.touchscreen.tap(hill["x"] + 0.8 * hill["width"], hill["y"] + 20)
    wide = 1.2 * 0.45 ** (1 / (1 + values(shown(tab), "D")[0]))
    agrees(3, 0.1 * hi, 0.8 * wide)
    ball = tab.locator("circle.handle").nth(2)
    before = ball.get_attribute("cx")
    tab.wait_for_timeout(200)
    assert ball.get_attribute("cx") != before  # it is under way


def test_motion_is_left_out_on_request(visit):
    tab = visit("phase_diagram", reduced_motion="reduce")
    assert tab.get_by_role("button", name="flow").is_disabled()
    before = tab.locator("svg[role=img]").last.inner_html()
    hill = tab.locator("rect.hit").nth(1).bounding_box()
    tab.mouse.click(hill["x"] + 0.3 * hill["width"], hill["y"] + 40)
    moved = tab.locator("svg[role=img]").last.inner_html()
    tab.wait_for_timeout(100)
    assert moved != before
    assert tab.locator("svg[role=img]").last.inner_html() == moved


@pytest.mark.parametrize("name", NAMES)
def test_page_is_accessible_and_fits_a_phone(visit, name):
    tab = visit(name, viewport=PHONE)
    assert tab.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    drawing = tab.locator(".live svg[role=img]")
    assert drawing.get_attribute("role") == "img"
    label = drawing.get_attribute("aria-label").replace("\xa0", " ").replace("−", "-")
    assert label.endswith(shown(tab))
    for slider in tab.get_by_role("slider").all():
        said = slider.evaluate("e => e.labels[0].innerText")
        assert said.strip()
        assert slider.get_attribute("aria-valuetext").split(",")[0] in said
    # texts and points take the colours of the page, at once when it changes them
    seen = []
    for theme in ("light", "dark"):
        tab.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        ink = tab.evaluate("getComputedStyle(document.documentElement).color")
        fills = tab.locator(".live svg text:not([class])").evaluate_all(
            "es => [...new Set(es.map(e => getComputedStyle(e).fill))]"
        )
        assert fills == [ink]
        line = tab.locator(".live path.curve").first
        seen.append((ink, line.evaluate("e => getComputedStyle(e).stroke")))
    assert all(light != dark for light, dark in zip(*seen, strict=True))
    # no text lies on another or outside of the drawing
    boxes = tab.locator(".live svg[role=img] text").evaluate_all(
        "es => es.map(e => { const b = e.getBoundingClientRect();"
        " return [b.left, b.top, b.right, b.bottom, e.textContent]; })"
    )
    edge = drawing.bounding_box()
    for i, (left, top, right, bottom, text) in enumerate(boxes):
        assert edge["x"] - 1 <= left, text
        assert right <= edge["x"] + edge["width"] + 1, text
        for other in boxes[:i]:
            apart = left > other[2] or other[0] > right or top > other[3] - 4
            assert apart or other[1] > bottom - 4, (text, other[4])


@pytest.mark.parametrize("name", NAMES)
def test_static_figure_without_scripts_and_in_print(visit, name):
    still = visit(name, java_script_enabled=False)
    figure = still.locator(".pu-live-static svg")
    assert figure.is_visible()
    assert len(figure.get_attribute("aria-label")) > 40
    assert still.locator(".live").count() == 0
    tab = visit(name)
    assert tab.locator(".pu-live-static").is_hidden()
    tab.emulate_media(media="print")
    assert tab.locator(".pu-live-static svg").is_visible()
    assert tab.locator(".live").is_hidden()


def test_module_follows_the_model_of_a_widget(browser):
    figure = pu.widgets.landscape(depth=3, gamma=0.1)
    assert figure.widget._esm == live_scripts.module("landscape")
    assert {key: getattr(figure.widget, key) for key in figure.state} == figure.state
    tab = browser.new_page()
    encoded = base64.b64encode(figure.widget._esm.encode()).decode()
    found = tab.evaluate(
        """async ([source, state]) => {
          const heard = new Set(), saved = [], el = document.body;
          const model = {
            get: (key) => state[key], on: (_, f) => heard.add(f), off: (_, f) => heard.delete(f),
            set: (key, value) => { state[key] = value; heard.forEach((f) => f()); },
            save_changes: () => saved.push(state.depth) };
          const esm = await import(`data:text/javascript;base64,${source}`);
          const stop = esm.default.render({ model, el });
          const root = el.querySelector(".live").shadowRoot;
          const read = () =>
            root.querySelector("p[aria-live]").textContent.replaceAll("\\u00a0", " ");
          model.set("depth", 4);
          await new Promise(requestAnimationFrame);
          const first = read(), slider = root.querySelector("[name=depth]");
          slider.value = 0;
          slider.dispatchEvent(new Event("input"));
          const second = read();
          stop();
          return [first, second, saved, heard.size];
        }""",
        [encoded, figure.state],
    )
    tab.close()
    change = pu.Landscape(pu.Moments.isotropic(), 4).transitions()[0]
    assert values(found[0], "γ")[1] == pytest.approx(change.gamma, rel=1e-3)
    assert "No transition" in found[1]
    assert found[2:] == [[0], 0]


@pytest.mark.parametrize(("depth", "gamma"), [(0.7, 0.2), (1, 0.5)])
@pytest.mark.parametrize("name", ["landscape", "equation_of_state"])
def test_static_figure_without_a_barrier(name, depth, gamma):
    figure = getattr(pu.widgets, name)(depth=depth, gamma=gamma)
    assert b"<svg" in figure.static()
    assert f"depth {depth:g}" in figure.description


def test_static_figure_is_the_same_file_each_time():
    assert pu.widgets.landscape().static() == pu.widgets.landscape().static()
    assert pu.widgets.landscape().static("pdf").startswith(b"%PDF")


def test_a_live_figure_is_its_name_and_its_state():
    figure = pu.widgets.landscape()
    assert json.loads(json.dumps(vars(figure))) == {"name": "landscape", "state": figure.state}
    again = pu.widgets.LiveFigure(**vars(figure))
    assert (again.static(), again.description) == (figure.static(), figure.description)
    with pytest.raises(ValueError, match=r"state must be one that pu\.widgets\.landscape makes"):
        pu.widgets.LiveFigure("landscape", {"a": [1.0]})


def test_widget_is_made_for_a_live_kernel_only(monkeypatch):
    figure = pu.widgets.landscape()
    monkeypatch.setenv(STATIC, "1")
    assert set(figure._repr_mimebundle_()) == {"text/plain", "text/html", "application/pdf"}
    monkeypatch.delenv(STATIC)
    data, _ = figure._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("landscape", {"depth": 0.2}, "depth must be 0.5 to 6, got 0.2"),
        ("landscape", {"noise_factor": 0.5}, "noise_factor must be 1 to 4, got 0.5"),
        ("landscape", {"anisotropy": 2}, "anisotropy must be 0 to 1, got 2"),
        ("equation_of_state", {"gamma": 5}, "gamma must be .*, got 5"),
        ("phase_diagram", {"B": 0}, "B must be .*, got 0"),
        (
            "phase_diagram",
            {"moments": pu.Moments.from_spectrum([1, 2], [0.1, 0.1], 1)},
            "moments must be isotropic",
        ),
        (
            "landscape",
            {"moments": pu.Moments.from_spectrum([1, 2], [0, 0], 1)},
            r"moments must have one output and E\[xy\] != 0",
        ),
    ],
)
def test_bad_input_is_named(name, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(pu.widgets, name)(**arguments)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_done_to_a_figure_leaves_the_next_one_alone(name):
    make = getattr(pu.widgets, name)
    first = make()
    before = json.dumps(first.state, sort_keys=True)
    for limits in first.state["limits"].values():
        limits[:] = [7.0, 8.0]
    assert json.dumps(make().state, sort_keys=True) == before
