"""Every chapter on other data than its own: it runs through, and no claim fails.

Claims whose hypotheses the data leave must say so instead.
"""

import in_process
import numpy as np
import pytest

from phase_utils import chapters

NAMES = [
    name
    for name in chapters.names()
    if any(p.name == "data" and "digits" in p.choices for p in chapters.find(name).parameters)
]


@pytest.fixture(scope="session")
def table(tmp_path_factory):
    """Return a CSV file as a user has it: correlated inputs in different units, a noisy label."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 0.1, 3] + [5, 0, 1, 100]
    y = x @ [0.4, -0.02, 1.5, 0.1] + rng.normal(size=120)
    path = tmp_path_factory.mktemp("data") / "measurements.csv"
    rows = np.column_stack([y, x])
    np.savetxt(path, rows, delimiter=",", header="price,a,b,c,d", comments="", fmt="%.8g")
    return path


def failing(chapter, monkeypatch, **parameters):
    if any(p.name == "compare" for p in chapters.find(chapter).parameters):
        parameters["compare"] = "none"
    results = in_process.run(in_process.source(chapter, **parameters), monkeypatch)
    assert results
    return [result["text"] for result in results if result["state"] == "fail"]


@pytest.mark.parametrize("data", ["diabetes", "digits"])
@pytest.mark.parametrize("chapter", NAMES)
def test_chapter_on_real_data(chapter, data, monkeypatch):
    if any(p.name == "data" and p.default == data for p in chapters.find(chapter).parameters):
        pytest.skip("the chapter's own data, on which other tests run it")
    assert failing(chapter, monkeypatch, data=data) == []


@pytest.mark.parametrize("chapter", NAMES)
def test_chapter_on_a_table_of_ones_own_and_with_another_seed(chapter, table, monkeypatch):
    monkeypatch.chdir(table.parent)
    assert failing(chapter, monkeypatch, data=table.name, target="price", seed=1) == []
