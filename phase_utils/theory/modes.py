"""Networks with several outputs and white inputs: every singular value of E[xy] on its own."""

from typing import Any

import numpy as np

from phase_utils._check import Array, integer, non_negative
from phase_utils.theory.landscape import GlobalMinimum, Landscape
from phase_utils.theory.moments import Moments
from phase_utils.theory.transitions import Transition

WHITE = 1e-9  # relative deviation of A0 from a multiple of the identity that counts as rounding


class Modes:
    """The landscape of k outputs for white inputs, A0 = a I, without neuron noise.

    With E[xy] = sum_j sigma_j v_j w_j^T, eliminating all but the end-to-end matrix beta leaves

        L(gamma) = min_beta a |beta|^2 - 2 tr(beta E[xy]) + E|y|^2 + gamma (D+1) sum_j b_j^(2/(D+1))

    with b_j the singular values of beta (Schatten quasi-norm). By von Neumann's trace inequality
    beta shares the singular vectors of E[xy], so each mode is a scalar problem with signal sigma_j:
    one transition per singular value, of the order of the scalar one.

    Parameters
    ----------
    moments : Moments with A0 = a I and any number of outputs k.
    depth : number of hidden layers D, integer >= 0.
    width : hidden width, integer >= 1, or None for at least the rank of E[xy]. A network of a
        smaller width learns the `width` strongest modes only.

    Attributes
    ----------
    singular_values : (r,) array, the sigma_j > 0, descending.
    landscapes : tuple of the r scalar `Landscape`, in the same order.

    Raises
    ------
    ValueError
        Where A0 is not a multiple of the identity, or an argument is out of range.

    Notes
    -----
    The loss is certified as that of `Landscape` is; the transitions are computed to rounding.

    Inputs that are not white couple the modes. So does neuron noise: at D = 1 it adds
    (a s2/d0) (sum_j b_j)^2, the square of the nuclear norm, so that a learned mode acts on the
    others as additional decay. The strongest mode still appears at gamma = sigma_1, but the second
    one at sigma_2 - (s2/d0) (sigma_1 - sigma_2) instead of sigma_2: with a = 1, sigma = (0.5, 0.4),
    s2/d0 = 0.5 at 0.35, where trained networks have it too (tests/test_modes.py). For D >= 2 noise
    is not covered.
    """

    def __init__(self, moments: Moments, depth: Any = 2, width: Any = None) -> None:
        if not isinstance(moments, Moments):
            raise ValueError(f"moments must be a Moments, got {type(moments).__name__}")
        a = float(np.trace(moments.A0)) / moments.d
        deviation = float(np.abs(moments.A0 - a * np.eye(moments.d)).max())
        if deviation > WHITE * a:
            raise ValueError(
                "A0 must be a multiple of the identity for modes that decouple, "
                f"got entries that deviate by {deviation:.3g} from {a:.3g} I"
            )
        self.moments, self.depth = moments, integer("depth", depth, minimum=0)
        self.width = None if width is None else integer("width", width, minimum=1)
        sigma = np.linalg.svd(moments.Exy.reshape(moments.d, -1), compute_uv=False)
        rank = int(np.sum(sigma > len(sigma) * np.finfo(float).eps * sigma[0]))
        if self.width is not None and self.depth > 0:
            rank = min(rank, self.width)
        self.singular_values: Array = np.array(sigma[:rank], dtype=np.float64)
        self.landscapes = tuple(
            Landscape(Moments.isotropic(1, a, s), self.depth) for s in self.singular_values.tolist()
        )

    def global_minimum(self, gamma: Any) -> GlobalMinimum:
        """Certified minimum over all modes, arrays of the shape of gamma >= 0.

        B is |beta|^(1/(D+1)) with the Frobenius norm, as `LinearNetwork.order_parameter` has it;
        slope is dL/dgamma = |w|^2. The gaps of the modes add up.
        """
        gamma = non_negative("gamma", gamma)
        loss = np.full(gamma.shape, self.moments.Eyy)
        rounding = (len(self.landscapes) + 1) * np.finfo(float).eps * self.moments.Eyy
        slope, gap = np.zeros(gamma.shape), np.full(gamma.shape, rounding)
        square = np.zeros(gamma.shape)
        for landscape in self.landscapes:
            mode = landscape.global_minimum(gamma)
            loss += mode.loss - landscape.moments.Eyy
            slope += mode.slope
            gap += mode.gap
            square += mode.B ** (2 * (self.depth + 1))
        return GlobalMinimum(square ** (0.5 / (self.depth + 1)), loss, slope, gap)

    def transitions(self) -> list[Transition]:
        """One transition per mode for D >= 1, ascending in gamma; B and heat are of that mode."""
        found = [t for landscape in self.landscapes for t in landscape.transitions()]
        return sorted(found, key=lambda transition: transition.gamma)


def mode_transitions(moments: Moments, depth: Any = 2, width: Any = None) -> list[Transition]:
    """All transitions of a network with k outputs and white inputs, see `Modes`."""
    return Modes(moments, depth, width).transitions()
