"""Say how the GPU is divided by what runs now, and write the spec to measure it."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.quick import main

if __name__ == "__main__":
    main()
