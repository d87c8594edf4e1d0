"""Write a study spec and a deployment file from the two units that run today."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.init_spec import main

if __name__ == "__main__":
    main()
