"""What a page runs to show live figures: their modules in one file each, without needless space."""

import re
from functools import cache
from importlib import resources

from phase_utils._check import one_of

LIVE = (  # modules of figures
    "cascade",
    "equation_of_state",
    "landscape",
    "lower_envelope",
    "norm_power",
    "phase_diagram",
    "ridge_poles",
)
_QUOTED = r"`[^`]*`|\"[^\"\n]*\""

# Shows every figure of its name that no script has shown yet, with a model that lives in the page.
_SHIM = """
for (const el of document.querySelectorAll('.pu-live[data-live="NAME"]:not([data-ready])')) {
  const state = JSON.parse(el.dataset.state), heard = new Set();
  el.dataset.ready = "";
  render({ el, model: {
    get: (key) => state[key],
    set: (key, value) => { state[key] = value; },
    save_changes: () => heard.forEach((f) => f()),
    on: (_, f) => heard.add(f), off: (_, f) => heard.delete(f),
  } });
}"""


def script(name: str) -> str:
    """Return what a page runs to show its live figures of one name.

    Parameters
    ----------
    name : str
        Of the module.

    Returns
    -------
    str
        JavaScript.
    """
    return f"{module(name)}{_shortened(_SHIM).replace('NAME', name)}"


def module(name: str) -> str:
    """Return a module of this folder as one file, with all that it imports inside it.

    Parameters
    ----------
    name : str
        Of the module.

    Returns
    -------
    str
        JavaScript.
    """
    return _joined(one_of("name", name, names()))


@cache
def names() -> tuple[str, ...]:
    """Return the names of all modules."""
    files = resources.files("phase_utils.chapters.live").iterdir()
    return tuple(sorted(f.name.removesuffix(".js") for f in files if f.name.endswith(".js")))


@cache
def _joined(name: str) -> str:
    return "\n".join(_shortened(source) for source in _sources(name).values())


def _sources(name: str) -> dict[str, str]:
    """The modules that `name` imports, then itself, each once."""
    path = resources.files("phase_utils.chapters.live") / f"{name}.js"
    source = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for imported in re.findall(r'^import .* from "\./(\w+)\.js";$', source, re.MULTILINE):
        found = {**found, **_sources(imported)}
    return {**found, name: source}


def _shortened(source: str) -> str:
    """Leave out imports, comments and needless space; strings stay as they are, but for CSS.

    A library, rjsmin, leaves the CSS as it is, and with it 15.0 to 15.2 kB of what may be 15.
    """
    source = re.sub(r"^import .*\n", "", source, flags=re.MULTILINE)
    pieces = re.split(f"({_QUOTED}|//[^\n]*)", source)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            signs = re.sub(r"([+-])\s+(?=[+-])", "\\1\0", piece)  # `a - -b` is not `a--b`
            tight = re.sub(r"\s*([^\w$\s])\s*", r"\1", re.sub(r"\s+", " ", signs))
            pieces[i] = tight.replace("\0", " ")
        elif piece.startswith("//"):
            pieces[i] = ""
        elif piece.startswith("`\n"):
            pieces[i] = re.sub(r"\s*([{};])\s*", r"\1", re.sub(r"\s+", " ", piece))
    return "".join(pieces)
