"""What a chunk of a sweep costs besides its training: in a store, and on Dask.

    OMP_NUM_THREADS=1 python benchmarks/store.py            # minutes; results/store.json
    OMP_NUM_THREADS=1 python benchmarks/store.py --quick    # seconds; prints only

Chunks whose training takes no time are run here, run here and stored, read back from a store that
is done, and run by the two worker processes of a local Dask cluster. The cost of one chunk is the
slope between a sweep of few and one of many chunks. CPU times are those of this process, without
the workers. For scale, a chunk of full size is trained.
"""

import argparse
import shutil
import statistics
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import torch
from report import HEADS, Report, interleaved, seconds

import phase_utils as pu
from phase_utils.sweeps import chunks
from phase_utils.sweeps.labels import labelled
from phase_utils.sweeps.store import Store
from phase_utils.sweeps.sweep import run

ROWS = (1, 1000)  # networks of a chunk
DEPTH, WIDTH = 2, 32


def filled(_work: None, chunk: chunks.Chunk) -> chunks.Values:
    """The fields of a chunk, which take no time."""
    return {
        name: np.full(chunk.shape, "converged" if dtype.kind == "U" else 1, dtype)
        for name, dtype in chunks.FIELDS.items()
    }


def refused(_work: None, chunk: chunks.Chunk) -> chunks.Values:
    """In the place of `filled` where all is read back."""
    raise RuntimeError(f"chunk {chunk.index} should have been in the store")


def swept(
    count: int, rows: int, *, path: Path | None = None, new: bool = True, client: Any = None
) -> chunks.Values:
    """A sweep of `count` chunks of `rows` networks; in a store where there is a path."""
    plan = chunks.cut((1, count, 1, rows), [rows])
    store = None
    if path is not None:
        if new:
            shutil.rmtree(path, ignore_errors=True)
        axes = dict(
            zip(("depth", "gamma", "init_scale", "seed"), map(np.arange, plan.shape), strict=True)
        )
        store = Store(path, labelled(chunks.untrained(plan.shape), axes, {}), plan)
    with store or nullcontext() as disk:
        return run(
            plan, filled if new else refused, None, store=disk, client=client, progress=False
        )


def cost(report: Report, rows: int, counts: tuple[int, int], repeats: int, client: Any) -> None:
    """Cost of a chunk of `rows` networks."""
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[], Any]] = {}
        for n in counts:
            path = Path(folder) / f"{n}.zarr"
            runs |= {
                f"here {n}": partial(swept, n, rows),
                f"here and stored {n}": partial(swept, n, rows, path=path),
                f"read back {n}": partial(swept, n, rows, path=path, new=False),
                f"Dask {n}": partial(swept, n, rows, client=client),
            }
        for first in runs.values():  # imports and first calls
            first()
        times, _ = interleaved(runs, repeats)
    table = []
    few, many = counts
    for name in dict.fromkeys(key.rpartition(" ")[0] for key in runs):
        short, long = times[f"{name} {few}"], times[f"{name} {many}"]
        slopes = [(b - a) / (many - few) for a, b in zip(short.wall, long.wall, strict=True)]
        least, cpu = (
            (min(b) - min(a)) / (many - few)
            for a, b in ((short.wall, long.wall), (short.cpu, long.cpu))
        )
        table.append([name, *map(seconds, (least, statistics.median(slopes), cpu))])
    report.table(
        f"A chunk of {rows:,} network{'s' * (rows > 1)}",
        ["way", *HEADS],
        table,
    )


def full_chunk(report: Report, repeats: int) -> None:
    """Training of a chunk of full size, for scale."""
    moments = pu.data.load("diabetes").moments
    gamma = moments.signal * np.linspace(0.02, 0.6, 8)
    run = partial(pu.sweep, moments, gamma=gamma, depth=DEPTH, width=WIDTH, device="cpu")
    networks = int(run()["loss"].size)
    times, results = interleaved({"sweep": run}, repeats)
    report.table(
        "For scale: training of a chunk",
        ["networks", "wall, min", "wall, median", "CPU, min", "chunks"],
        [[networks, *times["sweep"].cells(), results["sweep"].attrs["chunks"]]],
    )


def main() -> None:
    """Print the tables, and write them where the run is a full one."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few repeats, nothing is written")
    quick = parser.parse_args().quick
    counts, repeats = ((5, 25), 1) if quick else ((20, 220), 7)
    torch.set_num_threads(1)
    report = Report(
        "Stores and Dask",
        "What a chunk of a sweep costs besides its training, which is replaced by one that takes "
        "no time: run here, run here and stored (checksums and one synchronised record a chunk), "
        "read back with its checksums verified from a store that is done, and run on the two "
        "worker processes of a local Dask cluster. The cost of a chunk is the slope between sweeps "
        f"of {counts[0]} and {counts[1]} chunks. "
        "CPU times are those of the calling process, without the workers.",
    )
    with (
        distributed.LocalCluster(
            n_workers=2, processes=True, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        for rows in ROWS:
            cost(report, rows, counts, repeats, client)
    full_chunk(report, repeats)
    if not quick:
        report.write("store")


if __name__ == "__main__":
    main()
