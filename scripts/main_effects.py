"""Show which parameter of a space matters, and how much."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.main_effects import main

if __name__ == "__main__":
    main()
