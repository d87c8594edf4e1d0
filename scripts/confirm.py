"""Confirm a promotion by fresh launches of baseline and winner in turn."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.confirm import main

if __name__ == "__main__":
    main()
