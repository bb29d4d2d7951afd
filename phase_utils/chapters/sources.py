"""Which data a name means: those that are built in, a file, two files that are told apart."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phase_utils._check import shown, text
from phase_utils._files import local_file, local_path
from phase_utils.chapters.parameters import DATA_FILES, DATA_SUFFIXES, suggestion
from phase_utils.chapters.readers import archives, tables
from phase_utils.chapters.readers.standard import standardised

BUILT_IN = ("teacher", "diabetes", "digits")


def read_pair(
    data: str,
    compare: str,
    target: str,
    compare_target: str,
    inputs: Sequence[str],
    drop: Sequence[str],
    known: Sequence[str],
) -> dict[str, tables.Samples | None]:
    """What the tasks of `pair` are made of, by their names."""
    first = read(data, tables.select(target, inputs, drop), known)
    compare, compare_target = text("compare", compare), text("compare_target", compare_target)
    if compare_target and compare in ("none", *known):
        raise ValueError(
            f"compare_target names the label in a file, but compare is {shown(compare)}, "
            f"got {shown(compare_target)}"
        )
    same = _same(data, compare, known)
    name = data if first is None else Path(data).name
    if compare == "none" or (same and (first is None or compare_target in ("", first.label))):
        return {name: first}
    columns = (inputs, drop) if same else ((), ())
    second = read(compare, tables.select(compare_target, *columns, of="compare"), known)
    names = (name, compare if second is None else Path(compare).name)
    if same and first is not None and second is not None:
        names = (f"{name} ({first.label})", f"{name} ({second.label})")
    elif names[0] == names[1]:
        names = _told_apart(Path(data), Path(compare))
    return dict(zip(names, (first, second), strict=True))


def _same(data: str, compare: str, known: Sequence[str]) -> bool:
    """Whether both name the same data, however a path is written."""
    if data in known or compare in ("none", *known) or not _may_be_a_file(compare):
        return data == compare
    one, other = local_path("data", data), local_path("compare", compare)
    return one.is_file() and other.is_file() and one.samefile(other)


def _told_apart(one: Path, other: Path) -> tuple[str, str]:
    """The ends of two different paths, with as many folders as tell them apart."""
    parts = [path.expanduser().resolve().parts[1:] for path in (one, other)]
    first, second = one.name, other.name
    length = 1
    while first == second:
        length += 1
        first, second = ("/".join(path[-length:]) for path in parts)
    return first, second


def read(data: str, selection: tables.Selection, known: Sequence[str]) -> tables.Samples | None:
    """The standardised samples of a file; None for the `known` names of data that are built in."""
    argument = selection.of
    if isinstance(data, str) and data in known:
        for name, chosen in selection.named().items():
            if chosen:
                raise ValueError(
                    f"{name} chooses from a file, but {argument} is {data!r}, which is built in, "
                    f"got {shown(', '.join(chosen))}"
                )
        return None
    if not _may_be_a_file(data):
        raise ValueError(
            f"{argument} must be {', '.join(known)}, or {DATA_FILES}, got {shown(data)}"
            f"{suggestion(shown(data), known)}"
        )
    path = local_file(argument, data)
    reader = archives if path.suffix.lower() == ".npz" else tables
    return standardised(path.name, reader.read(path, selection))


def _may_be_a_file(data: Any) -> bool:
    return isinstance(data, str) and data.lower().endswith(DATA_SUFFIXES)
