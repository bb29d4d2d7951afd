"""The change of units that takes every landscape to one family: bridge regression.

Width and noise enter the landscape through N alone, and N through beta = beta' / N; the decay
ratios and the depth multiply the penalty by constants. So the loss of Eq. 6,

    E[y^2] + min_beta N beta^T A0 beta - 2 beta.E[xy] + gamma (g (D+1))^(p/2) |beta|^k,

is that of `curve` in other units, which also hold those of the spectrum: x in 2^x, y in 2^y.
"""

from fractions import Fraction
from math import inf

import numpy as np

from phase_utils._check import Array
from phase_utils.theory.architecture import Architecture
from phase_utils.theory.branches import StationaryBranch
from phase_utils.theory.curve import Curve
from phase_utils.theory.spectrum import Spectrum
from phase_utils.theory.units import EPS, Unit


class Reduction:
    """A landscape as the bridge regression of its curve, and the units that lead back.

    Parameters
    ----------
    spectrum : Spectrum
        Of the data.
    network : Architecture
        With a finite noise factor.

    Attributes
    ----------
    spectrum : Spectrum
        As given.
    depth : float
        Number of hidden layers D.
    curve : Curve
        The stationary curve.
    branches : list of StationaryBranch
        Its pieces, in order.
    loss : Unit
        4^y / N, of what is taken off E[y^2] and of the penalty.
    ridge : Unit
        N 4^x, of the ridge penalty mu.
    gamma : Unit
        Of the weight decay: gamma is this times lambda; at infinite depth times lim lambda k / 2.
    slope : Unit
        Of the penalty: |w|^p is this times |beta|^k.
    order : Unit
        (2^(y-x) / N)^(1/(D+1)), of the order parameter B.
    loss_error, penalty_error : float
        Relative rounding of these units as it enters what is taken off the loss and the penalty.

    Examples
    --------
    >>> spectrum = Spectrum(np.array([1e-100]), np.array([0.45e100]))
    >>> reduced = Reduction(spectrum, Architecture(2, None, 0.0, None, 2, None))
    >>> [branch.kind for branch in reduced.branches]
    [1, -1]
    >>> float(reduced.ridge.log_of(1e-100)) < 2
    True
    """

    def __init__(self, spectrum: Spectrum, network: Architecture) -> None:
        self.spectrum, self.depth = spectrum, float(network.depth)
        self.curve = Curve(spectrum, network.exponent)
        self.branches = [StationaryBranch(self.curve, piece) for piece in self.curve.pieces]
        k, p, x, y = network.exponent, network.penalty_power, spectrum.x, spectrum.y
        log_N = network.log_noise_factor
        k_log_N = float(k) * log_N
        # ln (g (D+1))^(p/2); at infinite depth (D+1) k / 2 = 1 joins the limit of lambda k / 2
        size = p / 2 * (network.log_size if self.depth < inf else network.log_ratio)
        share = 1 / (Fraction(self.depth) + 1) if self.depth < inf else Fraction(0)
        self.loss = Unit(2 * y, -log_N)
        self.ridge = Unit(2 * x, log_N)
        self.gamma = Unit(2 * y - k * (y - x), k_log_N - log_N - size)
        self.slope = Unit(k * (y - x), size - k_log_N)
        self.order = Unit(share * (y - x), -float(share) * log_N)
        self.loss_error = 4 * EPS * (1 + log_N)
        self.penalty_error = self.loss_error + 4 * EPS * (1 + abs(size) + k_log_N)

    @property
    def log_origin(self) -> float:
        """ln(lambda) from which on the trivial state is a minimum."""
        if self.curve.critical:
            return self.branches[0].log_high
        return -inf if self.curve.alpha > 0 else inf

    def order_parameter(self, log_beta2: Array) -> Array:
        """B = |beta|^(1/(D+1)).

        Parameters
        ----------
        log_beta2 : array
            ln |beta|^2 in reduced units.

        Returns
        -------
        array
            Of its shape; at infinite depth 1, and 0 for beta = 0.
        """
        if self.depth == inf:
            return np.where(np.isneginf(log_beta2), 0.0, 1.0)
        return self.order.exp(log_beta2 / 2 / (self.depth + 1))

    def log_beta2(self, B: Array) -> Array:
        """Logarithm of |beta|^2 from the order parameter, at finite depth.

        Parameters
        ----------
        B : array
            Order parameters >= 0.

        Returns
        -------
        array
            ln |beta|^2 in reduced units, of the shape of B.
        """
        with np.errstate(over="ignore"):
            return (self.depth + 1) * (2 * self.order.log_of(B))
