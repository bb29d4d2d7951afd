"""Packages that not every user installs, and the extra that brings each."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def brought_by(extra: str, user: str) -> Iterator[None]:
    """Import in this context what `extra` brings.

    Parameters
    ----------
    extra : str
        Of the extra in pyproject.toml.
    user : str
        What needs it, as it stands in the message.

    Raises
    ------
    ModuleNotFoundError
        Where a package is missing; the message holds the command that installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "phase_utils" or "phase-utils[" in str(error):
            raise
        raise ModuleNotFoundError(
            f"{user} needs the package {package}: pip install 'phase-utils[{extra}]'",
            name=error.name,
        ) from None
