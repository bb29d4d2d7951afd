"""Validation of arguments: a message names the argument, the value seen and the rule it breaks."""

import functools
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Reals = float | Sequence[float] | NDArray[Any]
Integers = int | Sequence[int] | NDArray[Any]
Kind = TypeVar("Kind")
Parameters = ParamSpec("Parameters")

LARGEST_INTEGER = 2**53  # above it float64, which carries integers in arrays, skips some
# what is asked for beyond these is taken for a slip
MOST_NUMBERS = 2**30  # in one array of float64: 8 GiB
MOST_LAYERS = 10_000
MOST_STEPS = 10**8  # that are all taken, not a bound

LONGEST = 100  # characters of a value in a message
_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = LONGEST


def numeric(
    name: str,
    value: Any,
    *,
    ndim: tuple[int, ...] | None = None,
    empty: bool = False,
    infinite: bool = False,
) -> Array:
    """Return `value` as a new finite float64 array, or raise ValueError naming `name`.

    Where `infinite`, +inf is taken too. Tensors are taken without their graph; booleans, texts and
    masked entries are no numbers.
    """
    try:
        array = _real(value)
    except Exception:  # an object's own conversion may raise anything
        raise ValueError(f"{name} must be real numbers, got {shown(value)}") from None
    if array.size == 0 and not empty:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    if ndim is not None and array.ndim not in ndim:
        wanted = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name} must have {wanted} dimensions, got shape {array.shape}")
    wrong = ~(np.isfinite(array) | (infinite & (array == np.inf)))
    if np.any(wrong):
        rule = "finite or inf" if infinite else "finite"
        raise ValueError(f"{name} must be {rule}, got {array[wrong][0]}")
    return array


def _real(value: Any) -> Array:
    if isinstance(value, int):
        value = float(value) if not isinstance(value, bool) else value
    elif hasattr(value, "detach"):  # a tensor, which may have a graph or lie on another device
        value = value.detach().cpu()
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or np.ma.is_masked(value) or _holds_a_flag(value):
        raise TypeError
    return np.array(array, dtype=np.float64)


def _holds_a_flag(value: Any) -> bool:
    """Whether a list holds True or False among its numbers, which NumPy takes for 1 and 0."""
    if isinstance(value, list | tuple):
        return any(map(_holds_a_flag, value))
    return isinstance(value, bool | np.bool_)


def non_negative(name: str, value: Any, *, ndim: tuple[int, ...] | None = None) -> Array:
    """Return `value` as a finite float64 array without negative entries."""
    array = numeric(name, value, ndim=ndim)
    if np.any(array < 0):
        raise ValueError(f"{name} must be >= 0, got {array[array < 0].ravel()[0]:g}")
    return array


def scalar(name: str, value: Any, *, minimum: float = -np.inf, strict: bool = False) -> float:
    """Return `value` as a finite float that is >= `minimum` (> where `strict`)."""
    number = float(numeric(name, value, ndim=(0,)))
    if number < minimum or (strict and number == minimum):
        raise ValueError(f"{name} must be {'>' if strict else '>='} {minimum:g}, got {number:g}")
    return number


def integer(name: str, value: Any, *, minimum: int, maximum: int = LARGEST_INTEGER) -> int:
    """Return `value` as an int from `minimum` to `maximum`; 2.0 is one, 1.5 and True are not."""
    number = numeric(name, value, ndim=(0,))
    if number != np.round(number) or number < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}, got {shown(value)}")
    if number > maximum:
        raise ValueError(f"{name} must be at most {maximum}, got {shown(value)}")
    return int(number)


def integers(name: str, value: Any) -> NDArray[np.int64]:
    """Return one integer or several as a 1-D array of integers from 0 to 2^53."""
    array = np.atleast_1d(non_negative(name, value, ndim=(0, 1)))
    wrong = (array != np.round(array)) | (array > LARGEST_INTEGER)
    if np.any(wrong):
        raise ValueError(f"{name} must be integers <= 2^53, got {array[wrong][0]:.17g}")
    return array.astype(np.int64)


def per_layer(name: str, value: Any, layers: int) -> tuple[float, ...]:
    """Return one float per layer from a scalar or a sequence of length `layers`."""
    if layers > MOST_LAYERS:
        raise ValueError(f"{name} must be None for more than {MOST_LAYERS} layers, got {layers}")
    array = numeric(name, value, ndim=(0, 1), empty=layers == 0)
    if array.ndim == 0:
        return (float(array),) * layers
    if len(array) != layers:
        raise ValueError(f"{name} must be a scalar or have {layers} entries, got {len(array)}")
    return tuple(float(v) for v in array)


def fits(name: str, value: Any, numbers: float, what: str) -> None:
    """Raise ValueError where an argument asks for arrays of more than `MOST_NUMBERS` numbers."""
    if numbers > MOST_NUMBERS:
        raise ValueError(
            f"{name} must leave {what} at most 2^30 numbers (8 GiB), got {shown(value)}, "
            f"which makes {numbers:.3g}"
        )


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return `value` if it is among `allowed`."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {shown(value)}")
    return value


def flag(name: str, value: Any) -> bool:
    """Return True or False; nothing else is taken for either."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {shown(value)}")
    return bool(value)


def text(name: str, value: Any) -> str:
    """Return `value`, a str."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a str, got {shown(value)}")
    return value


def non_empty(name: str, value: Any) -> str:
    """Return `value`, a str that says something."""
    if not text(name, value).strip():
        raise ValueError(f"{name} must say something, got {value!r}")
    return str(value)


def listing(name: str, value: Any, of: str = "names") -> tuple[str, ...]:
    """Return the texts of a list or tuple, which may be empty."""
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} must be a list of {of}, got {shown(value)}")
    return tuple(value)


def names(name: str, value: Any, known: Iterable[str], what: str) -> list[str]:
    """Return names, each among the `known` ones, from any iterable but a str or a dict."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError(f"{name} must be several names, as a list, got {shown(value)}")
    try:
        given = list(value)
    except Exception:  # an object's own iteration may raise anything
        raise ValueError(f"{name} must be several names, as a list, got {shown(value)}") from None
    own = list(known)
    unknown = [entry for entry in given if not isinstance(entry, str) or entry not in own]
    if unknown or not given:
        raise ValueError(
            f"{name} must name {what}, some of {', '.join(own) or 'none'}; "
            f"got {', '.join(map(shown, unknown[:5])) or 'none'}"
        )
    return given


def bar(name: str, value: Any) -> bool | None:
    """Return whether a progress bar is wanted: True, False, or None for where there is a reader."""
    return None if value is None else flag(name, value)


def function(name: str, value: Any, of: str) -> Callable[..., Any]:
    """Return `value`, a function or an object to be called, not a class, which takes `of`."""
    if not callable(value) or isinstance(value, type):
        raise ValueError(f"{name} must be a callable of {of}, got {kind(value)}")
    return value


def takes(
    count: int, rule: str
) -> Callable[[Callable[Parameters, Kind]], Callable[Parameters, Kind]]:
    """Decorate a function of at most `count` arguments by position: more are refused by a rule."""

    def decorated(function: Callable[Parameters, Kind]) -> Callable[Parameters, Kind]:
        @functools.wraps(function)
        def counted(*given: Parameters.args, **named: Parameters.kwargs) -> Kind:
            if len(given) > count:
                raise ValueError(f"{rule}; got {len(given)} arguments by position")
            return function(*given, **named)

        return counted

    return decorated


def tried(rule: str, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """What a user's function returns; what it raises is raised as a ValueError with the rule."""
    try:
        return function(*arguments, **named)
    except Exception as error:  # anything
        raise ValueError(f"{rule}, but it raised {said(error)}") from error


def said(error: Exception) -> str:
    """What an error is and says, in one line."""
    try:
        words = " ".join(str(error).split())[:200]
    except Exception:  # an error's own text may raise anything
        words = "?"
    return f"{type(error).__name__}: {words}"


def instance(name: str, value: Any, wanted: type[Kind], what: str) -> Kind:
    """Return `value` if it is `wanted`; `what` says in words what is wanted, and how it is made."""
    if not isinstance(value, wanted):
        raise ValueError(f"{name} must be {what}, got {kind(value)}")
    return value


def kind(value: Any) -> str:
    """What a value is, in a word or two."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def shown(value: Any) -> str:
    """A value as a message shows it: one line, short, whatever the value is."""
    try:
        words = " ".join(_REPR.repr(value).split())
    except Exception:  # an object's own repr may raise anything
        words = f"a {type(value).__name__}"
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
