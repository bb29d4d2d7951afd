"""Paths, files that are whole or not there, and locks: one run at a time, none that outlives it."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from phase_utils import _files


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, "place must be a path, got int"),
        (b"a", "place must be a path, got bytes"),
        ("", "place must be a path, got ''"),
        ("a\0b", r"place must be a path, got 'a\\x00b'"),
        ("s3://bucket/x.zarr", "path of this machine, got the address 's3://bucket/x.zarr'"),
        ("file:///tmp/x", "place must be a path of this machine"),
        (Path("https://example.org/x"), "place must be a path of this machine"),
        ("~nobody-of-this-name/x", "of an unknown user"),
        ("a/" + "b" * 256 + "/c", "place must be a path of names of at most 255 bytes, got 'a/bb"),
        ("\N{SNOWMAN}" * 86, "at most 255 bytes"),
        ("a\ud800", "place must be a path, got 'a.ud800' in no encoding"),
    ],
)
def test_what_is_no_path_of_this_machine_is_refused(value, message):
    with pytest.raises(ValueError, match=message):
        _files.local_path("place", value)


def test_paths_are_kept_and_the_home_folder_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert _files.local_path("place", "~/x") == tmp_path / "x"
    for text in ("a/b.zarr", "./a b", "C:/x", "a:b"):
        assert _files.local_path("place", text) == Path(text)


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(tmp_path):
    kept = ["a.b", ".a.b.tmp", ".a.b.7.tmp", ".a.x.tmp", ".a.7.tmp.txt", "b.a.7.tmp"]
    for name in (*kept, ".a.7.tmp", ".a.123456.tmp"):
        (tmp_path / name).touch()
    _files.remove_leftovers(tmp_path / "a")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(kept)


def test_a_lock_is_held_by_one_and_leaves_nothing(tmp_path):
    lock = tmp_path / ".lock"
    refused = []

    def other():
        with (
            pytest.raises(ValueError, match=r"place must be of one run at a time, .* wait until"),
            _files.alone("place", tmp_path, lock),
        ):
            raise AssertionError("two runs")
        refused.append(True)

    for _ in range(2):
        with _files.alone("place", tmp_path, lock):
            other()
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
    assert refused == [True] * 4
    assert list(tmp_path.iterdir()) == []


HOLDS = """
import os, signal, sys
from pathlib import Path
from phase_utils._files import alone
with alone("place", Path("."), Path(sys.argv[1])):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    lock = tmp_path / ".lock"
    done = subprocess.run([sys.executable, "-c", HOLDS, str(lock)], check=False)
    assert done.returncode == -signal.SIGKILL and lock.exists()
    with _files.alone("place", tmp_path, lock):
        pass
    assert not lock.exists()


COUNTS = """
import sys, time
from pathlib import Path
from phase_utils._files import alone
lock, count = Path(sys.argv[1]), Path(sys.argv[2])
done = 0
while done < 20:
    try:
        with alone("place", Path("."), lock):
            before = int(count.read_text())
            time.sleep(0.0002)
            count.write_text(str(before + 1))
            done += 1
    except ValueError as refused:
        assert "one run at a time" in str(refused)
"""


def test_no_two_processes_are_in_at_once_although_the_file_comes_and_goes(tmp_path):
    lock, count = tmp_path / ".lock", tmp_path / "count"
    count.write_text("0")
    code = [sys.executable, "-c", COUNTS, str(lock), str(count)]
    others = [subprocess.Popen(code, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(p.communicate()[1], p.returncode) for p in others] == [("", 0)] * 3
    assert count.read_text() == "60"


def test_a_lock_that_cannot_be_made_is_the_systems_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match="file"),
        _files.alone("place", tmp_path, tmp_path / "file" / ".lock"),
    ):
        pass
