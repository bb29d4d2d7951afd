"""The words in which claims are spoken of, here and nowhere else."""

from collections.abc import Iterable, Mapping
from typing import Any

MIME = "application/vnd.phase-claims+json"  # under which a check travels in a notebook's outputs
KEPT_MIME = "application/vnd.phase-record+json"  # the same for what a record keeps
KEEPING = "PHASE_BOOK_KEEPING"  # 1 in the kernel of a run that is recorded

# about the paper
VERDICTS = ("confirmed", "corrected", "refuted", "extended")

# about a run, from the best to the worst: a claim with several checks is in the worst of theirs
PASS, REDUCED, NOT_APPLICABLE = "pass", "reduced size", "not applicable"
UNTESTED, FAIL = "untested", "fail"
STATES = (PASS, REDUCED, NOT_APPLICABLE, UNTESTED, FAIL)

# how strongly a run, or one that is recorded, supports a verdict, from the best to the worst
WHOLE, RECORDED, SMALLER, NONE = "full", "recorded", "reduced", "none"
EVIDENCE = (WHOLE, RECORDED, SMALLER, NONE)
SPOKEN = {
    WHOLE: "{verdict}",
    RECORDED: "{verdict}, by a recorded run",
    SMALLER: "{verdict}, at reduced size",
    NONE: "not decided by this run",
}

# sizes of a run: that of the book is what a chapter's own cells say, `tiers.toml` has the others
SMOKE, BOOK, PAPER = TIERS = ("smoke", "book", "paper")


def ranked(states: Iterable[str]) -> list[str]:
    """Return the different states from the best to the worst; only a failure beats a stranger."""
    unknown = STATES.index(UNTESTED) + 0.5
    return sorted(set(states), key=lambda s: (STATES.index(s) if s in STATES else unknown, s))


def worst(states: Iterable[str]) -> str:
    """Return the worst of the states of a claim's checks, `UNTESTED` where there is none."""
    return (ranked(states) or [UNTESTED])[-1]


def evidence(states: Iterable[str], *, recorded: bool = False) -> str:
    """Return how strongly checks that ended in `states` support a verdict: one of `EVIDENCE`.

    What does not apply to a run says nothing for or against. A part that did not run makes the
    rest smaller, unless a run in full is recorded. A check that fails undoes a record, too.
    """
    seen = set(states)
    if FAIL in seen:
        return NONE
    if PASS in seen and seen <= {PASS, NOT_APPLICABLE}:
        return WHOLE
    if recorded:
        return RECORDED
    return SMALLER if seen & {PASS, REDUCED} else NONE


def spoken(verdict: str, strength: str) -> str:
    """Return a verdict, no stronger than its evidence."""
    return SPOKEN[strength].format(verdict=verdict)


def failing(claims: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the ids of the claims that failed, in order, each once."""
    failed = (str(claim.get("id", "?")) for claim in claims if claim.get("state") == FAIL)
    return tuple(dict.fromkeys(failed))
