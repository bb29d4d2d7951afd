"""The rooms of the package: which may import which, and that a name costs only what it needs."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from places import COMPILED

import phase_utils as pu

PACKAGE = Path(pu.__file__).parent
ROOMS = ("theory", "training", "sweeps", "diagnosis", "chapters")  # each may import those before it
MODULES = sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))


def imported(path):
    """Modules of the package that a file imports, as tuples of their parts."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (tuple(n.split(".")[1:]) for n in names if n.split(".")[0] == "phase_utils")


def room(path):
    return path.relative_to(PACKAGE).parts[0]


def test_every_module_is_in_a_room():
    outside = {p.name for p in PACKAGE.glob("*.py")}
    assert outside == {"__init__.py", "__main__.py", "_check.py", "_extras.py", "_files.py"}
    assert {p.name for p in PACKAGE.iterdir() if p.is_dir()} - {"__pycache__"} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_data_flow_one_way(path):
    own = ROOMS.index(room(path))
    for parts in imported(path):
        if parts[0] in ROOMS:
            assert ROOMS.index(parts[0]) <= own, parts
        else:
            assert parts[0] in ("_check", "_extras", "_files"), f"{parts}: import it from its room"


def test_no_module_imports_itself_by_way_of_others():
    known = {path.relative_to(PACKAGE).with_suffix("").parts: path for path in MODULES}
    arrows = {}
    for parts, path in known.items():
        named = (p[:n] for p in imported(path) for n in range(2, len(p) + 1))  # a name, a module
        arrows[parts] = {p for p in named if p in known} - {parts}

    def reached(start):
        seen, todo = set(), [start]
        while todo:
            for following in arrows.get(todo.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    todo.append(following)
        return seen

    assert [parts for parts in arrows if parts in reached(parts)] == []


def defined(node):
    """Names of the class or the constants that a statement of a module defines."""
    if isinstance(node, ast.ClassDef):
        return [node.name]
    targets = getattr(node, "targets", None) or [node.target] if is_assignment(node) else []
    return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


def is_assignment(node):
    return isinstance(node, ast.Assign | ast.AnnAssign)


def test_a_class_or_a_constant_has_one_home():
    homes = {}
    for path in [*MODULES, *PACKAGE.glob("_*.py")]:
        for node in ast.parse(path.read_text()).body:
            for name in defined(node):
                if not name.startswith("_"):
                    homes.setdefault(name, set()).add(path.relative_to(PACKAGE).as_posix())
    assert {name: where for name, where in homes.items() if len(where) > 1} == {}


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_module_is_not_hidden_by_a_function(path):
    if path.stem in COMPILED:
        pytest.importorskip("numba")
    name = ".".join(("phase_utils", *path.relative_to(PACKAGE).with_suffix("").parts))
    namespace = {}
    exec(f"import {name} as module", namespace)
    assert inspect.ismodule(namespace["module"])


# what works in place, as it says: a state of rows in training, the sums of its recursion, and where
# compiled functions write
IN_PLACE = {"training": {"state", "along", "weight", "out"}}


def handed(function):
    """The names of what a function is handed, but for the keywords that are its own."""
    a = function.args
    return {p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg) if p} - {"self"}


def changed(function):
    """Names of objects that the statements of a function itself assign into, or delete from."""
    todo = list(ast.iter_child_nodes(function))
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        todo += ast.iter_child_nodes(node)
        if isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load):
            while isinstance(node, ast.Attribute | ast.Subscript):
                node = node.value
            if isinstance(node, ast.Name):
                yield node.id


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_no_function_assigns_to_what_it_was_handed(path):
    functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
    found = {(f.name, name) for f in functions for name in changed(f) if name in handed(f)}
    assert {(f, name) for f, name in found if name not in IN_PLACE.get(room(path), ())} == set()


def test_the_list_for_type_checkers_is_the_list_that_is_loaded():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    listed = {
        alias.asname: f"{node.module}.{alias.name}"
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    homes = {name: f"phase_utils.{module}.{name}" for name, module in pu._HOMES.items()}
    modules = {name: f"phase_utils.{module}" for name, module in pu._MODULES.items()}
    assert listed == homes | modules
    assert set(pu.__all__) == set(homes)
    assert {*homes, *modules, "__version__"} <= set(dir(pu))
    assert all(getattr(pu, name) is not None for name in listed)


def test_unknown_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'Landscapes'"):
        pu.Landscapes  # noqa: B018


def test_theory_needs_neither_torch_nor_the_tools_of_notebooks():
    code = (
        "import sys, phase_utils as pu; pu.Landscape(pu.Moments.isotropic(), depth=2).transitions()"
        "; print(sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(ast.literal_eval(done.stdout))
    assert "phase_utils" in loaded
    foreign = {"torch", "pandas", "xarray", "zarr", "sklearn", "matplotlib", "IPython", "nbformat"}
    assert loaded & foreign == set()
