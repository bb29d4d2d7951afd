"""One function on many items, here or on the workers of a Dask cluster."""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Shared = TypeVar("Shared")


def checked_client(client: Any) -> Any:
    """Return `client`, a `distributed.Client` or None, or raise ValueError, or ImportError."""
    if client is None:
        return None
    distributed = _distributed()
    if not isinstance(client, distributed.Client):
        raise ValueError(f"client must be a distributed.Client, got {type(client).__name__}")
    return client


def connected(address: str) -> Any:
    """Return a `distributed.Client` of the scheduler at `address`, or raise ValueError."""
    distributed = _distributed()
    try:
        return distributed.Client(address, timeout="10s")
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"there is no Dask scheduler at {address!r} ({error})") from None


def completed(
    function: Callable[[Shared, Item], Result],
    shared: Shared,
    items: Sequence[Item],
    client: Any = None,
) -> Generator[tuple[Item, Callable[[], Result]]]:
    """Yield (item, result) when an item is done; `result()` is function(shared, item), or raises.

    function : of a module, so that a worker can import it; without memory, since what a worker
        that died had done is done again by another.
    shared : what all items need; it travels once to each worker.
    client : a `distributed.Client`, or None, which takes the items in order in this process.
    """
    if client is None:
        for item in items:
            yield item, partial(function, shared, item)
        return
    # a task, not scattered data: those are lost with the worker that holds them
    held = client.submit(_itself, shared, pure=False)
    left = {client.submit(function, held, item, pure=False): item for item in items}
    try:
        for future in _distributed().as_completed(list(left)):
            yield left.pop(future), future.result
    finally:
        client.cancel([*left, held])


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
