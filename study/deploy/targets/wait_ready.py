"""Wait until what starts first is ready: URL SECONDS UNIT; a version holds a copy of this.

The second unit runs it before its own start. It needs the standard library only, so that any unit's
user can run it. Where UNIT is off, nobody waits for it.
"""

import http.client
import signal
import subprocess
import sys
import time
import urllib.request

LOOK_S = 2.0  # for all of one look: a page may send a byte now and then
APART_S = 2.0  # both may be started by one command, a moment apart


def over(number: int, frame: object) -> None:  # noqa: ARG001  a handler's signature
    """End a look."""
    raise TimeoutError


def says_200(url: str) -> bool:
    """Return whether a page's status is 200, told within `LOOK_S`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    signal.signal(signal.SIGALRM, over)
    try:
        signal.setitimer(signal.ITIMER_REAL, LOOK_S)
        with opener.open(url, timeout=LOOK_S) as answer:
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException, ValueError):  # a URLError is an OSError
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def main() -> int:
    """Return 0 when URL says 200; 1 when UNIT is off or the time is over."""
    url, unit, began = sys.argv[1], sys.argv[3], time.monotonic()
    while time.monotonic() < began + float(sys.argv[2]):
        if says_200(url):
            return 0
        command = ["systemctl", "is-active", unit]
        state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        is_on = state in ("active", "activating", "reloading")
        if not is_on and time.monotonic() > began + APART_S:
            print(f"{unit} is off: not waited for", file=sys.stderr)
            return 1
        time.sleep(0.2)
    print(f"{url} was not ready in {sys.argv[2]} s", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
