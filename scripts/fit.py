"""Say which cells of a spec's space would start, by the models' files; nothing is launched."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.fit import main

if __name__ == "__main__":
    main()
