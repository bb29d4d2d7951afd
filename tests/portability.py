"""Run the numerical tests and the chapters' references as other machines would.

    python tests/portability.py [MACHINE ...] [-- OPTIONS OF PYTEST]

Rounding differs from one processor to the next, since libraries choose their kernels by what it can
do, and with the number of threads, since sums are cut elsewhere. Each machine here is this one that
is told to be another. A table at the end says what the libraries then ran and what failed; the exit
status is 1 if anything did. `-- FILE` or `-- -k NAME` repeats a part.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__  # no public names

TESTS = Path(__file__).resolve().parent
# files whose tests compute nothing that rounding could change; every other file is run
TEXT = {
    "export",
    "files",
    "guide",
    "house",
    "packaging",
    "print",
    "provenance",
    "repository",
    "suite",
    "take_away",
}
# what a process says of the kernels that it runs
PROBE = """
import json, numpy, torch, threadpoolctl
blas = [i for i in threadpoolctl.threadpool_info() if i["user_api"] == "blas"]
numpy_blas = next((i for i in blas if "numpy" in i["filepath"]), {})
print(json.dumps({"torch": torch.backends.cpu.get_cpu_capability(),
                  "blas": numpy_blas.get("architecture", "unknown"),
                  "threads": torch.get_num_threads()}))
"""


@dataclass(frozen=True)
class Machine:
    """What makes this machine another: its vector units, its threads, the draws of hypothesis."""

    says: str
    torch: str = ""  # the capability that torch reports; "" as here
    blas: str = ""  # the OpenBLAS kernel that NumPy runs
    environment: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()  # beginnings of the names of NumPy's units that are turned off
    threads: int = 1
    options: tuple[str, ...] = ()

    def variables(self) -> dict[str, str]:
        """Return the environment of its processes."""
        off = [f for f in __cpu_dispatch__ if __cpu_features__[f] and f.startswith(self.without)]
        numpy = {"NPY_DISABLE_CPU_FEATURES": " ".join(off)} if self.without and off else {}
        threads = {
            f"{library}_NUM_THREADS": str(self.threads) for library in ("OMP", "OPENBLAS", "MKL")
        }
        return {**os.environ, **threads, **self.environment, **numpy}


def x86(torch_says: str, openblas: str, mkl: str) -> dict[str, object]:
    """Return the kernels of one generation of processors, in the words of each library."""
    variables = {
        "ATEN_CPU_CAPABILITY": torch_says.lower(),
        "OPENBLAS_CORETYPE": openblas,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
    }
    return {"torch": torch_says, "blas": openblas, "environment": variables}


def seeded(seed: int) -> Machine:
    """Return this machine with other draws: tests of properties only."""
    options = (
        "-m",
        "hypothesis and not scheduled",
        "--hypothesis-profile=other",
        f"--hypothesis-seed={seed}",
    )
    return Machine(f"properties, seed {seed}", options=options)


MACHINES = {
    "here": Machine("this machine"),
    "threads": Machine("two threads", threads=2),
    "old": Machine("without AVX", without=("",), **x86("DEFAULT", "Nehalem", "SSE4_2")),
    "avx2": Machine("AVX2", without=("AVX512", "X86_V4"), **x86("AVX2", "Haswell", "AVX2")),
    "avx512": Machine("AVX-512", **x86("AVX512", "SkylakeX", "AVX512")),
    **{f"seed{n}": seeded(n) for n in (1, 2, 3)},
}
ORDER = ("DEFAULT", "AVX2", "AVX512")


def known_as(capability: str) -> str:
    """Return the name of a capability: older releases of torch call the least of them otherwise."""
    return "DEFAULT" if capability == "NO AVX" else capability


def can_be(machine: Machine) -> bool:
    """Tell whether this processor has all that the machine needs."""
    if not machine.torch:
        return True
    here = known_as(torch.backends.cpu.get_cpu_capability())
    known = platform.machine().lower() in {"x86_64", "amd64"} and here in ORDER
    return known and ORDER.index(machine.torch) <= ORDER.index(here)


def seen(machine: Machine) -> dict[str, object]:
    """Return what the libraries run in a process of the machine.

    Raises:
        ValueError: it is not what the machine asks for, so that a run would show nothing.
    """
    command = [sys.executable, "-W", "error", "-c", PROBE]
    answer = subprocess.run(
        command, env=machine.variables(), capture_output=True, text=True, check=True
    )
    found = json.loads(answer.stdout)
    found["torch"] = known_as(found["torch"])
    wanted = {"torch": machine.torch, "blas": machine.blas, "threads": machine.threads}
    other = {
        name: found[name]
        for name, value in wanted.items()
        if value and str(found[name]).lower() != str(value).lower()
    }
    if other:
        raise ValueError(f"{machine.says}: asked for {wanted}, and the libraries run {other}")
    return found


def files() -> list[str]:
    """Return the files of numerical tests, and the references."""
    chosen = [p for p in sorted(TESTS.glob("test_*.py")) if p.stem[len("test_") :] not in TEXT]
    return [str(path) for path in [*chosen, TESTS / "reference"]]


def outcome(report: Path) -> tuple[int, list[str]]:
    """Return from a report of pytest how many tests passed, and the names of those that failed."""
    cases = list(ET.parse(report).iter("testcase"))
    bad = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    names = [f"{case.get('classname')}::{case.get('name')}" for case in bad]
    return len(cases) - len(bad) - skipped, names


def run(name: str, options: Sequence[str]) -> tuple[list[str], bool]:
    """Run the tests on one machine; return its row of the table, and whether all passed."""
    machine = MACHINES[name]
    if not can_be(machine):
        return [name, machine.says, "not on this processor", "", "", "", ""], True
    found = seen(machine)
    started = time.monotonic()
    chosen = [] if any(Path(o.partition("::")[0]).exists() for o in options) else files()
    print(f"== {name}: {machine.says}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", "auto", "--maxprocesses", "4"]
        command += [f"--junitxml={report}", *machine.options, *chosen, *options]
        status = subprocess.run(command, env=machine.variables(), cwd=TESTS.parent).returncode
        passed, failed = outcome(report) if report.exists() else (0, ["no report"])
    row = [name, machine.says, *(str(found[k]) for k in ("torch", "blas", "threads"))]
    minutes = f"{(time.monotonic() - started) / 60:.1f}"
    return [*row, f"{passed} passed, {len(failed)} failed", minutes, *failed], status == 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the machines named, or all, and print the table."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    split = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"of {', '.join(MACHINES)}")
    named = parser.parse_args(words[:split]).machines
    unknown = [name for name in named if name not in MACHINES]
    if unknown:
        parser.error(f"no machine {unknown[0]!r}: choose from {', '.join(MACHINES)}")
    results = [run(name, words[split + 1 :]) for name in named or MACHINES]
    heads = ["machine", "is", "torch", "OpenBLAS", "threads", "tests", "minutes"]
    rows = [heads, *(row[: len(heads)] for row, _ in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip())
    for row, _ in results:
        for test in row[len(heads) :]:
            print(f"FAILED on {row[0]}: {test}")
    return 0 if all(good for _, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
