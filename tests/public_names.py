"""Everything public: what `phase_utils` lists, its modules' own members, and classes' methods."""

import inspect
from collections.abc import Iterator
from typing import Any

import phase_utils as pu

MODULES = [name for name in pu._MODULES if name != "chapters"]


def public() -> Iterator[tuple[str, Any]]:
    """All that the pages describe, as (name, object)."""
    for name in pu.__all__:
        yield name, getattr(pu, name)
    for name in MODULES:
        module = getattr(pu, name)
        for member, thing in vars(module).items():
            own = getattr(thing, "__module__", None) == module.__name__
            # what it lists may come from modules of their own
            own = own or member in getattr(module, "__all__", ())
            if own and not member.startswith("_") and callable(thing) and thing.__doc__:
                yield f"{name}.{member}", thing


def members(name: str, thing: Any) -> Iterator[str]:
    """A public name, and the methods of a class, those of its bases too."""
    yield name
    if inspect.isclass(thing):
        own = [base for base in thing.__mro__ if base.__module__.startswith("phase_utils.")]
        for member, value in {k: v for base in own[::-1] for k, v in vars(base).items()}.items():
            function = getattr(value, "__func__", value)
            if inspect.isfunction(function) and not member.startswith("_"):
                yield f"{name}.{member}"


def of_chapters() -> Iterator[tuple[str, Any]]:
    """What runs chapters, which a page of its own describes."""
    for name in pu.chapters._HOMES:
        if callable(thing := getattr(pu.chapters, name)):
            yield f"chapters.{name}", thing
