"""Write a unit and a timer that run a study under systemd's quotas."""

import study.cli.startup  # noqa: F401  first: Ctrl-C while the rest is imported leaves no traceback
from study.commands.schedule_study import main

if __name__ == "__main__":
    main()
