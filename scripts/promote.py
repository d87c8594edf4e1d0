"""Take a confirmed promotion to production, watch it, and take it back."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.promote import main

if __name__ == "__main__":
    main()
