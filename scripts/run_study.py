"""Search how one device is divided between an LLM server and speech recognition."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.run_study import main

if __name__ == "__main__":
    main()
