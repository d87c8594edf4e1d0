"""This module reads an experiment whose evaluator is the user's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from objectives.plain_data.ranges import Range
from study.dream.experiments.goals import read_goals
from study.dream.experiments.model import Evaluator, ExperimentBudget, GenericExperiment
from study.dream.experiments.values import Values, plain_value, read_values
from study.spec.choices import SAMPLERS, SamplerName
from study.spec.model import Selector
from study.spec.yaml_node import YamlEntry

KEYS = (
    "name",
    "enabled",
    "search_space",
    "evaluator",
    "budget",
    "metrics",
    "selector",
    "sampler",
    "seed",
    "baseline",
    "device",
    "convergence",
    "overrides",
)
LEGACY = ("template", "domain_evaluator", "rzero", "mutators", "description", "tags", "logging")
CALLED = ("class", "factory", "symbol")  # which of them is called, in the order of the ancestor


def read_generic(
    top: YamlEntry,
    common: Mapping[str, Any],
    weights: Mapping[str, float],
    run: Mapping[str, Any],
    caps: Mapping[str, Any],
) -> GenericExperiment:
    """Return the validated experiment of an entry of the list.

    Args:
        top: The entry.
        common: The arguments of every experiment.
        weights: The file's own, by canonical name.
        run: The file's `run:`, which an evaluator is told.
        caps: The file's limits of every budget, by the name of the budget's field.

    Raises:
        BadInput: Something is wrong with it; the error is one line, with file, line and key.
    """
    top.only((*KEYS, *LEGACY), KEYS)
    notes: list[str] = []
    values = read_values(top.at("search_space"))
    budget = _capped(top.at("budget"), caps, notes)
    selector = _selector(top, budget)
    seed = run.get("seed", 0)
    if top.at("seed").is_present:
        seed = top.at("seed").build(int, Range(0, 2**31 - 1))
    sampler: SamplerName = "tournament"
    if top.at("sampler").is_present:
        known = tuple(s for s in SAMPLERS if s != "recorded")
        sampler = top.at("sampler").build(Literal[known])
    plain_budget = plain_value(top.at("budget")) if top.at("budget").is_present else {}
    return GenericExperiment(
        **common,
        max_generations=budget.max_generations,
        total_s=budget.total_sec,
        values=values,
        evaluator=_evaluator(top),
        budget=budget,
        goals=read_goals(top, weights, notes),
        selector=selector,
        sampler=sampler,
        seed=seed if isinstance(seed, int) else 0,
        baseline=_baseline(top.at("baseline"), values),
        device=str(top.at("device").scalar()) if top.at("device").is_present else "cuda",
        context={"budget": plain_budget, "run": dict(run)},
        notes=tuple(notes),  # the last: what is above has noted them
    )


def _capped(entry: YamlEntry, caps: Mapping[str, Any], notes: list[str]) -> ExperimentBudget:
    budget: ExperimentBudget = (
        entry.build(ExperimentBudget)
        if entry.is_present and not entry.is_null
        else ExperimentBudget()
    )
    lower = capped(budget, caps, notes)
    return replace(budget, **lower)


def capped(budget: object, caps: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return what of a budget is above the file's own caps, as low as they are, and note it."""
    lower = {
        name: cap
        for name, cap in caps.items()
        if (value := getattr(budget, name)) is None or value > cap
    }
    if lower:
        text = ", ".join(f"{name} {value}" for name, value in lower.items())
        notes.append(f"run.global_budget limits it to {text}")
    return lower


def _selector(top: YamlEntry, budget: ExperimentBudget) -> Selector:
    """Return the settings of the tournament; `rzero:` is the ancestor's older word for them."""
    entry = top.at("selector") if top.at("selector").is_present else top.at("rzero")
    if entry.is_null:
        size = max(2, budget.max_candidates)
        return Selector(population_size=size, exhausted="stop")
    selector: Selector = entry.build(Selector)
    size = selector.population_size
    if not entry.at("population_size").is_present:
        size = max(budget.max_candidates, selector.fresh_inject + 1)
    exhausted = selector.exhausted if entry.at("exhausted").is_present else "stop"
    if selector.survivors > selector.tournament_size:
        raise entry.at("survivors").wrong(
            f"{selector.survivors} survivors of {selector.tournament_size}",
            "at most tournament_size",
        )
    if selector.fresh_inject >= size:
        raise entry.at("fresh_inject").wrong(
            f"{selector.fresh_inject} of a generation of {size}", "write fewer"
        )
    return replace(selector, population_size=size, exhausted=exhausted)


def _evaluator(top: YamlEntry) -> Evaluator:
    entry = top.at("evaluator") if top.at("evaluator").is_present else top.at("domain_evaluator")
    folder = Path(top.file).parent
    if not entry.is_mapping:  # the ancestor's older form: a file with a function `evaluate`
        path = entry.build(str)
        return Evaluator(path=_file(entry, path, folder), kind="function", symbol="evaluate")
    entry.only(("path", *CALLED, "init_kwargs", "python"))
    path = _file(entry.at("path"), entry.at("path").build(str), folder)
    called = [n for n in CALLED if entry.at(n).is_present and not entry.at(n).is_null]
    if len(called) > 1:
        raise entry.at(called[1]).wrong(f"it stands beside `{called[0]}:`", "write one of them")
    kwargs: Any = {}
    if not (kwargs_entry := entry.at("init_kwargs")).is_null:
        kwargs_entry.items()  # a mapping, or it is refused with its line
        kwargs = plain_value(kwargs_entry)
    python = entry.at("python").build(str) if entry.at("python").is_present else None
    symbol = entry.at(called[0]).build(str) if called else "evaluate"
    match called:
        case ["class"]:
            return Evaluator(
                path=path, kind="class", symbol=symbol, init_kwargs=kwargs, python=python
            )
        case ["factory"]:
            return Evaluator(
                path=path, kind="factory", symbol=symbol, init_kwargs=kwargs, python=python
            )
    return Evaluator(path=path, kind="function", symbol=symbol, python=python)


def _file(entry: YamlEntry, text: str, folder: Path) -> Path:
    """Return the evaluator's file: beside the YAML file, or below the current folder."""
    beside = folder / text
    path = beside if beside.is_file() else Path(text)
    if not path.is_file():
        raise entry.wrong(f"there is no file {text}", "name the evaluator's Python file")
    return path.absolute()


def _baseline(entry: YamlEntry, values: Values) -> Mapping[str, Any] | None:
    if entry.is_null:
        return None
    entry.only([p.name for p in values.parameters])
    baseline = {n: plain_value(e) for n, e in entry.items().items()}
    for p in values.parameters:
        if p.name not in baseline:
            raise entry.at(p.name).wrong("it is missing", f"add `{p.name}:`")
    try:
        return values.decode(values.encode(baseline))
    except (ValueError, TypeError) as error:
        raise entry.wrong(
            f"it lies outside the search space ({error})", "name listed values"
        ) from error


def name_is_plain(name: str) -> bool:
    """Say whether a name can be that of files.

    >>> name_is_plain("spica_tts"), name_is_plain("../x")
    (True, False)
    """
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None
