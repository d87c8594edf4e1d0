"""This module parses the options of a command.

Its docstring is its help, and a wrong option is one line like every other error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from objectives.errors import BadInput
from study.cli.say import at_width

PROGRAM = "gpu-allocation"
MOST_RETRIES = 100
LEAST_S, MOST_S = 0.001, 1e7  # of a run, seconds
SCRIPTS: Mapping[str, str] = {  # by the program's verb that stands for it
    "run": "run_study",
    "dream": "run_dream",
    "fit": "fit",
    "record": "record",
    "confirm": "confirm",
    "promote": "promote",
    "report": "report",
    "dashboard": "dashboard",
    "quick": "quick",
    "init": "init_spec",
    "schedule": "schedule_study",
    "cost": "study_cost",
    "effects": "main_effects",
    "capture": "capture",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        command = self.prog if self.prog.startswith(PROGRAM) else f"python scripts/{self.prog}"
        text = f"error: {message}; {command} --help explains the options"
        self.exit(BadInput.exit_code, f"{at_width(text, sys.stderr)}\n")


def is_program() -> bool:
    """Return whether the installed program was started, not a script."""
    return Path(sys.argv[0]).name.startswith(PROGRAM)


def add_storage(options: argparse.ArgumentParser) -> None:
    """Add the storage of a study that ran."""
    help_text = "a study.db or a URL; default: the study that ships"
    options.add_argument("storage", nargs="?", metavar="STORAGE", help=help_text)


def add_sources(options: argparse.ArgumentParser) -> None:
    """Add any number of studies and recordings."""
    help_text = "a folder with a study.db, the file, a storage URL, a recording (.jsonl)"
    options.add_argument("sources", nargs="*", metavar="SOURCE", help=help_text)


def add_device(options: argparse.ArgumentParser, when: str = "") -> None:
    """Add a device that need not be in this machine: the name of its card, or its memory.

    Args:
        options: The options of a command.
        when: What stands before the help of each.
    """
    device = options.add_mutually_exclusive_group()
    device.add_argument("--card", metavar="NAME", help=f'{when}a GPU by its name, e.g. "RTX 3060"')
    device.add_argument(
        "--total-mib",
        type=float,
        metavar="N",
        help=f"{when}a GPU's memory as CUDA has it; nvidia-smi shows 1 to 4 %% more",
    )


def add_timeout(options: argparse.ArgumentParser, default: str = "") -> None:
    """Add the time of a run, which means the same in every command that measures.

    Args:
        options: The options of a command.
        default: What it is where none is named.
    """
    options.add_argument(
        "--timeout",
        type=seconds,
        metavar="S",
        help="begin nothing that is not expected to end in this time, but the first" + default,
    )


def seconds(text: str) -> float:
    """Return the seconds that a command line names.

    Raises:
        ValueError or argparse.ArgumentTypeError: They are none that a run may take.
    """
    value = float(text)
    if not LEAST_S <= value <= MOST_S:
        raise argparse.ArgumentTypeError(f"must be from {LEAST_S:g} to {MOST_S:g}, not {text}")
    return value


def add_devices(options: argparse.ArgumentParser) -> None:
    """Add the cards of this machine to measure on."""
    help_text = "the GPUs to measure on at once: all, or such as 0,1; default: the spec's own"
    options.add_argument("--devices", metavar="LIST", help=help_text)


def add_cluster(options: argparse.ArgumentParser) -> None:
    """Add the cluster whose cards to measure on."""
    add = options.add_argument
    add("--cluster", metavar="ADDRESS", help="a Ray cluster to measure on: auto, or HOST:6379")
    add(
        "--lanes",
        type=int,
        metavar="N",
        help="with --cluster: the most lanes (default: of all free GPUs)",
    )
    add(
        "--retries",
        type=int,
        metavar="N",
        help="with --devices or --cluster: how often a trial whose lane was lost is measured again "
        "(default 2)",
    )


def check_cluster(options: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse options that say nothing together."""
    if arguments.cluster is None and arguments.lanes is not None:
        options.error("--lanes is for --cluster; add it")
    if arguments.retries is not None:
        if arguments.cluster is None and arguments.devices is None:
            options.error("--retries is for --devices or --cluster; add one of them")
        if not 0 <= arguments.retries <= MOST_RETRIES:
            options.error(f"--retries must be from 0 to {MOST_RETRIES}, not {arguments.retries}")
    if arguments.cluster is not None and arguments.devices is not None:
        options.error("--devices names cards of this machine; leave it or --cluster out")


def check_total_mib(options: argparse.ArgumentParser, total_mib: float | None) -> None:
    """Refuse a memory that no device has."""
    if total_mib is not None and not 256 <= total_mib <= 1e7:
        options.error("--total-mib must be from 256 to 10,000,000")


def parser(doc: str) -> argparse.ArgumentParser:
    """Make a parser with this help.

    It shows examples in place of the usual list of all options in brackets.

    Args:
        doc: Its examples name scripts; under the program's name they name its verbs.
    """
    name = Path(sys.argv[0]).name
    if is_program():
        for verb, script in SCRIPTS.items():
            doc = doc.replace(f"python scripts/{script}.py", f"{PROGRAM} {verb}")
    shape = argparse.RawDescriptionHelpFormatter
    return _Parser(prog=name, usage=argparse.SUPPRESS, description=doc, formatter_class=shape)
