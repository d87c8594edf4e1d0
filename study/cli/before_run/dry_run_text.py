"""This module puts in words what a run would do."""

from __future__ import annotations

import math

from objectives.allocation import Allocation
from objectives.fit.fits import Fits
from objectives.servers.supervision.guard import guard_in_words
from study.bench.word_outlook import WordOutlook
from study.cli.before_run.fit_text import sentence, shares
from study.search.dry_run import LISTED, Forecast, Prospect
from study.search.effort import Effort
from study.wording.allocations import short

MOST_UNKNOWN = 3  # configurations that have a line each
NOTHING_TO_COMPARE = "nothing to compare: add values to `search_space`"
FULL = (
    "nothing would be launched: none of what is left to measure fits beside what others hold of "
    "the device, `tenants` among them; let them hold less, or search what needs less"
)
HOUR_S = 3600.0  # within which an owner may want a first answer


def forecast_in_words(forecast: Forecast) -> list[str]:
    """Return the forecast in lines for a person."""
    lines = ["the space has a continuous range: no list of configurations"]
    if forecast.size is not None:
        lines = [
            f"{_counted(forecast.size, 'configuration')}, {forecast.measured} of them measured; "
            f"at most {forecast.max_trials} trials over all runs"
        ]
        lines += [NOTHING_TO_COMPARE] * (forecast.size == 1)  # the baseline
        lines += [f"({LISTED} are shown, with what they do not share with the baseline)"] * (
            forecast.has_more
        )
    for n in forecast.neighbours:
        left = f"{n.left_mib:,.0f} MiB are left beside it"
        if n.left_mib <= 0:
            left = f"the device lacks {-n.left_mib:,.0f} of them beside what others hold now"
        lines.append(f"tenant {n.name} will hold {n.mib:,} MiB; {left}")
    baseline = next((p.allocation for p in forecast.prospects if p.is_baseline), None)
    in_short = baseline if forecast.has_more else None
    first = "baseline" if forecast.has_today else "tried first"
    unknown = [p for p in forecast.prospects if _is_unknown(p)]
    unknown = unknown if len(unknown) > MOST_UNKNOWN else []
    lines += [_prospect(p, in_short, first) for p in forecast.prospects if p not in unknown]
    if unknown:
        check = unknown[0].check
        lines.append(f"  {len(unknown)} more  {check.fits}: {check.explanation}")
    lines += _by_files(forecast)
    lines += _words(forecast.words) if forecast.words else []
    lines += forecast.uncounted
    lines += [f"the models' files say nothing: {forecast.unread}"] if forecast.unread else []
    lines += [guard_in_words(forecast.guard)] if forecast.guard else []
    lines.append(f"server commands{' of the baseline' * forecast.has_more}:")
    lines += command_lines(forecast)
    if forecast.recorded is None:
        if forecast.is_full:
            return [*lines, FULL]
        answers = [] if forecast.size == 1 else [_answers(forecast.effort)]
        return [*lines, _effort(forecast.effort), *answers, *_end(forecast.effort)]
    count = _counted(len(set(forecast.recorded)), "configuration")
    which = f"{count} in {len(forecast.recorded)} launches"
    replay = "a replay, which takes seconds: nothing is launched; the recording holds"
    return [*lines, f"{replay} {which}"]


def command_lines(forecast: Forecast) -> list[str]:
    """Return the lines of the servers' commands, which no wrapping may break."""
    return [f"  {service}  {c}" for service, several in forecast.commands.items() for c in several]


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _is_unknown(p: Prospect) -> bool:
    """Return whether nothing is known of a configuration that others do not share."""
    return (
        p.check.fits is Fits.UNKNOWN
        and p.by_files is None
        and p.works is None
        and not p.is_baseline
    )


def _prospect(p: Prospect, today: Allocation | None, first: str) -> str:
    mark = f"  [{first}]" if p.is_baseline else ""
    if p.works is not None:
        mark = f"  [measured: {'works' if p.works else 'does not work'}]"
    name = str(p.allocation) if today is None else short(p.allocation, today)
    text = f"{p.check.fits}: {p.check.explanation}"
    if p.by_files is not None:
        text = f"by the model's files: {sentence(p.by_files)}"
    return f"  {name}  {text}{mark}"


def _by_files(forecast: Forecast) -> list[str]:
    """Say which shares start by the models' files, and whether what comes first does."""
    cells = [p.by_files for p in forecast.prospects if p.by_files is not None]
    lines = shares(cells, forecast.total_mib) if cells else []
    first = next((p.by_files for p in forecast.prospects if p.is_baseline), None)
    if first is not None and first.is_ruled_out:
        what = "the baseline" if forecast.has_today else "what is tried first"
        sure = "may not start" if first.is_close else "does not start"
        lines.append(
            f"{what} {sure}, by the models' files: if so, the first that works takes its place in "
            "every comparison"
        )
    return lines


def _words(outlook: WordOutlook) -> list[str]:
    """Say in one line which candidates the gate of the words holds back, and what would do."""
    reasons, of = [], f"of {outlook.candidates} candidates"
    if outlook.too_few:
        would = f"; {outlook.minutes_needed:.1f} min would do"
        if math.isinf(outlook.minutes_needed):
            would = "; no number of words can, so raise `gates: {wer_points: ...}`"
        elif outlook.longer:
            would += f" (`workload: {{words: {outlook.longer}}}` has them)"
        reasons.append(
            f"{outlook.too_few} {of}, those with another speech than today's, are held back even "
            f"if they hear as well, since {outlook.words} words ({outlook.minutes:.1f} min) cannot "
            f"meet a gate of {outlook.limit_points:g}{would}"
        )
    if outlook.not_measured:
        reasons.append(
            f"{outlook.not_measured} {of} cannot win, since the words of a speech model with "
            "random weights are not counted"
        )
    return [f"words: {'; '.join(reasons)}"]


def _effort(effort: Effort) -> str:
    source = "measured" if effort.is_measured else "estimated"
    lanes = f" in {effort.lanes} lanes" if effort.lanes > 1 else ""
    return (
        f"at least {_counted(effort.starts, 'start')} of the LLM server for these; "
        f"about {effort.each_s / 60:.1f} min a trial ({source}), "
        f"{effort.once_s / 60:.0f} min for {_counted(effort.trials, 'trial')}{lanes}: "
        f"{effort.runs} run(s) of {effort.timeout_s:g} s"
    )


def _answers(effort: Effort) -> str:
    """Say how long it takes to a first answer, and to a confirmed one."""
    first = f"a first answer after about {_time(effort.first_answer_s)}"
    if (within := effort.within(HOUR_S)) and effort.first_answer_s > HOUR_S:
        first += f" (`--timeout {HOUR_S:g}` gives one of {within} trials)"
    if not effort.trials:
        first = "a first answer is there: no configuration is left to measure for the first time"
    if not effort.confirm_s:
        return first
    soonest_s, *later = effort.confirm_s
    longer = "".join(f", or {_time(s)} where that does not decide" for s in later)
    return f"{first}; a confirmed one about {_time(soonest_s)} later{longer}"


def _end(effort: Effort) -> list[str]:
    """Say when the run ends at the latest, where it goes on after the first answer."""
    if effort.most_trials == effort.trials:
        return []
    return [
        f"the run ends after {_time(effort.latest_s)} at the latest: once each configuration is "
        f"measured it measures the leaders again, up to {effort.most_trials} trials "
        "(`selector: {exhausted: stop}` leaves that out)"
    ]


def _time(seconds: float) -> str:
    """Return minutes, or hours.

    >>> _time(1500.0), _time(9000.0)
    ('25 min', '2.5 h')
    """
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
