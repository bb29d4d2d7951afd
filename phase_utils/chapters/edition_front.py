"""The front page of an edition: what its data do, in MyST Markdown with a figure."""

import io
from collections.abc import Mapping, Sequence
from math import isnan

import numpy as np

from phase_utils.chapters import edition_facts, plotting, widgets
from phase_utils.chapters.data import Task
from phase_utils.chapters.edition_facts import ONE_JUMP, SHOWN_DEPTHS, Depth, Facts
from phase_utils.chapters.plain_markdown import literal
from phase_utils.chapters.words import counted
from phase_utils.theory.landscape import Landscape

FIGURE = "edition.svg"
MOST_MODES = 8  # in the table
# by order of a transition, and the chapter that is about it
KINDS = {
    None: ("none: the weights shrink for ever", "03_depth_zero"),
    2: ("second: gently", "05_depth_one"),
    1: ("first: a jump", "06_depth_two_and_more"),
}


def page(task: Task, tier: str, questions: Mapping[str, str], left_out: Sequence[str]) -> str:
    """Return the front page.

    Parameters
    ----------
    task : Task
        The data; whatever their names hold is text.
    tier : str
        At which the chapters ran.
    questions : dict of str to str
        That of each chapter of the edition, by its name.
    left_out : sequence of str
        The names of the others.

    Returns
    -------
    str
        Markdown; it shows the file `FIGURE` beside it where the data are not silent.
    """
    found = edition_facts.facts(task)
    parts = [
        "# What these data do",
        f"{literal(task.description)}.",
        "This is an edition of *Phase transitions in deep networks, executed*: its chapters ran on "
        f"these data at the tier `{tier}`. Each opens with the parameters of its run; the "
        "[status](status.md) says what became of every claim.",
        "```{edition-results}\n```",
        *(_silent() if task.silent else _answer(task, found)),
        _data(task, found),
        *([] if task.silent else [_live(task)]),
        _chapters(questions, left_out),
    ]
    return "\n\n".join(parts) + "\n"


def figure(task: Task) -> bytes:
    """Return the figure: what is left of the network at each decay and depth, as SVG."""
    import matplotlib.pyplot as plt

    m, out = task.moments, io.BytesIO()
    with plt.style.context(plotting.STYLE):
        drawn, axes = plotting.panels(width=7.2, height=3.2)
        for depth in SHOWN_DEPTHS:
            land = Landscape(m, depth=depth)
            scale = m.signal if depth else 3 * m.signal
            ends = [t.gamma for t in land.transitions()]
            gamma = np.unique([*np.linspace(1e-6, 1.3, 500) * m.signal, *ends])
            weight = land.global_minimum(gamma).B ** (depth + 1)
            least = float(land.global_minimum([1e-9 * scale]).B[0]) ** (depth + 1)
            colour = plotting.depth_style(depth)["color"]
            axes.plot(gamma / m.signal, weight / least, color=colour, label=f"D = {depth}")
        axes.set(
            xlabel=r"weight decay $\gamma$ / |E[xy]|", ylabel="what is left", ylim=(-0.03, 1.03)
        )
        axes.legend(title="hidden layers", loc="upper right", ncols=2)
        drawn.savefig(out, format="svg", metadata={"Date": None})
        plt.close(drawn)
    return out.getvalue()


def _silent() -> list[str]:
    return [
        "**There is nothing to learn linearly.** E[xy] is zero up to rounding, so that no linear "
        "network learns anything at any weight decay, and no depth has a transition."
    ]


def _answer(task: Task, found: Facts) -> list[str]:
    """The table of depths, and what follows from it."""
    signal = task.moments.signal
    heads = (
        "Hidden layers",
        r"Decay $\gamma^*$",
        r"$\gamma^*/\vert\mathbb{E}[xy]\vert$",
        "PyTorch's `weight_decay`",
        "Order of the transition",
        "Learned states last until",
        "Start layers with norms",
    )
    rows = [heads, tuple("---" for _ in heads)]
    rows += [row for depth in found.depths for row in _rows(depth, signal)]
    return [
        "## Where learning stops",
        "Raise the weight decay $\\gamma$, which multiplies the squared norm of all weights, and "
        "the best linear network learns nothing any more beyond $\\gamma^*$:",
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        _says_cascade(found),
        "The last column is for half the decay $\\gamma^*$: between the pass, below which balanced "
        "layers fall to zero, and the learned state. `pu.learning_basin_init` draws such weights "
        "({doc}`/notebooks/14_initialization_and_escape`).",
        f"```{{figure}} {FIGURE}\n:alt: A curve for each depth falls as the decay grows; at depth "
        "one it ends gently, at greater depths with a jump, the deeper the sooner.\n\n"
        "What is left of the best network's linear map, $|\\beta|$ over its value without decay.\n"
        "```",
    ]


def _rows(depth: Depth, signal: float) -> list[tuple[str, ...]]:
    """The lines of one depth: one for each of its transitions, the last of which ends learning."""
    if not depth.transitions:
        says, chapter = KINDS[None]
        return [(str(depth.depth), "–", "–", "–", _link(says, chapter), "–", "–")]
    lines: list[tuple[str, ...]] = []
    for at, t in enumerate(depth.transitions, 1):
        says, chapter = KINDS[1 if t.order == 1 else 2]
        last = at == len(depth.transitions)
        low, high = depth.start
        lines.append(
            (
                str(depth.depth),
                number(t.gamma),
                number(t.gamma / signal),
                number(2 * t.gamma),
                _link(says if last else f"{says}, to another learned state", chapter),
                number(depth.metastable) if last and not isnan(depth.metastable) else "–",
                f"{number(low)} to {number(high)}" if last and not isnan(high) else "–",
            )
        )
    return lines


def _says_cascade(found: Facts) -> str:
    """Whether what was learned is given up at once, and why."""
    link = "({doc}`/notebooks/07_cascades`)"
    ratio = f"the eigenvalues that carry signal span a factor of {number(found.spread)}"
    if found.cascades:
        steps = ", ".join(f"{len(d.transitions)} at depth {d.depth}" for d in found.cascades)
        return (
            "**A cascade.** The network gives up what it learned in several transitions, "
            f"{steps}: {ratio} {link}."
        )
    if found.spread < ONE_JUMP:
        return (
            f"**No cascade.** Everything is given up at once: {ratio}, and below "
            f"{ONE_JUMP:.0f} no depth has more than one transition {link}."
        )
    return (
        f"**No cascade** at these depths, although {ratio}: "
        f"above {ONE_JUMP:.0f} one is possible {link}."
    )


def _data(task: Task, found: Facts) -> str:
    """Shape and moments."""
    m = task.moments
    shape = "exact moments" if task.x is None else counted(len(task.x), "sample")
    best = 1 - m.residual_variance / m.Eyy if m.Eyy else 0.0
    rows = [
        ("Name", literal(task.name)),
        *([("Label", literal(task.label))] if task.label else []),
        ("Shape", f"{shape}, {counted(m.d, 'input')}"),
        (r"$\vert\mathbb{E}[xy]\vert$", number(m.signal)),
        (r"$\mathbb{E}[y^2]$", number(m.Eyy)),
        ("Explained by the best linear map", f"{best:.1%}"),
    ]
    told = found.modes[:MOST_MODES]
    modes = [
        f"| {number(mode.eigenvalue)} | {number(mode.signal)} | {mode.share:.1%} |" for mode in told
    ]
    rest = len(found.modes) - len(told)
    more = f"The other {rest} eigenvalues carry {_rest(found):.1%} of it.\n" if rest else ""
    return "\n".join(
        [
            "## The data\n",
            "| Quantity | Value |",
            "| --- | --- |",
            *(f"| {name} | {value} |" for name, value in rows),
            "",
            "Eigenvalues of $\\mathbb{E}[xx^\\top]$, from the strongest signal to the weakest:\n",
            r"| Eigenvalue | $\vert\mathbb{E}[xy]\vert$ along it | Share of "
            r"$\vert\mathbb{E}[xy]\vert^2$ |",
            "| --- | --- | --- |",
            *modes,
            "",
            more,
        ]
    )


def _rest(found: Facts) -> float:
    return sum(mode.share for mode in found.modes[MOST_MODES:])


def _live(task: Task) -> str:
    """The landscape of these data, with sliders."""
    drawn = widgets.landscape(task.moments, anisotropy=1)._repr_html_()
    fence = "`" * 8
    return (
        "## Turn the decay yourself\n\n"
        "The least loss of networks of norm $B$ on these data "
        "({doc}`/notebooks/02_effective_landscape`):\n\n"
        f"{fence}{{raw}} html\n{drawn}\n{fence}"
    )


def _chapters(questions: Mapping[str, str], left_out: Sequence[str]) -> str:
    lines = "\n".join(f"{name}: {question}" for name, question in questions.items())
    says = f"## The chapters\n\n```{{chapter-guide}}\n{lines}\n```"
    if left_out:
        numbers = ranges([int(name[:2]) for name in left_out])
        one = len(left_out) == 1
        says += (
            f"\n\nThis edition is without chapter{'' if one else 's'} {numbers}: "
            f"{'it was' if one else 'they were'} not asked for. References to "
            f"{'it' if one else 'them'} are words without a link."
        )
    return says


def _link(says: str, chapter: str) -> str:
    return f"{{doc}}`{says} </notebooks/{chapter}>`"


def ranges(numbers: Sequence[int]) -> str:
    """Return ascending whole numbers as a text: 1, 4 to 6, 9."""
    starts = [n for n in numbers if n - 1 not in numbers]
    ends = [n for n in numbers if n + 1 not in numbers]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(str(a) if a == b else f"{a} to {b}" for a, b in pairs)


def number(value: float) -> str:
    """Return four digits of a number, as a text that is no formula."""
    return f"{value:.4g}"
