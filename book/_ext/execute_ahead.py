"""Execute the chapters that the cache does not hold side by side, before they are read one by one.

A chapter that fails here is left to the reading, which executes it again and reports the error.

The cache has a parallel executor of its own, which would take fewer lines. It runs the notebooks
in their order and in lumps, so that the longest may begin last; its workers are as many as the
machine has processors, not as this process may use; and they are forks that write to one database.
"""

import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.display import status_iterator

MYST = {"type": "plugin", "name": "myst_nb_md"}
# begin first, in this order, then by length of their text: measured, at the tier book
LONGEST = (
    "10_collapse_supervised",
    "17_adamw",
    "14_initialization_and_escape",
    "11_collapse_self_supervised",
    "12_collapse_vae",
    "16_your_network",
)

logger = logging.getLogger(__name__)


def processors() -> int:
    """How many this process may use."""
    usable = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    return len(usable) or os.cpu_count() or 1


def place(chapter: str) -> int:
    """Where a chapter stands among the longest, or behind them."""
    return LONGEST.index(chapter) if chapter in LONGEST else len(LONGEST)


def execute_ahead(_: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Fill the cache, one kernel per processor, the longest chapter first."""
    config = env.mystnb_config
    if config.execution_mode != "cache":
        return
    paths = [Path(env.doc2path(name)) for name in docnames if name.startswith("notebooks/")]
    paths.sort(key=lambda path: (place(path.stem), -path.stat().st_size))
    cache = get_cache(config.execution_cache_path)
    waiting = {}
    for path in paths:
        record = cache.add_nb_to_project(str(path), read_data=MYST)
        try:
            cache.match_cache_notebook(cache.get_project_notebook(record.pk).nb)
        except KeyError:
            waiting[str(path)] = cache.get_project_notebook(record.pk).nb
    with ThreadPoolExecutor(processors()) as pool:
        started = {
            pool.submit(
                single_nb_execution,
                notebook,
                cwd=str(Path(path).parent),
                allow_errors=False,
                timeout=config.execution_timeout,
                meta_override=True,
            ): path
            for path, notebook in waiting.items()
        }
        finished = status_iterator(
            as_completed(started),
            "executing chapters... ",
            length=len(started),
            stringify_func=lambda done: Path(started[done]).stem,
        )
        for done in finished:
            path, result = started[done], done.result()
            if result.err is not None:
                logger.info("%s failed and is executed again", Path(path).stem)
                continue
            bundle = CacheBundleIn(waiting[path], path, data={"execution_seconds": result.time})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before the first document is read."""
    app.connect("env-before-read-docs", execute_ahead)
    return {"version": "1", "parallel_read_safe": False}
