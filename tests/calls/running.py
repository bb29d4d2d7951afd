"""Valid calls of what finds and runs chapters; no kernel is started."""

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import pytest

import phase_utils as pu
from calls.base import FLAG, NONE, NOTHING, Call, Inside, labels
from phase_utils.chapters import running
from phase_utils.chapters.running import Executed

PLACE = labels("'x'", "'1'", "Path")


@cache
def chapter() -> Any:
    return pu.chapters.find("depth_one")


def dry(function: Callable[..., Any]) -> Any:
    """A function that runs a chapter, whose cells are not executed."""

    def executed(_found: Any, _values: Any, **_options: Any) -> Executed:
        return Executed(("{}", "<html>"), (), "", "")

    @wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(running, "execute", executed)
            return function(*args, **options)

    return called


def parameter(name: str) -> Any:
    return next(p for p in chapter().parameters if p.name == name)


CALLS = {
    "chapters.default_folder": Call(lambda: (pu.chapters.default_folder, {})),
    "chapters.names": Call(lambda: (pu.chapters.names, {}), {"folder": NONE}),
    "chapters.tiers": Call(lambda: (pu.chapters.tiers, {}), {"folder": NONE}),
    "chapters.find": Call(
        lambda: (pu.chapters.find, {"name": "depth_one"}),
        {"name": labels("'1'"), "folder": NONE},
    ),
    "chapters.Chapter.notebook": Call(lambda: (chapter().notebook, {})),
    "chapters.Chapter.check_data": Call(
        lambda: (
            lambda parameters: chapter().check_data(parameters),
            {"parameters": {"data": "digits"}},
        ),
        {"parameters": NONE | {"{}"}},
        {"data of a run": Inside("parameters", lambda wrong: {"data": wrong}, NOTHING, "data")},
    ),
    "chapters.Chapter.values": Call(
        lambda: (chapter().values, {"parameters": {"seed": 1}}),
        {"parameters": NONE | {"{}"}, "tier": NONE},
        {
            "parameters of seed": Inside(
                "parameters", lambda wrong: {"seed": wrong}, labels("0"), "seed"
            )
        },
    ),
    "chapters.run": Call(
        lambda: (dry(pu.chapters.run), {"name": "depth_one", "parameters": {"seed": 1}}),
        {
            "name": labels("'1'"),
            "parameters": NONE | {"{}"},
            "tier": NONE,
            "out": PLACE,
            "folder": NONE,
            "timeout": NOTHING,
            "progress": FLAG,
            "record": NOTHING,  # the chapter keeps nothing
        },
    ),
    "grid.axis": Call(
        lambda: (pu.grid.axis, {"parameter": parameter("seed"), "text": "[1, 2]"}),
        {"parameter": NOTHING, "text": NOTHING},
    ),
    "grid.plan": Call(
        lambda: (pu.grid.plan, {"chapter": chapter(), "axes": {"seed": [1, 2]}}),
        {"chapter": NOTHING, "axes": labels("{}"), "parameters": NONE | {"{}"}, "tier": NONE},
        {
            "axes of seed": Inside(
                "axes", lambda wrong: {"seed": wrong}, labels("range(3)", "integers"), "seed"
            )
        },
    ),
    "grid.run": Call(
        lambda: (dry(pu.grid.run), {"name": "depth_one", "axes": {"seed": [1]}, "progress": False}),
        {
            "name": labels("'1'"),
            "axes": labels("{}"),
            "parameters": NONE | {"{}"},
            "tier": NONE,
            "out": PLACE,
            "folder": NONE,
            "client": NONE,
            "timeout": NOTHING,
            "progress": NONE | FLAG,
        },
    ),
}
