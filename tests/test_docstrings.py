"""Docstrings of public names: complete, in one dialect, with examples that run."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest
from numpydoc.validate import validate
from public_names import members, public

import phase_utils as pu

# the checks of numpydoc that hold here; those left out ask for capital letters and See Also
ASKED = re.compile(r"GL(06|07|08)|SS0[136]|PR0[123567]|PR10|RT0[13]|YD01|EX04")
# what a call returns is described by its attributes, and made by no reader
RESULTS = "Parameters {"


THINGS = dict(public())
DESCRIBED = [member for name, thing in THINGS.items() for member in members(name, thing)]


def made_by_no_reader(thing):
    """Whether a class is a result, described by its attributes, or a protocol."""
    is_result = inspect.isclass(thing) and "Attributes\n" in (thing.__doc__ or "")
    return is_result or getattr(thing, "_is_protocol", False)


@pytest.mark.parametrize("name", DESCRIBED)
def test_docstring_is_complete(name):
    thing = THINGS.get(name)
    faults = [
        f"{code}: {text}"
        for code, text in validate(f"phase_utils.{name}")["errors"]
        if ASKED.match(code) and not (RESULTS in text and made_by_no_reader(thing))
    ]
    assert faults == []


@pytest.mark.parametrize("name", pu.__all__)
def test_every_public_name_has_an_example(name):
    """Its own, or that of the call which returns it."""
    thing = THINGS[name]
    text = thing.__doc__ or ""
    if inspect.isclass(thing) and "Attributes\n" in text and "Parameters\n" not in text:
        returned = [
            n
            for n, t in THINGS.items()
            for m in [n, *members(n, t)]
            if (doc := inspect.getdoc(resolved(m))) and ">>>" in doc and returns(doc, name)
        ]
        assert returned != []
    else:
        assert ">>>" in text


def resolved(name):
    thing = pu
    for part in name.split("."):
        thing = getattr(thing, part)
    return thing


def returns(doc, name):
    """Whether the section Returns of a docstring names a class."""
    found = re.search(r"^Returns\n-+\n(.*?)(?:\n\n[A-Z]\w+\n-+\n|\Z)", doc, re.M | re.S)
    return bool(found) and re.search(rf"\b{name}\b", found[1]) is not None


FILES = sorted(path for path in Path(pu.__file__).parent.rglob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(Path(pu.__file__).parent.parent).with_suffix("").parts
    done = doctest.testmod(importlib.import_module(".".join(parts)), verbose=False)
    assert done.attempted > 0
    assert done.failed == 0
