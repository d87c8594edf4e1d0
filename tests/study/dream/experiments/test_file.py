"""Checks what is read of a D-REAM file, and that one wrong entry does not hide the others."""

import time as clock
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path

import pytest
import yaml
from made.dream import dream_file, entry, experiment

from objectives.errors import BadInput
from objectives.figures import Direction
from study.dream.experiments.file import read_dream_file
from study.dream.experiments.model import OwnExperiment
from study.dream.experiments.own import spec_of
from study.dream.experiments.quiet_hours import QuietHours, quiet_until
from study.spec.load import load

# of the shape that people have: keys that nothing reads, lists of lists, disabled entries
ANCESTOR = """\
version: 1
run:
  seed: 20251021
  artifact_root: artifacts/dream
  global_budget: {wallclock_sec: 600, max_candidates: 24, max_generations: 6, cpu_percent_cap: 75}
  scheduling: {selection: round_robin, max_parallel: 2, backoff_on_failure_sec: 30}
spica_retention: {max_instances: 10}
mutators: [{name: gaussian_nudge, kind: numeric, sigma: 0.15}]
fitness_aggregation:
  method: weighted_sum
  weights: {throughput: 0.35, latency: 0.35, quality: 0.3}
experiments:
  - name: spica_health
    enabled: true
    template: null
    search_space:
      every_ms: [1000, 5000]
      metrics: [["cpu", "memory"], ["all"]]
      rerank: [true, false]
      mixed: [1, one, null]
    evaluator: {path: toy.py, class: Toy, init_kwargs: {weights: {a: 0.2}}}
    budget: {wallclock_sec: 720, max_candidates: 8, max_generations: 3, allow_gpu: false}
    metrics:
      target_direction: {accuracy: "up", false_alarms: "down", overhead_pct: "down", note: neutral}
      map: {accuracy: quality, false_alarms: quality, overhead_pct: latency}
    selector: {kind: rzero, tournament_size: 4, survivors: 2, elitism: 1, fresh_inject: 1}
    convergence: {patience_gens: 3}
  - name: audio
    enabled: false
    search_space: {rate: [16000, 22050]}
    evaluator: {path: /home/nowhere/audio.py, class: A}
    overrides: {fitness_weights: {throughput: -0.25}}
  - name: spica_gpu_allocation
    enabled: false
    template: null
    search_space: {vllm_memory_util: [0.4, 0.5], whisper_model_size: [tiny, base, small]}
    evaluator: {path: /home/x/spica_gpu_allocation.py, class: SpicaGPUAllocation, init_kwargs: {}}
    budget: {wallclock_sec: 360, max_candidates: 10, max_generations: 4, allow_gpu: true}
    metrics: {target_direction: {stt_latency_ms: down, gpu_utilization: neutral}, map: {a: b}}
    selector: {kind: rzero, tournament_size: 4, survivors: 2, elitism: 1, fresh_inject: 1}
logging: {level: INFO, jsonl_per_epoch: true}
"""


def test_a_file_of_the_ancestor_loads_unchanged(tmp_path: Path) -> None:
    (tmp_path / "toy.py").touch()
    path = tmp_path / "dream.yaml"
    path.write_text(ANCESTOR)
    file = read_dream_file(path)
    health, gpu = file.experiments
    assert (health.name, health.slug, health.patience) == ("spica_health", "health", 3)
    assert isinstance(gpu, OwnExperiment) and (gpu.device, gpu.slug) == ("cuda", "gpu_allocation")
    assert [(b.name, b.is_enabled) for b in file.broken] == [("audio", False)]
    assert (file.max_parallel, file.backoff_s, file.cpu_pct) == (2, 30.0, 75.0)
    assert file.artifact_root == Path("artifacts/dream")
    assert set(file.ignored) == {"spica_retention", "mutators", "logging"}


def test_its_values_weights_and_caps_are_used(tmp_path: Path) -> None:
    (tmp_path / "toy.py").touch()
    path = tmp_path / "dream.yaml"
    path.write_text(ANCESTOR)
    health = read_dream_file(path).experiments[0]
    values = health.values  # type: ignore[attr-defined]
    assert values.size == 2 * 2 * 2 * 3
    candidate = {"every_ms": 1000, "metrics": ["all"], "rerank": False, "mixed": None}
    assert values.decode(values.encode(candidate)) == candidate
    goals = {g.name: g for g in health.goals}  # type: ignore[attr-defined]
    assert (goals["accuracy"].canonical, goals["accuracy"].weight) == ("quality", 0.3)
    assert goals["note"].direction is Direction.NEUTRAL and not goals["note"].counts
    budget = health.budget  # type: ignore[attr-defined]
    assert (budget.wallclock_sec, budget.max_candidates) == (600.0, 8)
    assert health.seed == 20251021  # type: ignore[attr-defined]
    notes = " ".join(health.notes)
    for text in ("averaged", "limits it to wallclock_sec 600", "no weight"):
        assert text in notes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search_space": {}}, ("search_space: it is empty",)),
        ({"search_space": {"x": []}}, ("x: the list is empty",)),
        ({"search_space": {"x": [1, 2, 1]}}, ("1 is listed twice",)),
        ({"search_space": {"x": {"low": 2, "high": 1}}}, ("high: 1 is not above low",)),
        ({"evaluator": {"path": "gone.py"}}, ("evaluator.path: there is no file gone.py",)),
        ({"evaluator": {"path": "toy.py", "klass": "A"}}, ("unknown key", "did you mean class?")),
        (
            {"evaluator": {"path": "toy.py", "class": "A", "symbol": "f"}},
            ("stands beside `class:`",),
        ),
        ({"evaluator": {"path": "toy.py", "class": "A", "init_kwargs": 3}}, ("is not a mapping",)),
        ({"budget": {"wallclock": 3}}, ("budget.wallclock: unknown key", "wallclock_sec")),
        ({"budget": {"max_candidates": 0}}, ("max_candidates: 0 is out of range",)),
        ({"metrics": {"target_direction": {"a": "sideways"}}}, ("'sideways' is not known",)),
        ({"metrics": {"target_direction": {"a": "neutral"}}}, ("no figure has a weight",)),
        ({"metrics": {"target_direction": {"a": "up"}, "target": {"b": 1}}}, ("unknown key",)),
        ({"selector": {"tournament_size": 2, "survivors": 3}}, ("3 survivors of 2",)),
        ({"selector": {"population_size": 2, "fresh_inject": 2}}, ("fresh_inject",)),
        ({"sampler": "tpee"}, ("sampler: 'tpee' is not known",)),
        ({"baseline": {"x": 9}}, ("baseline: it lies outside the search space",)),
        ({"baseline": {}}, ("baseline.x: it is missing",)),
        ({"name": "../x"}, ("cannot name a file",)),
        ({"enabeld": True}, ("enabeld: unknown key", "did you mean enabled?")),
    ],
)
def test_what_is_wrong_with_an_entry_is_one_line_with_its_place(changes, words, tmp_path) -> None:
    path = dream_file(tmp_path, entry(**changes), entry(name="good"))
    file = read_dream_file(path)
    (broken,) = file.broken
    assert broken.reason.startswith(f"{path}:") and "\n" not in broken.reason
    assert all(word in broken.reason for word in words), broken.reason
    assert [e.name for e in file.experiments] == ["good"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lending": {"units": ["judge.service"]}}, "a replay needs no GPU"),
        ({"lending": {"unit": "x"}}, "lending.unit: unknown key"),
        ({"workload": {"window": 3}}, "workload.window: unknown key"),
    ],
)
def test_an_entry_of_ours_is_read_as_a_spec(changes, words, tmp_path) -> None:
    own = {
        "name": "spica_gpu_allocation",
        "measure": {"recorded": "h100.jsonl"},
        "search_space": {"vllm_memory_util": [0.5, 0.55], "whisper_model_size": ["base"]},
    }
    file = read_dream_file(dream_file(tmp_path, own))
    assert [e.name for e in file.experiments] == ["spica_gpu_allocation"]
    file = read_dream_file(dream_file(tmp_path, {**own, **changes}))
    assert words in file.broken[0].reason and not file.experiments


def test_units_lend_their_gpu_to_a_live_study_in_its_turn(tmp_path: Path) -> None:
    (tmp_path / "toy.py").touch()
    path = tmp_path / "dream.yaml"
    lending = "    lending: {units: [judge.service, user:stt.service], max_outage: 45m}\n"
    path.write_text(ANCESTOR.replace("logging: {", lending + "logging: {"))
    gpu = read_dream_file(path).named("spica_gpu_allocation")
    assert isinstance(gpu, OwnExperiment)
    assert (gpu.lend_from, gpu.max_outage) == (("judge.service", "user:stt.service"), "45m")


def test_a_name_that_is_here_twice_is_refused_once(tmp_path: Path) -> None:
    file = read_dream_file(dream_file(tmp_path, entry(), entry(seed=2)))
    assert [e.name for e in file.experiments] == ["spica_toy"]
    assert "is here twice" in file.broken[0].reason


@pytest.mark.parametrize(
    ("name", "words"),
    [("toy", "toy and spica_toy would write the same files"), ("winners", "folder of all winners")],
)
def test_a_name_whose_files_are_anothers_is_refused(name, words, tmp_path: Path) -> None:
    file = read_dream_file(dream_file(tmp_path, entry(), entry(name=name)))
    assert [e.name for e in file.experiments] == ["spica_toy"]
    assert words in file.broken[0].reason


@pytest.mark.parametrize("value", ["!!python/name:os.system", "2026-13-45", ".nan", "[.inf]"])
def test_a_value_that_is_no_plain_one_breaks_its_entry_alone(value: str, tmp_path: Path) -> None:
    path, good = tmp_path / "dream.yaml", entry(name="good", search_space={"x": [1]})
    good |= {"evaluator": {"path": "toy.py"}}
    for before in ("    - 5\n", "    path: toy.py\n"):
        name = "x" if "- 5" in before else "init_kwargs"
        line = f"    - {value}\n" if name == "x" else f"{before}    init_kwargs: {{a: {value} }}\n"
        text = dream_file(tmp_path, entry(), good).read_text()
        path.write_text(text.replace(before, line, 1))
        file = read_dream_file(path)
        if value == "[.inf]" or (name, value) == ("init_kwargs", ".nan"):
            continue  # plain inside a list or mapping: the evaluator's business
        assert [e.name for e in file.experiments] == ["good"]
        assert name in file.broken[0].reason and "\n" not in file.broken[0].reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("experiments: []", "the list is empty"),
        ("run: {}", "experiments: it is missing"),
        ("experiments: [", "not valid YAML"),
        ("experiments: [{}]\nquiet_hours: ['25:00-26:00']", "are no hours"),
        ("experiments: [{}]\nrun: {scheduling: {max_parallel: 0}}", "max_parallel: 0 is out"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "dream.yaml"
    path.write_text(text)
    with pytest.raises(BadInput, match=words):
        read_dream_file(path)


def test_an_entry_that_is_no_mapping_does_not_hide_the_others(tmp_path: Path) -> None:
    path = dream_file(tmp_path, entry())
    data = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump({"experiments": [3, *data["experiments"]]}))
    file = read_dream_file(path)
    assert [b.name for b in file.broken] == ["experiment 1"] and len(file.experiments) == 1


def test_a_changed_entry_has_another_digest(tmp_path: Path) -> None:
    first = experiment(tmp_path)
    assert experiment(tmp_path).digest == first.digest
    assert experiment(tmp_path, seed=3).digest != first.digest
    assert experiment(tmp_path, "def evaluate(c): ...").digest != first.digest, "or evaluator"


def test_without_a_figure_named_the_evaluators_own_fitness_counts(tmp_path: Path) -> None:
    (goal,) = experiment(tmp_path, metrics=None).goals
    assert (goal.name, goal.direction) == ("fitness", Direction.UP)


def test_the_files_caps_and_the_time_over_all_cycles_are_our_experiments_too(tmp_path) -> None:
    own = {
        "name": "spica_gpu_allocation",
        "measure": {"recorded": "h100.jsonl"},
        "search_space": {"vllm_memory_util": [0.5, 0.55], "whisper_model_size": ["base"]},
        "budget": {"wallclock_sec": 7200, "max_generations": 9, "total_sec": 3600},
    }
    cap = {"global_budget": {"wallclock_sec": 600, "max_generations": 2}}
    path = dream_file(tmp_path, own, run=cap)
    (own_experiment,) = read_dream_file(path).experiments
    assert isinstance(own_experiment, OwnExperiment)
    assert (own_experiment.total_s, own_experiment.max_generations) == (3600.0, 2)
    budget = spec_of(own_experiment, path, path.read_bytes()).budget
    assert (budget.wallclock_sec, budget.max_generations) == (600.0, 2)
    assert "run.global_budget limits it to wallclock_sec 600" in " ".join(own_experiment.notes)
    assert "budget.total_sec" in load(path).ignored, "a run by itself does not use it"


@pytest.fixture
def berlin(monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.parametrize(
    ("hours", "now", "until"),
    [
        # over midnight
        ("23:00-05:00", "2026-01-05T23:30+01:00", "2026-01-06T05:00+01:00"),
        ("23:00-05:00", "2026-01-06T04:59+01:00", "2026-01-06T05:00+01:00"),
        ("23:00-05:00", "2026-01-06T05:00+01:00", None),
        # the clock is set forward at 2 and back at 3
        ("01:00-07:00", "2026-03-29T01:30+01:00", "2026-03-29T07:00+02:00"),
        ("23:00-07:00", "2026-10-24T23:30+02:00", "2026-10-25T07:00+01:00"),
        ("01:00-02:30", "2026-10-25T02:10+02:00", "2026-10-25T02:30+02:00"),
        ("01:00-02:30", "2026-10-25T02:40+02:00", None),
        ("01:00-02:30", "2026-10-25T02:10+01:00", "2026-10-25T02:30+01:00"),
    ],
)
def test_quiet_hours_are_those_of_the_clock_on_the_wall(hours, now, until, berlin) -> None:
    begin, end = map(time.fromisoformat, hours.split("-"))
    local = datetime.fromtimestamp(datetime.fromisoformat(now).timestamp())
    end_of_quiet = quiet_until([QuietHours(begin, end)], local)
    expected = None if until is None else datetime.fromisoformat(until).timestamp()
    assert (end_of_quiet and end_of_quiet.timestamp()) == expected


def test_quiet_hours_that_meet_end_with_the_later() -> None:
    hours = [QuietHours(time(3), time(7)), QuietHours(time(6), time(8))]
    now = datetime(2026, 1, 5, 6, 30)
    assert quiet_until(hours, now) == datetime(2026, 1, 5, 8)
    assert quiet_until(hours, datetime(2026, 1, 5, 8)) is None
