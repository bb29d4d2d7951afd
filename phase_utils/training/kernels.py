"""L-BFGS of one linear network after another, compiled by numba: its memory stays in the cache.

The algorithm is that of `minimisers`, `quasi_newton` and `standstill`, whose names it keeps, and
the loss that of `linear_loss`. What may change there is handed in: numba keeps a compiled function
until its file changes, and so all of them are in this one.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit

from phase_utils.training.layout import Network, Room, Rules

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
FREE = {"reassoc", "contract", "arcp", "nsz"}  # what rounding may vary; nan and inf may not


def kernel(function: Kernel) -> Kernel:
    """Compile at the first call, and keep the result on disk; RuntimeError without a folder."""
    made: Any = njit(cache=True, nogil=True, error_model="numpy", fastmath=FREE)(function)
    return made


@kernel
def dot(a: Any, b: Any) -> float:
    """Scalar product, summed in double precision."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@kernel
def matrix(flat: Any, at: int, rows: int, columns: int) -> Any:
    """The numbers from `at` on as a matrix."""
    return flat[at : at + rows * columns].reshape(rows, columns)


@kernel
def product(out: Any, left: Any, right: Any) -> None:
    """Write left @ right; the rows of `right` are contiguous."""
    inner = len(right)
    for i in range(len(out)):
        row = out[i]
        for j in range(len(row)):
            row[j] = 0
        for k in range(0, inner - 3, 4):
            a, b, c, d = left[i, k], left[i, k + 1], left[i, k + 2], left[i, k + 3]
            p, q, r, s = right[k], right[k + 1], right[k + 2], right[k + 3]
            for j in range(len(row)):
                row[j] += (a * p[j] + b * q[j]) + (c * r[j] + d * s[j])
        for k in range(inner - inner % 4, inner):
            a, p = left[i, k], right[k]
            for j in range(len(row)):
                row[j] += a * p[j]


@kernel
def noise_free(net: Network, x: Any, state: Room, out: Any) -> float:
    """Data loss; its gradient is written."""
    sizes, at, zero, two = net.sizes, net.at, x.dtype.type(0), x.dtype.type(2)
    depth, k, d = len(sizes) - 2, sizes[-1], sizes[0]
    state.above[k * net.neurons_at[depth] : k * net.neurons_at[depth + 1]] = x[at[depth] :]
    for layer in range(depth - 1, -1, -1):
        seen = matrix(state.above, k * net.neurons_at[layer + 1], k, sizes[layer + 1])
        w = matrix(x, at[layer], sizes[layer + 1], sizes[layer])
        product(matrix(state.above, k * net.neurons_at[layer], k, sizes[layer]), seen, w)
    beta, (now, after) = matrix(state.above, 0, k, d), (state.carried[0], state.carried[1])
    product(after[:, :d], beta, net.A0)
    loss = net.Eyy
    for c in range(k):
        for i in range(d):
            loss += beta[c, i] * (after[c, i] - two * net.Exy[c, i])
            now[c, i] = two * (after[c, i] - net.Exy[c, i])  # dl/dbeta (W^(l-1) ... W^(0))^T
    for layer in range(depth):
        rows, columns = sizes[layer + 1], sizes[layer]
        seen = matrix(state.above, k * net.neurons_at[layer + 1], k, rows)
        w, gradient = matrix(x, at[layer], rows, columns), matrix(out, at[layer], rows, columns)
        for i in range(rows):
            a, total = seen[0, i], zero
            for j in range(columns):
                gradient[i, j] = a * now[0, j]
                total += w[i, j] * now[0, j]
            after[0, i] = total
        for c in range(1, k):
            for i in range(rows):
                a, total = seen[c, i], zero
                for j in range(columns):
                    gradient[i, j] += a * now[c, j]
                    total += w[i, j] * now[c, j]
                after[c, i] = total
        now, after = after, now
    for c in range(k):
        for i in range(sizes[depth]):
            out[at[depth] + c * sizes[depth] + i] = now[c, i]
    return loss


@kernel
def turned(out: Any, w: Any) -> None:
    """Write the transpose."""
    for i in range(len(w)):
        for j in range(len(out)):
            out[j, i] = w[i, j]


@kernel
def noisy(net: Network, x: Any, state: Room, out: Any) -> float:
    """Data loss by second moments M and sensitivities S; its gradient is written."""
    sizes, at, two, one = net.sizes, net.at, x.dtype.type(2), x.dtype.type(1)
    depth, k, neurons = len(sizes) - 2, sizes[-1], net.neurons_at
    for layer in range(depth):
        q, p = sizes[layer + 1], sizes[layer]
        w, image = matrix(x, at[layer], q, p), matrix(state.images, at[layer], q, p)
        product(image, w, matrix(state.M, net.squares_at[layer], p, p))
        if layer < depth - 1:
            w_turned = matrix(state.scratch[0], 0, p, q)
            turned(w_turned, w)
            M = matrix(state.M, net.squares_at[layer + 1], q, q)
            product(M, image, w_turned)
            for i in range(q):
                M[i, i] *= one + net.noises[layer]
            below = matrix(state.correlation, k * neurons[layer], k, p)
            product(matrix(state.correlation, k * neurons[layer + 1], k, q), below, w_turned)
    q, p = sizes[depth], sizes[depth - 1]
    U, top = matrix(x, at[depth], k, q), matrix(x, at[depth - 1], q, p)
    below, s2 = matrix(state.images, at[depth - 1], q, p), net.noises[depth - 1]
    seen = matrix(state.correlation, k * neurons[depth - 1], k, p)
    above, pulled = state.carried[0][:, :p], state.carried[1][:, :p]
    product(above, U, top)
    product(pulled, U, below)
    loss = net.Eyy
    for c in range(k):
        for j in range(p):
            loss += above[c, j] * (pulled[c, j] - two * seen[c, j])
            pulled[c, j] -= seen[c, j]
    powered, gradients = matrix(state.scratch[1], 0, q, p), matrix(out, at[depth - 1], q, p)
    for i in range(q):
        spread = s2 * x.dtype.type(dot(below[i], top[i]))  # of the noise on this neuron
        square = x.dtype.type(0)
        for c in range(k):
            square += U[c, i] * U[c, i]
            slope = x.dtype.type(dot(pulled[c], top[i]))
            out[at[depth] + c * q + i] = two * (slope + U[c, i] * spread)
        loss += square * spread
        power = two * s2 * square
        for j in range(p):
            gradients[i, j] = power * below[i, j]
            powered[i, j] = power * top[i, j]
        for c in range(k):
            for j in range(p):
                gradients[i, j] += two * U[c, i] * pulled[c, j]
    if depth > 1:
        S = matrix(state.scratch[2], 0, p, p)  # twice dloss/dM
        product(S, top.T, powered)
        for c in range(k):
            for i in range(p):
                for j in range(p):
                    S[i, j] += two * above[c, i] * above[c, j]
    above, free = state.carried[0], state.carried[1]
    S_now, S_next = state.scratch[2], state.scratch[3]
    for layer in range(depth - 2, -1, -1):
        p, d = sizes[layer + 1], sizes[layer]
        if layer < depth - 2:
            q = sizes[layer + 2]
            w, pushed = matrix(x, at[layer + 1], q, p), matrix(state.scratch[1], 0, q, p)
            product(pushed, matrix(S_now, 0, q, q), w)
            product(matrix(S_next, 0, p, p), w.T, pushed)
            product(free[:, :p], above[:, :q], w)
            S_now, S_next, above, free = S_next, S_now, free, above
        S = matrix(S_now, 0, p, p)
        for i in range(p):
            S[i, i] *= one + net.noises[layer]
        gradients = matrix(out, at[layer], p, d)
        product(gradients, S, matrix(state.images, at[layer], p, d))
        seen = matrix(state.correlation, k * neurons[layer], k, d)
        for c in range(k):
            for i in range(p):
                a = two * above[c, i]
                for j in range(d):
                    gradients[i, j] -= a * seen[c, j]
    return loss


@kernel
def value_and_gradient(net: Network, x: Any, gamma: float, state: Room, out: Any) -> float:
    """The loss with decay in the precision of the weights; its gradient is written."""
    loss = noisy(net, x, state, out) if net.noisy else noise_free(net, x, state, out)
    for layer in range(len(net.ratios)):
        decay, square = net.ratios[layer] * gamma, 0.0
        twice = x.dtype.type(2 * decay)
        w = x[net.at[layer] : net.at[layer + 1]]
        gradient = out[net.at[layer] : net.at[layer + 1]]
        for i in range(len(w)):
            gradient[i] += twice * w[i]
            square += w[i] * w[i]
        loss += decay * square
    return float(x.dtype.type(loss))


@kernel
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


@kernel
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


@kernel
def steepest(state: Room, h0: float) -> None:
    """Point against the gradient."""
    scale = state.g.dtype.type(-h0)
    for i in range(len(state.d)):
        state.d[i] = scale * state.g[i]


@kernel
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
