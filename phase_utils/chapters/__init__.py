"""The book's own machinery: chapters found, run and exported; their data, claims and figures."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phase_utils.chapters.chapter import Chapter as Chapter
    from phase_utils.chapters.errors import ChapterError as ChapterError
    from phase_utils.chapters.library import default_folder as default_folder
    from phase_utils.chapters.library import find as find
    from phase_utils.chapters.library import names as names
    from phase_utils.chapters.library import tiers as tiers
    from phase_utils.chapters.running import Run as Run
    from phase_utils.chapters.running import run as run
    from phase_utils.chapters.vocabulary import TIERS as TIERS

_MEMBERS = {
    "chapter": ("Chapter",),
    "errors": ("ChapterError",),
    "library": ("default_folder", "find", "names", "tiers"),
    "running": ("Run", "run"),
    "vocabulary": ("TIERS",),
}
_HOMES = {name: module for module, names in _MEMBERS.items() for name in names}

if not TYPE_CHECKING:  # where types are checked an unknown name is an error

    def __getattr__(name):
        if name in _HOMES:
            return getattr(import_module(f"phase_utils.chapters.{_HOMES[name]}"), name)
        raise AttributeError(f"module 'phase_utils.chapters' has no attribute {name!r}")
