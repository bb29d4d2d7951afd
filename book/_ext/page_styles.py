"""One style sheet for all pages, of the rules that can hold in them, and scripts that wait.

A page of the theme asks for a dozen style sheets, one of them by another, and nothing is shown and
no live figure begins until all are there. Most rules are for what no page of the book has: a rule
stays if each class and id that it asks for stands in a page, or in a script, which may write
it. The scripts in the head of a page are not needed before the page is read to its end.
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import tinycss2
from built_pages import pages
from sphinx.application import Sphinx

SHEET = "_static/styles/pages.css"
LINK = re.compile(r"\s*<link(?=[^>]*\srel=\"stylesheet\")[^>]*\shref=\"([^\"?]+)[^\"]*\"[^>]*>")
PRELOAD = re.compile(r"\s*<link rel=\"preload\" as=\"script\"[^>]*>")
HEAD = re.compile(r"<head>.*?</head>", re.S)
WAITS = re.compile(r"<script(?=[^>]*\ssrc=)(?![^>]*\s(?:defer|async)\b)")
OPTIONS = re.compile(r"<script src=\"[^\"]*documentation_options\.js[^\"]*\"></script>")
INLINE = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.S)
NAMED = re.compile(r"\s(?:class|id)=\"([^\"]*)\"")
WORD = re.compile(r"[\w-]+")
IMPORT = re.compile(r"@import [\"']([^\"']*)[\"'];")
URL = re.compile(r"url\([\"']?(?!data:|#)([^\"')]+)[\"']?\)")
HELD = ("media", "supports", "layer", "container")  # rules that hold rules


def written(page: str) -> set[str]:
    """Return the classes and ids of a page, and the words of its scripts."""
    names = set(chain.from_iterable(map(str.split, NAMED.findall(page))))
    return names.union(*map(WORD.findall, INLINE.findall(page)))


def asked(selector: Iterable[tinycss2.ast.Node]) -> Iterator[str]:
    """Yield the classes and ids that a selector asks for, whatever else it says in brackets."""
    before = None
    for node in selector:
        if node.type == "hash" or (node.type == "ident" and before == "."):
            yield node.value
        before = node.value if node.type == "literal" else None


def can_hold(prelude: list[tinycss2.ast.Node], words: set[str]) -> bool:
    """Return whether one of the selectors of a rule asks for nothing but these words.

    A script may end a word with something of its own, such as `bs-tooltip-` with `top`.
    """

    def there(name: str) -> bool:
        begun = (name[: m.end()] for m in re.finditer(r"(?<=\w)-", name))
        return name in words or any(part in words for part in begun)

    selectors: list[list[tinycss2.ast.Node]] = [[]]
    for node in prelude:
        if node.type == "literal" and node.value == ",":
            selectors.append([])
        else:
            selectors[-1].append(node)
    return any(all(map(there, asked(selector))) for selector in selectors)


def needed(rules: list[tinycss2.ast.Node], words: set[str]) -> str:
    """Return those of these rules that can hold where these words are."""
    kept = []
    for rule in rules:
        if rule.type == "qualified-rule" and can_hold(rule.prelude, words):
            kept.append(rule.serialize())
        elif rule.type == "at-rule" and rule.lower_at_keyword in HELD and rule.content is not None:
            inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
            if held := needed(inner, words):
                kept.append(f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{held}}}")
        elif rule.type == "at-rule" and rule.lower_at_keyword != "charset":
            kept.append(rule.serialize())
    return "\n".join(kept)


def sheet(path: Path, words: set[str], seat: Path) -> str:
    """Return a style sheet with those that it imports, to stand in this folder."""
    css = re.sub(r"/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.S)

    def moved(url: re.Match[str]) -> str:
        return f"url({Path(os.path.relpath(path.parent / url[1], seat)).as_posix()})"

    imported = IMPORT.findall(css)
    css = URL.sub(moved, IMPORT.sub("", css))
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    return "\n".join(
        [*(sheet(path.parent / i, words, seat) for i in imported), needed(rules, words)]
    )


def with_one(page: str, root: str, version: str, options: str) -> str:
    """Return a page that asks for one style sheet, and whose scripts wait for its end."""

    def light(found: re.Match[str]) -> str:
        head = PRELOAD.sub("", found[0])
        one = f'\n<link rel="stylesheet" href="{root}{SHEET}?v={version}" />'
        head = LINK.sub(lambda _: "", LINK.sub("\0", head, count=1)).replace("\0", one)
        head = OPTIONS.sub(lambda _: f"<script>{options}</script>", head)
        return WAITS.sub("<script defer", head)

    return HEAD.sub(light, page, count=1)


def join(built: Path) -> None:
    """Write the one style sheet of these pages, and ask for it in all of them."""
    texts = {path: path.read_text(encoding="utf-8") for path in pages(built)}
    target = built / SHEET
    asked_for = {
        (path.parent / link).resolve(): None
        for path, page in texts.items()
        for link in LINK.findall(page)
    }
    asked_for.pop(target.resolve(), None)
    if not asked_for:  # no page was written anew; the sheet says what it was made of
        said = target.read_text(encoding="utf-8").splitlines()[0]
        asked_for = {(built / name).resolve(): None for name in said.split()[1:-1]}
    static = built / "_static"
    own = [*static.glob("*.js"), *static.glob("scripts/*.js")]
    scripts = [path.read_text(encoding="utf-8") for path in own]
    words = set[str]().union(*map(written, texts.values()), *map(WORD.findall, scripts))
    names = " ".join(path.relative_to(built.resolve()).as_posix() for path in asked_for)
    parts = [sheet(path, words, target.parent.resolve()) for path in asked_for]
    css = "\n".join([f"/* {names} */", *parts])
    target.write_text(css, encoding="utf-8")
    version = hashlib.sha256(css.encode()).hexdigest()[:8]
    options = (static / "documentation_options.js").read_text(encoding="utf-8")
    for path, page in texts.items():
        root = "../" * (len(path.relative_to(built).parts) - 1)
        path.write_text(with_one(page, root, version, options), encoding="utf-8")


def unite(app: Sphinx, error: Exception | None) -> None:
    """Do so for the pages of the book."""
    if error is None and app.builder.format == "html":
        join(Path(app.outdir))


def setup(app: Sphinx) -> None:
    """Do it when no page changes any more but for what it may run."""
    app.connect("build-finished", unite, priority=870)
