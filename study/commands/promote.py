"""Take a confirmed promotion to production, watch it, and take it back.

    python scripts/promote.py plan artifacts/promotions/NAME.yaml
                                                    the exact difference; changes nothing
    sudo python scripts/promote.py apply artifacts/promotions/NAME.yaml
                                                    on trial, watched, then committed or undone
    sudo python scripts/promote.py apply NAME.yaml --sha256 DIGEST
                                                    only what `plan` showed, by the digest it prints
    sudo python scripts/promote.py apply NAME.yaml --hold
                                                    leave the commit to a person, before the timer
    sudo python scripts/promote.py commit           keep what is on trial
    sudo python scripts/promote.py rollback         end a trial, or back to the version before
    sudo python scripts/promote.py rollback --to 3  to a number that history shows
    python scripts/promote.py status                what runs, and whether it answers
    python scripts/promote.py history               every version: who, when, from what
    python scripts/promote.py watch                 see new promotions and drift, as JSON lines

The deployment file says which units run what; scripts/init_spec.py writes it.
Exit: 0 done, 2 bad input or refused, 3 set-up (root, a full disk, systemd), 5 rolled back: the old
version runs, 6 production is down: do as it says.
"""

from __future__ import annotations

from pathlib import Path

from study.cli.parser import parser

VERBS = {
    "plan": "show the exact difference and what would be restarted; changes nothing",
    "apply": "try a confirmed promotion, watch it, then commit it or undo it",
    "status": "what production runs, and whether it answers",
    "commit": "keep what `apply --hold` left on trial",
    "rollback": "end a trial, or bring the version before, or another, back",
    "history": "every version: number, date, author, hash, values, origin; and what was undone",
    "watch": "see new confirmed promotions and drift, as one JSON object a line",
}


def main() -> None:
    """Run the verb that the arguments name on the deployment."""
    options = parser(__doc__)
    verbs = options.add_subparsers(prog=options.prog, dest="verb", required=True, metavar="VERB")
    for name, description in VERBS.items():
        verb = verbs.add_parser(name, help=description, description=description)
        file = Path("deployment.yaml")
        verb.add_argument(
            "--deployment", type=Path, default=file, metavar="FILE", help="default: deployment.yaml"
        )
        if name in ("plan", "apply"):
            verb.add_argument(
                "promotion", type=Path, metavar="PROMOTION", help="artifacts/promotions/NAME.yaml"
            )
            verb.add_argument(
                "--i-know", action="store_true", help="admit a candidate that nobody has confirmed"
            )
            verb.add_argument(
                "--older", action="store_true", help="admit one older than the version in force"
            )
        if name == "apply":
            verb.add_argument(
                "--sha256",
                metavar="DIGEST",
                help="apply the content that `plan` showed, or nothing",
            )
            verb.add_argument(
                "--hold",
                action="store_true",
                help="wait for `commit`; without it the timer undoes it",
            )
        if name == "rollback":
            verb.add_argument(
                "--to", type=int, metavar="VERSION", help="a number that `history` shows"
            )
        if name == "watch":
            verb.add_argument("--once", action="store_true", help="look once")
            verb.add_argument(
                "--print-unit", action="store_true", help="print a unit file that runs the watch"
            )
            verb.add_argument(
                "--install",
                action="store_true",
                help="put that unit into /etc, enable and start it",
            )
    arguments = vars(options.parse_args())

    from study.cli.checkout import script_path
    from study.cli.exit_codes import exiting
    from study.deploy.admission import refuse_at_once
    from study.deploy.commands import run_verb
    from study.deploy.config.load import load_deployment

    with exiting():
        if arguments["verb"] in ("plan", "apply"):
            refuse_at_once(
                arguments["promotion"]
            )  # before a deployment and a device are looked for
        if arguments.get("print_unit") or arguments.get("install"):
            script_path("promote.py")  # which that unit runs
        run_verb(load_deployment(arguments.pop("deployment")), **arguments)
