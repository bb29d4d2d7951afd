"""Runs that are killed at random moments and started again, until enough kills are survived.

    python tests/kills.py sweep|training FOLDER KILLS SEED

prints the kills and the runs that ended with the bits of one that nobody killed. Each run is a fork
of this process, so that kills meet the work and not its imports.
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

# some of these are imported before the forks, which would import them when they are first used
import dask.array  # noqa: F401
import filelock  # noqa: F401
import torch._dynamo
import xarray
import zarr  # noqa: F401
from torch import nn

import phase_utils as pu
from phase_utils.chapters.minibatches import train_minibatches
from phase_utils.sweeps import sweep as sweeps

CHUNKS = 40


class Sweep:
    """A sweep of 40 chunks in a store; a log has a line for every chunk that is trained."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sweeps.BATCH_BYTES["cpu"] = 1
        self.train = sweeps.train

    def run(self, name: str) -> None:
        """Begin the run, or go on with it."""

        def logged(problem, init, gamma, settings, seeds):
            with (self.folder / f"{name}.log").open("a") as file:
                file.write(f"{problem.depth} {float(gamma[0])!r} {init[0].sum().item()!r}\n")
            return self.train(problem, init, gamma, settings, seeds)

        sweeps.train = logged
        pu.sweep(
            pu.Moments.isotropic(3),
            gamma=[0.05 * k for k in range(1, 11)],
            depth=[0, 2],
            width=3,
            seed=[0, 1],
            init_scale=[0.1],
            settings=pu.Settings(max_steps=40),
            device="cpu",
            store=self.folder / f"{name}.zarr",
        )

    def check(self, name: str, kills: int) -> None:
        """Compare with the run called whole."""
        stores = [self.folder / f"{n}.zarr" for n in (name, "whole")]
        found, wanted = (xarray.load_dataset(store, engine="zarr") for store in stores)
        assert found.identical(wanted)
        every, trained = (
            (self.folder / f"{n}.log").read_text().splitlines() for n in ("whole", name)
        )
        # each kill costs one chunk at most
        assert len(set(every)) == len(every) == CHUNKS
        assert set(trained) == set(every)
        assert len(trained) <= CHUNKS + kills
        # nothing is left behind
        assert files(stores[0]) == files(stores[1])


class Training:
    """A training of 40 epochs with a checkpoint; its state afterwards is left in a file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, name: str) -> None:
        """Begin the run, or go on with it."""
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 32), nn.Dropout(0.2), nn.ReLU(), nn.Linear(32, 1))
        x = torch.randn(100, 6)
        found = train_minibatches(
            model,
            nn.functional.mse_loss,
            (x, x[:, :1]),
            epochs=40,
            batch_size=10,
            optimiser="adam",
            checkpoint=self.folder / name / "x.pt",
        )
        torch.save((found.data_loss, model.state_dict()), self.folder / f"{name}.end")

    def check(self, name: str, kills: int) -> None:  # noqa: ARG002
        """Compare with the run called whole."""
        paths = [self.folder / f"{n}.end" for n in (name, "whole")]
        found, wanted = (torch.load(path, weights_only=False) for path in paths)
        assert found[0].tolist() == wanted[0].tolist()
        assert all(torch.equal(found[1][k], v) for k, v in wanted[1].items())
        assert [p.name for p in (self.folder / name).iterdir()] == ["x.pt"]


def files(path: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def start(work: Callable[[str], None], name: str) -> int:
    """Run in a fork; its id."""
    child = os.fork()
    if child == 0:
        try:
            work(name)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    return child


def ended(child: int) -> bool:
    """Wait for a run; False where it was killed."""
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def main(kind: str, folder: Path, kills: int, seed: int) -> None:
    """Kill until there are enough kills; what is printed counts kills and runs."""
    torch.set_num_threads(1)
    work = {"sweep": Sweep, "training": Training}[kind](folder)
    begun = time.monotonic()
    assert ended(start(work.run, "whole"))
    whole = time.monotonic() - begun
    rng, done, runs = random.Random(seed), 0, 0
    while done < kills:
        name, own = f"killed{runs}", 0
        while True:
            child = start(work.run, name)
            if killed := done + own < kills:
                time.sleep(rng.uniform(0, whole / 2))  # also before there is anything
                os.kill(child, signal.SIGKILL)
            if ended(child):
                break
            assert killed, "something else has killed it: was there too little memory?"
            own += 1
        work.check(name, own)
        done, runs = done + own, runs + 1
    print(done, runs)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
