"""What a page runs to show live figures: the frame of all of them, and what is each one's own."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources

from phase_utils._check import one_of
from phase_utils.chapters.live.names import renamed

LIVE = (  # modules of figures
    "activation_order",
    "augmentation",
    "cascade",
    "deep_limit",
    "equation_of_state",
    "gibbs_measure",
    "heat_bath",
    "landscape",
    "latents",
    "lower_envelope",
    "norm_power",
    "phase_diagram",
    "pitchfork",
    "residual_ray",
    "ridge_poles",
)
TOOLS = ("calculator",)  # modules of what fills a page of its own
_FRAME = "draw"  # with what it imports; the rest of a page takes what it exports from `puLive`
_IMPORT = re.compile(r'^(?:import|export) \{(.*)\} from "\./(\w+)\.js";\n', re.M)
_EXPORT = re.compile(r"^export (?=const|function|async|class)|^export default .*;\n", re.M)
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


@cache
def frame() -> str:
    """Return what a page runs before its live figures, whichever they are.

    Returns
    -------
    str
        JavaScript.
    """
    code = _code(_sources(_FRAME))
    offered = ",".join(_offered())
    return renamed(f"window.puLive??={_alone(f'{code};return{{{offered}}}')}")


@cache
def script(name: str) -> str:
    """Return what a page runs after `frame` to show its live figures of one name.

    Parameters
    ----------
    name : str
        Of the module.

    Returns
    -------
    str
        JavaScript.
    """
    shared = _sources(_FRAME)
    own = _sources(one_of("name", name, (*LIVE, *TOOLS)))
    code = _code({key: source for key, source in own.items() if key not in shared})
    used = [one for one in _offered() if re.search(rf"(?<![.\w]){one}\b", code)]
    shim = _shortened(_SHIM).replace("NAME", name)
    return renamed(_alone(f"const{{{','.join(used)}}}=window.puLive;{code}{shim}"))


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
    return "\n".join(map(_shortened, _sources(one_of("name", name, names())).values()))


def all_scripts() -> tuple[str, ...]:
    """Return all that pages of the book may run: the frame, and what is each one's own."""
    return (frame(), *map(script, (*LIVE, *TOOLS)))


def element(code: str) -> str:
    """Return the element of a page that runs a script, where it stands: before the page's end."""
    return f"<script>{code}</script>"


def once(page: str) -> str:
    """Return a page that has the frame of live figures before the first of them alone."""
    first, tag, rest = page.partition(element(frame()))
    return first + tag + rest.replace(tag, "") if tag else page


@cache
def names() -> tuple[str, ...]:
    """Return the names of all modules."""
    files = resources.files("phase_utils.chapters.live").iterdir()
    return tuple(sorted(f.name.removesuffix(".js") for f in files if f.name.endswith(".js")))


def _alone(code: str) -> str:
    """This code with names of its own, as a module has them, but run without waiting."""
    return f'(()=>{{"use strict";{code}}})()'


def _code(sources: Mapping[str, str]) -> str:
    """These modules as one, which exports nothing."""
    return "\n".join(_shortened(_EXPORT.sub("", source)) for source in sources.values())


def _offered() -> list[str]:
    """The names that the frame exports."""
    source = (resources.files("phase_utils.chapters.live") / f"{_FRAME}.js").read_text("utf-8")
    passed = re.findall(r"^export \{(.*)\}", source, re.M)
    own = re.findall(r"^export (?:const|function) (\w+)", source, re.M)
    return sorted([*own, *re.findall(r"\w+", " ".join(passed))])


def _sources(name: str) -> dict[str, str]:
    """The modules that `name` imports, then itself, each once."""
    path = resources.files("phase_utils.chapters.live") / f"{name}.js"
    source = path.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for _, imported in _IMPORT.findall(source):
        found = {**found, **_sources(imported)}
    return {**found, name: source}


def _shortened(source: str) -> str:
    """Leave out imports, comments and needless space; strings stay as they are, but for CSS.

    A library, rjsmin, leaves the CSS as it is.
    """
    source = _IMPORT.sub("", source)
    pieces = re.split(f"({_QUOTED}|//[^\n]*)", source)
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            signs = re.sub(r"([+-])\s+(?=[+-])", "\\1\0", piece)  # `a - -b` is not `a--b`
            tight = re.sub(r"\s*([^\w$\s])\s*", r"\1", re.sub(r"\s+", " ", signs))
            pieces[i] = tight.replace("\0", " ")
        elif piece.startswith("//"):
            pieces[i] = ""
        elif piece.startswith("`\n"):
            pieces[i] = re.sub(r"\s*([{};]|[:,>](?= ))\s*", r"\1", re.sub(r"\s+", " ", piece))
    return "".join(pieces)
