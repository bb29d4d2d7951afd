"""One function on many items, here or on the workers of a Dask cluster."""

import warnings
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TypeVar

Item = TypeVar("Item")
Done = TypeVar("Done")
Shared = TypeVar("Shared")

# seconds without any worker after which there is a warning, and after which the run stops
WARN_AFTER, STOP_AFTER = 10.0, 300.0
POLL = 1.0  # seconds without a result after which to ask whether there are workers
REMEDY = "start workers, or wait for them with client.wait_for_workers(1)"


def checked_client(client: Any) -> Any:
    """Return `client`, a `distributed.Client` or None, or raise ValueError, or ImportError."""
    if client is None:
        return None
    distributed = _distributed()
    if not isinstance(client, distributed.Client):
        raise ValueError(f"client must be a distributed.Client, got {type(client).__name__}")
    if client.asynchronous or client.status != "running":
        kind = "an asynchronous one" if client.asynchronous else f"one that is {client.status}"
        raise ValueError(f"client must be connected and synchronous, got {kind}")
    return client


def connected(address: str) -> Any:
    """Return a `distributed.Client` of the scheduler at `address`, or raise ValueError."""
    distributed = _distributed()
    try:
        return distributed.Client(address, timeout="10s")
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"there is no Dask scheduler at {address!r} ({error})") from None


def completed(
    function: Callable[[Shared, Item], Done],
    shared: Shared,
    items: Sequence[Item],
    client: Any = None,
) -> Generator[tuple[Item, Callable[[], Done]]]:
    """Yield (item, result) when an item is done; `result()` is function(shared, item), or raises.

    Parameters
    ----------
    function : of a module, so that a worker can import it; without memory, since what a worker
        that died had done is done again by another.
    shared : what all items need; it travels once to each worker.
    client : a `distributed.Client`, or None, which takes the items in order in this process.

    Raises
    ------
    TimeoutError
        When the cluster has had no worker for `STOP_AFTER` seconds; there is a warning after
        `WARN_AFTER`.
    ConnectionError
        When the scheduler is lost or restarted, and with it what it was to do.
    """
    if client is None:
        for item in items:
            yield item, partial(function, shared, item)
        return
    # a task, not scattered data: those are lost with the worker that holds them
    cluster = _Cluster(client)
    held = client.submit(_itself, shared, pure=False)
    left = {client.submit(function, held, item, pure=False): item for item in items}
    ended: SimpleQueue[Any] = SimpleQueue()
    for future in left:
        future.add_done_callback(ended.put)
    try:
        while left:
            try:
                future = ended.get(timeout=POLL)
            except Empty:
                cluster.check()
                continue
            if future.status == "cancelled":
                raise cluster.lost()
            yield left.pop(future), partial(cluster.result, future)
    finally:
        with suppress(OSError):  # a scheduler that is lost has nothing to cancel
            client.cancel([*left, held])


class _Cluster:
    """Whether there is anybody to do the work."""

    def __init__(self, client: Any) -> None:
        self.client, self.address = client, client.scheduler.address
        self._since: float | None = None  # when workers were first found missing
        self._warned = False

    def check(self) -> None:
        """Warn when there has been no worker for long, and raise TimeoutError when for too long."""
        try:
            present = bool(self.client.nthreads())
        except OSError:
            raise self.lost() from None
        if present:
            self._since, self._warned = None, False
            return
        self._since = self._since or monotonic()
        absent = monotonic() - self._since
        if absent >= STOP_AFTER:
            raise TimeoutError(
                f"no worker at {self.address} for {STOP_AFTER:g} s: {REMEDY}, and run it again; "
                "what was stored is kept"
            )
        if absent >= WARN_AFTER and not self._warned:
            self._warned = True
            warnings.warn(
                f"no worker at {self.address} for {WARN_AFTER:g} s, and {STOP_AFTER:g} s are "
                f"waited: {REMEDY}",
                RuntimeWarning,
                stacklevel=6,  # where a sweep was called
            )

    def result(self, future: Any) -> Any:
        """What the future holds; if its worker has died, when another one has done it again."""
        patience = WARN_AFTER
        while True:
            try:
                return future.result(timeout=patience)
            except (CancelledError, OSError) as error:
                if future.status == "error":  # the function's own
                    raise
                if not isinstance(error, TimeoutError):
                    raise self.lost() from None
                self.check()
                patience *= 2  # a large result on a slow line arrives too

    def lost(self) -> ConnectionError:
        """The error of a cluster that has forgotten what it was to do."""
        return ConnectionError(
            f"the Dask scheduler at {self.address} was lost or restarted: when it has workers, run "
            "it again with a new client; what was stored is kept"
        )


def _itself(value: Shared) -> Shared:
    return value


def _distributed() -> Any:
    try:
        import distributed
    except ImportError:
        raise ImportError(
            "Dask needs the package distributed: pip install 'phase-utils[dask]'"
        ) from None
    return distributed
