"""Every claim has a check that an error of one per cent, or the opposite of the claim, would fail.

It is read off the references: lines that chapters show at the tier `smoke`, where tolerances are
widest. A line that compares answers fails where one is turned round. What is expected to be zero is
taken as measured in units of what it is compared with. Claims that no check pins so closely are
listed with a reason; the list may only get shorter. Each claim compares a number somewhere.
"""

import ast
import copy
import json
import re
from collections import defaultdict

import in_process
import pytest
import references

from phase_utils import chapters
from phase_utils.chapters import vocabulary
from phase_utils.chapters.evidence import refuse_no_route

ERROR = 0.01
NUMBERS = re.compile(
    r"measured (\S+) \| expected (\S+) \| .*values? within (\S+) \((relative|absolute)\)"
)
WIDE = {
    "ext-langevin": "averages over two dozen chains, compared in their standard errors",
    "ext-population-loss": "an average over samples, compared in its standard errors",
    "Fig-2e": "images of networks trained for some hundred steps at the tier smoke",
    "Fig-3": "a mean over some hundred noisy runs",
    "ext-arrhenius": "escape times of some hundred chains, compared in their standard errors",
    "text-sensitivity": "how many networks of a few learn from the largest scale of a map",
    "text-init-norm": "a mean over 300 draws, which is known to one and a half per cent",
    "text-init-data-independent": "a scan of scales that lie three per cent apart",
    "ext-beta": "ascents over draws of the code, of which there are few at the tier smoke",
}


def strong(line):
    """Whether a line that passed would not have passed with another answer, or one per cent off."""
    found = NUMBERS.search(line)
    if not found:
        return "expected" in line
    _, expected, tolerance, kind = found.groups()
    try:
        size = abs(complex(expected)) or 1.0
    except ValueError:  # infinite, as text
        return True
    return float(tolerance) < ERROR * (1.0 if kind == "relative" else size)


def lines(name):
    """Return the lines of the checks of a chapter, by claim."""
    found = defaultdict(list)
    nb = json.loads((references.FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    for cell in nb["cells"]:
        for output in cell.get("outputs", []):
            text = "".join(output.get("data", {}).get("text/plain", ""))
            claim, _, rest = text.partition(" | ")
            if rest.split(" | ")[0] in vocabulary.STATES:
                found[claim].append(rest)
    return found


@pytest.mark.parametrize("name", chapters.names())
def test_one_per_cent_or_the_opposite_fails_every_claim(name):
    shown = lines(name)
    ran = {
        c for c, checks in shown.items() if any("within" in x or "expected" in x for x in checks)
    }
    assert ran
    weak = {claim for claim in ran if not any(strong(line) for line in shown[claim])}
    assert weak == {claim for claim in WIDE if claim in shown}


@pytest.mark.parametrize("name", chapters.names())
def test_no_claim_rests_on_answers_alone(name):
    ran = {c: x for c, x in lines(name).items() if any("expected" in line for line in x)}
    assert [c for c, x in ran.items() if not any("within" in line for line in x)] == []


@pytest.mark.parametrize(
    ("line", "fails"),
    [
        ("pass | measured 1 | expected 1 | 1 value within 0.009 (relative)", True),
        ("pass | measured 1 | expected 1 | 1 value within 0.02 (relative)", False),
        (
            "pass | the largest: measured 5 | expected 5 | 3 of 3 values within 0.04 (absolute)",
            True,
        ),
        ("pass | measured 0.1 | expected 0.1 | 1 value within 0.002 (absolute)", False),
        ("pass | measured 0 | expected 0 | 1 value within 1e-09 (absolute)", True),
        ("pass | what | 3 of 3 as expected", True),
        ("pass | measured True | expected True", True),
    ],
)
def test_what_is_strong(line, fails):
    assert strong(line) == fails


UNWRAPPED = ("array", "asarray", "copy", "detach", "float", "list", "numpy", "tuple")


class Expanded(ast.NodeTransformer):
    """Puts in place of a name what it is assigned once, and of a copy what is copied."""

    def __init__(self, assigned):
        self.assigned = assigned

    def visit_Name(self, node):
        value = self.assigned.get(node.id)
        return (
            node
            if value is None
            else Expanded(self.assigned | {node.id: None}).visit(copy.deepcopy(value))
        )

    def visit_Call(self, node):
        node = self.generic_visit(node)
        match node:
            case ast.Call(func=ast.Attribute(attr=name, value=ast.Name("np")), args=[one]):
                return one if name in UNWRAPPED else node
            case ast.Call(func=ast.Name(id=name), args=[one]) if name in UNWRAPPED:
                return one
            case ast.Call(func=ast.Attribute(attr=name, value=one), args=[]) if name in UNWRAPPED:
                return one
        return node


def twins(code):
    """The claims of checks whose two sides are one expression, however it is stored."""
    tree = ast.parse(code)
    assigned = {}
    stored = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and type(n.ctx) is ast.Store]
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if stored.count(name) == 1:
                assigned[name] = value
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ledger.check":
            sides = {k.arg: k.value for k in node.keywords if k.arg in ("measured", "expected")}
            left, right = (
                ast.dump(Expanded(assigned).visit(copy.deepcopy(side))) for side in sides.values()
            )
            if left == right:
                found.append(ast.unparse(node.args[0]))
    return found


@pytest.mark.parametrize("name", chapters.names())
def test_no_check_compares_an_expression_with_itself(name):
    assert twins(in_process.source(name)) == []


@pytest.mark.parametrize(
    ("sides", "found"),
    [
        ("measured=f(x), expected=f(x)", True),
        ("measured=once, expected=np.array(f(x))", True),
        ("measured=once.copy(), expected=list(f(x))", True),
        ("measured=again, expected=once", True),
        ("measured=f(x), expected=f(y)", False),
        ("measured=twice, expected=f(x)", False),
        ("measured=once, expected=g(x)", False),
    ],
)
def test_what_is_one_expression(sides, found):
    code = f"once = f(x)\nagain = once\ntwice = f(x)\ntwice = 2\nledger.check('a', {sides})"
    assert twins(code) == (["'a'"] if found else [])


@pytest.mark.parametrize("name", chapters.names())
def test_every_route_names_a_way(name):
    for node in ast.walk(ast.parse(in_process.source(name))):
        route = isinstance(node, ast.keyword) and node.arg == "route"
        if route and isinstance(node.value, ast.Constant):
            refuse_no_route(name, node.value.value)
