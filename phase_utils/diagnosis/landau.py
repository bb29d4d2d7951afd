"""Landau expansion of any module about its trivial point, along its soft modes."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from phase_utils._check import instance, integer, takes
from phase_utils.diagnosis.krylov import project, solve
from phase_utils.diagnosis.origin import Origin, curvature
from phase_utils.diagnosis.samples import leaves
from phase_utils.diagnosis.trivial import AnyProblem, TrivialPoint, checked, checked_trivial

MOST = 1000  # starts, or iterations from each
AMPLITUDES = 3  # of the gradients: each removes one more order of the remainder
SAMPLE_AMPLITUDES = 5
REACH = 0.005  # the least amplitude, for inputs of size one


@dataclass(frozen=True)
class Landau:
    """l - l_triv = (gamma - gamma_origin) s^2 - C s^3 + Q s^4 along the softest modes, |w| = s.

    Attributes
    ----------
    cubic, cubic_error : float
        The largest |C| found over soft unit vectors, and its standard error over the samples (nan
        where the loss is no mean over samples).
    quartic : float
        Q there, the other modes eliminated.
    quartic_least : float
        The least Q found.
    gamma_coexistence, gamma_learned_end : float
        C^2/(4 Q) and 9 C^2/(32 Q) above gamma_origin; exact as C -> 0, nan where Q <= 0. They are
        estimates.
    order : {"first", "continuous"}
        "first" where C is above twice its error, or the least Q is negative.
    modes : (k, P) tensor
        Soft unit vectors that were used.
    """

    cubic: float
    cubic_error: float
    quartic: float
    quartic_least: float
    gamma_coexistence: float
    gamma_learned_end: float
    order: str
    modes: Tensor


@takes(
    2,
    "expand_landau takes a problem and its origin: make problem = ModuleProblem(model, loss_fn, "
    "(x, y)) and call expand_landau(problem, expand_origin(problem))",
)
def expand_landau(
    problem: AnyProblem, origin: Origin, *, starts: int = 4, iterations: int = 8, seed: int = 0
) -> Landau:
    """Cubic and quartic forms of the loss, extremised over the soft subspace.

    The subspace is as large as the hidden width or larger; its basis is never formed. Projections
    on it come from Lanczos runs that never restart, derivatives from the even and odd parts of
    gradients at a few amplitudes.

    Parameters
    ----------
    problem : ModuleProblem
        The module, its loss and its data.
    origin : Origin
        Its expansion about the trivial point.
    starts : int
        From 1 to 1000: single coordinates (modes inside one hidden unit, where the cubic form is
        extremal) and as many random vectors (all units, which a tanh-like quartic form prefers).
    iterations : int
        From 0 to 1000, of the ascent of |C| and of the descent of Q, from each start.
    seed : int
        Of the random vectors.

    Returns
    -------
    Landau
        The coefficients, and what they say of the order near the trivial point.

    Raises
    ------
    ValueError
        Without a positive gamma_origin from a Hessian: there is nothing to expand. Also for
        anything but a `ModuleProblem` with its own `Origin`, and for numbers out of range.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(1, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)
    ... )
    >>> x = torch.tensor([[-1.0], [1.0]])
    >>> problem = pu.ModuleProblem(model, torch.nn.functional.mse_loss, (x, 0.45 * x))
    >>> pu.expand_landau(problem, pu.expand_origin(problem)).order
    'continuous'
    """
    checked(problem)
    instance("origin", origin, Origin, "an Origin, as expand_origin returns it")
    checked_trivial(problem, origin.trivial)
    starts = integer("starts", starts, minimum=1, maximum=MOST)
    iterations = integer("iterations", iterations, minimum=0, maximum=MOST)
    seed = integer("seed", seed, minimum=0)
    if not origin.smooth or origin.gamma is None or origin.gamma <= 0:
        raise ValueError("origin must have gamma > 0 from a Hessian, got none")
    value, trivial = -2 * origin.gamma, origin.trivial
    apply, _ = curvature(problem, trivial, seed)
    step = _natural(problem)

    def soft(vector: Tensor) -> Tensor:
        return project(apply, vector, value)

    modes = _soft_starts(problem, origin, soft, starts, seed)
    cubics, quartics, used = [], [], []
    for z in modes:
        best = z
        second, _ = _derivatives(problem, trivial, z, step)
        for _ in range(iterations):
            raised = soft(second) if float(second.norm()) > 0 else second
            if float(raised.norm()) < 1e-9 * value**2:
                break
            # -T[z,z] points to larger C; the form is odd, so that |C| may be raised instead
            new = -raised / raised.norm()
            if float((new @ best).abs()) > 1 - 1e-10:
                break
            best = new
            second, _ = _derivatives(problem, trivial, best, step)
        cubics.append(-float(second @ best) / 6)
        quartics.append(_quartic(problem, trivial, best, step, apply, value)[0])
        used.append(best)
        quartics.append(_least_quartic(problem, trivial, z, step, apply, value, soft, iterations))
    top = int(np.argmax(np.abs(cubics)))
    cubic, Q = abs(cubics[top]), quartics[2 * top]
    error = _cubic_error(problem, trivial, used[top], step)
    gain = cubic**2 / Q if Q > 0 else np.nan
    noise = 1e-8 * origin.gamma / step
    significant = cubic > max(noise, 2 * error if np.isfinite(error) else 0.0)
    return Landau(
        cubic,
        error,
        Q,
        min(quartics),
        origin.gamma + gain / 4,
        origin.gamma + 9 * gain / 32,
        "first" if significant or min(quartics) < 0 else "continuous",
        torch.stack(modes),
    )


def _natural(problem: AnyProblem) -> float:
    """Amplitude of unit vectors at which derivatives are taken: one unit stays nearly linear."""
    inputs = [t for t in leaves(problem.x) if t.is_floating_point()]
    size = max((float(t.square().mean()) ** 0.5 for t in inputs), default=1.0)
    return REACH / max(1.0, size)


def _soft_starts(
    problem: AnyProblem,
    origin: Origin,
    soft: Callable[[Tensor], Tensor],
    starts: int,
    seed: int,
) -> list[Tensor]:
    """Soft unit vectors: projections of single coordinates and of random vectors."""
    assert origin.mode is not None
    generator = torch.Generator().manual_seed(seed)
    order = origin.mode.abs().argsort(descending=True)[: 4 * starts : 4]
    vectors = []
    for k in range(2 * starts):
        if k < starts:
            v = torch.zeros_like(origin.mode)
            v[order[k % len(order)]] = 1.0
        else:
            v = torch.randn(problem.parameters, generator=generator, dtype=torch.float64).to(
                origin.mode
            )
            v = torch.where(problem.mask, v, 0.0)
        z = soft(v)
        if float(z.norm()) > 1e-8 * float(v.norm()):
            vectors.append(z / z.norm())
    return vectors


def _derivatives(
    problem: AnyProblem, trivial: TrivialPoint, z: Tensor, step: float
) -> tuple[Tensor, Tensor]:
    """T[z,z] and F[z,z,z], by exact fits of the even and odd parts of the gradient."""
    t = step * np.arange(1, AMPLITUDES + 1)
    signs = np.concatenate([t, -t])
    rows = trivial.weights + torch.from_numpy(signs).to(z)[:, None] * z
    g = torch.where(problem.mask, problem.evaluate(rows)[1], 0.0)
    plus, minus = g[:AMPLITUDES], g[AMPLITUDES:]
    # the gradient vanishes at the trivial point: even part t^2 T/2 + ..., odd part t H + t^3 F/6
    even = np.linalg.inv(np.stack([t**k for k in (2, 4, 6)], axis=1))[0]
    odd = np.linalg.inv(np.stack([t**k for k in (1, 3, 5)], axis=1))[1]
    T = 2 * torch.from_numpy(even).to(z) @ ((plus + minus) / 2)
    F = 6 * torch.from_numpy(odd).to(z) @ ((plus - minus) / 2)
    return T, F


def _quartic(
    problem: AnyProblem,
    trivial: TrivialPoint,
    z: Tensor,
    step: float,
    apply: Callable[[Tensor], Tensor],
    value: float,
) -> tuple[float, Tensor, Tensor]:
    """Q = F[z^4]/24 - b (H - lambda)^-1 b / 8 with b = T[z,z] off the soft subspace; u, F[z^3]."""
    T, F = _derivatives(problem, trivial, z, step)
    bare = float(F @ z) / 24
    if float(T.norm()) <= 1e-9 * float(F.norm()) * step:
        return bare, torch.zeros_like(z), F
    response = solve(apply, T, value)
    return bare - float(T @ response) / 8, response, F


def _least_quartic(
    problem: AnyProblem,
    trivial: TrivialPoint,
    z: Tensor,
    step: float,
    apply: Callable[[Tensor], Tensor],
    value: float,
    soft: Callable[[Tensor], Tensor],
    iterations: int,
) -> float:
    """Least Q that descent on the soft unit sphere finds from z."""
    Q, u, F = _quartic(problem, trivial, z, step, apply, value)
    rate = 0.5
    for _ in range(iterations):
        slope = F / 6
        size = float(u.norm())
        if size > 0:  # the gradient of the second term is -T[z, u] / 2, by polarisation
            w = u / size
            plus = _derivatives(problem, trivial, (z + w) / 2, step)[0]
            minus = _derivatives(problem, trivial, (z - w) / 2, step)[0]
            slope = slope - size * (plus - minus) / 2
        slope = soft(slope) if float(slope.norm()) > 0 else slope
        slope = slope - (slope @ z) * z
        if float(slope.norm()) <= 1e-6 * abs(Q):
            break
        trial = z - rate * slope / max(abs(4 * Q), 1e-12)
        trial = trial / trial.norm()
        lower, u_new, F_new = _quartic(problem, trivial, trial, step, apply, value)
        if lower < Q:
            z, Q, u, F = trial, lower, u_new, F_new
        else:
            rate /= 3
    return Q


def _cubic_error(problem: AnyProblem, trivial: TrivialPoint, z: Tensor, step: float) -> float:
    """Standard error of C over the samples, from third derivatives of each sample's loss."""
    t = step * np.arange(1, SAMPLE_AMPLITUDES + 1)
    fit = np.linalg.inv(np.stack([t**k for k in range(1, 2 * SAMPLE_AMPLITUDES, 2)], axis=1))[1]
    each = torch.zeros(len(problem.x), dtype=z.dtype, device=z.device)
    try:
        for amplitude, weight in zip(t, fit, strict=True):
            plus = problem.sample_losses(trivial.weights + amplitude * z)
            minus = problem.sample_losses(trivial.weights - amplitude * z)
            each = each + weight * (plus - minus) / 2
    except (ValueError, RuntimeError):  # no loss per sample
        return np.nan
    return float(each.std() / len(each) ** 0.5)
