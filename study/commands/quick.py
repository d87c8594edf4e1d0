"""Say in under a minute how the GPU is divided now, and write the spec to measure it.

    python scripts/quick.py                      what runs here, and my_gpu.yaml from it
    sudo .venv/bin/python scripts/quick.py       other users' processes too
    python scripts/quick.py --device cpu         servers on the CPU
    python scripts/quick.py --size WHISPER_MODEL=base
                                                 where an application has Whisper inside

It looks at processes (also those of units and containers), at the device's memory, and at vLLM's
own /metrics: was the KV cache ever pressed, and what is left? Nothing is launched or changed.
Exit: 0 told, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser


def main() -> None:
    """Tell how the device is divided, and write the spec."""
    options = parser(__doc__)
    add = options.add_argument
    add("--device", metavar="DEVICE", help="cuda, an index, a UUID or cpu; default: what is there")
    add(
        "--size", metavar="NAME=SIZE", help="the variable of an application that has Whisper inside"
    )
    add("--watch", default="15s", metavar="TIME", help="how long to look at the KV cache (15s)")
    add("--name", default="my_gpu", metavar="NAME", help="of the study (default my_gpu)")
    add("--out", type=Path, metavar="FILE", help="default: NAME.yaml")
    arguments = options.parse_args()

    from study.cli.exit_codes import exiting
    from study.cli.say import say
    from study.quick.look import QuickOptions, look
    from study.service_pause.options import seconds

    with exiting():
        request = QuickOptions(
            spec=arguments.out or Path(f"{arguments.name}.yaml"),
            name=arguments.name,
            device=arguments.device,
            size=arguments.size,
            watch_s=seconds(arguments.watch, "--watch"),
        )
        look(request, say)
