"""A valid call of everything public, and wrong values: what `test_refusals.py` is made of."""

from calls import chapters, diagnosis, running, sweeps, theory, training

CALLS = (
    theory.CALLS | training.CALLS | sweeps.CALLS | diagnosis.CALLS | chapters.CALLS | running.CALLS
)
