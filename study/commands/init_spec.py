r"""Write a study spec and a deployment file from the servers that run today.

    python scripts/init_spec.py --unit judge.service --unit whisper.service
    python scripts/init_spec.py --unit judge.service --unit assistant.service \
        --size WHISPER_MODEL=base
    python scripts/init_spec.py --unit judge.service --unit whisper.service --observe 24h
    python scripts/init_spec.py --unit compose.yaml
    python scripts/init_spec.py --unit llm.container --unit container:speaches --unit embed.service

One of them serves the LLM, one holds Whisper, others (embeddings, rerank, speech) stand beside
them. Each --unit is a unit that runs, container:NAME or podman:NAME, pid:NUMBER, or a file that
starts them: of a unit or quadlet, compose, Kubernetes, supervisord or a shell; FILE:SERVICE takes
one of several. Interpreter, model, flags and today's share are read from the running process and
from systemd, or from the text; nothing is changed. --observe looks every 10 s at what
other processes hold on the device, and leaves them what they grew by as the reserve. As root it
sees more: other users' processes and ports.
Exit: 0 written, 2 bad input, 3 set-up, 130 stopped.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser


def main() -> None:
    """Write both files from the units that the arguments name."""
    options = parser(__doc__)
    add = options.add_argument
    add(
        "--unit",
        action="append",
        required=True,
        metavar="UNIT",
        help="the LLM's, speech's, and others'",
    )
    add(
        "--size", metavar="NAME=SIZE", help="the variable of an application that has Whisper inside"
    )
    add("--llm-model", metavar="NAME", help="of an LLM server that names none, such as Ollama")
    add("--observe", metavar="TIME", help="how long to watch the neighbours, such as 24h")
    add("--device", metavar="DEVICE", help="cuda, an index, a UUID or cpu; default: the LLM unit's")
    add("--name", default="my_gpu", metavar="NAME", help="of the study (default my_gpu)")
    add("--out", type=Path, metavar="FILE", help="default: NAME.yaml")
    add("--deployment", type=Path, default=Path("deployment.yaml"), metavar="FILE")
    arguments = options.parse_args()

    from study.cli.exit_codes import exiting
    from study.cli.say import say
    from study.init_spec.init_spec import InitOptions, write_files
    from study.service_pause.options import seconds

    with exiting():
        observe = arguments.observe
        request = InitOptions(
            units=tuple(arguments.unit),
            spec=arguments.out or Path(f"{arguments.name}.yaml"),
            deployment=arguments.deployment,
            name=arguments.name,
            device=arguments.device,
            size=arguments.size,
            llm_model=arguments.llm_model,
            observe_s=seconds(observe, "--observe") if observe else None,
        )
        write_files(request, say)
