"""Second moments of the data: all that a linear network under squared loss can see of them."""

from functools import cached_property
from math import frexp, ldexp
from typing import Any, Never, Self

import numpy as np
from numpy.typing import ArrayLike

from phase_utils._check import Array, integer, non_negative, numeric, scalar
from phase_utils.theory.second_moment import SecondMoment
from phase_utils.theory.spectrum import Spectrum
from phase_utils.theory.units import exponent_of

RANGE_TOLERANCE = 1e-9  # relative violation of the Cauchy-Schwarz bounds that rounding may cause
MOST_EQUAL = 10**7  # inputs
SMALLEST_SAMPLE, LARGEST_SAMPLE = 1e-150, 1e150  # whose squares and their means are floats


class Moments:
    """The moments A0 = E[x x^T], E[xy] and E[y^2] of a data distribution.

    Parameters
    ----------
    A0 : (d, d) array_like
        Symmetric positive semidefinite, in units of x^2.
    Exy : (d,) or (d, k) array_like
        E[xy], for k outputs; it must lie in the range of A0. Units of x y.
    Eyy : float
        E|y|^2, at least E[xy]^T A0^+ E[xy]: no predictor beats zero residual. Units of y^2.

    Raises
    ------
    ValueError
        For anything that is the moments of no distribution.

    Notes
    -----
    The moments are raw, not centred. They determine the loss of Eq. 5 of the paper exactly. They
    cannot be changed, and may be of any size: everything is computed in units of their own.

    Examples
    --------
    >>> import phase_utils as pu
    >>> moments = pu.Moments([[2.0, 0.5], [0.5, 1.0]], [0.6, 0.1], 0.5)
    >>> moments
    Moments(d=2, k=1, |Exy|=0.608276, Eyy=0.5)
    >>> moments.eigenvalues.round(4).tolist()
    [0.7929, 2.2071]
    """

    Exy: Array
    Eyy: float
    _inputs: SecondMoment

    def __init__(self, A0: ArrayLike, Exy: ArrayLike, Eyy: float) -> None:
        matrix = numeric("A0", A0, ndim=(2,))
        self._set(SecondMoment.checked(matrix), numeric("Exy", Exy, ndim=(1, 2)), Eyy)
        self._check_realisable()

    def _set(self, inputs: SecondMoment, Exy: Array, Eyy: Any) -> None:
        if len(Exy) != inputs.d:
            raise ValueError(f"Exy must have {inputs.d} rows like A0, got shape {Exy.shape}")
        Exy.setflags(write=False)
        self.__dict__.update(_inputs=inputs, Exy=Exy, Eyy=scalar("Eyy", Eyy, minimum=0))

    def __setattr__(self, name: str, _: object) -> Never:
        raise AttributeError(f"{name} cannot be set: Moments cannot be changed")

    def __delattr__(self, name: str) -> Never:
        raise AttributeError(f"{name} cannot be deleted: Moments cannot be changed")

    def __getstate__(self) -> dict[str, object]:
        """What a copy needs; the rest is computed again."""
        return {name: self.__dict__[name] for name in ("_inputs", "Exy", "Eyy")}

    def _check_realisable(self, signal: str = "Exy", explained: str = "Exy^T A0^+ Exy") -> None:
        """Raise ValueError in the words of the arguments that were given."""
        kept, exponent = self.eigenvalues > 0, exponent_of(self.Exy)
        power = (np.ldexp(self.signals, -exponent) ** 2).reshape(-1, self.k).sum(axis=1)
        hidden = float(np.sqrt(power[~kept].sum()))
        total = np.sqrt(self.eigenvalues[-1]) * np.sqrt(self.Eyy)  # |E[xy]| is at most that
        mantissa, shift = frexp(total)
        # both sides in units of the larger, which never leave the range of floats
        beyond = exponent - shift
        if ldexp(hidden, min(beyond, 0)) > RANGE_TOLERANCE * ldexp(mantissa, min(-beyond, 0)):
            raise ValueError(
                f"{signal} must lie in the range of A0, got a component of norm "
                f"{ldexp(hidden, exponent):.3g} along directions in which x has no variance"
            )
        if self.residual_variance < -RANGE_TOLERANCE * self.Eyy:
            least = self.Eyy - self.residual_variance
            raise ValueError(
                f"Eyy must be at least {explained} = {least:.10g}, got {self.Eyy:.10g}"
            )

    @classmethod
    def from_samples(cls, x: ArrayLike, y: ArrayLike) -> Self:
        """Moments of a finite data set, each sample with weight 1/n.

        Parameters
        ----------
        x : (n, d) array_like
            Inputs, not centred by this function.
        y : (n,) or (n, k) array_like
            Outputs.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            For lengths that differ, and for numbers whose squares leave the range of floats.

        Examples
        --------
        >>> import phase_utils as pu
        >>> pu.Moments.from_samples([[1.0], [-1.0], [2.0]], [1.0, -1.0, 1.0])
        Moments(d=1, k=1, |Exy|=1.33333, Eyy=1)
        """
        x = numeric("x", x, ndim=(2,))
        y = numeric("y", y, ndim=(1, 2))
        if len(x) != len(y):
            raise ValueError(f"x and y must have the same length, got {len(x)} and {len(y)}")
        for name, value in (("x", x), ("y", y)):
            size = float(np.abs(value).max())
            if size and not SMALLEST_SAMPLE < size < LARGEST_SAMPLE:
                raise ValueError(
                    f"{name} must be of a size between {SMALLEST_SAMPLE:g} and {LARGEST_SAMPLE:g}, "
                    f"so that its squares are floats, got {size:g}; measure it in other units"
                )
        A0 = x.T @ x / len(x)
        # what samples have is realisable, and a large A0 takes long to diagonalise
        moments = cls.__new__(cls)
        moments._set(
            SecondMoment.of((A0 + A0.T) / 2), x.T @ y / len(x), float(np.sum(y * y)) / len(x)
        )
        return moments

    @classmethod
    def from_spectrum(cls, eigenvalues: ArrayLike, signals: ArrayLike, Eyy: float) -> Self:
        """Moments in the eigenbasis of A0.

        Parameters
        ----------
        eigenvalues : (d,) array_like
            a_i >= 0, in any order.
        signals : (d,) array_like
            e_i = E[x'_i y], the components of E[xy] in the same order.
        Eyy : float
            E[y^2].

        Returns
        -------
        Moments
            With the diagonal A0, which is built only where it is asked for: 10^5 modes are no
            matter.

        Raises
        ------
        ValueError
            For anything that is the moments of no distribution.

        Examples
        --------
        >>> import phase_utils as pu
        >>> moments = pu.Moments.from_spectrum([1, 0.01], [0.4, 0.02], 0.5)
        >>> moments.A0.tolist()
        [[1.0, 0.0], [0.0, 0.01]]
        >>> round(moments.residual_variance, 10)
        0.3
        """
        diagonal = non_negative("eigenvalues", eigenvalues, ndim=(1,))
        signals = numeric("signals", signals, ndim=(1,))
        if len(signals) != len(diagonal):
            raise ValueError(
                f"signals must have {len(diagonal)} entries like eigenvalues, got {len(signals)}"
            )
        explained = "the sum of signals^2 / eigenvalues"
        return cls._diagonally(diagonal, signals, Eyy, "signals", explained)

    @classmethod
    def isotropic(
        cls, d: int = 1, variance: float = 1.0, signal: float = 0.45, Eyy: float | None = None
    ) -> Self:
        """A0 = variance * I and |E[xy]| = signal, spread evenly over the inputs.

        Parameters
        ----------
        d : int
            Number of inputs, 1 to 10^7.
        variance : float
            Of each input, > 0.
        signal : float
            |E[xy]| >= 0.
        Eyy : float, optional
            E[y^2]; signal^2 / variance, the value of noiseless labels, where None.

        Returns
        -------
        Moments

        Raises
        ------
        ValueError
            For an argument out of range, or a signal^2 / variance that is no float.

        Examples
        --------
        >>> import phase_utils as pu
        >>> pu.Moments.isotropic(3, variance=2.0, signal=0.4)
        Moments(d=3, k=1, |Exy|=0.4, Eyy=0.08)
        """
        d = integer("d", d, minimum=1, maximum=MOST_EQUAL)
        variance = scalar("variance", variance, minimum=0, strict=True)
        signal = scalar("signal", signal, minimum=0)
        if Eyy is None:
            exponent = frexp(signal)[1]
            square = ldexp(signal, -exponent) ** 2
            shift = frexp(variance)[1]
            Eyy = float(np.ldexp(square / ldexp(variance, -shift), 2 * exponent - shift))
            if not np.isfinite(Eyy) or (signal > 0 and Eyy < np.finfo(float).tiny):
                raise ValueError(
                    "signal^2 / variance must lie in the range of floats where Eyy is None, "
                    f"got signal = {signal:g} and variance = {variance:g}"
                )
        spread = np.full(d, signal / np.sqrt(d))
        return cls._diagonally(np.full(d, variance), spread, Eyy, "signal", "signal^2 / variance")

    @classmethod
    def _diagonally(
        cls, diagonal: Array, Exy: Array, Eyy: Any, signal: str, explained: str
    ) -> Self:
        moments = cls.__new__(cls)
        moments._set(SecondMoment(diagonal), Exy, Eyy)
        moments._check_realisable(signal, explained)
        return moments

    @property
    def A0(self) -> Array:
        """E[x x^T], (d, d), read-only; refused where it would take more than 2 GiB."""
        return self._inputs.matrix

    @property
    def d(self) -> int:
        """Number of inputs."""
        return self._inputs.d

    @property
    def k(self) -> int:
        """Number of outputs."""
        return 1 if self.Exy.ndim == 1 else self.Exy.shape[1]

    @property
    def eigenvalues(self) -> Array:
        """a_i, ascending, (d,); rounding-level values are exact zeros."""
        return self._inputs.eigenvalues

    @property
    def eigenvectors(self) -> Array:
        """Columns are the eigenvectors of A0, (d, d), in the order of `eigenvalues`."""
        return self._inputs.eigenvectors

    @cached_property
    def signals(self) -> Array:
        """e_i, the components of E[xy] along the eigenvectors, (d,) or (d, k)."""
        return self._inputs.along(self.Exy)

    @cached_property
    def signal(self) -> float:
        """|E[xy]|, the strength of the signal (Frobenius norm for k > 1)."""
        exponent = exponent_of(self.Exy)
        return ldexp(float(np.linalg.norm(np.ldexp(self.Exy, -exponent))), exponent)

    @cached_property
    def residual_variance(self) -> float:
        """E[y^2] - E[xy]^T A0^+ E[xy]: the loss of the best linear predictor."""
        kept = self.eigenvalues > 0
        a, a_exponent = np.frexp(self.eigenvalues[kept])
        e, e_exponent = np.frexp(self.signals.reshape(self.d, -1)[kept].T)
        with np.errstate(over="ignore"):
            explained = np.ldexp(e * e / a, 2 * e_exponent - a_exponent).sum()
        return self.Eyy - float(explained)

    @cached_property
    def spectrum(self) -> Spectrum | None:
        """The sums over the modes that all landscapes share, for k = 1; None without a signal."""
        if self.k != 1:
            raise ValueError(f"moments must have one output, got k = {self.k}")
        e = self.signals.reshape(-1)
        active = (self.eigenvalues > 0) & (e != 0)
        return Spectrum(self.eigenvalues[active], e[active]) if active.any() else None

    def __repr__(self) -> str:
        return f"Moments(d={self.d}, k={self.k}, |Exy|={self.signal:.6g}, Eyy={self.Eyy:.6g})"
