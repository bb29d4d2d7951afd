"""Live figures in tabs of a browser: their pages and formulas, and how they are read and moved."""

import base64
import re
from contextlib import contextmanager
from functools import cache

import phase_utils as pu
from phase_utils.chapters.live import scripts as live_scripts

NAMES = live_scripts.LIVE
PAGE = """<!doctype html><html lang="en" data-theme="light"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Live</title>
<style>html {{ color: #222832; background: white; --pst-color-background: white }}
html[data-theme="dark"] {{ color: #ced6dd; background: #14181e; --pst-color-background: #14181e }}
</style><body>{body}</body></html>"""


@cache
def html(name):
    """What a cell shows that ends with the figure of this name, made once."""
    return getattr(pu.widgets, name)()._repr_html_()


def scripts(html):
    """The scripts of a figure's page: the frame of all figures, and its own."""
    return re.findall(r"<script>(.*?)</script>", html, re.DOTALL)


@contextmanager
def formulas_of(browser, *names):
    """A tab in which T holds what these modules export."""
    tab = browser.new_page()
    encoded = [base64.b64encode(live_scripts.module(name).encode()).decode() for name in names]
    load = "s => import(`data:text/javascript;base64,${s}`)"
    tab.evaluate(
        f"async (all) => {{ window.T = Object.assign({{}}, ...await Promise.all("
        f"all.map({load}))); }}",
        encoded,
    )
    yield tab
    tab.close()


def shown(tab):
    """The reading of the figure, with plain spaces and signs."""
    return tab.locator("p[aria-live]").inner_text().replace("\xa0", " ").replace("−", "-")


def found(tab):
    """What the figure says once its question is answered."""
    answer = tab.locator("[role=status]").inner_text()
    return answer.replace("\xa0", " ").replace("−", "-")


def values(text, name):
    """All numbers that a reading gives for `name`."""
    return [float(v) for v in re.findall(rf"\b{name} = (-?\d+(?:\.\d+)?(?:e-?\d+)?)", text)]


def slide(tab, label, *keys):
    """Move a slider by keys; return the value that it shows."""
    slider = tab.get_by_role("slider", name=label)
    slider.focus()
    for key in keys:
        slider.press(key)
    return float(slider.get_attribute("aria-valuetext").split(",")[0].replace("−", "-"))


def finger(tab, start, end, rest=0):
    """Drag a finger over a phone's screen, in ten steps; it may rest first, milliseconds long."""
    session = tab.context.new_cdp_session(tab)
    for k in range(11):
        x, y = (a + (b - a) * k / 10 for a, b in zip(start, end, strict=True))
        kind = "touchMove" if k else "touchStart"
        point = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
        session.send("Input.dispatchTouchEvent", point)
        if not k:
            tab.wait_for_timeout(rest)
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
