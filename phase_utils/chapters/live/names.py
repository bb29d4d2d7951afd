"""Short names for what a live figure's script declares, so that more of it fits into a page."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from string import ascii_letters

# strings, whole templates, names with the dot before them, numbers, signs
_TOKEN = re.compile(
    r"\"[^\"\n]*\"|'[^'\n]*'|`[^`]*`|\.\.\.|\?\.(?!\d)|=>|[=!]==?|\d[\w.]*|[A-Za-z_$][\w$]*|\s+|."
)
_NAME = re.compile(r"[A-Za-z_$][\w$]*\Z")
# after these a brace opens an object or a pattern, else a block
_OBJECT = ("(", ",", "[", "=", ":", "?", "return", "const", "let", "default", "|", "&")
_WORDS = frozenset(  # of the language
    re.findall(
        r"\w+",
        """as await async break case class const continue default delete do else export finally for
        from function get if import in instanceof let new of return set static super switch this
        throw try typeof var void while with yield null true false undefined""",
    )
)


def renamed(source: str) -> str:
    """Return a script in which all that it declares, and exports under no other name, is short.

    A name is left as it is where any part of the script has it as a property, too: then nothing
    tells the two apart but the scope. So is `render`, by which a page calls the figure.
    """
    parts = list(_parts(source))
    count, kept = Counter[str](), {"render"}
    for _, names in parts:
        count.update(names)
    declared, properties = _declared(source)
    candidates = {n for n in declared - properties - kept - _WORDS if len(n) > 1}
    order = sorted(candidates, key=lambda n: (-count[n] * len(n), n))
    taken = set(re.findall(r"[A-Za-z_$][\w$]*", source)) - candidates | _WORDS
    new = dict(zip(order, (s for s in _short() if s not in taken), strict=False))
    short = {old: one for old, one in new.items() if len(one) <= len(old)}
    return "".join(_replaced(token, names, short) for token, names in parts)


def _short() -> Iterator[str]:
    yield from ascii_letters
    for first, second in product(ascii_letters, ascii_letters):
        yield first + second


def _inside(template: str) -> list[str]:
    """What a template says, and the code in its braces, by turns."""
    return re.split(r"\$\{((?:[^{}`]|\{[^{}]*\})*)\}", template)


def _code(source: str) -> list[str]:
    """The tokens without space; the code inside a template after it, in parentheses."""
    found = []
    for token in _TOKEN.findall(source):
        if token.isspace():
            continue
        found.append(token)
        if token.startswith("`") and not token.startswith("`\n"):
            for code in _inside(token)[1::2]:
                found += [";", "(", *_code(code), ")"]
    return found


def _parts(source: str) -> Iterator[tuple[str, list[str]]]:
    """Each token, with the names in it that are code."""
    before = ""
    for token in _TOKEN.findall(source):
        names = []
        if _NAME.match(token) and before not in (".", "?."):
            names = [token]
        elif token.startswith("`") and not token.startswith("`\n"):
            for code in _inside(token)[1::2]:
                names += [n for _, found in _parts(code) for n in found]
        before = before if token.isspace() else token
        yield token, names


def _replaced(token: str, names: list[str], short: dict[str, str]) -> str:
    if not names:
        return token
    if not token.startswith("`"):
        return short.get(token, token)
    pieces = _inside(token)
    for i in range(1, len(pieces), 2):
        code = "".join(_replaced(t, found, short) for t, found in _parts(pieces[i]))
        pieces[i] = f"${{{code}}}"
    return "".join(pieces)


def _declared(source: str) -> tuple[set[str], set[str]]:
    """The names that a script declares, and those that are a property somewhere."""
    tokens = ["", *_code(source), "", ""]
    declared: set[str] = set()
    properties: set[str] = set()
    open_: list[tuple[str, int]] = []
    for i, token in enumerate(tokens[1:-2], 1):
        before, after = tokens[i - 1], tokens[i + 1]
        if token in ("(", "[", "{"):
            is_object = token == "{" and before in _OBJECT
            open_.append(("object" if is_object else token, i))
        elif token in (")", "]", "}"):
            _, start = open_.pop()
            names = {t for t in tokens[start:i] if _NAME.match(t)}
            head = tokens[start - 2] == "function" or tokens[start - 1] == "function"
            if after == "=>" or head or (token in "]}" and tokens[start - 1] in ("const", "let")):
                declared |= names
        elif _NAME.match(token):
            if before in (".", "?."):
                properties.add(token)
            elif open_ and open_[-1][0] == "object" and before in ("object", "{", ","):
                if after in (":", ",", "}", "=", "("):
                    properties.add(token)
            elif (
                before in ("const", "let", "function")
                or after == "=>"
                or (before, after) == (",", "=")
            ):
                declared.add(token)
    return declared, properties
