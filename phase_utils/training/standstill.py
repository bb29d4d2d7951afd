"""What rounding does to a loss and its gradient, and when a row can get no further.

The terms of a loss are about as large as its largest curvature times |w|^2. Each is rounded, and
that hides how the loss falls long before the gradient vanishes: the gradient then leads alone.
"""

import torch
from torch import Tensor

from phase_utils.training.graphs import CHECK_EVERY
from phase_utils.training.rows import State, norm

ROUNDINGS = 4  # of the terms, that their sum may be wrong by
FADE = 0.99  # of the largest curvature seen, per step that shows a smaller one
SHORTEST = 1e-4  # of |w|: the steps that show it; rounding and kinks bend shorter ones
FAINT = 1e-3  # share of |g|^2 / curvature, the least that a good step wins, that makes no progress
FLATTER = 0.5  # of the least gradient seen, what counts as progress
UNHEARD = 100  # roundings of the loss that steps may promise without it falling by one
IDLE_CHECKS = 5  # checks in a row without progress after which a row is given up


def unit(state: State) -> Tensor:
    """(n,), the unit of loss: the loss now or of zero weights, whichever is larger."""
    return torch.maximum(state["f"].abs(), state["unit"])


def of_loss(state: State) -> Tensor:
    """(n,), what rounding may do to the loss of each row."""
    terms = torch.maximum(unit(state), _curvature_of_terms(state) * state["size"].square())
    return ROUNDINGS * torch.finfo(terms.dtype).eps * terms


def of_gradient(state: State) -> Tensor:
    """(n,), the norm of a gradient that is nothing but rounding."""
    size = state["size"]
    return ROUNDINGS * torch.finfo(size.dtype).eps * _curvature_of_terms(state) * size


def _curvature_of_terms(state: State) -> Tensor:
    """(n,), the largest curvature seen; near a transition that of the decay, which data cancel."""
    return torch.maximum(state["curvature"], 2 * state["gamma"])


def seen(state: State, curved: Tensor, length: Tensor, curvature: Tensor) -> Tensor:
    """(n,), the largest curvature after a step of this length, along which it was `curvature`."""
    telling = curved & (length > SHORTEST * state["size"])
    largest = torch.maximum(FADE * state["curvature"], curvature)
    return torch.where(telling, largest, state["curvature"])


def begin(state: State) -> None:
    """Add to the state what `judged` remembers."""
    f = state["f"]
    state["f_seen"] = f.clone()  # ticks may overwrite f
    state["g_seen"] = norm(state["g"])
    state["g_checked"] = state["g_seen"].clone()
    state["promised"] = torch.zeros_like(f)
    state["idle"] = torch.full_like(f, -1.0)  # the check before the first tick shows no progress


def judged(state: State) -> tuple[Tensor, Tensor]:
    """(n,) of bool each: rows at a minimum as far as rounding lets them see, and stalled rows.

    A row gets on while its loss falls, its gradient shrinks, or its gradient, being more than
    rounding, promises a fall that rounding hides. Where rounding takes more than half of the digits
    of the loss, nobody can tell what a row that stands still has reached.
    """
    f, norm_g, eps = state["f"], norm(state["g"]), torch.finfo(state["f"].dtype).eps
    noise, rounding = of_gradient(state), of_loss(state)
    fell = state["f_seen"] - f > ROUNDINGS * eps * unit(state)
    flatter = norm_g < FLATTER * state["g_seen"]
    state["f_seen"] = torch.where(fell, f, state["f_seen"])
    state["g_seen"] = torch.where(flatter, norm_g, state["g_seen"])
    promise = -0.5 * state["alpha"] * state["slope"]
    state["promised"] = torch.where(fell, 0.0, state["promised"] + CHECK_EVERY * promise)
    good = promise * state["curvature"] > FAINT * norm_g.square()
    moved = norm_g != state["g_checked"]
    state["g_checked"] = norm_g
    believed = moved & good & (norm_g > noise) & (state["promised"] <= UNHEARD * rounding)
    state["idle"] = torch.where(fell | flatter | believed, 0.0, state["idle"] + 1)
    stands = state["idle"] >= IDLE_CHECKS
    arrived = stands & (norm_g <= noise) & (rounding <= eps**0.5 * unit(state))
    return arrived, stands & ~arrived
