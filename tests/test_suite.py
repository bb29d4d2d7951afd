"""A run of the tests on another machine: what it says at its end, and that it is another."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import portability
import pytest

TESTS = Path(__file__).resolve().parent
PAGE_TESTS = """
import pytest

@pytest.mark.parametrize("page", ["a", "b"])
def test_page(browser, page):
    browser.new_page().close()

def test_other():
    pytest.skip("for a reason of its own")
"""


@pytest.fixture
def run(tmp_path):
    """Run tests of pages beside this suite's conftest, with the programs on `path` alone."""

    def run(path: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        for name in ("conftest.py", "in_browser.py"):
            shutil.copy(TESTS / name, tmp_path)
        (tmp_path / "test_pages.py").write_text(PAGE_TESTS)
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PHASE_"))}
        own = {"PATH": str(path), "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "browsers")}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            env={**outside, **own, **variables},
            capture_output=True,
            text=True,
        )

    return run


def test_a_run_without_a_browser_ends_with_what_it_left_out(run, tmp_path):
    done = run(tmp_path, "-n", "1")
    assert done.returncode == 0, done.stdout
    said = [line for line in done.stdout.splitlines() if "playwright install" in line]
    command = f"{sys.executable} -m playwright install chromium"
    assert said == [f"2 page tests were skipped without a browser; {command} brings one"]
    assert done.stdout.splitlines()[-2:-1] == said


def test_a_run_that_requires_a_browser_fails_without(run, tmp_path):
    done = run(tmp_path, PHASE_BOOK_REQUIRE_BROWSER="1")
    assert done.returncode == 1 and "playwright install" not in done.stdout


def test_files_left_out_of_other_machines_exist():
    assert {f"test_{name}.py" for name in portability.TEXT} <= {p.name for p in TESTS.iterdir()}


def test_a_machine_runs_other_kernels():
    old = portability.MACHINES["old"]
    if not portability.can_be(old):
        pytest.skip("not an x86 processor")
    found = portability.seen(old)
    assert (found["torch"], found["blas"], found["threads"]) == ("DEFAULT", "Nehalem", 1)


def test_a_machine_that_is_not_another_is_refused():
    with pytest.raises(ValueError, match=r"asked for .*'no such kernel'"):
        portability.seen(portability.Machine("a kernel not asked for", blas="no such kernel"))


def test_what_fails_on_a_machine_is_named_and_ends_with_1(tmp_path, capfd):
    tests = tmp_path / "test_threads.py"
    tests.write_text(
        "import os\n\n"
        "def test_threads():\n    assert os.environ['OMP_NUM_THREADS'] == '2'\n\n"
        "def test_not():\n    assert os.environ['OMP_NUM_THREADS'] == '1'\n"
    )
    assert portability.main(["threads", "--", str(tests), "-p", "no:cacheprovider"]) == 1
    table, last = capfd.readouterr().out.splitlines()[-2:]
    assert table.startswith("threads  two threads") and "1 passed, 1 failed" in table
    assert last.startswith("FAILED on threads:") and last.endswith("test_threads::test_not")
