"""Devices for the tests that are to hold on all of them; which tests a process runs together."""

import os

import pytest
import torch

# files of long tests that share nothing: these go wherever a processor is free
SCATTERED = ("test_classify", "test_mutations", "test_other_data")


def pytest_collection_modifyitems(items):
    """Keep the tests of a file together, above all the cells of a notebook: they share a kernel."""
    for item in items:
        if item.path.stem not in SCATTERED:
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Every device; a GPU that is asked for but missing is a failure, else a skip."""
    if request.param == "cuda" and not torch.cuda.is_available():
        if os.environ.get("PHASE_BOOK_REQUIRE_GPU"):
            pytest.fail("PHASE_BOOK_REQUIRE_GPU is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    return request.param
