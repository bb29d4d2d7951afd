"""The cells of a grid at work, here or on a cluster."""

import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from phase_utils.chapters import grid_cells, library, running
from phase_utils.chapters.errors import ChapterError
from phase_utils.sweeps.workers import completed

Work = tuple[str, Path | None, str, int]  # name and folder of the chapter, version, seconds
Asked = tuple[str, Mapping[str, Any]]  # the key of a cell, and its values
# files by name, claims, and the lines of an error
Ended = tuple[Mapping[str, str], tuple[Mapping[str, Any], ...], str]


def ran(
    work: Work, left: Sequence[Asked], total: int, client: Any, progress: bool | None
) -> Generator[tuple[str, Ended]]:
    """Run what is left of `total` cells; yield the key of each and how it ended."""
    from tqdm import tqdm

    with (
        tqdm(
            desc=work[0],
            total=total,
            initial=total - len(left),
            unit=" notebooks",
            disable=None if progress is None else not progress,
        ) as shown_bar,
        closing(completed(_executed, work, left, client)) as results,
    ):
        for (key, _), result in results:
            try:
                done = result()
            except Exception as lost:  # of this cell alone, a worker that died among them
                done = {}, (), "".join(traceback.format_exception_only(lost)).strip()
            yield key, done
            shown_bar.update()


def _executed(work: Work, asked: Asked) -> Ended:
    """Run one cell of a grid: its files by name, its claims, its error."""
    name, folder, source, timeout = work
    chapter = library.find(name, folder)
    if grid_cells.version(chapter) != source:
        raise ChapterError(f"the worker has another version of {name} or of the package")
    done = running.execute(chapter, asked[1], timeout=timeout)
    return dict(zip(chapter.files, done.files, strict=True)), done.claims, done.traceback
