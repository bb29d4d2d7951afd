"""Mutants of the package outside its chapters: an expression made wrong; does a test notice?

    python tests/mutants.py theory.curve training.train    # judge the sample of these modules
    python tests/mutants.py theory.curve --all             # every mutant of it
    python tests/mutants.py --list theory.curve            # say what they are

A mutant is one change of one function, such as `a + b -> a - b`. It is put into the package in a
process of its own, which then runs the tests that reach the function, the quickest first, until one
fails. Which tests reach what is seen once, by running them all.
"""

import argparse
import ast
import copy
import hashlib
import importlib
import json
import os
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from places import COMPILED
from planting import BROKEN, PACKAGE, apart, compiled, file, functions, place

import phase_utils
from phase_utils._files import write_atomic

TESTS = Path(__file__).resolve().parent
ROOMS = ("theory", "training", "sweeps", "diagnosis")
MODULES = tuple(
    f"{room}.{path.stem}"
    for room in ROOMS
    for path in sorted((PACKAGE / room).glob("*.py"))
    # numba compiles the kernels from their file, whatever their code is set to: `test_compiled`
    if path.stem not in ("__init__", *COMPILED)
)
SEEN = TESTS.parent / ".pytest_cache" / "mutants"
KNOWN = tomllib.loads((TESTS / "mutants.toml").read_text(encoding="utf-8"))
SAMPLE = 4  # mutants of a module, drawn by their digest
# seconds, as of the run without mutants, after which a mutant has survived: each own file, others
OWN, SPENT = 30.0, 8.0
# what a run returns that passed, had no such test, or could not change the function
UNJUDGED = (0, 4, 5, BROKEN)
SEEDED = ("default_rng", "manual_seed")  # calls whose numbers are seeds: another is no fault

SWAPPED = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.USub: ast.UAdd,
}
PAIRS = "min max, minimum maximum, argmin argmax, any all, floor ceil, clamp_min clamp_max, "
PAIRS += "zeros ones, zeros_like ones_like, new_zeros new_ones, exp expm1, log log1p"
OTHER = {a: b for pair in PAIRS.split(", ") for a, b in (pair.split(), pair.split()[::-1])}
Change = Callable[[], None]


@dataclass(frozen=True)
class Mutant:
    """The change of number `number` of a function, as the sources have it."""

    module: str
    function: str
    number: int
    text: str

    @property
    def key(self) -> str:
        return f"{self.function}: {self.text}"

    @property
    def rank(self) -> str:
        return hashlib.sha256(f"{self.module} {self.key}".encode()).hexdigest()


def expressions(node: ast.AST) -> Iterator[ast.AST]:
    """What a function holds, but for what it says and the types it names."""
    for name, value in ast.iter_fields(node):
        if name in ("args", "annotation", "returns", "decorator_list") and not isinstance(
            node, ast.Call
        ):
            continue
        for child in value if isinstance(value, list) else [value]:
            mute = ast.JoinedStr | ast.Raise
            if not isinstance(child, ast.AST) or isinstance(child, mute):
                continue
            if isinstance(child, ast.keyword) and child.arg in ("strict", "xtol", "rtol"):
                continue
            if isinstance(child, ast.Constant) and called(node) in SEEDED:
                continue
            if isinstance(child, ast.List) and called(node) == "random":  # seeds, one a row
                continue
            yield child
            yield from expressions(child)


def called(node: ast.AST) -> str:
    """The last name of what a call calls, or nothing."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
            return name
    return ""


def change(node: Any) -> Change | None:
    """What makes a node wrong, in place; None where nothing does."""
    put = node.__setattr__
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            return lambda: put("ops", [SWAPPED[type(op)]()])
        case ast.Compare(ops=[_, *ops], comparators=[left, *others]) if ops:
            return lambda: vars(node).update(left=left, ops=ops, comparators=others)
        case ast.BinOp(op=op) | ast.AugAssign(op=op) | ast.BoolOp(op=op) if type(op) in SWAPPED:
            return lambda: put("op", SWAPPED[type(op)]())
        case ast.UnaryOp(op=ast.USub()):
            return lambda: put("op", ast.UAdd())
        case ast.UnaryOp(op=ast.Not() | ast.Invert() as op, operand=operand):
            return lambda: put("operand", ast.UnaryOp(op, operand))
        case ast.Constant(value=bool(value)):
            return lambda: put("value", not value)
        case ast.Constant(value=int(value)):
            return lambda: put("value", value + 1)
        case ast.Constant(value=float(value)):
            return lambda: put("value", 1.5 * value or 1.0)
        case ast.Call(func=ast.Attribute(attr=name) as called) if name in OTHER:
            return lambda: called.__setattr__("attr", OTHER[name])
        case ast.Call(func=ast.Name(id=name) as called) if name in OTHER:
            return lambda: called.__setattr__("id", OTHER[name])
        case (
            ast.If(test=ast.Name() | ast.Attribute() | ast.Call() as test)
            | ast.IfExp(test=ast.Name() | ast.Attribute() | ast.Call() as test)
        ):
            return lambda: put("test", ast.UnaryOp(ast.Not(), test))
        case ast.Expr(value=ast.Call()):
            return lambda: put("value", ast.Constant(None))
    return None


def shown(node: Any) -> str:
    """The head of a statement, or an expression."""
    text = f"if {ast.unparse(node.test)}" if isinstance(node, ast.If) else ast.unparse(node)
    return " ".join(text.split())


@cache
def mutants(module: str) -> tuple[Mutant, ...]:
    """All mutants of a module, in a fixed order that edits elsewhere do not change."""
    found: dict[str, Mutant] = {}
    counts: dict[tuple[str, str], int] = {}
    for name, function in functions(ast.parse(file(module).read_text(encoding="utf-8"))):
        if {module, f"{module}.{name}"} & set(KNOWN["exempt"]):
            continue
        for number, node in enumerate(n for n in expressions(function) if change(n)):
            twin = copy.deepcopy(node)
            change(twin)()
            text = f"{shown(node)} -> {shown(twin)}"
            counts[name, text] = again = counts.get((name, text), 0) + 1
            mutant = Mutant(module, name, number, text if again == 1 else f"{text} #{again}")
            found[mutant.key] = mutant
    return tuple(sorted(found.values(), key=lambda m: m.rank))


def code(mutant: Mutant) -> CodeType:
    """The function with its change, compiled."""
    tree = ast.parse(file(mutant.module).read_text(encoding="utf-8"))
    function = dict(functions(tree))[mutant.function]
    changes = [c for node in expressions(function) if (c := change(node))]
    changes[mutant.number]()
    return compiled(tree, mutant.module, mutant.function)


class Watch:
    """A plugin that notes which functions of the package each test calls, and what it costs.

    Seconds are those of the processor: what else the machine does changes no choice.
    """

    def __init__(self) -> None:
        self.seen: set[CodeType] = set()
        self.files: dict[str, dict[str, Any]] = {}
        self.spent = 0.0

    def see(self, frame: Any, event: str, _: Any) -> None:
        if event == "call":
            self.seen.add(frame.f_code)

    def names(self) -> list[str]:
        """What has been seen since the last call."""
        seen, self.seen = self.seen, set()
        own = [c for c in seen if c.co_filename.startswith(str(PACKAGE))]
        modules = [Path(c.co_filename).relative_to(PACKAGE).with_suffix("").parts for c in own]
        owners = [c.co_qualname.split(".<locals>")[0] for c in own]
        return sorted({".".join(m) + f":{f}" for m, f in zip(modules, owners, strict=True)})

    def pytest_configure(self) -> None:
        threading.setprofile(self.see)
        sys.setprofile(self.see)

    def _of(self, nodeid: str) -> dict[str, Any]:
        empty: dict[str, Any] = {"shared": [], "tests": {}}
        return self.files.setdefault(nodeid.partition("::")[0], empty)

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: Any) -> Any:
        report = yield
        if names := self.names():
            self._of(collector.nodeid)["shared"] += names
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: Any) -> Any:
        yield
        self._of(item.nodeid)["shared"] += self.names()  # fixtures may serve several tests

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Any:
        begun = seconds()
        yield
        self.spent = seconds() - begun

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" and report.passed:
            self._of(report.nodeid)["tests"][report.nodeid] = [self.spent, self.names()]


def seconds() -> float:
    """Of the processor, in this process and in those that it has waited for."""
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


class Chosen:
    """A plugin that runs some tests in their order; what fails need not be made simpler."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.tests = tests

    def pytest_configure(self) -> None:
        from hypothesis import Phase, settings

        short = settings(settings.get_profile("fixed"), phases=[Phase.explicit, Phase.generate])
        settings.register_profile("mutants", short)
        settings.load_profile("mutants")

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        found = {item.nodeid: item for item in items}
        items[:] = [found[test] for test in self.tests if test in found]


def run(arguments: Sequence[str], plugin: Any) -> int:
    """Run tests in this process."""
    os.chdir(TESTS.parent)
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # `load` came first
    return int(pytest.main([*options, *arguments], plugins=[plugin]))


def own_files(module: str) -> list[str]:
    """The tests of a module: those that are named for it, or those of its name, if there are."""
    stem = module.partition(".")[2]
    by_name = [stem] if (TESTS / f"test_{stem}.py").exists() else []
    return list(KNOWN["judges"]["own"].get(stem, by_name))


def reach(rooms: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Which tests reach what, by file: seen once for these very sources, and kept."""
    import filelock

    names = [name for room in rooms for name in KNOWN["judges"][room]]
    names += [n for m in MODULES if m.partition(".")[0] in rooms for n in own_files(m)]

    sources = sorted([*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")])
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]
    found: dict[str, dict[str, Any]] = {}
    SEEN.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(SEEN / "lock"):
        for name in dict.fromkeys([*names, "refusals"]):
            store = SEEN / f"{digest}.{name}.json"
            if not store.exists():
                apart(partial(watched, name, store), 900)
            found |= json.loads(store.read_text())
    return found


def watched(name: str, store: Path) -> int:
    watch = Watch()
    result = run([f"tests/test_{name}.py"], watch)
    sys.setprofile(None)
    write_atomic(store, json.dumps(watch.files))
    return result


def judges(mutant: Mutant, reached: dict[str, dict[str, Any]]) -> tuple[list[str], float]:
    """The tests that reach a mutant, its own first, and how long they take without it."""
    at = f"{mutant.module}:{mutant.function}"
    room = mutant.module.partition(".")[0]
    own = own_files(mutant.module)
    chosen: list[str] = []
    spent = 0.0
    each = [*(([name], OWN) for name in own), (KNOWN["judges"][room], SPENT), (["refusals"], SPENT)]
    for names, left in each:
        files = [f"tests/test_{name}.py" for name in names]
        fits = sorted(
            (seconds, test)
            for found in (reached[file] for file in files)
            for test, (seconds, called) in found["tests"].items()
            if test not in chosen and (at in called or at in found["shared"])
            if not any(f"::{dear}" in test for dear in KNOWN["judges"]["dear"])
        )
        for seconds, test in fits:
            if seconds <= left or test in KNOWN["judges"]["last"]:
                chosen.append(test)
                left, spent = left - seconds, spent + seconds
    return chosen, spent


def killed(mutant: Mutant, tests: Sequence[str], seconds: float = SPENT) -> bool:
    """Whether one of the tests fails, or never ends, with the mutant in place."""
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))

    def work() -> int:
        place(code(mutant))
        return run(["-x", *files], Chosen(tests))

    return bool(tests) and apart(work, 30 + 5 * seconds) not in UNJUDGED


def load() -> None:
    """Import all there is to be changed, and what tests import: a child starts with it."""
    for module in MODULES:
        importlib.import_module(f"phase_utils.{module}")
    for name in phase_utils.__all__:
        getattr(phase_utils, name)
    for name in ("hypothesis", "scipy.optimize", "xarray", "zarr"):  # costly, and used by many
        importlib.import_module(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON object a line: a mutant, and whether it was killed."""
    parser = argparse.ArgumentParser(description="Judge mutants of modules.")
    parser.add_argument("modules", nargs="*", default=MODULES, metavar="MODULE")
    parser.add_argument("--all", action="store_true", help="every mutant, not the sample")
    parser.add_argument("--list", action="store_true", help="say what the mutants are")
    parser.add_argument("--examples", action="store_true", help="those that mutants.toml names")
    options = parser.parse_args(arguments)
    chosen = [
        m for module in options.modules for m in mutants(module)[: None if options.all else SAMPLE]
    ]
    if options.list:
        print(*(f"{m.module} {m.key}" for m in chosen), sep="\n")
        return 0
    load()
    if options.examples:
        named = {e["module"] for e in KNOWN["killed"]}
        known = {(m.module, m.key): m for module in named for m in mutants(module)}
        tests = {known[e["module"], e["mutant"]]: ([e["test"]], SPENT) for e in KNOWN["killed"]}
    else:
        reached = reach(
            [room for room in ROOMS if any(m.startswith(room) for m in options.modules)]
        )
        tests = {mutant: judges(mutant, reached) for mutant in chosen}
    for mutant, (asked, seconds) in tests.items():
        dead = killed(mutant, asked, seconds)
        line = {"module": mutant.module, "mutant": mutant.key, "killed": dead, "asked": len(asked)}
        print(json.dumps(line), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
