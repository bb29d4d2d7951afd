"""What the start page generates: the chapters with their results and times, and how to cite.

`{chapter-guide}` takes the question of each chapter from its own content, everything else from the
executed chapters. `{how-to-cite}` takes all of it from CITATION.cff.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from claim_pages import Book, Generated, claims_of
from docutils import nodes
from sphinx.application import Sphinx

from phase_utils.chapters.vocabulary import PASS


class ChapterGuide(Generated):
    """One line `NN_name: its question` per chapter of the book, in any order."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return a table and a line about the run behind it."""
        questions = dict(line.split(": ", 1) for line in self.content if line.strip())
        found = {Path(name).name for name in self.env.found_docs if name.startswith("notebooks/")}
        if set(questions) != found:
            odd = ", ".join(sorted(set(questions) ^ found))
            raise self.error(f"chapter-guide must have one question per chapter, look at {odd}")
        book = Book(self.env)
        rows = [self._row(book, name, questions[name]) for name in sorted(found)]
        rows.append(self._total(book, sorted(found)))
        tiers = {book.tier(name) for name in found} - {""}
        run = " and ".join(f"`{tier}`" for tier in sorted(tiers))
        note = f"Claims passed and time are those of the run behind these pages, at the tier {run}."
        table = self.table(["Chapter", "Question", "Passed", "Time"], rows, "chapter-guide")
        return [table, *([self.paragraph(note, "claim-note")] if run else [])]

    def _row(self, book: Book, name: str, question: str) -> list[list[nodes.Node]]:
        passed = [self.paragraph(f"{{ref}}`{self._passed(book, [name])} <{claims_of(name)}>`")]
        return [
            self.chapter(name),
            self.markdown(question),
            passed if book.of(name) else [],
            self._time([book.seconds(name)]),
        ]

    def _total(self, book: Book, names: list[str]) -> list[list[nodes.Node]]:
        together = nodes.paragraph("", "", nodes.strong(text="All"))
        passed = nodes.paragraph(text=self._passed(book, names))
        return [[together], [], [passed], self._time(map(book.seconds, names))]

    def _passed(self, book: Book, names: list[str]) -> str:
        states = [book.state(d) for name in names for d in book.of(name)]
        return f"{states.count(PASS)} of {len(states)}"

    def _time(self, seconds: Iterable[float | None]) -> list[nodes.Node]:
        spent = [s for s in seconds if s is not None]
        return [nodes.paragraph(text=f"{sum(spent):.0f} s")] if spent else []


class HowToCite(Generated):
    """The book and the works it asks to cite with it, as sentences and as BibTeX."""

    def run(self) -> list[nodes.Node]:
        """Return the citations."""
        path = Path(self.env.srcdir) / "CITATION.cff"
        self.env.note_dependency(str(path))
        citation = yaml.safe_load(path.read_text(encoding="utf-8"))
        works = [citation, *citation["references"]]
        text = "\n".join(f"- {sentence(work)}" for work in works)
        entries = "\n\n".join(map(bibtex, works))
        block = nodes.literal_block(entries, entries, language="bibtex")
        return [self.paragraph(citation["message"]), *self.markdown(text), block]


def names(work: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (given, family) of each author; a body of people has no given name."""
    return [(a.get("given-names", ""), a.get("family-names") or a["name"]) for a in work["authors"]]


def sentence(work: dict[str, Any]) -> str:
    """Return a citation in Markdown."""
    authors = " and ".join(f"{given} {family}".strip() for given, family in names(work))
    where = [f"version {work['version']}"] if "version" in work else []
    if "journal" in work:
        where = [f"{work['journal']} **{work['volume']}**, {work['start']} ({work['year']})"]
    if "doi" in work:
        where.append(f"[doi:{work['doi']}](https://doi.org/{work['doi']})")
    return f"{authors}, *{work['title']}*, {', '.join(where)}."


def bibtex(work: dict[str, Any]) -> str:
    """Return a BibTeX entry."""
    authors = " and ".join(
        f"{family}, {given}" if given else f"{{{family}}}" for given, family in names(work)
    )
    keys = ("title", "journal", "volume", "year", "doi", "version")
    fields = {"author": authors, **{key: work[key] for key in keys if key in work}}
    if "start" in work:
        fields["pages"] = work["start"]
    first = re.sub(r"\W", "", names(work)[0][1].split()[-1].lower())
    word = re.match(r"\w+", work["title"])[0].lower()
    kind = "article" if "journal" in work else "software"
    lines = "".join(f",\n  {key} = {{{value}}}" for key, value in fields.items())
    return f"@{kind}{{{first}{work.get('year', '')}{word}{lines}\n}}"


def setup(app: Sphinx) -> None:
    """Add the directives."""
    app.add_directive("chapter-guide", ChapterGuide)
    app.add_directive("how-to-cite", HowToCite)
