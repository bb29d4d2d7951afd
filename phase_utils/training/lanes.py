"""Adam and gradient descent of linear networks, compiled by numba: networks are lanes of a vector.

A block stays in the cache to its end, and a network that has ended makes room for the next. The
algorithm is that of `minimisers` and `descents`, the loss that of `linear_loss`, whose names are
kept.
"""

from typing import Any

import numpy as np

from phase_utils.training.layout import Abreast, Batch, Network, Pace
from phase_utils.training.vectors import (
    ADD,
    BYTES,
    SET,
    SET_HALF,
    alike,
    called,
    load,
    matrix,
    of_lanes,
    product,
    root,
    store,
    turned,
)

FORGOTTEN = 1e-30  # of one


def abreast(dtype: Any) -> int:
    """How many networks train together, one in each lane."""
    return BYTES // int(dtype.itemsize)


@of_lanes
def noise_free(net: Network, state: Abreast, out: Any) -> None:
    """Data loss and gradient; they are written."""
    x, sizes, at, k, d = state.x, net.sizes, net.at, net.sizes[-1], net.sizes[0]
    depth = len(sizes) - 2
    seen = matrix(x, at[depth], k, sizes[depth])
    for layer in range(depth - 1, -1, -1):  # U ... W^(l)
        w = matrix(x, at[layer], sizes[layer + 1], sizes[layer])
        below = matrix(state.above, k * net.neurons_at[layer], k, sizes[layer])
        product(below, seen, w, SET)
        seen = below
    carried = matrix(state.carried[0], 0, k, d) if depth else matrix(out, 0, k, d)
    product(carried, seen, matrix(net.A0.reshape(d * d), 0, d, d), SET)
    loss, two = alike(x, net.Eyy), alike(x, 2.0)
    for i in range(k * d):
        image, y = load(carried.flat, i), load(state.correlation, i)
        loss += load(seen.flat, seen.at + i) * (image + y)
        store(carried.flat, i, two * image + y)  # dl/dbeta (W^(l-1) ... W^(0))^T
    store(state.loss, 0, loss)
    for layer in range(depth):
        rows, columns, last = sizes[layer + 1], sizes[layer], layer == depth - 1
        w = matrix(x, at[layer], rows, columns)
        seen = matrix(state.above, k * net.neurons_at[layer + 1], k, rows)
        seen = matrix(x, at[depth], k, rows) if last else seen
        product(matrix(out, at[layer], rows, columns), turned(seen), carried, SET)
        after = matrix(state.carried[1 - layer % 2], 0, k, rows)
        after = matrix(out, at[depth], k, rows) if last else after
        product(after, carried, turned(w), SET)
        carried = after


@of_lanes
def louder(m: Any, noise: float) -> None:
    """Multiply the diagonal by 1 + noise."""
    factor = alike(m.flat, 1 + noise)
    for i in range(m.rows):
        k = m.at + i * (m.stride + 1)
        store(m.flat, k, factor * load(m.flat, k))


@of_lanes
def noisy(net: Network, state: Abreast, out: Any) -> None:
    """Data loss and gradient by second moments M and sensitivities S; they are written."""
    x, sizes, at, k, noises = state.x, net.sizes, net.at, net.sizes[-1], net.noises
    depth, two = len(sizes) - 2, alike(x, 2.0)
    for layer in range(depth):
        q, p = sizes[layer + 1], sizes[layer]
        w, image = matrix(x, at[layer], q, p), matrix(state.images, at[layer], q, p)
        if layer:
            product(image, w, matrix(state.M, net.squares_at[layer], p, p), SET)
        else:
            product(image, w, matrix(net.A0.reshape(p * p), 0, p, p), SET)
        if layer < depth - 1:
            M = matrix(state.M, net.squares_at[layer + 1], q, q)
            product(M, image, turned(w), SET_HALF)
            louder(M, noises[layer])
            seen = matrix(state.correlation, k * net.neurons_at[layer], k, p)
            after = matrix(state.correlation, k * net.neurons_at[layer + 1], k, q)
            product(after, seen, turned(w), SET)
    q, p = sizes[depth], sizes[depth - 1]
    U, top = matrix(x, at[depth], k, q), matrix(x, at[depth - 1], q, p)
    below, seen = at[depth - 1], k * net.neurons_at[depth - 1]
    above, pulled = matrix(state.carried[0], 0, k, p), matrix(state.carried[1], 0, k, p)
    product(above, U, top, SET)
    product(pulled, U, matrix(state.images, below, q, p), SET)
    loss = alike(x, net.Eyy)
    for i in range(k * p):
        image, y = load(pulled.flat, i), load(state.correlation, seen + i)
        loss += load(above.flat, i) * (image + y)
        store(pulled.flat, i, two * image + y)
    product(matrix(out, at[depth], k, q), pulled, turned(top), SET)
    powered = matrix(state.scratch[0], 0, q, p)
    for i in range(q):
        spread, square = alike(x, 0.0), alike(x, 0.0)
        for j in range(below + i * p, below + i * p + p):
            spread += load(state.images, j) * load(x, j)
        spread *= alike(x, noises[depth - 1])  # of the noise on this neuron
        for u in range(at[depth] + i, at[depth + 1], q):
            square += load(x, u) * load(x, u)
            store(out, u, load(out, u) + two * load(x, u) * spread)
        loss += square * spread
        power = two * alike(x, noises[depth - 1]) * square
        for j in range(i * p, i * p + p):
            store(out, below + j, power * load(state.images, below + j))
            store(powered.flat, j, power * load(x, below + j))
    store(state.loss, 0, loss)
    product(matrix(out, below, q, p), turned(U), pulled, ADD)
    S = matrix(state.scratch[1], 0, p, p)  # twice dloss/dM
    if depth > 1:
        product(S, turned(top), powered, SET_HALF)
        for i in range(k * p):
            store(pulled.flat, i, two * load(above.flat, i))
        product(S, turned(above), pulled, ADD)
    for layer in range(depth - 2, -1, -1):
        q, p, d = sizes[layer + 2], sizes[layer + 1], sizes[layer]
        if layer < depth - 2:
            w, pushed = matrix(x, at[layer + 1], q, p), matrix(state.scratch[0], 0, q, p)
            product(pushed, S, w, SET)
            S = matrix(S.flat, 0, p, p)
            product(S, turned(w), pushed, SET_HALF)
            after = matrix(state.carried[(depth - layer) % 2], 0, k, p)
            product(after, above, w, SET)
            above = after
        louder(S, noises[layer])
        gradients = matrix(out, at[layer], p, d)
        product(gradients, S, matrix(state.images, at[layer], p, d), SET)
        seen = k * net.neurons_at[layer]
        product(gradients, turned(above), matrix(state.correlation, seen, k, d), ADD)


@of_lanes
def move(net: Network, pace: Pace, state: Abreast) -> None:
    """One step of every network."""
    x, g, first, second = state.x, state.g, state.first, state.second
    kept, faded = alike(x, pace.momentum), alike(x, 1 - pace.momentum)
    square_kept, square_faded = alike(x, pace.square_kept), alike(x, 1 - pace.square_kept)
    epsilon, unbias = alike(x, pace.epsilon), alike(x, 1.0)
    if pace.adam:
        for lane in range(x.shape[1]):
            bias, square_bias = state.bias[lane], state.square_bias[lane]
            # zero before numbers so small that processors are slow with them
            state.bias[lane] = bias = bias * pace.momentum if bias > FORGOTTEN else 0.0
            square_bias = square_bias * pace.square_kept if square_bias > FORGOTTEN else 0.0
            state.square_bias[lane] = square_bias
            state.step[0, lane] = state.rate[0, lane] / (1 - bias)
            state.step[1, lane] = 1 / np.sqrt(1 - square_bias)
        step, unbias = load(state.step, 0), load(state.step, 1)
    else:
        step = load(state.rate, 0)
    for layer in range(len(net.ratios)):
        decay = alike(x, 2 * net.ratios[layer]) * load(state.gamma, 0)
        for i in range(net.at[layer], net.at[layer + 1]):
            w, mean = load(x, i), load(first, i)
            slope = load(g, i) + decay * w
            if pace.adam:
                mean += faded * (slope - mean)
                square = square_kept * load(second, i) + square_faded * (slope * slope)
                store(second, i, square)
                store(x, i, w - step * mean / (root(square) * unbias + epsilon))
            else:
                mean = kept * mean + slope
                store(x, i, w - step * mean)
            store(first, i, mean)


@of_lanes
def measure(net: Network, state: Abreast, lane: int) -> None:
    """Loss, with decay, and norms of weights, gradient and first moments of a network."""
    real, f = state.x.dtype.type, float(state.loss[0, lane])
    size = steepness = speed = 0.0
    for layer in range(len(net.ratios)):
        decay, square = net.ratios[layer] * state.gamma[0, lane], 0.0
        for i in range(net.at[layer], net.at[layer + 1]):
            w, mean = float(state.x[i, lane]), float(state.first[i, lane])
            slope = float(state.g[i, lane] + real(2 * decay) * state.x[i, lane])
            square, speed = square + w * w, speed + mean * mean
            steepness += slope * slope
        f, size = f + decay * square, size + square
    state.f[lane], state.size[lane] = real(f), np.sqrt(size)
    state.steepness[lane], state.speed[lane] = np.sqrt(steepness), np.sqrt(speed)


@of_lanes
def judged(pace: Pace, state: Abreast, lane: int) -> int:
    """Status code of a network."""
    f, size, norm_g = state.f[lane], state.size[lane], state.steepness[lane]
    if not (np.isfinite(f) and np.isfinite(norm_g)) or size > state.farthest[lane]:
        return pace.diverged
    bound = pace.tolerance * max(abs(f), state.unit[lane])
    rests = pace.rest * state.speed[lane] <= 2 * norm_g + pace.tiny
    return pace.converged if rests and norm_g <= bound / max(size, 1.0) else pace.running


@of_lanes
def begun(net: Network, pace: Pace, state: Abreast, lane: int) -> int:
    """Note what a network starts from; return its status code."""
    unit = abs(float(state.x.dtype.type(net.Eyy)))
    state.unit[lane] = unit if unit > 0 else abs(state.f[lane])
    state.farthest[lane] = pace.runaway * max(state.size[lane], 1.0)
    sound = np.isfinite(state.f[lane])
    for i in range(len(state.g)):
        sound &= np.isfinite(state.g[i, lane])
    return judged(pace, state, lane) if sound else pace.nonfinite


@of_lanes
def exchange(state: Abreast, lane: int, row: int, out: Batch) -> None:
    """Let the network of a row into a lane; for row -1 none, which is one of zeros."""
    state.row[lane], state.age[lane] = row, 0
    state.gamma[0, lane] = out.gamma[row] if row >= 0 else 0
    state.rate[0, lane] = out.rate[row] if row >= 0 else 0
    state.bias[lane] = state.square_bias[lane] = 1
    for i in range(len(state.x)):
        state.x[i, lane] = out.x[row, i] if row >= 0 else 0
        state.first[i, lane] = state.second[i, lane] = 0


@called
def descend(net: Network, pace: Pace, state: Abreast, out: Batch, most: int) -> bool:
    """Take about so many steps with every network of the block; whether there are more to take."""
    lanes, count = range(state.x.shape[1]), 0
    while True:
        fresh = False
        for lane in lanes:
            if state.row[lane] < 0 and state.queue[0] < state.queue[1]:
                exchange(state, lane, state.queue[0], out)
                state.queue[0] += 1
                fresh = True
        for _ in range(max(count, int(fresh))):
            if count:
                move(net, pace, state)
            if net.noisy:
                noisy(net, state, state.g)
            else:
                noise_free(net, state, state.g)
        most, taken, count, running, ended = most - count, count, pace.max_steps, False, False
        for lane in lanes:
            row = state.row[lane]
            if row < 0:
                continue
            age = state.age[lane] = state.age[lane] + taken
            left, code = pace.max_steps - age, pace.running
            if age % pace.check_every == 0 or not left:
                measure(net, state, lane)
                code = judged(pace, state, lane) if age else begun(net, pace, state, lane)
            if code != pace.running or not left:
                out.code[row], out.steps[row] = code, age
                for i in range(len(state.x)):
                    out.x[row, i] = state.x[i, lane]
                exchange(state, lane, -1, out)
                ended = True
            else:
                running, count = True, min(count, left, pace.check_every - age % pace.check_every)
        if ended and state.queue[0] < state.queue[1]:
            count = 0
        elif not running or most <= 0:
            return running
