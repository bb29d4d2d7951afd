"""The effective landscape of a deep linear network and its certified global minimum."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from phase_utils._check import Array, integer, non_negative, scalar
from phase_utils.curve import Curve
from phase_utils.moments import Moments
from phase_utils.transitions import Branch, Spinodal, Transition, find_spinodals, find_transitions


@dataclass(frozen=True)
class GlobalMinimum:
    """The global minimum at each weight decay, arrays of the shape of gamma.

    B : order parameter of a minimiser (>= 0); at a coexistence point, of one of the two.
    loss : L(gamma).  slope : dL/dgamma = |w|^2 = (D+1) B^2 there.
    gap : certified bound on loss - L(gamma), rounding included.
    """

    B: Array
    loss: Array
    slope: Array
    gap: Array


class Landscape:
    """The effective loss of Eq. 6 for scalar outputs and equal weight decay in all layers.

    Parameters
    ----------
    moments : Moments with k = 1.
    depth : number of hidden layers D, integer >= 0 (0 is ridge regression).
    width : hidden width d0, integer >= 1; needed only where there is noise.
    noise_variance : variance >= 0 of the multiplicative mean-one noise on each hidden neuron.

    Raises
    ------
    ValueError
        Names the argument and the rule it breaks.

    Notes
    -----
    Width and noise enter only through N = (1 + noise_variance / width)^D. The order parameter is
    B = d0 |b| with the paper's b; |beta| = B^(D+1) for the end-to-end vector beta at a minimum.
    `gamma` multiplies |w|^2, so torch's `weight_decay` is 2 gamma.
    """

    def __init__(
        self, moments: Moments, depth: Any = 2, width: Any = None, noise_variance: Any = 0.0
    ) -> None:
        if not isinstance(moments, Moments):
            raise ValueError(f"moments must be a Moments, got {type(moments).__name__}")
        if moments.k != 1:
            raise ValueError(f"moments must have one output, got k = {moments.k}")
        self.moments = moments
        self.depth = integer("depth", depth, minimum=0)
        self.width = None if width is None else integer("width", width, minimum=1)
        self.noise_variance = scalar("noise_variance", noise_variance, minimum=0)
        if self.noise_variance > 0 and self.width is None:
            raise ValueError("width must be given where noise_variance > 0, got None")
        ratio = self.noise_variance / self.width if self.width else 0.0
        log_N = self.depth * float(np.log1p(ratio))
        with np.errstate(over="ignore"):
            self.noise_factor = float(np.exp(log_N))
        signals = moments.signals.reshape(-1)
        self.curve = Curve(moments.eigenvalues, signals, moments.Eyy, self.depth, log_N)

    def loss(self, B: Any, gamma: Any) -> Array:
        """Eq. 6 at B >= 0 and gamma >= 0 (broadcast together), depth >= 1.

        At gamma = 0 every B > 0 has the same loss, because the first layer adapts to it.
        """
        if self.depth == 0:
            raise ValueError("depth must be >= 1 for a landscape in B: ridge has no hidden layer")
        B, gamma = np.broadcast_arrays(non_negative("B", B), non_negative("gamma", gamma))
        with np.errstate(divide="ignore"):
            x = 2 * self.depth * np.log(B) - np.log(gamma)
        x = np.where(B == 0, -np.inf, x)
        taken = (self.curve.gain * expit(x[..., None] + self.curve.log_a)).sum(axis=-1)
        return self.moments.Eyy - taken + gamma * self.depth * B**2

    def stationary(self, gamma: Any) -> tuple[Array, Array]:
        """All stationary B > 0 at one gamma > 0, ascending, and their kinds (-1 min, 1 max)."""
        gamma = scalar("gamma", gamma, minimum=0, strict=True)
        found = [
            (float(np.sqrt(self.curve.norm(branch.invert(np.array([gamma])))[0])), branch.kind)
            for branch in self._branches()
            if branch.low < gamma < branch.high
        ]
        found.sort()
        return np.array([B for B, _ in found]), np.array([kind for _, kind in found], dtype=int)

    def minima(self, gamma: Any) -> Array:
        """All local minima B >= 0 at one gamma > 0, ascending; 0 is included where it is one."""
        B, kind = self.stationary(gamma)
        origin = [0.0] if self._origin_is_minimum(float(gamma)) else []
        return np.concatenate([origin, B[kind < 0]])

    def global_minimum(self, gamma: Any) -> GlobalMinimum:
        """Certified L(gamma), vectorised over gamma >= 0.

        Every branch of minima is evaluated where it exists; on a branch the data loss is a convex
        function of R, so that the residual in gamma times the length of the branch in R bounds
        what Newton's method left; maxima lie above their neighbours; unresolved pieces of the
        curve (next to a degenerate turning point) are bounded from both ends.
        At gamma = 0 the minimiser is the limit from above.
        """
        gamma = non_negative("gamma", gamma)
        flat = gamma.reshape(-1)
        loss = np.full(flat.shape, self.moments.Eyy)
        B, lower = np.zeros_like(flat), loss.copy()
        for branch in self._branches():
            here = (flat < branch.high) & ((flat > branch.low) | branch.last)
            if branch.kind > 0 or not here.any():
                continue
            value, u, bound = branch.minimum(flat[here])
            better = value < loss[here]
            rows = np.flatnonzero(here)
            loss[rows[better]], B[rows[better]] = value[better], np.sqrt(u[better])
            lower[rows] = np.minimum(lower[rows], bound)
        for branch in self._branches():
            if branch.kind == 0:
                lower = np.minimum(lower, branch.floor(flat))
        slope = (self.depth + 1) * B**2
        rounding = 64 * np.finfo(float).eps * (self.moments.Eyy + flat * slope)
        gap = np.maximum(loss - lower, 0) + rounding
        shape = gamma.shape
        return GlobalMinimum(*(v.reshape(shape) for v in (B, loss, slope, gap)))

    def transitions(self) -> list[Transition]:
        """All phase transitions of the global minimum in gamma > 0, ascending."""
        return find_transitions(self._branches(), self.moments, self.depth)

    def spinodals(self) -> list[Spinodal]:
        """Ends of metastable branches (dgamma/dB = 0 on the stationary curve), ascending."""
        return find_spinodals(self._branches())

    def paper_b(self, B: Any) -> Array:
        """The paper's b = B / d0."""
        if self.width is None:
            raise ValueError("width must be given to convert B to the paper's b, got None")
        return non_negative("B", B) / self.width

    def _origin_is_minimum(self, gamma: float) -> bool:
        if self.curve.trivial or self.depth > 1:
            return True
        return self.depth == 1 and gamma >= self.moments.signal

    def _branches(self) -> list[Branch]:
        if self.curve.trivial:
            return []
        return [Branch(self.curve, piece) for piece in self.curve.pieces]
