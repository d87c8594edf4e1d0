"""Measure a whole search space live into one file that studies can replay anywhere."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.record import main

if __name__ == "__main__":
    main()
