"""Job 1 of the training benchmarks, and the arithmetic and memory traffic of one of its steps."""

from typing import Any

import numpy as np
import torch

import phase_utils as pu

WIDTH, INPUTS, NOISE = 16, 10, 0.09
ADAM_PASSES = 11  # reads and writes of the update, per weight: x, g, m, v, z and g, m, v, z, x


def job_one(
    n: int, width: int = WIDTH, depth: int = 2, *, device: str = "cpu", dtype: Any = torch.float64
) -> tuple[pu.LinearNetwork, tuple[torch.Tensor, ...], Any]:
    """Network, initial weights and decays of `n` networks, none of which converges soon."""
    network = pu.LinearNetwork(pu.Moments.isotropic(INPUTS, 1.0, 0.45), depth, width, NOISE)
    init = network.initial_weights(0.3, range(n), device=device, dtype=dtype)
    return network, init, np.linspace(0.02, 0.2, n)


def parameters(network: pu.LinearNetwork) -> int:
    """Weights of one network."""
    return network.parameters


def flops_per_step(network: pu.LinearNetwork) -> int:
    """Floating-point operations that the exact gradient of one noisy network needs at least.

    Two operations per multiplication and addition of the matrix products: W M, (W M) W^T below the
    top, W^T S W and S (W M) below the top; and about 30 per weight for update and thin products.
    """
    inputs = [columns for _, columns in network.shapes[:-1]]
    hidden = list(network.widths)
    total = sum(2 * h * i * i for h, i in zip(hidden, inputs, strict=True))
    total += sum(2 * h * i * h for h, i in zip(hidden[:-1], inputs[:-1], strict=True))
    for level in range(network.depth - 1):  # S of layer `level + 1`, from the layer above
        above, here = hidden[level + 1], hidden[level]
        total += 2 * above * here * here + 2 * here * here * inputs[level]
        if level < network.depth - 2:
            total += 2 * above * above * here
    return total + 30 * parameters(network)


def bytes_per_step(network: pu.LinearNetwork, itemsize: int) -> int:
    """Bytes of the state that one step of Adam has to move if the cache keeps nothing."""
    return ADAM_PASSES * parameters(network) * itemsize
