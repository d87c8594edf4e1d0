"""The context of a study says what it asks and where its figures come from, for later readers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import optuna

from objectives.allocation import Allocation, Scalar
from objectives.capacity.ramp_range import RampRange
from objectives.devices.device import Identity
from objectives.engines.command import Command
from objectives.engines.places import place_of
from objectives.engines.registry import commands_of, in_order
from objectives.errors import BadInput
from objectives.plain_data.by_type import ODD_DATA, from_plain
from objectives.plain_data.infinity import plain
from objectives.plain_data.masked import masked_service
from objectives.plain_data.names_of_0_1 import current_workload
from objectives.servers.tenants import Tenant
from objectives.servers.versions import Versions
from objectives.services import Services
from objectives.setting import Setting
from objectives.traffic.workload import Workload, without_arrivals
from study.rule.rule import Claim
from study.spec.model import FitnessRule, Gates, Spec
from study.storage.attributes import attribute, damaged

CONTEXT_ATTRIBUTE = "question"
RAMP_RANGE = "ramp_range"  # of all launches of a study


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyContext:
    """The context of a study is what its reader needs and its trials do not hold.

    Args:
        name: The name of the spec.
        spec_file: The name of the spec's file.
        spec_sha256: The hash of its text.
        searched: The values of each searched parameter, in order; none for a continuous range.
        baseline: The allocation in use today; where nothing is, what is tried first.
        has_today: Whether the baseline is in use today.
        fitness: How the fitness weighs its terms.
        gates: What an allocation must meet to be promoted.
        workload: What all servers are asked for.
        tenants: The neighbours whose memory the study itself holds.
        services: All servers.
        server_env: The environment by which servers see the device.
        reserve_mib: What is left free for others, MiB.
        held_mib: What others held on the device when the study was opened, tenants not included,
            MiB; None for a recording.
        limits: What a good turn meets, ms by name; none in a study of 0.1.
        claim: What must be better.
        device: The card; of several that of the LLM.
        other_devices: The other cards, by name.
        versions: The versions of all servers.
        measured_elsewhere: Where a replay's figures come from; None for a live study.
        git_commit: The commit of this project; None where it is not known.
    """

    name: str
    spec_file: str
    spec_sha256: str
    searched: Mapping[str, tuple[Scalar, ...]]
    baseline: Allocation
    has_today: bool = True
    fitness: FitnessRule
    gates: Gates
    workload: Workload
    tenants: tuple[Tenant, ...]
    services: Services
    server_env: Mapping[str, str]
    reserve_mib: float
    held_mib: float | None
    limits: Mapping[str, float]
    claim: Claim
    device: Identity
    other_devices: Mapping[str, Identity] = field(default_factory=dict)
    versions: Versions
    measured_elsewhere: str | None
    git_commit: str | None

    @property
    def is_replay(self) -> bool:
        """Return whether the figures were measured elsewhere."""
        return self.measured_elsewhere is not None

    @property
    def tenants_mib(self) -> float:
        """Return what the study's own tenants hold, MiB."""
        here = [t for t in self.tenants if t.device not in self.other_devices]
        return sum(t.held_mib(self.device.total_mib) for t in here)

    def commands(self, allocation: Allocation) -> dict[str, Command]:
        """Return the command line of every server, by service."""
        return commands_of(self.services, allocation, self.server_env)

    def places(self, allocation: Allocation) -> dict[str, str]:
        """Return the name of each service's device, or those of its set (`gpu0+gpu1`).

        There are none where the study has one device.
        """
        places = {n: place_of(n, s, allocation) for n, s in self.services.items()}
        return {name: place.on for name, place in places.items() if place is not None}

    def unjudged(self, allocation: Allocation) -> tuple[str, ...]:
        """Return the options by which an allocation may change answers that nobody judges.

        They are searched, and have another value than in use today, where anything is.
        """
        today = self.baseline.values if self.has_today else {}
        owns = [(e.prefix, e.may_change_answers) for e in in_order(self.services)]
        return tuple(
            name
            for name in self.searched
            if name not in today or allocation.values.get(name) != today[name]
            if any(
                name.startswith(prefix) and may(name.removeprefix(prefix).replace("-", "_"))
                for prefix, may in owns
            )
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for JSON, without the secrets of the services."""
        stored = replace(self, workload=without_arrivals(self.workload))
        data: dict[str, Any] = plain({**asdict(stored), "baseline": dict(self.baseline.values)})
        data["services"] = {n: masked_service(s) for n, s in data["services"].items()}
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> StudyContext:
        """Return the context of such data; keys that this version does not know are left out.

        Raises:
            KeyError: Something else is missing.
            TypeError: Something is of another type.
        """
        if "slo" in data:  # of 0.1
            data = {**data, "limits": {}, "workload": current_workload(data["workload"])}
        # what earlier versions did not keep
        data = {"claim": Claim.EITHER.value, "has_today": True, "other_devices": {}, **data}
        own_keys = {f.name: data[f.name] for f in fields(cls)}
        own = {"baseline": {"values": data["baseline"]}}
        context: StudyContext = from_plain(cls, {**own_keys, **own})
        return context


def fields_from(spec: Spec, setting: Setting) -> dict[str, Any]:
    """Return the fields of a context that follow from the spec and its setting."""
    names = {f.name for f in fields(StudyContext)} - {"device"}  # a spec says which it wants
    return {
        **{
            f.name: getattr(source, f.name)
            for source in (spec, setting)
            for f in fields(source)
            if f.name in names
        },
        "spec_file": spec.path.name,
        "spec_sha256": spec.text_sha256,
        "searched": {
            p.name: p.values() if p.size is not None else () for p in spec.search_space.parameters
        },
    }


def keep(study: optuna.Study, context: StudyContext) -> None:
    """Store a context with its study, unless it is there."""
    if study.user_attrs.get(CONTEXT_ATTRIBUTE) != (data := context.to_json()):
        study.set_user_attr(CONTEXT_ATTRIBUTE, data)


def ramp_range_of(study: optuna.Study) -> RampRange | None:
    """Return the range of a study's ramps; None where its first measurement is to find it.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        stored = attribute(study, RAMP_RANGE, dict)
        return RampRange.from_json(stored) if stored else None
    except ODD_DATA as error:
        raise damaged(study, RAMP_RANGE) from error


def context_of(study: optuna.Study) -> StudyContext:
    """Return the context of a study.

    Raises:
        BadInput: The study holds none, or one that this version cannot read.
    """
    way_out = (
        "run scripts/run_study.py on it once more: "
        "it measures nothing twice and writes what is missing"
    )
    if CONTEXT_ATTRIBUTE not in study.user_attrs:
        raise BadInput(f"study {study.study_name} does not say what it asked; {way_out}")
    try:
        return StudyContext.from_json(study.user_attrs[CONTEXT_ATTRIBUTE])
    except ODD_DATA as error:
        raise BadInput(
            f"study {study.study_name} was written by another version ({error!r}); {way_out}"
        ) from error
