"""Services beside the voice turn are read from a spec: names, traffic, limits and weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import context_of_spec
from made.live_factories import FAKES, SERVER

from objectives.allocation import Allocation
from objectives.engines.registry import engine_of
from objectives.errors import BadInput
from objectives.services import OtherService
from study.spec.load import load
from study.spec.model import Spec

EMBED = {"api": "embeddings", "command": f"{SERVER} --label {{embed.batch_size}}", "per_s": 2}


def read(folder: Path, embed: Any = EMBED, name: str = "embed", **more: Any) -> Spec:
    services = {**FAKES["services"], name: embed}
    space = {**FAKES["search_space"], f"{name}.batch_size": [8, 32]}
    baseline = {**FAKES["baseline"], f"{name}.batch_size": 8}
    path = folder / "three.yaml"
    keys = {"services": services, "search_space": space, "baseline": baseline}
    path.write_text(yaml.safe_dump({**FAKES, **keys, **more}, sort_keys=False))
    return load(path)


def test_it_has_traffic_parameters_limits_and_a_share_of_the_latency(tmp_path: Path) -> None:
    spec = read(tmp_path, limits={"embed_latency_p95_ms": 500})
    assert isinstance(spec.services["embed"], OtherService)
    [traffic] = spec.workload.beside
    assert (traffic.service, traffic.per_s, traffic.tokens) == ("embed", 2.0, (16, 64))
    assert spec.limits["embed_latency_p95_ms"] == 500
    assert spec.search_space.size == 4
    weights = spec.fitness.effective_weights
    assert [weights[n] for n in ("stt", "llm", "embed")] == pytest.approx([0.5 / 3] * 3)
    assert sum(weights.values()) == pytest.approx(1.0)


def test_without_one_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(yaml.safe_dump(FAKES, sort_keys=False))
    spec = load(path)
    assert spec.workload.beside == () and spec.fitness.weights is None


@pytest.mark.parametrize("name", ["llm", "stt"])
def test_one_of_a_turn_that_is_not_named_is_said(tmp_path: Path, name: str) -> None:
    services = {k: v for k, v in FAKES["services"].items() if k != name}
    path = tmp_path / "one.yaml"
    path.write_text(
        yaml.safe_dump({**FAKES, "services": services, "measure": {"recorded": "h100.jsonl"}})
    )
    assert any(f"services names no {name}: the usual one" in note for note in load(path).notes)


def test_weights_of_its_own_count(tmp_path: Path) -> None:
    spec = read(tmp_path, fitness={"weights": {"embed": 0.0, "llm": 0.4}})
    weights = spec.fitness.effective_weights
    assert (weights["embed"], weights["llm"], weights["stt"]) == (0.0, 0.4, pytest.approx(1 / 6))


def test_whether_it_is_resident_is_searched(tmp_path: Path) -> None:
    embed = {**EMBED, "woken_by": "llama_swap", "idle_s": 30}
    space = {**FAKES["search_space"], "embed.batch_size": [8, 32], "embed.resident": [True, False]}
    today = {**FAKES["baseline"], "embed.batch_size": 8, "embed.resident": True}
    spec = read(tmp_path, embed, search_space=space, baseline=today)
    assert spec.search_space.size == 8
    asleep = Allocation({**spec.baseline.values, "embed.resident": False})
    engine = engine_of("embed", spec.services["embed"])
    awake, fronted = (engine.command(a, {}).argv for a in (spec.baseline, asleep))
    assert fronted[-len(awake) :] == tuple(w.replace("{port}", "{own_port}") for w in awake)
    assert engine.memory_key(asleep) == engine.memory_key(spec.baseline)
    assert engine.settings(asleep) == "batch_size=8, woken by llama_swap, stopped after 30 s"


@pytest.mark.parametrize(
    ("service", "option", "is_judged"),
    [
        ({"api": "embeddings"}, "dtype", False),
        ({"api": "rerank"}, "precision", False),
        ({"api": "speech"}, "model", False),
        ({"api": "speech"}, "threads", True),
        ({"api": "transcription"}, "model", True),
    ],
)
def test_what_may_change_answers_that_nobody_judges_is_accepted_in_words_alone(
    tmp_path: Path, service: Any, option: str, *, is_judged: bool
) -> None:
    name = f"other.{option}"
    own = {**service, "command": f"{SERVER} --label {{{name}}}"}
    more = {
        "services": {**FAKES["services"], "other": own},
        "search_space": {**FAKES["search_space"], name: ["a", "b"]},
        "baseline": {**FAKES["baseline"], name: "a"},
    }
    accepted = read(tmp_path, **more, gates={"llm_quality": "unmeasured"})
    another = Allocation({**accepted.baseline.values, name: "b"})
    context = context_of_spec(accepted)
    assert context.unjudged(accepted.baseline) == ()
    assert context.unjudged(another) == (() if is_judged else (name,))
    new = replace(context, has_today=False)
    assert new.unjudged(accepted.baseline) == context.unjudged(another)
    if is_judged:
        assert read(tmp_path, **more).search_space.size == 4
        return
    message = f"{name}: it may change the answers of other, .*`gates: {{llm_quality: unmeasured}}`"
    with pytest.raises(BadInput, match=message):
        read(tmp_path, **more)


ASLEEP = {**EMBED, "resident": False}
SEARCHED = {
    "search_space": {
        **FAKES["search_space"],
        "embed.batch_size": [8],
        "embed.resident": [True, False],
    },
    "baseline": {**FAKES["baseline"], "embed.batch_size": 8, "embed.resident": True},
}


KEPT_ALIVE = {**FAKES["services"]["llm"], "resident": False, "woken_by": "keep_alive"}
SLEEPING = {"resident": False, "woken_by": "front", "sleep_mode": True}
SLEEPY = {**FAKES["services"]["llm"], **SLEEPING}
SPACE = {**FAKES["search_space"], "embed.batch_size": [8, 32]}


@pytest.mark.parametrize(("name", "waker"), [("llm", "llama_swap"), ("stt", "socket_activation")])
def test_whether_a_service_of_turns_is_resident_is_searched_and_changes_no_answer(
    tmp_path: Path, name: str, waker: str
) -> None:
    own = {**FAKES["services"][name], "woken_by": waker, "idle_s": 300, "health_path": "/healthy"}
    spec = read(
        tmp_path,
        services={**FAKES["services"], "embed": EMBED, name: own},
        search_space={**SPACE, f"{name}.resident": [True, False]},
        baseline={**FAKES["baseline"], "embed.batch_size": 8, f"{name}.resident": True},
    )
    asleep = Allocation({**spec.baseline.values, f"{name}.resident": False})
    engine = engine_of(name, spec.services[name])
    awake, fronted = (engine.command(a, {}).argv for a in (spec.baseline, asleep))
    assert fronted[-len(awake) :] == tuple(w.replace("{port}", "{own_port}") for w in awake)
    assert fronted[fronted.index("--health") + 1] == "/healthy"
    assert engine.memory_key(asleep) == engine.memory_key(spec.baseline)
    assert asleep.speech_key == spec.baseline.speech_key
    assert engine.settings(asleep).endswith(f"woken by {waker}, stopped after 300 s")
    assert "woken" not in engine.settings(spec.baseline)


@pytest.mark.parametrize(
    ("embed", "more", "message"),
    [
        (ASLEEP, {}, "services.embed.woken_by: it is missing"),
        (EMBED, SEARCHED, "services.embed.woken_by: it is missing"),
        ({**ASLEEP, "woken_by": "hope"}, {}, "services.embed.woken_by: "),
        ({**EMBED, "woken_by": "front"}, {}, "woken_by: the service never sleeps"),
        ({**EMBED, "idle_s": 5}, {}, "idle_s: the service never sleeps"),
        ({**EMBED, "resident": [True, False]}, {}, "or the list as embed.resident in search_space"),
        ({**EMBED, "health_path": "health"}, {}, "'health' is no path of the server; begin it"),
        ({**ASLEEP, "woken_by": "front", "idle_s": 0}, {}, "services.embed.idle_s: "),
        ({**EMBED, "sleep_mode": True}, {}, "sleep_mode: the service never sleeps"),
        (
            {**ASLEEP, "woken_by": "front", "sleep_mode": True},
            {},
            "sleep_mode: what serves embed has none",
        ),
        ({**ASLEEP, "woken_by": "front"}, SEARCHED, "resident: search_space.embed.resident says"),
        (
            {
                **ASLEEP,
                "command": "docker run -p {port}:80 {embed.batch_size}",
                "woken_by": "front",
            },
            {},
            "services.embed.command: it runs a container",
        ),
        (
            {**EMBED, "woken_by": "front"},
            {"search_space": {**SEARCHED["search_space"], "embed.resident": ["no"]}},
            "search_space.embed.resident: it is a yes or no",
        ),
        (
            EMBED,
            {
                "search_space": {**SPACE, "stt.resident": [True, False]},
                "baseline": {**SEARCHED["baseline"], "stt.resident": True},
            },
            "services.stt.woken_by: it is missing",
        ),
        (
            EMBED,
            {"services": {**FAKES["services"], "embed": EMBED, "llm": {"resident": False}}},
            "services.llm.woken_by: it is missing",
        ),
        (
            EMBED,
            {"services": {**FAKES["services"], "embed": EMBED, "llm": KEPT_ALIVE}},
            "services.llm.woken_by: what serves llm does not unload its model by itself",
        ),
        (  # a template starts it
            EMBED,
            {"services": {**FAKES["services"], "embed": EMBED, "llm": SLEEPY}},
            "services.llm.sleep_mode: what serves llm has none; remove it, or name `engine: vllm`",
        ),
        (
            EMBED,
            {
                "services": {
                    **FAKES["services"],
                    "embed": EMBED,
                    "llm": {"model": "org/m", **SLEEPING},
                }
            },
            "services.llm.sleep_mode: it frees the memory of a GPU alone",
        ),
    ],
)
def test_what_nothing_wakes_may_not_sleep(
    tmp_path: Path, embed: Any, more: Any, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, embed, **more)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("embed", "name", "more", "message"),
    [
        ({"command": SERVER}, "embed", {}, "services.embed: it is neither `llm` nor `stt`"),
        (3, "embed", {}, "services.embed: it is neither"),
        ({**EMBED, "api": "poetry"}, "embed", {}, "services.embed.api: "),
        ({**EMBED, "api": "chat", "texts": 2}, "embed", {}, "2 texts, where chat takes one"),
        ({**EMBED, "api": "transcription", "tokens": [1, 2]}, "embed", {}, "tokens: clips are"),
        ({**EMBED, "output_tokens": 8}, "embed", {}, "output_tokens: only an LLM has it"),
        ({**EMBED, "vocabulary": 8}, "embed", {}, "vocabulary: only an LLM has it"),
        ({**EMBED, "engine": "ollama"}, "embed", {}, "embed.api: ollama does not speak embeddings"),
        ({**EMBED, "engine": "lama"}, "embed", {}, "embed.engine: unknown engine 'lama'"),
        (EMBED, "vllm", {}, "services.vllm: 'vllm' cannot name a service"),
        (EMBED, "llama", {}, "services.llama: 'llama' cannot name a service"),
        (EMBED, "capacity", {}, "'capacity' cannot name a service"),
        (EMBED, "free", {}, "'free' cannot name a service"),
        (EMBED, "Embed-1", {}, "'Embed-1' cannot name a service"),
        ({**EMBED, "tokens": [9, 3]}, "embed", {}, "services.embed.tokens: the shortest is longer"),
        ({**EMBED, "api": "speech", "texts": 2}, "embed", {}, "services.embed.texts: 2 texts"),
        ({**EMBED, "command": "serve"}, "embed", {}, "it has no {port}"),
        ({**EMBED, "command": SERVER}, "embed", {}, "embed.batch_size is searched and not in it"),
        ({**EMBED, "per_s": 0.01}, "embed", {}, "services.embed.per_s: it sends 0.01 requests"),
        ({**EMBED, "model": "x"}, "embed", {}, "services.embed.model: only an engine has it"),
        (EMBED, "embed", {"limits": {"embed_ttft_p95_ms": 5}}, "embed_ttft_p95_ms: it is no limit"),
        (EMBED, "embed", {"fitness": {"weights": {"rank": 1}}}, "fitness.weights.rank: unknown"),
        (EMBED, "embed", {"workload": {"beside": []}}, "workload.beside: unknown key"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    tmp_path: Path, embed: Any, name: str, more: Any, message: str
) -> None:
    with pytest.raises(BadInput) as caught:
        read(tmp_path, embed, name, **more)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_usual_engine_of_speech_has_a_name_that_means_what_none_means(tmp_path: Path) -> None:
    notes = {"api": "transcription", "command": f"{SERVER} {{embed.batch_size}}"}
    stt = {k: v for k, v in FAKES["services"]["stt"].items() if k != "command"}
    plain = read(tmp_path, notes, services={**FAKES["services"], "stt": stt, "embed": notes})
    name = {"engine": "faster_whisper"}
    named_stt = {**stt, **name, "api": "transcription"}
    services = {**FAKES["services"], "stt": named_stt, "embed": {**notes, **name}}
    assert read(tmp_path, services=services).services == plain.services
    with pytest.raises(BadInput, match=r"embed.model: faster_whisper is started by its `command:`"):
        read(tmp_path, {**notes, **name, "model": "x"})
    with pytest.raises(BadInput, match=r"stt.command: faster_whisper has its own"):
        read(tmp_path, services={**services, "stt": {**named_stt, "command": SERVER}})
    with pytest.raises(BadInput, match="api: faster_whisper does not speak embeddings"):
        read(tmp_path, {**EMBED, **name})


@pytest.mark.parametrize(
    ("name", "api", "own"),
    [("llm", "embeddings", "completions or chat"), ("stt", "chat", "transcription")],
)
def test_an_api_that_no_turn_asks_a_service_by_is_refused(
    tmp_path: Path, name: str, api: str, own: str
) -> None:
    services = {**FAKES["services"], name: {**FAKES["services"][name], "api": api}}
    with pytest.raises(BadInput, match=f"services.{name}.api: a turn asks {name} by {own}, and"):
        read(tmp_path, services=services)
