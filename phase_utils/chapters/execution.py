"""Execute a notebook with the running interpreter, and make what it leaves fit to be handed on."""

import copy
import itertools
import json
import os
import re
import site
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from phase_utils._files import FULL, NotWritten, write_atomic
from phase_utils.chapters.scratch import PREFIX, scratch
from phase_utils.chapters.vocabulary import KEEPING, KEPT_MIME, MIME

TIMEOUT = 6 * 3600  # seconds for one cell; at the size of the book 600 are enough
STATIC = (
    "PHASE_BOOK_STATIC"  # 1 in kernels whose outputs are kept: what they show must not need one
)
FORKED = "phase-book-forked"  # what starts kernels as forks, as pyproject.toml names it
_RUNS = itertools.count()
_PATH_FREE = ("image/png", "image/jpeg", "application/pdf")
_ANSI = r"\x1b\[[0-9;]*m"
# An absolute path of two or more parts; the start must not continue a word, a URL or a tag.
_ABSOLUTE = re.compile(rf"({_ANSI}|(?<![\w.~/<:\\]))(?:[A-Za-z]:)?/(?:[\w.@+-]+/)+([\w.@+-]+)")


def execute(
    nb: NotebookNode,
    parameters: Mapping[str, Any],
    *,
    timeout: int = TIMEOUT,
    progress: str = "",
    keeping: bool = False,
) -> tuple[NotebookNode, str]:
    """Execute `nb` in the current directory with `parameters` injected after its parameters cell.

    The kernel is the ipykernel of the running interpreter, whatever kernels are installed.

    Parameters
    ----------
    nb : NotebookNode
        Not changed.
    parameters : dict
        Values by name, already checked.
    timeout : int
        Seconds that one cell may take; then the kernel is killed.
    progress : str
        Label of a progress bar over the cells on stderr; no bar where empty.
    keeping : bool
        Have `records.keep` leave what it is given in the outputs.

    Returns
    -------
    nb : NotebookNode
        As executed, free of absolute paths; after a failing cell it holds all that ran before it.
    error : str
        The last lines of its error, empty if there was none.

    Raises
    ------
    NotWritten
        There is no room for temporary files; an OSError.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import CellTimeoutError
    from papermill.exceptions import PapermillExecutionError

    error = ""
    with scratch() as folder:
        # Papermill keeps the file up to date cell by cell: what a failing cell leaves is read here.
        path = folder / "running.ipynb"
        try:
            papermill.execute_notebook(
                nb,
                str(path),
                parameters=dict(parameters),
                kernel_name="python3",
                language="python",
                kernel_manager_class=_kernel_manager(folder, keeping),
                execution_timeout=timeout,
                shutdown_kernel="immediate",  # asked politely, a busy one shows a traceback
                progress_bar={"desc": progress} if progress else False,
            )
        except PapermillExecutionError as failure:
            error = _last_lines(failure.traceback) or f"{failure.ename}: {failure.evalue}"
        except CellTimeoutError:
            error = f"a cell took more than timeout = {timeout} s, which --timeout sets:\n"
            error += _running(nbformat.read(path, as_version=4))
        except RuntimeError as failure:  # a kernel that died, or did not start
            error = f"{type(failure).__name__}: {failure}"
        except OSError as failure:
            if failure.errno not in FULL:
                raise
            raise NotWritten(failure.errno, failure.strerror, str(path)) from None
        executed = nbformat.read(path, as_version=4)
    return _scrubbed(executed), scrub_text(error, everything=True)


def tracebacks(nb: NotebookNode) -> str:
    """Return the tracebacks of an executed notebook as plain text, '' where no cell failed."""
    failed = [
        "\n".join(output.traceback)
        for cell in nb.cells
        for output in cell.get("outputs", [])
        if output.output_type == "error"
    ]
    return re.sub(_ANSI, "", "\n\n".join(failed)).strip()


def claims(nb: NotebookNode) -> list[dict[str, Any]]:
    """Return the claims that travel in the outputs of an executed notebook, in order."""
    found: list[dict[str, Any]] = []
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            if MIME in output.get("data", {}):
                varying = output.get("metadata", {}).get(MIME, {})
                found.append({**output.data[MIME], **varying})
    return found


def kept(nb: NotebookNode) -> dict[str, Any]:
    """Return what `records.keep` left in the outputs; ValueError for a name that is kept twice."""
    found: dict[str, Any] = {}
    for cell in nb.cells:
        for output in cell.get("outputs", []):
            for name, values in output.get("data", {}).get(KEPT_MIME, {}).items():
                if name in found:
                    raise ValueError(f"name of what is kept must be used once, got {name!r} twice")
                found[name] = values
    return found


def scrub_text(text: str, *, everything: bool = False) -> str:
    """Return `text` with the folders of this machine taken out of the paths in it.

    Paths into the current directory, the environment and the package become relative, the home
    directory becomes `~`. With `everything`, any other absolute path is cut to its file's name.
    """
    temporary = re.escape(tempfile.gettempdir())
    text = re.sub(rf"{temporary}[/\\]({PREFIX}\w+[/\\])?ipykernel_\d+[/\\]\d+\.py", "<cell>", text)
    for prefix, short in _prefixes():
        start = rf"({_ANSI}|(?<![\w.~-])){re.escape(prefix)}"
        text = re.sub(rf"{start}[/\\]", rf"\g<1>{short}", text)
        text = re.sub(rf"{start}(?![\w-]|\.\w)", rf"\g<1>{short.rstrip('/') or '.'}", text)
    return _ABSOLUTE.sub(r"\1\2", text) if everything else text


def written(nb: NotebookNode) -> str:
    """Return `nb` in the notebook format."""
    import nbformat

    return str(nbformat.writes(nb)) + "\n"


def write_notebook(path: Path, nb: NotebookNode) -> None:
    """Write `nb` to `path`, whole or not at all."""
    write_atomic(path, written(nb))


def _kernel_manager(folder: Path, keeping: bool) -> type:
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning.factory import KernelProvisionerFactory
    from traitlets import default

    command = [sys.executable, "-m", "ipykernel_launcher"]
    told = {STATIC: "1", KEEPING: str(int(keeping))}
    # whoever runs a second chapter will run more: one process imports for them all
    many = next(_RUNS) and FORKED in KernelProvisionerFactory.instance().provisioners
    started_by = {"kernel_provisioner": {"provisioner_name": FORKED}} if many else {}

    class RunningInterpreter(AsyncKernelManager):
        """Starts the ipykernel of this interpreter: an installed `python3` may point elsewhere."""

        @default("connection_file")
        def _connection_file(self) -> str:
            return str(folder / "kernel.json")

        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(
                argv=[*command, "-f", "{connection_file}", "--log-level=ERROR"],
                display_name="Python 3",
                language="python",
                metadata=started_by,
                env=told | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder)),
            )

    return RunningInterpreter


def _last_lines(traceback: list[str], count: int = 12) -> str:
    text = re.sub(_ANSI, "", "\n".join(traceback)).strip()
    return "\n".join(text.splitlines()[-count:])


def _running(nb: NotebookNode, count: int = 12) -> str:
    """The first lines of the last cell that Papermill has begun."""
    begun = [c for c in nb.cells if c.metadata.get("papermill", {}).get("start_time")]
    return "\n".join(begun[-1].source.splitlines()[:count]) if begun else ""


def _prefixes() -> list[tuple[str, str]]:
    """Return (folder, what stands for `folder/`), longest first."""
    folders = {
        str(Path.cwd()): "",
        str(Path(__file__).parents[2]): "",
        sys.prefix: "",
        sys.base_prefix: "",
        sysconfig.get_path("stdlib"): "python/",
        str(Path.home()): "~/",
    }
    for packages in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        folders[packages] = "site-packages/"
    folders[site.getusersitepackages()] = "site-packages/"
    folders |= {os.path.realpath(folder): short for folder, short in folders.items()}
    # The root or `/usr` alone would match what is no path of this machine.
    long_enough = {f: short for f, short in folders.items() if len(Path(f).parts) > 1}
    long_enough.pop("/usr", None)
    return sorted(long_enough.items(), key=lambda item: -len(item[0]))


def _scrubbed(nb: NotebookNode) -> NotebookNode:
    """A notebook without the folders of this machine."""
    new = copy.deepcopy(nb)
    for name in ("input_path", "output_path"):
        new.metadata.get("papermill", {}).pop(name, None)
    for cell in new.cells:
        for output in cell.get("outputs", []):
            failed = output.output_type == "error"
            loud = failed or output.get("name") == "stderr"
            if failed:
                output.evalue = scrub_text(output.evalue, everything=True)
                output.traceback = [scrub_text(t, everything=True) for t in output.traceback]
            elif output.output_type == "stream":
                output.text = scrub_text(output.text, everything=loud)
            for mime, content in output.get("data", {}).items():
                if isinstance(content, str) and mime not in _PATH_FREE:
                    output.data[mime] = scrub_text(content)
                elif not isinstance(content, str):
                    output.data[mime] = json.loads(scrub_text(json.dumps(content)))
            if MIME in output.get("metadata", {}):
                content = json.dumps(output.metadata[MIME])
                output.metadata[MIME] = json.loads(scrub_text(content))
    return new
