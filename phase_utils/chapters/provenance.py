"""What a reader needs to repeat a chapter's run: seed, device, versions, time."""

import html
import platform
import time
from importlib import metadata
from typing import Any

from phase_utils._check import instance, integer
from phase_utils.chapters.claims import Ledger
from phase_utils.training import devices

PACKAGES = ("phase-utils", "numpy", "scipy", "torch", "matplotlib")


class Provenance:
    """Rows of what and value; shown as a table, or as text without a notebook.

    Parameters
    ----------
    rows : list of (str, str)
        In the order shown.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.provenance.Provenance([("seed", "0"), ("device", "cpu")])
    seed: 0
    device: cpu
    """

    def __init__(self, rows: list[tuple[str, str]]) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        return "\n".join(f"{what}: {value}" for what, value in self.rows)

    def _repr_html_(self) -> str:
        cells = "".join(
            f'<tr><th scope="row">{html.escape(what)}</th><td>{html.escape(value)}</td></tr>'
            for what, value in self.rows
        )
        return f'<table class="provenance mathjax_ignore"><tbody>{cells}</tbody></table>'


def record(ledger: Ledger, *, seed: int, device: str = "cpu", **parameters: Any) -> Provenance:
    """Return seed, device, versions and seconds of a chapter's run, and what else is given.

    Parameters
    ----------
    ledger : claims.Ledger
        The chapter's; the seconds count from its making.
    seed : int
        Of the run.
    device : str
        As `devices.resolve` takes it.
    **parameters : object
        Further rows, by name.

    Returns
    -------
    Provenance
        Shown where a cell ends with it.

    Raises
    ------
    ValueError
        For a device that is not present.

    Examples
    --------
    >>> import phase_utils as pu
    >>> ledger = pu.claims.Ledger("03_depth_zero", "smoke")
    >>> pu.provenance.record(ledger, seed=0, width=8).rows[:4]
    [('chapter', '03_depth_zero'), ('tier', 'smoke'), ('seed', '0'), ('width', '8')]
    """
    instance("ledger", ledger, Ledger, "a Ledger")
    seed = integer("seed", seed, minimum=0)
    versions = [(package, metadata.version(package)) for package in PACKAGES]
    return Provenance(
        [
            ("chapter", ledger.chapter),
            ("tier", ledger.tier),
            ("seed", str(seed)),
            *((name, str(value)) for name, value in parameters.items()),
            ("device", devices.name(devices.resolve(device))),
            ("Python", platform.python_version()),
            *versions,
            ("seconds", f"{time.perf_counter() - ledger.started:.1f}"),
        ]
    )
