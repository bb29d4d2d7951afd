"""A content security policy in every page: it runs the scripts it was built with, and no other.

Of inline scripts those of the theme, which stand around the article, and the live figures in it may
run; each is named by its hash, and so are the theme's handlers in attributes. Styles may be inline:
MathJax, the theme and the figures write theirs into elements. Nothing comes from another host.
"""

import html
import re
from pathlib import Path

from built_pages import pages
from sphinx.application import Sphinx

from phase_utils.chapters import policy
from phase_utils.chapters.live import scripts as live_scripts

# what lies beside the page; where the book is opened as files, no file is 'self' to some browsers
BESIDE = "'self' file:"
ARTICLE = re.compile(r"<article\b.*?</article>", re.S)
SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.S)
HANDLER = re.compile(r"<[a-z][^>]*?\son[a-z]+=(?:\"([^\"]*)\"|'([^']*)')")
CHARSET = re.compile(r"<meta charset=\"[^\"]*\"\s*/?>")
OWN = re.compile(r"\n<meta http-equiv=\"Content-Security-Policy\"[^>]*>")


def element(page: str) -> str:
    """Return the element that states the policy of a page."""
    around = ARTICLE.sub("", page)
    live = set(live_scripts.all_scripts()).intersection(SCRIPT.findall(page))
    scripts = {*SCRIPT.findall(around), *live}
    handlers = {html.unescape(one or other) for one, other in HANDLER.findall(around)}
    allowed = sorted(map(policy.hashed, scripts | handlers))
    if handlers:
        allowed.append("'unsafe-hashes'")  # what makes a hash hold for a handler, too
    return policy.element(
        {
            "default-src": BESIDE,
            "script-src": " ".join([BESIDE, *allowed]),
            "style-src": f"{BESIDE} 'unsafe-inline'",
            "img-src": f"{BESIDE} data:",
            "font-src": f"{BESIDE} data:",
            "object-src": "'none'",
            "base-uri": "'none'",
            "form-action": "'self'",
        }
    )


def with_policy(page: str) -> str:
    """Return a page that states its policy, before everything it is to hold for.

    It has the frame of its live figures once.
    """
    page = live_scripts.once(OWN.sub("", page))
    return CHARSET.sub(lambda found: f"{found[0]}\n{element(page)}", page, count=1)


def state_policies(app: Sphinx, error: Exception | None) -> None:
    """State the policies of all pages."""
    if error is not None or app.builder.format != "html":
        return
    for path in pages(Path(app.outdir)):
        path.write_text(with_policy(path.read_text(encoding="utf-8")), encoding="utf-8")


def setup(app: Sphinx) -> None:
    """State them when all pages are there."""
    app.connect("build-finished", state_policies, priority=950)
