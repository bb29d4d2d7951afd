"""Where a network stops learning as weight decay grows, and whether gently or with a jump.

Every public name is listed here and loaded when it is first used: asking for a landscape loads
neither torch nor the tools of notebooks.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING

from phase_utils._extras import brought_by

if TYPE_CHECKING:
    from phase_utils import chapters as chapters
    from phase_utils.chapters import claims as claims
    from phase_utils.chapters import data as data
    from phase_utils.chapters import grid as grid
    from phase_utils.chapters import plotting as plotting
    from phase_utils.chapters import provenance as provenance
    from phase_utils.chapters import records as records
    from phase_utils.chapters import widgets as widgets
    from phase_utils.chapters import words as words
    from phase_utils.chapters.images import Images as Images
    from phase_utils.chapters.images import images as images
    from phase_utils.chapters.minibatches import Minibatches as Minibatches
    from phase_utils.chapters.minibatches import train_minibatches as train_minibatches
    from phase_utils.chapters.resnet import ResNet18 as ResNet18
    from phase_utils.diagnosis.adamw import AdamWFade as AdamWFade
    from phase_utils.diagnosis.adamw import adamw_fade as adamw_fade
    from phase_utils.diagnosis.diagnose import Diagnosis as Diagnosis
    from phase_utils.diagnosis.diagnose import diagnose as diagnose
    from phase_utils.diagnosis.landau import Landau as Landau
    from phase_utils.diagnosis.landau import expand_landau as expand_landau
    from phase_utils.diagnosis.origin import Origin as Origin
    from phase_utils.diagnosis.origin import expand_origin as expand_origin
    from phase_utils.diagnosis.quotient import Quotient as Quotient
    from phase_utils.diagnosis.quotient import collapse_quotient as collapse_quotient
    from phase_utils.diagnosis.rehearse import Rehearsal as Rehearsal
    from phase_utils.diagnosis.rehearse import rehearse as rehearse
    from phase_utils.diagnosis.rescaled import RescaledLandscape as RescaledLandscape
    from phase_utils.diagnosis.rescaled import rescaled_landscape as rescaled_landscape
    from phase_utils.diagnosis.trivial import TrivialPoint as TrivialPoint
    from phase_utils.diagnosis.trivial import trivial_point as trivial_point
    from phase_utils.diagnosis.watch import Margin as Margin
    from phase_utils.diagnosis.watch import Watch as Watch
    from phase_utils.sweeps.classify import NoTransition as NoTransition
    from phase_utils.sweeps.classify import Undetermined as Undetermined
    from phase_utils.sweeps.classify import classify as classify
    from phase_utils.sweeps.hysteresis import hysteresis as hysteresis
    from phase_utils.sweeps.sweep import sweep as sweep
    from phase_utils.theory.landscape import Landscape as Landscape
    from phase_utils.theory.minimum import GlobalMinimum as GlobalMinimum
    from phase_utils.theory.modes import Modes as Modes
    from phase_utils.theory.modes import mode_transitions as mode_transitions
    from phase_utils.theory.moments import Moments as Moments
    from phase_utils.theory.phase_diagram import phase_diagram as phase_diagram
    from phase_utils.theory.transitions import Spinodal as Spinodal
    from phase_utils.theory.transitions import Transition as Transition
    from phase_utils.training import devices as devices
    from phase_utils.training.chains import Chains as Chains
    from phase_utils.training.initialisation import LearningBasin as LearningBasin
    from phase_utils.training.initialisation import learning_basin as learning_basin
    from phase_utils.training.initialisation import learning_basin_init as learning_basin_init
    from phase_utils.training.langevin import langevin as langevin
    from phase_utils.training.modules import ModuleProblem as ModuleProblem
    from phase_utils.training.networks import LinearNetwork as LinearNetwork
    from phase_utils.training.problem import Problem as Problem
    from phase_utils.training.regularisers import norm_power_penalty as norm_power_penalty
    from phase_utils.training.settings import Settings as Settings
    from phase_utils.training.train import Result as Result
    from phase_utils.training.train import train as train

_MEMBERS = {
    "theory.landscape": ("Landscape",),
    "theory.minimum": ("GlobalMinimum",),
    "theory.modes": ("Modes", "mode_transitions"),
    "theory.moments": ("Moments",),
    "theory.phase_diagram": ("phase_diagram",),
    "theory.transitions": ("Spinodal", "Transition"),
    "training.chains": ("Chains",),
    "training.initialisation": ("LearningBasin", "learning_basin", "learning_basin_init"),
    "training.langevin": ("langevin",),
    "training.modules": ("ModuleProblem",),
    "training.networks": ("LinearNetwork",),
    "training.problem": ("Problem",),
    "training.regularisers": ("norm_power_penalty",),
    "training.settings": ("Settings",),
    "training.train": ("Result", "train"),
    "sweeps.classify": ("NoTransition", "Undetermined", "classify"),
    "sweeps.hysteresis": ("hysteresis",),
    "sweeps.sweep": ("sweep",),
    "diagnosis.adamw": ("AdamWFade", "adamw_fade"),
    "diagnosis.diagnose": ("Diagnosis", "diagnose"),
    "diagnosis.landau": ("Landau", "expand_landau"),
    "diagnosis.origin": ("Origin", "expand_origin"),
    "diagnosis.quotient": ("Quotient", "collapse_quotient"),
    "diagnosis.rehearse": ("Rehearsal", "rehearse"),
    "diagnosis.rescaled": ("RescaledLandscape", "rescaled_landscape"),
    "diagnosis.trivial": ("TrivialPoint", "trivial_point"),
    "diagnosis.watch": ("Margin", "Watch"),
    "chapters.images": ("Images", "images"),
    "chapters.minibatches": ("Minibatches", "train_minibatches"),
    "chapters.resnet": ("ResNet18",),
}
_HOMES = {name: module for module, names in _MEMBERS.items() for name in names}
_MODULES = {
    "chapters": "chapters",
    "claims": "chapters.claims",
    "data": "chapters.data",
    "devices": "training.devices",
    "grid": "chapters.grid",
    "plotting": "chapters.plotting",
    "provenance": "chapters.provenance",
    "records": "chapters.records",
    "widgets": "chapters.widgets",
    "words": "chapters.words",
}

__all__ = sorted(_HOMES)

if not TYPE_CHECKING:  # where types are checked an unknown name is an error

    def __getattr__(name):
        if name == "__version__":
            return metadata.version("phase-utils")
        home = _HOMES.get(name) or _MODULES.get(name)
        if home is None:
            raise AttributeError(f"module 'phase_utils' has no attribute {name!r}")
        with brought_by(
            "book", f"pu.{name}"
        ):  # no other room needs more than the core to be loaded
            module = import_module(f"phase_utils.{home}")
        value = getattr(module, name) if name in _HOMES else module
        globals()[name] = value
        return value

    def __dir__():
        return sorted({*globals(), *_HOMES, *_MODULES, "__version__"})
