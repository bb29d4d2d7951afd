"""Sweeps and trainings that SIGKILL ends at random moments, and that go on to the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = Path(__file__).with_name("kills.py")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kind", ["sweep", "training"])
@pytest.mark.parametrize(
    ("kills", "seed"),
    [(6, 7)] + [pytest.param(100, seed, marks=pytest.mark.scheduled) for seed in range(3)],
)
def test_runs_killed_at_random_moments_end_with_the_same_bits(tmp_path, kind, kills, seed):
    done = subprocess.run(
        [sys.executable, KILLS, kind, tmp_path, str(kills), str(seed)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    survived, runs = map(int, done.stdout.split())
    assert survived == kills
    assert runs >= 1
