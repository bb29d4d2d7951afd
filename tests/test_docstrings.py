"""Docstrings of public names: complete, in one dialect, with examples that run."""

import ast
import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from pathlib import Path

import pytest
from numpydoc.validate import validate
from public_names import members, public

import phase_utils as pu
from phase_utils import _check

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


# what refuses an argument; the others of that module only say something
REFUSE = {name for name, _ in inspect.getmembers(_check, inspect.isfunction)} - {
    "bar",
    "kind",
    "said",
    "shown",
}


def refuses(thing):
    """Whether code raises by itself, or checks its arguments by `_check`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    called = {
        n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and hasattr(n.func, "id")
    }
    return bool(called & REFUSE) or any(isinstance(n, ast.Raise) for n in ast.walk(tree))


@pytest.mark.parametrize("name", DESCRIBED)
def test_what_refuses_arguments_says_so(name):
    thing = resolved(name)
    if made_by_no_reader(thing) or getattr(thing, "fget", None):
        return
    if inspect.isclass(thing):
        made = "__post_init__" if dataclasses.is_dataclass(thing) else "__init__"
        code = thing.__dict__.get(made)
    else:
        code = thing
    if inspect.isfunction(code) and refuses(code):
        assert section(inspect.getdoc(thing) or "", "Raises")


# what starts kernels, too long for an example that runs: a page shows it, and test_grid runs it
KERNELS = {"grid.run", "grid.Outcome"}


@pytest.mark.parametrize("name", sorted(set(THINGS) - KERNELS))
def test_every_public_name_has_an_example(name):
    """Its own, or that of the call which returns it; members of public modules too."""
    thing = THINGS[name]
    text = thing.__doc__ or ""
    if inspect.isclass(thing) and "Attributes\n" in text and "Parameters\n" not in text:
        own = name.rpartition(".")[2]
        returned = [
            n
            for n, t in THINGS.items()
            for m in [n, *members(n, t)]
            if (doc := inspect.getdoc(resolved(m))) and ">>>" in doc and returns(doc, own)
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


INNER = [  # modules that are described in full, whether public or not
    f"phase_utils.theory.{module.name}"
    for module in pkgutil.iter_modules([str(Path(pu.__file__).parent / "theory")])
] + [f"phase_utils.sweeps.{name}" for name in ("gaps", "residuals", "sides")]


def inner_functions(module):
    """Public functions, methods and classes with parameters of their own, by name."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value) or (inspect.isclass(value) and "__init__" in vars(value)):
            yield name, value
        if inspect.isclass(value):
            for member, inner in vars(value).items():
                inner = getattr(inner, "__func__", inner)
                if not member.startswith("_") and inspect.isfunction(inner):
                    yield f"{name}.{member}", inner


def section(doc, title):
    """The text of one section, empty where it is not there."""
    found = re.search(rf"^{title}\n-+\n(.*?)(?=\n\n\w+\n-+\n|\Z)", doc, re.M | re.S)
    return found[1] if found else ""


@pytest.mark.parametrize("name", INNER)
def test_every_parameter_and_result_is_described(name):
    faults = []
    for member, value in inner_functions(importlib.import_module(name)):
        doc = inspect.getdoc(value) or ""
        described = re.findall(r"^\**(\w[\w, ]*) : ", section(doc, "Parameters"), re.M)
        if dataclasses.is_dataclass(value):  # the fields of a record are its attributes
            described += re.findall(r"^(\w[\w, ]*) : ", section(doc, "Attributes"), re.M)
        known = {part.strip() for names in described for part in names.split(",")}
        signature = inspect.signature(value)
        if missing := set(signature.parameters) - known - {"self", "cls"}:
            faults.append(f"{member} says nothing of {', '.join(sorted(missing))}")
        returns = signature.return_annotation not in (None, inspect.Signature.empty)
        if returns and not section(doc, "Returns") and not inspect.isclass(value):
            faults.append(f"{member} says nothing of what it returns")
    assert faults == []


FILES = sorted(path for path in Path(pu.__file__).parent.rglob("*.py") if ">>>" in path.read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_examples_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parts = path.relative_to(Path(pu.__file__).parent.parent).with_suffix("").parts
    done = doctest.testmod(importlib.import_module(".".join(parts)), verbose=False)
    assert done.attempted > 0
    assert done.failed == 0
