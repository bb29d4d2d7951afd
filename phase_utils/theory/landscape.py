"""The effective landscape of a deep linear network and its certified global minimum."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from phase_utils._check import Array, non_negative, scalar
from phase_utils.theory.architecture import Architecture
from phase_utils.theory.minimum import UNDERFLOW, GlobalMinimum, certified_minimum
from phase_utils.theory.moments import Moments
from phase_utils.theory.reduction import Reduction
from phase_utils.theory.transitions import Spinodal, Transition, find_spinodals, find_transitions
from phase_utils.theory.units import EPS

TERMS_AT_ONCE = 2**20  # of Eq. 6 at a time


@dataclass(frozen=True)
class RidgeState:
    """Stationary states, arrays of one shape.

    Attributes
    ----------
    gamma : array
        The weight decay at which each is stationary.
    B : array
        Order parameter.
    loss : array
        Loss with decay, units of y^2.
    """

    gamma: Array
    B: Array
    loss: Array


class Landscape:
    """The effective loss of Eq. 6 for scalar outputs, at any depth, noise, decay and power.

    Parameters
    ----------
    moments : Moments
        With one output.
    depth : float
        Number of hidden layers D, real >= 0 (0 is ridge regression), or inf. The theory is
        analytic in D; networks exist for integers. inf is the limit D -> inf at fixed gamma.
    width : int or sequence of int, optional
        Hidden width d0 >= 1, or one per hidden layer; needed only with noise.
    noise_variance : float or sequence of float
        Variance >= 0 of the multiplicative mean-one noise on each hidden neuron, or one per hidden
        layer. Where it is > 0 the depth must be an integer or inf.
    decay_ratios : float or sequence of float, optional
        r_l > 0, one per weight matrix, W^(0) first: layer l decays with gamma r_l. They enter
        through their geometric mean alone. The depth must then be an integer.
    penalty_power : float
        p > 0 of the penalty gamma |w|^p, with |w|^2 = sum_l r_l |W^(l)|^2. The trivial state
        survives for p <= D + 1: first order below, continuous at p = D + 1, none above.
    noise_factor : float, optional
        N >= 1 itself, in place of width and noise_variance, at any depth.

    Attributes
    ----------
    moments : Moments
        As given.
    architecture : Architecture
        Depth, width, noise, decay ratios and penalty as they were understood.
    reduction : Reduction or None
        The landscape in units of its own; None where only the trivial state is stationary.

    Raises
    ------
    ValueError
        Names the argument and the rule it breaks.

    Notes
    -----
    Width and noise enter only through N = prod_l (1 + noise_variance_l / width_l). The order
    parameter is B = d0 |b| with the paper's b; |beta| = B^(D+1) for the end-to-end vector beta at a
    minimum. `gamma` multiplies |w|^2, so torch's `weight_decay` is 2 gamma.

    Certified, by `gap`, is the loss of `global_minimum` alone, for the eigenvalues and signals that
    the moments hold. B, slope, transitions, spinodals and minima are computed to rounding, but
    without a bound: near a spinodal or a critical point the rounding of gamma is amplified in B as
    the curve demands. x, y and gamma may be in any units that floats can express.

    For D > 1 and p = 2 there is at most one transition, and one learned minimum, per distinct
    eigenvalue with signal. With r the ratio of the largest to the least of these eigenvalues there
    is exactly one transition where cosh ln r <= 9 + 4 [(D-1) + 1/(D-1)], so for r <= 33.97 at every
    depth, and exactly one learned minimum where cosh ln r < (7 D^2 - 1)/(D^2 - 1), so for
    r <= 13.9. Chapters 7 and 22 prove it. Without noise every learned minimum is a local minimum
    over all weights of the network.

    At infinite depth L is E[y^2] for every gamma > 0. At gamma = 0 it is the loss of the best
    linear predictor under the noise factor N if that is bounded (no noise, or `noise_factor`,
    for noise_variance depth / width held at ln N): a jump, the zeroth-order transition. Noise of
    fixed variance makes N infinite and L constant, with no transition. Learned states with B = 1
    stay metastable up to the spinodals, the limits of those at finite depth.

    Examples
    --------
    >>> import phase_utils as pu
    >>> land = pu.Landscape(pu.Moments.from_spectrum([1, 0.3], [0.45, 0.1], 0.3), depth=2)
    >>> [(t.order, round(t.gamma, 6)) for t in land.transitions()]
    [(1, 0.143768)]
    >>> land.minima(0.1).round(6).tolist()
    [0.0, 0.704931]
    """

    def __init__(
        self,
        moments: Moments,
        depth: float = 2,
        width: int | Sequence[int] | None = None,
        noise_variance: float | Sequence[float] = 0.0,
        decay_ratios: float | Sequence[float] | None = None,
        penalty_power: float = 2,
        *,
        noise_factor: float | None = None,
    ) -> None:
        if not isinstance(moments, Moments):
            raise ValueError(f"moments must be a Moments, got {type(moments).__name__}")
        if moments.k != 1:
            raise ValueError(f"moments must have one output, got k = {moments.k}")
        self.moments = moments
        self.architecture = Architecture(
            depth, width, noise_variance, decay_ratios, penalty_power, noise_factor
        )
        spectrum = moments.spectrum if self.architecture.log_noise_factor < inf else None
        self.reduction = None if spectrum is None else Reduction(spectrum, self.architecture)

    @property
    def depth(self) -> float:
        """Number of hidden layers D, an int where it is integer."""
        return self.architecture.depth

    @property
    def width(self) -> int | tuple[int, ...] | None:
        """Hidden width d0, or one per layer."""
        return self.architecture.width

    @property
    def noise_variance(self) -> float | tuple[float, ...]:
        """Variance of the neuron noise, or one per layer."""
        return self.architecture.noise_variance

    @property
    def decay_ratios(self) -> float | tuple[float, ...] | None:
        """r_l, one per weight matrix."""
        return self.architecture.decay_ratios

    @property
    def penalty_power(self) -> float:
        """Power p of the penalty gamma |w|^p."""
        return self.architecture.penalty_power

    @property
    def noise_factor(self) -> float:
        """N, inf where it overflows."""
        return self.architecture.noise_factor

    @property
    def trivial(self) -> bool:
        """Whether nothing can be learned: no signal, or infinite noise."""
        return self.reduction is None

    def loss(self, B: ArrayLike, gamma: ArrayLike) -> Array:
        """Eq. 6, minimised over the first layer.

        Parameters
        ----------
        B : array_like
            Order parameter >= 0; broadcast with gamma.
        gamma : array_like
            Weight decay >= 0.

        Returns
        -------
        array
            E[y^2] - sum_i u^D e_i^2 / (N a_i u^D + gamma g) + gamma g D u with u = B^2 and g the
            geometric mean of the decay ratios; the layers but the first are balanced, |b| = B / d0.

        Raises
        ------
        ValueError
            At D = 0, D = inf or p != 2, and for arguments out of range.

        Notes
        -----
        Eq. 6 of the paper. At gamma = 0 every B > 0 has the same loss, because the first layer
        adapts to it.

        Examples
        --------
        >>> import phase_utils as pu
        >>> land = pu.Landscape(pu.Moments.isotropic(), depth=2)
        >>> land.loss([0.0, 0.3, 0.7], 0.1).round(6).tolist()
        [0.2025, 0.205327, 0.157541]
        """
        if self.depth == 0 or self.depth == inf:
            raise ValueError(f"depth must be > 0 and finite for Eq. 6, got {self.depth}")
        if self.penalty_power != 2:
            raise ValueError(
                f"penalty_power must be 2 for Eq. 6, got {self.penalty_power:g}; "
                "balanced_loss holds for every power"
            )
        B, gamma = np.broadcast_arrays(non_negative("B", B), non_negative("gamma", gamma))
        if self.reduction is None:
            return self.moments.Eyy + self.depth / (self.depth + 1) * self._penalty(B, gamma)
        units, spectrum = self.reduction, self.reduction.spectrum
        log_u, log_decay = 2 * units.order.log_of(B), units.gamma.log_of(gamma)
        with np.errstate(invalid="ignore"):
            x = self.depth * log_u - log_decay + log(self.depth + 1)
        flat = np.where(B == 0, -inf, x).reshape(-1)
        taken = np.empty(flat.shape)
        rows = max(1, TERMS_AT_ONCE // len(spectrum.gain))
        for i in range(0, len(flat), rows):
            share = expit(flat[i : i + rows, None] + spectrum.log_a)
            taken[i : i + rows] = (spectrum.gain * share).sum(axis=-1)
        with np.errstate(over="ignore"):
            penalty = self.depth / (self.depth + 1) * np.exp(log_decay + log_u)
        return self.moments.Eyy - units.loss.times(taken.reshape(B.shape) - penalty)

    def balanced_loss(self, B: ArrayLike, gamma: ArrayLike) -> Array:
        """The least loss of a network of size B, all layers balanced.

        Parameters
        ----------
        B : array_like
            Order parameter >= 0; broadcast with gamma.
        gamma : array_like
            Weight decay >= 0.

        Returns
        -------
        array
            The least data loss with |beta| <= B^(D+1), plus gamma R^(p/2), R = g (D+1) B^2.

        Raises
        ------
        ValueError
            At D = inf, and for arguments out of range.

        Notes
        -----
        It has the stationary points and the minimum of `loss`; elsewhere it lies above, because
        the first layer is held to the norm of the others.

        Examples
        --------
        >>> import phase_utils as pu
        >>> land = pu.Landscape(pu.Moments.isotropic(), depth=2)
        >>> land.balanced_loss([0.0, 0.3, 0.7], 0.1).round(6).tolist()
        [0.2025, 0.205929, 0.158449]
        """
        if self.depth == inf:
            raise ValueError("depth must be finite for a landscape in B, got inf")
        B, gamma = np.broadcast_arrays(non_negative("B", B), non_negative("gamma", gamma))
        if self.reduction is None:
            return self.moments.Eyy + self._penalty(B, gamma)
        units, curve = self.reduction, self.reduction.curve
        log_beta2 = units.log_beta2(B)
        taken = curve.spectrum.taken(curve.spectrum.of_norm(log_beta2.reshape(-1)))
        with np.errstate(over="ignore"):
            penalty = np.exp(units.gamma.log_of(gamma) + curve.exponent / 2 * log_beta2)
        return self.moments.Eyy - units.loss.times(taken.reshape(B.shape) - penalty)

    def ridge(self, mu: ArrayLike) -> RidgeState:
        """The stationary states that are the ridge solutions beta = (N A0 + mu)^-1 E[xy].

        Parameters
        ----------
        mu : array_like
            Ridge penalty >= 0, units of x^2; 0 is the best linear predictor.

        Returns
        -------
        RidgeState
            The weight decay at which each is stationary, its B and its loss there.

        Raises
        ------
        ValueError
            At D = inf, where nothing can be learned, and for arguments out of range.

        Notes
        -----
        Every stationary point of the landscape is one of them: with G = |E[xy] - N A0 beta|^2 and
        p = 2, gamma^(D+1) = mu^(1-D) G^D and B^(D+1) = |beta| = G^(1/2) / mu.

        Examples
        --------
        >>> import phase_utils as pu
        >>> state = pu.Landscape(pu.Moments.isotropic(), depth=2).ridge(0.5)
        >>> round(float(state.gamma), 6), round(float(state.B), 6)
        (0.100415, 0.669433)
        """
        if self.depth == inf:
            raise ValueError("depth must be finite for a landscape in B, got inf")
        mu = non_negative("mu", mu)
        if self.reduction is None:
            raise ValueError("moments must have E[xy] != 0 and finite noise for learned states")
        units, curve = self.reduction, self.reduction.curve
        at = curve.spectrum.at(-units.ridge.log_of(mu).reshape(-1))
        log_decay = curve.log_decay(at)[0]
        gain = curve.spectrum.taken(at.s) - np.exp(log_decay + curve.log_penalty(at))
        loss = self.moments.Eyy - units.loss.times(gain)
        columns = units.gamma.exp(log_decay), units.order_parameter(at.log_beta2), loss
        return RidgeState(*(column.reshape(mu.shape) for column in columns))

    def stationary(self, gamma: float) -> tuple[Array, NDArray[np.int64]]:
        """All stationary states but the trivial one at one weight decay.

        Parameters
        ----------
        gamma : float
            > 0.

        Returns
        -------
        B : (n,) array
            Order parameters > 0, ascending.
        kind : (n,) array of int
            -1 where they are minima, 1 maxima.

        Raises
        ------
        ValueError
            For a gamma that is not a number > 0.

        Examples
        --------
        >>> import phase_utils as pu
        >>> B, kind = pu.Landscape(pu.Moments.isotropic(), depth=2).stationary(0.1)
        >>> B.round(6).tolist(), kind.tolist()
        ([0.228254, 0.669985], [1, -1])
        """
        gamma = scalar("gamma", gamma, minimum=0, strict=True)
        if self.reduction is None:
            return np.zeros(0), np.zeros(0, dtype=np.int64)
        log_decay = float(self.reduction.gamma.log_of(gamma))
        here = [b for b in self.reduction.branches if b.log_low < log_decay < b.log_high]
        log_beta2 = np.array([branch.value(log_decay).log_beta2 for branch in here])
        kind = np.array([branch.kind for branch in here], dtype=np.int64)
        return self.reduction.order_parameter(log_beta2), kind

    def minima(self, gamma: float) -> Array:
        """All local minima at one weight decay.

        Parameters
        ----------
        gamma : float
            > 0.

        Returns
        -------
        (n,) array
            B >= 0, ascending; 0 is included where it is a minimum.

        Raises
        ------
        ValueError
            For a gamma that is not a number > 0.

        Examples
        --------
        >>> import phase_utils as pu
        >>> pu.Landscape(pu.Moments.isotropic(), depth=2).minima(0.1).round(6).tolist()
        [0.0, 0.669985]
        """
        gamma = scalar("gamma", gamma, minimum=0, strict=True)
        B, kind = self.stationary(gamma)
        origin = np.zeros(int(self._origin_is_minimum(np.array(gamma))))
        return np.concatenate([origin, B[kind < 0]])

    def count_minima(self, gamma: ArrayLike) -> NDArray[np.int64]:
        """Number of local minima.

        Parameters
        ----------
        gamma : array_like
            Weight decays >= 0; at 0 the limit from above.

        Returns
        -------
        array of int
            Of the shape of gamma.

        Raises
        ------
        ValueError
            For a gamma that is negative or not finite.

        Examples
        --------
        >>> import phase_utils as pu
        >>> pu.Landscape(pu.Moments.isotropic(), depth=2).count_minima([0.1, 0.15, 0.2]).tolist()
        [2, 2, 1]
        """
        gamma = non_negative("gamma", gamma)
        count = self._origin_is_minimum(gamma).astype(np.int64)
        if self.reduction is not None:
            log_decay = self.reduction.gamma.log_of(gamma)
            for branch in self.reduction.branches:
                above = (log_decay > branch.log_low) | (branch.last & (gamma == 0))
                count += above & (log_decay < branch.log_high) & (branch.kind < 0)
        return count

    def global_minimum(self, gamma: ArrayLike) -> GlobalMinimum:
        """Certified L(gamma), vectorised.

        Parameters
        ----------
        gamma : array_like
            Weight decays >= 0.

        Returns
        -------
        GlobalMinimum
            B, loss, slope and gap, arrays of the shape of gamma.

        Raises
        ------
        ValueError
            For a gamma that is negative or not finite.

        Notes
        -----
        Every branch of minima is evaluated where it exists, with a bound on what its inversion
        left; maxima lie above their neighbours; unresolved pieces of the curve (next to a
        degenerate turning point) are bounded from both ends. At gamma = 0 the minimiser is the
        limit from above, except at infinite depth, where L jumps there and the slope is inf.

        Examples
        --------
        >>> import phase_utils as pu
        >>> best = pu.Landscape(pu.Moments.isotropic(), depth=2).global_minimum([0.1, 0.2])
        >>> best.loss.round(6).tolist(), best.slope.round(6).tolist()
        ([0.156942, 0.2025], [1.34664, 0.0])
        """
        gamma, Eyy = non_negative("gamma", gamma), self.moments.Eyy
        if self.reduction is not None and self.depth < inf:
            return certified_minimum(self.reduction, Eyy, gamma)
        # without a signal, or in the limit D -> inf: learned at gamma = 0 alone, with B = 1
        learned = (gamma == 0) & (not self.trivial)
        loss, gap = np.full(gamma.shape, Eyy), np.full(gamma.shape, 4 * EPS * Eyy + UNDERFLOW)
        if self.reduction is not None:
            gain = self.reduction.loss.times(self.reduction.spectrum.total_gain)
            loss[learned] -= gain
            gap[learned] += (64 * EPS + self.reduction.loss_error) * gain
        return GlobalMinimum(learned.astype(float), loss, np.where(learned, inf, 0.0), gap)

    def transitions(self) -> list[Transition]:
        """All phase transitions of the global minimum in gamma.

        Returns
        -------
        list of Transition
            Ascending in gamma: first-order ones from coexistence of two certified branches. One
            whose gamma is below the smallest float, or above the largest, is not listed.

        Examples
        --------
        >>> import phase_utils as pu
        >>> moments = pu.Moments.from_spectrum([1, 1e-4], np.sqrt([0.2, 0.001]), 20)
        >>> [round(t.gamma, 6) for t in pu.Landscape(moments, depth=2).transitions()]
        [0.087061, 0.136629]
        """
        reduced = self.reduction
        if reduced is None or reduced.curve.alpha < 0:
            return []
        if self.depth == inf:
            # the limit of the first-order transition, whose gamma (D+1) tends to the learnable part
            heat = float(reduced.loss.times(reduced.spectrum.total_gain))
            return [Transition(0.0, 0, 1.0, 0.0, heat, heat)]
        if reduced.curve.critical:
            gamma = self.architecture.critical_ratio * self.moments.signal
            return [Transition(gamma, 2, 0.0, 0.0, 0.0, 0.0)] if 0 < gamma < inf else []
        return find_transitions(reduced)

    def spinodals(self) -> list[Spinodal]:
        """Ends of metastable branches, where dgamma/dB = 0 on the stationary curve.

        Returns
        -------
        list of Spinodal
            Ascending in gamma.

        Examples
        --------
        >>> import phase_utils as pu
        >>> [round(s.gamma, 6) for s in pu.Landscape(pu.Moments.isotropic(), depth=2).spinodals()]
        [0.162926]
        """
        return [] if self.reduction is None else find_spinodals(self.reduction)

    def paper_b(self, B: ArrayLike) -> Array:
        """The paper's b = B / d0, for equal widths.

        Parameters
        ----------
        B : array_like
            Order parameter >= 0.

        Returns
        -------
        array
            Of the shape of B.

        Raises
        ------
        ValueError
            Where the width was not given or differs between the layers.

        Examples
        --------
        >>> import phase_utils as pu
        >>> float(pu.Landscape(pu.Moments.isotropic(), depth=2, width=8).paper_b(4.0))
        0.5
        """
        if self.width is None:
            raise ValueError("width must be given to convert B to the paper's b, got None")
        if isinstance(self.width, tuple):
            raise ValueError(
                f"width must be equal in all layers for the paper's b, got {self.width}"
            )
        return non_negative("B", B) / self.width

    def _origin_is_minimum(self, gamma: Array) -> NDArray[np.bool_]:
        if self.reduction is None:
            return np.ones(gamma.shape, dtype=bool)
        return self.reduction.gamma.log_of(gamma) >= self.reduction.log_origin

    def _penalty(self, B: Array, gamma: Array) -> Array:
        """Penalty gamma R^(p/2) of balanced layers, R = g (D+1) B^2."""
        with np.errstate(divide="ignore", over="ignore"):
            log_R = self.architecture.log_ratio + log(self.depth + 1) + 2 * np.log(B)
            return np.exp(np.log(gamma) + self.penalty_power / 2 * log_R)
