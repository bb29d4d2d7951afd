"""Where a network stops learning as weight decay grows, and whether gently or with a jump."""

from importlib import import_module
from typing import Any

from phase_utils.classify import NoTransition, Undetermined, classify
from phase_utils.diagnose import Diagnosis, diagnose
from phase_utils.hysteresis import hysteresis
from phase_utils.images import Images, images
from phase_utils.initialisation import LearningBasin, learning_basin, learning_basin_init
from phase_utils.landau import Landau, expand_landau
from phase_utils.landscape import GlobalMinimum, Landscape
from phase_utils.langevin import Chains, langevin
from phase_utils.minibatches import Minibatches, train_minibatches
from phase_utils.modes import Modes, mode_transitions
from phase_utils.modules import ModuleProblem
from phase_utils.moments import Moments
from phase_utils.networks import LinearNetwork
from phase_utils.origin import Origin, TrivialPoint, expand_origin, trivial_point
from phase_utils.phase_diagram import phase_diagram
from phase_utils.quotient import Quotient, collapse_quotient
from phase_utils.regularisers import norm_power_penalty
from phase_utils.rescaled import RescaledLandscape, rescaled_landscape
from phase_utils.resnet import ResNet18
from phase_utils.settings import Settings
from phase_utils.sweeps import sweep
from phase_utils.training import Result, train
from phase_utils.transitions import Spinodal, Transition

# loaded when first used: these need matplotlib, scikit-learn or the notebook tools
_LAZY = ("chapters", "claims", "data", "grid", "plotting", "provenance")

__all__ = [
    "Chains",
    "Diagnosis",
    "GlobalMinimum",
    "Images",
    "Landau",
    "Landscape",
    "LearningBasin",
    "LinearNetwork",
    "Minibatches",
    "Modes",
    "ModuleProblem",
    "Moments",
    "NoTransition",
    "Origin",
    "Quotient",
    "ResNet18",
    "RescaledLandscape",
    "Result",
    "Settings",
    "Spinodal",
    "Transition",
    "TrivialPoint",
    "Undetermined",
    "classify",
    "collapse_quotient",
    "diagnose",
    "expand_landau",
    "expand_origin",
    "hysteresis",
    "images",
    "langevin",
    "learning_basin",
    "learning_basin_init",
    "mode_transitions",
    "norm_power_penalty",
    "phase_diagram",
    "rescaled_landscape",
    "sweep",
    "train",
    "train_minibatches",
    "trivial_point",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"phase_utils.{name}")
    raise AttributeError(f"module 'phase_utils' has no attribute {name!r}")
