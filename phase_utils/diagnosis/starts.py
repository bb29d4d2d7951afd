"""Where ascents start: fresh weights, one unit alone, the steepest direction at the blind state."""

import contextlib
import copy
import math

import numpy as np
import torch
from torch import nn

from phase_utils._check import Array
from phase_utils.diagnosis.objective import Objective

GAINS = (1.0, 2.5, 0.4)  # sizes of fresh weights, in turn
GATES: dict[type[nn.Module], int] = {
    nn.LSTM: 4,
    nn.LSTMCell: 4,
    nn.GRU: 3,
    nn.GRUCell: 3,
}  # rows of a unit of these


def fresh(objective: Objective, rng: np.random.Generator, gain: float) -> Array:
    """Weights as the module's own layers draw them, decayed ones times a gain."""
    model = copy.deepcopy(objective.model)
    with torch.random.fork_rng([]), torch.no_grad():
        torch.manual_seed(int(rng.integers(1 << 30)))
        for module in model.modules():
            for name in ("reset_parameters", "_reset_parameters"):
                reset = getattr(module, name, None)
                if callable(reset):
                    with contextlib.suppress(Exception):  # a module's own method
                        reset()
                    break
    named = dict(model.named_parameters())
    drawn = [named[k].detach().reshape(-1).double().cpu().numpy() for k in objective.names]
    w = objective.scaled(np.concatenate(drawn))
    untouched = (w == objective.first) & objective.decays & (w != 0)
    for part in objective.slices.values():  # a parameter of the module's own, drawn as it spreads
        own = objective.first[part]
        if untouched[part].all() and own.size > 1 and own.std() > 0:
            w[part] = own.std() * rng.standard_normal(own.size)
    if objective.penalty.function is not None:
        return w
    return np.where(objective.decays, gain * w, w)


def one_unit(objective: Objective, rng: np.random.Generator, size: float) -> Array:
    """One unit or channel alone: one row of every weight but the last, of norm `size` each."""
    w = fresh(objective, rng, 1.0)
    tables = {
        f"{k}.weight" if k else "weight"
        for k, m in objective.model.named_modules()
        if isinstance(m, nn.Embedding | nn.EmbeddingBag)
    }
    gated = {
        f"{k}.{name}".lstrip("."): gates
        for k, m in objective.model.named_modules()
        for kind, gates in GATES.items()
        if isinstance(m, kind)
        for name, _ in m.named_parameters(recurse=False)
    }
    layers = [(k, s) for k, s in zip(objective.names, objective.shapes, strict=True) if len(s) > 1]
    if not layers:
        return w
    picked: dict[int, int] = {}
    for name, shape in layers[:-1]:
        part = objective.slices[name]
        rows = w[part].reshape(shape[0], -1).copy()
        rows = rows.T.copy() if name in tables else rows
        gates = gated.get(name, 1)
        units = len(rows) // gates
        unit = picked.setdefault(units, int(rng.integers(units)))
        keep = np.zeros(len(rows), dtype=bool)
        keep[[unit + i * units for i in range(gates)]] = True
        rows[~keep] = 0.0
        rows *= size / max(float(np.linalg.norm(rows)), 1e-300)
        w[part] = (rows.T if name in tables else rows).ravel()
        bias = name.replace("weight", "bias")
        if bias != name and bias in objective.slices:
            where = objective.slices[bias]
            if w[where].size == len(keep):
                w[where] *= keep
    gradient = objective.gradient(w, 0.0)[2]
    for name, _ in layers[1:]:  # weights from dead units are useless
        part = objective.slices[name]
        if objective.decays[part].all():
            kept = w[part]
            kept[np.abs(gradient[part]) < 1e-13] = 0.0
    last = w[objective.slices[layers[-1][0]]]
    last *= size / max(float(np.linalg.norm(last)), 1e-300)
    return w


def steepest(
    objective: Objective, blind: Array, rng: np.random.Generator, iterations: int = 30
) -> Array:
    """Away from the blind state along its direction of least curvature.

    Two-sided differences of gradients in a power iteration, which works at kinks as well.
    """
    z = np.where(objective.decays, rng.standard_normal(objective.parameters), 0.0)
    z /= np.linalg.norm(z)
    step, largest = 1e-2, 0.0
    here = objective.gradient(blind, 0.0)[2]
    for _ in range(iterations):
        moved = objective.gradient(blind + step * z, 0.0)[2] - here
        image = np.where(objective.decays, moved / step, 0.0)
        largest = max(largest, float(np.linalg.norm(image)))
        z = largest * z - image
        norm = float(np.linalg.norm(z))
        if not norm > 0:
            break
        z /= norm
    return np.asarray(blind + 0.3 * z)


def draw(objective: Objective, blind: Array, count: int, seed: int) -> list[tuple[str, Array]]:
    """(kind, weights) of `count` starts, the module's own weights first."""
    rng = np.random.default_rng(seed)
    pool = [("own", objective.first.copy())]
    structured = objective.penalty.function is None
    for i in range(count - 1):
        if not structured or i % 3 == 0:
            pool.append(("fresh", fresh(objective, rng, GAINS[i // 3 % len(GAINS)])))
        elif i == 1:
            pool.append(("steepest", steepest(objective, blind, rng)))
        else:
            size = math.exp(rng.uniform(-0.5, 1.4))
            pool.append(("unit", one_unit(objective, rng, size)))
    return pool
