"""What a run would do and how long it would take, from what its study knows already; nothing is launched or written."""

from __future__ import annotations

import optuna

from objectives.allocation import Allocation
from study.bench.source import Ground, held_in
from study.opening import succession
from study.plan import plan
from study.service_pause.options import Lending, outage
from study.spec.model import Spec
from study.storage.trials import Row, counted, measured_in
from study.storage.url import open_storage, sqlite_file
from study.trial_time import guess_s


def foreseen(
    spec: Spec, ground: Ground, storage: str, name: str, max_trials: int, timeout_s: float, lending: Lending
) -> list[str]:
    """The plan, from what the study already knows, in lines for a person; opens nothing that does not exist."""
    found: list[Row] = []
    file = sqlite_file(storage)
    if file is None or file.exists():
        opened = open_storage(storage)
        if names := succession(opened, name):
            found = counted(optuna.load_study(study_name=names[-1], storage=opened))
    known, recorded = measured_in(found), None
    if ground.recording is not None:
        recorded = [str(a) for a in held_in(ground.recording, spec)]
        known = [(Allocation(e.values), e.measurement) for e in ground.recording.entries if e.measurement is not None]
    walls = [r.wall_s for r in found if r.status == "complete" and r.wall_s > 0]
    held, lent = 0.0, lending.states()
    if ground.bench is not None:
        held = ground.identity.total_mib - ground.bench.device.sample().free_mib
        held -= sum(o.mib or 0.0 for o in ground.bench.occupants if o.unit in {s.unit for s in lent})
    each_s = sum(walls) / len(walls) if walls else None
    done = {str(r.allocation): r.is_feasible for r in found if r.is_known}
    left = max(0, min(max_trials, spec.search_space.size or max_trials) - len(done))
    said = plan(
        spec,
        ground.setting,
        env=ground.bench.device.server_env if ground.bench else {},
        total_mib=ground.identity.total_mib,
        held_mib=held,
        known=known,
        done=done,
        timeout_s=timeout_s,
        seconds_per_trial=each_s,
        max_trials=max_trials,
        recorded=recorded,
    )
    expected_s = min(timeout_s, left * (each_s or guess_s(spec)))
    return said + outage(lent, expected_s, lending.max_outage_s) if lent else said
