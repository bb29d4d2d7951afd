"""Loss and gradient of a linear network, compiled by numba: what `linear_loss` computes.

Its names are kept. All that it works on is in a `Room`, which stays in the cache.
"""

import functools
from typing import Any

from phase_utils.training.compiling import kept
from phase_utils.training.layout import Network, Room

FREE = {"reassoc", "contract", "arcp", "nsz"}  # what rounding may vary; nan and inf may not
kernel = functools.partial(kept, fastmath=FREE, no_cfunc_wrapper=True)
# called from kernels alone, which takes less time to compile
inner = functools.partial(kernel, no_cpython_wrapper=True)


@kernel
def dot(a: Any, b: Any) -> float:
    """Scalar product, summed in double precision."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return total


@inner
def matrix(flat: Any, at: int, rows: int, columns: int) -> Any:
    """The numbers from `at` on as a matrix."""
    return flat[at : at + rows * columns].reshape(rows, columns)


@inner
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


@inner
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


@inner
def turned(out: Any, w: Any) -> None:
    """Write the transpose."""
    for i in range(len(w)):
        for j in range(len(out)):
            out[j, i] = w[i, j]


@inner
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
