"""The dead-man timer runs this: it ends a change that was not committed in time, and undoes it.

systemd starts it as `python -m study.deploy.dead_man STATE_FOLDER DEPLOYMENT`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from objectives.errors import SetupError, StudyError
from study.deploy.config.deployment import Deployment
from study.deploy.config.load import load_deployment
from study.deploy.recover import settled
from study.deploy.state import pending


def main() -> int:
    """End the process of the change where it still runs, then roll back.

    Return 0 where production answers again, else the error's exit code.
    """
    words = sys.argv[1:]
    if words[0] == "--after":
        time.sleep(float(words[1]))
        words = words[2:]
    try:
        return _end(Path(words[0]), load_deployment(Path(words[1])))
    except (StudyError, OSError) as error:
        print(f"error: {error}", flush=True)
        return error.exit_code if isinstance(error, StudyError) else SetupError.exit_code


def _end(folder: Path, deployment: Deployment) -> int:
    try:
        change = pending.read(folder)
        is_over = change is None
    except StudyError as error:
        print(f"error: {error}", flush=True)
        # it may be on trial: production is made to agree with the version in force
        change, is_over = None, False
    if is_over:
        print("nothing is on trial: nothing to do")
        return 0
    with pending.locked(folder, take_over=change, wait_s=30):
        is_unread = pending.put_aside(folder)
        print("the dead-man timer fired: the change was not committed in time", flush=True)
        result = settled(deployment, "the dead-man timer fired", is_unread=is_unread)
        print(result.summary, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
