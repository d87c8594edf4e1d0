"""What a failed server's log means: measurement.md section 3, by the rules of patterns.yaml. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml

Phase = Literal["start", "load"]
Match = re.Match[str]
FOREIGN_MIB = 256.0  # free memory wanders less than this between two looks at an undisturbed device
ASKED_TO_STOP = (0, -2, -15, 130, 143)
COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\^\[\[[0-9;]*m|[\x00-\x08\x0e-\x1f]")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    failure_class: str
    victim: str | None  # 'llm', 'stt', 'tenant:<name>' or 'host'
    phase: str | None  # 'precheck', 'start' or 'load'
    deficit_mib: float | None  # None: not told
    evidence: str


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: Literal["infeasible", "retry", "stop"]
    retries: int = 0
    then: Literal["infeasible", "fail"] | None = None  # when the retries are used up


@dataclass(frozen=True, slots=True)
class Rule:  # one entry of `rules`; the head of patterns.yaml says what each field means
    failure_class: str
    services: Sequence[str]
    seen: str
    regexes: Sequence[str]
    under_load: str = ""
    phases: Sequence[str] = ("start", "load")
    deficit: Sequence[str] = ()
    exits: Sequence[int] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Log:
    text: str  # without colours
    quiet: str  # the same with its meaningless lines blanked, so that positions agree
    phases: Sequence[tuple[int, str]]  # where it tells its phase
    services: Sequence[tuple[int, str]]  # and whose log it is

    def phase(self, at: int) -> Phase:
        past = [name for place, name in self.phases if place <= at and name != "stopped"]
        ahead = next((name for _, name in self.phases if name != "stopped"), "start")
        return "start" if past[-1:] == ["start"] or (not past and ahead != "load") else "load"

    def stopped(self, at: int) -> bool:
        return [name for place, name in self.phases if place < at and name != "load"][-1:] == [
            "stopped"
        ]

    def service(self, at: int) -> str | None:
        past = [name for place, name in self.services if place <= at]
        return past[-1] if past else next((name for _, name in self.services), None)


def diagnose(
    log: str,
    *,
    exit_code: int | None = None,
    phase: Phase | None = None,
    service: str | None = None,
    free_before_mib: float | None = None,
    expected_free_mib: float | None = None,
) -> Diagnosis | None:
    """Name the failure that a log shows; None for a healthy one. What is not given is guessed from the log.

    An exit status means that the server ended by itself; with a phase as well, even a clean end is a death.
    Less free memory than expected before the launch is a foreign tenant's doing.

    >>> diagnose("torch.OutOfMemoryError: CUDA out of memory.").failure_class
    'oom_startup'
    """
    read, end = parse(log), len(log)
    died = exit_code is not None and not (
        phase is None and exit_code in ASKED_TO_STOP and read.stopped(end)
    )
    known = [Rule(**entry) for entry in patterns()["rules"]]
    for failure_class in dict.fromkeys(rule.failure_class for rule in known):
        rules = [rule for rule in known if rule.failure_class == failure_class]
        hits = [(match.start(), match, rule) for rule in rules if (match := first(rule, read))]
        if hits:
            found = told(*min(hits, key=lambda hit: hit[0])[1:], read, phase, service)
            if (
                failure_class == "oom_budget"
                and missing(free_before_mib, expected_free_mib) > FOREIGN_MIB
            ):
                return replace(found, failure_class="foreign_tenant", deficit_mib=None)
            return found
        if any(exit_code in rule.exits for rule in rules) or (
            died and failure_class == "engine_death"
        ):
            why = f"exit status {exit_code}; no line tells why"
            return Diagnosis(
                failure_class, service or read.service(end), phase or read.phase(end), None, why
            )
    return None


def outcome(failure_class: str) -> Outcome:
    """What becomes of the trial: ``outcome("host_oom")`` is ``Outcome("retry", 1, "infeasible")``."""
    if failure_class not in (outcomes := patterns()["outcomes"]):
        raise ValueError(
            f"unknown failure class {failure_class!r}; choose one of {', '.join(outcomes)}"
        )
    return Outcome(**outcomes[failure_class])


def first(rule: Rule, log: Log) -> Match | None:
    def counts(match: Match) -> bool:
        parts, at = match.groupdict(), match.start()
        phase = log.phase(at) if "load" in rule.phases else "start"
        partial = "part" not in parts or int(parts["part"]) < int(parts["whole"])
        meant = "unless_stopped" in rule.flags and log.stopped(at)
        overcome = phase == "start" and any(
            name == "ready" and place > at for place, name in log.phases
        )
        return (
            partial
            and not meant
            and ("keeps" in rule.flags or not overcome)
            and phase in rule.phases
        )

    found = search(rule.regexes, log.text if "any_level" in rule.flags else log.quiet)
    return min(filter(counts, found), key=re.Match.start, default=None)


def told(match: Match, rule: Rule, log: Log, phase: Phase | None, service: str | None) -> Diagnosis:
    at, end = match.span()
    when = phase or (log.phase(at) if "load" in rule.phases else "start")
    guess = log.service(at) or ("llm" if rule.under_load else None)  # torch's own words: the LLM's
    victim = service or (rule.services[0] if len(rule.services) == 1 else guess)
    if victim == "host":  # the kernel names whom it killed
        victim = next((name for place, name in log.services if 0 <= place - at < 200), "host")
    begin = log.text.rfind("\n", 0, at) + 1
    line = log.text[begin:].partition("\n")[0]
    written = next(search(rule.deficit, line), None) or next(search(rule.deficit, log.text), None)
    amounts = written.groupdict() if written else {}
    short = mib(amounts, "short") or missing(mib(amounts, "free"), mib(amounts, "need"))
    name = (when == "load" and rule.under_load.format(victim=victim)) or rule.failure_class
    evidence = log.text[max(begin, end - 280) :][:300].partition("\n")[0].strip()
    return Diagnosis(name, victim, when, round(short, 2) if short > 0 else None, evidence)


def missing(free: float | None, needed: float | None) -> float:
    return 0.0 if free is None or needed is None else needed - free


def mib(found: dict[str, str], name: str) -> float | None:
    """The amount in the group ``need``; its unit stands in ``need_unit``, or in ``unit`` for all."""
    if name not in found:
        return None
    number = re.sub(r",(?=\d{3}(?!\d))", "", found[name]).replace(",", ".").rstrip(".")
    return float(number) * 1024.0 ** (
        "BKMGT".index((found.get(f"{name}_unit") or found["unit"])[0].upper()) - 2
    )


def parse(log: str) -> Log:
    def marks(kind: str) -> list[tuple[int, str]]:
        named = patterns()[kind].items()
        return sorted(
            (match.start(), name) for name, regexes in named for match in search(regexes, text)
        )

    text = COLOURS.sub("", log.replace("\r\n", "\n").replace("\r", "\n"))
    quiet = re.sub(
        f"(?im){'|'.join(patterns()['ignore'])}", lambda match: " " * len(match[0]), text
    )
    return Log(text, quiet, marks("phases"), marks("services"))


def search(regexes: Sequence[str], text: str) -> Iterator[Match]:
    return (match for regex in regexes for match in re.finditer(f"(?im){regex}", text))


@cache
def patterns() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(
        files("objectives.diagnosis").joinpath("patterns.yaml").read_text("utf-8")
    )
    return loaded
