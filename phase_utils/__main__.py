"""`python -m phase_utils` is the command `phase-book`."""

import sys

from phase_utils.chapters.command_line import main

sys.exit(main())
