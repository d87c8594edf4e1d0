"""Install the live servers for a machine without a GPU: vLLM, a tiny LLM, Whisper tiny.en and base.

    python scripts/install_cpu_servers.py [--into DIR]

Everything goes under .servers/ in the repository; an interrupted installation goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

from objectives.errors import StudyError
from objectives.install import install

SERVERS = Path(__file__).resolve().parents[1] / ".servers"


def main() -> int:
    summary, *_ = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--into", type=Path, default=SERVERS, help="folder for it all (default: %(default)s)")
    into = parser.parse_args().into.absolute()
    try:
        install(into, say=partial(print, flush=True))
    except StudyError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    print(f"ready: {into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
