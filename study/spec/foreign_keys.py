"""A spec may have keys that are not ours alone; they are listed here.

Files that people had before this project load as they are.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Literal, get_type_hints

from objectives.figures import Direction
from study.spec.choices import CLAIMS_OF_0_1, FIGURES, OF_MARGINS
from study.spec.model import KEYS, Spec
from study.spec.search_space import OF_TURNS
from study.spec.yaml_file import read_yaml
from study.spec.yaml_node import YamlEntry

# keys that such a file has too, and may have beside `experiments:`
SHARED = (
    "name",
    "enabled",
    "template",
    "search_space",
    "evaluator",
    "budget",
    "metrics",
    "selector",
)
OWN_KEYS = tuple(k for k in KEYS if k not in SHARED)
LEGACY = (
    "version",
    "run",
    "mutators",
    "logging",
    "description",
    "tags",
    "overrides",
    "convergence",
    "domain_evaluator",
    "rzero",
    "lending",
)


OF_SERVICES = ("api", "command", "engine", "model", "models", "python", "program")
PREFIX = "spica_"  # begins names there that those of files do not have


def slug(name: str) -> str:
    """Return the name of an experiment's files.

    >>> slug("spica_gpu_allocation"), slug("mine")
    ('gpu_allocation', 'mine')
    """
    return name.removeprefix(PREFIX) or name


def experiment_of(path: Path, name: object) -> str | None:
    """Return the experiment of a file whose study has this name; None where it lists none."""
    experiments = read_yaml(path)[0].at("experiments")
    entries = experiments.elements() if experiments.is_list else []
    names = [e.at("name").text for e in entries if e.is_mapping]
    return next((n for n in names if name in (n, slug(n))), None)


# words of 0.1, and what says the same or more today
OF_LIMITS = "write `limits:`, e.g. {stt_latency_p95_ms: 1000, llm_ttft_p95_ms: 2000}"
OF_RAMPS = "remove it; `ramp_s` is the time of the ramp that measures capacity, 0 leaves it out"
OLD_WORDS = {
    "slo": OF_LIMITS,
    "margins": OF_MARGINS,
    "limits.stt_p95_ms": "write `stt_latency_p95_ms`",
    "limits.llm_p95_ms": "write `llm_latency_p95_ms`",
    "limits.multiple": f"a limit is a time; {OF_LIMITS}",
    "workload.ladder_s": "write `ramp_s`, the time of the ramp that measures capacity",
    "workload.session_pause_s": "write `pause_s`",
    "workload.session_prompt_tokens": "remove it; a turn's prompt is of `prompt_tokens`",
    "workload.session_turn_tokens": "remove it; a turn's prompt is of `prompt_tokens`",
}


def refuse_old_words(top: YamlEntry) -> None:
    """Refuse the first key of 0.1 that this version does not have, with its successor."""
    for name, way_out in OLD_WORDS.items():
        if (entry := top.at(*name.split("."))).is_present:
            raise entry.wrong("it is a word of 0.1", way_out)
    workload = top.at("workload")
    for name, entry in workload.items().items() if workload.is_mapping else ():
        if name.startswith(("ladder_", "session_")):
            raise entry.wrong("it is a word of 0.1", OF_RAMPS)
    claim = top.at("claim")
    if (successor := CLAIMS_OF_0_1.get(claim.text)) is not None:
        raise claim.wrong(f"{claim.quotation} is a claim of 0.1", f"write {successor}")


def check_names(top: YamlEntry) -> None:
    """Refuse a key that nobody reads; of one that belongs below another, say which."""
    hints = get_type_hints(Spec)
    above = {f.name: n for n, kind in hints.items() if is_dataclass(kind) for f in fields(kind)}
    for name, entry in top.items().items():
        if name in (*SHARED, *OWN_KEYS, *LEGACY):
            continue
        is_service = entry.is_mapping and not {*entry.items()}.isdisjoint(OF_SERVICES)
        where = "services" if is_service or name in OF_TURNS else above.get(name)
        if where is not None:
            raise entry.wrong(f"it belongs below `{where}:`", "indent it there")
    top.only((*SHARED, *OWN_KEYS, *LEGACY), (*SHARED, *OWN_KEYS))


def only_in_rotation(top: YamlEntry) -> list[str]:
    """Return the keys that a study uses only among other experiments (study/guides/dream.md)."""
    total = top.at("budget", "total_sec")
    return [".".join(total.path)] if total.is_present else []


def check_metrics(top: YamlEntry) -> list[str]:
    """Refuse directions that contradict ours, and return the keys of `metrics` that are ignored."""
    if "metrics" not in top.items():
        return []
    metrics = top.at("metrics").items()
    directions = metrics["target_direction"].items() if "target_direction" in metrics else {}
    for name, entry in directions.items():
        direction = Direction(entry.build(Literal["up", "down", "neutral"]))
        ours = FIGURES[name].direction if name in FIGURES else Direction.NEUTRAL
        if Direction.NEUTRAL not in (ours, direction) and direction is not ours:
            verb = "maximises" if ours is Direction.UP else "minimises"
            raise entry.wrong(
                f"{direction} contradicts this project, which {verb} {name}",
                f"write {ours} or remove it",
            )
    return [f"metrics.{k}" for k in metrics if k != "target_direction"]
