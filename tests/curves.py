"""Loss curves L(gamma) with their slopes whose phase transition is known: what classify must find.

All are functions of a continuous gamma, written down without the package's own theory, except for
the anisotropic ones, whose answer is the certified one of the exact landscape.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan

import numpy as np
from numpy.typing import NDArray
from problems import CASCADE_EIGENVALUES, CASCADE_SIGNALS, CASCADE_TRANSITIONS, Isotropic
from problems import anisotropic as correlated

import phase_utils as pu

Array = NDArray[np.float64]
Function = Callable[[Array], tuple[Array, Array]]


@dataclass(frozen=True)
class Curve:
    """Loss and slope on [low, high]; the transition's order (None: no transition) and numbers."""

    name: str
    order: int | None
    function: Function
    low: float = 0.05
    high: float = 1.0
    gamma: float = nan
    heat: float = nan  # gamma times the jump of the slope
    exponent: float = nan  # beta of B ~ t^beta, slope ~ B^2
    least: int = 15  # points that resolve it

    def __str__(self) -> str:
        return self.name


def grid(curve: Curve, kind: str, points: int, rng: np.random.Generator) -> Array:
    """Uniform, jittered or geometric gammas over most of the curve's range."""
    low, high = curve.low, curve.high
    span = high - low
    low, high = low + 0.1 * span * rng.random(), high - 0.1 * span * rng.random()
    if kind == "geometric":
        low = max(low, 0.1 * high)
        return np.geomspace(low, high, points)
    gamma = np.linspace(low, high, points)
    if kind == "jittered":
        gamma += (high - low) / points * rng.uniform(-0.4, 0.4, points)
    return gamma


def measured(
    curve: Curve, kind: str, points: int, noise: float, seed: int
) -> tuple[Array, Array, Array]:
    """Gamma, loss and slope with Gaussian noise relative to the largest loss and slope."""
    rng = np.random.default_rng([seed, points, sum(curve.name.encode())])
    gamma = grid(curve, kind, points, rng)
    loss, slope = curve.function(gamma)
    for values in (loss, slope):
        values += noise * np.abs(values).max() * rng.normal(size=points)
    return gamma, loss, slope


def _zeroth() -> Iterator[Curve]:
    for size in (0.05, -0.2):

        def step(g: Array, size: float = size) -> tuple[Array, Array]:
            return 1 + g / (1 + g) + size * (g > 0.613), (1 + g) ** -2.0

        yield Curve(f"step of {size:g}", 0, step, gamma=0.613)
    for depth in (2, 3):
        problem = Isotropic(depth)

        def metastable(g: Array, problem: Isotropic = problem) -> tuple[Array, Array]:
            roots = [problem.stationary(float(x)).max() for x in g]
            loss = [problem.loss(B, float(x)) for B, x in zip(roots, g, strict=True)]
            return np.array(loss), (problem.depth + 1) * np.square(roots)

        end = problem.spinodal
        yield Curve(
            f"depth {depth} followed to its spinodal", 0, metastable, 0.1 * end, 1.6 * end, end
        )


def _first() -> Iterator[Curve]:
    for bend, after in ((0.0, 0.0), (0.0, 0.6), (0.95, 0.0)):
        # a saturating branch meets a flatter one at 0.47
        def crossing(g: Array, bend: float = bend, after: float = after) -> tuple[Array, Array]:
            loss, slope = np.log1p(2 * g), 2 / (1 + 2 * g)
            first, start = g < 0.47, np.log1p(0.94)
            above = start + bend * (loss - start) + after * (g - 0.47)
            return np.where(first, loss, above), np.where(first, slope, bend * slope + after)

        jump = (1 - bend) * 2 / 1.94 - after
        name = f"slope falls to {1 - jump * 0.97:.2f} of it"
        yield Curve(name, 1, crossing, gamma=0.47, heat=0.47 * jump, least=40 if bend else 15)
    for depth in (2, 3, 8):
        problem = Isotropic(depth)
        g0 = problem.critical
        yield Curve(
            f"isotropic depth {depth}",
            1,
            lambda g, problem=problem: problem.curve(g)[:2],
            0.1 * g0,
            1.8 * g0,
            g0,
            problem.latent_heat,
        )
    for depth, noise in ((2, 0.0), (2, 0.5), (3, 0.0)):
        yield _exact(f"anisotropic depth {depth}, noise {noise:g}", depth, noise)


def _exact(name: str, depth: int, noise: float) -> Curve:
    land = pu.Landscape(pu.Moments(*correlated()), depth, 8, noise)
    (found,) = land.transitions() or [None]
    scale = found.gamma if found else 0.5
    return Curve(
        name,
        found.order if found else None,
        lambda g: ((m := land.global_minimum(g)).loss, m.slope),
        0.1 * scale,
        1.6 * scale,
        found.gamma if found else nan,
        found.latent_heat if found and found.order == 1 else nan,
        0.5 if depth == 1 else nan,
    )


def _second() -> Iterator[Curve]:
    for power, bend in ((1, 0), (1, -0.5), (1, 2), (0.5, 0), (0.5, 0.5), (0.75, 0), (0.75, 0.5)):

        def vanishing(g: Array, p: float = power, c: float = bend) -> tuple[Array, Array]:
            t = np.maximum(0.637 - g, 0)
            return 1 - t ** (p + 1) / (p + 1) - c * t ** (p + 2) / (p + 2), t**p * (1 + c * t)

        name = f"slope t^{power:g} (1 + {bend:g} t)"
        yield Curve(name, 2, vanishing, gamma=0.637, exponent=power / 2)
    for depth_one in (Isotropic(1), Isotropic(1, 1.7, 0.8, 1.3)):
        E = depth_one.signal
        yield Curve(
            f"isotropic depth 1, signal {E:g}",
            2,
            lambda g, problem=depth_one: problem.curve(g)[:2],
            0.1 * E,
            1.5 * E,
            E,
            exponent=0.5,
        )
    yield _exact("anisotropic depth 1, noise 0", 1, 0.0)
    yield _exact("anisotropic depth 1, noise 0.5", 1, 0.5)


def _kinked() -> Iterator[Curve]:
    for bend, kink in ((0.0, 1.0), (0.5, -1.5), (-0.3, 2.0)):

        def kinked(g: Array, bend: float = bend, kink: float = kink) -> tuple[Array, Array]:
            t = np.maximum(g - 0.52, 0)
            loss = 3 * g - g**2 / 2 + bend * g**3 / 3 - kink * t**2 / 2
            return loss, 3 - g + bend * g**2 - kink * t

        yield Curve(f"kink {kink:g} with bend {bend:g}", 2, kinked, gamma=0.52)


def _smooth() -> Iterator[Curve]:
    def ridge(g: Array) -> tuple[Array, Array]:
        return 1 - 0.3 / (0.5 + g) - 0.1 / (2 + g), 0.3 / (0.5 + g) ** 2 + 0.1 / (2 + g) ** 2

    yield Curve("ridge", None, ridge)
    yield Curve("ridge from zero", None, ridge, 0.0, 3.0)
    yield Curve("straight", None, lambda g: (1 + 0.7 * g, np.full(len(g), 0.7)))
    yield Curve("parabola", None, lambda g: (1 + g - 0.4 * g**2, 1 - 0.8 * g))
    yield Curve("exponential", None, lambda g: (1 - np.exp(-2 * g), 2 * np.exp(-2 * g)), 0, 2)
    for width, least in ((0.25, 25), (0.1, 60)):

        def crossover(g: Array, w: float = width) -> tuple[Array, Array]:
            x = (g - 0.5) / w
            return g - w * np.logaddexp(x, -x) + 1, 1 - np.tanh(x)

        yield Curve(f"crossover of width {width:g}", None, crossover, least=least)

        def peak(g: Array, w: float = width) -> tuple[Array, Array]:
            x = (g - 0.5) / w
            return 2 + w * np.arctan(x), 1 / (1 + x**2)

        yield Curve(f"peak of width {width:g}", None, peak, least=least)
    yield _exact("anisotropic depth 0, noise 0", 0, 0.0)


def cascade() -> Curve:
    """Two first-order transitions; the one with the larger latent heat is in the numbers."""
    moments = pu.Moments.from_spectrum(CASCADE_EIGENVALUES, CASCADE_SIGNALS, 10.3)
    land = pu.Landscape(moments, 2)
    gamma, below, above = CASCADE_TRANSITIONS[0]
    return Curve(
        "cascade",
        1,
        lambda g: ((m := land.global_minimum(g)).loss, m.slope),
        0.05,
        0.2,
        gamma,
        gamma * 3 * (below**2 - above**2),
    )


CURVES = [*_zeroth(), *_first(), *_second(), *_kinked(), *_smooth()]
