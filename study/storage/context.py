"""What a study asks and where its figures come from, kept in the study itself for whoever reads it later."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import optuna

from objectives.allocation import Allocation, Scalar
from objectives.devices.device import Identity
from objectives.engines.command import Command
from objectives.engines.faster_whisper import stt_command
from objectives.engines.vllm import llm_command
from objectives.errors import BadInput
from objectives.fitness import Weights
from objectives.load.ladder import Slo
from objectives.measurement import plain
from objectives.servers.tenants import Tenant
from objectives.servers.versions import Versions
from objectives.services import LlmService, Services, SttService
from objectives.setting import Setting
from objectives.traffic.workload import Workload
from study.spec.model import FitnessRule, Gates, Spec

KEY = "question"
SECRET = re.compile(r"(?i)(\S*(?:[_-]token|secret|password|api[-_]?key)[= ])\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """Everything that a reader of a study needs and its trials do not hold.

    searched: the values of each searched parameter, in order; none for a continuous range
    held_mib: what others held on the device when the study was opened, tenants not included; None for a recording
    measured_elsewhere: where a replay's figures come from; None for a live study
    slo: the p95 limits of the capacity ladder; None until the baseline has fixed them
    """

    name: str
    spec_file: str
    spec_sha256: str
    searched: Mapping[str, tuple[Scalar, ...]]
    baseline: Allocation
    fitness: FitnessRule
    gates: Gates
    workload: Workload
    tenants: tuple[Tenant, ...]
    services: Services
    server_env: Mapping[str, str]
    reserve_mib: float
    held_mib: float | None
    slo: Slo | None
    device: Identity
    versions: Versions
    measured_elsewhere: str | None
    git_commit: str | None

    @property
    def is_replay(self) -> bool:
        """Whether the figures were measured elsewhere."""
        return self.measured_elsewhere is not None

    @property
    def tenants_mib(self) -> float:
        """What the study's own tenants hold."""
        return sum(t.held_mib(self.device.total_mib) for t in self.tenants)

    def commands(self, allocation: Allocation) -> dict[str, Command]:
        """Both servers' command lines, by service."""
        return {
            "llm": llm_command(allocation, self.services.llm, self.server_env),
            "stt": stt_command(allocation, self.services.stt, self.server_env),
        }


def new_context(
    spec: Spec,
    setting: Setting,
    device: Identity,
    versions: Versions,
    *,
    server_env: Mapping[str, str],
    held_mib: float | None,
    slo: Slo | None,
    measured_elsewhere: str | None,
    git_commit: str | None,
) -> StudyContext:
    """The question that a spec asks of a device."""
    return StudyContext(
        name=spec.name,
        spec_file=spec.path.name,
        spec_sha256=spec.text_sha256,
        searched={
            p.name: p.values() if p.size is not None else () for p in spec.search_space.parameters
        },
        baseline=spec.baseline,
        fitness=spec.fitness,
        gates=spec.gates,
        workload=spec.workload,
        tenants=spec.tenants,
        services=setting.services,
        server_env=dict(server_env),
        reserve_mib=setting.reserve_mib,
        held_mib=held_mib,
        slo=slo,
        device=device,
        versions=versions,
        measured_elsewhere=measured_elsewhere,
        git_commit=git_commit,
    )


def keep(study: optuna.Study, asked: StudyContext) -> None:
    """Store it with the study, unless it is there."""
    data = plain({**asdict(asked), "baseline": dict(asked.baseline.values)})
    if study.user_attrs.get(KEY) != data:
        study.set_user_attr(KEY, data)


def context_of(study: optuna.Study) -> StudyContext:
    """The question of a study.

    raises: BadInput where the study holds none, or one that this version cannot read
    """
    way_out = "run scripts/run_study.py on it once more: it measures nothing twice and writes what is missing"
    if KEY not in study.user_attrs:
        raise BadInput(f"study {study.study_name} does not say what it asked; {way_out}")
    try:
        return _read(study.user_attrs[KEY], study.user_attrs.get("anchor"))
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"study {study.study_name} was written by another version ({error!r}); {way_out}"
        ) from error


def _read(data: Mapping[str, Any], anchor: Mapping[str, Any] | None) -> StudyContext:
    services, rule, workload = data["services"], data["fitness"], data["workload"]
    slo = data["slo"] or (anchor or {}).get("slo")
    return StudyContext(
        **{
            k: data[k]
            for k in ("name", "spec_file", "spec_sha256", "server_env", "reserve_mib", "held_mib")
        },
        **{k: data[k] for k in ("measured_elsewhere", "git_commit")},
        searched={k: tuple(v) for k, v in data["searched"].items()},
        baseline=Allocation(data["baseline"]),
        fitness=FitnessRule(
            **{**rule, "weights": Weights(**rule["weights"]) if rule["weights"] else None}
        ),
        gates=Gates(**data["gates"]),
        workload=Workload(**{**workload, "prompt_tokens": tuple(workload["prompt_tokens"])}),
        tenants=tuple(Tenant(**t) for t in data["tenants"]),
        services=Services(
            llm=LlmService(**_tuples(services["llm"])), stt=SttService(**_tuples(services["stt"]))
        ),
        slo=Slo(**slo) if slo else None,
        device=Identity(**data["device"]),
        versions=Versions(**data["versions"]),
    )


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}


def without_secrets(command: str) -> str:
    """A command line that may be sent to a colleague.

    >>> without_secrets("serve --api-key hunter2 --port 80"), without_secrets("HF_TOKEN=abc serve")
    ('serve --api-key *** --port 80', 'HF_TOKEN=*** serve')
    """
    return SECRET.sub(r"\1***", command)
