"""The policies of the book's pages: the theme's scripts and the live figures run, nothing else."""

import base64
import hashlib
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from phase_utils.chapters.live import scripts as live_scripts

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

policy_pages = pytest.importorskip("policy_pages")

LIVE = live_scripts.script("landscape")
PAGE = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8" />
<script src="_static/theme.js"></script>
<script data-cfasync="false">theme()</script>
</head>
<body>
<button title="Print" onclick="print(&quot;a&quot;)">print</button>
<article class="bd-article">
<p onclick="alert(1)">text</p>
<script>alert(2)</script>
<script>{LIVE}</script>
<script>{LIVE}alert(3)</script>
</article>
<script>
after()
</script>
</body>
</html>
"""


def hashed(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def allowed(page: str) -> list[str]:
    return re.search("; script-src ([^;]*);", page)[1].split()


def test_scripts_of_the_theme_and_live_figures_may_run_and_no_others():
    known = ["theme()", 'print("a")', LIVE, "\nafter()\n"]
    found = allowed(policy_pages.with_policy(PAGE))
    assert sorted(found) == sorted(["'self'", "file:", "'unsafe-hashes'", *map(hashed, known)])


def test_hashes_hold_for_attributes_only_where_there_are_some():
    page = re.sub("<button.*", "", PAGE)
    assert "'unsafe-hashes'" not in allowed(policy_pages.with_policy(page))


def test_the_policy_comes_first_and_once():
    once = policy_pages.with_policy(PAGE)
    assert policy_pages.with_policy(once) == once
    charset, following = once.index("charset"), once.index("<script")
    assert charset < once.index("Content-Security-Policy") < following
    assert policy_pages.OWN.sub("", once) == PAGE


def test_pages_have_it_and_what_is_no_page_of_the_book_stays(tmp_path):
    for name in ("a.html", "book/b.html", "_static/c.html"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(PAGE)
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=tmp_path)
    policy_pages.state_policies(app, None)
    have = {p.name for p in tmp_path.rglob("*.html") if "Content-Security" in p.read_text()}
    assert have == {"a.html", "b.html"}
