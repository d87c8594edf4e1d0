"""Share one GPU between an LLM server and speech recognition: measure, decide, confirm, apply.

    gpu-allocation run          a study, from spec to promotion; with no spec, the replay that ships
    gpu-allocation dream        any experiments in rotation, a study of this project among them
    gpu-allocation confirm      baseline and winner launched afresh, in turn: is it really better?
    gpu-allocation promote      a confirmed promotion to production, watched, and back
    gpu-allocation report       what a study found, as one file to send
    gpu-allocation dashboard    every trial of a study in the browser
    gpu-allocation fit          which cells of a space would start, by the models' files
    gpu-allocation record       a whole space measured into a file that replays anywhere
    gpu-allocation quick        how the GPU is divided now, and the spec to measure it
    gpu-allocation init         a spec from the units that run today
    gpu-allocation schedule     a study as a unit of systemd with a timer
    gpu-allocation cost         where a study's time went, and whether sharing hurts
    gpu-allocation effects      which parameter matters, and how much
    gpu-allocation capture      arrivals and lengths of live traffic, to be replayed

Each is a script of scripts/ under a shorter name: `gpu-allocation VERB --help` explains it.
Exit: 0 done, 2 bad input, 3 set-up, 130 stopped; the others are in study/guides/commands.md.
"""

from __future__ import annotations

import sys
from importlib import import_module

import study.cli.startup  # noqa: F401
from study.cli.parser import PROGRAM, SCRIPTS, parser


def main() -> None:
    """Run the command of the first argument, with the arguments that follow."""
    sys.argv[0] = PROGRAM
    options = parser(__doc__)
    options.add_argument("verb", choices=SCRIPTS, metavar="VERB", help="what to do, see above")
    verb = options.parse_args(sys.argv[1:2]).verb
    sys.argv[:2] = [f"{PROGRAM} {verb}"]  # for this name the parser of the command explains itself
    import_module(f"study.commands.{SCRIPTS[verb]}").main()


if __name__ == "__main__":
    main()
