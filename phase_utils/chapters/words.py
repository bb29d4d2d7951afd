"""Words of sentences that are built from numbers."""

from phase_utils._check import integer, non_empty


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one.

    Parameters
    ----------
    number : int
        How many, at least 0.
    noun : str
        In the singular.

    Returns
    -------
    str
        `1 input`, `0 inputs`.

    Raises
    ------
    ValueError
        For a number below 0, or no noun.

    Examples
    --------
    >>> import phase_utils as pu
    >>> pu.words.counted(1, "input"), pu.words.counted(0, "input")
    ('1 input', '0 inputs')
    """
    number = integer("number", number, minimum=0)
    return f"{number} {non_empty('noun', noun)}{'s' * (number != 1)}"
