"""What a failed server's log means, as one line of JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from objectives.diagnosis.diagnose import Diagnosis, diagnose


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m objectives.diagnosis", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--exit-code", type=int)
    parser.add_argument("--phase", choices=("start", "load"))
    parser.add_argument("--service", choices=("llm", "stt"))
    asked = parser.parse_args(argv)
    try:
        log = asked.file.read_text("utf-8", errors="replace")
    except OSError as error:
        print(f"cannot read {asked.file}: {error.strerror}", file=sys.stderr)
        return 2
    found = diagnose(log, exit_code=asked.exit_code, phase=asked.phase, service=asked.service)
    shown = asdict(found or Diagnosis("none", None, None, None, ""))
    print(json.dumps({"class": shown.pop("failure_class"), **shown}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
