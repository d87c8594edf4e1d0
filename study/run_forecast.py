"""A forecast says what a run would do, from its study, its recording and its models' files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from objectives.allocation import Allocation
from objectives.servers.supervision.guard import guard
from objectives.traffic.clips import SHIPPED
from study.bench.host_limits import host_limits
from study.bench.rooms import rooms_of
from study.bench.source import Source, held_in
from study.bench.word_outlook import word_outlook
from study.cli.before_run.dry_run_text import command_lines, forecast_in_words
from study.confirmation.pairs.time_needed import until_looks_s
from study.fit.fit import readable
from study.run_plan import Run
from study.search.dry_run import Forecast, forecast
from study.search.opening.open_study import known_trials
from study.service_pause.containers import ContainerState
from study.service_pause.options import outage
from study.spec.setting import conditions_of
from study.storage.trial import State, Trial, measured_in
from study.storage.url import open_storage, sqlite_file


def say_forecast(plan: Run, source: Source) -> None:
    """Say what the run would launch, how long it takes, and who would pause for it."""
    lending = plan.options.lending
    lent = lending.states()
    pids = {pid for s in lent if isinstance(s, ContainerState) for pid in s.pids}
    foretold = foreseen(plan, source, [state.unit for state in lent], pids)
    lines = forecast_in_words(foretold)
    if (bench := source.bench) is not None:
        lines += host_limits(bench.occupants, is_gpu=bench.device.identity.cuda is not None)
    if lent:
        lines += outage(lent, foretold.effort.latest_s, lending.max_outage_s)
    commands = command_lines(foretold)
    for line in lines:  # a command is to be pasted whole
        (plan.terminal.command if line in commands else plan.terminal.line)(line)


def foreseen(run: Run, source: Source, lent: Sequence[str], pids: Collection[int] = ()) -> Forecast:
    """Return the forecast from what the study already knows.

    Nothing is opened that does not exist.

    Args:
        run: The run that is planned.
        source: What figures would come from.
        lent: The units whose memory the study would have.
        pids: The processes of containers whose memory it would have.

    Raises:
        BadInput: The study was measured under other conditions, as a run would say.
    """
    trials: list[Trial] = []
    file = sqlite_file(run.storage_url)
    goes_on = not (run.options.is_elsewhere or run.options.fresh)
    if goes_on and (file is None or file.exists()):
        storage = open_storage(run.storage_url)
        trials = known_trials(storage, run.study_name, conditions_of(run.spec))
    measurements, recorded = measured_in(trials), None
    if source.recording is not None:
        recorded = [str(a) for a in held_in(source.recording, run.spec.search_space)]
        measurements = [
            (Allocation(e.values), e.measurement)
            for e in source.recording.entries
            if e.measurement is not None
        ]
    walls = [r.wall_s for r in trials if r.state is State.COMPLETE and r.wall_s > 0]
    rooms = rooms_of(run.spec.devices, source, lent, pids)
    files, unread = readable(run.spec, source.setting, source.versions, rooms)
    outlook = forecast(
        run.spec.search_space,
        run.spec.baseline,
        source.setting,
        env=source.bench.device.server_env if source.bench else {},
        rooms=rooms,
        measurements=measurements,
        done={
            str(r.allocation): r.is_feasible or r.state is State.DOMINATED
            for r in trials
            if r.is_known
        },
        seconds_per_trial=sum(walls) / len(walls) if walls else None,
        counted=len(trials),
        max_trials=run.max_trials,
        timeout_s=run.timeout_s,
        replicates=run.spec.selector.exhausted == "replicate",
        recorded=recorded,
        by_files=files.cell if files else None,
        lanes=len(run.lanes) or 1,
    )
    launches = source.recording is None
    outlook = replace(outlook, has_today=run.spec.has_today, guard=guard() if launches else None)
    clips = source.setting.workload.scored_clips
    if clips in SHIPPED or source.bench is not None:  # clips of one's own may be elsewhere
        words = word_outlook(
            source.setting.services,
            [p.allocation for p in outlook.prospects],
            run.spec.baseline,
            clips,
            run.spec.gates.wer_points,
        )
        outlook = replace(outlook, words=words)
    if run.is_replay:
        return outlook
    uncounted = tuple(files.unknown(run.spec.baseline)) if files else ()
    outlook = replace(outlook, unread=unread, uncounted=uncounted)
    effort = outlook.effort
    confirm_s = until_looks_s(run.spec, effort.each_s)
    return replace(outlook, effort=replace(effort, confirm_s=confirm_s))
