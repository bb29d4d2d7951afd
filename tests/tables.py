"""Files of data as users have them, one of each kind that a chapter may meet."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_iris, load_wine

# Brownlee (1965), Statistical Theory and Methodology in Science and Engineering, p. 454: ammonia
# lost in 21 days of a plant, with the flow of air, the temperature of water and the acid in it
STACK_LOSS = """
42 80 27 89  37 80 27 88  37 75 25 90  28 62 24 87  18 62 22 87  18 62 23 87  19 62 24 93
20 62 24 93  15 58 23 87  14 58 18 80  14 58 18 89  13 58 17 88  11 58 18 82  12 58 19 93
8 50 18 89  7 50 18 86  8 50 19 72  8 50 19 79  9 50 20 80  15 56 20 82  15 70 20 91
"""


def measurements(rng):
    """Correlated inputs in different units, a noisy label."""
    x = rng.normal(size=(120, 4)) @ rng.normal(size=(4, 4)) * [1, 10, 0.1, 3] + [5, 0, 1, 100]
    return x, x @ [0.4, -0.02, 1.5, 0.1] + rng.normal(size=120)


def one(rng):
    """One input, in ascending order, and a label with a long tail."""
    x = np.sort(rng.lognormal(6.5, 0.5, size=235))
    return x[:, None], 80 + 0.5 * x * rng.lognormal(0, 0.2, size=235)


def silent(rng):
    """A label that is orthogonal to all inputs, so that E[xy] is rounding."""
    x = rng.normal(size=(200, 5))
    x -= x.mean(axis=0)
    y = rng.normal(size=200)
    return x, y - y.mean() - x @ np.linalg.lstsq(x, y, rcond=None)[0]


def spread(_):
    """Thirty inputs whose eigenvalues span five decades; benign or malignant."""
    return load_breast_cancer(return_X_y=True)


def tiny(_):
    """Twenty-one rows."""
    rows = np.array(STACK_LOSS.split(), dtype=float).reshape(-1, 4)
    return rows[:, 1:], rows[:, 0]


def classes(_):
    """Three classes, ordered, one after the other."""
    return load_wine(return_X_y=True)


def short(rng):
    """More inputs than rows: the label is in their span."""
    return rng.normal(size=(12, 20)), rng.normal(size=12)


def exact(rng):
    """A label without noise."""
    x = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4))
    return x, x @ [1, -2, 0.5, 0.3]


def collinear(rng):
    """Inputs that agree to five digits, and one that is another plus a constant."""
    x = rng.normal(size=(90, 1)) + rng.normal(size=(90, 6)) * np.geomspace(1e-5, 1, 6)
    return np.column_stack([x, x[:, 5] + 1950]), x[:, 0] + x[:, 3] + rng.normal(size=90)


def rare(rng):
    """A yes-or-no input and a yes-or-no label, both rare."""
    x = np.arange(50) % 10 == 0
    y = np.where(x, np.arange(50) % 20 == 0, rng.random(50) < 0.1)
    return x[:, None].astype(float), y.astype(float)


def flowers(_):
    """Four inputs and three classes."""
    return load_iris(return_X_y=True)


KINDS = {
    make.__name__: make
    for make in (
        measurements,
        one,
        silent,
        spread,
        tiny,
        classes,
        short,
        exact,
        collinear,
        rare,
        flowers,
    )
}


def write(path, kind, seed=7):
    """Write the kind as a CSV file with the label, y, in its first column."""
    x, y = KINDS[kind](np.random.default_rng(seed))
    header = ",".join(["y", *(f"x{i}" for i in range(x.shape[1]))])
    rows = np.column_stack([y, x])
    np.savetxt(path, rows, delimiter=",", header=header, comments="", fmt="%.17g")
    return path
