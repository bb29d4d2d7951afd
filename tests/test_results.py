"""Results are made by one process at a time, whole or not at all, whatever stops it."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import demo_chapter
import places
import pytest

from phase_utils import _files, chapters
from phase_utils.chapters import (
    command_line,
    command_words,
    execution,
    export,
    library,
    scratch,
)

ROOT = Path(__file__).resolve().parents[1]
BOTH = (["run", "demo"], ["grid", "demo", "-g", "n=[1]"])


@pytest.fixture
def folder(tmp_path) -> Path:
    return demo_chapter.write(tmp_path / "notebooks")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test works in a folder of its own, with a place of its own for temporary files."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def kernels(monkeypatch) -> list[str]:
    """What would have started a kernel."""
    started: list[str] = []

    def execute(nb, *_, **__):
        started.append(nb.cells[0].source)
        return nb, ""

    monkeypatch.setattr(execution, "execute", execute)
    return started


@contextmanager
def asleep(folder: Path, *words: str):
    """A `phase-book` that has come to the cell in which the demo sleeps; killed if still there."""
    # a shell that runs these tests in the background has its programs ignore the interrupt
    code = (
        "import signal, sys; from pathlib import Path; "
        "from phase_utils.chapters.command_line import main; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.exit(main({[*words]!r}, folder=Path({str(folder)!r})))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        limit = time.monotonic() + 100
        while not Path("asleep").exists():
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def main(folder: Path, *words: str) -> int:
    return command_line.main(words, folder=folder)


def names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()}


# Files that belong together

FAILURES = [("os.fsync", 0), ("os.fsync", 1), *(("os.replace", i) for i in range(4))]


def pair(text: str) -> dict[Path, str]:
    return {Path("pair/a"): f"{text} a", Path("pair/b"): f"{text} b"}


def held() -> dict[Path, str]:
    return {path: path.read_text() for path in sorted(Path("pair").iterdir())}


@pytest.fixture(params=[{}, pair("old")], ids=["new", "again"])
def before(request) -> dict[Path, str]:
    Path("pair").mkdir()
    for path, text in request.param.items():
        path.write_text(text)
    return request.param


def test_a_write_that_fails_anywhere_leaves_both_files_as_they_were(before, monkeypatch):
    for call, index in FAILURES[: 6 if before else 4]:  # nothing is moved aside where nothing was
        original, calls = getattr(os, call.removeprefix("os.")), []

        def failing(*arguments, original=original, calls=calls, index=index):
            calls.append(arguments)
            if len(calls) == index + 1:
                raise OSError(28, "No space left on device")
            return original(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(call, failing)
            with pytest.raises(_files.NotWritten, match=r"^pair/[ab] could not be .*: No space"):
                _files.write_together(pair("new"))
        assert held() == before
    _files.write_together(pair("new"))
    assert held() == pair("new")


KILLED = """
import os, sys
from pathlib import Path
from phase_utils._files import write_together
call, index = sys.argv[1].removeprefix("os."), int(sys.argv[2])
original, calls = getattr(os, call), []
def killed(*arguments):
    calls.append(arguments)
    if len(calls) == index + 1:
        os.kill(os.getpid(), 9)
    return original(*arguments)
setattr(os, call, killed)
write_together({Path("pair/a"): "new a", Path("pair/b"): "new b"})
"""


def test_after_a_kill_anywhere_the_next_start_has_both_files_or_neither(before):
    outcomes = []
    for call, index in FAILURES:
        for path in Path("pair").iterdir():
            path.unlink()
        for path, text in before.items():
            path.write_text(text)
        code = [sys.executable, "-c", KILLED, call, str(index)]
        done = subprocess.run(code, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})
        if done.returncode == -signal.SIGKILL:
            _files.recover(list(pair("")))
            assert held() in (before, pair("new"))
        outcomes.append(held() == before)
    # once the first file has changed, the rest follows
    assert outcomes == [True] * 3 + [False] * 3


# One process at a time, stopped from the keyboard


def test_a_run_is_alone_and_says_that_it_was_interrupted(folder, capsys, kernels):
    with asleep(folder, "run", "demo", "-p", "mode=sleeps", "--out", "a/b") as process:
        assert main(folder, "run", "demo", "--out", "a/b") == 5
        message = capsys.readouterr().err
        assert "out must be of one run at a time, and another one is at a/b/01_demo" in message
        assert kernels == []
        assert names(Path("temporary")) != set()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == (
        "phase-book: interrupted: nothing of this run is kept, run 01_demo again"
    )
    assert "Traceback" not in err and out == ""
    assert not Path("a").exists()
    assert names(Path("temporary")) == set()


def test_a_grid_is_alone_and_says_how_much_is_done(folder, capsys, kernels):
    words = ["grid", "demo", "-g", "mode=['good', 'sleeps', 'leaves']", "--out", "g"]
    with asleep(folder, *words) as process:
        assert main(folder, "grid", "demo", "-g", "n=[1]", "--out", "g") == 5
        assert "another one is at g/grid" in capsys.readouterr().err
        assert main(folder, "run", "demo", "--out", "g") == 5
        assert kernels == []
        page = Path("g/index.html").read_text()
        assert "1 of 3 runs done" in page and page.count("not run yet") == 2
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1] == "phase-book: interrupted: 1 of 3 done, run again to resume"
    assert "Traceback" not in err
    assert names(Path("temporary")) == set()
    assert main(folder, *words) == 0
    assert len(kernels) == 2
    assert "3 of 3 runs done" in Path("g/index.html").read_text()
    assert not any(path.name.startswith(".") for path in Path("g").rglob("*"))


def test_a_cell_that_hangs_ends_with_the_limit_and_leaves_what_ran_before(folder, capsys):
    words = ["demo", "--timeout", "2"]
    assert main(folder, "run", *words, "-p", "mode=sleeps") == 1
    message = "a cell took more than timeout = 2 s, which --timeout sets:\nprint("
    assert f"A cell of 01_demo failed:\n{message}" in capsys.readouterr().err
    for file in ("01_demo.ipynb", "01_demo.html"):
        text = (Path("runs") / file).read_text()
        assert "look at this" in text and "a line" in text  # what was shown before
    assert names(Path("temporary")) == set()
    assert main(folder, "grid", *words, "-g", "mode=['sleeps']", "--out", "g") == 1
    assert f"A cell failed at mode='sleeps':\n{message}" in capsys.readouterr().err


@pytest.mark.parametrize("words", BOTH)
@pytest.mark.parametrize("seconds", ["0", "-1", "100000000"])
def test_a_limit_that_is_none_is_refused(folder, capsys, kernels, words, seconds):
    assert main(folder, *words, "--timeout", seconds) == 2
    assert "timeout must be" in capsys.readouterr().err
    assert kernels == []


def test_an_interruption_while_nothing_runs_is_told_too(folder, monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(library, "find", interrupted)
    assert main(folder, "show", "demo") == 130
    assert capsys.readouterr().err == "\nphase-book: interrupted\n"


def test_what_a_killed_run_leaves_is_removed_by_the_next(folder, kernels):
    Path("runs").mkdir()
    Path("runs/01_demo.ipynb").write_text("of an earlier run")
    Path("runs/mine.txt").touch()
    with asleep(folder, "run", "demo", "-p", "mode=sleeps") as process:
        inside = {p.suffix for p in Path("temporary").rglob("*") if p.is_file()}
        assert {".ipynb", ".json", ".lock"} <= inside
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert names(Path("runs")) == {"01_demo.ipynb", "mine.txt", ".01_demo.lock"}
    assert Path("runs/01_demo.ipynb").read_text() == "of an earlier run"
    Path("runs/.01_demo.ipynb.new").write_text("half")
    assert names(Path("temporary")) != set()
    with scratch.scratch() as other:
        assert {path.stem for path in Path("temporary").iterdir()} == {other.name}
    assert main(folder, "run", "demo") == 0
    assert len(kernels) == 1
    assert names(Path("runs")) == {"01_demo.ipynb", "01_demo.html", "mine.txt"}


def test_what_a_killed_grid_leaves_is_removed_by_the_next(folder, kernels):
    words = ["grid", "demo", "-g", "n=[1]"]
    assert main(folder, *words) == 0
    cell = next(Path("runs/01_demo-grid").glob("*/"))
    left = [
        cell / ".01_demo.html.new",
        cell / ".cell.json.12.tmp",
        cell.parent / ".index.html.9.tmp",
    ]
    for path in left:
        path.write_text("half")
    assert main(folder, *words) == 0
    assert len(kernels) == 1
    assert not any(path.exists() for path in left)


def test_the_temporary_folder_of_a_run_at_work_stays():
    with scratch.scratch() as first, scratch.scratch() as second:
        assert first != second and first.is_dir() and second.is_dir()
    assert names(Path("temporary")) == set()


# Where nothing can be written


@pytest.fixture
def small_files():
    """No file of this process may be larger than 100 kB, as on a disk that fills up."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.usefixtures("kernels", "small_files")
def test_a_page_for_which_there_is_no_room_leaves_no_notebook_either(folder, capsys):
    assert main(folder, "run", "demo", "--out", "o") == 4
    message = "phase-book: o/01_demo.html could not be written: File too large\n"
    assert capsys.readouterr().err == message
    assert not Path("o").exists()


@pytest.mark.usefixtures("small_files")
def test_a_grid_for_which_there_is_no_room_stops_and_can_go_on(folder, capsys, kernels):
    assert main(folder, "grid", "demo", "-g", "n=[1, 2]", "--out", "g") == 4
    message = capsys.readouterr().err
    assert re.search(r"phase-book: g/\w{16}/01_demo.html could not be written: File too", message)
    assert message.endswith("; 0 of 2 done, run again to resume\n")
    assert len(kernels) == 1
    assert "0 of 2 runs done" in Path("g/index.html").read_text()
    assert [path.name for path in Path("g").rglob("*") if path.is_file()] == ["index.html"]


def test_a_full_disk_is_found_before_a_kernel_starts(folder, kernels, monkeypatch, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    for words in BOTH:
        assert main(folder, *words, "--out", "x/y") == 4
        assert "x/y could not be written: No space left on device" in capsys.readouterr().err
    assert kernels == [] and not Path("x").exists()


@pytest.mark.parametrize("words", BOTH, ids=lambda words: words[0])
@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("taken", "out must be a folder, but taken is a file"),
        ("taken/x/y", "taken/x/y is not: Not a directory"),
        ("x" * 300, "out must be a path of names of at most 255 bytes"),
        ("s3://a/b", "out must be a path of this machine"),
        ("a\0b", "out must be a path"),
    ],
)
def test_where_no_folder_can_be_nothing_runs(folder, kernels, capsys, words, out, message):
    Path("taken").touch()
    before = names(Path())
    assert main(folder, *words, "--out", out) == 2
    assert message in capsys.readouterr().err
    assert kernels == [] and names(Path()) == before


@pytest.mark.parametrize("words", BOTH, ids=lambda words: words[0])
def test_where_nothing_may_be_written_nothing_runs(folder, kernels, capsys, words):
    assert main(folder, *words, "--out", "open") == 0  # what this imports, nobody else may read
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    closed = Path("closed").resolve()
    closed.mkdir()
    kernels.clear()
    for out in ("closed", "closed/x/y"):
        with places.read_only(closed):
            assert main(folder, *words, "--out", out) == 2
        assert f"{out} is not: Permission denied" in capsys.readouterr().err
    assert kernels == [] and names(closed) == set()


@pytest.mark.parametrize("name", ["01_demo.ipynb", "01_demo.html"])
def test_a_folder_where_a_file_is_to_be_is_found_before_a_kernel_starts(
    folder, kernels, capsys, name
):
    Path("runs", name).mkdir(parents=True)
    assert main(folder, "run", "demo") == 2
    assert f"{name}, but runs/{name} is a folder" in capsys.readouterr().err
    assert kernels == []


def test_a_page_that_could_not_be_made_is_found_before_a_kernel_starts(
    folder, kernels, monkeypatch, capsys
):
    def missing():
        raise RuntimeError("MathJax is missing")

    monkeypatch.setattr(export, "mathjax", missing)
    for words in BOTH:
        assert main(folder, *words) == 2
        assert "MathJax is missing" in capsys.readouterr().err
    assert kernels == [] and not Path("runs").exists()


# How things are called


@pytest.mark.parametrize("name", ["1", "01", "demo", "01_demo"])
def test_a_chapter_is_called_by_number_name_or_both(folder, name):
    assert library.find(name, folder).name == "01_demo"


@pytest.mark.parametrize("name", ["0", "2", "001", "-1", "1.0", "١", "1_demo"])
def test_another_number_is_no_chapter(folder, name):
    with pytest.raises(chapters.ChapterError, match=r"no chapter .*: give a number or a name"):
        library.find(name, folder)


def test_the_home_folder_is_found_in_every_path(folder, tmp_path, monkeypatch, kernels):
    home = tmp_path / "home"
    home.mkdir()
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    (home / "mine.csv").write_text("a,y\n1,2\n2,1\n4,0\n")
    given = library.find("demo", folder).values({"data": "~/mine.csv"})
    assert given == {"data": os.path.join("home", "mine.csv")}
    words = ["-p", "data=~/mine.csv", "--out", "~/results"]
    assert main(folder, "run", "demo", *words) == 0
    assert main(folder, "grid", "demo", "-g", "data=['~/mine.csv']", "--out", "~/grid") == 0
    assert len(kernels) == 2
    assert names(home) == {"mine.csv", "results", "grid"}
    assert not Path("~").exists()


def test_exit_codes_are_told_in_the_book_as_in_the_help(capsys):
    codes = dict(re.findall(r"^  (\d+) +(.+)$", command_words.EXIT_CODES, re.M))
    used = {v for k, v in vars(command_line).items() if k.startswith("EXIT_")}
    assert {int(code) for code in codes} == {0, *used}
    page = (ROOT / "book" / "rerunning.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (\d+) \| (.+) \|$", page, re.M)) == codes
    for command in ([], ["run"], ["grid"], ["edition"]):
        with pytest.raises(SystemExit, match="0"):
            command_line.main([*command, "--help"])
        assert command_words.EXIT_CODES in capsys.readouterr().out
