"""Attack this project with seeded inputs, and print a table of tries and failures.

    python -m tests.campaigns --minutes 60 [--seed 0]    all of them, each as long
    python -m tests.campaigns --only kills --tries 100   one of them, so often

Each failure is printed with the seed that makes it again: `--only NAME --seed N --tries 1`.
Exit: 0 where nothing failed, else 1.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Mapping

from . import answers, journals, logs, promotions, recordings, specs, storages
from .campaign import Campaign, Tally, Try
from .processes import databases, kills, rollouts, servers, signals

# by the name of `--only`: what is attacked, and how
CAMPAIGNS: Mapping[str, tuple[str, Campaign]] = {
    "answers": ("answers of servers, as they are read", answers.attack),
    "logs": ("logs of servers", logs.attack),
    "specs": ("specs and deployment files", specs.attack),
    "recordings": ("recordings", recordings.attack),
    "journals": ("journals of confirmations", journals.attack),
    "storages": ("storages", storages.attack),
    "promotions": ("promotions and a rollout's records", promotions.attack),
    "servers": ("live studies of servers that answer oddly", servers.attack),
    "signals": ("signals at random moments", signals.attack),
    "kills": ("kills in every combination", kills.attack),
    "rollouts": ("faults in a rollout", rollouts.attack),
    "databases": ("restarts of PostgreSQL in the middle of a study", databases.attack),
}
LACKS = {"databases": databases.lack}  # what keeps a campaign from this machine; None: nothing


def run(campaign: Campaign, seconds: float, seed: int, tries: int = 1) -> Tally:
    """Attack for so long and at least so often; a failure is whatever an attack raises."""
    tally, until_s = Tally(), time.monotonic() + seconds
    while tally.tries < tries or time.monotonic() < until_s:
        try:
            campaign(Try(seed + tally.tries))
        except Exception:  # whatever it is, it is what is looked for
            tally.failures.append((seed + tally.tries, traceback.format_exc(limit=-3)))
        tally.tries += 1
    return tally


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--minutes", type=float, default=2.0, help="of all that are attacked")
    options.add_argument("--tries", type=int, help="of each, instead of minutes")
    options.add_argument("--seed", type=int, default=0, help="of the first try")
    options.add_argument("--only", action="append", choices=CAMPAIGNS, help="may come again")
    arguments = options.parse_args()
    chosen = arguments.only or [*CAMPAIGNS]
    seconds = 0.0 if arguments.tries else 60 * arguments.minutes / len(chosen)
    has_failed = False
    print("| campaign | tries | failures |\n|---|---|---|")
    for name in chosen:
        title, campaign = CAMPAIGNS[name]
        if (lack := LACKS.get(name, lambda: None)()) is not None:
            print(f"| {title} | 0: {lack} | |", flush=True)
            continue
        tally = run(campaign, seconds, arguments.seed, arguments.tries or 1)
        has_failed = has_failed or bool(tally.failures)
        print(f"| {title} | {tally.tries:,} | {len(tally.failures)} |", flush=True)
        for seed, trace in tally.failures[:5]:
            print(f"--only {name} --seed {seed}: {trace}", file=sys.stderr, flush=True)
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
