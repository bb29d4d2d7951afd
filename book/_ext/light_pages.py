"""Pages without what they do not use: scripts of icons and of the search, thousands of icons, and
marks of words of code that no theme colours, which were half of a chapter's elements.

The theme draws its icons twice over, by a script of 1.5 MB and by a font; the font serves, cut to
the icons that the pages show. The index of the search is loaded by the page of the search alone. A
page without a list of its contents says so where it begins: its text is as wide from the start.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from built_pages import pages
from fontTools.subset import Options, Subsetter, load_font, save_font
from sphinx.application import Sphinx

ICONS = ("scripts/fontawesome",)
MATHJAX = ("mathjax/tex-chtml",)
SEARCH = ("searchtools", "language_data", "searchindex")
COLOURS = "_static/pygments.css"
COLOUR = re.compile(r'html\[data-theme="(\w+)"\] \.highlight( \.[\w-]+)? \{ ([^}]*) \}')
CODE = re.compile(r"<pre>.*?</pre>", re.S)
THEME = "_static/styles/pydata-sphinx-theme.css"
FONTS = "_static/vendor/fontawesome/webfonts"
SCRIPT = r"\s*<script\b[^>]*\ssrc=\"[^\"]*\b(?:{})\.js[^\"]*\"[^>]*></script>"
CONFIG = re.compile(r"\s*<script>window\.MathJax = [^<]*</script>")
NAMED = re.compile(r"\bfa-[a-z0-9-]+")
FACE = re.compile(r"@font-face\{[^}]*Font Awesome[^}]*\}")
RULE = re.compile(r"((?:\.fa-[a-z0-9-]+:before,?)+)\{content:\"\\([0-9a-f]+)\"\}")
WRITTEN = re.compile(r"[\ue000-\uf8ff]|(?<=\\)[ef][0-9a-f]{3}\b")
SOLID = (
    '@font-face{font-family:"Font Awesome 6 Free";font-weight:900;font-display:block;'
    'src:url(../vendor/fontawesome/webfonts/icons.woff) format("woff")}'
)


def without(page: str, scripts: Iterable[str]) -> str:
    """Return a page that does not load these scripts."""
    return re.sub(SCRIPT.format("|".join(map(re.escape, scripts))), "", page)


def plain(page: str) -> str:
    """Return a page that loads MathJax if it has a formula: Jupyter Book gives it to all."""
    return page if 'class="math' in page else CONFIG.sub("", without(page, MATHJAX))


def uncoloured(css: str) -> set[str]:
    """Return the classes of words of code that look like all code, in every theme."""
    styles: dict[str, dict[str, str]] = {}
    for theme, name, style in COLOUR.findall(css):
        styles.setdefault(name[2:], {})[theme] = style
    common = {theme: re.findall(r"[^-]\bcolor: .*", style) for theme, style in styles[""].items()}
    return {
        name
        for name, each in styles.items()
        if name and each.keys() == common.keys() and all([f" {each[t]}"] == common[t] for t in each)
    }


def unmarked(page: str, classes: set[str]) -> str:
    """Return a page whose code has words of these classes as they stand."""
    marks = re.compile(rf'<span class="(?:{"|".join(sorted(classes))})">([^<]*)</span>')
    return CODE.sub(lambda code: marks.sub(r"\1", code[0]), page) if classes else page


def wide(page: str) -> str:
    """Return a page that is known for wide before its end is read, if it is."""
    listed = "bd-sidebar-secondary" in page
    return page if listed else page.replace('class="bd-content"', 'class="bd-content alone"')


def cut_icons(css: str, used: set[str]) -> str:
    """Return the theme's style with the icons of these names alone, from one font."""
    faces = FACE.findall(css)
    css = FACE.sub("", css)
    css = RULE.sub(lambda rule: rule[0] if used & {*NAMED.findall(rule[1])} else "", css)
    return (SOLID if faces else "") + css


def written(css: str) -> set[int]:
    """Return the characters of icons that a style writes."""
    return {ord(c) if len(c) == 1 else int(c, 16) for c in WRITTEN.findall(css)}


def cut_font(source: Path, target: Path, characters: set[int]) -> None:
    """Write the part of a font that draws these characters."""
    options = Options(flavor="woff", hinting=False, notdef_outline=True)
    font = load_font(str(source), options)
    cutter = Subsetter(options)
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    save_font(font, str(target), options)


def lighten(app: Sphinx, error: Exception | None) -> None:
    """Take from all pages what they do not use."""
    if error is not None or app.builder.format != "html":
        return
    built = Path(app.outdir)
    words = uncoloured((built / COLOURS).read_text(encoding="utf-8"))
    used = {"fa-xmark"}  # a script of the theme makes it
    for path in pages(built):
        page = path.read_text(encoding="utf-8")
        used |= {*NAMED.findall(page)}
        unused = ICONS if path == built / "search.html" else ICONS + SEARCH
        light = unmarked(wide(plain(without(page, unused))), words)
        if light != page:
            path.write_text(light, encoding="utf-8")
    theme, fonts = built / THEME, built / FONTS
    theme.write_text(cut_icons(theme.read_text(encoding="utf-8"), used), encoding="utf-8")
    styles = [path.read_text(encoding="utf-8") for path in built.glob("_static/**/*.css")]
    drawn = set[int]().union(*map(written, styles))
    cut_font(fonts / "fa-solid-900.ttf", fonts / "icons.woff", drawn)


def setup(app: Sphinx) -> None:
    """Do so when all pages are there, and before their scripts are named."""
    app.connect("build-finished", lighten, priority=850)
