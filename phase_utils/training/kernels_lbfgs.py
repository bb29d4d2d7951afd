"""L-BFGS of one linear network after another, compiled by numba: its memory stays in the cache.

The algorithm is that of `minimisers`, `quasi_newton` and `standstill`, whose names it keeps, and
whose constants are handed in.
"""

from typing import Any

import numpy as np

from phase_utils.training.kernels import dot, inner, kernel, value_and_gradient
from phase_utils.training.layout import Network, Room, Rules


@inner
def judged(
    rules: Rules, past: Any, f: float, norm_g: float, size: float, numbers: Any
) -> tuple[int, Any]:
    """Status code at a check, and what the next one remembers of the past."""
    f_seen, g_seen, g_checked, promised, idle = past
    unit, rounding, noise, promise, curvature, slope, farthest = numbers
    fell = f_seen - f > rules.roundings * rules.eps * unit
    flatter = norm_g < rules.flatter * g_seen
    promised = 0.0 if fell else promised + rules.check_every * promise
    good = promise * curvature > rules.faint * (norm_g * norm_g)
    moved = norm_g != g_checked
    believed = moved and good and norm_g > noise and promised <= rules.unheard * rounding
    idle = 0 if fell or flatter or believed else idle + 1
    past = (f if fell else f_seen, norm_g if flatter else g_seen, norm_g, promised, idle)

    stands = idle >= rules.idle_checks
    arrived = stands and norm_g <= noise and rounding <= np.sqrt(rules.eps) * unit
    bound = rules.tolerance * unit
    small = norm_g <= bound / np.maximum(size, 1.0) and -0.5 * slope <= bound
    if not (np.isfinite(f) and np.isfinite(norm_g)) or size > farthest:
        return rules.diverged, past
    if small or arrived:
        return rules.converged, past
    return rules.stalled if stands else rules.running, past


@inner
def remember(state: Room, slot: int, overlap: float) -> None:
    """Write the pair into its slot, or empty it for no overlap s.y, and products with the rest."""
    m, steps, changes = len(state.inverse), state.basis, state.basis[len(state.inverse) :]
    state.inverse[slot] = 1 / overlap if overlap else 0.0
    for i in range(len(state.s)):
        steps[slot, i], changes[slot, i] = state.s[i], state.y[i]
    new_s, new_y, g = state.s, state.y, state.g
    for k in range(m):
        if not state.inverse[k]:
            continue
        s, y = steps[k], changes[k]
        sy = ys = yy = sg = yg = 0.0
        for i in range(len(g)):
            sy += s[i] * new_y[i]
            ys += y[i] * new_s[i]
            yy += y[i] * new_y[i]
            sg += s[i] * g[i]
            yg += y[i] * g[i]
        state.steps_changes[k, slot], state.steps_changes[slot, k] = sy, ys
        state.changes_changes[k, slot] = state.changes_changes[slot, k] = yy
        state.along[k], state.along[m + k] = sg, yg


@inner
def steepest(state: Room, h0: float) -> None:
    """Point against the gradient."""
    scale = state.g.dtype.type(-h0)
    for i in range(len(state.d)):
        state.d[i] = scale * state.g[i]


@inner
def turn(state: Room, newest: int, h0: float) -> None:
    """Two-loop recursion in the coefficients of the basis; empty slots take no part."""
    m, d = len(state.inverse), state.d
    sg, yg = state.along[:m], state.along[m:]
    for age in range(m):
        i = (newest - age) % m
        if state.inverse[i]:
            a = state.first[i] = state.inverse[i] * sg[i]
            for k in range(m):
                sg[k] -= a * state.steps_changes[k, i]
                yg[k] -= a * state.changes_changes[i, k]
    for k in range(m):
        yg[k] *= h0
    steepest(state, h0)
    for age in range(m - 1, -1, -1):
        i = (newest - age) % m
        if state.inverse[i]:
            b = state.first[i] - state.inverse[i] * yg[i]
            for k in range(m):
                yg[k] += b * state.steps_changes[i, k]
            s, y = state.basis[i], state.basis[m + i]
            of_s, of_y = d.dtype.type(b), d.dtype.type(-state.first[i] * h0)
            for j in range(len(d)):
                d[j] -= of_s * s[j] + of_y * y[j]


@kernel
def descend(net: Network, rules: Rules, state: Room, gamma: float) -> tuple[int, int]:
    """Minimise from the weights in the state; return status code and ticks."""
    x, g, x_new, g_new, d, s, y = (
        state.x, state.g, state.x_new, state.g_new, state.d, state.s, state.y
    )  # fmt: skip
    real, P = x.dtype.type, len(x)
    f = value_and_gradient(net, x, gamma, state, g)
    if not (np.isfinite(f) and np.all(np.isfinite(g))):
        return rules.nonfinite, 0
    size, norm_g = np.sqrt(dot(x, x)), np.sqrt(dot(g, g))
    trivial = abs(float(real(net.Eyy)))
    trivial = trivial if trivial > 0 else abs(f)
    farthest = rules.runaway * np.maximum(size, 1.0)

    longest = rules.step_cap * np.maximum(size, rules.step_floor)
    reach = longest / np.maximum(norm_g, rules.tiny)
    for i in range(P):
        s[i] = real(-rules.probe * reach) * g[i]
        x_new[i] = x[i] + s[i]
    value_and_gradient(net, x_new, gamma, state, g_new)
    for i in range(P):
        y[i] = g_new[i] - g[i]
    cauchy = dot(s, s) / dot(s, y)
    h0, curvature = reach, 0.0
    if cauchy > 0:
        h0, curvature = np.minimum(cauchy, rules.first_reach * reach), 1 / cauchy
    state.inverse[:] = 0
    steepest(state, h0)
    gain, refused, past = 1.0, 0, (f, norm_g, norm_g, 0.0, -1)
    slope = dot(g, d)
    alpha = np.minimum(gain, longest / np.maximum(np.sqrt(dot(d, d)), rules.tiny))
    for tick in range(rules.max_steps + 1):
        unit = np.maximum(abs(f), trivial)
        bend = np.maximum(curvature, 2 * gamma)  # of the terms
        rounding = rules.roundings * rules.eps * np.maximum(unit, bend * (size * size))
        if tick % rules.check_every == 0 or tick == rules.max_steps:
            noise, promise = rules.roundings * rules.eps * bend * size, -0.5 * alpha * slope
            numbers = unit, rounding, noise, promise, curvature, slope, farthest
            code, past = judged(rules, past, f, np.sqrt(dot(g, g)), size, numbers)
            if code != rules.running or tick == rules.max_steps:
                return code, tick

        scale = real(alpha)
        for i in range(P):
            s[i] = scale * d[i]
            x_new[i] = x[i] + s[i]
        f_new = value_and_gradient(net, x_new, gamma, state, g_new)
        slope_new = dot(g_new, d)
        armijo = f_new <= f + rules.decrease * alpha * slope
        falling = slope_new <= (2 * rules.decrease - 1) * slope
        level = f_new <= f + rules.level * rounding and falling
        taken = (armijo or level) and np.isfinite(f_new) and np.isfinite(slope_new)
        curved, sy, yy = False, 0.0, 0.0
        if taken:
            for i in range(P):
                y[i] = g_new[i] - g[i]
                x[i], g[i] = x_new[i], g_new[i]
            f, refused = f_new, 0
            sy, yy, length = dot(s, y), dot(y, y), np.sqrt(dot(s, s))
            curved = sy > rules.curvature * length * np.sqrt(yy)
            if curved and length > rules.shortest * size:
                curvature = np.maximum(rules.fade * curvature, yy / sy)
            h0 = sy / yy if curved else h0
        else:
            shorter = -slope * (alpha * alpha) / (2 * (f_new - f - alpha * slope))
            shorter = shorter if np.isfinite(shorter) else 0.0
            least, most = rules.shrink
            alpha = np.minimum(np.maximum(shorter, least * alpha), most * alpha)
            refused += 1
        gain = 2 * gain if taken and not curved else 1.0

        slot = tick % rules.memory  # that of the oldest pair
        if taken:
            remember(state, slot, sy if curved else 0.0)
            turn(state, slot, h0)
            size, norm_g = np.sqrt(dot(x, x)), np.sqrt(dot(g, g))
            slope = dot(g, d)
            restart = not slope < -rules.downhill * np.sqrt(dot(d, d)) * norm_g  # true for nan
        else:
            state.inverse[slot] = 0
            restart = refused >= rules.refusals
        if restart:
            refused = 0
            state.inverse[:] = 0
            steepest(state, h0)
            slope = dot(g, d)
        if taken or restart:
            longest = rules.step_cap * np.maximum(size, rules.step_floor)
            alpha = np.minimum(gain, longest / np.maximum(np.sqrt(dot(d, d)), rules.tiny))
    return rules.running, rules.max_steps
