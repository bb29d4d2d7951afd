"""Data for the chapters: an exact teacher, two real data sets, or a user's own file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phase_utils._check import Array, integer
from phase_utils.moments import Moments

CHOICES = ("teacher", "diabetes", "digits")


@dataclass(frozen=True)
class Task:
    """A regression task with scalar labels.

    moments : exact second moments.  x, y : samples (n, d), (n,), or None for the teacher.
    """

    name: str
    moments: Moments
    x: Array | None
    y: Array | None
    description: str


def load(data: str, *, target: str = "", seed: int = 0) -> Task:
    """Return the task called `data`: "teacher", "diabetes", "digits", or a CSV or NPZ file.

    teacher : ten inputs with covariance eigenvalues between 1/2 and 2, |E[xy]| = 0.45 as in Fig. 1
        of the paper, and label noise of variance 0.05; its direction is drawn by `seed`.
    diabetes : scikit-learn's, 442 x 10, columns and label standardised.
    digits : scikit-learn's, 1797 x 64, pixels / 16, centred; y = +1 for odd and -1 for even digits.
    CSV, NPZ : `target` names the column (CSV with a header) or array (NPZ, beside "x") of labels;
        left empty it is the last column, or "y". Columns and label are standardised, constant
        columns dropped. Only numbers are read, never pickled objects.

    Raises
    ------
    ValueError
        For an unknown name, an unreadable file, a missing target, too little or non-numeric data.
    """
    if data == "teacher":
        return _teacher(integer("seed", seed, minimum=0))
    if data in ("diabetes", "digits"):
        return _sklearn(data)
    path = Path(data)
    if path.suffix.lower() not in (".csv", ".npz"):
        raise ValueError(f"data must be {', '.join(CHOICES)}, or a .csv or .npz file, got {data!r}")
    if not path.is_file():
        raise ValueError(f"data must be an existing file, got {data!r}")
    x, y, label = (_csv if path.suffix.lower() == ".csv" else _npz)(path, target)
    if len(y) < 2:
        raise ValueError(f"data must have at least 2 rows, got {len(y)} in {path.name}")
    varying = np.ptp(x, axis=0) > 0
    if not varying.any() or np.ptp(y) == 0:
        raise ValueError(f"data must have a label and an input that vary, got {path.name}")
    text = f"{path.name}, {len(y)} samples of {varying.sum()} inputs, label {label}, standardised"
    return _samples(path.stem, _standardised(x[:, varying]), _standardised(y), text)


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
        return _samples(name, _standardised(x), _standardised(y), text)
    x, digit = load_digits(return_X_y=True)
    x = x / 16 - (x / 16).mean(axis=0)
    text = "parity of handwritten digits, 1797 images of 8 x 8 pixels, centred"
    return _samples(name, x, np.where(digit % 2 == 1, 1.0, -1.0), text)


def _csv(path: Path, target: str) -> tuple[Array, Array, str]:
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
    label = target or header[-1]
    if label not in header:
        raise ValueError(f"target must be one of {', '.join(header)}, got {label!r}")
    column = header.index(label)
    return _finite(path, np.delete(table, column, axis=1)), _finite(path, table[:, column]), label


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


def _samples(name: str, x: Array, y: Array, text: str) -> Task:
    return Task(name, Moments.from_samples(x, y), x, y, text)
