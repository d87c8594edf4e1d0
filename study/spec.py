"""The spec: one YAML file that says what is searched, on which servers and under which load.

Whatever is wrong with it is one `BadInput` of one line, `FILE:LINE: key: what is wrong; the way out`.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from optuna.distributions import FloatDistribution, IntDistribution

from objectives.allocation import DEFAULT_BOUNDS, SHARE, SPEECH, Allocation, Parameter, Scalar, Space
from objectives.command import LlmService, Services, SttService, placeholders
from objectives.fitness import PRESETS, Preset, Weights
from objectives.tenants import Tenant
from objectives.workload import Workload
from study.document import Entry, meant, read

DEFAULT_SPEC = "specs/cpu_recorded.yaml"
DEFAULT_LLM = LlmService(model="Qwen/Qwen2.5-7B-Instruct-AWQ", args=("--max-model-len", "4096"))
WHISPER_HUB = {
    **{size: f"Systran/faster-whisper-{size}" for size in (
        "tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en",
        "large-v1", "large-v2", "large-v3",
    )},
    **{f"distil-{size}": f"Systran/faster-distil-whisper-{size}" for size in (
        "small.en", "medium.en", "large-v2", "large-v3",
    )},
    "large": "Systran/faster-whisper-large-v3",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}  # fmt: skip
CLASSIC = {SHARE: "number", SPEECH: "text"}
WHISPER_ORDER = ("tiny", "base", "small", "medium", "turbo", "large")
# fmt: off
WHISPER_OPTIONS = ("compute_type", "beam_size", "language", "extra_mib", "threads", "max_new_tokens")
CHANGES_ANSWERS = frozenset({
    "model", "tokenizer", "tokenizer_mode", "revision", "tokenizer_revision", "quantization", "kv_cache_dtype",
    "max_model_len", "dtype", "rope_scaling", "rope_theta", "hf_overrides", "calculate_kv_scales", "model_impl",
    "chat_template", "generation_config", "override_generation_config", "load_format", "runner", "convert",
    "enable_lora", "lora_modules", "speculative_config",
})
SET_BY_US = {
    "vllm.gpu_memory_utilization": f"use {SHARE}",
    "vllm.served_model_name": "use services.llm.served_model",
    "whisper.model": f"use {SPEECH}",
    **dict.fromkeys(("vllm.host", "vllm.port", "whisper.host", "whisper.port"), "leave it to the study"),
}
DIRECTIONS = {
    **dict.fromkeys(("concurrent_capacity", "kv_capacity_bound", "stt_rtfx", "free_memory_mib"), "up"),
    **dict.fromkeys((
        "stt_latency_ms", "stt_latency_p95_ms", "stt_wer_pct", "llm_latency_ms", "llm_latency_p95_ms",
        "llm_ttft_ms", "llm_ttft_p95_ms", "llm_tpot_ms", "turn_ttft_ms", "turn_ttft_p95_ms", "failure_rate",
        "oom_events",
    ), "down"),
}
LIMITS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("wallclock_sec", "start_timeout_s", "request_timeout_s", "window_s"), (1, 1e7)),
    **dict.fromkeys(("ladder_s", "session_pause_s"), (0, 1e5)),
    **dict.fromkeys(("max_candidates", "max_generations", "population_size", "llm_burst"), (1, 10_000)),
    **dict.fromkeys(("tournament_size", "survivors", "ladder_max_sessions", "beam_size"), (1, 10_000)),
    **dict.fromkeys(("elitism", "fresh_inject", "alone_requests"), (0, 10_000)),
    **dict.fromkeys(("llm_per_s", "stt_per_s"), (0, 1000)),
    **dict.fromkeys(("output_tokens", "prompt_tokens", "session_prompt_tokens", "vocabulary"), (1, 1e7)),
    **dict.fromkeys(("free_memory_mib", "reserve_mib", "extra_mib", "headroom_mib"), (0, 1e7)),
    **dict.fromkeys(("stt", "llm", "capacity", "stability", "efficiency"), (0, 1e6)),
    **dict.fromkeys(("stt_p95_ms", "llm_p95_ms"), (1, 1e7)),
    "session_turn_tokens": (0, 1e7), "seed": (0, 2**31 - 1), "multiple": (1, 1000),
    "wer_points": (0, 100), "mib": (1, 1e7), "share": (0.001, 0.999),
}
# fmt: on

SamplerName = Literal["tournament", "tpe", "random", "grid", "gp", "nsga2", "bruteforce"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may use: time of one run, and trials over all runs."""

    wallclock_sec: float = 3600.0
    max_candidates: int = 10
    max_generations: int = 4
    allow_gpu: bool = True

    @property
    def max_trials(self) -> int:
        """Trials over all runs."""
        return self.max_candidates * self.max_generations


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The tournament's settings, see `study.tournament`."""

    kind: Literal["rzero"] = "rzero"
    tournament_size: int = 4
    survivors: int = 2
    elitism: int = 1
    fresh_inject: int = 1
    population_size: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a winner must keep: word error rate within points of the baseline's, and memory left free."""

    wer_points: float = 1.0
    free_memory_mib: float = 256.0
    llm_quality: Literal["unmeasured"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Limits of the capacity ladder: in ms, or a multiple of the baseline's own p95."""

    multiple: float = 1.5
    stt_p95_ms: float | None = None
    llm_p95_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessRule:
    """How a measurement becomes one number; weights that are given replace those of the preset."""

    preset: Preset = "balanced"
    weights: Weights | None = None
    normalisation: Literal["relative", "fixed"] = "relative"
    headroom_mib: float = 1024.0

    @property
    def effective_weights(self) -> Weights:
        """The weights that count."""
        return self.weights or PRESETS[self.preset]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """A validated spec; defaults are those of an absent key.

    measure: live, or the file of a recording; device: cpu, cuda, an index or a UUID
    bounds: hard limits of numeric parameters; reserve_mib: None leaves it to the device
    ignored: keys that are accepted and not used, e.g. `evaluator.path`; notes: sentences to show
    """

    name: str
    search_space: Space
    measure: Literal["live"] | Path
    sampler: SamplerName = "tournament"
    baseline: Allocation
    bounds: Mapping[str, tuple[float, float]]
    device: str
    services: Services
    workload: Workload = field(default_factory=Workload)
    slo: Slo = field(default_factory=Slo)
    fitness: FitnessRule = field(default_factory=FitnessRule)
    gates: Gates = field(default_factory=Gates)
    tenants: tuple[Tenant, ...] = ()
    reserve_mib: float | None = None
    precheck: Literal["prune", "report"] = "prune"
    budget: Budget = field(default_factory=Budget)
    selector: Selector = field(default_factory=Selector)
    enabled: bool = True
    ignored: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    path: Path
    text: str
    text_sha256: str


PLAIN: Mapping[str, Any] = {
    "name": str, "enabled": bool, "sampler": SamplerName, "workload": Workload, "slo": Slo,
    "fitness": FitnessRule, "gates": Gates, "tenants": tuple[Tenant, ...], "reserve_mib": float | None,
    "precheck": Literal["prune", "report"], "budget": Budget, "selector": Selector,
}  # fmt: skip
NEW = ("measure", "sampler", "baseline", "bounds", "device", "services", "workload", "slo", "fitness",
       "gates", "tenants", "reserve_mib", "precheck")  # fmt: skip
OWN = ("name", "enabled", "template", "search_space", "evaluator", "budget", "metrics", "selector", *NEW)
LEGACY = ("version", "run", "mutators", "logging", "description", "tags")


def load(path: Path | None, experiment: str | None = None) -> Spec:
    """The validated spec of a file, of one of its `experiments`, or of the packaged default (None)."""
    path = path or Path(str(files("study"))) / DEFAULT_SPEC
    root, text, data = read(path)
    top, ignored = _chosen(root, experiment)
    keys = top.items()
    top.only((*OWN, *LEGACY), OWN)
    for name in ("name", "search_space"):
        if name not in keys:
            raise top.at(name).wrong("it is missing", f"add `{name}:`")
    plain: dict[str, Any] = {k: keys[k].build(kind, LIMITS) for k, kind in PLAIN.items() if k in keys}
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", plain["name"]):
        raise keys["name"].wrong(f"{keys['name'].shown} cannot name a folder", "use letters, digits, _ and -")
    _check_plain(top, plain)
    measure = _measure(top, path.parent)
    _place_clips(top, plain, path.parent, must_exist=measure == "live")
    device = _device(top, plain.get("budget", Budget()))
    bounds = _bounds(top)
    quality = plain.get("gates", Gates()).llm_quality
    parameters = tuple(_parameter(e, n, bounds, quality) for n, e in _searched(top).items())
    services, notes = _services(top, device, parameters, path.parent if measure == "live" else None)
    baseline = _baseline(top, parameters, services.stt, bounds)
    names = {p.name for p in parameters}
    space = Space(parameters, {k: v for k, v in baseline.items() if k not in names})
    services = _with_models(top, services, _sizes(space, baseline), path.parent if measure == "live" else None)
    ignored += [k for k in keys if k in LEGACY or (k == "template" and not keys[k].is_null)]
    if "evaluator" in keys:
        ignored += [".".join(e.path) for e in keys["evaluator"].entries()] or ["evaluator"]
        notes.append("evaluator: this project's own measurement is used instead")
    if not plain.get("enabled", True):
        notes.append("enabled: false is noted; a study that is asked for runs all the same")
    return Spec(
        **plain,
        search_space=space, measure=measure, baseline=space.allocation(baseline), bounds=bounds,
        device=device, services=services, ignored=(*ignored, *_check_metrics(top)), notes=tuple(notes),
        path=path.absolute(), text=text, text_sha256=hashlib.sha256(data).hexdigest(),
    )  # fmt: skip


def _chosen(root: Entry, experiment: str | None) -> tuple[Entry, list[str]]:
    """The file's only study, or the named one of its `experiments`; and what beside it is ignored."""
    keys = root.items()
    if "experiments" not in keys:
        if experiment is not None and root.at("name").scalar() != experiment:
            raise root.at("name").wrong(f"the file holds no experiment {experiment!r}", "leave --experiment out")
        return root, []
    for name in (k for k in keys if k in NEW):
        raise keys[name].wrong("it stands beside `experiments:`", "move it into the experiment that it is for")
    entries = keys["experiments"].elements()
    if not entries:
        raise keys["experiments"].wrong("the list is empty", "add an experiment")
    names = [e.at("name").text or "?" for e in entries]
    found = [e for e, name in zip(entries, names, strict=True) if experiment in (None, name)]
    if len(found) != 1:
        what = "several experiments" if experiment is None else f"no single experiment {experiment!r}"
        raise keys["experiments"].wrong(f"the file holds {what}", f"choose --experiment {' or '.join(names)}")
    chosen = replace(found[0], path=())
    others = [f"experiments.{name}" for e, name in zip(entries, names, strict=True) if e is not found[0]]
    return chosen, [k for k in keys if k != "experiments"] + others


def _check_plain(top: Entry, plain: dict[str, Any]) -> None:
    """What no single key of the plain sections can tell."""
    selector, load_ = plain.get("selector", Selector()), plain.get("workload", Workload())
    if selector.survivors > selector.tournament_size:
        raise top.at("selector", "survivors").wrong(
            f"{selector.survivors} survivors of {selector.tournament_size}", "at most tournament_size"
        )
    if load_.prompt_tokens[0] > load_.prompt_tokens[1]:
        raise top.at("workload", "prompt_tokens").wrong("the shortest is longer than the longest", "write [low, high]")
    for name, burst in (("llm_per_s", load_.llm_burst), ("stt_per_s", 1)):
        expected = getattr(load_, name) * load_.window_s
        if not round(expected / burst) >= 1 or expected > 1e6:
            way_out = f"write a rate of at least {burst / load_.window_s:g} or another window_s"
            raise top.at("workload", name).wrong(f"it sends {expected:g} requests in window_s", way_out)
    weights = plain.get("fitness", FitnessRule()).weights
    if weights is not None:
        given = {k: getattr(weights, k) for k in top.at("fitness", "weights").items()}
        rule = plain["fitness"] = replace(plain["fitness"], weights=replace(PRESETS[plain["fitness"].preset], **given))
        if not any(getattr(rule.weights, k) for k in ("stt", "llm", "stability", "efficiency")):
            what = "every term but capacity weighs 0, and capacity is not always measured"
            raise top.at("fitness", "weights").wrong(what, "raise another one")
    tenants: Sequence[Tenant] = plain.get("tenants", ())
    for n, tenant in enumerate(tenants):
        entry = top.at("tenants").elements()[n]
        if (tenant.mib is None) == (tenant.share is None):
            raise entry.wrong(f"tenant {tenant.name!r} needs one of mib and share", "write exactly one")
        if tenant.name in [t.name for t in tenants[:n]] or not tenant.name.strip():
            raise entry.at("name").wrong(f"{tenant.name!r} is no name of its own", "give each tenant another name")
    if sum(t.share or 0 for t in tenants) >= 1:
        raise top.at("tenants").wrong("the shares reach 1 together", "leave room for the servers")


def _place_clips(top: Entry, plain: dict[str, Any], folder: Path, *, must_exist: bool) -> None:
    """Make the folder of the user's own clips absolute."""
    clips = plain["workload"].clips if "workload" in plain else "assistant"
    if clips == "assistant":
        return
    found = _found(clips, (folder, Path()), lambda f: (f / "manifest.jsonl").is_file())
    if found is not None:
        plain["workload"] = replace(plain["workload"], clips=str(found))
    elif must_exist:
        what = f"there is no folder {clips!r} with a manifest.jsonl"
        raise top.at("workload", "clips").wrong(what, "name one, or write assistant")


def _check_metrics(top: Entry) -> list[str]:
    """Directions that contradict ours are refused; the rest of `metrics` is ignored."""
    if "metrics" not in top.items():
        return []
    metrics = top.at("metrics").items()
    directions = metrics["target_direction"].items() if "target_direction" in metrics else {}
    for name, entry in directions.items():
        asked = entry.build(Literal["up", "down", "neutral"], LIMITS)
        if (ours := DIRECTIONS.get(name)) and asked not in (ours, "neutral"):
            verb = "maximises" if ours == "up" else "minimises"
            raise entry.wrong(f"{asked} contradicts this project, which {verb} {name}", f"write {ours} or remove it")
    return [f"metrics.{k}" for k in metrics if k != "target_direction"]


def _measure(top: Entry, folder: Path) -> Literal["live"] | Path:
    entry = top.at("measure")
    if not entry.given or (not entry.is_mapping and entry.scalar() == "live"):
        return "live"
    if not entry.is_mapping or set(entry.items()) != {"recorded"}:
        raise entry.wrong("it is neither `live` nor a recording", "write `live` or `{recorded: FILE}`")
    entry = entry.at("recorded")
    named = entry.build(str, LIMITS)
    shipped = Path(str(files("objectives"))) / "recordings"
    if found := _found(named, (folder, shipped), Path.is_file):
        return found
    known = ", ".join(sorted(f.name for f in shipped.glob("*.jsonl"))) or "none"
    raise entry.wrong(f"there is no recording {named!r}", f"name a file of scripts/record.py (shipped: {known})")


def _found(name: str, folders: Iterable[Path], test: Callable[[Path], bool]) -> Path | None:
    """The absolute path of a file or folder that passes the test; links stay as they are."""
    for folder in folders:
        path = Path(os.path.expanduser(name) if name[:1] == "~" else folder / name).absolute()  # noqa: PTH111
        try:
            if name and test(path):
                return path
        except OSError:  # a name that is too long, or a folder that may not be entered: not found there
            continue
    return None


def _device(top: Entry, budget: Budget) -> str:
    entry = top.at("device")
    device = str(entry.scalar()) if entry.given else "cuda"
    if not re.fullmatch(r"cpu|cuda|(cuda:)?[0-9]{1,3}|(GPU|MIG)-[0-9A-Za-z/-]+", device):
        raise entry.wrong(f"{entry.shown} is no device", "write cpu, cuda, an index such as 0, or a UUID (GPU-...)")
    if device != "cpu" and not budget.allow_gpu:
        raise top.at("budget", "allow_gpu").wrong("it forbids the GPU that `device` asks for", "write `device: cpu`")
    return device.removeprefix("cuda:")


def _searched(top: Entry) -> dict[str, Entry]:
    entries = top.at("search_space").items()
    if not entries:
        raise top.at("search_space").wrong("it is empty", f"search {SHARE} or {SPEECH}")
    seen: dict[str, str] = {}
    for name, entry in entries.items():
        if (twin := seen.setdefault(name.replace("-", "_"), name)) != name:
            raise entry.wrong(f"it is the same option as {twin}", "remove one")
    return entries


def _bounds(top: Entry) -> dict[str, tuple[float, float]]:
    bounds = dict(DEFAULT_BOUNDS)
    given = top.at("bounds").items() if top.at("bounds").given else {}
    known = [n for n in {SHARE, *top.at("search_space").items()} if n != SPEECH]
    for name, entry in given.items():
        if name not in known:
            raise entry.unknown(sorted(known))
        low, high = bounds[name] = entry.build(tuple[float, float], {})
        if low > high:
            raise entry.wrong(f"{low:g} is above {high:g}", "write [low, high]")
        if name == SHARE and not 0 < low <= high < 1:
            raise entry.wrong(f"[{low:g}, {high:g}] leaves 0 to 1", "a share lies between 0 and 1, both excluded")
    return bounds


def _named(entry: Entry, quality: str | None) -> None:
    """Refuse a name that is no parameter, or one that may not be searched."""
    name = entry.path[-1]
    server, _, flag = name.replace("-", "_").partition(".")
    if name in (SHARE, SPEECH):
        return
    if not re.fullmatch(r"(vllm|whisper)\.[A-Za-z][\w.-]*", name):
        way_out = meant(name, (SHARE, SPEECH)) + ", or name a server option vllm.<flag> or whisper.<option>"
        raise entry.wrong("unknown parameter", way_out)
    if way_out := SET_BY_US.get(f"{server}.{flag}", ""):
        raise entry.wrong("it is set by the study itself", way_out)
    if server == "vllm" and flag.split(".")[0] in CHANGES_ANSWERS and quality is None:
        way_out = "remove it, or accept that with `gates: {llm_quality: unmeasured}`, which marks the promotion"
        raise entry.wrong("it changes the LLM's answers, whose quality is not measured", way_out)


def _parameter(entry: Entry, name: str, bounds: Mapping[str, tuple[float, float]], quality: str | None) -> Parameter:
    _named(entry, quality)
    if entry.is_mapping:
        return _range(entry, name, bounds)
    elements = entry.elements()
    if not elements:
        raise entry.wrong("the list is empty", "name at least one value")
    choices: list[Scalar] = []
    for e in elements:
        value = e.scalar()
        if value is None or value == "":
            raise e.wrong("an empty value", "write a number or text")
        if choices and _kind(value) != _kind(choices[0]):
            raise e.wrong(f"{e.shown} is of another kind than {choices[0]!r}", "list numbers only, or text only")
        if value in choices:
            raise e.wrong(f"{e.shown} is listed twice", "remove one")
        choices.append(value)
        if (kind := CLASSIC.get(name)) and _kind(value) != kind:
            raise e.wrong(f"{e.shown} is not a {kind}", f"write a {kind}")
        _inside(e, name, value, bounds)
    return Parameter(name, tuple(choices))


def _kind(value: Scalar) -> str:
    match value:
        case bool():
            return "true or false"
        case str():
            return "text"
        case _:
            return "number"


def _inside(entry: Entry, name: str, value: Scalar, bounds: Mapping[str, tuple[float, float]]) -> None:
    if name not in bounds:
        return
    low, high = bounds[name]
    if isinstance(value, str | bool) or not low <= value <= high:
        way_out = f"choose from there, or set `bounds: {{{name}: [low, high]}}`"
        raise entry.wrong(f"{value} is outside the bounds {low:g} to {high:g}", way_out)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Range:
    low: float
    high: float
    step: float | None = None
    log: bool = False


def _range(entry: Entry, name: str, bounds: Mapping[str, tuple[float, float]]) -> Parameter:
    asked: _Range = entry.build(_Range, {})
    low, high, step = (entry.at(k).scalar() for k in ("low", "high", "step"))
    if name == SPEECH:
        raise entry.wrong("sizes are no range", "list them: [tiny, base]")
    if asked.low >= asked.high:
        raise entry.at("high").wrong(f"{high} is not above low, {low}", "write low < high")
    for key in ("low", "high"):
        _inside(entry.at(key), name, getattr(asked, key), bounds)
    if asked.log and (asked.low <= 0 or step is not None):
        raise entry.at("log").wrong("a logarithmic range needs low above 0 and no step", "raise low or remove log")
    if asked.step is not None:
        steps = (asked.high - asked.low) / asked.step if asked.step > 0 else 0.0
        if not 1 - 1e-9 <= steps <= 10_000 or not math.isclose(steps, round(steps), rel_tol=1e-6):
            raise entry.at("step").wrong(f"{step} does not divide {low} to {high}", "choose one that ends at high")
    assert isinstance(low, int | float) and isinstance(high, int | float)  # noqa: S101  built as numbers
    return Parameter(name, low=low, high=high, step=asked.step, log=asked.log)


def _on(parameter: Parameter, value: Scalar) -> bool:
    """Whether the parameter can take exactly this value."""
    if parameter.choices:
        kinds = {_kind(c) for c in parameter.choices}
        return _kind(value) in kinds and any(value == c for c in parameter.choices)
    if isinstance(value, str | bool) or not parameter.low <= value <= parameter.high:
        return False
    match parameter.distribution:
        case IntDistribution(low=low, step=step):
            return float(value).is_integer() and (int(value) - low) % step == 0
        case FloatDistribution(low=flow, step=fstep) if fstep is not None:
            return math.isclose((value - flow) / fstep, round((value - flow) / fstep), abs_tol=1e-6)
    return True


def _baseline(
    top: Entry, parameters: tuple[Parameter, ...], stt: SttService, bounds: Mapping[str, tuple[float, float]]
) -> dict[str, Scalar]:
    """A value for each parameter: the given one, or for the classic two their default."""
    given = top.at("baseline").items() if top.at("baseline").given else {}
    searched = {p.name: p for p in parameters}
    values: dict[str, Scalar] = {}
    for name, entry in given.items():
        _named(entry, "fixed")
        value = entry.scalar()
        if value is None or CLASSIC.get(name, _kind(value)) != _kind(value):
            raise entry.wrong(f"{entry.shown} is not a value of {name}", f"write a {CLASSIC.get(name, 'value')}")
        if name in searched and not _on(searched[name], value):
            listed = searched[name].choices
            one = f"name one of {', '.join(map(str, listed))}" if listed else "name a value in its range"
            raise entry.wrong(f"{value} is not in search_space.{name}", f"add it there or {one}")
        _inside(entry, name, value, bounds)
        values[name] = value
    for name, parameter in searched.items():
        if name not in values and name not in (SHARE, SPEECH):
            if len(parameter.choices) != 1:
                raise top.at("baseline", name).wrong("it has no value in use today", f"add `{name}: VALUE` there")
            values[name] = parameter.choices[0]
    if SHARE not in values:
        values[SHARE] = _nearest_half(searched.get(SHARE))
        _inside(top.at("baseline", SHARE), SHARE, values[SHARE], bounds)
    if SPEECH not in values:
        sizes = searched[SPEECH].choices if SPEECH in searched else tuple(stt.models)
        known = [str(s) for s in sizes if s not in stt.random_weights]
        if not known:
            way_out = f"add `{SPEECH}: SIZE` to baseline"
            raise top.at("baseline", SPEECH).wrong("no size has a known word error rate", way_out)
        values[SPEECH] = max(known, key=lambda s: (_rank(s), known.index(s)))
    return values


def _nearest_half(parameter: Parameter | None) -> float:
    if parameter is None or _on(parameter, 0.5):
        return 0.5
    if parameter.size is None:
        return min(max(0.5, parameter.low), parameter.high)
    return min((float(v) for v in parameter.values()), key=lambda v: abs(v - 0.5))


def _rank(size: str) -> int:
    return next((n for n, name in enumerate(WHISPER_ORDER) if name in size), -1)


def _sizes(space: Space, baseline: Mapping[str, Scalar]) -> list[str]:
    listed = next((p.choices for p in space.parameters if p.name == SPEECH), ())
    return [str(s) for s in listed] or [str(baseline[SPEECH])]


def _services(
    top: Entry, device: str, parameters: tuple[Parameter, ...], folder: Path | None
) -> tuple[Services, list[str]]:
    """Both services, checked; `folder` is the spec's, for a live study, whose interpreters must exist."""
    entry = top.at("services")
    if entry.given:
        entry.only(("llm", "stt"))
    llm, notes = _llm(entry.at("llm"), folder)
    stt = _stt(entry.at("stt"), device, folder)
    named = {e.path[-1]: e for key in ("baseline", "search_space") for e in top.at(key).entries()}
    for label, command in (("llm", llm.command), ("stt", stt.command)):
        if command is not None:
            _check_template(entry.at(label, "command"), command, _of(label, parameters), {SHARE, SPEECH, *named})
    for name, at in named.items():
        option = name.removeprefix("whisper.").replace("-", "_")
        if name.startswith("whisper.") and stt.command is None and option not in WHISPER_OPTIONS:
            raise at.wrong("our speech server has no such option", meant(option, WHISPER_OPTIONS))
    return Services(llm=llm, stt=stt), notes


def _of(label: str, parameters: Iterable[Parameter]) -> list[Parameter]:
    """The parameters of one service."""
    classic, prefix = (SHARE, "vllm.") if label == "llm" else (SPEECH, "whisper.")
    return [p for p in parameters if p.name == classic or p.name.startswith(prefix)]


def _llm(entry: Entry, folder: Path | None) -> tuple[LlmService, list[str]]:
    llm: LlmService = entry.build(LlmService, LIMITS) if entry.given else DEFAULT_LLM
    if llm.command is not None:
        return llm, []
    notes = []
    if not entry.at("model").given:
        llm = replace(llm, model=DEFAULT_LLM.model, args=llm.args or DEFAULT_LLM.args)
        notes.append(f"services.llm.model is not given: {llm.model} is used")
    for argument in llm.args:
        flag = argument.partition("=")[0]
        if flag.startswith("--") and f"vllm.{flag[2:].replace('-', '_')}" in {*SET_BY_US, "vllm.model"}:
            raise entry.at("args").wrong(f"{flag} is set by the study itself", "remove it")
    if folder is not None:
        python = _interpreter(entry.at("python"), llm.python, folder)
        llm = replace(llm, python=python, model=_model(entry.at("model"), llm.model, folder))
    return llm, notes


def _stt(entry: Entry, device: str, folder: Path | None) -> SttService:
    stt: SttService = entry.build(SttService, LIMITS) if entry.given else SttService()
    if not entry.at("device").given:
        stt = replace(stt, device="cpu" if device == "cpu" else "cuda")
    elif stt.device == "cuda" and device == "cpu":
        raise entry.at("device").wrong("cuda, where the study's device is cpu", "write cpu")
    if stt.command is not None:
        return stt
    return stt if folder is None else replace(stt, python=_interpreter(entry.at("python"), stt.python, folder))


def _check_template(entry: Entry, template: str, mine: Iterable[Parameter], names: set[str]) -> None:
    try:
        used = placeholders(template)
    except ValueError as error:
        raise entry.wrong(f"its braces do not close: {error}", "write {name}") from error
    if unknown := sorted(used - names - {"port", "model"}):
        known = ["port", "model", *sorted(names)]
        raise entry.wrong(f"unknown placeholder {{{unknown[0]}}}", meant(unknown[0], known))
    if "port" not in used:
        raise entry.wrong("it has no {port}", "add {port}, where the server's port goes")
    for p in mine:
        if len(p.choices) != 1 and p.name not in used and not (p.name == SPEECH and "model" in used):
            raise entry.wrong(f"{p.name} is searched and not in it", f"add {{{p.name}}}, or do not search it")


def _with_models(top: Entry, services: Services, sizes: list[str], folder: Path | None) -> Services:
    """The services with a model for every size that the study may use, and no other."""
    if services.stt.command is not None:
        return services
    models: dict[str, str] = {}
    for size in sizes:
        entry = top.at("services", "stt", "models", size)
        model = services.stt.models.get(size, WHISPER_HUB.get(size))
        if model is None:
            raise entry.wrong(f"there is no model for {size!r}", f"add `{size}: FOLDER` to services.stt.models")
        models[size] = model if folder is None else _model(entry, model, folder)
    return replace(services, stt=replace(services.stt, models=models))


def _interpreter(entry: Entry, name: str, folder: Path) -> str:
    """The absolute path of an interpreter; links stay, since a virtual environment is known by its own."""
    way_out = _way_out(name, "name the file of an existing one")
    if os.sep not in name:
        if found := shutil.which(name):
            return str(Path(found).absolute())
        raise entry.wrong(f"{name!r} is not on the PATH", way_out)
    if path := _found(name, (folder, Path()), lambda file: file.is_file() and os.access(file, os.X_OK)):
        return str(path)
    raise entry.wrong(f"there is no interpreter {name!r}", way_out)


def _model(entry: Entry, name: str, folder: Path) -> str:
    """The absolute path of a model's folder, or the hub id as it is."""
    if path := _found(name, (folder, Path()), Path.is_dir):
        return str(path)
    if re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name):
        return name
    raise entry.wrong(f"there is no folder {name!r}", _way_out(name, "name a model's folder or a hub id, org/name"))


def _way_out(name: str, otherwise: str) -> str:
    return "run python scripts/install_cpu_servers.py" if ".servers" in Path(name).parts else otherwise
