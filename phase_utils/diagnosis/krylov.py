"""Lanczos iteration that never restarts: lowest eigenvalue, projections, inverses."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from phase_utils._check import Array

SAME = 1e-6  # Ritz values closer than this, in units of the largest, are one eigenvalue
BREAKDOWN = 1e-10  # of the largest Ritz value: the Krylov space is invariant
STEPS = 120
Operator = Callable[[Tensor], Tensor]
# of the Ritz values (k,) and vectors (k, k): coefficients of what is wanted in the basis (k,)
Wanted = Callable[[Array, Array], Array]


def lowest(
    apply: Operator, start: Tensor, *, tolerance: float = 1e-8
) -> tuple[float, Tensor, float]:
    """Lowest eigenvalue with a component on `start` (P,), its unit vector, bound of its error."""
    value, mode, residual = _lanczos(apply, start, lambda _, vectors: vectors[:, 0], tolerance)
    return value, mode / mode.norm(), residual


def project(apply: Operator, start: Tensor, value: float, *, tolerance: float = 1e-10) -> Tensor:
    """Projection of `start` (P,) on the eigenspace of `value`, of any multiplicity."""

    def wanted(values: Array, vectors: Array) -> Array:
        return vectors @ (_near(values, value) * vectors[0])

    return _lanczos(apply, start, wanted, tolerance)[1]


def solve(apply: Operator, start: Tensor, value: float, *, tolerance: float = 1e-10) -> Tensor:
    """(H - value)^-1 times `start` (P,), off the eigenspace of `value`."""

    def wanted(values: Array, vectors: Array) -> Array:
        with np.errstate(divide="ignore"):
            weight = np.where(_near(values, value), 0.0, 1 / (values - value))
        return vectors @ (weight * vectors[0])

    return _lanczos(apply, start, wanted, tolerance)[1]


def _near(values: Array, value: float) -> Array:
    scale = max(np.abs(values).max(), abs(value))
    return np.asarray(np.abs(values - value) <= SAME * scale)


def _lanczos(
    apply: Operator, start: Tensor, wanted: Wanted, tolerance: float
) -> tuple[float, Tensor, float]:
    """Lowest Ritz value, what is `wanted`, and the residual of the lowest Ritz pair.

    Fully reorthogonalised. It stops once what is wanted is known to `tolerance`, and at breakdown,
    where the space is invariant: the start has components on these eigenvectors only, and
    restarting at random (as ARPACK does) would add foreign ones.
    """
    norm = float(start.norm())
    if norm == 0:
        raise ValueError("start must not be zero")
    basis = [start / norm]
    alpha: list[float] = []
    beta: list[float] = []
    while True:
        image = apply(basis[-1])
        alpha.append(float(image @ basis[-1]))
        for _ in range(2):  # twice is enough
            for q in basis:
                image = image - (q @ image) * q
        length = float(image.norm())
        values, vectors = np.linalg.eigh(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1))
        scale = max(np.abs(values).max(), max(beta, default=0.0))
        y = wanted(values, vectors)
        # H times the combination leaves the space by this much; none yet: the lowest must be known
        checked = y if np.any(y) else vectors[:, 0]
        beyond = length * abs(checked[-1])
        known = len(alpha) > 2 and beyond <= tolerance * scale * np.linalg.norm(checked)
        if known or length <= BREAKDOWN * scale or len(alpha) >= min(STEPS, len(start)):
            combined = start.new_zeros(len(start))
            for c, q in zip(y, basis, strict=True):
                combined += float(norm * c) * q
            return float(values[0]), combined, length * abs(float(vectors[-1, 0]))
        beta.append(length)
        basis.append(image / length)
