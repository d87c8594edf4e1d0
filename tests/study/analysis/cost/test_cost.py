"""Tests show how a study's time is split, and beside restarting for every trial."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from made.factories import (
    cell,
    changed,
    context_of_spec,
    identity_of_spec,
    make,
    measurement,
    open_made,
    timed,
)
from processes.commands import ROOT, run_script, run_study

from objectives.allocation import Allocation
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.errors import BadInput
from objectives.evaluation import Failure, Job, Outcome
from objectives.measurement import Measurement
from objectives.servers.phase_times import TimedPhase
from objectives.traffic.workload import Workload
from study.analysis.cost import launches
from study.analysis.cost.cost import Cost, TimedLaunch
from study.analysis.cost.phases import UNATTRIBUTED
from study.cli.cost_lines import cost_lines, ratio_lines
from study.search.ask import ask_trial
from study.search.epoch import Epoch
from study.search.tell import tell_failure
from study.search.trial_ends import Progress
from study.spec.choices import APIS
from study.spec.load import load
from study.spec.model import Spec
from study.storage.comparability import LIFETIME
from study.storage.context import keep

FULL = {
    "starting stt": 5.0,
    "starting llm": 40.0,
    "alone": 8.0,
    "window": 20.0,
    "ramp": 30.0,
    "stopping": 3.0,
}
KEPT = {"starting llm": 0.1, "alone": 8.0, "window": 20.0, "ramp": 30.0, "stopping": 1.0}


def launch(
    share: float, phase_s: dict[str, float], *started: str, rest_s: float = 2.0
) -> TimedLaunch:
    allocation = Allocation({"vllm_memory_util": share, "whisper_model_size": "base"})
    return TimedLaunch(
        allocation,
        measurement(),
        sum(phase_s.values()) + rest_s,
        {TimedPhase.of(text): s for text, s in phase_s.items()},
        frozenset(map(TimedPhase.of, started)),
    )


def cost(*launches: TimedLaunch, **changes: Any) -> Cost:
    usual: dict[str, Any] = {
        "name": "s",
        "trials": len(launches),
        "restarts": False,
        "runs_s": None,
        "measured_elsewhere": None,
        "identity": {},
        "workload": Workload(),
        "apis": APIS,
        "llm": None,
    }
    return Cost(launches=launches, **usual | changes)


BOTH = ("starting stt", "starting llm")
START = TimedPhase.start("llm")
TWO_STARTS = (
    launch(0.4, FULL, *BOTH),
    launch(0.4, KEPT, "starting stt"),
    launch(0.5, FULL, *BOTH),
)


def test_the_shortest_starts_each_llm_command_once_and_loads_as_often() -> None:
    total = cost(*TWO_STARTS, launch(0.4, FULL, *BOTH))
    assert (len(total.starters(START)), total.commands) == (3, 2)
    assert total.shortest_s == pytest.approx(2 * 40.0 + 4 * 50.0)


def test_restarting_would_add_a_start_and_a_stop_for_each_server_that_was_kept() -> None:
    total = cost(*TWO_STARTS)
    assert total.restarting_s == pytest.approx(total.wall_s + 40.0 + (3.0 - 1.0))
    assert ratio_lines([total])[0].endswith("(s; restart per trial is estimated from it)")


@pytest.mark.parametrize(
    ("early_s", "says"),
    [
        ((28.0,), "1 of 4, 1.3 min less than as many that were measured whole (1.8 min each)"),
        ((28.0, 348.0), "2 of 5, 2.7 min more than as many that were measured whole (1.8 min"),
    ],
)
def test_what_ended_early_is_held_against_as_many_that_did_not(
    early_s: tuple[float, ...], says: str
) -> None:
    early = [replace(launch(0.7, {}, rest_s=s), measurement=None) for s in early_s]
    assert f"  ended early          {says}" in "\n".join(cost_lines(cost(*TWO_STARTS, *early)))
    for other in (TWO_STARTS, early):  # none ended early; none was whole
        assert "ended early" not in "\n".join(cost_lines(cost(*other)))


def test_what_was_ruled_out_without_a_launch_would_cost_nothing_when_restarting() -> None:
    spared = launch(0.6, {}, rest_s=0.0)
    assert cost(*TWO_STARTS, spared).restarting_s == cost(*TWO_STARTS).restarting_s


def test_a_measured_restart_takes_the_place_of_the_estimate_where_the_conditions_are_the_same() -> (
    None
):
    kept = cost(*TWO_STARTS, identity={"workload": 1})
    slow = cost(
        *TWO_STARTS, restarts=True, runs_s=2 * kept.wall_s, name="r", identity={"workload": 1}
    )
    (line,) = ratio_lines([kept, slow])
    assert "= 2.00 : 1 :" in line and line.endswith("(r beside s, measured)")
    (line,) = ratio_lines([kept, replace(slow, identity={"workload": 2})])
    assert line == "s and r: no ratio, they differ in workload"


def test_unequal_numbers_of_launches_are_compared_for_each_launch_too() -> None:
    kept = cost(*TWO_STARTS)
    slow = cost(
        *TWO_STARTS, launch(0.6, FULL, *BOTH), restarts=True, runs_s=2 * kept.wall_s, name="r"
    )
    assert "for each launch 1.50 : 1" in ratio_lines([kept, slow])[0]


def test_the_shares_of_the_split_are_of_the_runs_where_those_told() -> None:
    total = cost(*TWO_STARTS, runs_s=600.0)
    text = "\n".join(cost_lines(total))
    assert "wall time            10.0 min\n" in text and "between trials 5.4 min" in text
    assert f"windows, ramps     2.5 min, {100 * 150 / 600:.1f} %" in text
    assert "what lay between them is not known" in "\n".join(cost_lines(cost(*TWO_STARTS)))


def test_ramps_that_are_not_told_apart_leave_the_shortest_unknown() -> None:
    total = cost(
        *TWO_STARTS, launch(0.5, {"starting llm": 40.0, str(UNATTRIBUTED): 30.0}, "starting llm")
    )
    assert total.shortest_s is None
    assert "shortest possible    not known" in cost_lines(total)[-1] and "at least 3" in "\n".join(
        cost_lines(total)
    )
    assert ": 1 : not known" in ratio_lines([total])[0]


class Live:
    """A live source measures at once.

    The LLM server is kept where the share is the last one's, unless the job is to be fresh.
    """

    def __init__(self, ends_after: int = 1000) -> None:
        self.jobs: list[tuple[str, bool]] = []
        self.ends_after = ends_after

    def __call__(self, job: Job) -> Outcome:
        allocation = job.allocation
        if len(self.jobs) == self.ends_after:
            raise KeyboardInterrupt
        kept = (
            bool(self.jobs)
            and self.jobs[-1][0].split()[0] == str(allocation).split()[0]
            and not job.is_fresh
        )
        self.jobs.append((str(allocation), job.is_fresh))
        measurement = cell(min(allocation.share, 0.55), allocation.speech)
        assert isinstance(measurement, Measurement)
        start_s = 0.0 if kept else 40.0
        phase_s = KEPT if kept else FULL
        return Outcome(changed(measurement, llm_start_s=start_s, stt_start_s=5.0, phase_s=phase_s))


def run_live(
    spec: Spec, storage: Any, folder: Path, measure: Live, *, restarts: bool = False, n: int = 10
) -> Cost:
    identity, name = identity_of_spec(spec, restarts=restarts), "r" if restarts else "k"
    study = open_made(spec, storage, identity, name=name, sampler="bruteforce")
    context = context_of_spec(spec)
    keep(study, context)
    epoch = Epoch(
        study=study,
        context=context,
        space=spec.search_space,
        selector=spec.selector,
        measuring=nullcontext(measure),
        folder=folder,
        max_trials=n,
        timeout_s=1e6,
        seed=0,
        progress=Progress(),
        is_replay=False,
        restarts=restarts,
    )
    with launches.timing(study, time.monotonic() - 100.0):
        epoch.run()
    return launches.of_study(study)


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    return load(make(tmp_path))


def test_restarting_for_every_trial_launches_all_afresh_in_the_order_asked(
    spec: Spec, tmp_path: Path
) -> None:
    storage, kept, restarted = optuna.storages.InMemoryStorage(), Live(), Live()
    one = run_live(spec, storage, tmp_path / "k", kept)
    other = run_live(spec, storage, tmp_path / "r", restarted, restarts=True)
    assert len(kept.jobs) == len(restarted.jobs) == 10
    assert not any(fresh for _, fresh in kept.jobs) and all(fresh for _, fresh in restarted.jobs)
    order = [
        t.user_attrs["allocation"]
        for t in optuna.load_study(study_name="r", storage=storage).trials
    ]
    assert [text for text, _ in restarted.jobs] == [str(Allocation(a)) for a in order]
    assert len(one.starters(START)) < len(other.starters(START)) == 10
    assert (one.restarts, other.restarts) == (False, True)
    assert ratio_lines([one, other])[0].endswith("measured)")


def test_a_study_of_another_sampler_has_no_ratio() -> None:
    of_notes = ROOT / "objectives/recordings/of_notes/h200_samplers.db"
    lines = "\n".join(ratio_lines(launches.read_costs(str(of_notes))))
    restarted = "h200_samplers-tournament-0-restart"
    assert f"({restarted} beside h200_samplers-tournament-0, measured" in lines
    assert f"h200_samplers-tpe-0 and {restarted}: no ratio, they differ in sampler" in lines


def test_what_the_runs_took_counts_all_of_them_also_an_interrupted_one(
    spec: Spec, tmp_path: Path
) -> None:
    storage = optuna.storages.InMemoryStorage()
    with pytest.raises(KeyboardInterrupt):
        run_live(spec, storage, tmp_path, Live(ends_after=3))
    total = run_live(spec, storage, tmp_path, Live())
    assert total.trials == 10
    assert total.runs_s is not None and 200.0 <= total.runs_s < 260.0
    again = run_live(spec, storage, tmp_path, Live())  # nothing is left to measure: no run is added
    assert again.runs_s == total.runs_s


def test_a_run_that_was_killed_and_could_not_tell_leaves_only_the_time_of_the_trials(
    spec: Spec, tmp_path: Path
) -> None:
    storage = optuna.storages.InMemoryStorage()
    run_live(spec, storage, tmp_path, Live(), n=3)
    optuna.load_study(study_name="k", storage=storage).set_user_attr(launches.RUNS, [])
    assert run_live(spec, storage, tmp_path, Live()).runs_s is None


def test_trials_with_servers_kept_and_restarted_do_not_mix(spec: Spec) -> None:
    storage = optuna.storages.InMemoryStorage()
    for first, second in ((False, True), (True, False)):
        then, now = (identity_of_spec(spec, restarts=r) for r in (first, second))
        study = open_made(spec, storage, then, name=f"s{first}", sampler="random")
        why = Diagnosis("oom_startup", "llm", FailurePhase.START, 5.0, "out of memory")
        tell_failure(study, ask_trial(study, spec.search_space)[0], Failure(why, True, {}))
        with pytest.raises(BadInput, match=f"under other conditions: {LIFETIME}; run with --fresh"):
            open_made(spec, storage, now, name=f"s{first}", sampler="random")


def test_a_study_from_before_the_flag_had_its_servers_kept(spec: Spec) -> None:
    storage, now = optuna.storages.InMemoryStorage(), identity_of_spec(spec)
    then = {k: v for k, v in now.items() if k != LIFETIME}
    old = open_made(spec, storage, then, name="s", sampler="random")
    assert open_made(spec, storage, now, name="s", sampler="random").study_name == old.study_name


def test_a_replay_starts_nothing_that_could_be_restarted(tmp_path: Path) -> None:
    ran = run_study(make(tmp_path), "--out", tmp_path / "out", "--restart-per-trial")
    assert ran.returncode == 2 and "a replay starts no servers" in ran.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_reads_a_folder_and_a_recording(tmp_path: Path) -> None:
    spec = make(tmp_path, timed, repeats=1)
    assert run_study(spec, "--out", tmp_path / "out").returncode == 0
    ran = run_script("study_cost.py", tmp_path / "out" / "made", tmp_path / "made.jsonl")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (
        "times are those of a replay" in ran.stdout
        and "LLM starts           at least 8, 42.0 s each" in ran.stdout
    )
    assert ran.stdout.count("is estimated from it") == 2 and "Does sharing hurt?" in ran.stdout


def test_the_command_says_where_there_is_nothing_to_read(tmp_path: Path) -> None:
    ran = run_script("study_cost.py", tmp_path)
    assert ran.returncode == 2 and ran.stderr.startswith("error: there is no study in")
