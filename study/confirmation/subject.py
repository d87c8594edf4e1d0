"""`Subject` is what a confirmation judges: a sealed promotion, its spec as it is now, the rule."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.capacity.ramp_range import TWICE, is_ramp_too_short
from objectives.engines.registry import commands_of
from objectives.errors import BadInput
from objectives.search_space.space import Space
from objectives.setting import Setting
from objectives.traffic.clips import SHIPPED, Clip, read_clips
from study.confirmation.held_out import held_out_traffics, plain_traffic, refuse_another_trace
from study.confirmation.spec_rule import claim_of, rule_of
from study.promotion.schema import check_schema
from study.promotion.seal import verify
from study.promotion.status import status_of
from study.rule.rule import Claim, Rule
from study.search.score import Scorer
from study.spec.foreign_keys import experiment_of, slug
from study.spec.load import load
from study.spec.memory.on_device import on_device
from study.spec.model import Spec
from study.spec.traffic import WindowTraffic
from study.text import one_line

LONGEST_RAMP_S = 1e5  # as in a spec

SCORING = "fitness or gates in the spec"
AA_PAIRS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The subject is a promotion and the spec that it came from.

    Args:
        path: The promotion's file.
        data: Its content.
        spec: The spec as it is now.
        baseline: Today's allocation; the winner itself, where nothing that works is in use.
        winner: The allocation that is promoted.
        today: What is in use and did not work, to be launched again; None where that is the
            baseline, or nothing is in use.
        rule: What is claimed, and what must hold besides.
        aa_pairs: Pairs of the baseline against itself, before all others.
        traffics: The study's own workload first, then the held-out ones.
        clips: The clips for speech recognition.
        words: The clips whose words are counted.
    """

    path: Path
    data: Mapping[str, Any]
    spec: Spec
    baseline: Allocation
    winner: Allocation
    today: Allocation | None
    rule: Rule
    aa_pairs: int
    traffics: tuple[WindowTraffic, ...]
    clips: tuple[Clip, ...]
    words: tuple[Clip, ...]

    @property
    def digest(self) -> str:
        """Return the SHA-256 of what is promoted, whatever a confirmation has said of it since."""
        names = ("name", "parameters", "baseline", "study", "trial", "written_at")
        return _sha256({name: self.data.get(name) for name in names})

    @property
    def confirmations(self) -> int:
        """Count the confirmations of it that were begun before, as far as the promotion tells."""
        confirmation = self.data.get("confirmation")
        if not isinstance(confirmation, dict):
            return 0
        begun = confirmation.get("begun_anew")
        return 1 + (begun if isinstance(begun, int) else 0)

    @property
    def workloads(self) -> dict[str, str]:
        """Return the SHA-256 of each workload's traffic, by name."""
        return {
            t.name: _sha256([plain_traffic(t.workload), [plain_traffic(r) for r in t.requests]])
            for t in self.traffics
        }

    def servers(
        self, setting: Setting, env: Mapping[str, str], versions: Mapping[str, Any]
    ) -> dict[str, str]:
        """Return what must stay the same for every launch, by a name for people.

        That is the servers' versions and commands, and by what the launches are scored.
        """
        s = self.spec
        fixed = {
            "version of the servers": _sha256(versions),
            SCORING: _sha256(Scorer(s.fitness, s.gates, s.workload).signature),
        }
        today = self.today or self.baseline
        for role, allocation in (("baseline", today), ("winner", self.winner)):
            for service, command in commands_of(setting.services, allocation, env).items():
                fixed[f"{service} command of the {role}"] = str(command)
        return fixed


def subject(
    path: Path,
    *,
    spec_file: Path | None = None,
    experiment: str | None = None,
    claim: Claim | None = None,
    aa_pairs: int = AA_PAIRS,
    workloads: Sequence[str] | None = None,
    ramp_s: float | None = None,
    spec_content: bytes | None = None,
) -> Subject:
    """Read a promotion and its spec; options replace what the spec says.

    Args:
        path: The promotion's file.
        spec_file: The spec, where it is not the file that the promotion names.
        experiment: The experiment of that file.
        claim: What must be better; None for the spec's.
        aa_pairs: Pairs of the baseline against itself.
        workloads: The names of the held-out workloads.
        ramp_s: The longest time of a ramp up to twice the baseline's capacity, s; 0 leaves it out.
        spec_content: The bytes of `spec_file`, where it may have changed since they were read.

    Raises:
        BadInput: The promotion was changed or is none of this project, or its spec is another, or
            a ramp of `ramp_s` would not reach twice the capacity.
    """
    data = verify(path)
    if status_of(data) is None or not isinstance(data.get("spec"), dict):
        raise BadInput(
            one_line(f"{path}: no promotion of this project: it has no known `status` or no `spec`")
        )
    check_schema(data, path)
    file = spec_file or Path(str(data["spec"].get("file")))
    # Path.is_file raises where no file can have this name
    if not os.path.isfile(file):  # noqa: PTH113
        raise BadInput(
            one_line(f"{path}: its spec {str(file)[:200]} is not here; name it with --spec FILE")
        )
    name = data.get("name")
    spec = load(file, experiment or experiment_of(file, name), content=spec_content)
    if name == slug(spec.name):  # as an experiment its files have a shorter name
        spec = replace(spec, name=slug(spec.name))
    if ramp_s is not None:
        doubling_s = spec.workload.ramp_doubling_s
        if is_ramp_too_short(ramp_s, doubling_s) or not 0 <= ramp_s <= LONGEST_RAMP_S:
            raise BadInput(
                f"--ramp {ramp_s:g}: twice the baseline's capacity is reached in {TWICE:g} times "
                f"the spec's ramp_doubling_s; write {TWICE * doubling_s:g} to {LONGEST_RAMP_S:g}, "
                "or 0 to leave the ramp out"
            )
        spec = replace(spec, workload=replace(spec.workload, ramp_s=ramp_s))
    winner = _allocation(path, data, "parameters", spec.search_space, file)
    in_use = None
    if data.get("baseline") is not None:
        in_use = _allocation(path, data, "baseline", spec.search_space, file)
    spec = _on_its_device(spec, data)
    expected = spec.baseline if spec.has_today else None
    if str(in_use) != str(expected):
        raise BadInput(
            f"{path}: its baseline is {in_use or 'none'}, that of {file} is {expected or 'none'}; "
            "name the right --spec"
        )
    is_alone = in_use is None or data.get("baseline_works") is False
    if is_alone and claim is not None:
        raise BadInput(
            f"--claim {claim}: nothing that works is in use, so that nothing can be better than it;"
            " leave --claim out: it is confirmed that the winner works"
        )
    if name != spec.name:
        raise BadInput(one_line(f"{path}: it is of study {name!r}, {file} is {spec.name!r}"))
    refuse_another_trace(path, data, spec.workload)
    is_live = spec.measure == "live"
    if ramp_s is not None and not is_live:
        raise BadInput("--ramp: a recording has the ramps that were measured; leave it out")
    claimed = claim_of(claim or spec.claim, spec.workload.ramp_s)
    if workloads and not is_live:
        raise BadInput(
            "--workloads: a recording holds the study's own workload alone; leave it out"
        )
    clips, words = (
        read_clips(source) if is_live or source in SHIPPED else ()
        for source in (spec.workload.clips, spec.workload.scored_clips)
    )
    held_out = held_out_traffics(workloads or (), spec, claimed, clips) if is_live else []
    return Subject(
        path=path,
        data=data,
        spec=spec,
        baseline=winner if is_alone or in_use is None else in_use,
        winner=winner,
        today=in_use if is_alone else None,
        rule=rule_of(spec, claimed, [t.name for t in held_out], is_alone=is_alone),
        aa_pairs=0 if is_alone else aa_pairs,
        traffics=(WindowTraffic("main", spec.workload), *held_out),
        clips=clips,
        words=words,
    )


def _on_its_device(spec: Spec, data: Mapping[str, Any]) -> Spec:
    """Return the spec on the device of the promotion, where that is told."""
    device = data.get("device")
    total_mib = device.get("total_mib") if isinstance(device, dict) else None
    if not isinstance(device, dict) or not isinstance(total_mib, int | float) or total_mib <= 0:
        return spec
    return on_device(spec, total_mib, str(device.get("product")))


def _allocation(
    path: Path, data: Mapping[str, Any], key: str, space: Space, spec_file: Path
) -> Allocation:
    values = data.get(key)
    try:
        if not isinstance(values, dict):
            raise TypeError(f"{key} is no mapping")  # noqa: TRY301  one message for all
        allocation = space.allocation(values)
        space.encode(allocation)
        if differing := sorted(set(values) ^ set(allocation.values)):
            raise ValueError(f"{key} names {differing}")  # noqa: TRY301
    except (ArithmeticError, ValueError, TypeError, KeyError) as error:
        what = f"its {key} do not lie in the search space of {spec_file.name} ({error})"
        raise BadInput(one_line(f"{path}: {what}; name the right --spec")) from error
    return allocation


def _sha256(data: object) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True, default=str).encode()).hexdigest()
