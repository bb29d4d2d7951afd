"""Sweeps on disk: the same bits whatever interrupts them, nothing done twice, no damage unseen."""

import io
import os
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from hypothesis import given
from hypothesis import strategies as st

import phase_utils as pu
from phase_utils.sweeps import chunks
from phase_utils.sweeps import sweep as sweeps
from phase_utils.sweeps.store import Store

MOMENTS = pu.Moments.isotropic(3)
PLAN = {
    "gamma": [0.3, 0.02, 0.1, 0.2, 0.01],
    "depth": [2, 0],
    "width": 4,
    "init_scale": [0.7, 0.05],
    "seed": [4, 1, 0],
    "device": "cpu",
}
# two gammas of depth 2 fit, all of depth 0
BYTES = 100_000
CHUNKS = 4
FIRST = "loss/0.0.0.0"


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def trained(monkeypatch) -> list[int]:
    """Small chunks, and the list of the sizes of those that were trained."""
    monkeypatch.setitem(sweeps.BATCH_BYTES, "cpu", BYTES)
    sizes = []

    def counting(problem, init, *rest):
        sizes.append(len(init[0]))
        return pu.train(problem, init, *rest)

    monkeypatch.setattr(sweeps, "train", counting)
    return sizes


@pytest.fixture
def expected(trained) -> xarray.Dataset:
    ds = pu.sweep(MOMENTS, **PLAN)
    assert trained == [12, 12, 6, 30]
    trained.clear()
    return ds


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> tuple[Path, xarray.Dataset]:
    """A store that is done, to be copied, and its sweep."""
    path = tmp_path_factory.mktemp("finished") / "x.zarr"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sweeps.BATCH_BYTES, "cpu", BYTES)
        ds = pu.sweep(MOMENTS, **PLAN, store=path)
    torch.set_num_threads(threads)
    return path, ds


# The plan


@given(
    st.tuples(*[st.integers(1, 6)] * 4).flatmap(
        lambda shape: st.tuples(
            st.just(shape), st.lists(st.integers(1, 300), min_size=shape[0], max_size=shape[0])
        )
    )
)
def test_chunks_fit_and_hold_every_network_once(case):
    shape, fitting = case
    plan = chunks.cut(shape, fitting)
    seen = np.zeros(shape, int)
    owner = np.full(shape, -1)
    for chunk in plan.chunks:
        seen[chunk.region] += 1
        owner[chunk.region] = chunk.index
        level = chunk.region[0].start
        assert chunk.networks == seen[chunk.region].size <= fitting[level]
    assert np.all(seen == 1)
    # no piece on disk belongs to two chunks
    pieces = [range(0, n, size) for n, size in zip(shape, plan.stored, strict=True)]
    for start in np.stack(np.meshgrid(*pieces, indexing="ij"), -1).reshape(-1, 4).tolist():
        piece = tuple(slice(i, i + n) for i, n in zip(start, plan.stored, strict=True))
        assert len(np.unique(owner[piece])) == 1


@pytest.mark.parametrize(
    ("fitting", "block"),
    [
        (1, (1, 1, 1)),
        (2, (1, 1, 2)),
        (3, (1, 1, 3)),
        (5, (1, 1, 3)),
        (13, (2, 2, 3)),
        (99, (5, 2, 3)),
    ],
)
def test_chunks_are_cut_along_the_gammas_first(fitting, block):
    assert chunks.cut((1, 5, 2, 3), [fitting]).blocks == (block,)


def test_the_chunks_are_an_attribute_with_and_without_a_store(expected, tmp_path):
    plan = "depth 2: 2 x 2 x 3, depth 0: 5 x 2 x 3"
    assert expected.attrs["chunks"] == plan
    assert pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr").attrs["chunks"] == plan


# What is stored


def test_a_stored_sweep_is_the_sweep(expected, trained, tmp_path):
    path = tmp_path / "deep" / "x.zarr"
    assert pu.sweep(MOMENTS, **PLAN, store=str(path)).identical(expected)
    assert trained == [12, 12, 6, 30]
    assert [p.name for p in path.parent.iterdir()] == ["x.zarr"]
    with xarray.open_zarr(path, chunks=None) as ds:
        assert ds.load().identical(expected)
        assert not [name for name in ds.variables if ds[name].dtype == object]
    trained.clear()
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(expected)
    assert trained == []


def test_an_empty_folder_is_a_new_store(expected, tmp_path):
    assert pu.sweep(MOMENTS, **PLAN, store=tmp_path).identical(expected)


def test_an_unfinished_store_can_be_read(expected, tmp_path, monkeypatch):
    stop_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    with xarray.open_zarr(tmp_path / "x.zarr", chunks=None) as ds:
        done = ds["status"].values != ""
        assert done.sum() == 24
        assert np.all(np.isnan(ds["loss"].values) == ~done)
        assert ds["loss"].where(ds["status"] != "").equals(expected["loss"].where(done))


def test_numbers_that_equal_the_fill_value_are_stored(tmp_path, monkeypatch):
    def nothing(_problem, init, *_):
        n = len(init[0])
        nan = np.full(n, np.nan)
        return pu.Result(init, nan, nan, nan, nan, np.full(n, "nonfinite"), np.zeros(n, int))

    monkeypatch.setattr(sweeps, "train", nothing)
    first = pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    monkeypatch.setattr(sweeps, "train", None)
    assert pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr").identical(first)
    (tmp_path / "x.zarr" / FIRST).unlink()
    with pytest.raises(TypeError, match="not callable"):
        pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")


def test_a_status_that_does_not_fit_is_an_error(monkeypatch):
    def wordy(problem, init, *rest):
        result = pu.train(problem, init, *rest)
        object.__setattr__(result, "status", np.full(len(init[0]), "a" * 17))
        return result

    monkeypatch.setattr(sweeps, "train", wordy)
    with pytest.raises(TypeError, match="Cannot cast"):
        pu.sweep(MOMENTS, **PLAN)


# Interruption


def test_an_interrupted_sweep_goes_on_where_it_stopped(expected, trained, tmp_path, monkeypatch):
    for _ in range(CHUNKS - 1):
        with monkeypatch.context() as patch:
            stop_after(patch, 1)
            with pytest.raises(KeyboardInterrupt):
                pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    # the chunk in which it stopped is lost
    assert trained == [12, 12, 12, 6, 6, 30]
    trained.clear()
    assert pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr").identical(expected)
    assert trained == [30]


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import torch, xarray, zarr
import phase_utils as pu
from phase_utils.sweeps import sweep as sweeps

folder = Path(sys.argv[1])
torch.set_num_threads(1)
sweeps.BATCH_BYTES["cpu"] = 1
original = sweeps.train

def logged(problem, init, gamma, settings, seeds):
    with log.open("a") as file:
        file.write(f"{problem.depth} {float(gamma[0])!r} {init[0].sum().item()!r}\\n")
    return original(problem, init, gamma, settings, seeds)

sweeps.train = logged
plan = dict(gamma=[0.05 * k for k in range(1, 11)], depth=[0, 2], width=3, seed=[0, 1],
            init_scale=[0.1], settings=pu.Settings(max_steps=40), device="cpu")
moments = pu.Moments.isotropic(3)

def start(name):  # not a new interpreter, so that kills meet the sweep and not its imports
    global log
    log = folder / f"{name}.log"
    child = os.fork()
    if child == 0:
        pu.sweep(moments, **plan, store=folder / f"{name}.zarr")
        os._exit(0)
    return child

def ended(child):
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status)
    assert os.WEXITSTATUS(status) == 0
    return 0

def trained():
    return log.read_text().count("\\n") if log.exists() else 0

began = time.monotonic()
assert ended(start("whole")) == 0
one = (time.monotonic() - began) / trained()
rng, kills = random.Random(7), 0
while True:
    child = start("killed")
    if kills < 6:
        until = trained() + rng.randint(1, 4)
        while trained() < until:
            time.sleep(one / 10)
        time.sleep(rng.uniform(0, 2 * one))
        os.kill(child, signal.SIGKILL)
    signalled = ended(child)
    if signalled == 0:
        break
    assert signalled == signal.SIGKILL
    kills += 1
print(kills)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_sweep_killed_at_random_moments_ends_with_the_same_bits(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 6
    whole, killed = (
        xarray.load_dataset(tmp_path / f"{name}.zarr", engine="zarr")
        for name in ("whole", "killed")
    )
    every, trained = ((tmp_path / f"{n}.log").read_text().splitlines() for n in ("whole", "killed"))
    assert killed.identical(whole)
    # each kill costs one chunk at most
    assert len(set(every)) == len(every) == 40
    assert set(trained) == set(every)
    assert 40 < len(trained) <= 40 + 6
    leftover = [
        p for p in (tmp_path / "killed.zarr").rglob("*") if p.suffix in (".tmp", ".partial")
    ]
    assert leftover == []
    assert files(tmp_path / "killed.zarr") == files(tmp_path / "whole.zarr")


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0b100
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("harm", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("file", [FIRST, "steps/0.2.0.0", "status/1.1.0.0", "done/000001.json"])
def test_a_damaged_chunk_is_found_and_trained_again(finished, trained, tmp_path, file, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    sound = files(path)
    harm(path / file)
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    size = {FIRST: 12, "steps/0.2.0.0": 6, "status/1.1.0.0": 30, "done/000001.json": 12}[file]
    assert trained == [size]
    assert files(path) == sound


@pytest.mark.parametrize("harm", [flip, truncate, Path.unlink])
@pytest.mark.parametrize("file", [".zmetadata", "gamma/0", "loss/.zarray", ".zattrs"])
def test_a_damaged_description_is_put_in_place_again(finished, trained, tmp_path, file, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    sound = files(path)
    harm(path / file)
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == []
    assert files(path) == sound
    assert [p.name for p in tmp_path.iterdir()] == ["x.zarr"]


# Another sweep


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "width is 4 there and 5 here; chunks is depth 2: 2 x"),
        ({"gamma": [0.3, 0.02, 0.1, 0.25, 0.01]}, r"gamma\[3\] is 0.2 there and 0.25 here$"),
        ({"gamma": [0.3, 0.1]}, "gamma is 5 values there and 2 values here$"),
        ({"depth": [0, 2]}, r"depth\[0\] is 2 there and 0 here"),
        ({"seed": [4, 1, 2]}, r"another sweep: seed\[2\] is 0 there and 2 here$"),
        ({"noise_variance": 0.1}, "noise_variance is 0.0 there and 0.1 here"),
        ({"settings": pu.Settings(max_steps=9)}, "max_steps is 5000 there and 9 here$"),
        (
            {"moments": pu.Moments(np.diag([1.0, 1, 1 + 1e-14]), MOMENTS.Exy, 1)},
            "moments_sha256 is",
        ),
    ],
)
def test_another_sweep_is_refused_and_the_difference_named(finished, trained, change, message):
    path, _ = finished
    before = files(path)
    with pytest.raises(ValueError, match=message):
        pu.sweep(**{"moments": MOMENTS, **PLAN, **change}, store=path)
    assert trained == []
    assert files(path) == before


def test_other_chunks_are_refused(finished, trained, monkeypatch):
    monkeypatch.setitem(sweeps.BATCH_BYTES, "cpu", 1)
    with pytest.raises(ValueError, match=r"sweep: chunks is depth 2: 2 x 2 x 3, .* there and"):
        pu.sweep(MOMENTS, **PLAN, store=finished[0])
    assert trained == []


@pytest.mark.parametrize("content", ["a file", "a folder", "not json", '{"attributes": 3}'])
def test_what_is_no_store_is_refused_and_left_alone(trained, tmp_path, content):
    path = tmp_path / "mine"
    if content == "a file":
        path.touch()
    else:
        path.mkdir()
        (path / ("notes" if content == "a folder" else "sweep.json")).write_text(content)
    with pytest.raises(ValueError, match="store must be a new folder or one that a sweep left"):
        pu.sweep(MOMENTS, **PLAN, store=path)
    assert trained == []
    assert path.is_file() or len(list(path.iterdir())) == 1


# Around it


def test_the_bar_counts_networks_and_starts_with_what_is_stored(trained, tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    pu.sweep(MOMENTS, **PLAN, store=tmp_path / "x.zarr")
    shown = screen.getvalue().split("\r")
    assert "24/60" in shown[1]
    assert "60/60" in shown[-1] and "converged=60" in shown[-1] and "networks/s" in shown[-1]
    counts = [int(text.split("/60")[0].split()[-1]) for text in shown[1:]]
    assert all(a <= b for a, b in pairwise(counts))
    assert trained == [12, 12, 6, 6, 30]
    screen.truncate(0)
    pu.sweep(MOMENTS, **PLAN, progress=False)
    assert screen.getvalue().strip("\0") == ""


def test_importing_the_package_loads_nothing_that_may_not_be_used():
    heavy = ["anywidget", "dask", "distributed", "ipywidgets", "matplotlib", "xarray", "zarr"]
    code = f"import sys, phase_utils; print({{*{heavy}}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def stop_after(patch: pytest.MonkeyPatch, count: int) -> None:
    """Make the next sweep stop, as by Ctrl-C, when it has stored `count` chunks."""
    write = Store.write
    done = []

    def stopping(store, chunk, values):
        if len(done) == count:
            raise KeyboardInterrupt
        write(store, chunk, values)
        done.append(chunk)

    patch.setattr(Store, "write", stopping)


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}
