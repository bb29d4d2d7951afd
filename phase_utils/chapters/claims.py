"""The claim ledger: what the paper states, with a check that could fail.

`ledger/CHAPTER.toml` defines the claims of a chapter, which opens `Ledger(chapter, tier)` and
checks them. Each check is displayed as one line and travels in the notebook's outputs under a mime
type of its own, from which the book's status page and the tests collect it; what differs between
two runs travels in the output's metadata, which no comparison of notebooks looks at. A failed claim
does not stop the chapter.
"""

import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from IPython.display import display

from phase_utils._check import flag, non_empty, one_of, scalar, shown, text
from phase_utils.chapters.evidence import (
    loosest,
    refuse_itself,
    refuse_loose,
    refuse_no_route,
)
from phase_utils.chapters.lines import Line, comparable, compared, plain
from phase_utils.chapters.vocabulary import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    REDUCED,
    TIERS,
    UNTESTED,
    VERDICTS,
    ranked,
)

TIED = 1e-6  # relative difference of sizes that a computation may turn round
LEDGER = Path(__file__).with_name("ledger")


@dataclass(frozen=True)
class Definition:
    """One claim: where the paper states it, the statement in our words, and our verdict.

    Attributes
    ----------
    id, chapter, source, statement, verdict : str
        As the ledger has them.
    printed, corrected, consequence : str
        What the paper prints, what is correct, what follows; empty where nothing had to be
        corrected. Markdown with TeX.
    """

    id: str
    chapter: str
    source: str
    statement: str
    verdict: str
    printed: str = ""
    corrected: str = ""
    consequence: str = ""


@cache
def definitions() -> tuple[Definition, ...]:
    """Return all claims, chapter by chapter.

    Returns
    -------
    tuple of Definition
        In the order of the ledger.

    Raises
    ------
    ValueError
        Where the ledger is malformed.

    Examples
    --------
    >>> import phase_utils as pu
    >>> next(d.source for d in pu.claims.definitions() if d.id == "B2")
    'Eq. B2'
    """
    found: dict[str, Definition] = {}
    for path in sorted(LEDGER.glob("*.toml")):
        for name, fields in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if name in found:
                raise ValueError(f"claim {name} stands twice in the ledger")
            one_of(f"verdict of {name}", fields.get("verdict"), VERDICTS)
            found[name] = Definition(id=name, chapter=path.stem, **fields)
    return tuple(found.values())


class Ledger:
    """Checks the claims of one chapter.

    Parameters
    ----------
    chapter : str
        Its name, with its number.
    tier : {"smoke", "book", "paper"}
        Size of the run.

    Raises
    ------
    ValueError
        For a chapter without claims, and another tier.

    Examples
    --------
    >>> import phase_utils as pu
    >>> ledger = pu.claims.Ledger("18_line_by_line_no_transition", "smoke")
    >>> ledger.check(
    ...     "B3",
    ...     measured=pu.Landscape(pu.Moments.isotropic(), depth=0).minima(0.5)[0],
    ...     expected=0.45 / 1.5,
    ...     route="solved by hand for one input",
    ...     tolerance=1e-12,
    ... )
    B3 | pass | measured 0.3 | expected 0.3 | 1 value within 1e-12 (relative)
    >>> ledger.summary()
    '14 claims, 1 checks: 1 pass, 13 unchecked'
    """

    def __init__(self, chapter: str, tier: str) -> None:
        self.tier = one_of("tier", tier, TIERS)
        chapter = text("chapter", chapter)
        self.known = {d.id: d for d in definitions() if d.chapter == chapter}
        if not self.known:
            raise ValueError(f"chapter must have claims in the ledger, got {shown(chapter)}")
        self.chapter, self.results = chapter, list[dict[str, Any]]()
        self.started = self._since = time.perf_counter()

    def check(
        self,
        claim: str,
        *,
        measured: Any,
        expected: Any,
        route: str,
        tolerance: float | Mapping[str, float] = 0.0,
        relative: bool = True,
        what: str = "",
        reduced: str = "",
        loose: str = "",
    ) -> None:
        """Compare numbers (or booleans, strings), record the result and display it.

        Parameters
        ----------
        claim : str
            Its id.
        measured, expected : scalar or array_like
            Of the same shape. Of arrays of numbers the entry that is largest in `expected` is
            shown, to the digits that the tolerance leaves meaningful, and how many are within it;
            of other arrays how many agree. The worst deviation decides.
        route : str
            The independent way by which `expected` was found, not only where it is printed.
        tolerance : float or dict of str to float
            One number, or one for each tier; exact equality is asked of booleans and strings.
        relative : bool
            Divide each deviation by |expected|.
        what : str
            What is measured, for the line that is displayed.
        reduced : str
            How this run is smaller than what the claim speaks of; a check that passes is then
            recorded as "reduced size".
        loose : str
            Why no tolerance of a tenth or less, of the largest expected value, can be asked for.

        Raises
        ------
        ValueError
            For a claim of another chapter, shapes that differ, and what could not fail or would not
            be noticed: a route that names none, a comparison of a value with itself (one object or
            shared memory), a tolerance above a tenth without a reason. Values that agree to the
            last bit pass: two routes may round alike on one processor and not on another.
        """
        self._definition(claim)
        refuse_no_route(claim, text("route", route))
        refuse_itself(claim, measured, expected)
        relative, what = flag("relative", relative), text("what", what)
        reduced, loose = text("reduced", reduced), text("loose", loose)
        widest = loosest(tolerance)
        if isinstance(tolerance, Mapping):
            if self.tier not in tolerance:
                raise ValueError(f"tolerance must have {self.tier}, got {shown(tolerance)}")
            tolerance = tolerance[self.tier]
        bound = scalar("tolerance", tolerance, minimum=0)
        got, want = comparable("measured", measured), comparable("expected", expected)
        if (got.dtype.kind in "US") != (want.dtype.kind in "US"):
            raise ValueError(
                f"measured and expected must be of one kind, got {got.dtype} and {want.dtype}"
            )
        if got.shape != want.shape:
            raise ValueError(
                f"measured of {claim} must have the shape of expected {want.shape}, got {got.shape}"
            )
        exact = want.dtype.kind in "bUS"
        if exact:
            distance = np.asarray(got != want, float)
            deviation, largest = float(np.sum(distance)), 0
        else:
            refuse_loose(claim, widest, want, relative, loose)
            distance = np.abs(got - want)
            if relative:
                with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                    distance = np.where(distance == 0, 0.0, distance / np.abs(want))
            deviation = float(np.max(distance)) if distance.size else np.nan
            sizes = np.abs(want)
            # of those that rounding alone tells apart, the first
            largest = int(np.argmax(sizes >= (1 - TIED) * np.max(sizes))) if want.size else 0
        # a comparison with nan is False: what is not a number cannot pass
        state = FAIL if not deviation <= bound else REDUCED if reduced else PASS
        within = int(np.count_nonzero(distance <= (0.0 if exact else bound)))
        values = [plain(v.reshape(-1)[largest]) if v.size else None for v in (got, want)]
        if exact and want.size > 1:  # one of them would say nothing of the others
            values = [within, want.size]
        told = compared(values, want.size, within, None if exact else bound, relative)
        self._record(
            claim,
            state,
            [claim, state, *([what] if what else []), *told],
            measured=values[0],
            expected=values[1],
            deviation=None if exact or not np.isfinite(deviation) else deviation,
            tolerance=None if exact else bound,
            values=want.size,
            reduced=reduced,
            route=route,
            reason="; ".join(part for part in (what, reduced, loose) if part),
        )

    def not_applicable(self, claim: str, reason: str) -> None:
        """Record that the chosen parameters or data leave the hypotheses of the claim.

        Parameters
        ----------
        claim : str
            Its id.
        reason : str
            Which hypothesis, and why.

        Raises
        ------
        ValueError
            For another chapter's claim, or no reason.
        """
        self._definition(claim)
        non_empty("reason", reason)
        self._record(claim, NOT_APPLICABLE, [claim, NOT_APPLICABLE, reason], reason=reason)

    def untested(self, claim: str, reason: str) -> None:
        """Record that this run cannot test the claim, for want of data or machines.

        Parameters
        ----------
        claim : str
            Its id.
        reason : str
            What is missing.

        Raises
        ------
        ValueError
            For another chapter's claim, or no reason.
        """
        self._definition(claim)
        non_empty("reason", reason)
        self._record(claim, UNTESTED, [claim, UNTESTED, reason], reason=reason)

    def missing(self) -> list[str]:
        """Claims of this chapter that nothing has checked yet.

        Returns
        -------
        list of str
            Their ids.
        """
        done = {result["id"] for result in self.results}
        return [name for name in self.known if name not in done]

    def summary(self) -> str:
        """How many checks ended in which state.

        Returns
        -------
        str
            One line.
        """
        states = [result["state"] for result in self.results]
        counts = [f"{states.count(s)} {s}" for s in ranked(states)]
        left = [f"{len(self.missing())} unchecked"] if self.missing() else []
        return f"{len(self.known)} claims, {len(states)} checks: " + ", ".join(counts + left)

    def _definition(self, claim: str) -> Definition:
        if text("claim", claim) not in self.known:
            raise ValueError(f"claim must be one of chapter {self.chapter}, got {shown(claim)}")
        return self.known[claim]

    def _record(self, claim: str, state: str, parts: list[str], **fields: Any) -> None:
        now = time.perf_counter()
        result: dict[str, Any] = {
            "id": claim,
            "chapter": self.chapter,
            "tier": self.tier,
            "state": state,
        }
        result |= {"seconds": now - self._since, **fields}
        self._since = now
        self.results.append(result)
        display(Line(result, parts))  # type: ignore[no-untyped-call]
