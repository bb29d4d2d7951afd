"""The one style sheet of the pages, and what it leaves out."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "book" / "_ext"))

page_styles = pytest.importorskip("page_styles")

WORDS = {"a", "b-c", "tip-"}


@pytest.mark.parametrize(
    ("selector", "kept"),
    [
        ("p", True),
        ("p.a > #b-c", True),
        (".a .none", False),
        (".a#none", False),
        (".none, .a:hover", True),
        (".a:not(.none)", True),
        (".tip-top", True),
        (".tip", False),
        ("-tip-.a", True),
        ('[class~="none"] .a', True),
    ],
)
def test_a_rule_stays_if_all_it_asks_for_is_there(selector, kept):
    css = f"{selector}{{color:red}}"
    rules = page_styles.tinycss2.parse_stylesheet(css)
    assert page_styles.needed(rules, WORDS) == css * kept


def test_rules_in_rules_are_cut_and_others_kept():
    css = "@media print{.a{x:y}.none{x:y}}@media all{.none{x:y}}@keyframes none{to{x:y}}"
    rules = page_styles.tinycss2.parse_stylesheet(css)
    assert page_styles.needed(rules, WORDS) == "@media print{.a{x:y}}\n@keyframes none{to{x:y}}"


def test_pages_ask_for_one_sheet_that_is_made_anew(tmp_path):
    static, pages = tmp_path / "_static", tmp_path / "book"
    for folder in (static / "styles", pages):
        folder.mkdir(parents=True)
    (static / "documentation_options.js").write_text("const DOCUMENTATION_OPTIONS = {};")
    (static / "own.js").write_text("e.className = 'made'")
    (static / "base.css").write_text("/* .a{} */ .a{background:url(a.png)}.none{x:y}")
    (static / "styles" / "first.css").write_text('@import "../base.css";\n.made{x:url("#i")}')
    (static / "last.css").write_text(".a{x:y}")
    head = (
        '<head><link href="../_static/styles/first.css?v=1" rel="stylesheet" />'
        '<link rel="preload" as="script" href="../_static/own.js" />'
        '<link rel="stylesheet" href="../_static/last.css" /><link rel="next" href="b.html" />'
        '<script src="../_static/documentation_options.js?v=1"></script>'
        '<script>let x;</script><script src="../_static/own.js"></script></head>'
    )
    page = pages / "a.html"
    page.write_text(head + '<body class="a"><script src="b.js"></script></body>')
    page_styles.join(tmp_path)
    sheet = static / "styles" / "pages.css"
    rules = [".a{background:url(../a.png)}", '.made{x:url("#i")}', ".a{x:y}"]
    assert sheet.read_text().split("\n")[1:] == rules
    text = page.read_text()
    assert re.findall('<link rel="stylesheet" href="([^"?]*)', text) == [
        "../_static/styles/pages.css"
    ]
    assert "preload" not in text and '<link rel="next"' in text
    assert "<script>const DOCUMENTATION_OPTIONS = {};</script><script>let x;</script>" in text
    assert '<script defer src="../_static/own.js">' in text and '<script src="b.js">' in text
    # a page that was written before asks for the sheet already
    (static / "last.css").write_text(".a{x:z}")
    page_styles.join(tmp_path)
    assert sheet.read_text().split("\n")[1:] == [*rules[:2], ".a{x:z}"]
    assert page.read_text() != text and page.read_text().count("stylesheet") == 1
