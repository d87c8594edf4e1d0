"""Write a study spec and a deployment file from the two units that run today.

    python scripts/init_spec.py --unit judge.service --unit whisper.service
    python scripts/init_spec.py --unit judge.service --unit assistant.service --size WHISPER_MODEL=base
    python scripts/init_spec.py --unit judge.service --unit whisper.service --observe 24h

One of them runs vLLM, the other holds Whisper. Interpreter, model, flags and today's share are read from the running
process and from systemd; nothing is changed. --observe looks every 10 s at what other processes hold on the device, and
leaves them what they grew by as the reserve. As root it sees more: other users' processes and ports.
Exit: 0 written, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

import study.cli.startup  # noqa: F401
from study.cli.exit_codes import exiting
from study.cli.parser import parser
from study.init_spec.init_spec import Asked, start
from study.service_pause.options import seconds


def main() -> None:
    """Arguments -> what is asked -> one call."""
    options = parser(__doc__)
    options.add_argument(
        "--unit", action="append", required=True, metavar="UNIT", help="twice: the LLM's, speech's"
    )
    options.add_argument(
        "--size", metavar="NAME=SIZE", help="the variable of an application that has Whisper inside"
    )
    options.add_argument(
        "--observe", metavar="TIME", help="how long to watch the neighbours, such as 24h"
    )
    options.add_argument(
        "--device", metavar="DEVICE", help="cuda, an index, a UUID or cpu; default: the LLM unit's"
    )
    options.add_argument(
        "--name", default="my_gpu", metavar="NAME", help="of the study (default my_gpu)"
    )
    options.add_argument("--out", type=Path, metavar="FILE", help="default: NAME.yaml")
    options.add_argument("--deployment", type=Path, default=Path("deployment.yaml"), metavar="FILE")
    given = options.parse_args()
    with exiting():
        asked = Asked(
            units=tuple(given.unit), spec=given.out or Path(f"{given.name}.yaml"), deployment=given.deployment,
            name=given.name, device=given.device, size=given.size,
            observe_s=seconds(given.observe, "--observe") if given.observe else None,
        )  # fmt: skip
        start(asked, lambda line: print(line, flush=True))


if __name__ == "__main__":
    main()
