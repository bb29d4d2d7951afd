"""The effective landscape of a deep linear network and its certified global minimum."""

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
from scipy.special import expit

from phase_utils._check import Array, non_negative, scalar
from phase_utils.theory.architecture import Architecture
from phase_utils.theory.branches import Branch
from phase_utils.theory.curve import Curve
from phase_utils.theory.inversion import Monotone
from phase_utils.theory.moments import Moments
from phase_utils.theory.transitions import Spinodal, Transition, find_spinodals, find_transitions

BLOCK = 8192  # weight decays at a time, so that everything about them stays in the cache
NEIGHBOURHOOD = 1e-9  # relative, in gamma


@dataclass(frozen=True)
class GlobalMinimum:
    """The global minimum at each weight decay, arrays of the shape of gamma.

    B : order parameter of a minimiser (>= 0); at a coexistence point, of one of the two.
    loss : L(gamma).
    slope : dL/dgamma = |w|^p there, (D+1) B^2 for p = 2 and equal decays.
    gap : certified bound on |loss - L(gamma)|, rounding included; at most 1e-10 E[y^2].
    """

    B: Array
    loss: Array
    slope: Array
    gap: Array


class Landscape:
    """The effective loss of Eq. 6 for scalar outputs, at any depth, noise, decay and power.

    Parameters
    ----------
    moments : Moments with k = 1.
    depth : number of hidden layers D, real >= 0 (0 is ridge regression), or inf. The theory is
        analytic in D; networks exist for integers. inf is the limit D -> inf at fixed gamma.
    width : hidden width d0, integer >= 1, or one per hidden layer; needed only with noise.
    noise_variance : variance >= 0 of the multiplicative mean-one noise on each hidden neuron, or
        one per hidden layer. Where it is > 0 the depth must be an integer or inf.
    decay_ratios : r_l > 0, one per weight matrix, W^(0) first: layer l decays with gamma r_l. They
        enter through their geometric mean alone. The depth must then be an integer.
    penalty_power : p > 0 of the penalty gamma |w|^p, with |w|^2 = sum_l r_l |W^(l)|^2. The trivial
        state survives for p <= D + 1: first order below, continuous at p = D + 1, none above.
    noise_factor : N >= 1 itself, in place of width and noise_variance, at any depth.

    Raises
    ------
    ValueError
        Names the argument and the rule it breaks.

    Notes
    -----
    Width and noise enter only through N = prod_l (1 + noise_variance_l / width_l). The order
    parameter is B = d0 |b| with the paper's b; |beta| = B^(D+1) for the end-to-end vector beta at a
    minimum. `gamma` multiplies |w|^2, so torch's `weight_decay` is 2 gamma.

    Certified, by `gap`, is the loss of `global_minimum` alone. B, slope, transitions, spinodals and
    minima are computed to rounding, but without a bound: near a spinodal or a critical point the
    rounding of gamma is amplified in B as the curve demands.

    At infinite depth L is E[y^2] for every gamma > 0. At gamma = 0 it is the loss of the best
    linear predictor under the noise factor N if that is bounded (no noise, or `noise_factor`,
    for noise_variance depth / width held at ln N): a jump, the zeroth-order transition. Noise of
    fixed variance makes N infinite and L constant, with no transition. Learned states with B = 1
    stay metastable up to the spinodals, the limits of those at finite depth.
    """

    def __init__(
        self,
        moments: Moments,
        depth: Any = 2,
        width: Any = None,
        noise_variance: Any = 0.0,
        decay_ratios: Any = None,
        penalty_power: Any = 2,
        *,
        noise_factor: Any = None,
    ) -> None:
        if not isinstance(moments, Moments):
            raise ValueError(f"moments must be a Moments, got {type(moments).__name__}")
        if moments.k != 1:
            raise ValueError(f"moments must have one output, got k = {moments.k}")
        network = Architecture(depth, width, noise_variance, decay_ratios, noise_factor)
        self.moments, self.depth, self.width = moments, network.depth, network.width
        self.noise_variance, self.decay_ratios = network.noise_variance, network.decay_ratios
        self.noise_factor = network.noise_factor
        power = scalar("penalty_power", penalty_power, minimum=0, strict=True)
        if self.depth == inf and power != 2:
            raise ValueError(f"penalty_power must be 2 at infinite depth, got {power:g}")
        self.penalty_power = power
        self._decay = float(np.exp(network.log_decay))
        self.curve = Curve(
            moments.eigenvalues,
            moments.signals.reshape(-1),
            moments.Eyy,
            self.depth,
            network.log_noise_factor,
            self.penalty_power,
            network.log_decay,
            moments._spectra,
        )

    def loss(self, B: Any, gamma: Any) -> Array:
        """Eq. 6 at B >= 0 and gamma >= 0 (broadcast together), for 0 < D < inf and p = 2.

        The loss minimised over the first layer, the other layers being balanced with |b| = B / d0.
        At gamma = 0 every B > 0 has the same loss, because the first layer adapts to it.
        """
        if self.depth == 0 or self.depth == inf:
            raise ValueError(f"depth must be > 0 and finite for Eq. 6, got {self.depth}")
        if self.penalty_power != 2:
            raise ValueError(
                f"penalty_power must be 2 for Eq. 6, got {self.penalty_power:g}; "
                "balanced_loss holds for every power"
            )
        B, gamma = np.broadcast_arrays(non_negative("B", B), non_negative("gamma", gamma))
        gamma = gamma * self._decay
        if self.curve.trivial:
            return self.moments.Eyy + gamma * self.depth * B**2
        with np.errstate(divide="ignore"):
            x = 2 * self.depth * np.log(B) - np.log(gamma)
        x = np.where(B == 0, -np.inf, x)
        taken = (self.curve.gain * expit(x[..., None] + self.curve.log_a)).sum(axis=-1)
        return self.moments.Eyy - taken + gamma * self.depth * B**2

    def balanced_loss(self, B: Any, gamma: Any) -> Array:
        """The least data loss with |beta| <= B^(D+1), plus the penalty of B: any D < inf, any p.

        The loss of the best network of squared norm (D+1) B^2, all layers balanced. B >= 0 and
        gamma >= 0 broadcast together. It has the stationary points and the minimum of `loss`;
        elsewhere it lies above, because the first layer is held to the norm of the others.
        """
        if self.depth == inf:
            raise ValueError("depth must be finite for a landscape in B, got inf")
        B, gamma = np.broadcast_arrays(non_negative("B", B), non_negative("gamma", gamma))
        R = self._decay * (self.depth + 1) * B**2
        penalty = gamma * R ** (self.penalty_power / 2)
        if self.curve.trivial:
            return self.moments.Eyy + penalty
        spectrum = self.curve.spectrum
        with np.errstate(divide="ignore"):
            target = 2 * (self.depth + 1) * np.log(B)  # of ln |beta|^2
        inverse = Monotone(
            lambda s: (spectrum.at(s).log_beta2, 2 * (1 - spectrum.at(s).P)),
            spectrum.left,
            spectrum.right,
            1,
        )
        s = inverse(target.reshape(-1)).reshape(B.shape)
        before = (target - spectrum.log_signal2) / 2
        s = np.where(before < spectrum.left, before, s)
        return self.curve.data_loss(s.reshape(-1)).reshape(B.shape) + penalty

    def stationary(self, gamma: Any) -> tuple[Array, Array]:
        """All stationary B > 0 at one gamma > 0, ascending, and their kinds (-1 min, 1 max)."""
        gamma = scalar("gamma", gamma, minimum=0, strict=True)
        found = [
            (float(branch.invert(np.array([gamma]))[0]), branch)
            for branch in self._branches()
            if branch.low < gamma < branch.high
        ]
        found.sort(key=lambda pair: pair[0])
        B = [float(np.sqrt(self.curve.norm(np.array([s]))[0])) for s, _ in found]
        return np.array(B), np.array([branch.kind for _, branch in found], dtype=int)

    def minima(self, gamma: Any) -> Array:
        """All local minima B >= 0 at one gamma > 0, ascending; 0 is included where it is one."""
        B, kind = self.stationary(gamma)
        origin = [0.0] if float(gamma) >= self._origin_from() else []
        return np.concatenate([origin, B[kind < 0]])

    def count_minima(self, gamma: Any) -> Any:
        """Number of local minima, integers of the shape of gamma >= 0 (0: the limit from above)."""
        gamma = non_negative("gamma", gamma)
        count = (gamma >= self._origin_from()).astype(np.int64)
        for branch in self._branches():
            inside = (gamma < branch.high) & ((gamma > branch.low) | (branch.last & (gamma == 0)))
            count += inside & (branch.kind < 0)
        return count

    def global_minimum(self, gamma: Any) -> GlobalMinimum:
        """Certified L(gamma), vectorised over gamma >= 0.

        Every branch of minima is evaluated where it exists, with a bound on what its inversion
        left; maxima lie above their neighbours; unresolved pieces of the curve (next to a
        degenerate turning point) are bounded from both ends. At gamma = 0 the minimiser is the
        limit from above, except at infinite depth, where L jumps there and the slope is inf.
        """
        gamma = non_negative("gamma", gamma)
        if self.depth == inf:
            return self._infinite(gamma)
        flat = gamma.reshape(-1)
        columns = [self._minimum(flat[i : i + BLOCK]) for i in range(0, len(flat), BLOCK)]
        joined = (
            np.concatenate(column).reshape(gamma.shape) for column in zip(*columns, strict=True)
        )
        return GlobalMinimum(*joined)

    def _minimum(self, flat: Array) -> tuple[Array, Array, Array, Array]:
        """B, loss, slope and gap of one block, (n,) each."""
        loss = np.full(flat.shape, self.moments.Eyy)
        B, slope, lower = np.zeros_like(flat), np.zeros_like(flat), loss.copy()
        for branch in self._branches():
            # closed and a little beyond, for gammas within an unresolved piece between two branches
            here = (flat <= branch.high * (1 + NEIGHBOURHOOD)) & (
                (flat >= branch.low * (1 - NEIGHBOURHOOD)) | branch.last
            )
            if branch.kind == 0:
                lower = np.minimum(lower, branch.floor(flat))
            if branch.kind >= 0 or not here.any():
                continue
            rows = np.flatnonzero(here)
            value, u, T, bound = branch.minimum(flat[rows])
            # where it is the only stationary state, its loss may agree with E[y^2] to rounding
            better = (value < loss[rows]) | (self.curve.alpha <= 0)
            rows, chosen = rows[better], np.flatnonzero(better)
            loss[rows], B[rows], slope[rows] = value[chosen], np.sqrt(u[chosen]), T[chosen]
            lower[here] = np.minimum(lower[here], bound)
        rounding = 64 * np.finfo(float).eps * self.moments.Eyy + self._rounding(flat * slope, B)
        gap = np.maximum(loss - lower, 0) + rounding
        return B, loss, slope, gap

    def transitions(self) -> list[Transition]:
        """All phase transitions of the global minimum in gamma, ascending.

        First-order ones from coexistence of two certified branches; one whose gamma is below the
        smallest float is not listed.
        """
        return find_transitions(self.curve, self._branches(), self.moments.signal)

    def spinodals(self) -> list[Spinodal]:
        """Ends of metastable branches (dgamma/dB = 0 on the stationary curve), ascending."""
        return find_spinodals(self._branches())

    def paper_b(self, B: Any) -> Array:
        """The paper's b = B / d0, for equal widths."""
        if self.width is None:
            raise ValueError("width must be given to convert B to the paper's b, got None")
        if isinstance(self.width, tuple):
            raise ValueError(
                f"width must be equal in all layers for the paper's b, got {self.width}"
            )
        return non_negative("B", B) / self.width

    def _infinite(self, gamma: Array) -> GlobalMinimum:
        """The limit D -> inf at fixed gamma: learned at gamma = 0 alone, with B = 1."""
        learned = (gamma == 0) & (not self.curve.trivial)
        gain = 0.0 if self.curve.trivial else self.curve.spectrum.total_gain
        loss = np.where(learned, self.moments.Eyy - gain, self.moments.Eyy)
        gap = np.full(gamma.shape, 64 * np.finfo(float).eps * self.moments.Eyy)
        return GlobalMinimum(learned.astype(float), loss, np.where(learned, inf, 0.0), gap)

    def _origin_from(self) -> float:
        """The gamma from which on the origin is a minimum."""
        return self.curve.critical_gamma(self.moments.signal)

    def _rounding(self, penalty: Array, B: Array) -> Array:
        """Bound on the rounding of gamma T: that of ln T times it."""
        with np.errstate(divide="ignore"):
            log_T = np.abs(np.log(B * B)) + abs(self.curve.log_scale)
        size = np.where(penalty > 0, 64 + 8 * self.penalty_power * log_T, 0.0)
        return np.finfo(float).eps * penalty * size

    def _branches(self) -> list[Branch]:
        if self.curve.trivial:
            return []
        return [Branch(self.curve, piece) for piece in self.curve.pieces]
