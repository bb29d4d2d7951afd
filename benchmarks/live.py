"""What one input event costs in the live figures of a built book, in Chromium.

    python benchmarks/live.py _build/html            # minutes; results/live.json
    python benchmarks/live.py _build/html --quick    # seconds; prints only

Each page is opened with the scripts of this package in place of those that it was built with, as
they are, and with the figure in the page's own tree, where the rules of the theme reach it; where
its scripts are others, also as it was built. Every contender moves its first slider to the same
places, in turn with the others. An event ends when style and layout of the whole page are done.
The CPU time is that of the page's main thread and counts painting, too.
"""

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from report import Report, seconds

from phase_utils.chapters.live import scripts as live_scripts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from in_browser import launched

# a frame without a shadow root: all that it holds stands in the page
PLAIN = """Element.prototype.attachShadow = function () {
  const root = this.appendChild(document.createElement("div"));
  Object.defineProperty(this, "shadowRoot", { value: root });
  return root;
};"""
# milliseconds of each of n events
MOVE = """async (n) => {
  const figure = document.querySelector(".pu-live"), host = figure.querySelector(".live");
  const slider = (host.shadowRoot ?? host).querySelector("[type=range]"), times = [];
  for (let i = 0; i < n; i++) {
    await new Promise(requestAnimationFrame);
    slider.value = 250 + 500 * ((i * 0.382) % 1);
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    document.documentElement.getBoundingClientRect();
    times.push(performance.now() - start);
  }
  return times;
}"""


def with_scripts_of_today(page: str) -> str:
    """The page with the frame and the figures' scripts of this package."""
    first = page.index('<div class="pu-live"')
    name = page[first:].split('data-live="', 1)[1].split('"', 1)[0]
    start = page.index('<script type="module">', first)
    end = page.index("</script>", start) + len("</script>")
    both = "\n".join(map(live_scripts.element, (live_scripts.frame(), live_scripts.script(name))))
    again = '\n<script type="module">'
    if page[end:].startswith(again):  # the frame stood before it
        end = page.index("</script>", end) + len("</script>")
    return page[:start] + both + page[end:]


def measured(tabs: Mapping[str, Any], n: int, rounds: int) -> dict[str, tuple[list[float], float]]:
    """Milliseconds of the events of each tab, and CPU seconds per event."""
    clocks = {name: tab.context.new_cdp_session(tab) for name, tab in tabs.items()}
    for clock in clocks.values():
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy(name: str) -> float:
        found = clocks[name].send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in found if m["name"] == "TaskDuration")

    times: dict[str, list[float]] = {name: [] for name in tabs}
    cpu = dict.fromkeys(tabs, 0.0)
    for k in range(rounds + 1):
        for name, tab in tabs.items():
            tab.bring_to_front()
            before = busy(name)
            found = tab.evaluate(MOVE, n)
            if k:  # the first round warms up
                times[name] += found
                cpu[name] += busy(name) - before
    return {name: (times[name], cpu[name] / (n * rounds)) for name in tabs}


def main() -> None:
    """Measure all pages with a live figure, and record it unless asked to be quick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", type=Path, help="folder of the built pages")
    parser.add_argument("--quick", action="store_true", help="few events; print only")
    options = parser.parse_args()
    n, rounds = (10, 1) if options.quick else (30, 4)
    report = Report(
        "Live figures",
        "What one input event of a slider costs, up to style and layout of the page. A figure "
        "stands in a shadow root, where the theme's rules for its lists and cells do not look.",
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "book"
        shutil.copytree(options.book, book)
        pages = [
            p for p in sorted(book.rglob("*.html")) if 'class="pu-live"' in p.read_text("utf-8")
        ]
        browsers = launched()
        browser = next(browsers)
        for path in pages:
            page = path.read_text(encoding="utf-8")
            new = path.with_name(f"now-{path.name}")
            new.write_text(with_scripts_of_today(page), encoding="utf-8")
            contenders = {"now": (new, ""), "in the page's tree": (new, PLAIN)}
            if live_scripts.frame() not in page:
                contenders["as built"] = (path, "")
            tabs = {}
            for name, (file, script) in contenders.items():
                context = browser.new_context(
                    viewport={"width": 1280, "height": 900}, bypass_csp=True, offline=True
                )
                tabs[name] = context.new_page()
                if script:
                    tabs[name].add_init_script(script)
                tabs[name].goto(file.as_uri())
                tabs[name].wait_for_timeout(3000)  # until formulas are typeset
            found = measured(tabs, n, rounds)
            now = found["now"][1]
            for name, (times, cpu) in found.items():
                numbers = (statistics.median(times), np.quantile(times, 0.95), max(times))
                rows.append(
                    [
                        path.stem,
                        name,
                        *(seconds(1e-3 * ms) for ms in numbers),
                        seconds(cpu),
                        f"{cpu / now:.1f}",
                    ]
                )
                tabs[name].context.close()
        next(browsers, None)
    heads = ["page", "figure", "median", "95 %", "worst", "CPU, mean", "CPU / now"]
    report.table(f"One input event, {n * rounds} of each", heads, rows)
    if not options.quick:
        report.write("live")


if __name__ == "__main__":
    main()
