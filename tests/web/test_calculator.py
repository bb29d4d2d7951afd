"""The calculator: its numbers and its lines of Python against the package, and its page in use.

Most pages are made of its own markup and script alone and opened as files, without the network.
"""

import ast
import base64
import contextlib
import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from in_browser import PHONE
from live_tabs import formulas_of

import phase_utils as pu
from phase_utils.chapters.live import calculator
from phase_utils.chapters.live import scripts as live_scripts
from web.test_injection import COUNTED, PAYLOADS, words

ROOT = Path(__file__).resolve().parents[2]
BUILT = ROOT / "_build" / "html" / "book" / "calculator.html"
LIMIT = 32_000  # bytes of its script, beside the frame of all live figures
DEPTHS = (0, 1, 2, 3, 5, 20)
# moments, phases, and what is asked of them at some decays
ASK = """async ([file, bytes, scale, depths, gammas]) => {
  const from = T.table(file, T.decoded(file, Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))));
  const last = from.names.length - 1, inputs = [...Array(last).keys()];
  const m = await T.moments(T.samples(from, last, inputs, scale));
  return [m, depths.map((D) => {
    const phase = T.phases({ a: m.a, e: m.e, D, N: 1 });
    const at = gammas.map((g) => m.signal * g);
    return { jumps: phase.jumps, ends: phase.ends, least: at.map((g) => T.globalMinimum(phase, g)),
      starts: at.map((g) => T.learningStart(phase, g)) };
  })];
}"""
GAMMAS = (0.003, 0.04, 0.2, 0.7)  # in units of |E[xy]|


class Page:
    """The calculator as `visit` shows it."""

    def _repr_html_(self):
        static = '<div class="pu-live-static">before</div>'
        return calculator.opening() + static + calculator.closing()


@pytest.fixture(scope="module")
def formulas(browser):
    """A tab in which T holds all that the page computes with."""
    with formulas_of(browser, "calculator") as tab:
        yield tab


def table(x, y, separator=",", decimal="."):
    """The text of a table of numbers, to the last digit."""
    names = separator.join([*(f"x{i}" for i in range(x.shape[1])), "y"])
    rows = [separator.join(map(repr, map(float, row))) for row in np.column_stack([x, y])]
    return "\n".join([names, *rows]).replace(".", decimal) + "\n"


def data(kind):
    """Inputs and labels of one kind."""
    rng = np.random.default_rng(len(kind))
    x = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6))
    y = x @ rng.normal(size=6) + rng.normal(size=60)
    if kind == "cascade":
        other = rng.normal(size=(2, 60))
        x = np.column_stack([x[:, 0], x[:, 0] + 0.05 * other[0], other[1]])
        y = x[:, 0] + 1.2 * other[0] + 0.1 * y
    if kind == "collinear":
        x = np.column_stack([x, x[:, 0] - 2 * x[:, 3], np.ones(60)])
    if kind == "more inputs than rows":
        x, y = rng.normal(size=(12, 30)), rng.normal(size=12)
    if kind == "units":
        x, y = 1e9 * x + 3e9, 1e-7 * y
    if kind == "one input":
        x = x[:, :1]
    return x, y


def agree(moments, answer):
    """Compare all that the page says of moments with the package, to nine digits."""
    m, found = answer
    a, e = moments.eigenvalues, moments.signals
    assert m["eigenvalues"] == pytest.approx(a.tolist(), rel=1e-9, abs=1e-12 * a[-1])
    assert np.abs(m["signals"]) == pytest.approx(np.abs(e), abs=1e-9 * moments.signal)
    assert [m["signal"], m["Eyy"]] == pytest.approx([moments.signal, moments.Eyy], rel=1e-9)
    jumps = 0
    for depth, phase in zip(DEPTHS, found, strict=True):
        land = pu.Landscape(moments, depth=depth)
        mine, theirs = land.transitions(), phase["jumps"]
        jumps = max(jumps, len(mine))
        assert [t.order for t in mine] == [j["order"] for j in theirs]
        for t, j in zip(mine, theirs, strict=True):
            expected = [t.gamma, t.B_below, t.B_above, t.latent_heat]
            seen = [j["gamma"], j["below"]["B"], j["above"]["B"], j["heat"]]
            assert seen == pytest.approx(expected, rel=1e-9)
            assert j["barrier"] == pytest.approx(t.barrier, rel=1e-9, abs=1e-12 * moments.Eyy)
        ends = [value for s in land.spinodals() for value in (s.gamma, s.B)]
        seen = [value for s in phase["ends"] for value in (s["gamma"], s["B"])]
        assert seen == pytest.approx(ends, rel=1e-9)
        gammas = moments.signal * np.array(GAMMAS)
        best = land.global_minimum(gammas)
        losses = [moments.Eyy + s["loss"] for s in phase["least"]]
        assert losses == pytest.approx(best.loss.tolist(), rel=1e-9)
        assert [s["B"] for s in phase["least"]] == pytest.approx(best.B.tolist(), rel=1e-9)
        for gamma, start in zip(gammas, phase["starts"], strict=True):
            if depth == 0:
                assert start is None
                continue
            try:
                basin = pu.learning_basin(land, gamma)
            except ValueError:
                assert start is None
                continue
            init = pu.learning_basin_init(moments, depth, 2, gamma, perturbation=0)
            sizes = [float(w.norm()) for w in init]
            assert [start["start"]] * (depth + 1) == pytest.approx(sizes, rel=1e-9)
            assert start["B"] == pytest.approx(basin.B, rel=1e-9)
    return jumps


KINDS = ("plain", "cascade", "collinear", "more inputs than rows", "units", "one input")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", ["deviations", "centred", "none"])
def test_numbers_agree_with_the_package(formulas, tmp_path, kind, scale):
    x, y = data(kind)
    path = tmp_path / "table.csv"
    path.write_text(table(x, y))
    varying = x[:, np.ptp(x, axis=0) > 0]
    moments = {
        "deviations": lambda: pu.data.load(str(path)).moments,
        "centred": lambda: pu.Moments.from_samples(varying - varying.mean(axis=0), y - y.mean()),
        "none": lambda: pu.Moments.from_samples(x, y),
    }[scale]()
    sent = base64.b64encode(path.read_bytes()).decode()
    answer = formulas.evaluate(ASK, [path.name, sent, scale, DEPTHS, GAMMAS])
    jumps = agree(moments, answer)
    assert (jumps > 1) == (kind == "cascade")


def two_modes(weak):
    """The moments of chapter 7's cascade with another weak mode, at which it ends."""
    return pu.Moments.from_spectrum([1, weak], np.sqrt([0.2, 10 * weak]), 20)


def test_turning_points_that_lie_close_are_found(formulas):
    """Two spinodals next to where they meet: samples of a fixed width would miss them."""
    low, high = 1e-4, 0.1
    counts = [len(pu.Landscape(two_modes(weak), 2).spinodals()) for weak in (low, high)]
    assert counts == [3, 1]
    while high / low > 1 + 1e-7:
        middle = np.sqrt(low * high)
        three = len(pu.Landscape(two_modes(middle), 2).spinodals()) == 3
        low, high = (middle, high) if three else (low, middle)
    for weak, number in ((low, 3), (high, 1)):
        m = two_modes(weak)
        ends = pu.Landscape(m, 2).spinodals()
        given = {"a": m.eigenvalues.tolist(), "e": m.signals.tolist(), "D": 2, "N": 1}
        seen = formulas.evaluate("p => T.phases(p).ends.map((s) => s.gamma)", given)
        assert len(seen) == number and seen == pytest.approx([s.gamma for s in ends], rel=1e-9)


def test_hundreds_of_inputs_are_diagonalised_within_seconds(formulas):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(150, 200)) * np.geomspace(1, 0.01, 200)
    matrix, vector = x.T @ x / 150, rng.normal(size=200)
    values, vectors = np.linalg.eigh(matrix)
    ask = """async ([A, c]) => {
      const start = performance.now(), found = await T.eigen(A, c);
      return [...found, performance.now() - start];
    }"""
    seen, along, elapsed = formulas.evaluate(ask, [matrix.tolist(), vector.tolist()])
    assert seen == pytest.approx(values.tolist(), abs=1e-13 * values[-1])
    # of directions that share an eigenvalue, the zeros here, only the whole is defined
    expected, seen = vectors.T @ vector, np.array(along)
    assert np.abs(seen[50:]) == pytest.approx(np.abs(expected[50:]), abs=1e-9)
    assert np.sum(seen[:50] ** 2) == pytest.approx(np.sum(expected[:50] ** 2), rel=1e-9)
    assert elapsed < 20_000


def shown(tab):
    """Rows of the table of transitions and spinodals, as the page writes them."""
    rows = tab.locator(".results > table tbody tr").all()
    return [[cell.text_content() for cell in row.locator("th, td").all()] for row in rows]


def give(tab, path):
    tab.set_input_files("input[type=file]", str(path))
    tab.locator(".said").filter(has_text=re.compile(".")).wait_for()


def rows_of(moments, depths):
    """The same table from the package."""

    def digits(value, n=4):
        return f"{float(f'{value:.{n}g}'):.12g}"

    found = []
    for depth in depths:
        land = pu.Landscape(moments, depth=depth)
        for t in land.transitions():
            R = [digits((depth + 1) * B**2) for B in (t.B_below, t.B_above)]
            order = "first order, a jump" if t.order == 1 else "second order"
            both = [digits(t.gamma, 5), digits(2 * t.gamma, 5)]
            rest = [" to ".join(R), digits(t.latent_heat), digits(t.barrier)]
            found.append([f"D = {depth}: {order}", *both, *rest])
        for s in land.spinodals():
            both = [digits(s.gamma, 5), digits(2 * s.gamma, 5)]
            found.append([f"D = {depth}: spinodal", *both, digits((depth + 1) * s.B**2), "", ""])
    return found


@pytest.mark.parametrize("name", ["diabetes", "two_sensors"])
def test_an_example_shows_its_phases_at_once(visit, tmp_path, name):
    tab = visit(Page())
    assert tab.get_by_text("before").is_visible()
    tab.get_by_role("button", name=name, exact=True).press("Enter")
    assert not tab.get_by_text("before").is_visible()
    path = tmp_path / f"{name}.csv"
    path.write_text(calculator.examples()[name]["text"])
    moments = pu.data.load(str(path)).moments
    assert shown(tab) == rows_of(moments, (1, 2, 3, 5))
    assert f"{name}.csv, {442 if name == 'diabetes' else 40} samples" in tab.inner_text(".said")
    text = tab.inner_text(".results > p >> nth=0")
    assert f"|E[xy]| = {moments.signal:.5g}" in text
    assert ("Cascade at depth" in text) == (name == "two_sensors")
    if name == "diabetes":
        assert moments.signal == pytest.approx(pu.data.load(name).moments.signal, rel=1e-12)
    link = tab.locator(f"a[download='{name}.csv']")
    with tab.expect_download() as saved:
        link.click()
    assert Path(saved.value.path()).read_text() == path.read_text()


def test_label_columns_and_depth_are_chosen(visit, tmp_path):
    path = tmp_path / "measured.csv"
    path.write_text(table(*data("plain")))
    tab = visit(Page())
    give(tab, path)
    tab.locator("[name=label]").select_option(label="x2")
    tab.get_by_role("checkbox", name="x0").uncheck()
    tab.get_by_role("checkbox", name="y").press("Space")
    assert tab.inner_text("summary >> nth=0") == "Inputs: 4 of 6 columns"
    depth = tab.get_by_label("Depth D")
    depth.fill("4")
    depth.press("Tab")
    task = pu.data.load(str(path), target="x2", drop=["x0", "y"])
    assert shown(tab) == rows_of(task.moments, (1, 2, 3, 4, 5))
    assert tab.inner_text(".said") == f"{task.description}."
    assert "Depth 4" in tab.inner_text("h2 >> nth=0")
    code = tab.locator(".results pre").inner_text()
    assert 'target="x2", drop=["x0", "y"]' in code and "depth=4" in code


def test_the_drawing_is_moved_and_says_where_to_start(visit):
    tab = visit(Page())
    tab.get_by_role("button", name="two_sensors", exact=True).click()
    reading = tab.locator("p[aria-live]")
    moments = pu.Moments.from_samples(*two_sensors())
    land = pu.Landscape(moments, 2)
    first, last = land.transitions()
    for jump in (first, last):
        tab.get_by_role("button", name=f"Go to γ = {jump.gamma:.4g}").click()
        assert f"weight_decay\xa0=\xa0{2 * jump.gamma:.4g}:" in reading.inner_text()
    tab.get_by_role("slider", name="decay").press("PageDown")
    text = reading.inner_text().replace("\xa0", " ")
    gamma = float(re.search(r"γ = ([\d.e-]+)", text)[1])
    assert gamma < last.gamma
    basin = pu.learning_basin(land, gamma)
    assert float(re.search(r"and ([\d.]+) learn", text)[1]) == pytest.approx(basin.B, rel=2e-3)
    best = land.global_minimum(gamma)
    assert float(re.search(r"L = ([\d.]+)", text)[1]) == pytest.approx(float(best.loss), rel=2e-3)


def two_sensors():
    """The built-in example, standardised."""
    rows = calculator.examples()["two_sensors"]["text"].splitlines()[1:]
    values = np.array([list(map(float, row.split(","))) for row in rows])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    return values[:, :-1], values[:, -1]


FORMS = {
    "standardised": ("deviations", {}, "pu.data.load"),
    "centred": ("centred", {}, "np.loadtxt"),
    "as they stand": ("none", {"separator": "\t"}, "np.loadtxt"),
    "decimal commas": ("none", {"separator": ";", "decimal": ","}, "from_spectrum"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_lines_of_python_give_the_same(visit, tmp_path, monkeypatch, form):
    scale, written, means = FORMS[form]
    name = "\u00e4 quoted 'name'.csv"
    (tmp_path / name).write_text(table(*data("cascade"), **written), encoding="latin-1")
    tab = visit(Page())
    give(tab, tmp_path / name)
    tab.locator("[name=scale]").select_option(scale)
    code = tab.locator(".results pre").inner_text()
    assert means in code
    monkeypatch.chdir(tmp_path)
    told, names = io.StringIO(), {}
    with contextlib.redirect_stdout(told):
        exec(code, names)
    printed = [line.split() for line in told.getvalue().splitlines()]
    transitions = [line for line in printed if line[0] in "12" and len(line) == 6]
    rows = shown(tab)
    jumps = [row for row in rows if row[0].startswith("D = 2: first")]
    assert len(transitions) == len(jumps) == 2
    for row, (_, gamma, *_, heat, barrier) in zip(jumps, transitions, strict=True):
        for seen, value, n in ((row[1], gamma, 5), (row[4], heat, 4), (row[5], barrier, 4)):
            assert float(seen) == pytest.approx(float(value), rel=1.1 * 10 ** (1 - n) / 2)
    assert rows == rows_of(names["moments"], (1, 2, 3, 5))
    assert names["weights"][0].shape[1] == 16
    assert f"weight_decay of torch: {2 * names['gamma']}" in code


def test_the_lines_are_copied(visit):
    tab = visit(Page())
    tab.get_by_role("button", name="diabetes", exact=True).click()
    tab.get_by_role("button", name="Copy").press("Enter")
    assert tab.get_by_role("button", name="Copied").is_visible()
    selected = tab.evaluate("getSelection().toString()")
    assert selected.strip() == tab.locator(".results pre").inner_text().strip()
    assert 'pu.data.load("diabetes").moments' in selected


def test_what_cannot_be_read_is_said_and_left_out_by_a_click(visit, tmp_path):
    path = tmp_path / "flowers.csv"
    path.write_text("kind,where,a,b,y\nrose,hill,1,2,3\nlily,lake,4,,7\nrose,lake,2,-1,0.5\n")
    tab = visit(Page())
    give(tab, path)
    said = tab.locator(".said")
    assert "line 2, column 'kind': must be a number, got 'rose'" in said.inner_text()
    assert tab.locator(".results *").count() == 0
    tab.get_by_role("button", name="Leave out all 2 columns of words").press("Enter")
    assert "line 3, column 'b': no value may be missing, got ''" in said.inner_text()
    tab.get_by_role("button", name="Leave out b").click()
    task = pu.data.load(str(path), drop=["kind", "where", "b"])
    assert said.inner_text() == f"{task.description}."
    assert shown(tab) == rows_of(task.moments, (1, 2, 3, 5))
    give(tab, Path(__file__))
    assert "test_calculator.py must be a .csv or .tsv file" in said.inner_text()
    assert tab.locator("[name=label]").is_hidden()


def test_no_signal_is_said(visit, tmp_path):
    path = tmp_path / "silent.csv"
    path.write_text("a,y\n1,1\n-1,1\n1,-1\n-1,-1\n")
    tab = visit(Page())
    give(tab, path)
    assert pu.data.load(str(path)).silent
    assert "no linear network learns" in tab.inner_text(".results")
    assert tab.locator(".results table").count() == 0


@pytest.mark.parametrize("text", PAYLOADS)
def test_names_are_text(visit, tmp_path, text):
    """Of files, of columns that are read, and of those that are not, in every place of the page."""
    path = tmp_path / (text.replace("/", "\N{DIVISION SLASH}") + ".csv")
    quoted = '"' + text.replace('"', '""') + '"'
    path.write_text(f'{quoted},{quoted[:-1]}2",a,y\n1,2,{quoted},3\n3,5,4,1\n4,4,1,5\n')
    tab = visit(Page())
    give(tab, path)
    clean = words(text)
    assert clean[:30] in words(tab.locator(".said").inner_text())
    tab.get_by_role("button", name="Leave out a").click()
    tab.locator("[name=label]").select_option(index=1)
    tab.locator("details").last.locator("summary").click()
    body = words(tab.locator("body").inner_text())
    assert body.count(clean) >= 3 and path.name in words(tab.inner_text(".said"))
    assert tab.evaluate(COUNTED) == [0, 0, 0]
    calls = ast.walk(ast.parse(tab.locator(".results pre").inner_text()))
    load = next(
        c for c in calls if isinstance(c, ast.Call) and ast.unparse(c.func) == "pu.data.load"
    )
    named = {word.arg: ast.literal_eval(word.value) for word in load.keywords}
    assert ast.literal_eval(load.args[0]) == path.name
    assert named == {"target": " ".join(f"{text}2".split()), "drop": ["a"]}


def test_a_phone_has_room_and_targets_for_fingers(visit, tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(table(*data("more inputs than rows")).replace("x0", "a_very_long_name" * 6))
    tab = visit(Page(), viewport=PHONE, has_touch=True)
    give(tab, path)
    assert tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    tab.locator("summary").first.click()
    small = tab.evaluate(
        """() => [...document.querySelectorAll(".calc button, select, summary, .choices label")]
        .filter((e) => e.checkVisibility() && e.getBoundingClientRect().height < 44)
        .map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert small == []
    sizes = tab.evaluate(
        """() => [...document.querySelectorAll(".calc *")]
        .filter((e) => e.checkVisibility() && e.textContent.trim())
        .map((e) => parseFloat(getComputedStyle(e).fontSize))"""
    )
    assert min(sizes) >= 13


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_both_themes_carry_it(visit, theme):
    tab = visit(Page())
    tab.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
    tab.get_by_role("button", name="diabetes", exact=True).click()
    ink = tab.evaluate("getComputedStyle(document.documentElement).color")
    inks = tab.evaluate(
        """() => [...document.querySelectorAll(".calc :is(td, th, pre, .said, legend, button)")]
        .map((e) => getComputedStyle(e).color)"""
    )
    assert set(inks) == {ink}


def test_the_answer_prints_without_its_form(visit):
    tab = visit(Page())
    tab.get_by_role("button", name="diabetes", exact=True).click()
    tab.emulate_media(media="print")
    assert tab.locator("form").is_hidden() and tab.get_by_role("button", name="Copy").is_hidden()
    for part in (".said", ".results > table", "svg.draw", ".results pre"):
        assert tab.locator(part).first.is_visible(), part
    assert tab.get_by_text("before").is_hidden()


def test_without_scripts_the_answer_for_an_example_stands_there(visit):
    tab = visit(Page(), java_script_enabled=False)
    assert tab.get_by_text("before").is_visible() and tab.locator("form").is_hidden()
    heads, *rows = calculator.summary(pu.data.load("diabetes").moments)
    assert len(heads) == len(rows[0]) and [row[0] for row in rows] == ["1", "2", "3", "5"]
    (jump,) = pu.Landscape(pu.data.load("diabetes").moments, 3).transitions()
    assert rows[2][2:4] == (f"{jump.gamma:.4g}", f"{2 * jump.gamma:.4g}")


def test_the_script_is_small_and_may_run_on_its_page_alone():
    script = live_scripts.script("calculator")
    assert len(script.encode()) < LIMIT
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|fetch\(|XMLHttp|eval\(", script)
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    policy_pages = pytest.importorskip("policy_pages")
    hashed = policy_pages.policy.hashed(script)
    page = f"<article>{calculator.opening()}{calculator.closing()}</article>"
    assert hashed in policy_pages.element(page)
    assert hashed not in policy_pages.element("<article></article>")


@pytest.mark.skipif(not BUILT.exists(), reason="the book is not built")
def test_the_built_page_answers(context):
    tab, told = context().new_page(), []
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.on("console", lambda m: m.type == "error" and told.append(m.text))
    tab.goto(BUILT.as_uri())
    before = tab.locator(".pu-live-static tbody tr").all_inner_texts()
    tab.get_by_role("button", name="diabetes", exact=True).click()
    moments = pu.data.load("diabetes").moments
    assert shown(tab) == rows_of(moments, (1, 2, 3, 5))
    expected = ["\t".join(row) for row in calculator.summary(moments)[1:]]
    assert [re.sub(r"\s*\n\s*|\t", "\t", row) for row in before] == expected
    assert told == []
    tab.close()
