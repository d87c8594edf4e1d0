"""Capture live traffic before a server: arrivals and lengths, never contents."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.capture import main

if __name__ == "__main__":
    main()
