"""Sweeps on a Dask cluster of two processes: the same bits, also when a worker dies in mid-run."""

import builtins
import os
import signal

import numpy as np
import pytest
import torch

import phase_utils as pu
from phase_utils.sweeps import sweep as sweeps
from phase_utils.sweeps import workers
from phase_utils.sweeps.store import Store

distributed = pytest.importorskip("distributed")

MOMENTS = pu.Moments.isotropic(3)
PLAN = {
    "gamma": np.linspace(0.02, 0.4, 10),
    "depth": [0, 2],
    "width": 8,
    "init_scale": [0.3],
    "seed": [0, 1],
    "device": "cpu",
}
NETWORKS = 40


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module", autouse=True)
def one_network_each():
    """One thread, as Dask's workers have, and a chunk for each network."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sweeps.BATCH_BYTES, "cpu", 1)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def here():
    """What a sweep without a cluster gives."""
    return pu.sweep(MOMENTS, **PLAN)


def test_the_bits_are_those_of_a_local_sweep(client, here):
    assert pu.sweep(MOMENTS, **PLAN, client=client).identical(here)


def test_a_killed_worker_costs_nothing_but_time(client, here, tmp_path, monkeypatch):
    before = client.run(os.getpid)
    written = []
    write = Store.write

    def killing(store, chunk, values):
        write(store, chunk, values)
        written.append(chunk.index)
        if len(written) == 10:
            os.kill(next(iter(before.values())), signal.SIGKILL)

    monkeypatch.setattr(Store, "write", killing)
    ds = pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")
    assert sorted(written) == list(range(NETWORKS))
    assert ds.identical(here)
    # the cluster's nanny has replaced it
    client.wait_for_workers(2, timeout=60)
    assert len(set(client.run(os.getpid).values()) - set(before.values())) == 1


def test_a_store_started_here_is_finished_there(client, here, tmp_path, monkeypatch):
    def stopping(store, chunk, values):
        if chunk.index == 15:
            raise KeyboardInterrupt
        write(store, chunk, values)

    write = Store.write
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", stopping)
        with pytest.raises(KeyboardInterrupt):
            pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    written = []

    def counting(store, chunk, values):
        written.append(chunk.index)
        write(store, chunk, values)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", counting)
        ds = pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr", client=client)
    assert sorted(written) == list(range(15, NETWORKS))
    assert ds.identical(here)


def fails_at_three(shared: int, item: int) -> int:
    if item == 3:
        raise ArithmeticError("three")
    return shared * item


@pytest.mark.parametrize("remote", [True, False])
def test_an_error_of_one_item_is_raised_where_its_result_is_asked_for(client, remote):
    results = {}
    for item, result in workers.completed(fails_at_three, 10, range(6), client if remote else None):
        if item == 3:
            with pytest.raises(ArithmeticError, match="three"):
                result()
        else:
            results[item] = result()
    assert results == {0: 0, 1: 10, 2: 20, 4: 40, 5: 50}


def test_a_client_must_be_one():
    with pytest.raises(ValueError, match=r"client must be a distributed.Client, got str"):
        pu.sweep(MOMENTS, **PLAN, client="tcp://localhost:8786")


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def absent(name, *rest, **named):
        if name == "distributed":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'phase-utils\[dask\]'"):
        pu.sweep(MOMENTS, **PLAN, client=object())
