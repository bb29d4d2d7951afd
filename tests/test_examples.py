"""Docstrings of inner modules, too: their sections are there, and their examples run."""

import dataclasses
import doctest
import importlib
import inspect
import pkgutil
import re

import pytest

import phase_utils

ROOMS = ("theory",)  # those whose inner modules are described in full, beside one
MODULES = [
    f"phase_utils.{room}.{module.name}"
    for room in ROOMS
    for module in pkgutil.iter_modules([f"{phase_utils.__path__[0]}/{room}"])
] + ["phase_utils.sweeps.gaps"]


def functions(module):
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


@pytest.mark.parametrize("name", MODULES)
def test_every_parameter_and_result_is_described(name):
    faults = []
    for member, value in functions(importlib.import_module(name)):
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


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
