"""A valid call of everything public, and wrong values: what `test_refusals.py` is made of."""

from calls import diagnosis, training

CALLS = training.CALLS | diagnosis.CALLS
