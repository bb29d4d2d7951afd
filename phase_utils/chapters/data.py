"""Data for the chapters: an exact teacher, two real data sets, or a user's own file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from phase_utils._check import Array, integer, listing, one_of, text
from phase_utils._check import shown as brief
from phase_utils.chapters import built_in, plain_markdown
from phase_utils.chapters.readers import tables
from phase_utils.chapters.sources import BUILT_IN, read, read_pair
from phase_utils.chapters.words import counted
from phase_utils.theory.moments import Moments


@dataclass(frozen=True)
class Task:
    """A regression task with scalar labels.

    Attributes
    ----------
    name : str
        "teacher", "diabetes", "digits", or the name of the file with its suffix.
    moments : Moments
        Exact second moments.
    x, y : (n, d) and (n,) arrays, or None
        Samples; None for the teacher.
    description : str
        One sentence: where the data come from, and what was done to them.
    label : str
        The name of the label in the file, empty for data that are built in.
    """

    name: str
    moments: Moments
    x: Array | None
    y: Array | None
    description: str
    label: str = ""

    @property
    def silent(self) -> bool:
        """Whether E[xy] is zero up to rounding, so that no linear network learns anything."""
        m = self.moments
        return bool(m.signal <= 1e-9 * np.sqrt(np.trace(m.A0) * m.Eyy))


def load(
    data: str,
    *,
    target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int = 0,
) -> Task:
    """Return one task by name, or from a file of numbers.

    Parameters
    ----------
    data : str
        "teacher": ten inputs with covariance eigenvalues between 1/2 and 2, |E[xy]| = 0.45 as in
        Fig. 1 of the paper, and label noise of variance 0.05; its direction is drawn by `seed`.
        "diabetes": scikit-learn's, 442 x 10, columns and label standardised. "digits":
        scikit-learn's, 1797 x 64, pixels / 16, centred; y = +1 for odd, -1 for even digits. Or the
        path of a file, whose columns and label are standardised and whose constant columns are left
        out. A table (.csv, .tsv, either with .gz, .parquet) has a name for every column; an index
        that pandas or R wrote is left out. An archive (.npz) holds the arrays "x", (n, d), and "y",
        (n,). Only finite numbers are read, or True and False, and never pickled objects.
    target : str
        The column or array of labels; empty: the last column that is not dropped, or "y".
    inputs : sequence of str
        The columns of a table that are inputs; empty: all but the label.
    drop : sequence of str
        The columns of a table that are neither.
    seed : int
        At least 0, for the teacher alone.

    Returns
    -------
    Task
        Its moments, and its samples where it has some.

    Raises
    ------
    ValueError
        For an unknown name, for `target`, `inputs` or `drop` that the data have not, and for a file
        that cannot be read as numbers, with the place, what was seen and what to do.

    Examples
    --------
    >>> import phase_utils as pu
    >>> task = pu.data.load("diabetes")
    >>> task.moments.d, len(task.y)
    (10, 442)
    """
    seed = integer("seed", seed, minimum=0)
    samples = read(data, tables.select(target, inputs, drop), BUILT_IN)
    return _task(data if samples is None else Path(data).name, samples, seed)


def literal(name: str) -> str:
    r"""Return Markdown that shows a name as it is, whatever it holds.

    Parameters
    ----------
    name : str
        Of a file or a column.

    Returns
    -------
    str
        Markdown.

    Raises
    ------
    ValueError
        If the name is no text.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.data.literal("a*b")
    'a\\*b'
    """
    return plain_markdown.literal(text("name", name))


def pair(
    data: str,
    compare: str = "none",
    *,
    target: str = "",
    compare_target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    seed: int = 0,
) -> dict[str, Task]:
    """Return the tasks of `data` and of `compare`, in this order, by their names.

    Parameters
    ----------
    data : str
        What `load` takes.
    compare : str
        What `load` takes, or "none".
    target, compare_target : str
        The labels in the file `data`, and in the file `compare`.
    inputs, drop : sequence of str
        Columns of the file `data`, and of `compare` where that is the same file.
    seed : int
        Draws the teacher.

    Returns
    -------
    dict of str to Task
        One entry where `compare` is "none" or the same data: the same name, or the same file with
        the same label or none given. Else two, whose names always differ: two files of one name are
        told apart by their folders, two labels of one file by the label. The `name` of each task is
        its key.

    Raises
    ------
    ValueError
        As `load`, and for a `compare_target` where `compare` is not a file.

    Examples
    --------
    >>> import phase_utils as pu
    >>> list(pu.data.pair("teacher", "diabetes"))
    ['teacher', 'diabetes']
    """
    seed = integer("seed", seed, minimum=0)
    found = read_pair(data, compare, target, compare_target, inputs, drop, BUILT_IN)
    return {name: _task(name, samples, seed) for name, samples in found.items()}


def learnable(
    tasks: Mapping[str, Task], *, instead: str = "teacher", seed: int = 0
) -> tuple[dict[str, Task], dict[str, str]]:
    """Part the tasks from which a linear network can learn from those that are silent.

    Parameters
    ----------
    tasks : dict of str to Task
        What `pair` returns.
    instead : str
        The data that are built in and stand in where all of the tasks are silent.
    seed : int
        Draws the teacher.

    Returns
    -------
    kept : dict of str to Task
        The tasks that are not silent, or what stands in for them.
    left_out : dict of str to str
        The reason for each of the others, by its name.

    Raises
    ------
    ValueError
        For tasks that are none, an unknown `instead`, and a negative seed.

    Examples
    --------
    >>> import phase_utils as pu
    >>> kept, left_out = pu.data.learnable(pu.data.pair("teacher"))
    >>> list(kept), left_out
    (['teacher'], {})
    """
    tasks, seed = _tasks(tasks), integer("seed", seed, minimum=0)
    instead = one_of("instead", instead, BUILT_IN)
    reason = "E[xy] is zero up to rounding: no linear network learns at any decay"
    left_out = {name: reason for name, task in tasks.items() if task.silent}
    kept = {name: task for name, task in tasks.items() if name not in left_out}
    return kept or {instead: load(instead, seed=seed)}, left_out


def shown(tasks: Mapping[str, Task], left_out: Mapping[str, str]) -> str:
    """Describe the first of some tasks, and say what was left out and why.

    Parameters
    ----------
    tasks : dict of str to Task
        The tasks that are used.
    left_out : dict of str to str
        As `learnable` returns it.

    Returns
    -------
    str
        One sentence.

    Raises
    ------
    ValueError
        For no task, and for what `learnable` would not return.

    Examples
    --------
    >>> import phase_utils as pu
    >>> kept, left_out = pu.data.learnable(pu.data.pair("diabetes"))
    >>> pu.data.shown(kept, left_out)
    'diabetes progression, 442 patients, 10 standardised measurements'
    """
    if not _tasks(tasks):
        raise ValueError("tasks must not be empty, got {}")
    if not isinstance(left_out, Mapping) or not all(
        isinstance(word, str) for item in left_out.items() for word in item
    ):
        raise ValueError(f"left_out must be a dict of reasons by name, got {brief(left_out)}")
    first = next(iter(tasks.values())).description
    return first + "".join(f"; left out: {name} ({reason})" for name, reason in left_out.items())


def check(
    data: str,
    compare: str = "none",
    *,
    target: str = "",
    compare_target: str = "",
    inputs: Sequence[str] = (),
    drop: Sequence[str] = (),
    also: Sequence[str] = (),
) -> None:
    """Raise the ValueError that `pair` would raise; files are read, nothing else is loaded.

    Parameters
    ----------
    data, compare, target, compare_target : str
        As for `pair`.
    inputs, drop : sequence of str
        As for `pair`.
    also : sequence of str
        Further data that are built in, those of `phase_utils.images` for instance.

    Raises
    ------
    ValueError
        As `pair`.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.data.check("digits", compare="teacher")
    >>> pu.data.check("digit")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: data must be ... got 'digit'; did you mean digits?
    """
    known = (*BUILT_IN, *listing("also", also))
    read_pair(data, compare, target, compare_target, inputs, drop, known)


def _tasks(tasks: Any) -> Mapping[str, Task]:
    if not isinstance(tasks, Mapping) or not all(isinstance(t, Task) for t in tasks.values()):
        raise ValueError(f"tasks must be a dict of Task by name, got {brief(tasks)}")
    for name in tasks:
        text("every name of tasks", name)
    return tasks


def _task(name: str, samples: tables.Samples | None, seed: int) -> Task:
    if samples is None:
        if name == "teacher":
            moments, text = built_in.teacher(seed)
            return Task(name, moments, None, None, text)
        x, y, text = built_in.bundled(name)
        return Task(name, Moments.from_samples(x, y), x, y, text)
    n, d = samples.x.shape
    size = f"{counted(n, 'sample')} of {counted(d, 'input')}"
    text = f"{name}, {size}, label {samples.label}, standardised"
    if samples.notes:
        text += f"; left out: {', '.join(samples.notes)}"
    moments = Moments.from_samples(samples.x, samples.y)
    return Task(name, moments, samples.x, samples.y, text, samples.label)
