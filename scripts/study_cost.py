"""Show where a study's time went, what keeping servers saved, and whether sharing hurt."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.study_cost import main

if __name__ == "__main__":
    main()
