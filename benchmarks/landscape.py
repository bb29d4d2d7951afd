"""The certified global minimum at many weight decays, timed against two ways to do without it.

    OMP_NUM_THREADS=1 python benchmarks/landscape.py            # minutes; results/landscape.json
    OMP_NUM_THREADS=1 python benchmarks/landscape.py --quick    # seconds; prints only

Peers, for each weight decay on its own:
  brackets  scipy.optimize.minimize_scalar on Eq. 6 in eight brackets of B and the origin
  grid      Eq. 6 on 10^4 values of B, vectorised in blocks that stay in the cache

The peers are timed on a subsample of the weight decays, evenly spread, and scaled up. What counts
is the whole time, from the moments to the losses, for all weight decays; the package also returns
B, the slope and a certified bound on the error, which the peers cannot. Errors are measured
against the certified value. On a busy machine the ratio of CPU times is the steadier one.
"""

import argparse
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from report import HEADS, Report, interleaved, seconds
from scipy.optimize import minimize_scalar

import phase_utils as pu

Array = NDArray[np.float64]
GRID, BRACKETS, DEPTH = 10_000, 8, 2
GRID_BLOCK = 200_000  # elements of (values of B x modes)


def moments(d: int) -> pu.Moments:
    """Two groups of modes four decades apart, learned one after the other; ten per cent noise."""
    values = np.concatenate([np.linspace(0.5, 1, d - d // 2), np.linspace(0.5e-4, 1e-4, d // 2)])
    power = np.random.default_rng(d).chisquare(3, d)
    power[values > 0.1] *= 0.2 / power[values > 0.1].sum()
    power[values < 0.1] *= 0.001 / power[values < 0.1].sum()
    return pu.Moments.from_spectrum(values, np.sqrt(power), 1.1 * float(np.sum(power / values)))


def decays(m: pu.Moments, depth: float, n: int) -> Array:
    """Weight decays over two decades, up to twice the last transition."""
    top = 2 * pu.Landscape(m, depth).transitions()[-1].gamma
    return np.geomspace(0.01 * top, top, n)


def largest_B(m: pu.Moments, depth: int) -> float:
    """B of the best linear predictor, above which no minimum lies."""
    return float(np.linalg.norm(m.signals / m.eigenvalues) ** (1 / (depth + 1)))


def certified(m: pu.Moments, gamma: Array, depth: float = DEPTH) -> pu.GlobalMinimum:
    """The package, from the moments to the certified minima."""
    return pu.Landscape(m, depth).global_minimum(gamma)


def brackets(m: pu.Moments, gamma: Array, depth: int = DEPTH) -> Array:
    """Eq. 6 minimised by scipy in each of the brackets, (n,)."""
    a, power = m.eigenvalues, m.signals**2
    edges = np.geomspace(1e-3, 1, BRACKETS + 1) * largest_B(m, depth)
    found = np.empty(len(gamma))
    for i, g in enumerate(gamma.tolist()):

        def loss(B: float, g: float = g) -> float:
            u = B * B
            return float(m.Eyy - power @ (1 / (a + g / u**depth)) + g * depth * u)

        least = [
            minimize_scalar(loss, bounds=(low, high), method="bounded").fun
            for low, high in pairwise(edges.tolist())
        ]
        found[i] = min(m.Eyy, *least)
    return found


def grid(m: pu.Moments, gamma: Array, depth: int = DEPTH) -> Array:
    """The least value of Eq. 6 on the grid, (n,)."""
    a, power = m.eigenvalues, m.signals**2
    u = (np.linspace(0, 1, GRID + 1)[1:] * largest_B(m, depth)) ** 2
    found = np.full(len(gamma), m.Eyy)
    rows = max(1, GRID_BLOCK // len(a))
    for start in range(0, GRID, rows):
        part = u[start : start + rows]
        stiff = part[:, None] ** depth * a
        room = np.empty_like(stiff)
        for i, g in enumerate(gamma.tolist()):
            np.add(stiff, g, out=room)
            np.reciprocal(room, out=room)
            taken = part**depth * (room @ power)
            found[i] = min(found[i], float((m.Eyy - taken + g * depth * part).min()))
    return found


def compare(report: Report, d: int, n: int, repeats: int, samples: dict[str, int]) -> None:
    """All three at `n` weight decays for `d` inputs."""
    m = moments(d)
    gamma = decays(m, DEPTH, n)
    index = {name: np.linspace(0, n - 1, count).astype(int) for name, count in samples.items()}
    peers = {"brackets": brackets, "grid": grid}
    runs = {"certified": lambda: certified(m, gamma)}
    runs |= {name: lambda name=name: peers[name](m, gamma[index[name]]) for name in samples}
    times, results = interleaved(runs, repeats)
    ours = results.pop("certified")
    gap = f"certified, {ours.gap.max() / m.Eyy:.1e}"
    rows = [["phase_utils", *times["certified"].cells(), "1", "1", gap]]
    for name, loss in results.items():
        scale = n / len(index[name])
        error = ((loss - ours.loss[index[name]]) / m.Eyy).max()
        wall = scale * min(times[name].wall) / min(times["certified"].wall)
        cpu = scale * min(times[name].cpu) / min(times["certified"].cpu)
        label = f"{name} (from {len(index[name])} decays)"
        rows.append([label, *times[name].cells(scale), f"{wall:.0f}", f"{cpu:.0f}", f"{error:.1e}"])
    report.table(
        f"{n:,} weight decays, d = {d}, D = {DEPTH}",
        ["method", *HEADS, "ratio, wall", "ratio, CPU", "error / E[y^2]"],
        rows,
    )


def scaling(report: Report, name: str, values: list[int], repeats: int, **fixed: int) -> None:
    """Cost of the certified minimum against one of gammas, d and depth."""
    rows = []
    for value in values:
        case = {**fixed, name: value}
        m = moments(case["d"])
        gamma = decays(m, case["depth"], case["gammas"])
        runs = {
            "once": lambda m=m, D=case["depth"]: pu.Landscape(m, D),
            "all": lambda m=m, g=gamma, D=case["depth"]: certified(m, g, D),
        }
        times, _ = interleaved(runs, repeats)
        rows.append([f"{value:,}", *times["all"].cells(), seconds(min(times["once"].wall))])
    what = ", ".join(f"{k} = {v:,}" for k, v in fixed.items())
    report.table(f"Growth with {name} ({what})", [name, *HEADS, "of it once"], rows)


def main() -> None:
    """Print the tables, and write them where the run is a full one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    quick = parser.parse_args().quick
    n, repeats = (2000, 1) if quick else (100_000, 7)
    samples = {"brackets": 5, "grid": 2} if quick else {"brackets": 100, "grid": 20}
    report = Report(
        "The certified global minimum",
        "From the moments to the least loss at every weight decay. The peers minimise Eq. 6 at "
        "each decay on its own: `brackets` with `scipy.optimize.minimize_scalar` in eight "
        "brackets of $B$, `grid` on 10,000 values of $B$, vectorised. They are timed on a "
        "subsample, evenly spread, and scaled up. The package also returns $B$, the slope, and a "
        "bound on its error; the errors of the peers are measured against it.",
    )
    for d in (10, 784):
        compare(report, d, n, repeats, samples)
    scaling(report, "gammas", [1, 100, n // 10, n], repeats, d=784, depth=DEPTH)
    scaling(report, "d", [10, 100, 784] + [10_000] * (not quick), repeats, depth=2, gammas=n)
    scaling(report, "depth", [1, 2, 5, 100, 10_000], repeats, d=784, gammas=n)
    if not quick:
        report.write("landscape")


if __name__ == "__main__":
    main()
