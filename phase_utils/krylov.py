"""Lanczos iteration that stops at breakdown: lowest eigenvalue, projections, inverses."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import Array

SAME = 1e-6  # Ritz values closer than this, in units of the largest, are one eigenvalue


@dataclass(frozen=True)
class Krylov:
    """The Krylov space of a symmetric operator and a start vector.

    basis : (k, P) orthonormal rows.  values : (k,) Ritz values, ascending.
    vectors : (k, k), columns.  norm : of the start.  residual : (k,) error bounds of the values.
    """

    basis: Tensor
    values: Array
    vectors: Array
    norm: float
    residual: Array

    def lowest(self) -> tuple[float, Tensor]:
        """Lowest Ritz value and its unit Ritz vector (P,)."""
        return float(self.values[0]), self._combined(self.vectors[:, 0])

    def projected(self, value: float) -> Tensor:
        """Projection of the start vector on the eigenspace of `value`, of any multiplicity."""
        return self._combined(self.norm * self.vectors @ (self._near(value) * self.vectors[0]))

    def inverted(self, value: float) -> Tensor:
        """(H - value)^-1 times the start vector, off the eigenspace of `value`."""
        with np.errstate(divide="ignore"):
            weight = np.where(self._near(value), 0.0, 1 / (self.values - value))
        return self._combined(self.norm * self.vectors @ (weight * self.vectors[0]))

    def _near(self, value: float) -> Array:
        scale = max(np.abs(self.values).max(), abs(value))
        return np.asarray(np.abs(self.values - value) <= SAME * scale)

    def _combined(self, coefficients: Array) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(coefficients)).to(self.basis) @ self.basis


def lanczos(
    apply: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    steps: int = 120,
    tolerance: float = 1e-8,
    until: str = "breakdown",
) -> Krylov:
    """Krylov space of `start` (P,), fully reorthogonalised.

    It stops at breakdown, where the space is invariant: the start vector then has components on
    these eigenvectors only, and restarting at random (as ARPACK does) would add foreign ones. With
    until="lowest" it stops once the lowest value is known to `tolerance` of the largest.
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
        matrix = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
        values, vectors = np.linalg.eigh(matrix)
        scale = max(np.abs(values).max(), max(beta, default=0.0))
        residual = length * np.abs(vectors[-1])
        known = until == "lowest" and len(alpha) > 2 and residual[0] <= tolerance * scale
        if length <= 1e-10 * scale or known or len(alpha) >= min(steps, len(start)):
            return Krylov(torch.stack(basis), values, vectors, norm, residual)
        beta.append(length)
        basis.append(image / length)
