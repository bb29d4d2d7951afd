"""Claims on the pages of chapters: small marks in the text, and checks folded to one line.

A reader follows the story; who doubts a sentence follows its mark, or opens the line below a cell.
What did not pass stays open.
"""

import re
from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode

from phase_utils.chapters.claim_names import called
from phase_utils.chapters.vocabulary import PASS
from phase_utils.chapters.words import counted

MARK, OPEN = "✓", "○"  # every check passes; not all of them do, or none was made in full
SURE, OTHER = "checked", "not checked in full"
HELD = "claim-held"  # marks, and the formula before them
LINE = re.compile(r'class="claim-line claim-line-([a-z-]+)')
# what hidden code is for: the first of these that it has
PURPOSES = (
    (r"\A(import|from) ", "Imports and data"),
    (r"plt\.(subplot|figure)|\.panels\(|\.(plot|imshow)\(", "Code of the figure"),
    (r"\b(train|sweep|hysteresis|langevin|diagnose|backward)\(", "Code of the runs"),
    (r"provenance\.record\(", "Code of the provenance"),
    (r"ledger\.\w+\(", "Code of the checks"),
    (r"pu\.widgets\.", "Code of the live figure"),
    (r"\A(def|class) ", "Definitions"),
)
PARAMETERS = "Parameters: this chapter runs on other data, too"
# of cells that are folded: the chapter's parameters, and those of a run
FOLDED = {"tag_parameters": PARAMETERS, "tag_injected-parameters": "Parameters of this run"}


def spoken(claim: str) -> str:
    """What a sentence calls a claim: the paper's name of it, or a mark where it has none."""
    return called(claim) or MARK


def is_mark(node: nodes.Node | None) -> bool:
    """Whether a node is the link of a mark."""
    return isinstance(node, nodes.reference) and node.astext() == MARK


def set_marks(doctree: nodes.document, states: dict[str, tuple[str, str]], form: str) -> None:
    """Show how the checks of each marked sentence ended, in words for those who do not see it.

    `states` has the claim and the state by the target of its link.
    """
    for mark in list(doctree.findall(is_mark)):
        target = str(mark.get("refuri", mark.get("refid", ""))).rpartition("#")[2]
        claim, state = states[target]
        glyph, says = (MARK, SURE) if state == PASS else (OPEN, OTHER)
        hidden = f'{glyph}<span class="visually-hidden"> {says}: {escape(claim)}</span>'
        printed = {MARK: r"$\checkmark$", OPEN: r"$\circ$"}[glyph]
        mark["classes"].append("claim-mark")
        mark.children = []
        mark += nodes.raw("", printed if form == "latex" else hidden, format=form)


def join_texts(parent: nodes.Element) -> None:
    """Make one node of neighbouring texts: lines of the source are texts of their own."""
    children: list[nodes.Node] = []
    for child in parent.children:
        if children and isinstance(child, nodes.Text) and isinstance(children[-1], nodes.Text):
            children[-1] = nodes.Text(children[-1] + child)
        else:
            children.append(child)
    parent.children = []
    parent.extend(children)


def bare(doctree: nodes.document) -> None:
    """Take the brackets and commas away from marks that stand alone in them."""
    marks = list(doctree.findall(is_mark))
    for parent in {id(mark.parent): mark.parent for mark in marks}.values():
        join_texts(parent)
    for mark in marks:
        parent = mark.parent
        first = last = parent.index(mark)
        while last + 2 < len(parent) and str(parent[last + 1]).strip() == ",":
            if not is_mark(parent[last + 2]):
                break
            last += 2
        before = parent[first - 1] if first else None
        after = parent[last + 1] if last + 1 < len(parent) else None
        if not isinstance(before, nodes.Text) or not isinstance(after, nodes.Text):
            continue
        if not re.search(r"\s\($", before) or not after.startswith(")"):
            continue
        for place in range(last + 1, first - 2, -1):
            node = parent[place]
            if node is before:
                parent[place] = nodes.Text(re.sub(r"\s\($", "", before))
            elif node is after:
                parent[place] = nodes.Text(after[1:])
            elif not is_mark(node):
                parent[place] = nodes.Text("\u2009")
        formula = (
            first >= 2 and parent[first - 1] == "" and isinstance(parent[first - 2], nodes.math)
        )
        if formula or last > first:
            hold(parent, first - 2 * formula, last + 1)


def hold(parent: nodes.Element, start: int, stop: int) -> None:
    """Keep marks, and a formula before them, on one line: else a line may end after either."""
    held = nodes.inline("", "", *parent[start:stop], classes=[HELD])
    parent[start:stop] = [held]


def state_of(output: nodes.Node | None) -> str | None:
    """How the check that an output shows ended; None for any other output."""
    found = LINE.search(output.astext()) if isinstance(output, nodes.raw) else None
    return found[1] if found else None


def summary(results: Sequence[dict[str, Any]]) -> str:
    """One line for checks that all pass, with how close the closest came to its tolerance."""
    number = len(results)
    line = f"{counted(number, 'check')} pass{'es' * (number == 1)}"
    shares = [
        float(r["deviation"]) / float(r["tolerance"])
        for r in results
        if r.get("deviation") is not None and r.get("tolerance")
    ]
    if not shares:
        return line
    which = "" if number == 1 else "the tightest "
    worst = "under 1 %" if max(shares) < 0.01 else f"{max(shares):.0%}".replace("%", " %")
    return f"{line}, {which}at {worst} of its tolerance"


def fold(doctree: nodes.document, results: Sequence[dict[str, Any]]) -> None:
    """Put neighbouring checks that pass behind one line, and their code with them."""
    checks = [node for node in doctree.findall(nodes.raw) if state_of(node) is not None]
    if len(results) != len(checks):
        raise ValueError(f"a page shows {len(checks)} checks, and its notebook has {len(results)}")
    result_of = dict(zip(map(id, checks), results, strict=True))
    for box in {id(node.parent): node.parent for node in checks}.values():
        children: list[nodes.Node] = []
        for state, group in groupby(list(box.children), state_of):
            run = list(group)
            if state == PASS:
                says = escape(summary([result_of[id(line)] for line in run]))
                head = f'<details class="claim-lines"><summary>{says}</summary>'
                run = [nodes.raw("", head, format="html"), *run]
                run.append(nodes.raw("", "</details>", format="html"))
            children += run
        code = box.parent[0]
        alone = all(state_of(output) == PASS for output in box)
        if isinstance(code, HideCodeCellNode) and alone:
            box.parent.remove(code)
            children.insert(-1, code)
        box.children = []
        box.extend(children)


def name_code(doctree: nodes.document) -> None:
    """Say on a folded cell what its code is for, and fold the parameters."""
    for cell in list(doctree.findall(nodes.container)):
        says = next((FOLDED[name] for name in cell["classes"] if name in FOLDED), "")
        if says and not isinstance(cell[0], HideCodeCellNode):
            folded = HideCodeCellNode(prompt_show=says, prompt_hide=says)
            folded["classes"].append("above-input")
            folded += cell[0]
            cell[0] = folded
    for cell in doctree.findall(HideCodeCellNode):
        if cell["prompt_show"] in FOLDED.values():
            continue
        code = "\n".join(block.astext() for block in cell.findall(nodes.literal_block))
        found = (word for pattern, word in PURPOSES if re.search(pattern, code, re.MULTILINE))
        cell["prompt_show"] = cell["prompt_hide"] = next(found, "Code")
