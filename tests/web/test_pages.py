"""Every built page in a real browser: both themes, three widths, without the network.

The pages are opened as files, as a reader of `_build/html/index.html` does. The tests are skipped
where there is no built book or no browser, unless PHASE_BOOK_REQUIRE_BROWSER is 1.
"""

import gzip
import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from in_browser import DESKTOP, PHONE, missing

TABLET = {"width": 820, "height": 1180}
WALL = {"width": 1920, "height": 1080}
HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if not path.relative_to(HTML).parts[0].startswith("_")
)

# Colours change at once, where a page would fade from theme to theme.
AT_ONCE = """() => {
  const style = new CSSStyleSheet();
  style.replaceSync("*, ::before, ::after { transition: none !important }");
  document.adoptedStyleSheets.push(style);
}"""
# Width by which the page is wider than the window, and the elements that make it so.
OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = e => e && (["auto", "scroll", "hidden"].includes(getComputedStyle(e).overflowX)
                             || scrolls(e.parentElement));
  const wide = [...document.querySelectorAll(".bd-article *")].filter(
    e => e.getBoundingClientRect().right > width + 1 && !scrolls(e.parentElement));
  return [document.documentElement.scrollWidth - width,
          wide.slice(0, 3).map(e => e.outerHTML.slice(0, 120))];
}"""
# Formulas that do not fit: what is cut off reads as another formula. On a phone they scroll.
CUT = """() => [...document.querySelectorAll("div.math mjx-container")]
  .filter(e => e.scrollWidth > e.clientWidth + 1)
  .map(e => e.closest("div.math").id || e.parentElement.textContent.slice(0, 80))"""
UNTYPESET = """() => [...document.querySelectorAll("main .math, main mjx-merror")]
  .filter(e => e.matches("mjx-merror") || !e.querySelector("mjx-container"))
  .map(e => e.outerHTML.slice(0, 120))"""
# Text that was meant as a formula, or as code.
RAW = """() => {
  const main = document.querySelector("main").cloneNode(true);
  main.querySelectorAll("pre, code, script, .math, mjx-container").forEach(e => e.remove());
  return main.textContent.match(/\\$[^$\\n]+\\$|\\\\[([].{0,20}|`[^`\\n]+`/g) ?? [];
}"""
# the text of main is dark on light or light on dark, whichever theme is asked for
CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number);
                       return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255; };
  return light(getComputedStyle(document.querySelector("main p, main h1")).color)
       - light(getComputedStyle(document.body).backgroundColor);
}"""

# Outputs of cells whose text has less than the contrast 4.5 to what is behind it.
FAINT = """() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);  // the fourth, opacity, is left out if 1
  const opaque = c => (parts(c)[3] ?? 1) > 0.5;
  const behind = e => {
    if (!e) return [255, 255, 255];
    const c = getComputedStyle(e).backgroundColor;
    return opaque(c) ? parts(c) : behind(e.parentElement);
  };
  const linear = x => (x /= 255) <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  const faint = e => { const a = light(parts(getComputedStyle(e).color)), b = light(behind(e));
                       return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5; };
  const written = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll(".cell_output .text_html *")].filter(written)
    .filter(e => e.checkVisibility() && faint(e))
    .slice(0, 3).map(e => e.outerHTML.slice(0, 120));
}"""

# Images whose alternative text is missing, or a file name.
UNDESCRIBED = """() => [...document.images]
  .filter(i => !i.alt.trim() || /\\.(svg|png|jpe?g)$/.test(i.alt) || i.src.includes(i.alt))
  .map(i => i.outerHTML.slice(0, 120))"""
# Pictures that say no size, or that are shown in another ratio than they have: all are loaded.
STRETCHED = """async () => {
  const shown = [...document.images].filter(i => i.checkVisibility());
  shown.forEach(i => { i.loading = "eager"; });
  await Promise.all(shown.map(i => i.decode()));
  return shown.filter(i => {
    const said = i.getAttribute("width") / i.getAttribute("height");
    const right = ratio => Math.abs(i.clientWidth / ratio - i.clientHeight) <= 1;
    return !right(said) || !right(i.naturalWidth / i.naturalHeight);
  }).map(i => i.outerHTML.slice(0, 120));
}"""
SETTLED = """async () => {
  const box = document.querySelector(".bd-article") ?? document.body;
  for (let width, still = 0; still < 5; width = box.clientWidth) {
    await new Promise(requestAnimationFrame);
    still = width === box.clientWidth ? still + 1 : 0;
  }
}"""
# What scrolls sideways and cannot be reached with the keyboard.
UNREACHABLE = """() => [...document.querySelectorAll(".bd-article *")].filter(e =>
    e.scrollWidth > e.clientWidth + 4 && ["auto", "scroll"].includes(getComputedStyle(e).overflowX)
    && e.tabIndex < 0 && !e.querySelector("a[href], button, input, summary, [tabindex='0']"))
  .slice(0, 3).map(e => e.outerHTML.slice(0, 120))"""
# Formulas that the keyboard stops at although there is nothing to scroll.
NEEDLESS = """() => [...document.querySelectorAll("mjx-container[tabindex='0']")]
  .filter(e => e.querySelector("mjx-math").getBoundingClientRect().width <= e.clientWidth + 1)
  .map(e => e.textContent.slice(0, 80))"""
# What the text of each element looks like in the theme that is shown: colours, size and weight.
LOOKS = """() => {
  const behind = e => {
    const c = e ? getComputedStyle(e) : {backgroundColor: "none", backgroundImage: "none"};
    return c.backgroundImage !== "none" ? c.backgroundImage
      : /^rgba\\(.*, 0\\)$/.test(c.backgroundColor) ? behind(e.parentElement)
      : c.backgroundColor + (/^rgba/.test(c.backgroundColor) ? behind(e.parentElement) : "");
  };
  for (const e of document.querySelectorAll("main *")) {
    if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
    const c = getComputedStyle(e);
    const look = [c.color, c.fontSize, c.fontWeight, c.opacity, behind(e)];
    e.dataset.look = [e.dataset.look, ...look].join();
  }
}"""
# What axe-core finds, but for two buttons of the theme that say more than their names. A formula is
# MathJax's matter; and of what has the same parts in the same place one is enough, not thousands.
# Headings stay, which have an order, and what is operated, with all that it holds.
AXE = """async () => {
  document.querySelectorAll("mjx-container").forEach(e => e.replaceChildren("x"));
  const seen = new Set();
  const known = look => seen.has(look) || !seen.add(look);
  const own = ":is(h1, h2, h3, h4, h5, h6, label, input, button, select, output, [role],"
    + " [aria-live])";
  const part = e => [e.tagName, e.className, e.dataset.look, e.textContent.trim() !== "",
                     ...e.getAttributeNames()];
  const parts = ".bd-article :is(p, li, div, pre span), .bd-sidebar li, tbody tr";
  for (const e of document.querySelectorAll(parts))
    if (e.isConnected && !e.matches(own) && !e.querySelector(own)
        && !e.parentElement.closest("a, button, label, summary, svg, th, td, dt")
        && known([e.parentElement, e, ...e.querySelectorAll("*")].map(part).join()))
      e.replaceWith(e.closest("pre") ? e.textContent : "");
  const rules = {"label-content-name-mismatch": {enabled: true},
                 "color-contrast": {enabled: false}};
  const found = await axe.run(document, {preload: false, resultTypes: ["violations"], rules});
  return found.violations.flatMap(v => v.nodes
    .filter(n => !(v.id === "label-content-name-mismatch" && n.html.startsWith("<button")))
    .map(n => `${v.id}: ${n.target.join(" ")}`));
}"""
# What axe-core finds of contrast: of texts that look the same in both themes one is enough.
PALE = """async () => {
  const seen = new Set();
  for (const e of document.querySelectorAll("[data-look]"))
    if (seen.has(e.dataset.look) || !seen.add(e.dataset.look))
      [...e.childNodes].filter(n => n.nodeType === 3).forEach(n => n.remove());
  document.querySelectorAll("[data-look]").forEach(e => delete e.dataset.look);
  const found = await axe.run(
    document, {preload: false, resultTypes: ["violations"], runOnly: ["color-contrast"]});
  return found.violations.flatMap(v => v.nodes.map(n => n.target.join(" ")));
}"""


START = "book/introduction.html"
HEAVIEST = 900_000  # bytes of what a page loads, compressed as a server sends it; of the first 400
# by how much of the window the page has moved since it was opened, before the reader did anything
MOVED = """() => new Promise(resolve => {
  let moved = 0;
  const add = list => list.getEntries().forEach(e => { moved += e.value; });
  new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
  setTimeout(() => resolve(moved), 100);
})"""


@cache
def packed(path: str) -> int:
    """Bytes of this file, compressed where that makes it smaller."""
    data = Path(path).read_bytes()
    return min(len(data), len(gzip.compress(data, 6)))


def weight(urls: Iterable[str]) -> int:
    """Bytes of these files, as a server sends them."""
    paths = {unquote(urlsplit(url).path) for url in urls if url.startswith("file:")}
    return sum(map(packed, paths))


SMALLEST = 9  # pixels, of the text in a figure on a desk
SHOWN = """() => [...document.querySelectorAll(".bd-article figure > img")]
  .map(i => [decodeURIComponent(i.src.split("/").pop()), i.clientWidth])"""


def smallest_text(svg: str) -> tuple[float, float]:
    """The size of the smallest text of a figure of Matplotlib, and its width; in points."""
    (width,) = re.findall(r'<svg [^>]*width="([\d.]+)pt"', svg)
    # text is drawn at a hundred units, and its indices within it
    sizes = re.findall(r'<g transform="[^"]*scale\(([\d.]+) -[\d.]+\)"', svg)
    return min(100 * float(size) for size in sizes), float(width)


def small_text(tab) -> dict[str, float]:
    """The figures of Matplotlib that the page shows with text that is too small, in pixels."""
    found = {}
    for file, pixels in tab.evaluate(SHOWN):
        size, width = smallest_text((HTML / "_images" / file).read_text(encoding="utf-8"))
        found[file] = size * pixels / width
    return {file: size for file, size in found.items() if size < SMALLEST}


def resize(tab, size: dict[str, int]) -> None:
    """Give the page another size, and wait until its sidebars have moved."""
    tab.set_viewport_size(size)
    tab.wait_for_function("width => innerWidth === width", arg=size["width"])
    tab.evaluate(SETTLED)


def be_built() -> None:
    if not PAGES:
        missing("the book is not built: run `make book`")


@pytest.fixture(scope="module")
def opened(browser) -> Iterator:
    be_built()
    context = browser.new_context(viewport=DESKTOP)
    yield context.new_page()
    context.close()


@pytest.fixture
def tab(opened):
    """The one page of the browser, on a desk, on a screen, and light."""
    opened.set_viewport_size(DESKTOP)
    opened.emulate_media(media="screen", color_scheme="light")
    return opened


def show(tab, theme: str) -> None:
    """Give the page a theme, as the reader's system does, and wait until its colours are there."""
    tab.emulate_media(color_scheme=theme)
    tab.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
    tab.wait_for_function("() => !document.getAnimations().some(a => a.playState === 'running')")


def test_book_is_built():
    be_built()
    assert "book/introduction.html" in PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_states_which_scripts_it_runs(name):
    head = (HTML / name).read_text(encoding="utf-8").partition("</head>")[0]
    before, stated, after = head.partition('http-equiv="Content-Security-Policy" content="')
    assert stated and "Content-Security-Policy" not in after
    assert not re.search("<(script|link|style)", before)
    directives = dict(d.strip().split(" ", 1) for d in after.partition('"')[0].split(";"))
    assert directives["default-src"] == "'self' file:"
    assert "unsafe-inline" not in directives["script-src"]
    assert "unsafe-eval" not in directives["script-src"]
    assert not re.search("https?:|[*]", " ".join(directives.values()))


# of the two other windows, and of the three in which axe looks, each page has one in every run
WINDOWS = [((TABLET, WALL)[i % 2], (DESKTOP, TABLET, PHONE)[i % 3]) for i in range(len(PAGES))]
IN_TURN = [([window], [axe]) for window, axe in WINDOWS]
ALL = [([TABLET, WALL], [DESKTOP, TABLET, PHONE])] * len(PAGES)


@pytest.mark.parametrize(
    ("name", "windows", "looked_at"),
    [
        pytest.param(name, *sizes, id=name + mark, marks=marks)
        for sizes_of, mark, marks in ((IN_TURN, "", ()), (ALL, "-all", pytest.mark.scheduled))
        for name, sizes in zip(PAGES, sizes_of, strict=True)
    ],
)
def test_page(tab, name, windows, looked_at):
    problems, outside, loaded = [], [], []

    def on_console(message):
        if message.type == "error":
            problems.append(message.text)

    def on_request(request):
        loaded.append(request.url)
        if not request.url.startswith(("file:", "data:", "blob:")):
            outside.append(request.url)

    listeners = {
        "console": on_console,
        "pageerror": lambda error: problems.append(str(error)),
        "requestfailed": lambda request: problems.append(f"failed: {request.url}"),
        "request": on_request,
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    try:
        tab.set_viewport_size(PHONE)
        tab.goto((HTML / name).as_uri())
        if name == "index.html":  # leads to the first page at once
            tab.wait_for_url("**/book/introduction.html")
        tab.evaluate("() => window.MathJax?.startup?.promise")
        tab.evaluate(SETTLED)
        assert tab.evaluate(MOVED) < 0.1
        assert tab.evaluate(OVERFLOW) == [0, []]
        assert tab.evaluate(UNREACHABLE) == []
        assert tab.evaluate(STRETCHED) == []
        for size in (*windows, DESKTOP):
            resize(tab, size)
            assert tab.evaluate(OVERFLOW) == [0, []]
            assert tab.evaluate(CUT) == []
        assert tab.evaluate(STRETCHED) == []
        if name.startswith("notebooks/"):
            assert small_text(tab) == {}
        assert tab.evaluate(NEEDLESS) == []
        assert tab.evaluate(UNTYPESET) == []
        assert tab.evaluate(RAW) == []
        assert tab.evaluate(UNDESCRIBED) == []
        broken = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"
        assert tab.evaluate(broken) == []
        assert weight(loaded) < HEAVIEST

        tab.evaluate(AT_ONCE)
        for theme in ("light", "dark"):
            show(tab, theme)
            if folder := os.environ.get("PHASE_BOOK_SCREENSHOTS"):
                picture = Path(folder) / f"{name.replace('/', '_')}-{theme}.png"
                tab.screenshot(path=picture, animations="disabled")
            assert (tab.evaluate(CONTRAST) > 0.5) == (theme == "dark")
            assert tab.evaluate(FAINT) == []
            tab.evaluate(LOOKS)
        # last, since these leave of the page only what they look at
        tab.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
        for size in looked_at:
            resize(tab, size)
            assert tab.evaluate(AXE) == []
        for theme in ("dark", "light"):
            show(tab, theme)
            assert tab.evaluate(PALE) == []
        assert problems == []
        assert outside == []
    finally:
        for event, listener in listeners.items():
            tab.remove_listener(event, listener)


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_the_start_page_is_light_and_stays_where_it_is(tab, size):
    loaded = []
    tab.set_viewport_size(size)
    tab.on("request", lambda request: loaded.append(request.url))
    tab.goto((HTML / START).as_uri())
    assert tab.evaluate(MOVED) < 0.1
    assert weight(loaded) < 400_000
    assert tab.evaluate("typeof MathJax") == "undefined"


@pytest.mark.parametrize(
    "name", [name for name in PAGES if 'class="pu-live' in (HTML / name).read_text()]
)
def test_live_figures_wait_for_nothing(name):
    text = (HTML / name).read_text(encoding="utf-8")
    own = text[text.index('class="pu-live') :]
    assert "puLive" in re.search("<script>(.*?)</script>", own, re.S)[1]  # no module: it would wait
    for tag in re.findall("<script[^>]*mathjax[^>]*>", text):
        assert "defer" in tag
        assert '"startup": {"typeset": false}' in text  # which reading.js does, a few at a time


def test_offered_notebooks_are_whole_in_any_viewer():
    """What VS Code and JupyterLab show of a notebook that no kernel has opened."""
    be_built()
    found = {path.name: path for path in (HTML / "_sources" / "notebooks").glob("*.ipynb")}
    assert len(found) == len([name for name in PAGES if name.startswith("notebooks/")])
    for path in found.values():
        nb = nbformat.read(path, as_version=4)
        nbformat.validate(nb)
        assert nb.metadata.kernelspec.language == nb.metadata.language_info.name == "python"
        kinds = [set(o.get("data", {})) for c in nb.cells for o in c.get("outputs", [])]
        for mimes in filter(None, kinds):
            assert "text/plain" in mimes and not any("widget" in mime for mime in mimes)
            # an image, where SVG is not trusted
            assert "image/svg+xml" not in mimes or "image/png" in mimes
        words = "\n".join(c.source for c in nb.cells if c.cell_type == "markdown")
        assert set(re.findall(r"\]\(([^)]*\.ipynb)\)", words)) <= set(found) - {path.name}
        assert not re.search(r"\{[\w:]+\}`", words)  # no role of MyST is left


def test_a_section_says_how_it_is_cited(tab):
    name = "notebooks/05_depth_one.html"
    tab.goto((HTML / name).as_uri())
    heading = tab.locator(".bd-article h2").nth(1)
    button = heading.get_by_role("button", name="cite")
    anchor = button.get_attribute("data-cite")
    assert heading.locator(f"xpath=ancestor::section[@id='{anchor}']").count() == 1
    button.press("Enter")
    dialog = tab.get_by_role("dialog", name="How to cite")
    sentence, entry = (dialog.get_by_role("textbox").nth(k).input_value() for k in (0, 1))
    own = "h => [...h.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join('').trim()"
    title = heading.evaluate(own)
    assert title in sentence and title in entry
    for text in (sentence, entry):
        assert f"{name}#{anchor}" in text and "ADDRESS" not in text
    assert re.search(r"section 5\.\d+ of ", sentence) and entry.startswith("@incollection{")
    tab.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert tab.evaluate("document.activeElement.className") == "cite"


@pytest.mark.parametrize("name", ["book/corrections.html", "book/bibliography.html"])
def test_a_page_without_contents_is_wide_from_the_start(name):
    be_built()
    text = (HTML / name).read_text(encoding="utf-8")
    assert 'class="bd-content alone"' in text and "bd-sidebar-secondary" not in text


def test_icons_are_drawn_by_a_font_that_holds_them_alone():
    be_built()
    from fontTools.ttLib import TTFont

    fonts = HTML / "_static" / "vendor" / "fontawesome" / "webfonts"
    (icons,) = fonts.glob("*.woff")
    held = set(TTFont(icons).getBestCmap())
    style = (HTML / "_static" / "styles" / "pydata-sphinx-theme.css").read_text(encoding="utf-8")
    rules = dict(re.findall(r"\.(fa-[a-z0-9-]+):before[^{}]*\{content:\"\\([0-9a-f]+)\"", style))
    shown = {name for page in PAGES for name in re.findall("fa-[a-z-]+", (HTML / page).read_text())}
    drawn = {name for name in shown if name in rules}
    assert {"fa-bars", "fa-magnifying-glass", "fa-download", "fa-moon"} <= drawn
    assert all(int(rules[name], 16) in held for name in drawn)
    assert len(held) < 60 and icons.stat().st_size < 8_000


def test_code_has_marks_where_a_theme_colours_them():
    be_built()
    style = (HTML / "_static" / "pygments.css").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        rule = rf'"{theme}"\] \.highlight {{}}{{{{[^}}}}]*\bcolor: (#\w+)'
        (common,) = re.findall(rule.format(""), style)
        marked = rule.format(r"\.p ")
        assert re.findall(marked, style) == [common]  # punctuation looks like all code
    text = (HTML / "notebooks" / "05_depth_one.html").read_text(encoding="utf-8")
    code = "".join(re.findall("<pre>.*?</pre>", text, re.S))
    assert {"o", "k", "mi"} <= set(re.findall('<span class="([a-z0-9]+)">', code))
    assert '<span class="p">' not in code and '<span class="n">' not in code
    assert re.search(r'pu<span class="o">\.</span>Landscape\(', code)  # and nothing is lost


def test_a_figure_that_a_phone_shrinks_is_enlarged(tab):
    tab.set_viewport_size(PHONE)
    tab.goto((HTML / "notebooks/02_effective_landscape.html").as_uri())
    button = tab.get_by_role("button", name="Enlarge Fig. 2.1")
    image = tab.locator("#fig-02-price img")
    button.wait_for()
    assert button.bounding_box()["height"] >= 44
    natural = image.evaluate("i => i.naturalWidth")
    dialog = tab.locator("dialog.enlarged")
    for open_it in (button.click, lambda: button.press("Enter"), image.click):
        open_it()
        large = dialog.locator("img")
        assert large.bounding_box()["width"] == natural > PHONE["width"]
        pane = dialog.locator("div")
        pane.evaluate("e => e.scrollTo(1e4, 0)")
        assert pane.evaluate("e => e.scrollLeft + e.clientWidth") >= natural
        tab.keyboard.press("Escape")
        dialog.wait_for(state="detached")
    button.click()
    dialog.get_by_role("button", name="Close").click()
    dialog.wait_for(state="detached")
    resize(tab, DESKTOP)
    button.wait_for(state="hidden")


# a link, and what its preview holds: of a term, a work, a claim, a theorem and an equation
@pytest.mark.parametrize(
    ("page", "link", "within"),
    [
        ("book/introduction", "#term-free-energy", "p"),
        ("book/introduction", "bibliography.html#", ".citation em"),
        ("book/introduction", "#term-weight-decay", "mjx-container"),
        ("book/corrections", "status.html#claim-eq-3", "p"),
        ("notebooks/06_depth_two_and_more", "05_depth_one.html#thm-05", ".theorem mjx-container"),
        ("notebooks/06_depth_two_and_more", "#equation-eq-06-stationary", "mjx-container"),
    ],
)
def test_link_shows_what_it_leads_to(tab, page, link, within):
    address = (HTML / f"{page}.html").as_uri()
    if tab.url != address:
        tab.goto(address)
    tab.evaluate("() => window.MathJax?.startup?.promise")
    preview = tab.locator("#preview")
    found = tab.locator(f".bd-article a.internal[href*='{link}']").first

    found.hover()
    preview.locator(within).first.wait_for(state="visible")
    preview.hover()  # it stays while it is read
    tab.wait_for_timeout(300)
    assert preview.is_visible()
    assert preview.locator("a, [id]").count() == 0
    tab.keyboard.press("Escape")
    assert preview.is_hidden()

    found.focus()  # after a key was pressed, hence as the keyboard does it
    preview.locator(within).first.wait_for(state="visible")
    tab.wait_for_function("() => document.activeElement.getAttribute('aria-describedby')")
    box = preview.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= DESKTOP["width"]
    tab.keyboard.press("Tab")
    assert found.get_attribute("aria-describedby") is None
    tab.keyboard.press("Escape")
    assert preview.is_hidden()


def test_paper_is_white_and_without_sidebars(tab):
    tab.goto((HTML / "book/introduction.html").as_uri())
    show(tab, "dark")
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate(CONTRAST) < -0.5
    for part in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article"):
        assert tab.locator(part).is_hidden(), part
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    tab.emulate_media(media="screen")
    assert tab.evaluate("document.documentElement.dataset.theme") == "dark"


def test_paper_has_the_code_that_pages_fold_and_not_the_checks(tab):
    tab.goto((HTML / "notebooks/03_depth_zero.html").as_uri())
    checks, code = "details.claim-lines", "details.hide"
    inside = tab.locator(f"{code}:not({checks} {code}) pre").first
    line = tab.locator(f"{checks} .claim-line").first
    for medium, there in (("screen", False), ("print", True), ("screen", False)):
        tab.emulate_media(media=medium)
        assert inside.is_visible() == there
        assert not line.is_visible()
        assert tab.locator(f"{checks} > summary").first.is_visible()
    tab.locator(f"{checks} > summary").first.click()
    assert line.is_visible()


def test_the_status_page_begins_with_one_screen_of_all_chapters(tab):
    tab.goto((HTML / "book/status.html").as_uri())
    table = tab.locator("table.claim-summary")
    box = table.bounding_box()
    assert box["height"] < DESKTOP["height"]
    assert box["x"] + box["width"] <= DESKTOP["width"]
    bars = table.locator("a.claim-bar")
    counts = [sum(map(int, re.findall(r"\d+", bar.inner_text()))) for bar in bars.all()]
    assert sum(counts) == tab.locator("table.claim-details tbody tr").count()
    widths = [bar.bounding_box()["width"] for bar in bars.all()]
    assert widths.index(max(widths)) == counts.index(max(counts))
    for bar in (bars.first, bars.last):
        target = tab.locator(bar.get_attribute("href"))
        assert target.locator("table.claim-details").count() == 1


def test_the_status_page_shows_the_claims_that_are_asked_for(tab):
    tab.goto((HTML / "book/status.html").as_uri())
    rows = tab.locator("table.claim-details tbody tr")
    assert tab.evaluate("document.documentElement.scrollHeight") < 45_000

    def shown() -> int:
        return rows.evaluate_all("rows => rows.filter(r => r.checkVisibility()).length")

    total = shown()
    form = tab.locator(".claim-filter")
    assert form.locator("output").inner_text() == f"{total} of {rows.count()} claims"
    assert total == rows.count()
    form.get_by_label("Verdict").select_option("corrected")
    corrected = shown()
    assert 0 < corrected < total
    form.get_by_label("Text").fill("landau expansion")
    assert shown() <= corrected
    form.get_by_label("Text").fill("no such words")
    assert shown() == 0 and form.locator("output").inner_text().startswith("0 of")
    form.get_by_label("Text").fill("")
    form.get_by_label("Verdict").select_option("all")
    assert shown() == total
    form.get_by_label("Chapter").select_option(index=1)
    assert 0 < shown() < 40
    assert tab.locator("table.claim-details:visible").count() == 1
    form.get_by_label("Chapter").select_option("all")
    names = rows.locator("td:nth-child(2) strong")
    as_written = names.all_inner_texts()
    form.get_by_label("Order").select_option("claim")
    assert shown() == total
    assert names.all_inner_texts() == sorted(as_written, key=str.lower)
    form.get_by_label("Order").select_option("book")
    assert names.all_inner_texts() == as_written
    rows.first.locator("summary").click()
    assert rows.first.locator(".claim-checks p").first.is_visible()
