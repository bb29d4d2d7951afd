"""Provenance and devices: what a reader needs to repeat a run, and nothing that breaks the page."""

import platform
import time
from importlib import metadata

import pytest
import torch
from bs4 import BeautifulSoup

from phase_utils.chapters import claims, provenance
from phase_utils.training import devices


def ledger(started=None):
    made = claims.Ledger("01_formalism", "smoke")
    if started is not None:
        made.started = started
    return made


def test_seed_device_versions_and_time_are_recorded():
    begun = time.perf_counter() - 100
    rows = dict(provenance.record(ledger(begun), seed=7, device="cpu", data="teacher").rows)
    assert (rows["chapter"], rows["tier"], rows["seed"]) == ("01_formalism", "smoke", "7")
    assert (rows["data"], rows["device"], rows["Python"]) == (
        "teacher",
        "cpu",
        platform.python_version(),
    )
    for package in ("phase-utils", "numpy", "scipy", "torch", "matplotlib"):
        assert rows[package] == metadata.version(package)
    assert 100 <= float(rows["seconds"]) < 160


def test_text_and_table_show_every_row():
    record = provenance.record(ledger(), seed=1)
    assert repr(record) == "\n".join(f"{what}: {value}" for what, value in record.rows)
    table = BeautifulSoup(record._repr_html_(), "html.parser")
    cells = [(r.th.text, r.td.text) for r in table.find_all("tr")]
    assert cells == record.rows
    assert all(th["scope"] == "row" for th in table.find_all("th"))


def test_markup_in_a_value_is_text():
    record = provenance.record(ledger(), seed=1, data="<script>a&b</script>.csv")
    table = BeautifulSoup(record._repr_html_(), "html.parser")
    assert table.script is None
    assert "<script>a&b</script>.csv" in table.text


def test_an_absent_device_is_refused():
    with pytest.raises(ValueError, match="device must be auto or a torch device"):
        provenance.record(ledger(), seed=1, device="abacus")


def test_auto_is_the_best_device_that_is_present(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.resolve("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.resolve("auto") == torch.device("cuda")


def test_the_cpu_is_always_present():
    assert devices.resolve("cpu") == torch.device("cpu")
    assert devices.name(torch.device("cpu")) == "cpu"


@pytest.mark.parametrize("device", ["", "abacus", "cpu:x", "cuda:99", "meta", "xla", None, 1.5])
def test_a_device_that_cannot_train_is_refused(device):
    with pytest.raises(ValueError, match=r"device must be auto or a torch device.*, got"):
        devices.resolve(device)


def test_a_gpu_is_called_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    assert devices.name(torch.device("cuda:1")) == "GPU 1"
