"""Sweeps on a Dask cluster: the same bits, also when workers die or never come."""

import builtins
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress

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


@pytest.mark.scheduled
@pytest.mark.filterwarnings("ignore:no worker:RuntimeWarning")  # where new ones are slow to come
def test_workers_killed_at_random_cost_nothing_but_time(tmp_path, monkeypatch):
    """Their nannies replace them. A chunk at which several died, or a nanny whose worker died
    before it was ready, stops the sweep, and another cluster goes on with it.
    """
    monkeypatch.setattr(workers, "STOP_AFTER", 60)
    plan = {**PLAN, "gamma": np.linspace(0.02, 0.4, 30), "seed": range(5)}  # 300 chunks
    here = pu.sweep(MOMENTS, **plan)
    rng, kills, stops, sweeps_done = random.Random(3), [], [], 0

    def kill(cluster, over):
        while not over.wait(rng.uniform(0.2, 5)) and len(kills) < 30:
            alive = [nanny.pid for nanny in cluster.workers.values() if nanny.pid]
            for worker in rng.sample(alive, rng.randint(0, len(alive))):  # all of them too
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    kills.append(worker)

    while len(kills) < 30:
        over = threading.Event()
        with (
            distributed.LocalCluster(
                n_workers=2, processes=True, threads_per_worker=1, dashboard_address=None
            ) as cluster,
            distributed.Client(cluster) as client,
        ):
            killer = threading.Thread(target=kill, args=[cluster, over])
            killer.start()
            store = tmp_path / f"{sweeps_done}.zarr"
            try:
                assert pu.sweep(MOMENTS, **plan, client=client, store=store).identical(here)
                sweeps_done += 1
            except (distributed.KilledWorker, TimeoutError) as stopped:
                stops.append(type(stopped).__name__)
            finally:
                over.set()
                killer.join()
    assert pu.sweep(MOMENTS, **plan, store=store).identical(here)
    print(
        f"{len(kills)} workers killed, {len(stops)} stops {set(stops)}, {sweeps_done} sweeps done"
    )


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


# Without workers


@pytest.fixture
def empty():
    """A cluster in this process without workers, and its client."""
    with (
        distributed.LocalCluster(
            n_workers=0, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield cluster, client


def hurry(patch, warn, stop):
    patch.setattr(workers, "WARN_AFTER", warn)
    patch.setattr(workers, "STOP_AFTER", stop)
    patch.setattr(workers, "POLL", 0.05)


def test_without_workers_a_sweep_warns_stops_and_is_resumed(empty, here, tmp_path, monkeypatch):
    _, client = empty
    hurry(monkeypatch, 0.2, 0.6)
    begun = time.monotonic()
    with (
        pytest.warns(RuntimeWarning, match=r"no worker at .* for 0.2 s, and 0.6 s are") as warned,
        pytest.raises(TimeoutError, match=r"no worker at .* for 0.6 s: start workers, or wait"),
    ):
        pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")
    assert time.monotonic() - begun > 0.6
    assert [w.filename for w in warned] == [__file__]
    assert pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr").identical(here)


def test_the_times_that_are_waited_are_those_of_the_docstring():
    for seconds in (workers.WARN_AFTER, workers.STOP_AFTER):
        assert f"{seconds:g} s" in " ".join(pu.sweep.__doc__.split())


def test_workers_that_come_late_are_waited_for(empty, here, monkeypatch):
    cluster, client = empty
    hurry(monkeypatch, 0.2, 60)
    timer = threading.Timer(0.6, cluster.scale, [1])
    timer.start()
    with pytest.warns(RuntimeWarning, match="no worker"):
        assert pu.sweep(MOMENTS, **PLAN, client=client).identical(here)
    timer.join()


def test_workers_that_go_are_missed_and_those_that_follow_go_on(empty, here, tmp_path, monkeypatch):
    cluster, client = empty
    hurry(monkeypatch, 0.2, 60)
    cluster.scale(1)
    write, written = Store.write, []

    def leaving(store, chunk, values):
        write(store, chunk, values)
        written.append(chunk.index)
        if len(written) == 5:
            cluster.scale(0)
            threading.Timer(2, cluster.scale, [1]).start()

    monkeypatch.setattr(Store, "write", leaving)
    with pytest.warns(RuntimeWarning, match="no worker"):
        ds = pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")
    assert ds.identical(here)
    assert sorted(written) == list(range(NETWORKS))


WAITS = """
import sys
import distributed, torch
import phase_utils as pu
import test_sweep_dask as t

torch.set_num_threads(1)
t.sweeps.BATCH_BYTES["cpu"] = 1
with distributed.Client(sys.argv[1]) as client:
    pu.sweep(t.MOMENTS, **t.PLAN, client=client, store=sys.argv[2])
"""


def test_a_sweep_killed_while_it_waits_is_resumed(empty, here, tmp_path):
    cluster, _ = empty
    store = tmp_path / "x.zarr"
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    code = [sys.executable, "-c", WAITS, cluster.scheduler_address, str(store)]
    with subprocess.Popen(code, env={**os.environ, "PYTHONPATH": path}) as waiting:
        until(lambda: (store / "sweep.json").exists() and not (store / ".new").exists())
        waiting.kill()
    assert (store / ".lock").exists()
    assert pu.sweep(MOMENTS, **PLAN, store=store).identical(here)


def until(true, seconds=60.0):
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < seconds
        time.sleep(0.02)


# Scheduler lost


@contextmanager
def own_processes():
    """Start a scheduler, and workers of it, by functions; all end with the block."""
    started = []

    def start(*words):
        command = [sys.executable, "-m", "dask", *words, "--no-dashboard"]
        started.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def test_a_scheduler_that_is_lost_stops_the_sweep_and_another_one_resumes_it(
    here, tmp_path, monkeypatch
):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    write, written = Store.write, []
    with own_processes() as start:

        def cluster():
            one = start("scheduler", "--host", "127.0.0.1", "--port", str(port))
            start("worker", address, "--nthreads", "1", "--no-nanny")
            return one

        first = cluster()

        def losing(store, chunk, values):
            write(store, chunk, values)
            written.append(chunk.index)
            if len(written) == 7:
                first.kill()

        monkeypatch.setattr(Store, "write", losing)
        with (
            distributed.Client(address, timeout="60s") as client,
            pytest.raises(ConnectionError, match=f"scheduler at {address} was lost or restarted"),
        ):
            pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")
        assert 7 <= len(written) < NETWORKS
        first.wait()
        cluster()
        with distributed.Client(address, timeout="60s") as client:
            ds = pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")
        assert sorted(written) == list(range(NETWORKS))  # none twice
    assert ds.identical(here)


def test_a_restart_by_the_client_is_a_lost_scheduler(client, tmp_path, monkeypatch):
    write = Store.write

    def restarting(store, chunk, values):
        write(store, chunk, values)
        if chunk.index == 3:
            client.restart()

    monkeypatch.setattr(Store, "write", restarting)
    with pytest.raises(ConnectionError, match="lost or restarted"):
        pu.sweep(MOMENTS, **PLAN, client=client, store=tmp_path / "x.zarr")


def test_a_client_must_be_one():
    with pytest.raises(ValueError, match=r"client must be a distributed.Client, got str"):
        pu.sweep(MOMENTS, **PLAN, client="tcp://localhost:8786")


def test_a_client_must_be_connected(empty):
    cluster, _ = empty
    other = distributed.Client(cluster, set_as_default=False)
    other.close()
    with pytest.raises(ValueError, match="connected and synchronous, got one that is closed"):
        pu.sweep(MOMENTS, **PLAN, client=other)


def test_without_dask_the_message_says_what_to_install(monkeypatch):
    original = builtins.__import__

    def absent(name, *rest, **named):
        if name == "distributed":
            raise ImportError(name)
        return original(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ImportError, match=r"pip install 'phase-utils\[dask\]'"):
        pu.sweep(MOMENTS, **PLAN, client=object())
