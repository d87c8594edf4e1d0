"""Look at a study in the browser."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.dashboard import main

if __name__ == "__main__":
    main()
