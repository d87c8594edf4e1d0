"""This module makes up data for tests: a spec, a recording, launches and runs of numbers.

The recording has 5 shares x 2 sizes with two walls. Its best allocation is 0.55 beside `tiny`,
whose words cannot be told from those of `base`; so 0.55 beside `base` wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import optuna
import yaml
from made.made_up import (  # noqa: F401  tests take some of them from here
    TOTAL_MIB,
    Cell,
    Outcome,
    cell,
    changed,
    measurement,
    only,
    oom,
    slower,
    words,
)

from objectives import recording
from objectives.apis.api import Endpoint
from objectives.apis.completions import Completions
from objectives.apis.transcription import Transcriptions
from objectives.devices.device import Identity, Occupant, Sample
from objectives.devices.device_set import Room
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.engines.vllm.kv_cache import usage
from objectives.measurement import Measurement
from objectives.recording.kept_replies import Rows
from objectives.setting import conditions
from study.confirmation.records import Pair, PairLaunch, Stress
from study.sampler_benchmark.trial_run import SamplerRun
from study.search.opening.open_study import open_study
from study.search.samplers import sampler_of
from study.search.score import Scorer
from study.spec.load import load
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.setting import conditions_of, setting_of
from study.storage.comparability import identity_of
from study.storage.context import StudyContext, fields_from

SHARES, SIZES = (0.40, 0.45, 0.50, 0.55, 0.60), ("tiny", "base")
DEVICE = Identity("Made-up card", "GPU-made-up", TOTAL_MIB, "580.1", "13.0")
VERSIONS = {
    "llm": {"vllm": "0.26.0"},
    "stt": {"faster-whisper": "1.2.1", "ctranslate2": "4.8.5"},
}
BEST, HELD_BACK = (
    {"vllm_memory_util": 0.55, "whisper_model_size": "base"},
    "vllm_memory_util=0.55 whisper_model_size=tiny",
)

SPEC: dict[str, Any] = {
    "name": "made",
    "measure": {"recorded": "made.jsonl"},
    "device": "cpu",
    "search_space": {"vllm_memory_util": list(SHARES), "whisper_model_size": list(SIZES)},
    "baseline": {"vllm_memory_util": 0.50, "whisper_model_size": "base"},
    "services": {
        "llm": {"model": "a/model"},
        "stt": {"models": {"tiny": "a/tiny", "base": "a/base"}},
    },
    "workload": {"window_s": 20},
    "gates": {"free_memory_mib": 0},
    "selector": {"exhausted": "stop"},
}


class Card:
    """A card of numbers is shared by a game: they differ look by look, and the last one stays.

    Args:
        free_mib: Its free memory.
        game_mib: What the game holds; None: that cannot be told.
        unit: The unit of the game.
    """

    identity = Identity("Card", "GPU-1", 12_000.0, "580.1", "13.0")
    compute: float | None = None
    server_env: Mapping[str, str] = {}

    def __init__(
        self,
        *free_mib: float,
        game_mib: Iterable[float | None] = (3000.0,),
        unit: str | None = None,
    ) -> None:
        self.free_mib, self.game_mib, self.unit = [*(free_mib or (9000.0,))], [*game_mib], unit

    def sample(self) -> Sample:
        """Return its free memory at this look."""
        return Sample(0.0, _next(self.free_mib))

    def occupants(self) -> list[Occupant]:
        """Return what is ours, and the game."""
        mib = _next(self.game_mib)
        return [Occupant(1, "ours", 500.0, None), Occupant(7, "a game", mib, self.unit)]

    def held_mib(self, pid: int) -> float | None:
        """Return None: it cannot be told."""
        return None


def _next(numbers: list[Any]) -> Any:
    return numbers.pop(0) if len(numbers) > 1 else numbers[0]


def roomy(total_mib: float) -> dict[str, Room]:
    """Return a device of which nobody holds anything."""
    return {"": Room(Identity("Card", "", total_mib, "580.1", "13.0"), 0.0)}


def endpoints_of(
    llm_url: str, stt_url: str, vocabulary: int | None, metrics_path: str | None = "/metrics"
) -> dict[str, Endpoint]:
    """Return where two servers listen, and how they are spoken to."""
    llm = Endpoint(llm_url, Completions("model", vocabulary), metrics_path, usage)
    return {"stt": Endpoint(stt_url, Transcriptions()), "llm": llm}


def make(
    folder: Path,
    cells: Cell = cell,
    *,
    skip: Iterable[tuple[float, str]] = (),
    repeats: int = 2,
    changes: Mapping[str, Any] | None = None,
    kept: Callable[[float, str], Rows | None] = lambda *_: None,
) -> Path:
    """Write a spec into `folder` with its recording; `changes` are of the recorded spec.

    `kept` are the replies of a launch.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = write_spec(folder, **(changes or {}))
    (folder / "made.jsonl").touch()
    spec = on_device(load(path), TOTAL_MIB, DEVICE.product)
    provenance = recording.Provenance(
        (DEVICE,),
        VERSIONS,
        conditions(setting_of(spec)),
        "2026-11-20T10:00:00",
        limits=dict(spec.limits),
    )
    entries = []
    for repeat in range(1, repeats + 1):
        for a in spec.search_space.grid():
            if (a.share, a.speech) in skip:
                continue
            outcome = cells(a.share, a.speech)
            result = outcome if isinstance(outcome, Measurement) else None
            failure = outcome if isinstance(outcome, Diagnosis) else None
            figures = {} if result else {"device_total_mib": TOTAL_MIB, "stt_start_s": 2.0}
            at = f"2026-11-20T1{repeat}:00:00"
            replies = kept(a.share, a.speech) if result else None
            entries.append(
                recording.RecordedLaunch(
                    dict(a.values),
                    repeat,
                    repeat,
                    at,
                    90.0,
                    result,
                    failure,
                    figures,
                    replies=replies,
                )
            )
    recording.write(folder / "made.jsonl", provenance, entries)
    return path


def write_spec(folder: Path, name: str = "spec.yaml", **changes: Any) -> Path:
    """Write the spec with its top-level keys replaced; None leaves one out."""
    data = {k: v for k, v in (SPEC | changes).items() if v is not None}
    path = folder / name
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def timed(share: float, size: str) -> Outcome:
    """Return `cell` with all that pictures show: seconds by phase, memory by second."""
    outcome = cell(share, size)
    if isinstance(outcome, Diagnosis):
        return outcome
    seconds = {
        "starting stt": 6.0,
        "starting llm": 42.0,
        "alone": 8.0,
        "window": 20.0,
        "ramp": 10.0,
        "stopping": 3.0,
    }
    used_mib = tuple(range(2000, 2000 + int(12_000 * share), 500))
    return changed(outcome, phase_s=seconds, used_mib_by_s=used_mib)


STRESS = Stress(
    requests=9,
    clips=24,
    prompt_tokens=16,
    free_memory_mib=900.0,
    after_restart_mib=800.0,
    failure=None,
    in_restart=False,
    at="2026-11-20T10:00:00",
    wall_s=20.0,
)


def pair(
    number: int,
    baseline: dict[str, Any],
    winner: dict[str, Any],
    *,
    stage: str = "ab",
    workloads: tuple[str, ...] = ("main",),
) -> Pair:
    """Return a pair whose launches have these figures under every workload."""
    launches = [
        PairLaunch(role, dict.fromkeys(workloads, measurement(**figures)))  # type: ignore[arg-type]
        for role, figures in (("baseline", baseline), ("winner", winner))
    ]
    order = launches if number % 2 else launches[::-1]
    return Pair(
        stage=stage,
        number=number,
        launches=(order[0], order[1]),
        at=f"2026-11-20T10:{number:02}:00",  # type: ignore[arg-type]
        wall_s=100.0,
        card="shelf-0",
    )


def run_of(
    problem: str = "smooth",
    sampler: str = "tournament",
    seed: int = 0,
    *,
    found: int | None = 5,
    budget: int = 40,
    **changes: Any,
) -> SamplerRun:
    """Return a run whose path ends at the target, or misses it."""
    path = ((0, 2.0), (1, 1.0), *(((found, 0.0),) if found else ()))
    usual: dict[str, Any] = {
        "problem": problem,
        "sampler": sampler,
        "batch": 1,
        "seed": seed,
        "budget": budget,
        "fresh": 15,
        "path": path,
        "found": found,
        "repeats": 0,
        "oom": None,
        "oom_repeats": None,
        "named": {},
        "wall_s": 0.1,
    }
    return SamplerRun(**usual | changes)


def context_of_spec(spec: Spec, **changes: Any) -> StudyContext:
    """Return what a live study of a spec asks on the made-up card."""
    usual: dict[str, Any] = {
        "device": DEVICE,
        "versions": VERSIONS,
        "server_env": {},
        "held_mib": 0,
        "measured_elsewhere": None,
        "git_commit": None,
    }
    return StudyContext(**fields_from(spec, setting_of(spec)), **usual | changes)


def identity_of_spec(spec: Spec, *, restarts: bool = False) -> dict[str, Any]:
    """Return what makes the trials of a spec comparable on the made-up card."""
    is_live = spec.measure == "live"
    conditions = conditions_of(spec)
    return identity_of(conditions, DEVICE, VERSIONS, is_live=is_live, restarts=restarts)


def open_made(
    spec: Spec,
    storage: optuna.storages.BaseStorage,
    identity: Mapping[str, Any] | None = None,
    *,
    name: str,
    sampler: str = "tournament",
    fresh: bool = False,
    on_line: Callable[[str], None] = lambda _: None,
) -> optuna.Study:
    """Open the study of a spec as a run does."""
    study = open_study(
        spec.search_space,
        Scorer(spec.fitness, spec.gates, spec.workload).signature,
        identity_of_spec(spec) if identity is None else identity,
        storage=storage,
        name=name,
        sampler_name=sampler,
        seed=0,
        fresh=fresh,
        folder=Path(),
        on_line=on_line,
    )
    trials = len(study.get_trials(deepcopy=False))
    study.sampler = sampler_of(sampler, 0, spec, trials)
    return study
