"""Run the experiments of a D-REAM file in rotation, each in a process of its own."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.run_dream import main

if __name__ == "__main__":
    main()
