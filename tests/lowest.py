"""Print the lowest versions that pyproject.toml declares, as requirements: `make lowest` tests them.

    python tests/lowest.py [EXTRA ...]

Without a word: of the package and of all its extras but those that none of its tests needs. What
these packages need in turn is not the project's to declare, and is installed as the installer likes.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# peers that are timed, and the tools of who changes the project
UNTESTED = {"benchmarks", "dev"}
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?P<bounds>[=<>!~][^;]*)")


def minimum(requirement: str) -> str:
    """Return a requirement's lowest version as `name==version`.

    Raises:
        ValueError: it declares no lowest version.
    """
    found = REQUIREMENT.fullmatch(requirement.replace(" ", ""))
    lowest = re.search(r"[=>~]=([^,]+)", found["bounds"]) if found else None
    if not found or not lowest:
        raise ValueError(f"{requirement!r} of pyproject.toml declares no lowest version: add `>=`")
    return f"{found['name']}=={lowest[1]}"


def minima(project: dict, extras: Iterable[str] | None = None) -> list[str]:
    """Return the lowest versions of the dependencies and of `extras`, by default the tested ones."""
    optional = project.get("optional-dependencies", {})
    chosen = sorted(set(optional) - UNTESTED) if extras is None else list(extras)
    lines = [*project["dependencies"], *(line for extra in chosen for line in optional[extra])]
    own = re.compile(rf"{re.escape(project['name'])}\[.*\]")  # an extra that takes in another
    return sorted({minimum(line) for line in lines if not own.fullmatch(line)}, key=str.lower)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the requirements, one a line."""
    words = sys.argv[1:] if arguments is None else arguments
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(minima(project, words or None)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
