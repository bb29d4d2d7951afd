"""The second moment E[x x^T] of the inputs: a matrix, or its diagonal alone, and its eigenbasis."""

from functools import cached_property
from math import ldexp
from typing import Self

import numpy as np
from numpy.typing import NDArray

from phase_utils._check import Array
from phase_utils.theory.units import EPS, exponent_of

LARGEST_MATRIX = 2**31  # bytes: beyond it no matrix is built from a spectrum


class SecondMoment:
    """A symmetric A0, of which the diagonal alone is kept where it is diagonal.

    Parameters
    ----------
    kept : (d, d) or (d,) array
        The matrix, or its diagonal; it is made read-only.

    Attributes
    ----------
    kept : array
        As given.

    Examples
    --------
    >>> SecondMoment(np.array([2.0, 1.0])).eigenvalues.tolist()
    [1.0, 2.0]
    """

    def __init__(self, kept: Array) -> None:
        kept.setflags(write=False)
        self.kept = kept

    @classmethod
    def of(cls, matrix: Array) -> Self:
        """That of a symmetric matrix.

        Parameters
        ----------
        matrix : (d, d) array
            Symmetric to the last bit.

        Returns
        -------
        SecondMoment
            With the diagonal alone where nothing else differs from zero.
        """
        diagonal = np.diag(matrix)
        if np.count_nonzero(matrix) == np.count_nonzero(diagonal):
            return cls(diagonal.copy())
        return cls(matrix)

    @classmethod
    def checked(cls, matrix: Array) -> Self:
        """That of a matrix which may not be symmetric.

        Parameters
        ----------
        matrix : array
            Of two axes.

        Returns
        -------
        SecondMoment
            Of its symmetric part.

        Raises
        ------
        ValueError
            Where it is not square, or not symmetric to rounding.
        """
        if matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"A0 must be square, got shape {matrix.shape}")
        exponent = exponent_of(matrix)
        matrix = np.ldexp(matrix, -exponent)
        asymmetry = float(np.abs(matrix - matrix.T).max())
        if asymmetry > 1e-12 * float(np.abs(matrix).max()):
            asymmetry = ldexp(asymmetry, exponent)
            raise ValueError(f"A0 must be symmetric, got entries that differ by {asymmetry:.3g}")
        return cls.of(np.ldexp((matrix + matrix.T) / 2, exponent))

    def __getstate__(self) -> dict[str, Array]:
        """What a copy needs; the rest is computed again."""
        return {"kept": self.kept}

    @property
    def d(self) -> int:
        """Number of inputs."""
        return len(self.kept)

    @cached_property
    def matrix(self) -> Array:
        """The matrix, (d, d), read-only; refused where it would take more than 2 GiB."""
        if self.kept.ndim == 2:
            return self.kept
        self._check_size("A0")
        matrix = np.diag(self.kept)
        matrix.setflags(write=False)
        return matrix

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        """Of a diagonal: the inputs by ascending eigenvalue."""
        return np.argsort(self.kept, kind="stable")

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        """Of what is not diagonal: eigenvalues and eigenvectors."""
        exponent = exponent_of(self.kept)
        values, vectors = np.linalg.eigh(np.ldexp(self.kept, -exponent))
        rounding = self.d * EPS * float(np.abs(values).max())
        return np.ldexp(np.where(np.abs(values) <= rounding, 0.0, values), exponent), vectors

    @cached_property
    def eigenvalues(self) -> Array:
        """a_i >= 0, ascending, (d,); rounding-level values are exact zeros."""
        # a diagonal is exact also for spectra wider than float64 can diagonalise
        values = self.kept[self._order] if self.kept.ndim == 1 else self._eigen[0]
        if values[0] < -1e-12 * np.abs(values).max():
            raise ValueError(
                f"A0 must be positive semidefinite, got the eigenvalue {values[0]:.3g}"
            )
        return np.maximum(values, 0.0)

    @cached_property
    def eigenvectors(self) -> Array:
        """Columns are the eigenvectors, (d, d), in the order of `eigenvalues`."""
        if self.kept.ndim == 2:
            return self._eigen[1]
        self._check_size("eigenvectors")
        return np.eye(self.d)[:, self._order]

    def along(self, vectors: Array) -> Array:
        """Components along the eigenvectors.

        Parameters
        ----------
        vectors : (d,) or (d, k) array
            Such as E[xy].

        Returns
        -------
        array
            Of the same shape, in the order of `eigenvalues`.
        """
        return vectors[self._order] if self.kept.ndim == 1 else self.eigenvectors.T @ vectors

    def _check_size(self, name: str) -> None:
        size = 8 * self.d**2
        if size > LARGEST_MATRIX:
            raise ValueError(
                f"{name} must take at most {LARGEST_MATRIX / 2**30:.3g} GiB, got {self.d} inputs "
                f"and {size / 2**30:.3g} GiB; eigenvalues and signals hold the same"
            )
