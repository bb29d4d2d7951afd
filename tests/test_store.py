"""Sweeps on disk: the same bits whatever interrupts them, nothing done twice, no damage unseen."""

import errno
import io
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import read_only

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


# Damage


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0b100
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


HARMS = pytest.mark.parametrize("harm", [flip, truncate, Path.unlink, to_folder])


@HARMS
@pytest.mark.parametrize("file", [FIRST, "steps/0.2.0.0", "status/1.1.0.0"])
def test_a_damaged_chunk_is_found_and_trained_again(finished, trained, tmp_path, file, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    sound = files(path)
    harm(path / file)
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == [{FIRST: 12, "steps/0.2.0.0": 6, "status/1.1.0.0": 30}[file]]
    assert files(path) == sound


@HARMS
@pytest.mark.parametrize(
    "file",
    [
        "sweep.json",
        "done.json",
        "done/000001.json",
        ".zmetadata",
        "gamma/0",
        "loss/.zarray",
        ".zattrs",
    ],
)
def test_a_damaged_description_is_put_in_place_again(finished, trained, tmp_path, file, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    sound = files(path)
    harm(path / file)
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == []
    assert files(path) == sound
    assert [p.name for p in tmp_path.iterdir()] == ["x.zarr"]


def without_records(path: Path) -> None:
    shutil.rmtree(path / "done")


def without_description(path: Path) -> None:
    for name in ("sweep.json", "done.json", ".zmetadata", ".zattrs", ".zgroup", "seed/0"):
        (path / name).unlink()


def without_arrays_own(path: Path) -> None:
    for file in path.glob("*/.z*"):
        file.unlink()
    (path / "sweep.json").write_text("{}")


def a_word_of_another(path: Path) -> None:
    text = (path / "sweep.json").read_text()
    (path / "sweep.json").write_text(text.replace('"width": "4"', '"width": "5"'))


@pytest.mark.parametrize(
    "harm", [without_records, without_description, without_arrays_own, a_word_of_another]
)
def test_what_one_part_has_lost_is_known_from_the_others(finished, trained, tmp_path, harm):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    sound = files(path)
    harm(path)
    assert files(path) != sound
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == []
    assert files(path) == sound


def test_records_that_are_lost_with_their_copies_cost_training_alone(finished, trained, tmp_path):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    without_records(path)
    (path / "done.json").unlink()
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == [12, 12, 6, 30]
    assert files(path) == files(finished[0])


def test_without_description_and_records_a_store_is_refused_and_left_alone(
    finished, trained, tmp_path
):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    without_records(path)
    without_description(path)
    before = files(path)
    with pytest.raises(ValueError, match=r"no readable sweep\.json, and no chunk of this sweep"):
        pu.sweep(MOMENTS, **PLAN, store=path)
    assert files(path) == before
    assert trained == []


def test_records_of_another_sweep_do_not_vouch(finished, trained, tmp_path):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    (path / "sweep.json").unlink()
    before = files(path)
    with pytest.raises(ValueError, match="no chunk of this sweep that could replace it"):
        pu.sweep(MOMENTS, **{**PLAN, "noise_variance": 0.1}, store=path)
    assert files(path) == before
    assert trained == []


@pytest.mark.parametrize("file", [FIRST, "sweep.json", "loss/.zarray", "done/000000.json", "done"])
def test_what_stands_in_the_way_is_named_before_anything_is_trained(
    finished, trained, tmp_path, file
):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    if file == "done":
        shutil.rmtree(path / file)
        (path / file).touch()
    else:
        (path / file).unlink()
        (path / file / "of somebody").mkdir(parents=True)
    if file == "done/000000.json":
        (path / FIRST).unlink()  # else its copy serves
    place = file if file != "done" else "done/000000.json"
    with pytest.raises(ValueError, match=f"store must have a file {place}, .* move it away"):
        pu.sweep(MOMENTS, **PLAN, store=path)
    assert trained == []
    assert file == "done" or (path / file / "of somebody").exists()


def test_a_folder_of_arrays_may_be_lost(finished, trained, tmp_path):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    shutil.rmtree(path / "slope")
    shutil.rmtree(path / "depth")
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
    assert trained == [12, 12, 6, 30]
    assert files(path) == files(finished[0])


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.usefixtures("trained")
def test_whatever_four_files_are_damaged_the_bits_are_the_same(finished, data):
    names = sorted(files(finished[0]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.zarr")
        shutil.copytree(finished[0], path)
        for name in data.draw(st.lists(st.sampled_from(names), min_size=1, max_size=4)):
            if not (path / name).is_file():
                continue
            content = (path / name).read_bytes()
            harm = data.draw(st.sampled_from(["flip", "cut", "remove", "folder", "noise"]))
            if harm in ("remove", "folder"):
                (path / name).unlink()
                if harm == "folder":
                    (path / name).mkdir()
                continue
            at = data.draw(st.integers(0, max(0, len(content) - 1)))
            if harm == "flip" and content:
                bit = 1 << data.draw(st.integers(0, 7))
                content = content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
            elif harm == "cut":
                content = content[:at]
            else:
                content = data.draw(st.binary(max_size=50))
            (path / name).write_bytes(content)
        assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
        assert files(path) == files(finished[0])


# Another sweep


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "width is 4 there and 5 here; chunks is depth 2: 2 x"),
        ({"gamma": [0.3, 0.02, 0.1, 0.25, 0.01]}, r"gamma\[3\] is 0.2 there and 0.25 here$"),
        ({"gamma": [0.3, 0.1]}, "gamma is 5 values there and 2 values here$"),
        ({"depth": [0, 2]}, r"depth\[0\] is 2 there and 0 here"),
        ({"seed": [4, 1, 2]}, r"another sweep .*: seed\[2\] is 0 there and 2 here$"),
        ({"noise_variance": 0.1}, "noise_variance is 0.0 there and 0.1 here"),
        ({"settings": pu.Settings(max_steps=9)}, "max_steps is 5000 there and 9 here$"),
        (
            {"problem": pu.Moments(np.diag([1.0, 1, 1 + 1e-14]), MOMENTS.Exy, 1)},
            "problem_sha256 is",
        ),
    ],
)
def test_another_sweep_is_refused_and_the_difference_named(finished, trained, change, message):
    path, _ = finished
    before = files(path)
    with pytest.raises(ValueError, match=message):
        pu.sweep(**{"problem": MOMENTS, **PLAN, **change}, store=path)
    assert trained == []
    assert files(path) == before


def test_other_chunks_are_refused(finished, trained, monkeypatch):
    monkeypatch.setitem(sweeps.BATCH_BYTES, "cpu", 1)
    with pytest.raises(ValueError, match=r"both\): chunks is depth 2: 2 x 2 x 3, .* there and"):
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


# Places


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("s3://bucket/x.zarr", "store must be a path of this machine, got the address"),
        (Path("https://example.org/x.zarr"), "store must be a path of this machine"),
        ("", "store must be a path, got ''"),
        (3, "store must be a path, got int"),
    ],
)
def test_what_is_no_path_is_refused(trained, path, message):
    with pytest.raises(ValueError, match=message):
        pu.sweep(MOMENTS, **PLAN, store=path)
    assert trained == []


def test_what_cannot_be_made_is_refused(trained, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "nowhere.zarr").symlink_to(tmp_path / "missing" / "deeper")
    folder = "a folder that can be read and written"
    for path, rule in (
        (tmp_path / "file" / "x.zarr", folder),
        (tmp_path / ("a" * 300), "a path of names of at most 255 bytes"),
        (tmp_path / "nowhere.zarr", folder),
    ):
        with pytest.raises(ValueError, match=f"store must be {rule}"):
            pu.sweep(MOMENTS, **PLAN, store=path)
    assert trained == []


def test_a_second_run_is_refused_while_the_first_goes_on(expected, trained, tmp_path, monkeypatch):
    path, write, second = tmp_path / "x.zarr", Store.write, []

    def again():
        with pytest.raises(
            ValueError, match=r"store must be of one run at a time, .*x\.zarr: wait"
        ):
            pu.sweep(MOMENTS, **PLAN, store=path)
        second.append("refused")

    def meeting(store, chunk, values):
        write(store, chunk, values)
        again()
        thread = threading.Thread(target=again)
        thread.start()
        thread.join()

    monkeypatch.setattr(Store, "write", meeting)
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(expected)
    assert second == ["refused"] * 2 * CHUNKS
    assert trained == [12, 12, 6, 30]
    assert not (path / ".lock").exists()


def test_a_store_that_is_done_is_read_where_nothing_can_be_written(finished, trained, tmp_path):
    path = tmp_path / "x.zarr"
    shutil.copytree(finished[0], path)
    with read_only(path):
        assert pu.sweep(MOMENTS, **PLAN, store=path).identical(finished[1])
        with pytest.raises(ValueError, match="holds another sweep"):
            pu.sweep(MOMENTS, **{**PLAN, "width": 5}, store=path)
        with pytest.raises(ValueError, match=r"that can be read and written, .*denied"):
            pu.sweep(MOMENTS, **PLAN, store=path / "new.zarr")
    assert files(path) == files(finished[0])
    flip(path / FIRST)
    with read_only(path), pytest.raises(ValueError, match=r"x\.zarr is read-only and lacks 1 of 4"):
        pu.sweep(MOMENTS, **PLAN, store=path)
    flip(path / FIRST)
    flip(path / ".zattrs")
    with read_only(path), pytest.raises(ValueError, match="describes the arrays is missing or dam"):
        pu.sweep(MOMENTS, **PLAN, store=path)
    assert trained == []


def test_a_full_disk_is_named_and_costs_nothing_that_was_done(
    expected, trained, tmp_path, monkeypatch
):
    path, written = tmp_path / "x.zarr", []

    def full(store, name, content):
        if name.startswith("done/"):
            written.append(name)
            if len(written) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(store, name, content)

    original = Store._write
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_write", full)
        with pytest.raises(OSError, match=r"No space left on device; .*x\.zarr") as caught:
            pu.sweep(MOMENTS, **PLAN, store=path)
    assert caught.value.errno == errno.ENOSPC
    trained.clear()
    assert pu.sweep(MOMENTS, **PLAN, store=path).identical(expected)
    assert trained == [6, 30]


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
