"""Devices for the tests that are to hold on all of them."""

import os

import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    """Every device; a GPU that is asked for but missing is a failure, else a skip."""
    if request.param == "cuda" and not torch.cuda.is_available():
        if os.environ.get("PHASE_BOOK_REQUIRE_GPU"):
            pytest.fail("PHASE_BOOK_REQUIRE_GPU is set, and there is no CUDA device")
        pytest.skip("no CUDA device")
    return request.param
