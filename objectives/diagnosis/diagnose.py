"""This module names the failure that a server's log shows, by the rules of patterns.yaml. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase, Log, parse, unbroken
from objectives.diagnosis.patterns import LogRule, matches_of, patterns, rules
from objectives.diagnosis.symptoms import names_of

Match = re.Match[str]
FOREIGN_MIB = 256.0  # the free memory of an undisturbed device wanders less than this
ENGINE_DEATH = "engine_death"  # where no line tells why a server ended
MOST_MIB = 1e9  # of any device
ENDS_ON_REQUEST = (0, -2, -15, 130, 143)


def diagnose(
    log: str,
    *,
    exit_code: int | None = None,
    phase: FailurePhase | None = None,
    service: str | None = None,
    api: str | None = None,
    free_before_mib: float | None = None,
    expected_free_mib: float | None = None,
) -> Diagnosis | None:
    """Name the failure that a log shows; None for a healthy one.

    Args:
        log: The log as the server wrote it.
        exit_code: The exit status of a server that ended by itself; None while it runs. With a
            phase as well, even a clean end is a death.
        phase: The phase of the server; None guesses it from the log.
        service: The server; None guesses it from the log.
        api: How it is spoken to, or `BESIDE` where it is beside a turn; None takes that of a spec's
            service, or guesses it too.
        free_before_mib: The memory that was free before the launch, MiB.
        expected_free_mib: The memory that should have been; where less was free, a foreign
            tenant is to blame.

    >>> diagnose("torch.OutOfMemoryError: CUDA out of memory.").failure_class
    'oom_startup'
    """
    parsed, end = parse(log), len(log)
    api = api or patterns()["services"].get(service)
    was_stopped = phase is None and exit_code in ENDS_ON_REQUEST and parsed.was_stopped(end)
    died = exit_code is not None and not was_stopped
    hit = _hit(parsed, exit_code, died=died)
    if hit is None or hit.match is None:  # the line that tells may be broken, or cut away
        other = _hit(parse(unbroken(parsed.text)), None, died=False)
        other = other or _hit(parse(parsed.text, with_source=True), None, died=False)
        hit = min(filter(None, (other, hit)), key=lambda h: h.order, default=None)
    if hit is None:
        return None
    if exit_code == 1 and (hit.match is None or hit.rule.failure_class == ENGINE_DEATH):
        hit = _raised(parsed) or hit
    if hit.match is None:
        why = f"exit status {exit_code}; no line tells why"
        victim, when = service or _service_of(parsed.speaker(end)), phase or parsed.phase(end)
        return Diagnosis(hit.rule.failure_class, victim, when, None, why, hit.rule.way_out)
    diagnosis = _explain(hit.match, hit.rule, hit.log, phase, service, api)
    lack_mib = missing_mib(free_before_mib, expected_free_mib)
    if diagnosis.failure_class == "oom_budget" and lack_mib > FOREIGN_MIB:
        return replace(diagnosis, failure_class="foreign_tenant", deficit_mib=None)
    return diagnosis


@dataclass(frozen=True, slots=True)
class _Hit:
    """A hit is the first rule that a log meets, by a match or else by the exit status."""

    order: int
    rule: LogRule
    log: Log
    match: Match | None = None


def _hit(log: Log, exit_code: int | None, *, died: bool) -> _Hit | None:
    """Return the earliest match of the first class that has any; None of a healthy log."""
    names = dict.fromkeys(rule.failure_class for rule in rules())
    for order, failure_class in enumerate(names):
        of_class = [
            rule
            for rule in rules()
            if rule.failure_class == failure_class and "raised" not in rule.flags
        ]
        hits = [(m.start(), m, rule) for rule in of_class if (m := _first_match(rule, log))]
        if hits:
            _, match, rule = min(hits, key=lambda hit: hit[0])
            return _Hit(order, rule, log, match)
        exits = [rule for rule in of_class if exit_code in rule.exits]
        if exits or (died and failure_class == ENGINE_DEATH):
            return _Hit(order, (exits or of_class)[0], log)
    return None


def _raised(log: Log) -> _Hit | None:
    """Return the exception that ended a Python server before it was ready; None without one."""
    for order, rule in enumerate(rules()):
        if "raised" not in rule.flags or (match := _first_match(rule, log)) is None:
            continue
        if log.phase(match.start()) is FailurePhase.START:
            return _Hit(order, rule, log, match)
    return None


def _first_match(rule: LogRule, log: Log) -> Match | None:
    """Return the first match of a rule that means a failure; None without one."""

    def counts(match: Match) -> bool:
        parts, at = match.groupdict(), match.start()
        phase = log.phase(at) if FailurePhase.LOAD in rule.phases else FailurePhase.START
        is_partial = "part" not in parts or float(parts["part"]) < float(parts["whole"])
        is_on_request = "unless_stopped" in rule.flags and log.was_stopped(at)
        was_overcome = phase is FailurePhase.START and any(
            name == "ready" and place > at for place, name in log.phases
        )
        return (
            is_partial
            and not is_on_request
            and ("keeps" in rule.flags or not was_overcome)
            and phase in rule.phases
        )

    matches = matches_of(rule.regexes, log.text if "any_level" in rule.flags else log.quiet)
    return min(filter(counts, matches), key=re.Match.start, default=None)


def _explain(
    match: Match,
    rule: LogRule,
    log: Log,
    phase: FailurePhase | None,
    service: str | None,
    api: str | None,
) -> Diagnosis:
    """Return the diagnosis of a rule's match; a known phase and service outrank the log's."""
    if (reason := _reason(rule, log)) is not None:
        match, rule = reason[1], replace(rule, failure_class=reason[0])
    at, end = match.span()
    when = phase or (log.phase(at) if FailurePhase.LOAD in rule.phases else FailurePhase.START)
    speaker: str | None = rule.speakers[0]
    is_oom = "oom" in rule.flags
    if len(rule.speakers) > 1:  # torch's own words are those of the first
        speaker = log.speaker(at) or (speaker if is_oom else None)
    if speaker == "host":  # the kernel names whom it killed
        speaker = next((api for place, api in log.speakers if 0 <= place - at < 200), "host")
    begin = log.text.rfind("\n", 0, end) + 1  # what is quoted stands last
    line = log.text[begin:].partition("\n")[0]
    amount = (
        next(matches_of(rule.deficit, line), None)
        or next(matches_of(rule.deficit, log.text), None)
        or next(matches_of(rule.deficit, unbroken(log.text)), None)
    )
    groups = amount.groupdict() if amount else {}
    lack_mib = read_mib(groups, "short") or missing_mib(
        read_mib(groups, "free"), read_mib(groups, "need")
    )
    is_renamed = is_oom and when is FailurePhase.LOAD
    name = names_of(api or speaker).out_of_memory if is_renamed else rule.failure_class
    victim = service or _service_of(speaker)
    evidence = log.text[max(begin, end - 280) :][:300].partition("\n")[0].strip()
    lack = round(lack_mib, 2) if lack_mib > 0 else None
    return Diagnosis(name, victim, when, lack, evidence, rule.way_out)


def reason_of(text: str, api: str) -> str | None:
    """Return the failure that an answer names as why it failed; None where it names none.

    >>> reason_of('HTTP 500: {"detail": "InvalidDataError: no audio"}', "transcription")
    'stt_wrong'
    """
    log = parse(text)
    reasons = (_reason(rule, log) for rule in rules() if api in rule.speakers)
    return next((reason[0] for reason in reasons if reason is not None), None)


def _reason(rule: LogRule, log: Log) -> tuple[str, Match] | None:
    """Return the first failure of which a line is there, with the first such line."""
    if "asks_why" not in rule.flags:
        return None
    for failure_class, regexes in patterns()["reasons"].items():
        if matches := [*matches_of(regexes, log.quiet)]:
            return failure_class, min(matches, key=re.Match.start)
    return None


def _service_of(speaker: str | None) -> str | None:
    """Return the service of a spec that speaks an API; anything else is its own name."""
    names = {api: name for name, api in patterns()["services"].items()}
    return names.get(speaker, speaker)


def missing_mib(free: float | None, needed: float | None) -> float:
    """Return how much less is free than needed, MiB; 0 where either is not known."""
    return 0.0 if free is None or needed is None else needed - free


def read_mib(groups: Mapping[str, str], name: str) -> float | None:
    """Return the amount in a group, MiB; None without that group, or where it is no amount.

    The unit of ``need`` stands in ``need_unit``, or in ``unit`` for all groups.
    """
    if name not in groups:
        return None
    number = re.sub(r",(?=\d{3}(?!\d))", "", groups[name]).replace(",", ".").rstrip(".")
    unit = groups.get(f"{name}_unit") or groups["unit"]
    try:
        amount = float(number) * 1024.0 ** ("BKMGT".index(unit[0].upper()) - 2)
    except ValueError:  # such as 1.2.3
        return None
    return amount if amount < MOST_MIB else None
