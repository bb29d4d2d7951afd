"""The data that are built in: a linear teacher, and two sets that scikit-learn brings."""

import numpy as np

from phase_utils._check import Array
from phase_utils.chapters.readers.standard import unit_deviations
from phase_utils.theory.moments import Moments


def teacher(seed: int) -> tuple[Moments, str]:
    """Exact moments of ten inputs whose labels are linear in them, and what they are in words."""
    rng = np.random.default_rng(seed)
    eigenvalues = np.geomspace(0.5, 2.0, 10)
    signals = rng.normal(size=10) * eigenvalues
    signals *= 0.45 / np.linalg.norm(signals)
    rotation, _ = np.linalg.qr(rng.normal(size=(10, 10)))
    explained = float(np.sum(signals**2 / eigenvalues))
    A0 = (rotation * eigenvalues) @ rotation.T
    moments = Moments((A0 + A0.T) / 2, rotation @ signals, explained + 0.05)
    text = "a linear teacher with ten anisotropic Gaussian inputs and label noise, |E[xy]| = 0.45"
    return moments, text


def bundled(name: str) -> tuple[Array, Array, str]:
    """Samples x and y that scikit-learn brings, and what they are in words."""
    from sklearn.datasets import load_diabetes, load_digits

    if name == "diabetes":
        x, y = map(unit_deviations, load_diabetes(return_X_y=True, scaled=False))
        text = "diabetes progression, 442 patients, 10 standardised measurements"
    else:
        pixels, digit = load_digits(return_X_y=True)
        x = pixels / 16 - (pixels / 16).mean(axis=0)
        y = np.where(digit % 2 == 1, 1.0, -1.0)
        text = "parity of handwritten digits, 1797 images of 8 x 8 pixels, centred"
    return x, y, text
