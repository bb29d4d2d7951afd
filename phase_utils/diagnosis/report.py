"""What a diagnosis says, in numbers, words and a picture."""

import html
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from phase_utils._check import Array, instance
from phase_utils._extras import brought_by
from phase_utils.diagnosis.adamw import AdamWFade
from phase_utils.diagnosis.landau import Landau

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Evidence:
    """What a diagnosis rests on.

    Attributes
    ----------
    statement : str
        The verdict in words, with what it does not exclude.
    reason : str
        Why there is no gamma_origin, or that it is a closed form; else empty.
    starts : int
        Number of ascents.
    kinds : tuple of str
        Kind of start of each ascent ("own", "fresh", "steepest", "unit"), best first.
    values : (starts,) array
        The gamma in which they ended, best first.
    hits : dict of str to (int, int)
        For each kind of start, how many came within .1 % of the best, and of how many.
    square, latent_heat : float
        R at the best state beyond that of the blind network, and the loss it buys there; 0 for a
        continuous transition.
    blind_loss, blind_square : float
        F and R of the best blind network at gamma_coexistence.
    blind_spread : float
        How far the output of the blind weights is from constant on the data, in units of the
        spread of the network as given. Where it is not small the reference is not attained, and
        the bound is low, not wrong.
    lines : (m, 2) array
        l0 and R of the states that the best ascent passed.
    blind : (k, 2) array
        gamma and F(gamma) at some decays.
    shrinking, growing : tuple of str
        Parameters whose sizes run away where the transition is unbounded.
    noise : float or None
        Standard error of gamma_coexistence over fresh draws; None for a model without noise.
    resolution : float
        Relative rounding of the losses.
    landau : Landau or None
        The expansion along the soft modes, where there is one.
    coexistence_measured : float or None
        Crossing of trained losses; None unless hysteresis was asked for.
    learned_end_error : float or None
        Half of the bracket of gamma_learned_end.
    hysteresis_width : float or None
        (gamma_learned_end - gamma_origin) / gamma_learned_end.
    """

    statement: str
    reason: str
    starts: int
    kinds: tuple[str, ...]
    values: Array
    hits: Mapping[str, tuple[int, int]]
    square: float
    latent_heat: float
    blind_loss: float
    blind_square: float
    blind_spread: float
    lines: Array
    blind: Array
    shrinking: tuple[str, ...]
    growing: tuple[str, ...]
    noise: float | None
    resolution: float
    landau: Landau | None
    coexistence_measured: float | None
    learned_end_error: float | None
    hysteresis_width: float | None


@dataclass(frozen=True)
class Diagnosis:
    """Where a network stops paying for its weights as gamma grows, and how.

    gamma is the factor of the penalty R; `unit` says of which.

    Attributes
    ----------
    gamma_origin : float or None
        Above it the blind state is a local minimum; None with `evidence.reason`.
    gamma_coexistence : float
        Above it the best network is blind to its input. A lower bound, found by ascent: at every
        smaller gamma the weights beat the blind network that was found. inf where the search finds
        no end, 0 where nothing was learned.
    gamma_upper : float or None
        A bound from above, for one hidden layer under a convex loss; else None, since no theorem
        gives one: for more layers, and where biases decay, a constant output pays, and units of
        zero weights (sigmoid, softplus) can make it.
    gamma_learned_end : float or None
        Above it no learned state was found on the branch; None unless asked for.
    order : {"continuous", "first", "unbounded", "none"}
        "unbounded" where no finite gamma collapses the network, "none" where there is no
        transition to find.
    unit : str
        What gamma is, in words.
    weight_decay : float or None
        gamma_coexistence as the `weight_decay` of an optimiser; None for a penalty of one's own,
        and for an optimiser that decays apart from the gradient, as AdamW does.
    evidence : Evidence
        What this rests on.
    adamw : AdamWFade or None
        What AdamW does instead, where `optimizer` was one: a fade, and perhaps a jump.
    weights : dict of str to Tensor
        Trainable parameters by name at the best state found, for `load_state_dict(...,
        strict=False)`: a start in the basin of the learned state.
    """

    gamma_origin: float | None
    gamma_coexistence: float
    gamma_upper: float | None
    gamma_learned_end: float | None
    order: str
    unit: str
    weight_decay: float | None
    evidence: Evidence
    adamw: AdamWFade | None
    weights: dict[str, Tensor]

    def __str__(self) -> str:
        rows = [f"{name:18s} {value}" for name, value in self._rows()]
        said = [self._sentence(), *rows, self.evidence.statement]
        return "\n".join([*said, *([] if self.adamw is None else [str(self.adamw)])])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self._rows()
        )
        first, last = html.escape(self._sentence()), html.escape(self.evidence.statement)
        return f"<p>{first}</p><table>{rows}</table><p>{last}</p>"

    def plot(self, axes: "Axes | None" = None) -> "Axes":
        """Draw what the learned states gain over the blind network against gamma.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            Where to draw; default new ones.

        Returns
        -------
        matplotlib Axes
            (l0 + gamma R - F)/F of every state of the best ascent, a straight line where F is
            constant; their lower envelope bounds L(gamma) from above. Ticks on the axis are the
            ends of all ascents, dashed lines gamma_coexistence and gamma_upper.

        Raises
        ------
        ValueError
            For `axes` of another kind.

        Examples
        --------
        >>> import matplotlib
        >>> import torch
        >>> import phase_utils as pu
        >>> matplotlib.use("agg")
        >>> _ = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(
        ...     torch.nn.Linear(1, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)
        ... )
        >>> x = torch.tensor([[-1.0], [0.0], [1.0]])
        >>> found = pu.diagnose(model, torch.nn.functional.mse_loss, (x, x), starts=2)
        >>> found.plot().get_ylabel()
        '(l - F) / F'
        """
        with brought_by("book", "Diagnosis.plot"):
            import matplotlib.pyplot as plt
            from matplotlib.axes import Axes
        if axes is None:
            axes = plt.subplots(figsize=(6, 3.4))[1]
        instance("axes", axes, Axes, "matplotlib Axes or None")
        gamma, level = self.evidence.blind.T
        scale = max(abs(float(level[-1])), 1e-300)
        if len(self.evidence.lines) and len(gamma) > 1:
            loss, square = self.evidence.lines.T
            excess = (loss[:, None] + gamma * square[:, None] - level) / scale
            axes.plot(gamma, excess.T, lw=0.7, color="0.6")
            axes.plot(gamma, excess.min(0), label="best state found")
            axes.set_ylim(min(1.15 * float(excess.min()), -1e-12), 0.3 * abs(float(excess.min())))
        axes.axhline(0, color="0.3", lw=1, label="blind network")
        if 0 < self.gamma_coexistence < math.inf:
            axes.axvline(self.gamma_coexistence, ls="--", lw=1, color="C1", label="coexistence")
        if self.gamma_upper is not None:
            axes.axvline(self.gamma_upper, ls=":", lw=1, color="C2", label="upper bound")
        ends = self.evidence.values[np.isfinite(self.evidence.values)]
        axes.plot(ends, np.zeros(len(ends)), "|", ms=12, color="C1", clip_on=False)
        axes.set_xlabel(r"$\gamma$")
        axes.set_ylabel("(l - F) / F")
        axes.legend(loc="best", fontsize="small")
        return axes

    def _rows(self) -> list[tuple[str, str]]:
        def shown(value: float | None) -> str:
            return "-" if value is None else f"{value:.6g}"

        noise = self.evidence.noise
        coexistence = shown(self.gamma_coexistence)
        if noise is not None:
            coexistence += f" +- {noise:.2g}"
        rows = [
            ("order", self.order),
            ("gamma_origin", shown(self.gamma_origin)),
            ("gamma_coexistence", coexistence),
            ("gamma_upper", shown(self.gamma_upper)),
            ("gamma_learned_end", shown(self.gamma_learned_end)),
            ("weight_decay", shown(self.weight_decay)),
            ("unit", self.unit),
        ]
        if self.evidence.reason:
            rows.append(
                (
                    "no gamma_origin" if self.gamma_origin is None else "gamma_origin by",
                    self.evidence.reason,
                )
            )
        return rows

    def _sentence(self) -> str:
        if self.adamw is not None:
            return (
                "AdamW does not follow the landscape below, which is that of SGD or Adam: under it "
                "learning fades, as the last lines say."
            )
        at = f"gamma = {self.gamma_coexistence:.4g}"
        if self.weight_decay is not None and math.isfinite(self.weight_decay):
            at = f"weight_decay = {self.weight_decay:.4g}"
        if self.order == "continuous":
            return f"Up to {at} learning pays; it fades to nothing there, without a jump."
        if self.order == "first":
            return f"Up to {at} learning pays; there the best network becomes blind with a jump."
        if self.order == "unbounded":
            return "No finite decay makes the best network blind: sizes of tensors run away."
        if self.gamma_coexistence == math.inf:
            return "Learning pays at every decay, a little: there is no transition."
        return "Nothing that was tried learned anything at any decay."
