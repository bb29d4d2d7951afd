"""A module and a loss tried once on data: what does not fit is refused before any training."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from phase_utils._check import instance, said, shown, tried

LossFunction = Callable[[Any, Any], Tensor]


def checked(model: Any) -> nn.Module:
    """Return a module whose parameters are there, real and finite, or raise ValueError."""
    instance("model", model, nn.Module, "a torch.nn.Module")
    if isinstance(getattr(model, "_orig_mod", None), nn.Module):
        raise ValueError(
            "model must be the module itself, got what torch.compile made of it: pass the module "
            "that was compiled, which is compiled._orig_mod"
        )
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter) or parameter.is_meta:
            raise ValueError(f"model must have numbers in all its parameters, got none in {name}")
        if parameter.is_complex() or not parameter.isfinite().all():
            raise ValueError(f"model must have finite real parameters, got others in {name}")
    return model


def copied(model: Any) -> nn.Module:
    """A copy of a module as `checked` takes it, or ValueError."""
    checked(model)
    try:
        return deepcopy(model)
    except Exception as error:  # a module's own copying may raise anything
        raise ValueError(
            f"model must be a module that deepcopy copies, got {said(error)}"
        ) from error


def applied(model: Callable[[Tensor], Any], x: Tensor, after: str = "") -> Any:
    """The output of a model for samples, or ValueError where they do not fit to each other."""
    return tried(f"model must take the x of data{after}, {_size(x)}", model, x)


def compared(loss_fn: LossFunction, output: Any, y: Tensor) -> Tensor:
    """The loss of a model's output, a scalar that tells which output belongs to which y."""
    rule = f"loss_fn must take the output of model and the y of data, {_size(output)}, {_size(y)}"
    loss: Any = tried(rule, loss_fn, output, y)
    if not isinstance(loss, Tensor) or loss.ndim or not loss.is_floating_point():
        raise ValueError(f"loss_fn must return a scalar, the mean over samples, got {shown(loss)}")
    column = isinstance(output, Tensor) and output.shape == (len(y), 1) and len(y) > 1
    if column and y.ndim == 1 and y.is_floating_point() and output.std() > 0 and y.std() > 0:
        with torch.no_grad():
            mixed, moved = loss_fn(output, y.roll(1)), loss_fn(output, y + y.std())
        # a column minus a row is a matrix: its mean does not know which y belongs to which output
        if torch.isclose(mixed, loss, rtol=1e-6) and not torch.isclose(moved, loss, rtol=1e-6):
            raise ValueError(
                f"data must have y of shape ({len(y)}, 1) like the output of model, got "
                f"({len(y)},), for which loss_fn compares every output with every y: pass "
                "y.reshape(-1, 1)"
            )
    return loss


def _size(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return type(value).__name__
