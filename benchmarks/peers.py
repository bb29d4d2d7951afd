"""The peers of the training benchmarks: the same loss, written as their users would write it.

Every peer minimises data_loss + gamma |w|^2 of `pu.LinearNetwork` for n networks from the same
initial weights, given as NumPy arrays (n, rows, columns). Its gradient is taken automatically.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

import phase_utils as pu

Weights = Sequence[Any]


def moments_loss(
    weights: Weights, gamma: Any, A0: Any, Exy: Any, Eyy: float, noises: Sequence[float]
) -> Any:
    """Loss of one network from moments; works on torch and JAX arrays alike."""
    M, c = A0, Exy
    for w, s2 in zip(weights[:-1], noises, strict=True):
        M, c = w @ M @ w.T, w @ c
        if s2:
            M = M + s2 * (M * eye_like(M))
    U = weights[-1][0]
    return U @ M @ U - 2 * U @ c + Eyy + gamma * sum((w * w).sum() for w in weights)


def eye_like(M: Any) -> Any:
    """Unit matrix in the library, type and place of `M`."""
    if isinstance(M, torch.Tensor):
        return torch.eye(len(M), dtype=M.dtype, device=M.device)
    import jax.numpy as jnp

    return jnp.eye(len(M), dtype=M.dtype)


def jax_adam(
    network: pu.LinearNetwork, init: Weights, gamma: Any, rate: float, dtype: Any = np.float64
) -> Callable[[int], Any]:
    """Vmap over networks, `optax.adam`, all steps in one compiled `lax.scan`.

    Returns a function of the number of steps that gives the final weights, ready.
    """
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")  # as torch: no TF32
    m = network.moments
    A0, Exy = (jax.numpy.asarray(v, dtype=dtype) for v in (m.A0, m.Exy))
    optimiser = optax.adam(rate)

    def loss(weights: Any, g: Any) -> Any:
        return moments_loss(weights, g, A0, Exy, m.Eyy, network.noises)

    gradient = jax.vmap(jax.grad(loss))
    start = tuple(jax.numpy.asarray(w, dtype=dtype) for w in init)
    decay = jax.numpy.asarray(gamma, dtype=dtype)
    programs: dict[int, Any] = {}

    def compiled(steps: int) -> Any:
        def step(carry: Any, _: Any) -> Any:
            weights, state = carry
            updates, state = optimiser.update(gradient(weights, decay), state)
            return (optax.apply_updates(weights, updates), state), None

        def train(weights: Any) -> Any:
            carry = (weights, optimiser.init(weights))
            return jax.lax.scan(step, carry, None, length=steps)[0][0]

        return jax.jit(train)

    def run(steps: int) -> Any:
        if steps not in programs:
            programs[steps] = compiled(steps)
        return jax.block_until_ready(programs[steps](start))

    return run


def jax_lbfgs(
    network: pu.LinearNetwork, init: Weights, gamma: Any, gradient_norm: float, most: int = 2000
) -> Callable[[], Any]:
    """Vmap over networks of `optax.lbfgs` with its line search, in a compiled `lax.while_loop`.

    It ends when the gradients of all networks are small enough.
    """
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    m = network.moments
    A0, Exy = jax.numpy.asarray(m.A0), jax.numpy.asarray(m.Exy)
    optimiser = optax.lbfgs()

    def train(weights: Any, g: Any) -> Any:
        def loss(w: Any) -> Any:
            return moments_loss(w, g, A0, Exy, m.Eyy, network.noises)

        value_and_gradient = optax.value_and_grad_from_state(loss)

        def step(carry: Any) -> Any:
            w, state, count, _ = carry
            value, slope = value_and_gradient(w, state=state)
            updates, state = optimiser.update(
                slope, state, w, value=value, grad=slope, value_fn=loss
            )
            return optax.apply_updates(w, updates), state, count + 1, optax.tree.norm(slope)

        def going(carry: Any) -> Any:
            return (carry[2] < most) & (carry[3] > gradient_norm)

        begin = (weights, optimiser.init(weights), 0, jax.numpy.inf)
        return jax.lax.while_loop(going, step, begin)[0]

    compiled = jax.jit(jax.vmap(train))
    start, decay = tuple(jax.numpy.asarray(w) for w in init), jax.numpy.asarray(gamma)
    return lambda: jax.block_until_ready(compiled(start, decay))


def loop_lbfgs(
    loss: Callable[..., Any], init: Weights, gamma: Any, gradient_norm: float
) -> list[torch.Tensor]:
    """One network after another, `torch.optim.LBFGS` with its strong-Wolfe line search."""
    trained = []
    for i, g in enumerate(gamma):
        weights = [torch.tensor(w[i], requires_grad=True) for w in init]
        optimiser = torch.optim.LBFGS(
            weights,
            max_iter=2000,
            max_eval=4000,
            history_size=10,
            tolerance_grad=gradient_norm,  # of the largest entry: weaker than of the norm
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

        def closure(weights: Any = weights, g: Any = g, optimiser: Any = optimiser) -> Any:
            optimiser.zero_grad()
            value = loss(weights, float(g))
            value.backward()
            return value

        optimiser.step(closure)
        trained.append([w.detach() for w in weights])
    return [torch.stack(layer) for layer in zip(*trained, strict=True)]


def vmap_adam(
    network: pu.LinearNetwork,
    init: Weights,
    gamma: Any,
    rate: float,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Callable[[int], Any]:
    """`torch.func.vmap(grad(...))` over networks and `torch.optim.Adam` on the stacked weights."""
    m = network.moments
    like = {"dtype": dtype, "device": device}
    A0, Exy, decay = (torch.as_tensor(np.array(v), **like) for v in (m.A0, m.Exy, gamma))

    def loss(weights: Any, g: Any) -> Any:
        return moments_loss(weights, g, A0, Exy, m.Eyy, network.noises)

    gradient = torch.func.vmap(torch.func.grad(loss))

    def run(steps: int, gradient_norm: float = 0.0) -> Any:
        weights = tuple(torch.as_tensor(np.array(w), **like) for w in init)
        optimiser = torch.optim.Adam(weights, lr=rate)
        for step in range(steps):
            for w, g in zip(weights, gradient(weights, decay), strict=True):
                w.grad = g
            if gradient_norm and step % 10 == 0:
                squares = [w.grad.flatten(1).square().sum(1) for w in weights]
                if torch.stack(squares).sum(0).max() < gradient_norm**2:
                    break
            optimiser.step()
        return weights

    return run


def loop_adam(loss: Callable[..., Any], init: Weights, gamma: Any, rate: float) -> Any:
    """One network after another, `torch.optim.Adam` and `backward` on `loss(weights, gamma)`."""

    def run(steps: int) -> Any:
        trained = []
        for i, g in enumerate(gamma):
            weights = [torch.tensor(w[i], requires_grad=True) for w in init]
            optimiser = torch.optim.Adam(weights, lr=rate)
            for _ in range(steps):
                optimiser.zero_grad()
                loss(weights, float(g)).backward()
                optimiser.step()
            trained.append([w.detach() for w in weights])
        return [torch.stack(layer) for layer in zip(*trained, strict=True)]

    return run


def torch_moments(network: pu.LinearNetwork) -> Callable[..., Any]:
    """The loss on moments for `loop_adam`."""
    m = network.moments
    A0, Exy = torch.tensor(m.A0), torch.tensor(m.Exy)
    return lambda weights, gamma: moments_loss(weights, gamma, A0, Exy, m.Eyy, network.noises)


def torch_samples(x: Any, y: Any, noises: Sequence[float], seed: int = 0) -> Callable[..., Any]:
    """The loss on samples with sampled Gaussian noise on the neurons, for `loop_adam`."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    generator = torch.Generator().manual_seed(seed)

    def loss(weights: Weights, gamma: float) -> Any:
        h = x
        for w, s2 in zip(weights[:-1], noises, strict=True):
            h = h @ w.T
            if s2:
                noise = torch.randn(h.shape, generator=generator, dtype=h.dtype)
                h = h * (1 + s2**0.5 * noise)
        residual = (h @ weights[-1].T)[:, 0] - y
        return residual.square().mean() + gamma * sum(w.square().sum() for w in weights)

    return loss
