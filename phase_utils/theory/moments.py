"""Second moments of the data: all that a linear network under squared loss can see of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from phase_utils._check import Array, integer, non_negative, numeric, scalar

RANGE_TOLERANCE = 1e-9  # relative violation of the Cauchy-Schwarz bounds that rounding may cause


@dataclass(frozen=True, eq=False, repr=False)
class Moments:
    """The moments A0 = E[x x^T], E[xy] and E[y^2] of a data distribution.

    Parameters
    ----------
    A0 : (d, d) symmetric positive semidefinite array, units of x^2.
    Exy : (d,) array, or (d, k) for k outputs; it must lie in the range of A0.
    Eyy : float, E|y|^2, at least E[xy]^T A0^+ E[xy] (no predictor beats zero residual).

    Raises
    ------
    ValueError
        For anything that is the moments of no distribution.

    Notes
    -----
    The moments are raw, not centred. They determine the loss of Eq. 5 of the paper exactly.
    """

    A0: Array
    Exy: Array
    Eyy: float

    def __post_init__(self) -> None:
        A0 = numeric("A0", self.A0, ndim=(2,))
        Exy = numeric("Exy", self.Exy, ndim=(1, 2))
        if A0.shape[0] != A0.shape[1]:
            raise ValueError(f"A0 must be square, got shape {A0.shape}")
        if len(Exy) != len(A0):
            raise ValueError(f"Exy must have {len(A0)} rows like A0, got shape {Exy.shape}")
        scale = float(np.abs(A0).max())
        asymmetry = float(np.abs(A0 - A0.T).max())
        if asymmetry > 1e-12 * scale:
            raise ValueError(f"A0 must be symmetric, got entries that differ by {asymmetry:.3g}")
        A0 = (A0 + A0.T) / 2
        for name, value in (("A0", A0), ("Exy", Exy), ("Eyy", scalar("Eyy", self.Eyy, minimum=0))):
            object.__setattr__(self, name, value)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        self._check_realisable()

    def _check_realisable(self) -> None:
        power = (self.signals**2).reshape(-1, self.k).sum(axis=1)
        total = float(self.eigenvalues[-1]) * self.Eyy
        hidden = power[self.eigenvalues == 0].sum()
        if hidden > RANGE_TOLERANCE**2 * total:
            raise ValueError(
                f"Exy must lie in the range of A0, got a component of norm {np.sqrt(hidden):.3g} "
                "along directions in which x has no variance"
            )
        if self.residual_variance < -RANGE_TOLERANCE * self.Eyy:
            least = self.Eyy - self.residual_variance
            raise ValueError(
                f"Eyy must be at least Exy^T A0^+ Exy = {least:.10g}, got {self.Eyy:.10g}"
            )

    @classmethod
    def from_samples(cls, x: Any, y: Any) -> "Moments":
        """Moments of a finite data set: x (n, d), y (n,) or (n, k), each sample with weight 1/n."""
        x = numeric("x", x, ndim=(2,))
        y = numeric("y", y, ndim=(1, 2))
        if len(x) != len(y):
            raise ValueError(f"x and y must have the same length, got {len(x)} and {len(y)}")
        return cls(x.T @ x / len(x), x.T @ y / len(x), float(np.sum(y * y)) / len(x))

    @classmethod
    def from_spectrum(cls, eigenvalues: Any, signals: Any, Eyy: Any) -> "Moments":
        """Moments in the eigenbasis of A0: a_i >= 0, e_i = E[x'_i y], in any order."""
        eigenvalues = non_negative("eigenvalues", eigenvalues, ndim=(1,))
        signals = numeric("signals", signals, ndim=(1,))
        if len(signals) != len(eigenvalues):
            raise ValueError(
                f"signals must have {len(eigenvalues)} entries like eigenvalues, got {len(signals)}"
            )
        return cls(np.diag(eigenvalues), signals, Eyy)

    @classmethod
    def isotropic(
        cls, d: Any = 1, variance: Any = 1.0, signal: Any = 0.45, Eyy: Any = None
    ) -> "Moments":
        """A0 = variance * I and |E[xy]| = signal, spread evenly over the d inputs.

        `Eyy` defaults to signal^2 / variance, the value of noiseless labels.
        """
        d = integer("d", d, minimum=1)
        variance = scalar("variance", variance, minimum=0, strict=True)
        signal = scalar("signal", signal, minimum=0)
        Exy = np.full(d, signal / np.sqrt(d))
        return cls(variance * np.eye(d), Exy, signal**2 / variance if Eyy is None else Eyy)

    @property
    def d(self) -> int:
        """Number of inputs."""
        return len(self.A0)

    @property
    def k(self) -> int:
        """Number of outputs."""
        return 1 if self.Exy.ndim == 1 else self.Exy.shape[1]

    @cached_property
    def _eigen(self) -> tuple[Array, Array]:
        diagonal = np.diag(self.A0)
        if np.count_nonzero(self.A0 - np.diag(diagonal)) == 0:
            # exact also for spectra wider than float64 can diagonalise
            order = np.argsort(diagonal, kind="stable")
            values, vectors, rounding = diagonal[order], np.eye(self.d)[:, order], 0.0
        else:
            values, vectors = np.linalg.eigh(self.A0)
            rounding = self.d * np.finfo(float).eps * np.abs(values).max()
        if values[0] < -rounding - 1e-12 * np.abs(values).max():
            raise ValueError(
                f"A0 must be positive semidefinite, got the eigenvalue {values[0]:.3g}"
            )
        return np.where(values <= rounding, 0.0, values), vectors

    @property
    def eigenvalues(self) -> Array:
        """a_i, ascending, (d,); rounding-level values are exact zeros."""
        return self._eigen[0]

    @property
    def eigenvectors(self) -> Array:
        """Columns are the eigenvectors of A0, (d, d), in the order of `eigenvalues`."""
        return self._eigen[1]

    @cached_property
    def signals(self) -> Array:
        """e_i, the components of E[xy] along the eigenvectors, (d,) or (d, k)."""
        return self.eigenvectors.T @ self.Exy

    @cached_property
    def signal(self) -> float:
        """|E[xy]|, the strength of the signal (Frobenius norm for k > 1)."""
        return float(np.linalg.norm(self.Exy))

    @cached_property
    def residual_variance(self) -> float:
        """E[y^2] - E[xy]^T A0^+ E[xy]: the loss of the best linear predictor."""
        kept = self.eigenvalues > 0
        explained = (self.signals[kept] ** 2).reshape(-1, self.k).sum(axis=1)
        return self.Eyy - float(np.sum(explained / self.eigenvalues[kept]))

    @cached_property
    def _spectra(self) -> dict[float, Any]:
        """What the stationary curves of one depth leave to those of the next."""
        return {}

    def __repr__(self) -> str:
        return f"Moments(d={self.d}, k={self.k}, |Exy|={self.signal:.6g}, Eyy={self.Eyy:.6g})"
