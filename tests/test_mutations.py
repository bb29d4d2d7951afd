"""Every formula, made wrong by one per cent, must make a claim fail.

A formula is a public method or property of the theory (`FORMULAS`; what is public and not listed is
exempt for a stated reason) or a function that a chapter defines. Each is mutated alone, and the
chapter that pins it is run at the tier `smoke` until a claim fails. That none fails otherwise is
what the references of nbval hold. Every sixth of them is in every run, all are on schedule.
"""

import ast
import importlib
import inspect
from functools import cached_property

import in_process
import pytest
from in_process import source
from in_turn import in_turn
from wrong import bent, scaled

from phase_utils import chapters

THEORY = (
    "units",
    "second_moment",
    "moments",
    "architecture",
    "spectrum",
    "inversion",
    "curve",
    "branches",
    "reduction",
    "minimum",
    "landscape",
    "transitions",
    "modes",
    "phase_diagram",
    "networks",
)
# "module.Class.name" or, of what returns several values, "module.Class.name:part"; and the chapter
# whose claims pin it
FORMULAS = {
    "units.Unit.times": "effective_landscape",
    "units.Unit.exp": "effective_landscape",
    "units.Unit.log_of": "effective_landscape",
    "moments.Moments.A0": "effective_landscape",
    "moments.Moments.signals": "effective_landscape",
    "moments.Moments.signal": "effective_landscape",
    "moments.Moments.eigenvalues": "effective_landscape",
    "moments.Moments.residual_variance": "line_by_line_deeper",
    "spectrum.Spectrum.direct:0": "effective_landscape",
    "spectrum.Spectrum.direct:1": "depth_two_and_more",
    "spectrum.Spectrum.direct:2": "effective_landscape",
    "spectrum.Spectrum.log_gain:0": "effective_landscape",
    "spectrum.Spectrum.taken": "effective_landscape",
    "spectrum.Spectrum.at:log_beta2": "effective_landscape",
    "curve.Curve.log_decay:0": "effective_landscape",
    "curve.Curve.log_penalty": "effective_landscape",
    "architecture.Architecture.critical_ratio": "depth_one",
    "architecture.Architecture.noise_factor": "effective_landscape",
    "architecture.Architecture.log_size": "effective_landscape",
    "branches.StationaryBranch.invert": "effective_landscape",
    "reduction.Reduction.order_parameter": "effective_landscape",
    "reduction.Reduction.log_beta2": "initialization_and_escape",
    "landscape.Landscape.loss": "effective_landscape",
    "landscape.Landscape.balanced_loss": "initialization_and_escape",
    "landscape.Landscape.ridge:gamma": "effective_landscape",
    "landscape.Landscape.ridge:B": "effective_landscape",
    "landscape.Landscape.stationary:0": "effective_landscape",
    "landscape.Landscape.minima": "effective_landscape",
    "landscape.Landscape.paper_b": "line_by_line_landscape",
    "landscape.Landscape.global_minimum:B": "effective_landscape",
    "landscape.Landscape.global_minimum:loss": "effective_landscape",
    "landscape.Landscape.global_minimum:slope": "effective_landscape",
    "landscape.Landscape.transitions:gamma": "depth_two_and_more",
    "landscape.Landscape.transitions:B_below": "depth_two_and_more",
    "landscape.Landscape.transitions:latent_heat": "depth_two_and_more",
    "landscape.Landscape.transitions:barrier": "depth_two_and_more",
    "landscape.Landscape.spinodals:gamma": "effective_landscape",
    "landscape.Landscape.spinodals:B": "depth_two_and_more",
    "modes.Modes.global_minimum:B": "depth_one",
    "modes.Modes.global_minimum:loss": "depth_one",
    "modes.Modes.global_minimum:slope": "depth_one",
    "modes.Modes.transitions:gamma": "depth_one",
    "modes.Modes.transitions:B_below": "depth_one",
    "modes.Modes.transitions:latent_heat": "depth_one",
    "networks.LinearNetwork.end_to_end": "effective_landscape",
    "networks.LinearNetwork.order_parameter": "effective_landscape",
    "networks.LinearNetwork.penalty": "effective_landscape",
    "networks.LinearNetwork.data_loss": "effective_landscape",
    "networks.LinearNetwork.noise_factor": "effective_landscape",
}
EXEMPT = {
    "units.exponent_of": "a power of two, which cancels",
    "second_moment.SecondMoment.of": "constructor, tested in test_moments",
    "second_moment.SecondMoment.checked": "constructor, tested in test_moments",
    "second_moment.SecondMoment.d": "a count",
    "second_moment.SecondMoment.matrix": "what Moments.A0 returns",
    "second_moment.SecondMoment.eigenvalues": "what Moments.eigenvalues returns",
    "second_moment.SecondMoment.eigenvectors": "what Moments.eigenvectors returns",
    "second_moment.SecondMoment.along": "what Moments.signals returns",
    "moments.Moments.d": "a count",
    "moments.Moments.k": "a count",
    "moments.Moments.eigenvectors": "normalised by construction, tested in test_moments",
    "moments.Moments.from_samples": "constructor, tested in test_moments",
    "moments.Moments.from_spectrum": "constructor, tested in test_moments",
    "moments.Moments.isotropic": "constructor, tested in test_moments",
    "spectrum.Spectrum.slope_of_P": "isolates turning points, tested in test_spectrum",
    "moments.Moments.spectrum": "gathers the sums",
    "spectrum.Spectrum.of_norm": "what Landscape.balanced_loss returns",
    "curve.Curve.rounding": "part of the bound `gap`, tested in test_landscape",
    "curve.Curve.gain_rounding": "part of the bound `gap`, tested in test_certificates",
    "branches.StationaryBranch.error": "part of the bound `gap`, tested in test_landscape",
    "branches.StationaryBranch.ceiling": "part of the bound `gap`, tested in test_landscape",
    "branches.StationaryBranch.minima": "what Landscape.global_minimum returns",
    "branches.StationaryBranch.value": "what Landscape.transitions returns",
    "reduction.Reduction.log_origin": "whether B = 0 is a minimum, tested in test_penalty_power",
    "minimum.certified_minimum": "what Landscape.global_minimum returns",
    "landscape.Landscape.depth": "as given",
    "landscape.Landscape.width": "as given",
    "landscape.Landscape.noise_variance": "as given",
    "landscape.Landscape.decay_ratios": "as given",
    "landscape.Landscape.penalty_power": "as given",
    "landscape.Landscape.noise_factor": "calls Architecture.noise_factor",
    "landscape.Landscape.trivial": "yes or no, tested in test_landscape",
    "landscape.Landscape.count_minima": "integers, tested in test_depths",
    "transitions.find_spinodals": "what Landscape.spinodals returns",
    "transitions.find_transitions": "what Landscape.transitions returns",
    "modes.mode_transitions": "calls Modes.transitions",
    "phase_diagram.phase_diagram": "Landscape.global_minimum on a grid, tested in its own file",
    "networks.LinearNetwork.shapes": "integers, tested in test_networks",
    "networks.LinearNetwork.initial_weights": "random numbers, tested in test_networks",
    "networks.LinearNetwork.parameters": "a count",
    "networks.LinearNetwork.value_and_gradient": "the optimiser's view of data_loss and penalty",
}

# functions of chapters that are no formulas
NO_FORMULAS = {
    ("01_formalism", "trained"): "a network beside its theory: no claim",
    ("04_no_zeroth_order", "sample"): "random samples",
    ("22_cascades_more", "beginning"): "initial weights",
    ("22_cascades_more", "scattered_weights"): "random weights",
    ("22_cascades_more", "noisy_training"): "networks, and the strength of their noise",
    ("20_line_by_line_depth_one", "numeral"): "evaluates both sides",
    ("09_linear_origin", "gaussian"): "random numbers",
    ("09_linear_origin", "starts"): "random numbers",
    ("09_linear_origin", "dense_net"): "random weights",
    ("09_linear_origin", "squared"): "a loss that any other may replace",
    ("09_linear_origin", "entropy"): "a loss that any other may replace",
    ("10_collapse_supervised", "resnet"): "random weights",
    ("10_collapse_supervised", "train"): "returns the network it trained",
    ("10_collapse_supervised", "rescaled"): "calls rescaled_landscape",
    ("10_collapse_supervised", "features"): "evaluates a network; NC1 knows no units",
    ("10_collapse_supervised", "state"): "gathers what others compute",
    ("10_collapse_supervised", "share"): "counts right answers",
    ("10_collapse_supervised", "lifetime"): "a mean over noise, compared in its errors",
    ("10_collapse_supervised", "passage_time"): "compared with a mean over noise",
    ("10_collapse_supervised", "gained"): "is shown, and compared with a tenth",
    ("10_collapse_supervised", "collapse"): "gathers what others compute",
    ("10_collapse_supervised", "of_record"): "reads what is recorded",
    ("10_collapse_supervised", "both"): "a number as text",
    ("10_collapse_supervised", "dead_from"): "a decay that was tried",
    ("10_collapse_supervised", "learning_up_to"): "a decay that was tried",
    ("10_collapse_supervised", "fallen"): "a count",
    ("10_collapse_supervised", "pm"): "numbers as text",
    ("10_collapse_supervised", "told"): "a sentence of numbers that are recorded",
    ("10_collapse_supervised", "told_of_rate"): "sentences of numbers that are recorded",
    ("11_collapse_self_supervised", "small_scales"): "a grid",
    ("11_collapse_self_supervised", "views"): "random augmentations",
    ("11_collapse_self_supervised", "stacks"): "random augmentations",
    ("11_collapse_self_supervised", "represent"): "evaluates a network",
    ("11_collapse_self_supervised", "train_encoder"): "networks",
    ("11_collapse_self_supervised", "probe"): "counts right answers",
    ("11_collapse_self_supervised", "told"): "sentences of numbers that are recorded",
    ("11_collapse_self_supervised", "weak_share"): "of a trained network: alive or dead",
    ("12_collapse_vae", "linear_theory"): "told beside a record: test_records holds it",
    ("12_collapse_vae", "of_record"): "a sentence, or that there is none",
    ("12_collapse_vae", "rare_code"): "is drawn: test_novelty holds where it ends",
    ("12_collapse_vae", "best_rare"): "is drawn: test_novelty holds where it ends",
    ("12_collapse_vae", "told"): "sentences of numbers that are recorded",
    ("12_collapse_vae", "told_of_window"): "a sentence of numbers that are recorded",
    ("15_removing_the_trivial_phase", "best_of_three"): "the order is compared, and where it is",
    ("15_removing_the_trivial_phase", "tanh_network"): "random weights",
    ("15_removing_the_trivial_phase", "regularised_loss"): "a minimum does not feel its size",
    ("16_your_network", "trained"): "a network: no number",
    ("14_initialization_and_escape", "pooled"): "mean over escapes, compared within 30 %",
    ("16_your_network", "lowest"): "where it jumps is compared, not what it is",
    ("16_your_network", "spread"): "compared with a thousandth of another spread",
    ("16_your_network", "rebuilt"): "a mean over noise, compared within 5 %",
    ("16_your_network", "divergence"): "a mean over noise, compared within 5 %",
    ("17_adamw", "squared"): "AdamW does not feel the size of a loss",
    ("17_adamw", "network"): "random weights",
    ("17_adamw", "predict"): "calls adamw_fade",
    ("17_adamw", "at"): "what adamw_fade returned, compared with training at 20 %",
    ("17_adamw", "decay_at"): "reads what is measured and what is expected",
    ("17_adamw", "raised"): "trained networks, compared at 20 %",
    ("17_adamw", "attempted"): "trained networks, dead or alive, and a power",
    ("17_adamw", "remembered"): "only whether it changes is claimed",
}
# of which only the exponent is claimed: that is made wrong
POWERS = {
    ("09_linear_origin", "convolve"),
    ("09_linear_origin", "remainder"),
    ("09_linear_origin", "change"),
    ("10_collapse_supervised", "variance"),
    ("16_your_network", "pays"),
}


class Caught(Exception):
    """A claim failed."""


class Mutate(ast.NodeTransformer):
    """Scale what one function returns."""

    def __init__(self, name):
        self.name, self.inside = name, False

    def visit_FunctionDef(self, node):
        outer, self.inside = self.inside, node.name == self.name
        node = self.generic_visit(node)
        self.inside = outer
        return node

    def visit_Lambda(self, node):
        return node

    def visit_Return(self, node):
        if self.inside and node.value is not None:
            call = ast.Call(ast.Name("__scaled__", ast.Load()), [node.value], [])
            node.value = ast.copy_location(call, node.value)
        return node


def functions(chapter):
    """Names of the functions that a chapter defines and that return something."""
    return [
        node.name
        for node in ast.parse(source(chapter)).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(node))
    ]


def stop_at_failure(result):
    if result["state"] == "fail":
        raise Caught(result["id"])


def run(chapter, monkeypatch, function=None):
    """Run a chapter at the tier `smoke`; Caught as soon as a claim fails."""
    tree = ast.parse(source(chapter))
    if function:
        tree = ast.fix_missing_locations(Mutate(function).visit(tree))
    wrong = bent if (chapter, function) in POWERS else scaled
    return in_process.run(tree, monkeypatch, on_result=stop_at_failure, __scaled__=wrong)


def home(module):
    """The module of that name, in whichever room it stands."""
    room = "training" if module == "networks" else "theory"
    return importlib.import_module(f"phase_utils.{room}.{module}")


def mutate_package(formula, monkeypatch):
    """Make one formula of the package wrong."""
    path, _, part = formula.partition(":")
    module, owner, name = path.split(".")
    owner = getattr(home(module), owner)
    original = inspect.getattr_static(owner, name)
    if isinstance(original, cached_property | property):
        get = original.func if isinstance(original, cached_property) else original.fget
        new = property(lambda self: scaled(get(self), part or None))
    else:

        def new(self, *args, **kwargs):
            return scaled(original(self, *args, **kwargs), part or None)

    monkeypatch.setattr(owner, name, new)


def public(module):
    """Public functions, methods and properties that a module defines, as "module.Class.name"."""
    module_object = home(module)
    for name, value in vars(module_object).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module_object.__name__:
            continue
        if inspect.isfunction(value):
            yield f"{module}.{name}"
        elif inspect.isclass(value):
            for attribute, member in vars(value).items():
                kinds = property | cached_property | classmethod
                if not attribute.startswith("_") and (
                    inspect.isfunction(member) or isinstance(member, kinds)
                ):
                    yield f"{module}.{name}.{attribute}"


def test_every_public_formula_is_mutated_or_exempt():
    known = {formula.partition(":")[0] for formula in FORMULAS} | set(EXEMPT)
    assert {name for module in THEORY for name in public(module)} == known


CHAPTERS = chapters.names()


def test_functions_singled_out_exist():
    assert {c for c, _ in POWERS | set(NO_FORMULAS)} <= set(CHAPTERS)
    assert all(function in functions(c) for c, function in POWERS | set(NO_FORMULAS))


@pytest.mark.parametrize(("formula", "chapter"), in_turn(FORMULAS.items(), 6))
def test_a_wrong_formula_of_the_package_is_caught(formula, chapter, monkeypatch):
    mutate_package(formula, monkeypatch)
    with pytest.raises(Caught):
        run(chapters.find(chapter).name, monkeypatch)


@pytest.mark.parametrize(
    ("chapter", "function"),
    in_turn(
        (
            (c, function)
            for c in CHAPTERS
            for function in functions(c)
            if (c, function) not in NO_FORMULAS
        ),
        6,
    ),
)
def test_a_wrong_formula_of_a_chapter_is_caught(chapter, function, monkeypatch):
    with pytest.raises(Caught):
        run(chapter, monkeypatch, function)
