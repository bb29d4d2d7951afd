"""The gaps of a measured curve's grid: do both branches, continued into them, meet or cross?"""

import numpy as np

from phase_utils._check import Array
from phase_utils.sweeps.sides import Side

INSIDE = np.linspace(0.0, 1.0, 5)  # places within a gap where the branches are compared


class Gaps:
    """The intervals between neighbouring gammas, with the branches below and above each.

    Parameters
    ----------
    gamma, loss, slope : (m,) array
        The measured curve, gamma ascending.

    Attributes
    ----------
    low, high, width : (m-1,) array
        The ends of every gap, and its width.
    below, above : Side
        The branches on both sides.
    known : (m-1,) array of bool
        Whether both branches have two points or more.

    Examples
    --------
    >>> gamma = np.linspace(0, 1, 12)
    >>> slope = np.where(gamma < 0.5, 2.0, 1.0)  # a kink of the loss at 0.5
    >>> gaps = Gaps(gamma, np.minimum(2 * gamma, 0.5 + gamma), slope)
    >>> int(np.argmax(gaps.slope_gap()[0])), round(float(gaps.crossing()[0][5]), 6)
    (5, 0.5)
    """

    def __init__(self, gamma: Array, loss: Array, slope: Array) -> None:
        self.low, self.high, self.width = gamma[:-1], gamma[1:], np.diff(gamma)
        self.loss, self.slope = loss, slope
        self.below, self.above = (Side(gamma, loss, slope, step) for step in (-1, 1))
        self.known = self.below.known & self.above.known

    def slope_difference(self, gamma: Array) -> tuple[Array, Array]:
        """Slope of the branch below minus that of the branch above.

        Parameters
        ----------
        gamma : (m-1,) array
            One place per gap.

        Returns
        -------
        difference, error : (m-1,) array
            With its standard error.
        """
        (a, a_error), (b, b_error) = self.below.slope_at(gamma), self.above.slope_at(gamma)
        return a - b, np.hypot(a_error, b_error)

    def slope_gap(self) -> tuple[Array, Array]:
        """How far the branches stay apart all through the gap.

        Returns
        -------
        significance, error : (m-1,) array
            The least distance of the slopes in units of its error; the largest error.
        """
        places = [self.slope_difference(self.low + x * self.width) for x in INSIDE]
        difference, error = (np.array(values) for values in zip(*places, strict=True))
        apart = np.all(difference > 0, axis=0) | np.all(difference < 0, axis=0)
        significance = np.min(np.abs(difference) / error, axis=0)
        return np.where(apart & self.known, significance, 0.0), error.max(axis=0)

    def loss_excess(self) -> tuple[Array, Array]:
        """Change of the loss beyond what the slopes allow by the mean value theorem.

        Returns
        -------
        excess, error : (m-1,) array
            With its standard error.

        Notes
        -----
        Within the gap the slope lies between those at the ends, and outside by no more than the
        curvature of the neighbouring points lets it overshoot.
        """
        change, ends = np.diff(self.loss), np.stack([self.slope[:-1], self.slope[1:]])
        rate = np.diff(self.slope) / self.width
        bend = np.pad(np.abs(np.diff(rate)), 2)
        overshoot = np.maximum(bend[:-3], bend[3:]) / 4
        around = np.pad(rate, 1)
        before, after = around[:-2], around[2:]
        turns = before * after < 0
        overshoot += np.where(turns, np.minimum(np.abs(before), np.abs(after)), 0.0)
        overshoot *= self.width
        low, high = ends.min(axis=0) - overshoot, ends.max(axis=0) + overshoot
        excess = change - np.clip(change, low * self.width, high * self.width)
        slopes = self.width * np.hypot(self.below.noise, self.above.noise)
        return excess, np.hypot(slopes, np.hypot(self.below.loss_noise, self.above.loss_noise))

    def crossing(self) -> tuple[Array, Array]:
        """Where the continued losses are equal.

        Returns
        -------
        gamma, error : (m-1,) array
            Kept within the gap, with its standard error.
        """
        gamma = (self.low + self.high) / 2
        for _ in range(30):
            difference = self.below.loss_at(gamma) - self.above.loss_at(gamma)
            jump = self.slope_difference(gamma)[0]
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                step = np.nan_to_num(difference / jump, posinf=0.0, neginf=0.0)
            gamma = np.clip(gamma - step, self.low, self.high)
        jump, error = self.slope_difference(gamma)
        level = np.hypot(self.below.anchor_error, self.above.anchor_error)
        return gamma, np.hypot(level, error * self.width) / np.maximum(np.abs(jump), 1e-300)

    def kinks(self) -> tuple[Array, Array, Array]:
        """Where the continued slopes cross.

        Returns
        -------
        gamma, error, significance : (m-1,) array
            The significance of the kink, the change of the slope's derivative in units of its
            error, is zero where the slopes do not cross within the gap.
        """
        middle = (self.low + self.high) / 2
        difference, error = self.slope_difference(middle)
        (a, a_error), (b, b_error) = (
            side.derivative_at(middle) for side in (self.below, self.above)
        )
        turn = np.where(a == b, np.inf, a - b)
        gamma, gamma_error = middle - difference / turn, error / np.abs(turn)
        inside = np.abs(gamma - middle) <= self.width / 2 + 2 * gamma_error
        spread = np.hypot(a_error, b_error)
        significance = np.divide(np.abs(a - b), spread, out=np.zeros_like(a), where=spread > 0)
        return gamma, gamma_error, np.where(inside & self.known, significance, 0.0)

    def unforeseen(self) -> Array:
        """How well the slope at the other end of a gap is foretold.

        Returns
        -------
        (m-1,) array
            The error of the better of both branches.
        """
        errors = []
        for side, end, seen in (
            (self.below, self.high, self.slope[1:]),
            (self.above, self.low, self.slope[:-1]),
        ):
            value, error = side.slope_at(end)
            errors.append(np.where(side.known, np.abs(value - seen) + error, np.inf))
        return np.minimum(*errors)
