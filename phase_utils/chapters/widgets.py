"""Live figures that need no kernel: drawn in the page, and the same as widgets in live Jupyter.

See `phase_utils.chapters.live` for what each is made of.
"""

from phase_utils.chapters.live.activation_order import activation_order
from phase_utils.chapters.live.augmentation import augmentation
from phase_utils.chapters.live.cascade import cascade
from phase_utils.chapters.live.deep_limit import deep_limit
from phase_utils.chapters.live.equation_of_state import equation_of_state
from phase_utils.chapters.live.figure import LiveFigure
from phase_utils.chapters.live.gibbs_measure import gibbs_measure
from phase_utils.chapters.live.heat_bath import heat_bath
from phase_utils.chapters.live.landscape import landscape
from phase_utils.chapters.live.latents import latents
from phase_utils.chapters.live.lower_envelope import lower_envelope
from phase_utils.chapters.live.norm_power import norm_power
from phase_utils.chapters.live.phase_diagram import phase_diagram
from phase_utils.chapters.live.pitchfork import pitchfork
from phase_utils.chapters.live.residual_ray import residual_ray
from phase_utils.chapters.live.ridge_poles import ridge_poles

__all__ = [
    "LiveFigure",
    "activation_order",
    "augmentation",
    "cascade",
    "deep_limit",
    "equation_of_state",
    "gibbs_measure",
    "heat_bath",
    "landscape",
    "latents",
    "lower_envelope",
    "norm_power",
    "phase_diagram",
    "pitchfork",
    "residual_ray",
    "ridge_poles",
]
