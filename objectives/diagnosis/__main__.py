"""This command prints what a failed server's log means, as one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from objectives.diagnosis.diagnose import diagnose
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase, read_log
from objectives.diagnosis.patterns import patterns


def main(argv: Sequence[str] | None = None) -> int:
    """Read a log, print its diagnosis, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m objectives.diagnosis",
        description="What a failed server's log means, as one line of JSON.",
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--exit-code", type=int)
    parser.add_argument("--phase", choices=("start", "load"))
    parser.add_argument("--service", choices=tuple(patterns()["services"]))
    arguments = parser.parse_args(argv)
    try:
        log = read_log(arguments.file)
    except OSError as error:
        print(f"cannot read {arguments.file}: {error.strerror}", file=sys.stderr)
        return 2
    phase = FailurePhase(arguments.phase) if arguments.phase else None
    diagnosis = diagnose(log, exit_code=arguments.exit_code, phase=phase, service=arguments.service)
    fields = asdict(diagnosis or Diagnosis("none", None, None, None, ""))
    print(json.dumps({"class": fields.pop("failure_class"), **fields}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
