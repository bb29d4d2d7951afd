"""Print the lowest versions that pyproject.toml declares: `make lowest` installs and tests them.

They are those of the package and of its extras but the ones that no test of it needs. What these
packages need in turn is not the project's to declare, and is installed as the installer likes.
"""

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# peers that are timed, the tools of who changes the project, what only makes it faster, and where
# notebooks are opened by hand
UNTESTED = {"benchmarks", "dev", "fast", "lab"}
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


def minima(project: dict) -> list[str]:
    """Return the lowest versions of a project's dependencies, those of its extras among them."""
    optional = {k: v for k, v in project["optional-dependencies"].items() if k not in UNTESTED}
    lines = [*project["dependencies"], *(line for extra in optional.values() for line in extra)]
    own = re.compile(rf"{re.escape(project['name'])}\[.*\]")  # an extra that takes in another
    return sorted({minimum(line) for line in lines if not own.fullmatch(line)}, key=str.lower)


if __name__ == "__main__":
    declared = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    print("\n".join(minima(declared)))
