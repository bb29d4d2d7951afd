"""Whatever names, values, errors and damaged files say is text in a page: no script of it runs."""

import csv
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import demo_chapter
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import phase_utils as pu
from phase_utils.chapters import (
    claims,
    export,
    grid,
    grid_page,
    policy,
    provenance,
    running,
)
from phase_utils.chapters.live import scripts as live_scripts

# each would run where it is taken for markup, an attribute, a formula or a script
PAYLOADS = [
    "<script>alert(1)</script>",
    "[a](javascript:alert(2))",
    "<img src=x onerror=alert(3)>",
    '"><svg onload=alert(4)>',
    "' onmouseover='alert(5)",
    "$\\href{javascript:alert(6)}{x}$ \\(\\href{javascript:alert(6)}{y}\\)",
    "</pre></style></title><script>alert(7)</script>",
    "<javascript:alert(8)> ![b](javascript:alert(8))",
    "`</code><iframe srcdoc='<script>parent.alert(9)</script>'>`",
    "{{ ''.__class__ }} {% raw %} --><a href=javascript:alert(10)>c</a> | d",
]
COUNTED = """() => [document.querySelectorAll("iframe, svg[onload], img[onerror]").length,
  [...document.querySelectorAll("a, area")].filter(a => a.protocol === "javascript:").length,
  [...document.querySelectorAll("*")].flatMap(e => [...e.attributes])
    .filter(a => a.name.startsWith("on")).length]"""


@contextmanager
def opened(browser, path: Path) -> Iterator[tuple]:
    """A tab that shows the page, and what it complained of; that a dialog opens is a complaint."""
    tab, told = browser.new_page(), []
    tab.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
    tab.on("console", lambda message: told.append(message.text))
    tab.on("pageerror", lambda error: told.append(str(error)))
    tab.goto(path.as_uri())
    yield tab, told
    tab.close()


def words(text: str) -> str:
    return " ".join(text.split())


def glued(name: str, value: str):
    """What `myst_nb.glue` leaves in a cell."""
    meta = {"scrapbook": {"name": name, "mime_prefix": "application/papermill.record/"}}
    data = {"application/papermill.record/text/plain": repr(value)}
    return new_output("display_data", data=data, metadata=meta)


def claim_line(monkeypatch, text: str):
    """What a check leaves in a cell whose every word comes from a file."""
    shown = []
    monkeypatch.setattr(claims, "display", shown.append)
    first = claims.definitions()[0]
    ledger = claims.Ledger(first.chapter, "smoke")
    ledger.check(first.id, measured=text, expected=text, route=text, what=text, reduced=text)
    ledger.untested(first.id, text)
    return [
        new_output("display_data", data=data, metadata=meta)
        for data, meta in (line._repr_mimebundle_() for line in shown)
    ]


def failed(text: str):
    """What an error with this message leaves in a cell."""
    try:
        raise ValueError(text)
    except ValueError as error:
        lines = traceback.format_exception(error)
    return new_output("error", ename="ValueError", evalue=text, traceback=lines)


@pytest.fixture
def executed(monkeypatch, tmp_path):
    """A chapter that says every payload in each way in which a text can enter it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pu.provenance.devices, "name", str)
    ledger = claims.Ledger(claims.definitions()[0].chapter, "smoke")
    cells = [new_markdown_cell("# A title")]
    for i, text in enumerate(PAYLOADS):
        file = text.replace("/", "\N{DIVISION SLASH}") + ".csv"
        quoted = text.replace('"', '""')
        Path(file).write_text(f'a,"{quoted}"\n1,2\n3,5\n4,4\n')
        task = pu.data.load(file, target=text)
        assert task.name == file and task.label == text
        table = {"text/markdown": f"| data |\n| --- |\n| {pu.data.literal(text)} |"}
        record = provenance.record(ledger, seed=0, data=file)
        cells += [
            new_code_cell(
                f"data = {text!r}",
                outputs=[
                    glued(f"name{i}", task.name),
                    glued(f"about{i}", task.description),
                    glued(f"label{i}", task.label),
                    *claim_line(monkeypatch, text),
                    new_output("display_data", data=table),
                    new_output("display_data", data={"text/html": record._repr_html_()}),
                    new_output("stream", name="stdout", text=text),
                    new_output("stream", name="stderr", text=text),
                    failed(text),
                ],
            ),
            new_markdown_cell(
                f"{{glue:text}}`name{i}` is {{glue:text}}`about{i}`.\n\n{{glue:}}`label{i}`\n\n"
                f":::{{note}} {{glue:text}}`label{i}`\n:::\n\n- {{glue:text}}`label{i}`"
            ),
        ]
    return new_notebook(cells=cells)


def test_an_exported_page_shows_every_payload_as_text(browser, executed, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(export.to_html(export.readable(executed)), encoding="utf-8")
    with opened(browser, path) as (tab, told):
        tab.evaluate("() => MathJax.startup.promise")
        tab.mouse.wheel(0, 4000)
        assert tab.evaluate(COUNTED) == [0, 0, 0]
        assert tab.locator("mjx-container").count() == 0
        shown = words(tab.locator("body").inner_text())
        # in the source, in outputs, errors and claims, and where values are handed to the text; a
        # name of a file has no slash, and a literal in a source has two backslashes for one
        counts = {t: shown.count(words(t)) for t in PAYLOADS}
        assert counts == {t: 16 - 3 * ("/" in t) - ("\\" in t) for t in PAYLOADS}
        assert told == []


def test_an_index_of_runs_shows_every_payload_as_text(browser, tmp_path, monkeypatch):
    """Values and errors of runs, and claims as a damaged or foreign `cell.json` has them."""
    monkeypatch.chdir(tmp_path)
    source = demo_chapter.SOURCE.replace("A demo of *everything*", f"A demo of {PAYLOADS[0]}")
    folder = demo_chapter.write(tmp_path / "notebooks", source)

    def execute(_, values, **_options):
        error = values["target"] if values["target"] in PAYLOADS[::2] else ""
        return running.Executed(("{}", "<p>"), ({"id": "Eq-1", "state": "pass"},), error, error)

    monkeypatch.setattr(running, "execute", execute)
    with Path("all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([PAYLOADS, range(10), range(1, 11), [k**2 for k in range(10)]])
    run = {"name": "demo", "axes": {"target": PAYLOADS, "data": ["all.csv"]}, "folder": folder}
    grid.run(**run, out="runs")
    for record in Path("runs").glob("*/cell.json"):
        held = json.loads(record.read_text())
        held["claims"] = [{"id": text, "state": text} for text in PAYLOADS]
        record.write_text(json.dumps(held))
    grid.run(**run, out="runs")
    with opened(browser, tmp_path / "runs" / "index.html") as (tab, told):
        assert tab.evaluate(COUNTED) == [0, 0, 0]
        assert tab.title() == f"A demo of {PAYLOADS[0]}: grid"
        shown = words(tab.locator("body").inner_text())
        # a value, a heading of a claim, its state in each run, and for some an error
        assert [t for t in PAYLOADS if shown.count(words(t)) < 7] == []
        assert told == []


def test_claims_that_are_none_make_a_run_be_done_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = demo_chapter.write(tmp_path / "notebooks")
    ran = []

    def execute(_, values, **_options):
        ran.append(values)
        return running.Executed(("{}", "<p>"), ({"id": "Eq-1", "state": "pass"},), "", "")

    monkeypatch.setattr(running, "execute", execute)
    for claimed in (None, ["pass"], "pass", 3, {"id": "Eq-1"}):
        for record in Path("runs").glob("*/cell.json"):
            record.write_text(json.dumps({**json.loads(record.read_text()), "claims": claimed}))
        grid.run("demo", {"n": [1]}, out="runs", folder=folder)
    assert len(ran) == 5


def test_the_policy_stops_what_is_markup_after_all(browser, tmp_path):
    """Raw tags in a chapter's own text: the second line of defence, and what must run runs."""
    raw = "\n\n".join(
        [
            "# A title",
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(2)>",
            '<a id="link" href="javascript:alert(3)">a link</a>',
            '<svg onload="alert(4)"></svg>',
            '<img src="https://example.org/x.png">',
            "<iframe srcdoc='<script>parent.alert(5)</script>'></iframe>",
            "$x^2$",
        ]
    )
    live = new_output("display_data", data={"text/html": pu.widgets.landscape()._repr_html_()})
    nb = new_notebook(cells=[new_markdown_cell(raw), new_code_cell("1", outputs=[live])])
    path = tmp_path / "page.html"
    path.write_text(export.to_html(export.readable(nb)), encoding="utf-8")
    asked = []
    with opened(browser, path) as (tab, told):
        tab.on("request", lambda request: asked.append(request.url))
        tab.evaluate("() => MathJax.startup.promise")
        tab.locator("#link").click()
        tab.get_by_role("slider").first.wait_for()
        assert tab.locator("mjx-container").count() == 1
        assert not any(line.startswith("dialog") for line in told)
        refused = [line for line in told if "Content Security Policy" in line]
        assert len(refused) >= 6, told
        assert [url for url in asked if url.startswith("http")] == []


@pytest.mark.parametrize("page", ["export", "index"])
def test_a_page_names_the_scripts_that_may_run(page):
    nb = new_notebook(cells=[new_markdown_cell("# A title")])
    made = {"export": export.to_html(export.readable(nb)), "index": grid_page.page("a", [], [])}
    tree = BeautifulSoup(made[page], "html.parser")
    first = tree.find(["script", "style", "link", "meta"], charset=False, attrs={"name": False})
    assert first["http-equiv"] == "Content-Security-Policy"
    parts = (part.split() for part in first["content"].split(";"))
    directives = {name: set(sources) for name, *sources in parts}
    assert directives["default-src"] == {"'none'"}
    live = live_scripts.all_scripts() if page == "export" else ()
    known = [*(tag.string for tag in tree("script")), *live]
    assert directives["script-src"] == (set(map(policy.hashed, known)) or {"'none'"})
