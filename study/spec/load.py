"""A spec is the YAML file that says what is searched, on which servers and under which load.

Whatever is wrong with it is one `BadInput` of one line:
`FILE:LINE: key: what is wrong; the way out`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, get_type_hints

from objectives.allocation import OF_MEMORY
from objectives.engines.registry import apis_of
from objectives.fitness import PRESETS
from objectives.search_space.space import Space
from objectives.servers.tenants import Tenant
from objectives.services import Services
from objectives.traffic.workload import Workload
from study.spec.baseline import default_note, is_in_use, read_baseline, speech_sizes
from study.spec.choices import APIS
from study.spec.foreign_keys import (
    LEGACY,
    OWN_KEYS,
    check_metrics,
    check_names,
    only_in_rotation,
    refuse_old_words,
)
from study.spec.memory.options import check_options, idle_parameters
from study.spec.model import KEYS, Budget, FitnessRule, Gates, Selector, Spec
from study.spec.search_space import (
    check_monotone,
    read_bounds,
    read_parameter,
    searched_entries,
)
from study.spec.services.beside import read_beside, shared_weights, traffic_beside
from study.spec.services.chain import of_chain
from study.spec.services.devices import placed, read_devices
from study.spec.services.lengths import check_requests, length_notes, longest_taken
from study.spec.services.of_turns import (
    named_engines,
    read_measure,
    read_services,
    speech,
    with_models,
)
from study.spec.services.on_demand import check_on_demand
from study.spec.speech.clips import place_clips
from study.spec.speech.options import check_speech_options
from study.spec.traces.held_out import read_traffic
from study.spec.traces.options import read_workload
from study.spec.traces.words import trace_notes
from study.spec.traffic import read_limits
from study.spec.yaml_file import read_yaml
from study.spec.yaml_node import YamlEntry

DEFAULT_SPEC = "specs/h200_recorded.yaml"
# `load` reads these by a function each, since their value depends on other keys; the rest by type
DEPENDENT = (
    "search_space",
    "measure",
    "baseline",
    "bounds",
    "device",
    "devices",
    "services",
    "limits",
    "workload",
    "workloads",
)


def load(
    path: Path | None,
    experiment: str | None = None,
    *,
    is_here: bool = True,
    content: bytes | None = None,
) -> Spec:
    """Return the validated spec of a file, of one of its `experiments`, or of the packaged default.

    Args:
        path: The file; None is the packaged default.
        experiment: The name of one of its `experiments`.
        is_here: Whether a live study is for this machine, which then has its servers and models.
        content: The file's bytes, where it may have changed since they were read.

    Raises:
        BadInput: Something is wrong with it; the error is one line, with file, line and key.
    """
    path = path or Path(str(files("study"))) / DEFAULT_SPEC
    root, text, data = read_yaml(path, content)
    top, ignored = _chosen(root, experiment)
    keys = top.items()
    refuse_old_words(top)
    check_names(top)
    for name in ("name", "search_space"):
        if name not in keys:
            raise top.at(name).wrong("it is missing", f"add `{name}:`")
    beside = read_beside(top.at("services"))
    if not (weights := top.at("fitness", "weights")).is_null:
        weights.only((*PRESETS["balanced"], *beside))
    hints = get_type_hints(Spec, include_extras=True)
    plain: dict[str, Any] = {
        k: keys[k].build(hints[k]) for k in KEYS if k in keys and k not in DEPENDENT
    }
    plain["limits"] = read_limits(top.at("limits"), {**APIS, **apis_of(beside)})
    trace_entry = None
    if "workload" in keys:
        plain["workload"], trace_entry = read_workload(keys["workload"], path.parent)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", plain["name"]):
        raise keys["name"].wrong(
            f"{keys['name'].quotation} cannot name a folder", "use letters, digits, _ and -"
        )
    _check_plain(top, plain, beside := of_chain(top, plain.get("workload", Workload()), beside))
    is_live = (measure := read_measure(top, path.parent)) == "live"
    devices = read_devices(top, plain.get("budget", Budget()))
    bounds = read_bounds(top)
    quality = plain.get("gates", Gates()).llm_quality
    engines = named_engines(top.at("services"), beside)
    parameters = tuple(
        read_parameter(e, n, bounds, quality, engines) for n, e in searched_entries(top).items()
    )
    folder = path.parent if is_live and is_here else None
    services, notes = read_services(top, devices.main, parameters, folder, beside)
    devices, services = placed(top, devices, services, plain.get("tenants", ()))
    check_on_demand(top, services, parameters, devices.main)
    check_monotone(top, plain.get("monotone", ()), parameters)
    baseline = read_baseline(top, parameters, speech(services), bounds, engines)
    check_options(top, services, parameters, baseline, devices.main)
    check_speech_options(top, speech(services))
    names = {p.name for p in parameters}
    names |= {*OF_MEMORY} if names & {*OF_MEMORY} else set()
    fixed = {k: v for k, v in baseline.items() if k not in names}
    space = Space(parameters, fixed, idle_parameters(services, parameters, baseline))
    sizes = speech_sizes(space, baseline)
    services = with_models(top, services, sizes, folder)
    plain["workload"] = place_clips(
        top,
        replace(plain.get("workload", Workload()), beside=traffic_beside(beside)),
        path.parent,
        speech(services),
        sizes,
        is_live=is_live,
        is_here=is_here,
    )
    longest = longest_taken(services, parameters, baseline)
    plain["workload"], workloads = read_traffic(
        top, plain["workload"], trace_entry, path.parent, longest, is_live=is_live
    )
    check_requests(top, services, parameters, baseline, plain["workload"])
    notes += [
        *trace_notes(plain["workload"], workloads),
        *length_notes(top.at("workload"), plain["workload"]),
    ]
    ignored += [k for k in keys if k in LEGACY or (k == "template" and not keys[k].is_null)]
    notes += [*default_note(top, space, baseline), *_ignored_notes(plain, keys)]
    if "evaluator" in keys:
        ignored += [".".join(e.path) for e in keys["evaluator"].entries()] or ["evaluator"]
    return Spec(
        **plain,
        search_space=space,
        measure=measure,
        workloads=workloads,
        baseline=space.allocation(baseline),
        has_today=is_in_use(top),
        bounds=bounds,
        device=devices.main,
        devices=devices.by_name,
        services=services,
        ignored=(*ignored, *only_in_rotation(top), *check_metrics(top)),
        notes=tuple(notes),
        path=path.absolute(),
        text=text,
        text_sha256=hashlib.sha256(data).hexdigest(),
    )


def _ignored_notes(plain: Mapping[str, Any], keys: Mapping[str, YamlEntry]) -> Iterator[str]:
    """Yield what a person must know of keys that change nothing."""
    if "evaluator" in keys:
        yield "evaluator: this project's own measurement is used instead"
    if not plain.get("enabled", True):
        yield "enabled: false is noted; a study that is asked for runs all the same"


def _chosen(root: YamlEntry, experiment: str | None) -> tuple[YamlEntry, list[str]]:
    """Return the file's only study, or the named one of its `experiments`, and the keys ignored."""
    keys = root.items()
    if "experiments" not in keys:
        if experiment is not None and root.at("name").scalar() != experiment:
            raise root.at("name").wrong(
                f"the file holds no experiment {experiment!r}", "leave --experiment out"
            )
        return root, []
    for name in (k for k in keys if k in OWN_KEYS):
        raise keys[name].wrong(
            "it stands beside `experiments:`", "move it into the experiment that it is for"
        )
    entries = keys["experiments"].elements()
    if not entries:
        raise keys["experiments"].wrong("the list is empty", "add an experiment")
    names = [e.at("name").text or "?" for e in entries]
    matches = [e for e, name in zip(entries, names, strict=True) if experiment in (None, name)]
    if len(matches) != 1:
        what = (
            "several experiments" if experiment is None else f"no single experiment {experiment!r}"
        )
        raise keys["experiments"].wrong(
            f"the file holds {what}", f"choose --experiment {' or '.join(names)}"
        )
    chosen = replace(matches[0], path=())
    others = [
        f"experiments.{name}" for e, name in zip(entries, names, strict=True) if e is not matches[0]
    ]
    return chosen, [k for k in keys if k != "experiments"] + others


def _check_plain(top: YamlEntry, plain: dict[str, Any], beside: Services) -> None:
    """Refuse what no single key of the plain sections can tell.

    It also completes the fitness weights, in place, from the preset.
    """
    selector, load_ = plain.get("selector", Selector()), plain.get("workload", Workload())
    if selector.survivors > selector.tournament_size:
        raise top.at("selector", "survivors").wrong(
            f"{selector.survivors} survivors of {selector.tournament_size}",
            "at most tournament_size",
        )
    if selector.fresh_inject >= selector.population_size:
        what = (
            f"fresh_inject is {selector.fresh_inject} in a generation of {selector.population_size}"
        )
        raise top.at("selector").wrong(what, "write a fresh_inject below population_size")
    if load_.prompt_tokens[0] > load_.prompt_tokens[1]:
        raise top.at("workload", "prompt_tokens").wrong(
            "the shortest is longer than the longest", "write [low, high]"
        )
    rule: FitnessRule = plain.get("fitness", FitnessRule())
    if rule.weights is not None or beside:
        shared = shared_weights(PRESETS[rule.preset], beside)
        weights = {**(shared if beside else PRESETS[rule.preset]), **(rule.weights or {})}
        plain["fitness"] = replace(rule, weights=weights)
        if not any(weight for term, weight in weights.items() if term != "capacity"):
            what = "every term but capacity weighs 0, and capacity is not always measured"
            raise top.at("fitness", "weights").wrong(what, "raise another one")
    tenants: Sequence[Tenant] = plain.get("tenants", ())
    for n, tenant in enumerate(tenants):
        entry = top.at("tenants").elements()[n]
        if (tenant.mib is None) == (tenant.share is None):
            raise entry.wrong(
                f"tenant {tenant.name!r} needs one of mib and share", "write exactly one"
            )
        if tenant.name in [t.name for t in tenants[:n]] or not tenant.name.strip():
            raise entry.at("name").wrong(
                f"{tenant.name!r} is no name of its own", "give each tenant another name"
            )
    if sum(t.share or 0 for t in tenants) >= 1:
        raise top.at("tenants").wrong("the shares reach 1 together", "leave room for the servers")
