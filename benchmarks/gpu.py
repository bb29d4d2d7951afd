"""Training on a GPU: the tests of the devices, and the step rate of job 1 against JAX.

    python benchmarks/gpu.py --out FOLDER                    # minutes; FOLDER/gpu.json
    python benchmarks/gpu.py --out FOLDER --device cpu --small   # seconds, to try the script
    python benchmarks/gpu.py --page FOLDER/gpu.json          # results/gpu.json, for the book

What fails is recorded with its traceback and does not stop the rest.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

# JAX would take most of the card's memory for itself
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from peers import jax_adam, vmap_adam  # noqa: E402
from report import RESULTS, seconds  # noqa: E402
from work import bytes_per_step, flops_per_step, job_one  # noqa: E402

import phase_utils as pu  # noqa: E402
from phase_utils.training import graphs  # noqa: E402

PACKAGES = ("torch", "jax", "optax", "numpy")
NEVER = 10**9
NAMES = {"plain": "engine", "graphs": "engine, CUDA graphs"}


def tests(device: str) -> dict[str, Any]:
    """The tests of the devices; on CUDA those alone, and a missing GPU fails."""
    mark = "gpu" if device == "cuda" else "not gpu"
    command = [sys.executable, "-m", "pytest", "-q", "-ra", "-o", "addopts=", "-m", mark]
    command += ["-o", "filterwarnings=default", "-p", "no:cacheprovider", "tests/test_devices.py"]
    environment = {**os.environ, "PHASE_BOOK_REQUIRE_GPU": "1" if device == "cuda" else ""}
    environment["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=150, check=False
    )
    return {"exit": done.returncode, "tail": (done.stdout + done.stderr)[-6000:]}


def timed(run: Callable[[int], Any], most: int, least: int, repeats: int) -> dict[str, float]:
    """Seconds per step, least and median, after first runs that compile; about a second each.

    A run captures its graphs anew, which is part of its time.
    """

    def one(steps: int) -> float:
        start = time.perf_counter()
        run(steps)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / steps

    one(least)
    steps = int(min(most, max(least, 1 / one(least))))
    one(steps)
    taken = [one(steps) for _ in range(repeats)]
    return {"min": min(taken), "median": statistics.median(taken), "steps": steps}


def engine(network: pu.LinearNetwork, init: Any, gamma: Any, patience: int) -> Callable[[int], Any]:
    """`pu.train` with Adam for a number of steps that no network cuts short."""

    def run(steps: int) -> pu.Result:
        settings = pu.Settings("adam", learning_rate=1e-3, max_steps=steps, tolerance=1e-30)
        kept = graphs.PATIENCE, graphs.LARGEST
        graphs.PATIENCE, graphs.LARGEST = patience, NEVER
        try:
            return pu.train(network, init, gamma, settings)
        finally:
            graphs.PATIENCE, graphs.LARGEST = kept

    return run


def limits(device: str, dtype: torch.dtype) -> dict[str, float]:
    """What the device does at best here: flop/s of small and of large products, bytes/s of a copy.

    The small products are those of the networks, batched 16 x 16.
    """
    n, side = (65536, 4096) if device == "cuda" else (1024, 512)
    small = torch.randn(n, 16, 16, dtype=dtype, device=device)
    large = torch.randn(side, side, dtype=dtype, device=device)
    long = torch.randn(n * 432, dtype=dtype, device=device)
    target = torch.empty_like(long)

    def best(run: Callable[[], Any], count: int = 10) -> float:
        return timed(lambda k: [run() for _ in range(k)], count, count, 5)["min"]

    return {
        "small products, flop/s": 2 * n * 16**3 / best(lambda: small @ small),
        "large product, flop/s": 2 * side**3 / best(lambda: large @ large),
        "copy, bytes/s": 2 * long.numel() * long.element_size() / best(lambda: target.copy_(long)),
    }


def rates(device: str, n: int, dtype: torch.dtype, small: bool) -> list[dict[str, Any]]:
    """Seconds per step of the engine, plain and with graphs, of JAX and of vmap."""
    network, init, gamma = job_one(n, device=device, dtype=dtype)
    arrays = [w.cpu().numpy() for w in init]
    most, least = (20, 20) if small else (5000, 200)
    kind = np.float64 if dtype == torch.float64 else np.float32
    contenders: dict[str, Callable[[], Callable[[int], Any]]] = {
        "plain": lambda: engine(network, init, gamma, NEVER),
        "graphs": lambda: engine(network, init, gamma, 0),
        "JAX": lambda: jax_adam(network, arrays, gamma, 1e-3, kind),
        "torch.func.vmap": lambda: vmap_adam(network, arrays, gamma, 1e-3, device, dtype),
    }
    rows = []
    for name, make in contenders.items():
        row: dict[str, Any] = {"method": name, "networks": n, "dtype": str(dtype)[6:]}
        try:
            torch.cuda.reset_peak_memory_stats() if device == "cuda" else None
            row |= timed(make(), most, least, 2 if small else 3)
            if device == "cuda" and name != "JAX":
                row["peak bytes"] = torch.cuda.max_memory_allocated()
            row["flop/s"] = n * flops_per_step(network) / row["min"]
            row["bytes/s"] = n * bytes_per_step(network, dtype.itemsize) / row["min"]
        except Exception:
            row["error"] = traceback.format_exc()[-2000:]
        rows.append(row)
        print(row, flush=True)
    return rows


def agreement(device: str) -> dict[str, float]:
    """Largest difference of the weights after 200 steps from JAX on the same device."""
    network, init, gamma = job_one(64, device=device)
    theirs = jax_adam(network, [w.cpu().numpy() for w in init], gamma, 1e-3)(200)
    found = {}
    for name, patience in (("plain", NEVER), ("graphs", 0)):
        ours = engine(network, init, gamma, patience)(200).weights
        found[name] = max(
            float(np.abs(np.asarray(a) - b.cpu().numpy()).max())
            for a, b in zip(theirs, ours, strict=True)
        )
    return found


def time_to_answer(device: str, small: bool) -> dict[str, Any]:
    """Seconds of the sweep of Fig. 1 with the default minimiser, plain and with graphs."""
    moments = pu.data.load("teacher", seed=0).moments
    gammas = moments.signal * np.linspace(0.04, 1.3, 4 if small else 64)
    plan = {"gamma": gammas, "depth": [0, 1, 2], "width": 32, "init_scale": [0.01, 0.3, 1.0]}
    found: dict[str, Any] = {}
    for name, patience in (("plain", NEVER), ("as it is", graphs.PATIENCE)):
        kept, graphs.PATIENCE = graphs.PATIENCE, patience
        try:
            done: list[Any] = []
            found[name] = timed(
                lambda _, done=done: done.append(
                    pu.sweep(moments, **plan, seed=range(4), device=device)
                ),
                1,
                1,
                2,
            )
            found["status"] = [
                np.unique(done[-1]["status"].values, return_counts=True)[k].tolist() for k in (0, 1)
            ]
        finally:
            graphs.PATIENCE = kept
    return found


def page(source: Path) -> None:
    """Write results/gpu.json, which the book shows, from what a run has measured."""
    record = json.loads(source.read_text())
    tables = []
    for dtype in ("float64", "float32"):
        limit = record[f"limits torch.{dtype}"]
        names = ("small products, flop/s", "large product, flop/s", "copy, bytes/s")
        small, large, copy = (limit[name] for name in names)
        rows = []
        for n in (1024, 65536):
            measured = record[f"rates {n} torch.{dtype}"]
            theirs = next(row["min"] for row in measured if row["method"] == "JAX")
            for row in measured:
                times = [seconds(row["min"]), seconds(row["median"])]
                shares = row["flop/s"] / small, row["flop/s"] / large, row["bytes/s"] / copy
                ratio = f"{row['min'] / theirs:.2f}"
                peak = f"{row['peak bytes'] / 2**20:.0f} MiB" if "peak bytes" in row else ""
                name = NAMES.get(row["method"], row["method"])
                rows.append([f"{n:,}", name, *times, ratio, *(f"{s:.1%}" for s in shares), peak])
        tables.append(
            {
                "caption": f"Job 1 on the GPU, {dtype}: time for one step of Adam of all networks; "
                f"limits measured in the same run: {small / 1e12:.2f} Tflop/s in batched products "
                f"16 x 16, {large / 1e12:.1f} Tflop/s in a large one, {copy / 1e12:.2f} TB/s in a "
                "copy",
                "columns": ["networks", "method", "min", "median", "to JAX", "of small products",
                            "of a large product", "of a copy", "peak memory"],
                "rows": rows,
            }
        )  # fmt: skip
    sweep = record["Fig. 1"]
    rows = [[name, seconds(t["min"])] for name, t in sweep.items() if name != "status"]
    counts = ", ".join(f"{n} {s}" for s, n in zip(*sweep["status"], strict=True))
    caption = f"Job 2 on the GPU: the sweep of Fig. 1 to a gradient of 1e-10 of the loss ({counts})"
    tables.append({"caption": caption, "columns": ["method", "min"], "rows": rows})
    shown = {
        "title": "Training on a GPU",
        "what": "The same networks and the same steps as in job 1, with and without CUDA graphs, "
        "against JAX and `torch.func.vmap` on the same card. Neither JAX nor torch may use TF32. "
        "The time of the engine with graphs contains their capture, in every run anew; JAX's "
        "compilation is not counted. Weights after 200 steps differ from JAX's by at most "
        f"{max(record['agreement with JAX'].values()):.0e}. The limits count the products of the "
        "gradient and one pass over the optimiser's state.",
        "date": record["date"],
        "processor": record["device"],
        "versions": record["versions"],
        "tables": tables,
    }
    text = json.dumps(shown, indent=1, ensure_ascii=False)
    (RESULTS / "gpu.json").write_text(text + "\n", encoding="utf-8")


def main() -> int:
    """Measure, print and store; the exit status is that of the tests."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="folder of gpu.json")
    what.add_argument("--page", type=Path, help="a gpu.json, to be shown in the book")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--small", action="store_true", help="few networks and steps")
    parser.add_argument("--budget", type=float, default=220, help="seconds; parts are left out")
    given = parser.parse_args()
    if given.page:
        page(given.page)
        return 0
    begun = time.perf_counter()
    given.out.mkdir(parents=True, exist_ok=True)
    record: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if given.device == "cuda" else "cpu",
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in PACKAGES},
        "rates": [],
    }

    def part(name: str, run: Callable[[], Any]) -> None:
        if time.perf_counter() - begun > given.budget:
            record[name] = {"left out": "no time"}
        else:
            try:
                record[name] = run()
            except Exception:
                record[name] = {"error": traceback.format_exc()[-3000:]}
        record["seconds"] = time.perf_counter() - begun
        print(name, record[name], f"[{record['seconds']:.0f} s]", flush=True)
        (given.out / "gpu.json").write_text(json.dumps(record, indent=1) + "\n")

    part("tests", lambda: tests(given.device))
    part("agreement with JAX", lambda: agreement(given.device))
    sizes = (64,) if given.small else (1024, 65536)
    for dtype in (torch.float64, torch.float32):
        part(f"limits {dtype}", lambda dtype=dtype: limits(given.device, dtype))
        for n in sizes:
            part(
                f"rates {n} {dtype}",
                lambda n=n, dtype=dtype: rates(given.device, n, dtype, given.small),
            )
    part("Fig. 1", lambda: time_to_answer(given.device, given.small))
    return int(record["tests"].get("exit", 1))


if __name__ == "__main__":
    sys.exit(main())
