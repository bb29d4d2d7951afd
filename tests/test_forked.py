"""A forked kernel is the kernel that would have been started, and ends as one."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from phase_utils.chapters import execution, forked

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are made on Linux alone")
NAME = "phase-book-forked"
# what a chapter could notice; the number of the process that started it differs
PROBE = """
import json, os, signal, sys, threading, tempfile
import matplotlib.pyplot as plt, numpy as np, torch
import phase_utils as pu
told = {k: v for k, v in os.environ.items() if not k.startswith(("JPY_", "PYTEST_"))}
print(json.dumps({
    "folder": os.getcwd(), "path": sys.path, "variables": told, "name": __name__,
    "backend": plt.get_backend(), "figure": plt.rcParams["figure.figsize"],
    "temporary": tempfile.gettempdir(), "executable": sys.executable,
    "signals": [str(signal.getsignal(s)) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)],
    "leader": os.getsid(0) == os.getpid(), "threads": torch.get_num_threads(),
    "names": sorted(globals()), "input": os.read(0, 1).decode(), "main": sys.argv[0],
    "errors": np.geterr(), "dtype": str(torch.get_default_dtype()), "flags": list(sys.flags),
}, default=str))
"""


class Kernel:
    """A kernel with its client, started with the provisioner of this name."""

    def __init__(self, provisioner, monkeypatch, **options):
        factory = KernelProvisionerFactory.instance()
        monkeypatch.setattr(factory, "default_provisioner_name", provisioner)
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(**options)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def said(self, code):
        """What the code prints, or the name of its error."""
        printed = []

        def hear(message):
            if message["msg_type"] == "stream":
                printed.append(message["content"]["text"])

        done = self.client.execute_interactive(code, timeout=60, output_hook=hear)["content"]
        return "".join(printed) if done["status"] == "ok" else done["ename"]

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    @property
    def process(self):
        return self.manager.provisioner.process


@pytest.fixture
def kernel(monkeypatch):
    """Makes kernels, and ends those that run after the test."""
    made = []

    def make(provisioner=NAME, **options):
        made.append(Kernel(provisioner, monkeypatch, **options))
        return made[-1]

    yield make
    for one in made:
        one.end()


def gone(pid):
    """Whether the process has ended, after at most some seconds."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_chapter_cannot_tell_a_fork_from_a_kernel_of_its_own(kernel, tmp_path):
    pair = [kernel(name, cwd=str(tmp_path)) for name in (NAME, "local-provisioner")]
    assert isinstance(pair[0].process, forked.Forked)
    assert isinstance(pair[1].process, subprocess.Popen)
    fork, own = (json.loads(one.said(PROBE)) for one in pair)
    assert fork.pop("main") == "ipykernel_launcher"
    assert own.pop("main").endswith("ipykernel_launcher.py")
    assert fork == own


def test_forks_share_nothing_and_are_ended_one_by_one(kernel):
    first, second = kernel(), kernel()
    assert first.process.pid != second.process.pid
    first.said("import numpy as np; np.secret = 1")
    assert second.said("import numpy as np; print(hasattr(np, 'secret'))") == "False\n"
    first.manager.shutdown_kernel(now=True)
    assert gone(first.manager.provisioner.pid)
    assert second.said("print(1)") == "1\n"


def test_a_fork_is_interrupted(kernel):
    one = kernel()
    # as the manager's interrupt_kernel does, whose event loop a thread would leave behind
    threading.Timer(0.5, os.killpg, (one.manager.provisioner.pgid, signal.SIGINT)).start()
    assert one.said("import time\nfor _ in range(600): time.sleep(.1)") == "KeyboardInterrupt"
    assert one.said("print(2)") == "2\n"


@pytest.mark.parametrize(
    ("end", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -signal.SIGKILL)]
)
def test_how_a_fork_ended_is_known(end, code, kernel):
    one = kernel()
    one.client.execute(f"import os; {end}")
    deadline = time.monotonic() + 20
    while one.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert one.process.poll() == code
    assert not one.manager.is_alive()


def test_after_the_death_of_the_nursery_kernels_are_dead_and_new_ones_start(kernel):
    one = kernel()
    nursery = one.process.nursery
    nursery.process.kill()
    nursery.process.wait()
    assert one.process.poll() == -signal.SIGKILL
    assert gone(one.process.pid)
    other = kernel()
    assert other.process.nursery is not nursery
    assert other.said("print(3)") == "3\n"


def test_a_process_whose_variables_have_changed_forks_all_the_same(kernel, monkeypatch):
    before = kernel()
    monkeypatch.setenv("READ_BY_SOME_LIBRARY", "1")
    after = kernel()
    assert after.process.nursery is not before.process.nursery
    assert after.said("import os; print(os.environ['READ_BY_SOME_LIBRARY'])") == "1\n"
    monkeypatch.delenv("READ_BY_SOME_LIBRARY")
    assert kernel().process.nursery is before.process.nursery
    assert before.said("print(4)") == "4\n"


@pytest.mark.parametrize(
    "options",
    [
        {"env": {**os.environ, "OMP_NUM_THREADS": "7"}},
        {"env": {**os.environ, "MPLBACKEND": "agg"}},
        {"env": {**os.environ, "PYTHONPATH": "elsewhere"}},
        {"stdout": subprocess.PIPE},
        {"extra": 1},
    ],
)
def test_what_a_fork_would_do_otherwise_is_not_forked(options):
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "file"]
    assert forked.forked(command, options) is None


@pytest.mark.parametrize(
    "command",
    [
        ["/usr/bin/other", "-m", "ipykernel_launcher"],
        [sys.executable, "-m", "another_kernel"],
        [sys.executable, "-O", "-m", "ipykernel_launcher"],
        [sys.executable, "kernel.py"],
    ],
)
def test_other_kernels_are_not_forked(command):
    assert forked.forked(command, {}) is None


def test_nothing_outlives_the_process_that_asked(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from jupyter_client.manager import start_new_kernel\n"
        "manager, _ = start_new_kernel(kernel_name='python3')\n"
        "one = manager.provisioner.process\n"
        "print(one.pid, one.nursery.process.pid, flush=True)\n"
        "os._exit(0)\n",
        encoding="utf-8",
    )
    env = {**os.environ, "JUPYTER_DEFAULT_PROVISIONER_NAME": NAME}
    done = subprocess.run(
        [sys.executable, str(program)], capture_output=True, text=True, env=env, check=True
    )
    pids = [int(number) for number in done.stdout.split()]
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)


def test_the_second_chapter_of_a_process_is_forked(monkeypatch):
    monkeypatch.setattr(execution, "_RUNS", itertools.count())
    monkeypatch.setattr(
        KernelProvisionerFactory.instance(), "default_provisioner_name", "local-provisioner"
    )
    cell = "import os; print('nursery' in open(f'/proc/{os.getppid()}/cmdline').read())"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    said = []
    for _ in range(3):
        done, error = execution.execute(notebook, {})
        assert not error
        said.append(done.cells[-1].outputs[0].text)
    assert said == ["False\n", "True\n", "True\n"]
