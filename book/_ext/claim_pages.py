"""The pages generated from the claim ledger: what was measured, and what was corrected.

Definitions come from `phase_utils.chapters.claims`, results from the outputs of the executed
chapters. A claim that failed, or that its chapter did not check, is a warning, and so fails the
build.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, ClassVar

import claim_marks
import nbformat
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from myst_nb.sphinx_ import NbMetadataCollector
from nbformat import NotebookNode
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from phase_utils.chapters import claims, execution, library, recording, records
from phase_utils.chapters.vocabulary import (
    EVIDENCE,
    FAIL,
    NONE,
    NOT_APPLICABLE,
    PASS,
    RECORDED,
    REDUCED,
    SMALLER,
    STATES,
    UNTESTED,
    VERDICTS,
    WHOLE,
    evidence,
    spoken,
    worst,
)
from phase_utils.chapters.words import counted

PAGES = ("book/introduction", "book/status", "book/corrections")
HEADS = {NONE: "without evidence", FAIL: "failed"}
KINDS = (*VERDICTS, *(kind for kind in EVIDENCE if kind != WHOLE), FAIL)  # where a claim is counted
VALUES = {"measured": ".10g", "expected": ".10g", "deviation": ".2g", "tolerance": ".2g"}
REASONS = (REDUCED, UNTESTED, NOT_APPLICABLE)  # states whose reason says what is missing

logger = logging.getLogger(__name__)
Result = dict[str, Any]


def always_read(*_: object) -> Iterable[str]:
    """Read the generated pages in every build: they depend on the outputs of all others."""
    return PAGES


def read_last(_: Sphinx, _env: BuildEnvironment, docnames: list[str]) -> None:
    """Move the generated pages behind the chapters that they report on."""
    docnames.sort(key=lambda name: name in PAGES)


def label(claim: str) -> str:
    """Return the target of a claim on the status page."""
    return f"claim-{nodes.make_id(claim)}"


def claims_of(chapter: str) -> str:
    """Return the target of a chapter's section on the status page."""
    return f"claims-of-{nodes.make_id(chapter)}"


def number(value: object, form: str) -> str:
    """Return what a cell of the table says: numbers in `form`, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:{form}}"
    return str(value)


def checks(results: Sequence[Result]) -> str:
    """Return in one line how the checks of a claim ended."""
    if results and all(result["state"] == PASS for result in results):
        return claim_marks.summary(results)
    counts = Counter(str(result["state"]) for result in results)
    ended = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
    return f"{counted(len(results), 'check')}: {ended or UNTESTED}"


@cache
def fresh_records() -> dict[str, records.Record]:
    """Return the records of chapters whose cells are those that computed them."""
    folder = library.default_folder() / recording.BESIDE
    found = (records.find(path.stem) for path in sorted(folder.glob("*.json")))
    return {record.chapter: record for record in found if record and not record.stale()}


class Book:
    """The ledger of the book: definitions by chapter, each with the results of its checks."""

    def __init__(self, env: BuildEnvironment) -> None:
        self.env = env
        self.definitions = claims.definitions()
        self.edition = bool(env.config.phase_book_edition)
        if self.edition:
            there = {Path(n).name for n in env.found_docs if n.startswith("notebooks/")}
            self.definitions = tuple(d for d in self.definitions if d.chapter in there)
        known = {(d.chapter, d.id) for d in self.definitions}
        self.chapters = sorted({d.chapter for d in self.definitions})
        self.results: dict[tuple[str, str], list[Result]] = {key: [] for key in known}
        self.strangers: list[Result] = []
        # what is recorded is of the book's data, and no evidence on others
        self.records = {} if self.edition else fresh_records()
        for result in self._read():
            key = (str(result["chapter"]), str(result["id"]))
            self.results.get(key, self.strangers).append(result)

    def _read(self) -> Iterable[Result]:
        for docname in sorted(self.env.found_docs):
            if docname.startswith("notebooks/"):
                yield from self.in_order(docname.partition("/")[2])

    def in_order(self, chapter: str) -> Sequence[Result]:
        """Return the results of a chapter's checks as they stand on its page."""
        return execution.claims(self._notebook(chapter))

    def _notebook(self, chapter: str) -> NotebookNode:
        """Return the executed notebook of a chapter, an empty one where there is none."""
        path = Path(self.env.mystnb_config.output_folder) / f"notebooks/{chapter}.ipynb"
        if not path.is_file():
            return nbformat.v4.new_notebook()
        nb: NotebookNode = nbformat.read(path, as_version=4)
        return nb

    def of(self, chapter: str) -> list[claims.Definition]:
        """Return the definitions of one chapter."""
        return [d for d in self.definitions if d.chapter == chapter]

    def of_claim(self, definition: claims.Definition) -> list[Result]:
        """Return the results of the checks of one claim."""
        return self.results[definition.chapter, definition.id]

    def state(self, definition: claims.Definition) -> str:
        """Return the worst state among the checks of a claim."""
        return worst(r["state"] for r in self.of_claim(definition))

    def shown(self, definition: claims.Definition) -> str:
        """Return what the mark of a claim shows: `PASS`, too, where a record has it in full."""
        return PASS if self.evidence(definition) == RECORDED else self.state(definition)

    def evidence(self, definition: claims.Definition) -> str:
        """Return how strongly this run, or a recorded one, supports the verdict of a claim."""
        states = [r["state"] for r in self.of_claim(definition)]
        return evidence(states, recorded=bool(self.recorded(definition)))

    def recorded(self, definition: claims.Definition) -> str:
        """Return where, when and on what a claim was checked in full; empty where it was not."""
        record = self.records.get(definition.chapter)
        return record.says if record and record.supports(definition.id) else ""

    def spoken(self, definition: claims.Definition) -> str:
        """Return the verdict of a claim, no stronger than its evidence."""
        return spoken(definition.verdict, self.evidence(definition))

    def tier(self, chapter: str) -> str:
        """Return the tier at which the chapter ran."""
        return next((str(r["tier"]) for d in self.of(chapter) for r in self.of_claim(d)), "")

    def seconds(self, chapter: str) -> float | None:
        """Return how long the chapter took to execute."""
        data = NbMetadataCollector.get_exec_data(self.env, f"notebooks/{chapter}")
        if data or not self.edition:
            return data["runtime"] if data else None
        run: dict[str, float] = self._notebook(chapter).metadata.get("papermill", {})
        return run.get("duration")

    def reasons(self, definition: claims.Definition) -> str:
        """Return what keeps the evidence of a claim from being full."""
        found = [
            r.get("reduced") or r.get("reason", "")
            for r in self.of_claim(definition)
            if r["state"] in REASONS
        ]
        return (
            self.recorded(definition) or "; ".join(dict.fromkeys(filter(None, found))) or UNTESTED
        )

    def problems(self) -> Iterable[str]:
        """Return what must fail the build."""
        for d in self.definitions:
            if self.state(d) == FAIL:
                yield f"claim {d.id} of {d.chapter} failed"
            elif not self.of_claim(d):
                yield f"claim {d.id} is not checked by its chapter {d.chapter}"
        for r in self.strangers:
            yield f"{r['chapter']} checks {r['id']}, which the ledger does not have there"


def kind_of(book: Book, definition: claims.Definition) -> str:
    """Return where a claim is counted: its verdict where the evidence is full."""
    if book.state(definition) == FAIL:
        return FAIL
    strength = book.evidence(definition)
    return definition.verdict if strength == WHOLE else strength


class Generated(SphinxDirective):
    """A directive that writes Markdown and tables into its page."""

    def markdown(self, text: str) -> list[nodes.Node]:
        """Return parsed Markdown."""
        holder = nodes.Element()
        self.state.nested_parse(StringList(text.splitlines(), source=self.env.docname), 0, holder)
        return holder.children

    def paragraph(self, text: str, *classes: str) -> nodes.paragraph:
        """Return one paragraph of inline Markdown."""
        paragraph = nodes.paragraph(classes=list(classes))
        parsed = self.markdown(text)
        if parsed:
            paragraph += parsed[0].children
        return paragraph

    def table(
        self, heads: Sequence[str], rows: Iterable[Sequence[list[nodes.Node]]], *classes: str
    ) -> nodes.table:
        """Return a table; a cell is a list of nodes."""
        group = nodes.tgroup(cols=len(heads))
        group += [nodes.colspec(colwidth=1) for _ in heads]
        head = [[nodes.paragraph(text=text)] for text in heads]
        for part, lines in ((nodes.thead(), [head]), (nodes.tbody(), rows)):
            for line in lines:
                part += nodes.row("", *[nodes.entry("", *cell) for cell in line])
            group += part
        return nodes.table("", group, classes=["claims", *classes])

    def chapter(self, name: str) -> list[nodes.Node]:
        """Return a link to a chapter under its own title."""
        known = f"notebooks/{name}" in self.env.found_docs
        return [self.paragraph(f"{{doc}}`/notebooks/{name}`" if known else name)]


class ClaimOverview(Generated):
    """`{claim-overview}`: for every chapter a bar of its claims, and how they ended."""

    def run(self) -> list[nodes.Node]:
        """Return a key to the bars, and the table."""
        book = Book(self.env)
        kinds = {d: kind_of(book, d) for d in book.definitions}
        most = max((len(book.of(chapter)) for chapter in book.chapters), default=1)
        rows = []
        for chapter in book.chapters:
            counts = Counter(kinds[d] for d in book.of(chapter))
            seconds = book.seconds(chapter)
            spent = "" if seconds is None else f"{seconds:.0f} s"
            bar = self._bar(counts, most, claims_of(chapter))
            rows.append([self.chapter(chapter), bar, [nodes.paragraph(text=spent)]])
        spent = [s for chapter in book.chapters if (s := book.seconds(chapter)) is not None]
        total = Counter(kinds.values())
        rows.append(
            [
                [nodes.paragraph(text=f"All {counted(len(kinds), 'claim')}")],
                [nodes.paragraph(text=self._words(total))],
                [nodes.paragraph(text=f"{sum(spent):.0f} s" if spent else "")],
            ]
        )
        key = "".join(self._piece(kind) for kind in KINDS if total[kind])
        legend = nodes.raw("", f'<p class="claim-key">{key}</p>', format="html")
        return [legend, self.table(["Chapter", "Claims", "Time"], rows, "claim-summary")]

    @staticmethod
    def _words(counts: Counter[str]) -> str:
        return ", ".join(f"{counts[k]} {HEADS.get(k, k)}" for k in KINDS if counts[k])

    @staticmethod
    def _piece(kind: str, count: int | None = None, more: str = "") -> str:
        """Return a colour's name, or a number in it whose name is there to be heard."""
        said = escape(HEADS.get(kind, kind))
        if count is not None:
            said = f'{count}<span class="visually-hidden"> {said} </span>'
        return f'<span class="claim-kind-{nodes.make_id(kind)}"{more}>{said}</span>'

    @classmethod
    def _bar(cls, counts: Counter[str], most: int, target: str) -> list[nodes.Node]:
        """Return a bar that leads to the claims, of pieces that are as long as they have claims."""
        words = cls._words(counts)
        pieces = "".join(
            cls._piece(k, counts[k], f' style="flex-grow: {counts[k]}"') for k in KINDS if counts[k]
        )
        share = 100 * counts.total() / most
        bar = (
            f'<a class="claim-bar" href="#{target}" style="width: {share:.0f}%" title="{words}">'
            f"{pieces}</a>"
        )
        text = nodes.paragraph(text=words, classes=["claim-bar-words"])
        return [nodes.raw("", bar, format="html"), text]


class ClaimStatus(Generated):
    """`{claim-status}`: every claim with what was measured."""

    def run(self) -> list[nodes.Node]:
        """Return a section for each chapter."""
        book = Book(self.env)
        for problem in () if book.edition else book.problems():
            logger.warning(problem, type="claims", location=self.get_location())
        return [self._section(book, chapter) for chapter in book.chapters]

    def _section(self, book: Book, chapter: str) -> nodes.section:
        docname = f"notebooks/{chapter}"
        section = nodes.section(names=[claims_of(chapter)])
        title = self.env.titles.get(docname)
        section += nodes.title(text=title.astext() if title else chapter)
        self.state.document.note_explicit_target(section, section)
        tier = book.tier(chapter)
        if tier:
            section += self.paragraph(f"Chapter {{doc}}`/{docname}`, run at the tier `{tier}`.")
        rows = [self._row(book, d) for d in book.of(chapter)]
        section += self.table(["Result", "Claim", "Statement"], rows, "claim-details")
        return section

    def _row(self, book: Book, definition: claims.Definition) -> list[list[nodes.Node]]:
        """Return one line for a claim; its checks are behind it."""
        results = book.of_claim(definition)
        state = book.state(definition) if results else UNTESTED
        verdict = self._note(book.spoken(definition))
        look = ["claim-state", f"claim-{nodes.make_id(state)}"]
        recorded = book.recorded(definition)
        behind = [self._note(f"Recorded: {recorded}")] if recorded else []
        behind += [self._check(result) for result in results]
        head = f'<details class="claim-checks"><summary>{escape(checks(results))}</summary>'
        return [
            [nodes.paragraph(text=state, classes=look), verdict],
            self._name(definition),
            [
                *self.markdown(definition.statement),
                nodes.raw("", head, format="html"),
                *behind,
                nodes.raw("", "</details>", format="html"),
            ],
        ]

    @classmethod
    def _check(cls, result: Result) -> nodes.paragraph:
        """Return what one check compared, in one paragraph."""
        route = result.get("route")
        parts = [str(result["state"]), result.get("reason")]
        for key, form in VALUES.items():
            text = number(result.get(key), form)
            parts.append(f"{key} {text}" if text else None)
        parts += [cls._share(result), f"expected from: {route}" if route else None]
        seconds = number(result.get("seconds"), ".1f")
        parts.append(f"{seconds} s" if seconds else None)
        return cls._note(" · ".join(part for part in parts if part))

    @staticmethod
    def _share(result: Result) -> str | None:
        """Return the worst deviation over its tolerance, and of how many values."""
        deviation, tolerance = result.get("deviation"), result.get("tolerance")
        many = result.get("values", 1)
        of = f" (worst of {many})" if many > 1 else ""
        if deviation is None or not tolerance:
            return None
        return f"{deviation / tolerance:.2g} of the tolerance{of}"

    @staticmethod
    def _note(text: str) -> nodes.paragraph:
        """Return what a check says of itself, which is plain text: `<R>` is no tag."""
        return nodes.paragraph(text=text, classes=["claim-note"])

    def _name(self, definition: claims.Definition) -> list[nodes.Node]:
        name = nodes.paragraph("", "", nodes.strong(text=definition.id))
        target = label(definition.id)
        if target not in self.state.document.nameids:
            name["names"] = [target]
            self.state.document.note_explicit_target(name, name)
        return [name, self.paragraph(definition.source, "claim-note")]


class ClaimCorrections(Generated):
    """`{claim-corrections}`: what the paper prints, what is correct, and what follows."""

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        book = Book(self.env)
        rows = []
        for d in book.definitions:
            if not d.corrected:
                continue
            state = ClaimRole.link(d.id, book.state(d), self.env.docname)
            where = nodes.paragraph("", "", nodes.strong(text=d.source))
            spoken = nodes.Text(f", {book.spoken(d)}")
            check = nodes.paragraph("", "", state, spoken, classes=["claim-note"])
            follows = self.paragraph(d.consequence, "claim-note")
            rows.append(
                [
                    [where, *self.chapter(d.chapter), check],
                    self.markdown(d.printed),
                    [*self.markdown(d.corrected), *([follows] if d.consequence else [])],
                ]
            )
        heads = ["Where", "As printed", "Correct, and what follows"]
        return [self.table(heads, rows, "claim-corrections")]


class ClaimEvidence(Generated):
    """`{claim-evidence}`: what the run behind the pages supports, in sentences made from counts.

    With `:brief:` nothing is named.
    """

    option_spec: ClassVar[dict[str, Any]] = {"brief": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Return a paragraph."""
        book = Book(self.env)
        if "brief" in self.options:
            return [self.paragraph(briefly(book.definitions, book.evidence))]
        return [self.paragraph(support(book.definitions, book.evidence, book.reasons))]


def briefly(
    definitions: Sequence[claims.Definition], strength: Callable[[claims.Definition], str]
) -> str:
    """Return one sentence on how many claims are supported how strongly."""
    counts = Counter(strength(d) for d in definitions)
    says = {RECORDED: "in a recorded run", SMALLER: "at reduced size or in part", NONE: "not here"}
    weaker = [f"{counts[kind]} {words}" for kind, words in says.items() if counts[kind]]
    text = (
        f"{counts[WHOLE]} of {counted(len(definitions), 'claim')} ran in full when this book was "
    )
    if not weaker:
        return f"{text}built."
    return f"{text}built, {', '.join(weaker)}: the [status](status.md) names them."


def support(
    definitions: Sequence[claims.Definition],
    strength: Callable[[claims.Definition], str],
    reasons: Callable[[claims.Definition], str],
) -> str:
    """Return sentences on how many claims are supported how strongly, the weaker ones by name."""
    by = {kind: [d for d in definitions if strength(d) == kind] for kind in EVIDENCE}
    count = "All" if len(by[WHOLE]) == len(definitions) else f"{len(by[WHOLE])} of"
    text = [f"{count} {counted(len(definitions), 'claim')} ran in full when this book was built."]
    says = {
        RECORDED: "In a recorded run",
        SMALLER: "At reduced size, or in part",
        NONE: "Without evidence here",
    }
    for kind, words in says.items():
        names = [f"{{ref}}`{d.id} <{label(d.id)}>` ({reasons(d)})" for d in by[kind]]
        if names:
            text.append(f"{words}: {', '.join(names)}.")
    return " ".join(text)


class ClaimRole(SphinxRole):
    """`` {claim}`Eq-8` ``: a link to what the status page says about a claim.

    It reads as the paper's name of it, or as a mark.
    """

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the link."""
        return [self.link(self.text, claim_marks.spoken(self.text), self.env.docname)], []

    @staticmethod
    def link(claim: str, text: str, docname: str) -> addnodes.pending_xref:
        """Return a link from the page `docname` to a claim."""
        return addnodes.pending_xref(
            "",
            nodes.inline(text=text),
            refdomain="std",
            reftype="ref",
            reftarget=label(claim),
            refdoc=docname,
            refexplicit=True,
            refwarn=True,
        )


@cache
def ledger_of(env: BuildEnvironment) -> Book:
    """Return the ledger once all chapters are executed; it changes no more."""
    return Book(env)


def tell_the_story(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put the apparatus of a chapter behind its text."""
    form = app.builder.format
    if form not in ("html", "latex"):
        return
    book = ledger_of(app.env)
    states = {label(d.id): (d.id, book.shown(d)) for d in book.definitions}
    claim_marks.bare(doctree)
    claim_marks.set_marks(doctree, states, form)
    if form == "html" and docname.startswith("notebooks/"):
        claim_marks.fold(doctree, book.in_order(docname.partition("/")[2]))
        claim_marks.name_code(doctree)


def add_filter(
    app: Sphinx, pagename: str, _template: str, _context: dict[str, Any], _doctree: Any
) -> None:
    """Give the status page the script that filters it."""
    if pagename == "book/status" and app.builder.format == "html":
        app.add_js_file("status.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Add the directives and the role, and have their pages read last, in every build."""
    app.add_directive("claim-overview", ClaimOverview)
    app.add_config_value("phase_book_edition", False, "env", types=(bool,))
    app.add_directive("claim-status", ClaimStatus)
    app.add_directive("claim-corrections", ClaimCorrections)
    app.add_directive("claim-evidence", ClaimEvidence)
    app.add_role("claim", ClaimRole())
    app.connect("env-get-outdated", always_read)
    app.connect("env-before-read-docs", read_last)
    app.connect("doctree-resolved", tell_the_story)
    app.connect("html-page-context", add_filter)
