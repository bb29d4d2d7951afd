"""The site of an edition: a copy of the book's sources with other notebooks, built and moved."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from nbformat import NotebookNode

from phase_utils._files import FULL, NotWritten, write_atomic
from phase_utils.chapters import execution, library
from phase_utils.chapters.edition_work import Finished
from phase_utils.chapters.errors import ChapterError, NotBuilt

TITLE = "Phase Transitions in Deep Networks, on Other Data"
COPIED = ("CITATION.cff", "book", "benchmarks/results")
NEEDED = ("_config.yml", "_toc.yml", *COPIED)
HIDDEN = ".edition"  # where in the folder of an edition lies what is no page
LOG = "build.log"
SEARCH = "search.toml"
SITE = "pages-"  # begins the names of folders in which pages are built
LISTED = "pages.json"  # what of a folder is pages
BUILD = "from jupyter_book.cli.main import main; main()"
REPOSITORY = "PHASE_BOOK_REPOSITORY"  # of the book, not of an edition
NOTICE = """```{edition-results}
```

These are the results on other data than the book's. A claim that fails stops the build of the book;
an edition is built all the same, and names it here.
"""
_QUESTION = re.compile(r"^(\d\d_\w+): (.+)$", re.M)
_WARNING = re.compile(r"^.*\bWARNING: .*$", re.M)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LAST = 15  # lines of the builder's output that are told


def sources(folder: str | Path | None = None) -> Path:
    """Return the folder of the book's sources, beside whose chapters it lies, or ChapterError."""
    root = library.checked_folder(folder).resolve().parent
    missing = [name for name in NEEDED if not (root / name).exists()]
    if missing:
        raise ChapterError(
            f"an edition needs the sources of the book, and {missing[0]} is not beside the "
            "chapters: the installed package has no more than these. Run it with a copy of the "
            "repository that is installed with pip install --editable '.[book]'"
        )
    for package in ("jupyter_book", "yaml"):
        if importlib.util.find_spec(package) is None:
            raise ChapterError(
                f"an edition needs {package}: install what builds the book with "
                "pip install --editable '.[book]'"
            )
    return root


def tidy(hidden: Path) -> None:
    """Remove the folders in which a killed process built pages."""
    for left in hidden.glob(f"{SITE}*"):
        shutil.rmtree(left, ignore_errors=True)


def build(
    root: Path,
    place: Path,
    hidden: Path,
    ended: Mapping[str, Finished],
    of_data: Mapping[str, Any],
    tier: str,
) -> tuple[str, ...]:
    """Build the pages of the chapters that have ended and move them into `place`.

    Returns what the builder complained of. Raises NotBuilt where it failed, NotWritten.
    """
    work = hidden.resolve() / f"{SITE}{uuid4().hex}"
    try:
        source = _source(root, work / "source", ended, of_data, tier)
        failed = [name for name, done in ended.items() if done.error]
        told = _built(source, work, failed)
        _moved(work / "_build" / "html", place, hidden / LISTED, work / "before")
    except OSError as error:
        if error.errno in FULL:
            raise NotWritten(error.errno, error.strerror, str(place)) from None
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return told


def _source(
    root: Path, source: Path, ended: Mapping[str, Finished], of_data: Mapping[str, Any], tier: str
) -> Path:
    """Write the sources of the edition."""
    import yaml

    from phase_utils.chapters import data, edition_front  # which a refusal does not wait for

    for name in COPIED:
        if (root / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(root / name, source / name, ignore=ignored)
        else:
            source.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, source / name)
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config |= {"title": TITLE, "execute": {"execute_notebooks": "off"}}
    config["sphinx"]["config"]["phase_book_edition"] = True
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))
    parts = [{**part, "chapters": _present(part["chapters"], ended)} for part in toc["parts"]]
    toc = {**toc, "parts": [part for part in parts if part["chapters"]]}
    for name, settings in (("_config.yml", config), ("_toc.yml", toc)):
        text = yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)
        (source / name).write_text(text, encoding="utf-8")
    (source / "notebooks").mkdir()
    for name, done in ended.items():
        path = source / "notebooks" / f"{name}.ipynb"
        path.write_text(execution.written(_notebook(root, name, done)), encoding="utf-8")
    introduction = root / "book" / "introduction.md"
    asked = dict(_QUESTION.findall(introduction.read_text(encoding="utf-8")))
    task = data.load(**of_data)
    if not task.silent:
        (source / "book" / edition_front.FIGURE).write_bytes(edition_front.figure(task))
    left_out = [name for name in library.names(root / "notebooks") if name not in ended]
    questions = {name: asked.get(name, "") for name in ended}
    page = edition_front.page(task, tier, questions, left_out)
    (source / "book" / "introduction.md").write_text(page, encoding="utf-8")
    phrases = source / "book" / SEARCH
    phrases.write_text(_phrases(phrases.read_text(encoding="utf-8"), toc), encoding="utf-8")
    status = source / "book" / "status.md"
    title, rest = status.read_text(encoding="utf-8").split("\n", 1)
    status.write_text(f"{title}\n\n{NOTICE}\n{rest}", encoding="utf-8")
    return source


def _phrases(text: str, toc: Mapping[str, Any]) -> str:
    """The phrases that a search knows, of the pages that the edition has from the book."""
    pages = {entry["file"] for part in toc["parts"] for entry in part["chapters"]}
    entries = tomllib.loads(text).items()
    kept = {place: words for place, words in entries if place.partition(" > ")[0] in pages}
    return "".join(
        f"{json.dumps(place, ensure_ascii=False)} = {json.dumps(words, ensure_ascii=False)}\n"
        for place, words in kept.items()
    )


def _present(files: Iterable[Mapping[str, str]], ended: Mapping[str, Finished]) -> list[Any]:
    """The entries of a part of the contents that the edition has."""
    folder = "notebooks/"
    return [
        f
        for f in files
        if not f["file"].startswith(folder) or f["file"].removeprefix(folder) in ended
    ]


def _notebook(root: Path, name: str, done: Finished) -> NotebookNode:
    """The executed chapter; one that failed says so below its title."""
    import nbformat

    if done.notebook:
        nb: NotebookNode = nbformat.reads(done.notebook, as_version=4)
    else:  # its process has died
        nb = library.find(name, root / "notebooks").notebook()
    if done.error:
        fence = "`" * 8
        told = f"{fence}text\n{_COLOUR.sub('', done.error)}\n{fence}"
        says = (
            "::::{admonition} This chapter did not run to its end\n:class: error\n"
            f"What follows the cell that failed was not executed.\n\n{told}\n::::"
        )
        nb.cells.insert(1, nbformat.v4.new_markdown_cell(says))
    return nb


def _built(source: Path, work: Path, failed: Iterable[str]) -> tuple[str, ...]:
    """Run the builder; what it complained of, but for chapters that did not run to their end."""
    command = [sys.executable, "-c", BUILD, "build", str(source), "--path-output", str(work)]
    env = {key: value for key, value in os.environ.items() if key != REPOSITORY}
    done = subprocess.run(
        [*command, "-n", "--keep-going"],
        cwd=work,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    told = _COLOUR.sub("", f"{done.stdout}\n{done.stderr}").replace(f"{source}{os.sep}", "")
    if done.returncode or not (work / "_build" / "html" / "index.html").is_file():
        log = work.parent / LOG
        log.write_text(told, encoding="utf-8")
        last = "\n".join(told.strip().splitlines()[-_LAST:])
        raise NotBuilt(f"{last}\nAll that the builder said: {HIDDEN}/{LOG} in the folder")
    lines = dict.fromkeys(line.strip() for line in _WARNING.findall(told))
    return tuple(line for line in lines if not any(f"notebooks/{name}" in line for name in failed))


def _moved(html: Path, place: Path, listed: Path, aside: Path) -> None:
    """Put the pages in their place, the first one last, and take away those before them."""
    aside.mkdir()
    try:
        before = {str(name) for name in json.loads(listed.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError):
        before = set()
    new = sorted((path.name for path in html.iterdir()), key=lambda name: name == "index.html")
    write_atomic(listed, json.dumps(sorted({*before, *new})))
    for name in new:
        _aside(place / name, aside)
        os.replace(html / name, place / name)
    for name in before.difference(new):
        _aside(place / Path(name).name, aside)
    write_atomic(listed, json.dumps(sorted(new)))


def _aside(path: Path, aside: Path) -> None:
    if path.exists():
        os.replace(path, aside / path.name)
