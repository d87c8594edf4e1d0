"""Wait until what starts first is ready: `ready.py URL SECONDS UNIT`.

The second unit runs it before its own start. It needs the standard library only, so that any unit's
user can run it. Where UNIT is off, nobody waits for it.
"""

import subprocess
import sys
import time
import urllib.error
import urllib.request

APART_S = 2.0  # both may be started by one command, a moment apart


def main() -> int:
    """Return 0 when URL says 200; 1 when UNIT is off or the time is over."""
    url, unit, began = sys.argv[1], sys.argv[3], time.monotonic()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < began + float(sys.argv[2]):
        try:
            with opener.open(url, timeout=2) as answer:
                if answer.status == 200:
                    return 0
        except (urllib.error.URLError, OSError):
            pass
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
