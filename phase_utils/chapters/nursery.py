"""A process that imports what chapters import, and then becomes a kernel by a fork, at once.

`main` answers on a socket: to {"start": arguments, "cwd": folder, "env": variables}, which comes
with the descriptors of the kernel's output and errors, the number of the process; to {"poll":
number} how that process ended, or null. It ends when the other side of the socket is closed, and
its kernels, which look for their parent every second, after it.
"""

import gc
import importlib
import json
import os
import socket
import sys
import tempfile
from typing import Any, NoReturn

MESSAGE_BYTES = 2**17  # the longest message
INLINE = "module://matplotlib_inline.backend_inline"  # what a kernel sets for Matplotlib
# dear to import, and of no effect before they are used
IMPORTED = (
    "ipykernel.kernelapp", "matplotlib.pyplot", "mpmath", "myst_nb", "scipy.integrate",
    "scipy.optimize", "scipy.special", "sklearn.datasets", "sympy", "torch",
)  # fmt: skip


def main(descriptor: int) -> None:
    """Import, then answer until nobody can ask any more."""
    os.environ.setdefault("MPLBACKEND", INLINE)
    for name in IMPORTED:
        importlib.import_module(name)
    package = importlib.import_module("phase_utils")
    for name in package.__all__:  # each is loaded when it is first asked for
        getattr(package, name)
    gc.collect()
    gc.freeze()  # what is shared with the kernels stays shared
    with socket.socket(fileno=descriptor) as channel:
        while True:
            message, descriptors, *_ = socket.recv_fds(channel, MESSAGE_BYTES, 2)
            if not message:
                return
            asked = json.loads(message)
            if "start" in asked:
                answer: int | None = os.fork()
                if not answer:
                    channel.close()
                    become(asked, descriptors)
                for inherited in descriptors:
                    os.close(inherited)
            else:
                answer = how_ended(asked["poll"])
            channel.send(json.dumps(answer).encode())


def how_ended(process: int) -> int | None:
    """The exit code of a child as `subprocess` has it, told once; None while it runs."""
    number, status = os.waitpid(process, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if number else None


def become(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """Be the kernel that was asked for, as if started by itself."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, source in enumerate((nothing, *descriptors)):
        os.dup2(source, target)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    tempfile.tempdir = None  # chosen anew, where the variables say
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"
    sys.argv = ["ipykernel_launcher", *asked["start"], parent]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
    raise SystemExit(0)
