"""Words of sentences that are built from numbers."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one: `1 input`, `0 inputs`."""
    return f"{number} {noun}{'s' * (number != 1)}"
