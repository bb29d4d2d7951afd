"""What `phase-book run` leaves passes nbval in any hands, whatever differs between two runs."""

import os
import subprocess
import sys
from pathlib import Path

import demo_chapter
import pytest

from phase_utils import chapters

# numbers that no two runs share: a claim's to the last digit, one that the text shows, the time
NOISY = """
```{code-cell} ipython3
:tags: [nbval-check-output]

import random
import phase_utils as pu

first = pu.claims.definitions()[0]
ledger = pu.claims.Ledger(first.chapter, tier)
noise = 1e-12 * random.random()
glue("noise", noise, display=False)
ledger.check(
    first.id,
    measured=0.25 + noise,
    expected=0.25,
    route="by hand",
    tolerance=1e-9,
)
```

Noise of {glue:text}`noise:.1e`.
"""


def nbval(folder: Path) -> tuple[int, str]:
    """Compare the notebooks in `folder` with a fresh run, as anybody does; exit code and report."""
    words = ["--nbval-lax", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "--color=no"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "PHASE"))}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_rerun_compares_what_is_stable_and_that_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = demo_chapter.write(tmp_path / "notebooks", demo_chapter.SOURCE + NOISY)
    done = chapters.run("demo", folder=source, progress=False)
    assert done.error == ""
    assert 0.25 < done.claims[-1]["measured"] < 0.25 + 1e-12
    text = done.notebook.read_text()
    away = tmp_path / "away"
    away.mkdir()
    (away / "same.ipynb").write_text(text)
    assert "measured 0.25 " in text
    (away / "changed.ipynb").write_text(text.replace("measured 0.25 ", "measured 0.26 "))
    code, report = nbval(away)
    assert code == 1, report
    assert report.count("\nFAILED ") == 1, report
    assert "\nFAILED changed.ipynb::Cell" in report, report


SHORTEST = "03_depth_zero"
NAMES = [
    pytest.param(name, marks=[] if name == SHORTEST else pytest.mark.scheduled)
    for name in chapters.names()
]


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_passes(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    done = chapters.run(name, tier="smoke", out="away", progress=False)
    assert done.error == ""
    code, report = nbval(tmp_path / "away")
    assert code == 0, report
