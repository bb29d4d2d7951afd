"""Words of sentences that are built from numbers."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular.

    Returns
    -------
    str
        `1 input`, `0 inputs`.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.words.counted(1, "input"), pu.words.counted(0, "input")
    ('1 input', '0 inputs')
    """
    return f"{number} {noun}{'s' * (number != 1)}"
