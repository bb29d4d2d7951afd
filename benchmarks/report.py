"""What every benchmark needs: interleaved timing, and a record of the machine with the numbers."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from phase_utils._files import write_atomic

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "torch", "numba", "jax", "optax")
UNITS = (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6))


@dataclass
class Times:
    """Wall and CPU seconds of one contender, one entry per repeat."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def cells(self, scale: float = 1.0) -> list[str]:
        """Least and median wall time and least CPU time as text, all times `scale`."""
        numbers = (min(self.wall), statistics.median(self.wall), min(self.cpu))
        return [seconds(scale * number) for number in numbers]


HEADS = ["wall, min", "wall, median", "CPU, min"]  # of Times.cells


def interleaved(
    runs: Mapping[str, Callable[[], Any]], repeats: int
) -> tuple[dict[str, Times], dict[str, Any]]:
    """Run all contenders in turn, `repeats` times; return times and last results by name.

    In turn, so that a change of the machine's load meets all of them.
    """
    times = {name: Times() for name in runs}
    results: dict[str, Any] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            results[name] = run()
            times[name].wall.append(time.perf_counter() - wall)
            times[name].cpu.append(time.process_time() - cpu)
    return times, results


def seconds(value: float) -> str:
    """A duration with its unit, three digits."""
    if value >= 1000:
        return f"{value / 60:.3g} min"
    unit, size = next((u for u in UNITS if value >= u[1]), UNITS[-1])
    return f"{value / size:.3g} {unit}"


class Report:
    """Tables of one benchmark with date, hardware, versions and load; the book shows them."""

    def __init__(self, title: str, what: str) -> None:
        self.record: dict[str, Any] = {
            "title": title,
            "what": what,
            "date": datetime.now(UTC).date().isoformat(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "threads": os.environ.get("OMP_NUM_THREADS", "all"),
            "versions": {"python": platform.python_version()}
            | {name: version for name in PACKAGES if (version := _version(name))},
            "load before": os.getloadavg()[0],
            "tables": [],
            "figures": [],
        }

    def table(self, caption: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table, and print it."""
        cells = [[str(cell) for cell in row] for row in rows]
        self.record["tables"].append({"caption": caption, "columns": list(columns), "rows": cells})
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        print(f"\n{caption}")
        for row in (columns, *cells):
            line = "  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True))
            print(f"  {line}".rstrip())

    def figure(self, file: str, caption: str, alt: str) -> None:
        """Add a figure that lies beside the results."""
        self.record["figures"].append({"file": file, "caption": caption, "alt": alt})

    def write(self, name: str) -> None:
        """Write results/NAME.json."""
        self.record["load after"] = os.getloadavg()[0]
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.json"
        write_atomic(path, json.dumps(self.record, indent=1, ensure_ascii=False) + "\n")
        print(f"\nwritten: {path.name}")


def _version(package: str) -> str:
    """Version of a package, empty where it is not installed: the peers need not be."""
    try:
        return metadata.version(package).partition("+")[0]
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
