"""An edition: checked before it runs, resumed, by one process, whole, and honest on its pages."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import demo_chapter
import nbformat
import numpy as np
import places
import pytest
from bs4 import BeautifulSoup
from scipy.optimize import brentq, minimize_scalar

import phase_utils as pu
from phase_utils.chapters import (
    edition,
    edition_facts,
    edition_front,
    edition_site,
    edition_work,
    execution,
    export,
    library,
    parameter_table,
    results,
)
from phase_utils.chapters.command_line import main
from phase_utils.chapters.edition_work import Finished
from phase_utils.chapters.lines import Line

ROOT = Path(__file__).resolve().parents[1]
DATA = ["-p", "data=teacher"]


def write_book(root: Path, *, second: str = "good") -> Path:
    """Two chapters and what stands for the sources of their book; the folder of the chapters."""
    folder = demo_chapter.write(root / "notebooks")
    source = demo_chapter.SOURCE.replace('mode: str = "good"', f'mode: str = "{second}"')
    (folder / "02_second.md").write_text(source.replace("A demo", "Another"))
    for name in ("book", "benchmarks/results"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("_config.yml", "_toc.yml", "CITATION.cff"):
        (root / name).touch()
    return folder


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_book(tmp_path / "book")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def ran(monkeypatch) -> list[tuple]:
    """No kernel and no pages: the list has name and values of every chapter that was executed."""
    calls: list[tuple] = []

    def quick(_shared, part):
        calls.append((part.chapter, dict(part.values)))
        if part.values.get("mode") == "sleeps" and len(calls) == 2:
            raise KeyboardInterrupt
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(part.chapter, id="a")])
        state = {"wrong": "fail"}.get(part.values.get("mode"), "pass")
        error = "Traceback\nValueError: no" if part.values.get("mode") == "fails" else ""
        return Finished(execution.written(nb), ({"id": "Eq-1", "state": state},), error)

    def built(_root, place, *_rest):
        (place / "index.html").write_text("<p>")
        return ()

    monkeypatch.setattr(edition_work, "executed", quick)
    monkeypatch.setattr(edition_site, "build", built)
    return calls


def left(place: str = ".") -> set[str]:
    return {p.name for p in Path(place).iterdir()}


# Refusals


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "an edition is of some data: give them with -p data=FILE"),
        (["-p", "targe=y", *DATA], "unknown parameter 'targe'; did you mean target?"),
        (["-p", "data"], "-p must be name=literal, got 'data'"),
        ([*DATA, *DATA], "parameter data is given twice"),
        (["-p", "data=no.csv"], "there is no 'no.csv'"),
        (["-p", "data=mine.csv", "-p", "target=z"], "target must be among the columns a, y"),
        (["-p", "data=words.csv"], "words.csv, line 2, column 'a'"),
        ([*DATA, "-p", "n=0"], "01_demo: n must be in 1..64, got 0"),
        ([*DATA, "--chapters", "3"], "no chapter '3' in the folder that is given"),
        ([*DATA, "--jobs", "0"], "jobs must be in 1..1000, got 0"),
        ([*DATA, "--timeout", "0"], "timeout must be"),
        ([*DATA, "--out", "words.csv"], "out must be a folder, but words.csv is a file"),
        ([*DATA, "--out", "taken"], "out must be empty or an edition, but taken holds 'a file'"),
        ([*DATA, "--dask", "x://y"], "there is no Dask scheduler at 'x://y'"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_runs(folder, ran, capsys, words, message):
    Path("mine.csv").write_text("a,y\n1,2\n2,1\n4,0\n")
    Path("words.csv").write_text("a,y\nb,2\n2,1\n")
    Path("taken").mkdir()
    Path("taken/a file").touch()
    begun = time.monotonic()
    assert main(["edition", *words], folder=folder) == 2
    assert message in capsys.readouterr().err
    assert ran == []
    assert left() == {"mine.csv", "words.csv", "taken"}
    assert left("taken") == {"a file"}
    if "--dask" not in words:
        assert time.monotonic() - begun < 3


def test_a_folder_that_nobody_may_write_is_refused(folder, ran, capsys):
    for path in (folder.parent, *folder.parent.rglob("*")):
        path.chmod(0o755)
    shut = Path("shut").resolve()
    shut.mkdir()
    with places.read_only(shut):
        assert main(["edition", *DATA, "--out", "shut/mine"], folder=folder) == 2
    assert "out must be a folder in which files can be written" in capsys.readouterr().err
    assert ran == [] and left("shut") == set()


def test_the_chapters_alone_are_no_book(tmp_path, ran, capsys):
    alone = demo_chapter.write(tmp_path / "installed" / "notebooks")
    assert main(["edition", *DATA], folder=alone) == 2
    said = capsys.readouterr().err
    assert "needs the sources of the book, and _config.yml is not beside the chapters" in said
    assert ran == [] and left() == set()


def test_a_folder_is_of_one_question(folder, ran, capsys):
    assert main(["edition", *DATA, "--out", "a"], folder=folder) == 0
    for words, told in (
        (["-p", "data=diabetes"], "data = teacher"),
        ([*DATA, "-p", "n=2"], "no n given"),
        ([*DATA, "--tier", "smoke"], "tier = book"),
    ):
        assert main(["edition", *words, "--out", "a"], folder=folder) == 2
        assert f"but a is one with {told}: give another folder" in capsys.readouterr().err
    assert len(ran) == 2
    assert main(["edition", *DATA, "--out", "a", "--chapters", "2"], folder=folder) == 0
    assert len(ran) == 2


def test_one_process_at_a_time_makes_an_edition(folder, ran, capsys):
    with results.reserved("a", "edition"):
        assert main(["edition", *DATA, "--out", "a"], folder=folder) == 5
    assert "another one is at a" in capsys.readouterr().err
    assert ran == [] and not Path("a").exists()


# Runs


def test_every_chapter_gets_what_it_has(folder, ran):
    text = (folder / "02_second.md").read_text()
    (folder / "02_second.md").write_text(text.replace("n: int = 3", "other: int = 3"))
    assert main(["edition", *DATA, "-p", "n=7", "--tier", "smoke"], folder=folder) == 0
    given = {"tier": "smoke", "data": "teacher"}
    assert ran == [("01_demo", {**given, "n": 7, "scale": 0.5}), ("02_second", given)]


def test_an_interruption_says_what_is_kept_and_the_next_run_goes_on(folder, ran, capsys):
    words = ["edition", "-p", "data=mine.csv", "--out", "a"]
    Path("mine.csv").write_text("a,y\n1,2\n2,1\n4,0\n")
    write_book(folder.parent, second="sleeps")
    text = (folder / "02_second.md").read_text()
    assert main([*words, "-p", "mode=sleeps"], folder=folder) == 130
    assert "interrupted: 1 of 2 done, run again to resume" in capsys.readouterr().err
    assert main([*words, "-p", "mode=sleeps"], folder=folder) == 0
    assert "chapters: 2, of which 1 were done before" in capsys.readouterr().out
    assert [name for name, _ in ran] == ["01_demo", "02_second", "02_second"]
    # a chapter or a file that has changed, and a result that was damaged, are done again
    (folder / "02_second.md").write_text(text.replace("Another", "A third"))
    assert main([*words, "-p", "mode=sleeps"], folder=folder) == 0
    assert [name for name, _ in ran[3:]] == ["02_second"]
    Path("mine.csv").write_text("a,y\n1,2\n2,1\n4,1\n")
    assert main([*words, "-p", "mode=sleeps"], folder=folder) == 0
    assert [name for name, _ in ran[4:]] == ["01_demo", "02_second"]
    for path in Path("a/.edition").glob("*/01_demo.ipynb"):
        path.write_text("{}")
    assert main([*words, "-p", "mode=sleeps"], folder=folder) == 0
    assert [name for name, _ in ran[6:]] == ["01_demo"]


def test_an_edition_that_kept_nothing_leaves_nothing(folder, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(edition_work, "executed", stopped)
    assert main(["edition", *DATA, "--out", "a"], folder=folder) == 130
    assert left() == set()


@pytest.mark.parametrize(("mode", "code", "again"), [("fails", 1, 4), ("wrong", 3, 2)])
def test_what_failed_is_told(folder, ran, capsys, mode, code, again):
    words = ["edition", *DATA, "-p", f"mode={mode}", "--out", "a"]
    assert main(words, folder=folder) == code
    said = capsys.readouterr().err
    assert ("ValueError: no" in said) == (mode == "fails")
    assert ("Claims of 02_second failed: Eq-1" in said) == (mode == "wrong")
    assert main(words, folder=folder) == code
    assert len(ran) == again  # what failed to execute is executed again


def test_pages_that_cannot_be_built_are_told(folder, capsys, monkeypatch):
    (folder.parent / "_config.yml").write_text("sphinx: {config: {}}\n")
    (folder.parent / "_toc.yml").write_text("parts: []\n")
    (folder.parent / "book" / "introduction.md").touch()
    (folder.parent / "book" / "status.md").write_text("# Status\n")
    (folder.parent / "book" / "search.toml").touch()
    done = Finished(execution.written(nbformat.v4.new_notebook()))
    monkeypatch.setattr(edition_work, "executed", lambda *_: done)
    assert main(["edition", *DATA, "--out", "a"], folder=folder) == 1
    assert "the pages could not be built:\n" in capsys.readouterr().err
    assert left("a") == {".edition"}
    assert Path("a/.edition/build.log").stat().st_size > 100
    assert not list(Path("a/.edition").glob(f"{edition_site.SITE}*"))
    assert len(list(Path("a/.edition").glob("*/cell.json"))) == 2


@contextmanager
def begun(folder: Path, words: list[str]):
    """The command in a process of its own, when a chapter sleeps and another one is done."""
    code = (
        "import signal, sys; from pathlib import Path; "
        "from phase_utils.chapters import edition_site; "
        "from phase_utils.chapters.command_line import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        "edition_site.build = lambda *_: (); "
        f"sys.exit(main({words!r}, folder=Path({str(folder)!r})))"
    )
    env = {**os.environ, "TMPDIR": str(folder.parent)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=env
    )
    try:
        limit = time.monotonic() + 150
        while not (Path("asleep").exists() and list(Path("a").glob(".edition/*/cell.json"))):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def at_work(folder: Path) -> list[str]:
    """Processes of an edition that are left."""
    own, found = f"TMPDIR={folder.parent}", []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if own.encode() in (place / "environ").read_bytes():
                found.append(place.name)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("how", ["SIGINT", "SIGKILL"])
def test_processes_end_with_the_one_that_asked_and_what_is_done_is_kept(
    tmp_path, capsys, monkeypatch, how
):
    folder = write_book(tmp_path / "book", second="sleeps")
    words = ["edition", *DATA, "--out", "a", "--jobs", "2"]
    with begun(folder, words) as process:
        process.send_signal(getattr(signal, how))
        _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if how == "SIGINT" else -signal.SIGKILL)
    assert ("1 of 2 done, run again to resume" in said) == (how == "SIGINT")
    limit = time.monotonic() + 30
    while at_work(folder) and time.monotonic() < limit:
        time.sleep(0.1)
    assert at_work(folder) == []
    write_book(tmp_path / "book")
    monkeypatch.setattr(edition_site, "build", lambda *_: ())
    assert main([*words[:-2]], folder=folder) == 0
    assert "chapters: 2, of which 1 were done before" in capsys.readouterr().out
    assert left("a") == {".edition"}


# Parameters


def test_a_chapter_opens_with_its_parameters(folder):
    chapter = library.find("demo", folder)
    values = chapter.values({"n": 2, "mode": "wrong", "depths": [3]})
    nb = parameter_table.opened(chapter.notebook(), chapter.parameters, values)
    page = BeautifulSoup(export.to_html(export.readable(nb)), "html.parser")
    title = page.find("h1")
    changed, kept = title.find_all_next("table", limit=2)
    rows = [[c.get_text() for c in tr.find_all(["th", "td"])] for tr in changed("tr")]
    assert rows == [
        ["Parameter", "Value", "Default", "Unit"],
        ["n", "2", "3", "count"],
        ["depths", "3", "0, 1", ""],
        ["mode", "wrong", "good", ""],
    ]
    assert kept.find_parent("details").find("summary").get_text() == "The others, at their defaults"
    rows = [[c.get_text() for c in tr.find_all("td")] for tr in kept("tr")[1:]]
    assert rows[:2] == [["data", "teacher", "teacher", ""], ["target", "–", "–", ""]]
    assert len(rows) + 3 == len(chapter.parameters)
    assert chapter.notebook().cells[0].source in nb.cells[0].source.replace(
        "\n\n" + parameter_table.table(chapter.parameters, values) + "\n", ""
    )


# Facts


def coexistence(m, depth: int) -> float:
    """The last decay at which a learned state is as good as none, from Eq. 6 on its own."""
    a, e = m.eigenvalues, m.signals

    def least(gamma):
        def excess(log_u):
            u = np.exp(log_u)
            return gamma * depth * u - np.sum(u**depth * e**2 / (a * u**depth + gamma))

        places = np.linspace(-8, 3, 400)
        best = places[np.argmin([excess(s) for s in places])]
        found = minimize_scalar(excess, bounds=(best - 0.1, best + 0.1), method="bounded")
        return found.fun

    return brentq(least, 0.05 * m.signal, 0.9 * m.signal, xtol=1e-9)


def test_facts_agree_with_the_effective_loss_itself():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 3)) * [1, 2, 0.5]
    y = x @ [1.0, -0.5, 0.7] + 0.1 * rng.normal(size=60)
    np.savez("mine.npz", x=x, y=y)
    task = pu.data.load("mine.npz")
    found = edition_facts.facts(task)
    by = {d.depth: d for d in found.depths}
    assert by[0].transitions == ()
    assert by[1].transitions[0].gamma == pytest.approx(np.linalg.norm(task.moments.Exy), rel=1e-12)
    for depth in (2, 3, 5):
        assert by[depth].transitions[-1].gamma == pytest.approx(
            coexistence(task.moments, depth), rel=1e-6
        )
    assert sum(mode.share for mode in found.modes) == pytest.approx(1, rel=1e-12)
    assert sorted(mode.eigenvalue for mode in found.modes) == pytest.approx(
        np.linalg.eigvalsh(np.corrcoef(x.T)), rel=1e-9
    )
    assert found.cascades == ()


def test_a_cascade_is_told_and_silence_too():
    wide = pu.data.Task(
        "wide", pu.Moments.from_spectrum([1, 1e-6], [0.5, 4e-4], 1), None, None, "wide"
    )
    page = edition_front.page(wide, "smoke", {"01_formalism": "What?"}, ["03_depth_zero"])
    assert "**A cascade.**" in page and "2 at depth 5" in page
    assert "without chapter 3: it was not asked for" in page
    none = pu.data.Task("none", pu.Moments(np.eye(2), [0, 0], 1.0), None, None, "none")
    page = edition_front.page(none, "smoke", {"01_formalism": "What?"}, [])
    assert "There is nothing to learn linearly" in page and "Turn the decay" not in page


@pytest.mark.parametrize(
    ("numbers", "text"), [([], ""), ([3], "3"), ([1, 4, 5, 6, 21], "1, 4 to 6, 21")]
)
def test_ranges_of_chapters(numbers, text):
    assert edition_front.ranges(numbers) == text


# The site

NAME = "<img src=x onerror=alert(1)>.csv"
LABEL = "</td><script>alert(3)</script> | [a](javascript:alert(4)) $\\href{javascript:alert(5)}{x}$"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> tuple[Path, int, str]:
    """An edition of chapter 3, and of chapter 18, a cell and a claim of which fail."""
    here = tmp_path_factory.mktemp("site")
    executed = edition_work.executed

    def one_fails(shared, part):
        if part.chapter == "03_depth_zero":
            return executed(shared, part)
        nb = library.find(part.chapter).notebook()
        claim = {"id": "Eq-1", "chapter": part.chapter, "state": "fail", "tier": "smoke"}
        ids = [d.id for d in pu.claims.definitions() if d.chapter == part.chapter]
        line = Line({**claim, "id": ids[0]}, [ids[0], "fail", LABEL])
        data, meta = line._repr_mimebundle_()
        shown = nbformat.v4.new_output("display_data", data, metadata=meta)
        lost = nbformat.v4.new_output("error", ename="ValueError", evalue=LABEL, traceback=[LABEL])
        cells = [c for c in nb.cells if c.cell_type == "code"]
        cells[-1].outputs = [shown, lost]
        return Finished(execution.written(nb), ({**claim, "id": ids[0]},), f"ValueError: {LABEL}")

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(here)
        patch.setattr(edition_work, "executed", one_fails)
        rng = np.random.default_rng(2)
        x = rng.normal(size=(40, 2))
        rows = np.c_[x, x @ [1.0, 0.5] + 0.3 * rng.normal(size=40)]
        name = NAME.replace("/", "\N{DIVISION SLASH}")
        lines = [",".join(f"{v:.6f}" for v in row) for row in rows]
        Path(name).write_text("\n".join([f'a,b,"{LABEL}"', *lines]) + "\n")
        given = {"data": repr(name), "target": repr(LABEL)}
        done = edition.run(given, chapters=["3", "18"], tier="smoke", out="mine")
        return here / "mine", done, name


def text_of(page: Path) -> str:
    return " ".join(BeautifulSoup(page.read_text(), "html.parser").find("main").get_text().split())


def test_a_whole_edition_is_built_without_a_warning(site):
    place, done, _ = site
    assert done.warnings == ()
    assert done.ran == ("03_depth_zero", "18_line_by_line_no_transition")
    assert {p.stem for p in (place / "notebooks").glob("*.html")} == set(done.chapters)
    assert (place / "index.html").is_file() and (place / "book" / "glossary.html").is_file()
    assert json.loads((place / ".edition" / "pages.json").read_text()) == sorted(
        p.name for p in place.iterdir() if p.name != ".edition"
    )
    text = "".join(p.read_text() for p in place.rglob("*.html"))
    assert str(place.parent) not in text and str(ROOT) not in text


def test_the_first_page_says_what_the_data_do(site):
    place, _, name = site
    task = pu.data.load(str(place.parent / name), target=LABEL)
    shown = text_of(place / "book" / "introduction.html")
    assert "What these data do" in shown and "40 samples, 2 inputs" in shown
    for depth in (1, 2, 3, 5):
        end = pu.Landscape(task.moments, depth=depth).transitions()[-1].gamma
        assert f"{end:.4g}" in shown and f"{2 * end:.4g}" in shown
    for value in (*task.moments.eigenvalues, *np.abs(task.moments.signals)):
        assert f"{value:.4g}" in shown
    last = int(library.names()[-1][:2])
    assert f"without chapters 1 to 2, 4 to 17, 19 to {last}" in shown


def test_failures_are_loud_on_the_first_page_the_status_and_the_chapter(site):
    place, done, _ = site
    assert done.chapters["18_line_by_line_no_transition"].error
    for name in ("introduction", "status"):
        page = BeautifulSoup((place / "book" / f"{name}.html").read_text(), "html.parser")
        box = page.find(class_="edition-failures")
        assert "Something failed on these data" in box.get_text()
        assert "a cell failed, and what follows it did not run" in box.get_text()
        links = [a["href"] for a in box("a")]
        assert any("18_line_by_line" in link for link in links)
        assert any("#claim-" in link for link in links)
    shown = text_of(place / "notebooks" / "18_line_by_line_no_transition.html")
    assert "This chapter did not run to its end" in shown


def test_whatever_names_hold_is_text_in_an_edition(site, browser):
    place, _, name = site
    for page in ("book/introduction", "notebooks/03_depth_zero", "book/status"):
        tab, told = browser.new_page(), []
        tab.on("dialog", lambda dialog, told=told: (told.append(dialog.message), dialog.dismiss()))
        tab.goto((place / f"{page}.html").as_uri())
        tab.wait_for_load_state()
        assert told == []
        counted = tab.evaluate(
            """() => [document.querySelectorAll("article img[onerror], article iframe").length,
            [...document.links].filter(a => a.protocol === "javascript:").length]"""
        )
        assert counted == [0, 0]
        if page != "book/status":
            body = " ".join(tab.locator("article").inner_text().split())
            assert name in body and LABEL in body
        tab.close()


def test_the_landscape_of_the_data_is_live(site, browser):
    place, _, name = site
    task = pu.data.load(str(place.parent / name), target=LABEL)
    tab = browser.new_page()
    tab.goto((place / "index.html").as_uri())
    tab.wait_for_url("**/introduction.html")
    end = pu.Landscape(task.moments, depth=2).transitions()[-1].gamma
    tab.get_by_role("button", name="Go to coexistence").click()
    assert float(tab.url.rpartition("gamma=")[2]) == pytest.approx(end, rel=1e-9)
    tab.close()


def test_pages_that_are_no_more_go_and_what_is_not_a_page_stays(tmp_path):
    hidden, place = tmp_path / "hidden", tmp_path / "place"
    for at, names in enumerate((["index.html", "old.html"], ["index.html", "new.html"])):
        html = tmp_path / f"html{at}"
        for made in (html, hidden, place):
            made.mkdir(exist_ok=True)
        for name in names:
            (html / name).write_text(f"{at}")
        (place / "notes.txt").touch()
        shutil.rmtree(hidden / "before", ignore_errors=True)
        edition_site._moved(html, place, hidden / "pages.json", hidden / "before")
    assert left(place) == {"index.html", "new.html", "notes.txt"}
    assert (place / "index.html").read_text() == "1"
