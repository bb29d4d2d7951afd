"""Units: positive factors of any size, applied without overflow and with one rounding."""

from fractions import Fraction
from math import floor, log

import numpy as np
from numpy.typing import ArrayLike

from phase_utils._check import Array

EPS = 2.0**-52  # relative spacing of floats
LN2 = log(2)
LN2_HIGH = float.fromhex("0x1.62e42feep-1")  # 32 bits, so that integers times it are exact
LN2_LOW = float.fromhex("0x1.a39ef35793c76p-33")  # the rest
LAST_EXPONENT = 5000  # of two: what is beyond is 0 or inf whatever it is multiplied with


class Unit:
    """The factor 2^exponent e^logarithm, kept as a mantissa in [1, 2] and a power of two.

    Floats end at 1.8e308, and the logarithm of a number near there is good to thirteen digits
    only. Numbers in units near their own size keep all their digits.

    Parameters
    ----------
    exponent : int or Fraction
        Exact, so that rational powers of powers of two lose nothing.
    logarithm : float
        Further factor e^logarithm, good to the rounding of `logarithm`.

    Examples
    --------
    >>> unit = Unit(-1500)
    >>> float(unit.times(2.0**1000) * 2.0**510)
    1024.0
    >>> round(float(unit.exp(1500 * np.log(2))), 10)
    1.0
    >>> round(float(unit.log_of(1.0) / np.log(2)), 10)
    1500.0
    """

    def __init__(self, exponent: int | Fraction, logarithm: float = 0.0) -> None:
        total = Fraction(exponent) + Fraction(logarithm) / Fraction(LN2)
        whole = floor(total)
        self.mantissa = 2.0 ** float(total - whole)
        self.exponent = whole

    def times(self, value: ArrayLike) -> Array:
        """Value times the unit.

        Parameters
        ----------
        value : array_like
            Well within the range of floats.

        Returns
        -------
        ndarray
            Of the shape of `value`; 0 or inf beyond the range of floats.
        """
        exponent = min(max(self.exponent, -LAST_EXPONENT), LAST_EXPONENT)
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(np.multiply(value, self.mantissa), exponent)

    def exp(self, logarithm: ArrayLike) -> Array:
        """E^logarithm times the unit.

        Parameters
        ----------
        logarithm : array_like
            Any numbers, -inf and inf among them.

        Returns
        -------
        ndarray
            Of the shape of `logarithm`; 0 or inf beyond the range of floats.
        """
        logarithm = np.clip(logarithm, -1e15, 1e15)
        twos = np.rint(logarithm * (1 / LN2))
        rest = logarithm - twos * LN2_HIGH - twos * LN2_LOW
        exponent = np.clip(twos + float(self.exponent), -LAST_EXPONENT, LAST_EXPONENT)
        with np.errstate(over="ignore", under="ignore"):
            return np.ldexp(np.exp(rest) * self.mantissa, exponent.astype(np.int32))

    def log_of(self, value: ArrayLike) -> Array:
        """Logarithm of value / unit.

        Parameters
        ----------
        value : array_like
            Finite numbers >= 0.

        Returns
        -------
        ndarray
            Of the shape of `value`; -inf at 0.
        """
        mantissa, exponent = np.frexp(value)
        with np.errstate(divide="ignore"):
            return np.log(mantissa / self.mantissa) + (exponent - float(self.exponent)) * LN2


def exponent_of(array: Array) -> int:
    """The power of two just above the largest magnitude.

    Parameters
    ----------
    array : array
        Finite numbers.

    Returns
    -------
    int
        0 for zeros.
    """
    return int(np.frexp(np.abs(array).max())[1])
