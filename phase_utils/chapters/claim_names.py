"""What the text calls a claim: by the paper's name of it, where it has one."""

OF_THE_BOOK = ("ext", "text")  # claims that are no numbered part of the paper
NUMBERED = {
    "App": "Appendix {}",
    "Cor": "Corollary {}",
    "Def": "Definition {}",
    "Eq": "Eq. {}",
    "Fig": "Fig. {}",
    "Lem": "Lemma {}",
    "Prop": "Proposition {}",
    "Table": "Table {}",
    "Th": "Theorem {}",
    "note": "note {}",
}
PARTS = ("left", "middle", "right", "inset", "upper", "lower")  # of a figure


def called(claim: str) -> str:
    """Return what a sentence calls a claim, '' where the paper has no name of it.

    Examples
    --------
    >>> from phase_utils.chapters.claim_names import called
    >>> called("Eq-8"), called("Fig-3-left"), called("ext-pass")
    ('Eq. 8', 'Fig. 3 left', '')
    """
    kind, *rest = claim.split("-")
    if kind in OF_THE_BOOK:
        return ""
    if kind not in NUMBERED or not rest:
        return kind
    part = f" {rest[1]}" if rest[1:] and rest[1] in PARTS else ""
    return NUMBERED[kind].format(rest[0]) + part
