"""Write what a study found into one HTML file to send to a colleague."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.report import main

if __name__ == "__main__":
    main()
