"""Checks the spec: what people have loads.

Every mistake is one line with file, line, key and the way out.
"""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import yaml
from processes.commands import ROOT

import study
from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.errors import BadInput
from objectives.fitness import PRESETS
from objectives.plain_data.ranges import Range
from objectives.search_space.parameter import Parameter
from objectives.servers.tenants import Tenant
from objectives.services import LlmService, OtherService, SttService
from objectives.traffic.workload import Workload
from study.spec import load as spec_module
from study.spec.load import load
from study.spec.model import (
    KEYS,
    Budget,
    FitnessRule,
    Gates,
    Selector,
    Spec,
    SpecFile,
)
from study.spec.services.of_turns import KINDS
from study.spec.traces.options import TRACE_KEYS

STUDY = Path(study.__file__).parent
SPECS = STUDY / "specs"

LEGACY = """\
name: spica_gpu_allocation
enabled: true
template: null
search_space:
  vllm_memory_util: [0.40, 0.45, 0.50, 0.55, 0.60]
  whisper_model_size: ["tiny", "base", "small"]
evaluator: {path: ..., class: ..., init_kwargs: {}}  # accepted, and not used
budget: {wallclock_sec: 360, max_candidates: 10, max_generations: 4, allow_gpu: true}
metrics: {target_direction: {stt_latency_ms: down, llm_latency_ms: down,
  gpu_utilization: neutral, oom_events: down, concurrent_capacity: up}}
selector: {kind: rzero, tournament_size: 4, survivors: 2, elitism: 1, fresh_inject: 1}
"""

SMALL = """\
name: small
measure: {recorded: some.jsonl}
device: cpu
search_space:
  vllm_memory_util: [0.40, 0.50]
  whisper_model_size: [tiny, base]
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a spec beside a recording and an interpreter, and give its path."""
    (tmp_path / "some.jsonl").touch()
    python = tmp_path / "venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (tmp_path / "llm").mkdir()

    def written(text: str | bytes) -> Path:
        path = tmp_path / "spec.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def changed(**keys: str) -> str:
    """Return the small spec with these top-level keys, as YAML, in place of its own or added."""
    text = SMALL
    for key, value in keys.items():
        if key == "search_space":
            text = text[: text.index("search_space")] + f"search_space: {value}\n"
        elif re.search(rf"^{key}:", text, re.MULTILINE):
            old = next(line for line in text.splitlines() if line.startswith(f"{key}:"))
            text = text.replace(old, f"{key}: {value}")
        else:
            text = f"{key}: {value}\n{text}"
    return text


def refusal(path: Path, experiment: str | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        load(path, experiment)
    message = str(caught.value)
    assert "\n" not in message
    assert "; " in message, "an error ends with the way out"
    assert message.startswith(str(path))
    assert caught.value.exit_code == 2
    return message.removeprefix(str(path))


# what loads


def test_the_block_that_people_have_loads_unchanged(write: Any) -> None:
    spec = load(write(LEGACY))
    assert spec.name == "spica_gpu_allocation"
    assert spec.search_space.parameters == (
        Parameter("vllm_memory_util", (0.40, 0.45, 0.50, 0.55, 0.60)),
        Parameter("whisper_model_size", ("tiny", "base", "small")),
    )
    assert spec.search_space.size == 15
    assert str(spec.baseline) == "vllm_memory_util=0.5 whisper_model_size=small"
    assert spec.budget == Budget(wallclock_sec=360.0, max_candidates=10, max_generations=4)
    assert spec.budget.max_trials == 40
    assert spec.selector == Selector()
    assert (spec.measure, spec.device, spec.services["stt"].device) == ("live", "cuda", "cuda")
    assert spec.services["stt"].models["small"] == "Systran/faster-whisper-small"
    assert spec.ignored == ("evaluator.path", "evaluator.class", "evaluator.init_kwargs")
    assert any("own measurement" in note for note in spec.notes)


def test_an_existing_file_may_hold_more(write: Any) -> None:
    more = LEGACY.replace("enabled: true", "enabled: false").replace(
        "metrics: {", "metrics: {map: {a: b}, "
    )
    path = write(f"{more}version: 3\nrun: {{out: x}}\nmutators: [a, b]\nlogging: {{level: INFO}}\n")
    spec = load(path)
    assert {"version", "run", "mutators", "logging", "metrics.map"} <= set(spec.ignored)
    assert any("enabled: false" in note for note in spec.notes)


def test_only_the_chosen_experiment_is_validated(write: Any) -> None:
    block = "".join(f"    {line}\n" for line in LEGACY.splitlines()).replace(
        "    name", "  - name", 1
    )
    path = write(f"version: 1\nexperiments:\n  - name: other\n    search_space: 7\n{block}")
    spec = load(path, "spica_gpu_allocation")
    assert spec.name == "spica_gpu_allocation"
    assert {"version", "experiments.other"} <= set(spec.ignored)
    assert "other or spica_gpu_allocation" in refusal(path)
    assert "other or spica_gpu_allocation" in refusal(path, "missing")
    assert ":4: search_space:" in refusal(path, "other")


def test_the_only_experiment_of_a_list_needs_no_name(write: Any) -> None:
    block = "".join(f"    {line}\n" for line in SMALL.splitlines()).replace(
        "    name", "  - name", 1
    )
    assert load(write(f"experiments:\n{block}")).name == "small"


def test_a_key_of_ours_beside_experiments_is_refused(write: Any) -> None:
    path = write(
        "experiments: [{name: a, search_space: {whisper_model_size: [tiny]}}]\ndevice: cpu\n"
    )
    assert ":2: device: it stands beside" in refusal(path)


@pytest.mark.parametrize("name", ["cpu", "cpu_recorded", "gpu", "levers"])
def test_packaged_specs_load_where_their_files_exist(
    name: str, tmp_path: Path, monkeypatch: Any
) -> None:
    servers = tmp_path / ".servers"
    for folder in ("vllm/bin", "models/llm", "models/whisper/tiny.en", "models/whisper/base"):
        (servers / folder).mkdir(parents=True)
    (servers / "vllm/bin/python").symlink_to(sys.executable)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to(sys.executable)
    (tmp_path / "cpu.jsonl").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"{name}.yaml"
    path.write_text((SPECS / f"{name}.yaml").read_text())
    spec = load(path)
    assert (spec.ignored, spec.notes) == ((), ())
    assert spec.text == path.read_text()
    if name == "gpu":
        assert spec.services["llm"].python == str(tmp_path / "bin/python")
    if name == "cpu":
        assert spec.services["llm"].python == str(tmp_path / ".servers/vllm/bin/python"), (
            "a venv's link stays a link"
        )
        assert spec.services["stt"].models["base"] == str(servers / "models/whisper/base")


@pytest.mark.parametrize(
    ("live", "recorded"),
    [
        ("cpu.yaml", SPECS / "cpu_recorded.yaml"),
        ("gpu_h100.yaml", ROOT / "tests/specs/h100_recorded.yaml"),
        ("gpu_h100_wide.yaml", SPECS / "h100_wide_recorded.yaml"),
    ],
)
def test_the_recorded_study_is_the_live_one_replayed(live: str, recorded: Path) -> None:
    """It has no ramp, turns or words of their own, which version 0.1 did not have."""
    texts = [file.read_text() for file in (SPECS / live, recorded)]
    shared = ["device:" + t.partition("\ndevice:")[2] for t in texts]
    rates = "words|seed|window_s|turns_per_s|llm_per_s|llm_burst|stt_per_s"
    of_turns = re.compile(rf"^ *(ramp_s|pause_s|{rates}): .*\n|^limits: .*\n\n", re.MULTILINE)
    assert "ramp_s: 0 " in shared[1] and "turns_per_s" not in shared[1]
    assert "turns_per_s" in shared[0]
    shared[0] = shared[0].replace("--dtype, float32, ", "")  # the tiny LLM of 0.1 was in bfloat16
    assert of_turns.sub("", shared[0]) == of_turns.sub("", shared[1])


def test_the_study_that_ships_is_the_live_one_replayed() -> None:
    live, recorded = ((SPECS / f"{n}.yaml").read_text() for n in ("gpu_h200", "h200_recorded"))
    shared = ["device:" + t.partition("\ndevice:")[2] for t in (live, recorded)]
    text = re.sub(r"  words: dictation .*\n", "", shared[1])  # what a live one takes by itself
    assert text != shared[1] and text == shared[0]


def test_a_recording_of_a_longer_window_is_replayed(write: Any) -> None:
    assert load(write(changed(workload="{window_s: 600}"))).workload.window_s == 600


def test_gpu_yaml_explains_every_key() -> None:
    text = (SPECS / "gpu.yaml").read_text()
    for f in fields(Spec):
        if f.name != "enabled" and f not in fields(SpecFile):
            assert re.search(rf"^(# )?{f.name}:", text, re.MULTILINE), f.name


def test_every_key_has_a_field_and_a_place_in_the_guide() -> None:
    """Check that the guide's table has the fields of `Spec` as keys.

    What a key holds stands below it.
    """
    rows = re.findall(
        r"^\| `([\w.]+)` \| .+ \|(.*)\|$", (STUDY / "guides/spec.md").read_text(), re.M
    )
    below = {key: set(re.findall(r"`(\w+)`", text)) for key, text in rows}
    assert len(below) == len(rows)
    expected = dict[str, set[str]]()
    for name, hint in get_type_hints(Spec).items():
        if name == "services":
            kinds = {**KINDS, "NAME": OtherService}
            expected |= {f"services.{k}": keys_of(v) for k, v in kinds.items()}
        elif name == "limits":
            expected[name] = {*DEFAULT_LIMITS, "llm_latency_p95_ms"}
        elif name in KEYS:
            expected[name] = keys_of(hint)
    expected["workload"] -= {"beside"}  # said by the services
    expected["workload"] |= {*TRACE_KEYS}
    expected["workloads"] |= {*TRACE_KEYS, "stt_per_s"}
    assert below == expected | {
        "search_space": {"vllm_memory_util", "vllm_memory_mib", "whisper_model_size"},
        "measure": {"recorded"},
        "baseline": set(),
    }


def keys_of(hint: Any) -> set[str]:
    """Return the keys below one: the fields of its dataclass, or of its list's elements."""
    kind = next((k for k in (hint, *get_args(hint)) if is_dataclass(k)), None)
    return {f.name for f in fields(kind)} if kind else set()


def limits_of(kind: type) -> dict[str, Range | None]:
    """Return the range of each number of a dataclass."""
    limits = dict[str, Range | None]()
    for name, hint in get_type_hints(kind, include_extras=True).items():
        plain, within = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
        if {int, float} & {plain, *get_args(plain)}:
            limits[name] = within
    return limits


def test_every_number_has_limits() -> None:
    for kind in (
        Budget,
        Selector,
        Gates,
        FitnessRule,
        Tenant,
        Workload,
        LlmService,
        SttService,
        Spec,
    ):
        assert is_dataclass(kind)
        for name, limits in limits_of(kind).items():
            assert limits is not None, f"{kind.__name__}.{name}"


def test_weights_have_limits_and_those_of_presets_lie_within() -> None:
    _, within = get_args(get_type_hints(FitnessRule, include_extras=True)["weights"])
    weights = [w for preset in PRESETS.values() for w in preset.values()]
    assert all(within.low <= weight <= within.high for weight in weights)


def test_defaults_lie_within_their_limits() -> None:
    for defaults in (
        Budget(),
        Selector(),
        Gates(),
        FitnessRule(),
        Workload(),
        LlmService(),
    ):
        limits = limits_of(type(defaults))
        for f in fields(defaults):
            value = getattr(defaults, f.name)
            for number in value if isinstance(value, tuple) else [value]:
                if isinstance(number, int | float) and not isinstance(number, bool):
                    within = limits[f.name]
                    assert within and within.low <= number <= within.high, f.name


@pytest.mark.parametrize(
    ("space", "baseline"),
    [
        ("{vllm_memory_util: [0.4, 0.6]}", "vllm_memory_util=0.4 whisper_model_size=base"),
        ("{vllm_memory_util: [0.32, 0.47, 0.55]}", "vllm_memory_util=0.47 whisper_model_size=base"),
        (
            "{vllm_memory_util: {low: 0.3, high: 0.45}}",
            "vllm_memory_util=0.45 whisper_model_size=base",
        ),
        (
            "{whisper_model_size: [small.en, tiny, small]}",
            "vllm_memory_util=0.5 whisper_model_size=small",
        ),
        (
            "{whisper_model_size: [large-v3, medium]}",
            "vllm_memory_util=0.5 whisper_model_size=medium",
        ),
    ],
)
def test_the_baseline_is_half_and_the_largest_known_whisper(
    write: Any, space: str, baseline: str
) -> None:
    services = "{stt: {models: {tiny: a/b, base: c/d}, random_weights: [large-v3]}}"
    assert str(load(write(changed(search_space=space, services=services))).baseline) == baseline


def test_parameters_that_are_not_searched_are_fixed_by_the_baseline(write: Any) -> None:
    text = changed(
        search_space="{vllm_memory_util: [0.5]}",
        baseline="{whisper_model_size: tiny, vllm.max_num_seqs: 8}",
    )
    space = load(write(text)).search_space
    assert space.fixed == {"whisper_model_size": "tiny", "vllm.max_num_seqs": 8}
    assert [str(a) for a in space.grid()] == [
        "vllm_memory_util=0.5 whisper_model_size=tiny vllm.max_num_seqs=8"
    ]


def test_ranges_keep_whole_numbers_whole(write: Any) -> None:
    share = "vllm_memory_util: {low: 0.3, high: 0.5, step: 0.05}"
    space = f"{{{share}, vllm.max_num_seqs: {{low: 8, high: 128, log: true}}}}"
    today = "{vllm_memory_util: 0.4, vllm.max_num_seqs: 16, whisper_model_size: tiny}"
    spec = load(write(changed(search_space=space, baseline=today)))
    share, seqs = spec.search_space.parameters
    assert share.values() == (0.3, 0.35, 0.4, 0.45, 0.5)
    assert (seqs.low, seqs.log, str(seqs.distribution)) == (
        8,
        True,
        "IntDistribution(high=128, log=True, low=8, step=1)",
    )


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("8 GB", {"args": "2048", "prompt": "512, 1920", "whisper": "tiny, base", "today": "base"}),
        ("24 GB", {"args": "16384", "prompt": "", "whisper": "base, small, medium", "today": ""}),
    ],
)
def test_what_gpu_yaml_says_of_another_card_loads(
    tmp_path: Path, card: str, words: dict[str, str]
) -> None:
    text = (SPECS / "gpu.yaml").read_text()
    said = re.search(rf"# +{card}: (.*(\n# {{9,}}.*)?)", text)
    assert said is not None and all(word in said[1] for word in words.values())
    for now, then in (
        ('"4096"', f'"{words["args"]}"'),
        ("prompt_tokens: [512, 2048]", f"prompt_tokens: [{words['prompt'] or '512, 2048'}]"),
        ('["tiny", "base", "small", "large-v3-turbo"]', f"[{words['whisper']}]"),
        ("whisper_model_size: small}", f"whisper_model_size: {words['today'] or 'small'}}}"),
    ):
        assert now in text
        text = text.replace(now, then)
    (tmp_path / "my_gpu.yaml").write_text(text)
    assert load(tmp_path / "my_gpu.yaml", is_here=False).search_space.size


def test_bounds_may_be_widened_in_the_spec(write: Any) -> None:
    text = changed(
        search_space="{vllm_memory_util: [0.2, 0.9], whisper_model_size: [tiny]}",
        bounds="{vllm_memory_util: [0.1, 0.95]}",
    )
    assert load(write(text)).bounds == {"vllm_memory_util": (0.1, 0.95)}


def test_what_changes_the_answers_may_be_searched_when_it_says_so(write: Any) -> None:
    text = changed(
        search_space="{vllm.kv-cache-dtype: [auto, fp8]}",
        baseline="{vllm.kv-cache-dtype: auto, whisper_model_size: base}",
        gates="{llm_quality: unmeasured}",
    )
    assert load(write(text)).gates.llm_quality == "unmeasured"


def test_given_weights_replace_those_of_the_preset(write: Any) -> None:
    rule = load(write(changed(fitness="{preset: latency, weights: {capacity: 0.5}}"))).fitness
    assert rule.effective_weights == {
        "stt": 0.35,
        "llm": 0.35,
        "capacity": 0.5,
        "stability": 0.15,
        "efficiency": 0.05,
    }
    assert (
        load(write(changed(fitness="{preset: latency}"))).fitness.effective_weights
        == PRESETS["latency"]
    )


def test_any_server_may_stand_in_by_a_template(write: Any) -> None:
    services = """
  llm: {command: "llama-server --port {port} -c {vllm.ctx} -ngl {vllm_memory_util}"}
  stt: {command: "speech --port {port} --model {model}", health_path: /ready}"""
    space = (
        "{vllm_memory_util: [0.4, 0.5], vllm.ctx: [1024, 2048], whisper_model_size: [mine, yours]}"
    )
    today = "{vllm_memory_util: 0.4, vllm.ctx: 1024, whisper_model_size: yours}"
    text = changed(search_space=space, baseline=today, services=services, measure="live")
    assert load(write(text)).baseline.speech == "yours"


@pytest.mark.parametrize(
    ("today", "taken"),
    [
        ("", "vllm_memory_util=0.5 and whisper_model_size=base"),
        ("baseline: {vllm_memory_util: 0.50}", "whisper_model_size=base"),
        ("baseline: {whisper_model_size: base}", "vllm_memory_util=0.5"),
    ],
)
def test_what_is_taken_for_a_baseline_that_nobody_wrote_is_said(
    write: Any, today: str, taken: str
) -> None:
    text = "\n".join(line for line in SMALL.splitlines() if not line.startswith("baseline:"))
    notes = load(write(f"{text}\n{today}\n")).notes
    assert any(f"in use today: {taken} is taken for it" in note for note in notes)


@pytest.mark.parametrize("today", ["none", "{vllm_memory_util: 0.50, whisper_model_size: base}"])
def test_a_baseline_that_is_whole_needs_no_note(write: Any, today: str) -> None:
    assert not any("is taken for" in note for note in load(write(changed(baseline=today))).notes)


@pytest.mark.parametrize(
    "shares",
    ["[70, 80]", "[8192]", "[10GB]", "[70%]", "[0,60 0,70]", "[0.6, 1]", "{low: 40, high: 70}"],
)
def test_a_share_that_is_no_part_of_1_is_told_how_it_is_written(write: Any, shares: str) -> None:
    told = refusal(write(changed(search_space=f"{{vllm_memory_util: {shares}}}")))
    assert told.endswith("; write a part of 1, as 0.7 for 70 %, or MiB as `vllm_memory_mib`")


def test_an_amount_of_memory_with_a_unit_is_told_how_it_is_written(write: Any) -> None:
    told = refusal(write(changed(search_space="{vllm_memory_mib: [10GB]}")))
    assert told.endswith("'10GB' is not a number; write MiB without a unit, as 8192 for 8 GiB")


def test_a_whisper_that_is_not_known_is_told_where_it_is_searched(write: Any) -> None:
    text = changed(search_space="\n  whisper_model_size:\n  - tiny\n  - large-v4")
    told = refusal(write(text))
    assert told.startswith(":7: search_space.whisper_model_size: there is no model for 'large-v4';")
    assert "add `large-v4: FOLDER` to services.stt.models; otherwise, did you mean large" in told


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        ("embed: {api: embeddings, command: 'x {port}'}", "services"),
        ("llm: {start_timeout_s: 9}", "services"),
        ("stt:", "services"),
        ("prompt_tokens: [8, 16]", "workload"),
        ("wallclock_sec: 60", "budget"),
        ("wer_points: 2", "gates"),
    ],
)
def test_a_key_that_lost_its_indentation_is_told_where_it_belongs(
    write: Any, lines: str, where: str
) -> None:
    name = lines.partition(":")[0]
    told = refusal(write(f"{SMALL}{lines}\n"))
    assert told == f":7: {name}: it belongs below `{where}:`; indent it there"


@pytest.mark.parametrize(
    ("llm", "key"),
    [
        ("{python: $HOME/venv/bin/python}", "python"),
        ("{python: '${VENV}/bin/python'}", "python"),
        ("{model: '${MODELS}/qwen', python: venv/bin/python}", "model"),
    ],
)
def test_a_path_with_a_variable_is_told_that_nothing_expands_it(
    write: Any, llm: str, key: str
) -> None:
    told = refusal(write(changed(measure="live", services=f"{{llm: {llm}}}")))
    assert f"services.llm.{key}: there is no " in told
    assert told.endswith("; write the path out: variables are not expanded here")


def test_a_baseline_may_leave_out_what_has_one_value(write: Any) -> None:
    space = "{vllm_memory_util: [0.4], whisper_model_size: [tiny, base]}"
    spec = load(write(changed(search_space=space, baseline="{whisper_model_size: tiny}")))
    assert spec.baseline.share == 0.4
    assert not any("is taken for" in note for note in spec.notes)


def test_live_paths_become_absolute_beside_the_spec_and_links_stay(
    write: Any, tmp_path: Path
) -> None:
    services = "{llm: {python: venv/bin/python, model: llm}, stt: {python: ./venv/bin/python}}"
    spec = load(write(changed(measure="live", services=services)))
    assert (
        spec.services["llm"].python
        == spec.services["stt"].python
        == str(tmp_path / "venv/bin/python")
    )
    assert spec.services["llm"].model == str(tmp_path / "llm")


def test_a_replay_needs_none_of_the_services(write: Any, tmp_path: Path) -> None:
    spec = load(
        write(
            changed(
                services="{llm: {python: /no/such, model: ./none}, stt: {models: {tiny: ./none}}}"
            )
        )
    )
    assert spec.measure == tmp_path / "some.jsonl"
    assert spec.services["llm"].python == "/no/such"


def test_anchors_and_merge_keys_are_read(write: Any) -> None:
    text = changed(budget="{<<: *b, max_candidates: 3}").replace(
        "name: small", "name: small\ntags: &b {wallclock_sec: 60}"
    )
    text = "\n".join(sorted(text.splitlines(), key=lambda line: line.startswith("budget"))) + "\n"
    assert load(write(text)).budget == Budget(wallclock_sec=60, max_candidates=3)


def test_scientific_notation_is_a_number(write: Any) -> None:
    assert load(write(changed(budget="{wallclock_sec: 1e3}"))).budget.wallclock_sec == 1000.0


# what is refused

BAD_TEXTS: list[tuple[str, str | bytes, tuple[str, ...]]] = [
    ("empty", "", (":1: ", "empty", "study/specs/cpu.yaml")),
    ("only comments", "# nothing\n", (":1: ", "empty")),
    ("a list", "- a\n", (":1: ", "not a mapping")),
    ("a sentence", "hello\n", (":1: ", "'hello' is not a mapping")),
    ("syntax", "name: a\nbudget: {a: 1\nx: [\n", (":2: ", "not valid YAML", "line 3;")),
    ("a tab", "name: a\nbudget:\n\tx: 1\n", (":3: ", "not valid YAML")),
    ("two documents", "name: a\n---\nname: b\n", (":2: ", "not valid YAML")),
    ("unknown alias", "name: *a\n", (":1: ", "undefined alias")),
    ("latin-1", "name: a\nx: \xe9\n".encode("latin-1"), (":2: ", "UTF-8")),
    ("binary", b"name: a\n\x00\x01\x02", (":2: ", "character")),
    ("too large", "# " + "x" * 300_000, (":1: ", "larger than 256 KiB")),
    ("too deep", "a: " + "[" * 5000, (":1: ", "nested too deeply")),
    (
        "an alias bomb",
        "a0: &a0 [x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)),
        (":1: ", "aliases unfold"),
    ),
    ("a cycle", "name: &a [*a]\n", (":1: ", "alias contains itself")),
    ("an escape beyond Unicode", 'name: "\\UFFFFFFFF"\n', (":1: ", "not valid YAML")),
    ("a list as key", "? [a, b]\n: 1\n", (":1: ", "key is not text")),
    (
        "a twin",
        SMALL + "device: cpu\n",
        (":7: device: the key is here twice, first in line 3", "remove one"),
    ),
    (
        "a nested twin",
        SMALL + "budget:\n  max_candidates: 1\n  max_candidates: 2\n",
        (":9: budget.max_candidates:",),
    ),
    ("an object", SMALL + "sampler: !!python/name:os.system\n", (":7: sampler:", "untagged")),
    ("no name", SMALL.removeprefix("name: small\n"), (":1: name: it is missing", "add `name:`")),
    ("no space", SMALL[: SMALL.index("search_space")], ("search_space: it is missing",)),
]


@pytest.mark.parametrize(
    ("text", "expected"), [c[1:] for c in BAD_TEXTS], ids=[c[0] for c in BAD_TEXTS]
)
def test_a_file_that_is_no_spec_is_one_line(
    write: Any, text: str | bytes, expected: tuple[str, ...]
) -> None:
    message = refusal(write(text))
    for part in expected:
        assert part in message


BAD_VALUES: list[tuple[dict[str, str], tuple[str, ...]]] = [
    ({"sampelr": "tpe"}, (":1: sampelr: unknown key", "did you mean sampler?")),
    ({"zzz": "1"}, (":1: zzz: unknown key", "choose name, enabled")),
    ({"name": "2024"}, ("name: 2024 is not text", "in quotes")),
    ({"name": "a/b"}, ("name: 'a/b' cannot name a folder",)),
    ({"name": '"two\\nlines"'}, ("name: ", "cannot name a folder")),
    ({"enabled": "1"}, ("enabled: 1 is not true or false",)),
    ({"sampler": "tpee"}, ("sampler: 'tpee' is not known", "did you mean tpe?")),
    ({"sampler": "[tpe]"}, ("sampler: a list stands where",)),
    ({"precheck": "no"}, ("precheck: no is not known", "prune or report")),
    ({"reserve_mib": "-1"}, ("reserve_mib: -1 is out of range",)),
    ({"reserve_mib": ".nan"}, ("reserve_mib: .nan is no number",)),
    ({"reserve_mib": "1e999"}, ("reserve_mib: 1e999 is no finite number",)),
    ({"reserve_mib": "true"}, ("reserve_mib: true is not a number",)),
    ({"reserve_mib": "1:30"}, ("reserve_mib: 1:30 is no number",)),
    ({"measure": "lively"}, ("measure: it is neither", "write `live` or `{recorded: FILE}`")),
    (
        {"measure": "{recorded: none.jsonl}"},
        ("measure.recorded: there is no recording 'none.jsonl'", "record.py"),
    ),
    ({"measure": "{recorded: 3}"}, ("measure.recorded: 3 is not text",)),
    ({"device": "gpu"}, ("device: 'gpu' is no device", "cuda")),
    (
        {"device": "cuda", "budget": "{allow_gpu: false}"},
        ("budget.allow_gpu: it forbids", "device: cpu"),
    ),
    ({"budget": "{max_candidates: 0}"}, ("budget.max_candidates: 0 is out of range", "from 1 to")),
    ({"budget": "{max_candidates: 2.5}"}, ("budget.max_candidates: 2.5 is not a whole number",)),
    (
        {"budget": "{max_candidate: 2}"},
        ("budget.max_candidate: unknown key", "did you mean max_candidates?"),
    ),
    ({"budget": "{wallclock_sec: '360'}"}, ("budget.wallclock_sec: '360' is not a number",)),
    ({"budget": "5"}, ("budget: 5 is not a mapping",)),
    ({"budget": ""}, ("budget: nothing is not a mapping",)),
    ({"selector": "{kind: nsga2}"}, ("selector.kind: 'nsga2' is not known", "use rzero")),
    ({"selector": "{survivors: 5}"}, ("selector.survivors: 5 survivors of 4", "tournament_size")),
    ({"selector": "{elitism: -1}"}, ("selector.elitism: -1 is out of range",)),
    ({"gates": "{llm_quality: fine}"}, ("gates.llm_quality: 'fine' is not known", "unmeasured")),
    (
        {"fitness": "{preset: fast}"},
        ("fitness.preset: 'fast'", "balanced, latency, capacity or quality"),
    ),
    ({"fitness": "{weights: {stt: -1}}"}, ("fitness.weights.stt: -1 is out of range",)),
    ({"fitness": "{weights: {sst: 1}}"}, ("fitness.weights.sst: unknown key", "stt")),
    ({"fitness": "{weights: 1}"}, ("fitness.weights: 1 is not a mapping",)),
    (
        {"fitness": "{weights: {stt: 0, llm: 0, stability: 0, efficiency: 0}}"},
        ("fitness.weights: every term",),
    ),
    ({"tenants": "[{name: a}]"}, ("tenants: tenant 'a' needs one of mib and share",)),
    ({"tenants": "[{mib: 5}]"}, ("tenants.name: it is missing",)),
    (
        {"tenants": "[{name: a, mib: 1}, {name: a, mib: 1}]"},
        ("tenants.name: 'a' is no name of its own",),
    ),
    (
        {"tenants": "[{name: a, share: 0.6}, {name: b, share: 0.5}]"},
        ("tenants: the shares reach 1",),
    ),
    ({"tenants": "{name: a}"}, ("tenants: a mapping is not a list",)),
    ({"workload": "{window_s: 0}"}, ("workload.window_s: 0 is out of range",)),
    (
        {"workload": "{stt_per_s: 0}"},
        ("workload.stt_per_s: it sends 0 requests", "write a rate of at least"),
    ),
    (
        {"workload": "{turns_per_s: 0.001}"},
        ("workload.turns_per_s: it sends 0.06 turns", "write a rate of at least 0.0166667"),
    ),
    (
        {"workload": "{turns_per_s: 0, llm_per_s: 1}"},
        ("workload.stt_per_s: it sends 0 requests", "name turns_per_s above 0"),
    ),
    (
        {"workload": "{turns_per_s: 1, llm_per_s: 0.001}"},
        ("workload.llm_per_s: it sends 0.06 requests", "write a rate of at least 0.0166667"),
    ),
    (
        {"workload": "{turns_per_s: 1, llm_burst: 6}"},
        ("workload.llm_burst: no burst is sent", "write llm_per_s, e.g. 0.1"),
    ),
    (
        {"workload": "{window_s: 240.5}", "measure": "live"},
        ("workload.window_s: 240.5 s is more than 240", "write at most 240"),
    ),
    (
        {"workload": "{window_s: 240.0001}", "measure": "live"},
        ("workload.window_s: 240.0001 s is more than 240",),
    ),
    ({"workload": "{turns_per_s: -1}"}, ("workload.turns_per_s: -1 is out of range",)),
    ({"workload": "{prompt_tokens: [9, 3]}"}, ("workload.prompt_tokens: the shortest",)),
    (
        {"workload": "{prompt_tokens: [9]}"},
        ("workload.prompt_tokens: the list has 1 values", "write 2"),
    ),
    ({"workload": "{prompt_tokens: [0, 9]}"}, ("workload.prompt_tokens: 0 is out of range",)),
    ({"workload": "{burst: 3}"}, ("workload.burst: unknown key", "did you mean llm_burst?")),
    ({"search_space": "{}"}, (":4: search_space: it is empty",)),
    ({"search_space": "[0.4]"}, ("search_space: a list is not a mapping",)),
    (
        {"search_space": "{whisper_model_size: []}"},
        ("search_space.whisper_model_size: the list is empty",),
    ),
    (
        {"search_space": "{whisper_model_size: tiny}"},
        ("search_space.whisper_model_size: 'tiny' is not a list",),
    ),
    (
        {"search_space": "{whisper_model_size: [tiny, tiny]}"},
        ("'tiny' is listed twice", "remove one"),
    ),
    ({"search_space": "{whisper_model_size: [tiny, 3]}"}, ("3 is of another kind than 'tiny'",)),
    ({"search_space": "{whisper_model_size: [1]}"}, ("1 is not a text",)),
    (
        {"search_space": "{whisper_model_size: [gigantic]}"},
        ("search_space.whisper_model_size: there is no model",),
    ),
    ({"search_space": "{whisper_model_size: {low: 1, high: 2}}"}, ("sizes are no range",)),
    ({"search_space": "{vllm_memory_util: [0.4, 0.40]}"}, ("0.40 is listed twice",)),
    (
        {"search_space": "{vllm_memory_util: [[0.4]]}"},
        ("a list stands where a single value belongs",),
    ),
    ({"search_space": "{vllm_memory_util: [true]}"}, ("true is not a number",)),
    ({"search_space": "{vllm_memory_util: [.inf]}"}, (".inf is no number",)),
    (
        {"search_space": "{vllm_memory_util: [0.4,\n 0.8]}"},
        (":5: search_space.vllm_memory_util: 0.8 is outside", "bounds"),
    ),
    (
        {"search_space": "{vllm_memory_util: {low: 0.5, high: 0.4}}"},
        ("vllm_memory_util.high: 0.4 is not above",),
    ),
    (
        {"search_space": "{vllm_memory_util: {low: 0.2, high: 0.4}}"},
        ("vllm_memory_util.low: 0.2 is outside",),
    ),
    ({"search_space": "{vllm_memory_util: {low: 0.3}}"}, ("vllm_memory_util.high: it is missing",)),
    (
        {"search_space": "{vllm_memory_util: {low: 0.3, high: 0.4, step: 0.03}}"},
        ("step: 0.03 does not divide",),
    ),
    (
        {"search_space": "{vllm_memory_util: {low: 0.3, high: 0.4, step: 1e-9}}"},
        ("step: 1e-09 does not divide",),
    ),
    (
        {"search_space": "{vllm.x: {low: 0, high: 4, log: true}}"},
        ("vllm.x.log: a logarithmic range needs low above 0",),
    ),
    (
        {"search_space": "{vllm_memory_utl: [0.4]}"},
        ("unknown parameter", "did you mean vllm_memory_util?"),
    ),
    (
        {"search_space": "{vllm.quantization: [awq, none]}"},
        ("changes the LLM's answers", "llm_quality: unmeasured"),
    ),
    ({"search_space": "{vllm.max-model-len: [1024]}"}, ("changes the LLM's answers",)),
    (
        {"search_space": "{vllm.gpu-memory-utilization: [0.4]}"},
        ("set by the study", "use vllm_memory_util"),
    ),
    (
        {"search_space": "{vllm.a-b: [1, 2], vllm.a_b: [1, 2]}"},
        ("vllm.a_b: it is the same option as vllm.a-b",),
    ),
    (
        {
            "search_space": "{vllm.max_num_seqs: [1, 2]}",
            "baseline": "{vllm.max_num_seqs: 1, vllm.max-num-seqs: 8}",
        },
        ("baseline.vllm.max-num-seqs: it is the same option as vllm.max_num_seqs",),
    ),
    ({"search_space": "{vllm.gpu-mem: [0.4]}"}, ("set by the study", "use vllm_memory_util")),
    ({"baseline": "{vllm.device_memory: 0.4}"}, ("set by the study", "use vllm_memory_util")),
    (
        {"search_space": "{vllm.max_num_seqs: [1, 2]}"},
        ("baseline.vllm.max_num_seqs: it has no value",),
    ),
    (
        {"search_space": "{whisper.beam: [1]}"},
        ("whisper.beam: our speech server has no such option", "beam_size"),
    ),
    ({"search_space": "{vllm_memory_util: [0.4]}"}, ("baseline.whisper_model_size: no size",)),
    (
        {"baseline": "{vllm_memory_util: 0.45}"},
        ("baseline.vllm_memory_util: 0.45 is not in", "one of 0.4, 0.5"),
    ),
    (
        {"baseline": "{whisper_model_size: small}"},
        ("baseline.whisper_model_size: small is not in", "tiny, base"),
    ),
    ({"baseline": "{speech: small}"}, ("baseline.speech: unknown parameter",)),
    (
        {"bounds": "{vllm_memory_util: [0.45, 0.60]}"},
        ("search_space.vllm_memory_util: 0.4 is outside the bounds",),
    ),
    ({"bounds": "{vllm_memory_util: [0, 1]}"}, ("bounds.vllm_memory_util: [0, 1] leaves 0 to 1",)),
    ({"bounds": "{vllm_memory_util: [0.6, 0.3]}"}, ("bounds.vllm_memory_util: 0.6 is above 0.3",)),
    ({"bounds": "{whisper_model_size: [0, 1]}"}, ("bounds.whisper_model_size: unknown key",)),
    (
        {"metrics": "{target_direction: {llm_latency_ms: up}}"},
        ("metrics.target_direction.llm_latency_ms: up", "minimises"),
    ),
    ({"metrics": "{target_direction: {llm_latency_ms: sideways}}"}, ("'sideways' is not known",)),
    (
        {"services": "{tts: {}}"},
        ("services.tts: it is neither `llm` nor `stt`", "write `api:` completions, chat,"),
    ),
    (
        {"services": "{llm: {pyhton: x}}"},
        ("services.llm.pyhton: unknown key", "did you mean python?"),
    ),
    (
        {"services": "{llm: {args: [--max-model-len, 4096]}}"},
        ("services.llm.args: 4096 is not text", "in quotes"),
    ),
    (
        {"services": "{llm: {args: [--port, '1']}}"},
        ("services.llm.args: --port is set by the study",),
    ),
    ({"services": "{llm: {env: {A: 1}}}"}, ("services.llm.env.A: 1 is not text",)),
    ({"services": "{llm: {vocabulary: 0}}"}, ("services.llm.vocabulary: 0 is out of range",)),
    (
        {"services": "{stt: {device: cuda}}"},
        ("services.stt.device: cuda, where the study's device is cpu",),
    ),
    (
        {"services": "{llm: {command: 'serve {vllm_memory_util}'}}"},
        ("services.llm.command: it has no {port}",),
    ),
    (
        {"services": "{llm: {command: 'serve {prot}'}}"},
        ("services.llm.command: unknown placeholder {prot}", "port?"),
    ),
    ({"services": "{llm: {command: 'serve {port'}}"}, ("services.llm.command: its braces",)),
    (
        {"services": "{llm: {command: 'serve {port}'}}"},
        ("vllm_memory_util is searched and not in it",),
    ),
]


@pytest.mark.parametrize(
    "file",
    [*SPECS.glob("*.yaml"), *(Path(__file__).parents[2] / "specs").glob("*.yaml")],
    ids=lambda file: file.name,
)
def test_every_ramp_of_a_spec_that_is_here_reaches_twice_the_capacity(file: Path) -> None:
    workload = yaml.safe_load(file.read_text())["workload"]
    usual = Workload()
    ramp_s = workload.get("ramp_s", usual.ramp_s)
    assert ramp_s == 0 or ramp_s >= 3 * workload.get("ramp_doubling_s", usual.ramp_doubling_s)


LIVE = "{llm: {python: venv/bin/python, model: llm}}"
BAD_VALUES += [
    ({"slo": "{multiple: 1.5}"}, ("slo", "a word of 0.1", "write `limits:`")),
    ({"workload": "{ladder_s: 30}"}, ("workload.ladder_s", "a word of 0.1", "write `ramp_s`")),
    ({"workload": "{session_pause_s: 1}"}, ("session_pause_s", "write `pause_s`")),
    ({"workload": "{session_turn_tokens: 1}"}, ("session_turn_tokens", "prompt_tokens")),
    ({"claim": "concurrent_capacity"}, ("claim", "a claim of 0.1", "write capacity")),
    ({"claim": "llm_latency_ms"}, ("claim", "a claim of 0.1", "write latency")),
    ({"claim": "fitness"}, ("claim", "a claim of 0.1", "write either")),
    ({"claim": "capacities"}, ("claim: 'capacities' is not known", "did you mean capacity?")),
    ({"margins": "{llm_tpot_ms: 100}"}, ("margins: it is a word of 0.1", "write `limits:`")),
    ({"margins": "{}"}, ("margins: it is a word of 0.1",)),
    ({"workload": "{ladder_max_sessions: 8}"}, ("ladder_max_sessions", "a word of 0.1", "ramp_s")),
    ({"workload": "{session_ramp_s: 8}"}, ("session_ramp_s", "a word of 0.1", "`ramp_s`")),
    ({"workload": "{session_prompt_tokens: 8}"}, ("a word of 0.1", "`prompt_tokens`")),
    ({"workload": "{ladder_step: 2}"}, ("workload.ladder_step", "a word of 0.1", "ramp_s")),
    ({"workload": "{session_think_s: 2}"}, ("session_think_s", "a word of 0.1", "ramp_s")),
    ({"slo": "null"}, ("slo", "a word of 0.1", "write `limits:`")),
    ({"limits": "{stt_p95_ms: 900}"}, ("a word of 0.1", "write `stt_latency_p95_ms`")),
    ({"limits": "{llm_p95_ms: 900}"}, ("a word of 0.1", "write `llm_latency_p95_ms`")),
    ({"limits": "{multiple: 1.5}"}, ("a word of 0.1", "a limit is a time")),
    (
        {"limits": "{stt_ttft_p95_ms: 1}"},
        ("limits.stt_ttft_p95_ms", "it is no limit", "mean llm_ttft_p95_ms?"),
    ),
    ({"limits": "{llm_ttft_p95_ms: 0}"}, ("limits.llm_ttft_p95_ms", "out of range")),
    ({"workload": "{ramp_s: 60}"}, ("workload.ramp_s", "75 s, and not in 60", "at least 75")),
    (
        {"workload": "{ramp_s: 44, ramp_doubling_s: 15}"},
        ("workload.ramp_s", "write at least 45, a shorter ramp_doubling_s, or 0"),
    ),
]
BAD_VALUES += [
    ({"measure": "live", **keys}, parts)
    for keys, parts in (
        (
            {"services": LIVE.replace("venv/", "gone/")},
            ("services.llm.python: there is no interpreter 'gone/bin/python'",),
        ),
        (
            {"services": LIVE.replace("venv/bin/python", "llm/")},
            ("services.llm.python: there is no interpreter",),
        ),
        (
            {"services": LIVE.replace("venv/bin/python", "nosuchpython")},
            ("'nosuchpython' is not on the PATH",),
        ),
        ({"services": LIVE.replace("venv/", ".servers/v/")}, ("install_cpu_servers.py",)),
        (
            {"services": LIVE.replace("model: llm", "model: ./gone")},
            ("services.llm.model: there is no folder './gone'",),
        ),
        (
            {"services": LIVE.replace("model: llm", "model: ''")},
            ("services.llm.model: it is empty; name the model's folder or hub id",),
        ),
        (
            {"services": "{llm: {model: .servers/models/x}}"},
            ("services.llm.model", "install_cpu_servers.py"),
        ),
        (
            {"services": "{llm: {model: .servers/models/no/llm-19b}}"},
            ("services.llm.model", "make_models.py --like"),
        ),
        (
            {"services": "{llm: {model: llm}, stt: {models: {tiny: /gone}}}"},
            ("services.stt.models.tiny: there is no",),
        ),
        (
            {"services": f"{{llm: {{model: {'x' * 300}}}}}"},
            ("services.llm.model: there is no folder",),
        ),
        ({"workload": "{clips: nowhere}"}, ("workload.clips: there is no folder 'nowhere'",)),
    )
]


@pytest.mark.parametrize(
    ("keys", "expected"), BAD_VALUES, ids=[f"{n}-{c[1][0]}" for n, c in enumerate(BAD_VALUES)]
)
def test_a_wrong_value_names_line_key_and_way_out(
    write: Any, keys: dict[str, str], expected: tuple[str, ...]
) -> None:
    message = refusal(write(changed(**keys)))
    assert re.match(r":\d+: [\w.#-]+: .+; .+", message), message
    for part in expected:
        assert part in message


def test_the_line_is_that_of_the_value(write: Any) -> None:
    path = write(SMALL.replace("[0.40, 0.50]", "\n    - 0.40\n    # a comment\n    - 0.90"))
    assert refusal(path).startswith(":8: search_space.vllm_memory_util: 0.9 is outside")


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_bad_input(tmp_path: Path, name: str) -> None:
    assert "name a YAML file" in refusal(tmp_path / name)


def test_an_experiment_of_a_file_without_experiments_is_refused(write: Any) -> None:
    assert "no experiment 'other'" in refusal(write(SMALL), "other")
    assert load(write(SMALL), "small").name == "small"


def test_no_file_means_the_packaged_default(monkeypatch: Any, write: Any) -> None:
    monkeypatch.setattr(spec_module, "DEFAULT_SPEC", str(write(SMALL)))
    assert load(None).name == "small"


@pytest.mark.parametrize("name", ["model", "python", "X" * 900])
def test_a_refusal_quotes_the_beginning_of_a_long_value(tmp_path: Path, name: str) -> None:
    path = tmp_path / "my.yaml"
    space = {"vllm_memory_util": [0.4, 0.5], "whisper_model_size": ["base"]}
    text = {
        "name": "my",
        "measure": "live",
        "device": "cpu",
        "search_space": space,
        "baseline": {"vllm_memory_util": 0.4, "whisper_model_size": "base"},
        "services": {"llm": {"python": sys.executable, name: "[" * 3000}},
    }
    path.write_text(yaml.safe_dump(text))
    with pytest.raises(BadInput) as caught:
        load(path)
    assert len(str(caught.value)) < 1_600 and "services.llm." in str(caught.value)
