"""Networks with several outputs and white inputs: every singular value of E[xy] on its own."""

import numpy as np
from numpy.typing import ArrayLike

from phase_utils._check import Array, integer, non_negative
from phase_utils.theory.landscape import Landscape
from phase_utils.theory.minimum import GlobalMinimum
from phase_utils.theory.moments import Moments
from phase_utils.theory.transitions import Transition
from phase_utils.theory.units import EPS

WHITE = 1e-9  # relative spread of the eigenvalues of A0 that counts as rounding
SMALLEST_NORMAL = float(np.finfo(float).tiny)


class Modes:
    """The landscape of k outputs for white inputs, A0 = a I, without neuron noise.

    Parameters
    ----------
    moments : Moments
        With A0 = a I and any number of outputs k.
    depth : int
        Number of hidden layers D >= 0.
    width : int, optional
        Hidden width >= 1; None for at least the rank of E[xy]. A network of a smaller width learns
        the `width` strongest modes only.

    Attributes
    ----------
    moments, depth, width : Moments, int, int or None
        As given.
    singular_values : (r,) array
        The sigma_j > 0, descending.
    landscapes : tuple of Landscape
        The r scalar landscapes, in the same order.

    Raises
    ------
    ValueError
        Where A0 is not a multiple of the identity, or an argument is out of range.

    Notes
    -----
    With E[xy] = sum_j sigma_j v_j w_j^T, eliminating all but the end-to-end matrix beta leaves

        L(gamma) = min_beta a |beta|^2 - 2 tr(beta E[xy]) + E|y|^2 + gamma (D+1) sum_j b_j^(2/(D+1))

    with b_j the singular values of beta (Schatten quasi-norm). By von Neumann's trace inequality
    beta shares the singular vectors of E[xy], so each mode is a scalar problem with signal sigma_j:
    one transition per singular value, of the order of the scalar one.

    For D >= 2 and distinct sigma_j the local minima over all weights are, up to symmetry, exactly
    the sets of the m strongest modes, m = 0, 1, ..., each on its stable branch, `minima(gamma)[-1]`
    of its landscape (proved in chapter 22): 1 plus the number of `landscapes` whose spinodal lies
    above gamma.

    The loss is certified as that of `Landscape` is, for the singular values as computed; the
    transitions are computed to rounding.

    Inputs that are not white couple the modes. So does neuron noise: at D = 1 it adds
    (a s2/d0) (sum_j b_j)^2, the square of the nuclear norm, so that a learned mode acts on the
    others as additional decay. The strongest mode still appears at gamma = sigma_1, but the second
    one at sigma_2 - (s2/d0) (sigma_1 - sigma_2) instead of sigma_2: with a = 1, sigma = (0.5, 0.4),
    s2/d0 = 0.5 at 0.35, where trained networks have it too (tests/test_modes.py). For D >= 2 noise
    is not covered.

    Examples
    --------
    >>> import numpy as np
    >>> import phase_utils as pu
    >>> modes = pu.Modes(pu.Moments(np.eye(2), np.diag([0.5, 0.3]), 0.4), depth=2)
    >>> modes.singular_values.tolist()
    [0.5, 0.3]
    """

    def __init__(self, moments: Moments, depth: int = 2, width: int | None = None) -> None:
        if not isinstance(moments, Moments):
            raise ValueError(f"moments must be a Moments, got {type(moments).__name__}")
        low, high = float(moments.eigenvalues[0]), float(moments.eigenvalues[-1])
        if high - low > WHITE * high:
            raise ValueError(
                "A0 must be a multiple of the identity for modes that decouple, "
                f"got eigenvalues from {low:.10g} to {high:.10g}"
            )
        a = low + (high - low) / 2
        self.moments, self.depth = moments, integer("depth", depth, minimum=0)
        self.width = None if width is None else integer("width", width, minimum=1)
        sigma = np.linalg.svd(moments.Exy.reshape(moments.d, -1), compute_uv=False)
        rank = int(np.sum(sigma > len(sigma) * EPS * sigma[0]))
        if self.width is not None and self.depth > 0:
            rank = min(rank, self.width)
        self.singular_values: Array = np.array(sigma[:rank], dtype=np.float64)
        self.landscapes = tuple(
            # what a mode can explain, though it may be too little for a float
            Landscape(Moments.isotropic(1, a, s, max(s / a * s, SMALLEST_NORMAL)), self.depth)
            for s in self.singular_values.tolist()
        )

    def global_minimum(self, gamma: ArrayLike) -> GlobalMinimum:
        """Certified minimum over all modes.

        Parameters
        ----------
        gamma : array_like
            Weight decays >= 0.

        Returns
        -------
        GlobalMinimum
            Arrays of the shape of gamma. B is |beta|^(1/(D+1)) with the Frobenius norm, as
            `LinearNetwork.order_parameter` has it; slope is dL/dgamma = |w|^2. The gaps of the
            modes add up.

        Raises
        ------
        ValueError
            For a gamma that is negative or not finite.

        Examples
        --------
        >>> import numpy as np
        >>> import phase_utils as pu
        >>> modes = pu.Modes(pu.Moments(np.eye(2), np.diag([0.5, 0.3]), 0.4), depth=2)
        >>> modes.global_minimum([0.05, 0.1, 0.2]).loss.round(6).tolist()
        [0.211396, 0.321418, 0.4]
        """
        gamma = non_negative("gamma", gamma)
        loss = np.full(gamma.shape, self.moments.Eyy)
        rounding = (len(self.landscapes) + 1) * EPS * self.moments.Eyy
        slope, gap = np.zeros(gamma.shape), np.full(gamma.shape, rounding)
        norm = np.zeros(gamma.shape)
        for landscape in self.landscapes:
            mode = landscape.global_minimum(gamma)
            loss += mode.loss - landscape.moments.Eyy
            slope += mode.slope
            gap += mode.gap
            norm = np.hypot(norm, mode.B ** (self.depth + 1))
        return GlobalMinimum(norm ** (1 / (self.depth + 1)), loss, slope, gap)

    def transitions(self) -> list[Transition]:
        """One transition per mode for D >= 1.

        Returns
        -------
        list of Transition
            Ascending in gamma; B and latent heat are of that mode.

        Examples
        --------
        >>> import numpy as np
        >>> import phase_utils as pu
        >>> modes = pu.Modes(pu.Moments(np.eye(2), np.diag([0.5, 0.3]), 0.4), depth=1)
        >>> [(t.order, round(t.gamma, 6)) for t in modes.transitions()]
        [(2, 0.3), (2, 0.5)]
        """
        found = [t for landscape in self.landscapes for t in landscape.transitions()]
        return sorted(found, key=lambda transition: transition.gamma)


def mode_transitions(
    moments: Moments, depth: int = 2, width: int | None = None
) -> list[Transition]:
    """All transitions of a network with k outputs and white inputs, see `Modes`.

    Parameters
    ----------
    moments : Moments
        With A0 = a I and any number of outputs k.
    depth : int
        Number of hidden layers D >= 0.
    width : int, optional
        Hidden width >= 1; None for at least the rank of E[xy].

    Returns
    -------
    list of Transition
        Ascending in gamma.

    Raises
    ------
    ValueError
        Where A0 is not a multiple of the identity, or an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import phase_utils as pu
    >>> moments = pu.Moments(np.eye(2), np.diag([0.5, 0.3]), 0.4)
    >>> [(t.order, round(t.gamma, 6)) for t in pu.mode_transitions(moments, depth=2)]
    [(1, 0.079699), (1, 0.15749)]
    """
    return Modes(moments, depth, width).transitions()
