"""Compare the tournament with other samplers on problems whose best is known."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.showcase.compare_samplers import main

if __name__ == "__main__":
    main()
