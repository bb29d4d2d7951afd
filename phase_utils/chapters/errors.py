"""Why a run did not happen, or did not end."""


class ChapterError(ValueError):
    """A chapter that cannot be found, is malformed, or cannot run with what was asked for."""


class Interrupted(KeyboardInterrupt):
    """A run that was stopped from the keyboard; the text says what is kept and how to go on."""


class NotBuilt(Exception):
    """Pages that could not be built of chapters that have run."""
