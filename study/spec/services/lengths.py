"""Prompts longer than a server takes are refused, and limits that no answer can miss."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from objectives.allocation import Scalar
from objectives.engines.engine import Engine
from objectives.engines.registry import in_order, llm_of_turns
from objectives.figures import flat_name, service_name
from objectives.search_space.parameter import Parameter
from objectives.services import LlmService, Services
from objectives.traffic.workload import Workload
from study.spec.memory.options import values_of
from study.spec.services.beside import check_rates
from study.spec.yaml_node import YamlEntry


def longest_taken(
    services: Services, parameters: Iterable[Parameter], baseline: Mapping[str, Scalar]
) -> int | None:
    """Return the tokens of prompt and answer that every allocation takes of the LLM of turns.

    It is None where nobody says.

    Args:
        services: The servers; their flags may say it.
        parameters: What is searched; a length of the model may be.
        baseline: A value of each parameter.
    """
    engine = llm_of_turns(services)
    return None if engine is None else engine.longest_taken(values_of(engine, parameters, baseline))


def fitting(entry: YamlEntry, workload: Workload, longest: int | None) -> Workload:
    """Return the workload with prompts that the LLM takes, where the file says nothing of them.

    Args:
        entry: The file's `workload`.
        workload: What it says, without a trace.
        longest: The tokens of prompt and answer that the LLM takes; None where nobody says.
    """
    if longest is None or entry.at("prompt_tokens").is_present:
        return workload
    low, high = workload.prompt_tokens
    room = max(0, longest - workload.output_tokens)
    return replace(workload, prompt_tokens=(min(low, room), room)) if 0 < room < high else workload


def length_notes(entry: YamlEntry, workload: Workload) -> list[str]:
    """Return in a sentence how long prompts are, where that is less than usual."""
    low, high = workload.prompt_tokens
    is_usual = (low, high) == Workload().prompt_tokens or workload.trace is not None
    if is_usual or entry.at("prompt_tokens").is_present:
        return []
    return [f"workload.prompt_tokens is not given: {low} to {high}, as the LLM takes no more"]


def check_requests(
    top: YamlEntry,
    services: Services,
    parameters: Iterable[Parameter],
    baseline: Mapping[str, Scalar],
    workload: Workload,
) -> None:
    """Refuse what a service is asked and cannot answer, and limits that no answer can miss.

    Args:
        top: The file.
        services: The servers.
        parameters: What is searched.
        baseline: A value of each parameter.
        workload: What they are asked.

    Raises:
        BadInput: There is something; it has file, line and key.
    """
    check_rates(top.at("services"), workload)
    lengths = _lengths(services, workload)
    for engine in in_order(services):
        if engine.name in lengths:
            most = engine.longest_taken(values_of(engine, parameters, baseline))
            _check_length(top, engine, most, *lengths[engine.name])
    _check_limits(top.at("limits"), services, lengths)


def _lengths(services: Services, workload: Workload) -> dict[str, tuple[int, int]]:
    """Return the tokens of the longest text that a service gets, and of its answer, by service.

    Clips have no such length, and a trace drops or cuts what is too long (`too_long`).
    """
    texts = [t for t in workload.beside if t.api != "transcription"]
    lengths = {t.service: (t.tokens[1], t.output_tokens) for t in texts}
    llm = llm_of_turns(services)
    return lengths if llm is None or workload.trace else {llm.name: workload.longest, **lengths}


def _check_length(
    top: YamlEntry, engine: Engine, most: int | None, prompt: int, answer: int
) -> None:
    if most is None or prompt + answer <= most:
        return
    is_of_turns = isinstance(engine.service, LlmService)
    where = ("workload", "prompt_tokens") if is_of_turns else ("services", engine.name, "tokens")
    what, longer = f"a text of {prompt} tokens is", "a shorter one"
    if answer:
        what = f"a prompt of {prompt} tokens and an answer of {answer} are"
        longer = "shorter ones"
    whom = f"{'the ' * is_of_turns}{service_name(engine.name)} takes (`{engine.context_option}`)"
    raise top.at(*where).wrong(
        f"{what} more than the {most} that {whom}", f"write {longer}, or let it take more"
    )


def _check_limits(
    entry: YamlEntry, services: Services, lengths: Mapping[str, tuple[int, int]]
) -> None:
    """Refuse a limit of the time between tokens where each answer has one token."""
    for name, (_, tokens) in lengths.items():
        limit = entry.at(flat_name(name, "tpot_p95_ms"))
        if limit.is_present and not limit.is_null and tokens == 1:
            of = "workload" if isinstance(services[name], LlmService) else f"services.{name}"
            what = f"no answer has a second token, as {of}.output_tokens is 1"
            raise limit.wrong(what, "remove it, or write more tokens there")
