"""Browser and devices of the tests, the order of files on processors, and what ends a run."""

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from in_browser import NO_BROWSER, launched
from xdist.scheduler import LoadScopeScheduling

# files of long tests that share nothing: these go wherever a processor is free
SCATTERED = ("test_mutations", "test_other_data")

# every run draws the same; `--hypothesis-profile=other --hypothesis-seed=N` draws others
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("other", deadline=None, database=None)
hypothesis.settings.load_profile("fixed")


class FilesTogether(LoadScopeScheduling):
    """Tests of a file on one processor, above all the cells of a notebook: they share a kernel."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return nodeid if Path(file).stem in SCATTERED else file


def pytest_collection_modifyitems(items):
    """First the pages, which share a browser, then long files; last what fills the gaps."""
    many = Counter(item.path for item in items)

    def place(item):
        pages = item.path.parent.name == "web"
        return not pages, item.path.stem in SCATTERED, -many[item.path]

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # they have their order
    return FilesTogether(config, log)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter):
    """Say last of all what a browser would have shown, and how to have one."""
    result = yield
    skipped = terminalreporter.stats.get("skipped", [])
    number = sum(NO_BROWSER in str(report.longrepr) for report in skipped)
    if number:
        some = f"{number} page test{'s were' if number > 1 else ' was'}"
        bring = f"{sys.executable} -m playwright install chromium"
        terminalreporter.write_line(f"{some} skipped without a browser; {bring} brings one")
    return result


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """Chromium or Chrome; where neither is installed, a skip, or a failure if it is required."""
    yield from launched()


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Every device; a GPU that is asked for but missing is a failure, else a skip."""
    import torch  # where a run of pages alone does without

    if request.param == "cuda" and not torch.cuda.is_available():
        if os.environ.get("PHASE_BOOK_REQUIRE_GPU"):
            pytest.fail("PHASE_BOOK_REQUIRE_GPU is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    return request.param
