"""What the live figures of a built book cost in Chromium: one event, and the wait for the first.

    python benchmarks/live.py _build/html            # minutes; results/live.json
    python benchmarks/live.py _build/html --quick    # seconds; prints only

Each page is opened with the scripts of this package in place of those that it was built with, as
they are, and with the figure in the page's own tree, where the rules of the theme reach it; where
its scripts are others, also as it was built. Every contender moves its first slider to the same
places, in turn with the others. An event ends when style and layout of the whole page are done.
The CPU time is that of the page's main thread and counts painting, too.

The first event is on a phone as Lighthouse has one: a processor four times slower, 1.6 Mb/s and 150
ms to the server, which compresses what it sends. It comes as soon as there is a slider.
"""

import argparse
import gzip
import re
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from report import Report, seconds

from phase_utils.chapters.live import scripts as live_scripts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from in_browser import PHONE, launched

# a frame without a shadow root: all that it holds stands in the page
PLAIN = """Element.prototype.attachShadow = function () {
  const root = this.appendChild(document.createElement("div"));
  Object.defineProperty(this, "shadowRoot", { value: root });
  return root;
};"""
# milliseconds of the event that moves the first slider to a place
MOVE = """async (place) => {
  const figure = document.querySelector(".pu-live"), host = figure.querySelector(".live");
  const slider = (host.shadowRoot ?? host).querySelector("[type=range]");
  slider.value = place;
  const start = performance.now();
  slider.dispatchEvent(new Event("input", { bubbles: true }));
  document.documentElement.getBoundingClientRect();
  const spent = performance.now() - start;
  await new Promise(requestAnimationFrame);
  return spent;
}"""
# seconds from the request of a page to the answer of its first figure to its first slider
FIRST = """() => {
  const sought = setInterval(() => {
    const root = document.querySelector(".pu-live .live")?.shadowRoot;
    const slider = root?.querySelector("[type=range]"), said = root?.querySelector("[aria-live]");
    if (!slider || !said?.textContent) return;
    clearInterval(sought);
    const before = said.textContent;
    slider.value = slider.valueAsNumber > 500 ? 100 : 900;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const answered = setInterval(() => {
      if (said.textContent === before) return;
      clearInterval(answered);
      window.firstAnswer = 1e-3 * performance.now();
    }, 5);
  }, 5);
}"""
SLOWER, LATENCY, RATE = 4, 150, 1.6e6 / 8  # times, milliseconds, bytes a second
# of one figure in a built page; the frame stands in it once
SCRIPTS = re.compile(r"(?:<script[^>]*>(?:(?!</script>).)*\bpuLive\b.*?</script>\s*){1,2}", re.S)
PLACES = [250 + 500 * (0.382 * i % 1) for i in range(30)]


def with_scripts_of_today(page: str) -> str:
    """The page with the frame and the figures' scripts of this package."""
    first = page.index('<div class="pu-live"')
    name = page[first:].split('data-live="', 1)[1].split('"', 1)[0]
    both = "\n".join(map(live_scripts.element, (live_scripts.frame(), live_scripts.script(name))))
    built = SCRIPTS.search(page, first)
    return page[: built.start()] + both + page[built.end() :]


def measured(tabs: Mapping[str, Any], rounds: int) -> dict[str, tuple[list[float], list[float]]]:
    """Wall and CPU seconds of the events of each tab."""
    clocks = {name: tab.context.new_cdp_session(tab) for name, tab in tabs.items()}
    for clock in clocks.values():
        clock.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy(name: str) -> float:
        found = clocks[name].send("Performance.getMetrics")["metrics"]
        return next(m["value"] for m in found if m["name"] == "TaskDuration")

    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in tabs}
    for k in range(rounds + 1):
        for name, tab in tabs.items():
            tab.bring_to_front()
            for place in PLACES:
                before = busy(name)
                wall = 1e-3 * tab.evaluate(MOVE, place)
                if k:  # the first round warms up
                    times[name][0].append(wall)
                    times[name][1].append(busy(name) - before)
    return times


class Compressing(SimpleHTTPRequestHandler):
    """A server that sends its files compressed, as those of pages do."""

    def do_GET(self) -> None:
        """Send the file."""
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            self.send_error(404)
            return
        data = gzip.compress(path.read_bytes())
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(str(path)))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of this folder."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Compressing, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def first_answer(browser: Any, address: str) -> float:
    """Seconds until the first figure of a page answers on a slow phone that does not know it."""
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    tab = context.new_page()
    slow = context.new_cdp_session(tab)
    slow.send("Network.enable")
    limits = {"latency": LATENCY, "downloadThroughput": RATE, "uploadThroughput": RATE}
    slow.send("Network.emulateNetworkConditions", {"offline": False, **limits})
    slow.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    tab.add_init_script(f"({FIRST})()")
    tab.goto(address, wait_until="commit")
    tab.wait_for_function("() => window.firstAnswer", timeout=60_000)
    answer = tab.evaluate("window.firstAnswer")
    context.close()
    return float(answer)


def main() -> None:
    """Measure all pages with a live figure, and record it unless asked to be quick."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("book", type=Path, help="folder of the built pages")
    parser.add_argument("--quick", action="store_true", help="few events; print only")
    options = parser.parse_args()
    rounds = 1 if options.quick else 4
    report = Report(
        "Live figures",
        "What one input event of a slider costs, up to style and layout of the page. A figure "
        "stands in a shadow root, where the theme's rules for its lists and cells do not look. "
        "Before is how the page was built, with the scripts of an earlier version.",
    )
    rows, firsts = [], []
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
                contenders["before"] = (path, "")
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
            found = measured(tabs, rounds)
            now = statistics.median(found["now"][1])
            for name, times in found.items():
                cells = [seconds(f(each)) for each in times for f in (statistics.median, max)]
                ratio = statistics.median(times[1]) / now
                rows.append([path.stem, name, *cells, f"{ratio:.1f}"])
                tabs[name].context.close()
        with served(options.book) as root:
            for path in pages:
                address = f"{root}/{path.relative_to(book).as_posix()}"
                answers = [first_answer(browser, address) for _ in range(rounds + 1)]
                both = (statistics.median(answers), max(answers))
                firsts.append([path.stem, *map(seconds, both)])
        next(browsers, None)
    heads = [
        "page",
        "figure",
        "wall, median",
        "wall, most",
        "CPU, median",
        "CPU, most",
        "CPU / now",
    ]
    report.table(f"One input event, {rounds * len(PLACES)} of each", heads, rows)
    caption = f"First answer on a slow phone, {rounds + 1} of each"
    report.table(caption, ["page", "median", "most"], firsts)
    if not options.quick:
        report.write("live")


if __name__ == "__main__":
    main()
