"""What the ledger refuses: comparisons that cannot fail, or whose failure nobody would notice."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOSE = 0.1  # a tolerance above this part of the largest expected value needs a reason
ROUNDED = 1e-3  # an expected value below this part of its tolerance stands for zero

# words that say where a value stands, and not how it was found
POINTER = re.compile(
    r"above|an|and|as|at|below|book|bounds?|by|chapter|claim|closed|corollary|definition|eqs?|"
    r"equations?|expected|fig|figure|forms?|formulas?|from|given|in|known|law|lemma|limit|number|"
    r"of|on|paper|part|page|printed|proof|proposition|route|same|section|see|statement|table|text|"
    r"that|the|theorem|theory|this|to|values?"
)


def refuse_no_route(claim: str, route: str) -> None:
    """Refuse a route that names no way to a number: nothing, or only where the number stands."""
    words = re.findall(r"[^\W\d_]{2,}", route.lower())
    formula = re.search(r"[=^*/<>|]", route)  # which says how by itself
    if not formula and all(POINTER.fullmatch(word) for word in words):
        raise ValueError(
            f"route of {claim} must say how the expected value was found, got {route!r}"
        )


def refuse_itself(claim: str, measured: Any, expected: Any) -> None:
    """Refuse a value that is compared with itself: one object, or memory that both share."""
    both = [
        value.detach().numpy() if _is_tensor(value) else value for value in (measured, expected)
    ]
    if isinstance(both[0], np.ndarray) and isinstance(both[1], np.ndarray):
        same = bool(np.shares_memory(both[0], both[1]))
    else:
        pairs = list(zip(_parts(measured), _parts(expected), strict=False))
        same = bool(pairs) and all(a is b for a, b in pairs) and any(_own(a) for a, _ in pairs)
    if same:
        raise ValueError(
            f"measured and expected of {claim} must not be one object, nor share memory: "
            "compute them by two routes"
        )


def loosest(tolerance: float | Mapping[str, float]) -> float:
    """Return the largest tolerance that any tier asks for."""
    return max(tolerance.values(), default=0.0) if isinstance(tolerance, Mapping) else tolerance


def refuse_loose(
    claim: str, tolerance: float, want: NDArray[Any], relative: bool, reason: str
) -> None:
    """Refuse a tolerance above a tenth of the largest expected value without a reason."""
    scale = 1.0 if relative else float(np.max(np.abs(want[np.isfinite(want)]), initial=0.0))
    if scale < ROUNDED * tolerance:  # zero is expected, of which there is no tenth
        return
    if tolerance > LOOSE * scale * (1 + 1e-9) and not reason.strip():
        raise ValueError(
            f"tolerance of {claim} must be at most {LOOSE:.0%} of what is expected, got "
            f"{tolerance:g} for {scale:g}: tighten it, or say in `loose` why it cannot be"
        )


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach") and hasattr(value, "numpy") and value.device.type == "cpu"


def _parts(value: Any) -> Iterable[Any]:
    """Return the scalars of nested lists and tuples, anything else as it is."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from _parts(part)
    else:
        yield value


def _own(value: Any) -> bool:
    """Whether an object is no constant that Python may have stored once: True, "first", 0.0, 2."""
    if isinstance(value, float) and not isinstance(value, np.generic):
        return not float(value).is_integer()
    return not isinstance(value, bool | np.bool_ | int | str | bytes | None)
