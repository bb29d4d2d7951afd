"""Kernels that start in a tenth of a second: forks of one process that has imported everything.

Named to Jupyter by JUPYTER_DEFAULT_PROVISIONER_NAME=phase-book-forked. Where it cannot be done the
same, a kernel starts as always: not on Linux, for another interpreter, or with variables of the
environment that libraries read when they are imported.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from phase_utils.chapters.nursery import INLINE, MESSAGE_BYTES

# beginnings of names of variables that nothing reads before a kernel has started
LATER = ("JPY_", "PHASE_BOOK_", "PYTEST_", "TMPDIR", "TEMP", "TMP")
POPEN = {"env", "cwd", "stdout", "stderr", "extra_arguments", "kernel_id"}
# nothing is imported from the folder that happens to be the current one
BEGIN = (
    "import sys; sys.path.remove(''); from phase_utils.chapters import nursery; "
    "nursery.main(int(sys.argv[1]))"
)
OPTIONS = {"-Xfrozen_modules=off"}  # of the interpreter, for debuggers: no debugger comes here


class Nursery:
    """The process that imports, and the way to ask it."""

    def __init__(self) -> None:
        self.owner, self.env = os.getpid(), read_early(os.environ)
        self.lock = threading.Lock()
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", BEGIN, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

        atexit.register(self.end)

    def end(self) -> None:
        """Let the process go, and all its kernels with it."""
        self.channel.close()
        if self.owner == os.getpid():
            self.process.wait()

    def ask(self, question: dict[str, Any], descriptors: tuple[int, ...] = ()) -> int | None:
        """Return the answer; an OSError where the process has died or the question is too long."""
        with self.lock:
            socket.send_fds(self.channel, [json.dumps(question).encode()], descriptors)
            answer = self.channel.recv(MESSAGE_BYTES)
        if not answer:
            raise ConnectionError("the process that forks kernels has died")
        number: int | None = json.loads(answer)
        return number


class Forked:
    """A fork as `subprocess.Popen` would be: what Jupyter needs of it."""

    stdin = stdout = stderr = None
    returncode: int | None = None

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.nursery, self.pid = nursery, pid

    def poll(self) -> int | None:
        """The exit code, None while it runs; with the process that forked it a kernel dies, too."""
        if self.returncode is None:
            try:
                self.returncode = self.nursery.ask({"poll": self.pid})
            except OSError:
                self.returncode = -signal.SIGKILL
        return self.returncode

    def wait(self) -> int | None:
        """The exit code of a kernel that has ended."""
        return self.poll()

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the kernel to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the kernel."""
        self.send_signal(signal.SIGKILL)


class ForkedProvisioner(LocalProvisioner):
    """Starts kernels of the running interpreter as forks, and all others as always."""

    process: Any

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel with this command line; return how to connect to it."""
        process = forked(cmd, kwargs)
        if process is None:
            return await super().launch_kernel(cmd, **kwargs)
        self.process, self.pid, self.pgid = process, process.pid, process.pid
        self.cwd = kwargs.get("cwd") or Path.cwd()
        return self.connection_info


def forked(command: list[str], options: dict[str, Any]) -> Forked | None:
    """The kernel as a fork, or None where that would not be the same."""
    env = dict(options.get("env") or os.environ)
    module = command.index("-m") if "-m" in command else 0
    if (
        sys.platform != "linux"
        or not module
        or command[module + 1 : module + 2] != ["ipykernel_launcher"]
        or command[0] != sys.executable
        or set(command[1:module]) - OPTIONS
        or {name for name, value in options.items() if value is not None} - POPEN
        or env.get("MPLBACKEND", INLINE) != INLINE
    ):
        return None
    nursery = nursery_for(env)
    if nursery is None:
        return None
    outputs = [options.get(name) for name in ("stdout", "stderr")]
    descriptors = tuple(
        own if given is None else given if isinstance(given, int) else given.fileno()
        for own, given in zip((1, 2), outputs, strict=True)
    )
    if min(descriptors) < 0:  # subprocess.PIPE and the like
        return None
    question = {"start": command[module + 2 :], "cwd": str(options.get("cwd") or Path.cwd())}
    try:
        pid = nursery.ask(question | {"env": env}, descriptors)
    except OSError:
        return None
    return None if pid is None else Forked(nursery, pid)


def read_early(env: Any) -> dict[str, str]:
    """The variables that a library may read when it is imported."""
    return {k: v for k, v in env.items() if not k.startswith(LATER) and k != "MPLBACKEND"}


_kept: list[Nursery] = []


def nursery_for(env: Any) -> Nursery | None:
    """That of this process for kernels with these variables, begun when first asked for.

    None for variables that are not those of this process. A fork of this process needs its own; one
    that was begun with other variables stays, for its kernels.
    """
    early = read_early(env)
    for lost in [n for n in _kept if n.owner != os.getpid() or n.process.poll() is not None]:
        atexit.unregister(lost.end)
        lost.end()
        _kept.remove(lost)
    for nursery in _kept:
        if nursery.env == early:
            return nursery
    if early != read_early(os.environ):
        return None
    _kept.append(Nursery())
    return _kept[-1]
