"""Devices for the tests that are to hold on all of them; which tests a process runs together."""

import os
from pathlib import Path

import pytest
import torch
from xdist.scheduler import LoadScopeScheduling

# files of long tests that share nothing: these go wherever a processor is free
SCATTERED = ("test_mutations", "test_other_data")


class FilesTogether(LoadScopeScheduling):
    """Tests of a file on one processor, above all the cells of a notebook: they share a kernel."""

    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return nodeid if Path(file).stem in SCATTERED else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return FilesTogether(config, log)


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Every device; a GPU that is asked for but missing is a failure, else a skip."""
    if request.param == "cuda" and not torch.cuda.is_available():
        if os.environ.get("PHASE_BOOK_REQUIRE_GPU"):
            pytest.fail("PHASE_BOOK_REQUIRE_GPU is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    return request.param
