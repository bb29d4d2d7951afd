"""Data for the chapters: an exact teacher, two real data sets, or a user's own file."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from phase_utils._check import Array, integer
from phase_utils.chapters.parameters import DATA_SUFFIXES, suggestion
from phase_utils.theory.moments import Moments

CHOICES = ("teacher", "diabetes", "digits")


@dataclass(frozen=True)
class Task:
    """A regression task with scalar labels.

    Parameters
    ----------
    name : "teacher", "diabetes", "digits", or the name of the file with its suffix.
    moments : exact second moments.
    x, y : samples (n, d), (n,), or None for the teacher.
    description : one sentence: where the data come from, and what was done to them.
    label : the name of the label in the file, empty for data that are built in.
    """

    name: str
    moments: Moments
    x: Array | None
    y: Array | None
    description: str
    label: str = ""


def load(
    data: str,
    *,
    target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int = 0,
) -> Task:
    """Return the task called `data`: "teacher", "diabetes", "digits", or a CSV or NPZ file.

    Parameters
    ----------
    data : teacher, ten inputs with covariance eigenvalues between 1/2 and 2, |E[xy]| = 0.45 as in
        Fig. 1 of the paper, and label noise of variance 0.05; its direction is drawn by `seed`.
        diabetes, scikit-learn's, 442 x 10, columns and label standardised.
        digits, scikit-learn's, 1797 x 64, pixels / 16, centred; y = +1 for odd, -1 for even digits.
        A path of a .csv or .npz file. Columns and label are standardised, constant columns
        dropped. Only numbers are read, never pickled objects.
    target : the column (CSV with a header) or array (NPZ, beside "x") of labels; left empty it is
        the last column, or "y".
    inputs : the columns of a CSV file that are inputs; empty: all but the label.
    drop : columns of a CSV file that are neither.
    seed : an integer >= 0, for the teacher alone.

    Raises
    ------
    ValueError
        For an unknown name, an unreadable file, a missing target, too little or non-numeric data,
        and for `target`, `inputs` or `drop` beside data that are built in.
    """
    samples = _read(data, target, inputs, drop)
    if samples is None:
        return _teacher(integer("seed", seed, minimum=0)) if data == "teacher" else _sklearn(data)
    return samples.task()


def pair(
    data: str,
    compare: str = "none",
    *,
    target: str = "",
    compare_target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Task]:
    """Return the tasks of `data` and of `compare`, in this order, by their names.

    Parameters
    ----------
    data, compare : what `load` takes; `compare` may be "none".
    target, compare_target : the labels in the file `data`, and in the file `compare`.
    inputs, drop : columns of the file `data`, and of `compare` where that is the same file.
    seed : draws the teacher.

    Returns
    -------
    dict of str to Task
        One entry where `compare` is "none" or the same data: the same name, or the same file
        with the same label or none given. Else two, whose names always differ: two files of one
        name are told apart by their folders, two labels of one file by the label. The `name` of
        each task is its key.

    Raises
    ------
    ValueError
        As `load`; what is wrong with `compare` begins with "compare: ".
    """
    first = load(data, target=target, inputs=inputs, drop=drop, seed=seed)
    same = _same(data, compare)
    _check_compare(compare, compare_target)
    if compare == "none" or (same and compare_target in ("", first.label)):
        return {first.name: first}
    try:
        chosen = {"inputs": inputs, "drop": drop} if same else {}
        second = load(compare, target=compare_target, seed=seed, **chosen)
    except ValueError as error:
        raise ValueError(f"compare: {error}") from None
    tasks = (first, second)
    names = [task.name for task in tasks]
    if same:
        names = [f"{task.name} ({task.label})" for task in tasks]
    elif first.name == second.name:
        names = _told_apart(Path(data), Path(compare))
    return {name: _renamed(task, name) for name, task in zip(names, tasks, strict=True)}


def check(
    data: str,
    compare: str = "none",
    *,
    target: str = "",
    compare_target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    also: Sequence[str] = (),
) -> None:
    """Raise the ValueError that `pair` would raise; files are read, nothing else is loaded.

    `also` names further data that are built in, those of `phase_utils.images` for instance.
    """
    known = (*CHOICES, *also)
    samples = _read(data, target, inputs, drop, known)
    same = _same(data, compare, known)
    _check_compare(compare, compare_target, known)
    if compare == "none" or (same and (samples is None or compare_target in ("", samples.label))):
        return
    try:
        _read(compare, compare_target, *((inputs, drop) if same else ((), ())), known)
    except ValueError as error:
        raise ValueError(f"compare: {error}") from None


def _renamed(task: Task, name: str) -> Task:
    described = task.description.replace(task.name, name, 1) if task.label else task.description
    return replace(task, name=name, description=described)


def _check_compare(compare: str, compare_target: str, known: tuple[str, ...] = CHOICES) -> None:
    if compare_target and compare in ("none", *known):
        raise ValueError(
            f"compare_target names the label in a file, but compare is {compare!r}, "
            f"got {compare_target!r}"
        )


def _same(data: str, compare: str, known: tuple[str, ...] = CHOICES) -> bool:
    """Whether both name the same data, however a path is written."""
    if data in known or compare in ("none", *known):
        return data == compare
    one, other = Path(data).expanduser(), Path(compare).expanduser()
    return one.is_file() and other.is_file() and one.samefile(other)


def _told_apart(one: Path, other: Path) -> list[str]:
    """The ends of two different paths, with as many folders as tell them apart."""
    parts = [path.expanduser().resolve().parts[1:] for path in (one, other)]
    names = [path[-1] for path in parts]
    for length in range(2, max(map(len, parts)) + 1):
        if names[0] == names[1]:
            names = ["/".join(path[-length:]) for path in parts]
    return names


@dataclass(frozen=True)
class _Samples:
    """Standardised samples of a file."""

    file: str
    x: Array
    y: Array
    label: str

    def task(self) -> Task:
        n, d = self.x.shape
        text = (
            f"{self.file}, {n} samples of {d} input{'s' * (d != 1)}, label {self.label}, "
            "standardised"
        )
        moments = Moments.from_samples(self.x, self.y)
        return Task(self.file, moments, self.x, self.y, text, self.label)


def _read(
    data: str,
    target: str,
    inputs: Sequence[str],
    drop: Sequence[str],
    known: tuple[str, ...] = CHOICES,
) -> _Samples | None:
    """The samples of a file; None for the `known` names of data that are built in."""
    if data in known:
        for name, value in (("target", target), ("inputs", inputs), ("drop", drop)):
            if value:
                raise ValueError(
                    f"{name} chooses from a file, but data is {data!r}, which is built in, "
                    f"got {value!r}"
                )
        return None
    if not data.lower().endswith(DATA_SUFFIXES):
        raise ValueError(
            f"data must be {', '.join(known)}, or a .csv or .npz file, got {data!r}"
            f"{suggestion(data, known)}"
        )
    path = Path(data).expanduser()
    if not path.is_file():
        raise ValueError(f"data must be an existing file, got {data!r}")
    if path.suffix.lower() == ".csv":
        x, y, label = _csv(path, target, inputs, drop)
    else:
        x, y, label = _npz(path, target)
    if len(y) < 2:
        raise ValueError(f"data must have at least 2 rows, got {len(y)} in {path.name}")
    varying = np.ptp(x, axis=0) > 0
    if not varying.any() or np.ptp(y) == 0:
        raise ValueError(f"data must have a label and an input that vary, got {path.name}")
    return _Samples(path.name, _standardised(x[:, varying]), _standardised(y), label)


def _teacher(seed: int) -> Task:
    rng = np.random.default_rng(seed)
    eigenvalues = np.geomspace(0.5, 2.0, 10)
    signals = rng.normal(size=10) * eigenvalues
    signals *= 0.45 / np.linalg.norm(signals)
    rotation, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    explained = float(np.sum(signals**2 / eigenvalues))
    A0 = (rotation * eigenvalues) @ rotation.T
    moments = Moments((A0 + A0.T) / 2, rotation @ signals, explained + 0.05)
    text = "a linear teacher with ten anisotropic Gaussian inputs and label noise, |E[xy]| = 0.45"
    return Task("teacher", moments, None, None, text)


def _sklearn(name: str) -> Task:
    from sklearn.datasets import load_diabetes, load_digits

    if name == "diabetes":
        x, y = load_diabetes(return_X_y=True, scaled=False)
        text = "diabetes progression, 442 patients, 10 standardised measurements"
        y = _standardised(y)
        x = _standardised(x)
        return Task(name, Moments.from_samples(x, y), x, y, text)
    x, digit = load_digits(return_X_y=True)
    x = x / 16 - (x / 16).mean(axis=0)
    text = "parity of handwritten digits, 1797 images of 8 x 8 pixels, centred"
    y = np.where(digit % 2 == 1, 1.0, -1.0)
    return Task(name, Moments.from_samples(x, y), x, y, text)


def _csv(
    path: Path, target: str, inputs: Sequence[str], drop: Sequence[str]
) -> tuple[Array, Array, str]:
    with path.open(encoding="utf-8-sig") as file:
        header = [name.strip().strip('"') for name in file.readline().split(",")]
        try:
            table = np.loadtxt(file, delimiter=",", ndmin=2)
        except ValueError as error:
            raise ValueError(f"data must be numeric, got {path.name}: {error}") from None
    if table.shape[1] != len(header) or len(header) < 2:
        raise ValueError(
            f"data must have a header and at least 2 columns, got {len(header)} names and "
            f"{table.shape[1]} columns in {path.name}"
        )
    label = target or [name for name in header if name not in drop][-1]
    for argument, names in (("target", [label]), ("inputs", inputs), ("drop", drop)):
        for name in names:
            if name not in header:
                raise ValueError(
                    f"{argument} must be one of {', '.join(header)}, got {name!r}"
                    f"{suggestion(name, header)}"
                )
    chosen = inputs or [name for name in header if name != label and name not in drop]
    x = table[:, [header.index(name) for name in chosen]]
    return _finite(path, x), _finite(path, table[:, header.index(label)]), label


def _npz(path: Path, target: str) -> tuple[Array, Array, str]:
    label = target or "y"
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise ValueError(
            f"data must be an .npz file of numbers, got {path.name}: {error}"
        ) from None
    for name in ("x", label):
        if name not in found:
            raise ValueError(f"target must be an array beside x, got {label!r} in {sorted(found)}")
    x, y = _finite(path, found["x"]), _finite(path, found[label])
    if x.ndim != 2 or y.reshape(-1).shape != (len(x),):
        raise ValueError(f"x must be (n, d) and {label} (n,), got {x.shape} and {y.shape}")
    return x, y.reshape(-1), label


def _finite(path: Path, values: Any) -> Array:
    values = np.asarray(values)
    if values.dtype.kind not in "biuf" or not np.all(np.isfinite(values)):
        raise ValueError(f"data must be finite numbers, got others in {path.name}")
    return values.astype(np.float64)


def _standardised(values: Array) -> Array:
    return (values - values.mean(axis=0)) / values.std(axis=0)
