"""A regulariser for torch models without a trivial phase: a power of the norm of all weights."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from phase_utils._check import kind, scalar


def norm_power_penalty(parameters: Iterable[Tensor], gamma: float, power: float) -> Tensor:
    """Return gamma |w|^power, |w| the Euclidean norm of all weights taken together.

    To be added to a loss in place of weight decay. A plain feed-forward network of D hidden layers
    on data with E[xy] != 0 has no trivial phase, at any gamma, if power > D + 1; the paper proposes
    power = D + 2 (Section IV.C). Power 2 is L2 regularisation, for plain SGD the same as torch's
    `weight_decay` = 2 gamma.

    Parameters
    ----------
    parameters : iterable of tensors
        Of real floating-point numbers, any shapes, dtypes and devices; for a module without biases
        `model.parameters()`. Weights that are not to be regularised, such as biases, are left out
        by the caller.
    gamma : float
        At least 0.
    power : float
        Above 0.

    Returns
    -------
    Tensor
        Shape (), on the device of the first tensor; float32 or, if a tensor is, float64. It is
        differentiable. At w = 0 the gradient is zero for every power, and so are the second
        derivatives unless power = 2, where they are 2 gamma; both are exact for power > 2.

    Raises
    ------
    ValueError
        For no tensors (as of a generator that is used up), other things than floating-point
        tensors, and a gamma or power out of range.

    Examples
    --------
    >>> import torch
    >>> import phase_utils as pu
    >>> model = torch.nn.Linear(3, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = model.weight.fill_(2.0)
    >>> pu.norm_power_penalty(model.parameters(), gamma=0.5, power=4).item()
    72.0
    """
    gamma = scalar("gamma", gamma, minimum=0)
    power = scalar("power", power, minimum=0, strict=True)
    tensors = _tensors(parameters)
    device = tensors[0].device
    squared = torch.stack([w.square().sum().to(device) for w in tensors]).sum()
    if power == 2:
        return gamma * squared
    # R^(p/2) has infinite derivatives in R at R = 0, which w = 0 would turn into nan
    zero = squared == 0
    inside = torch.where(zero, 1.0, squared)
    return gamma * torch.where(zero, 0.0, inside ** (power / 2))


def _tensors(parameters: Any) -> list[Tensor]:
    """The parameters as a list in one dtype, wide enough for sums of squares, or ValueError."""
    whole = isinstance(parameters, Tensor | str | bytes | Mapping)
    if whole or not isinstance(parameters, Iterable):
        raise ValueError(f"parameters must be an iterable of tensors, got {kind(parameters)}")
    try:
        tensors = list(parameters)
    except Exception:  # an object's own iteration may raise anything
        raise ValueError(
            f"parameters must be an iterable of tensors, got {kind(parameters)}"
        ) from None
    if not tensors:
        raise ValueError("parameters must hold one tensor or more, got none")
    for w in tensors:
        if not isinstance(w, Tensor) or not w.is_floating_point():
            seen = str(w.dtype) if isinstance(w, Tensor) else kind(w)
            raise ValueError(f"parameters must be real floating-point tensors, got {seen}")
    double = any(w.dtype == torch.float64 for w in tensors)
    return [w.to(torch.float64 if double else torch.float32) for w in tensors]
