"""Attack this project with seeded inputs, and print a table of tries and failures.

python -m tests.campaigns --minutes 60 [--seed 0]

Each failure is printed with the seed that makes it again. Exit: 0 where nothing failed, else 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import traceback
from collections.abc import Mapping

from . import answers, kills, logs, promotions, recordings, rollouts, signals, specs
from .campaign import Campaign, Tally

CAMPAIGNS: Mapping[str, Campaign] = {
    "answers of servers": answers.attack,
    "logs of servers": logs.attack,
    "specs and deployment files": specs.attack,
    "recordings": recordings.attack,
    "promotions and a rollout's records": promotions.attack,
    "signals at random moments": signals.attack,
    "kills in every combination": kills.attack,
    "faults in a rollout": rollouts.attack,
}


def run(campaign: Campaign, seconds: float, seed: int) -> Tally:
    """Attack for so long, at least once; a failure is whatever an attack raises."""
    tally, until_s = Tally(), time.monotonic() + seconds
    while not tally.tries or time.monotonic() < until_s:
        try:
            campaign(random.Random(seed + tally.tries))
        except Exception:  # whatever it is, it is what is looked for
            tally.failures.append((seed + tally.tries, traceback.format_exc(limit=-3)))
        tally.tries += 1
    return tally


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=2.0)
    options.add_argument("--seed", type=int, default=0)
    arguments = options.parse_args()
    seconds, has_failed = 60 * arguments.minutes / len(CAMPAIGNS), False
    print("| campaign | tries | failures |\n|---|---|---|")
    for name, campaign in CAMPAIGNS.items():
        tally = run(campaign, seconds, arguments.seed)
        has_failed = has_failed or bool(tally.failures)
        print(f"| {name} | {tally.tries:,} | {len(tally.failures)} |", flush=True)
        for seed, trace in tally.failures[:5]:
            print(f"seed {seed}: {trace}", file=sys.stderr)
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
