"""What a confirmation has measured so far: one file that appears whole after every pair, so that a cut run goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from objectives.diagnosis.diagnose import Diagnosis
from objectives.errors import BadInput
from objectives.measurement import Measurement, plain
from objectives.plain_data.atomic import write_atomic
from objectives.setting import Anchor
from study.confirmation.protocol import Margins

FORMAT = 1
FILE = "pairs.jsonl"
Stage = Literal["aa", "ab"]
Role = Literal["baseline", "winner"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is fixed before the first launch; a run that differs in any of it is another confirmation.

    promotion: digest of what it promotes; margins: of metrics that have one other than margin_pct
    workloads: digest of the traffic by name, the study's own first; aa_pairs: None in older journals, which did not say
    servers: both commands of baseline and winner, and the servers' versions
    """

    promotion: str
    claim: str
    margin_pct: float
    workloads: Mapping[str, str]
    servers: Mapping[str, str]
    product: str
    total_mib: int
    margins: Mapping[str, float] = field(default_factory=dict)
    aa_pairs: int | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """One fresh launch of both servers, measured under each workload in turn. In A/A, both roles are the baseline."""

    role: Role
    measured: Mapping[str, Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two launches one after the other, in the order of time; card: UUID of the device."""

    stage: Stage
    number: int
    launches: tuple[Launch, Launch]
    at: str
    wall_s: float
    card: str
    driver: str | None = None

    def of(self, role: Role) -> Launch:
        """The launch of one role."""
        return next(launch for launch in self.launches if launch.role == role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """The winner in its worst moment, and again after speech was restarted beside the LLM server.

    free_memory_mib, after_restart_mib: least free device memory in it; None where it failed before
    failure: what failed, where something did; in_restart: whether in the second half
    """

    requests: int
    clips: int
    prompt_tokens: int
    free_memory_mib: float | None
    after_restart_mib: float | None
    failure: Diagnosis | None
    in_restart: bool
    at: str
    wall_s: float


@dataclass(frozen=True, slots=True)
class Failure:
    """A launch that does not work: the winner's ends the confirmation, and so does the baseline's."""

    role: Role
    workload: str
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Everything measured so far.

    targets: every number of pairs that was asked for; anchors: SLO and first rung by workload, from its first launch
    left_out: pairs that were disturbed, and why; earlier: confirmations that were begun anew with --fresh
    """

    head: Head
    targets: tuple[int, ...]
    anchors: Mapping[str, Anchor] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    stress: Stress | None = None
    failure: Failure | None = None
    left_out: tuple[str, ...] = ()
    earlier: int = 0

    def of(self, stage: Stage) -> tuple[Pair, ...]:
        """The pairs of one stage, in order."""
        return tuple(p for p in self.pairs if p.stage == stage)


def write(journal: Journal, folder: Path) -> None:
    """The whole file or none of it: a line for what is fixed, then one for each pair."""
    first = {
        "format": FORMAT,
        "head": asdict(journal.head),
        "targets": journal.targets,
        "anchors": {k: a.to_json() for k, a in journal.anchors.items()},
        "stress": asdict(journal.stress) if journal.stress else None,
        "failure": asdict(journal.failure) if journal.failure else None,
        "left_out": journal.left_out,
        "earlier": journal.earlier,
    }
    lines = [first, *(_pair(p) for p in journal.pairs)]
    write_atomic(folder / FILE, "".join(json.dumps(plain(line)) + "\n" for line in lines))


def _pair(pair: Pair) -> dict[str, Any]:
    launches = [
        {"role": x.role, "measured": {k: m.to_json() for k, m in x.measured.items()}}
        for x in pair.launches
    ]
    rest = {k: getattr(pair, k) for k in ("stage", "number", "at", "wall_s", "card", "driver")}
    return {**rest, "launches": launches}


def read(folder: Path) -> Journal:
    """The journal of a folder.

    raises: BadInput where it cannot be read
    """
    path, number = folder / FILE, 1
    try:
        lines = path.read_text("utf-8").splitlines()
        first = json.loads(lines[0])
        if first.pop("format") != FORMAT:
            raise ValueError(f"not of format {FORMAT}")  # noqa: TRY301  one sentence for all
        pairs = []
        for text in lines[1:]:
            number += 1
            line = json.loads(text)
            launches = [Launch(x["role"], _measured(x["measured"])) for x in line.pop("launches")]
            pairs.append(Pair(**line, launches=(launches[0], launches[1])))
        stress, failure = first["stress"], first["failure"]
        return Journal(
            head=Head(**first["head"]),
            targets=tuple(first["targets"]),
            anchors={k: Anchor.from_json(a) for k, a in first["anchors"].items()},
            pairs=tuple(pairs),
            stress=Stress(**{**stress, "failure": _diagnosis(stress["failure"])})
            if stress
            else None,
            failure=Failure(**{**failure, "diagnosis": Diagnosis(**failure["diagnosis"])})
            if failure
            else None,
            left_out=tuple(first["left_out"]),
            earlier=first["earlier"],
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        way_out = "move it away, or begin anew with --fresh"
        raise BadInput(
            f"{path}:{number}: cannot read these pairs ({error!r}); {way_out}"
        ) from error


def _diagnosis(data: Mapping[str, Any] | None) -> Diagnosis | None:
    return Diagnosis(**data) if data else None


def _measured(data: Mapping[str, Any]) -> dict[str, Measurement]:
    return {name: Measurement.from_json(m) for name, m in data.items()}


def opened(folder: Path, head: Head, pairs: int, *, fresh: bool, before: int = 0) -> Journal:
    """The journal to go on with: the one that is there, with a larger number of pairs if asked, or a new one.

    fresh: move the one that is there aside; the new one counts it
    before: confirmations that the promotion tells of, whose pairs may lie elsewhere
    raises: BadInput where what is there was begun for something else
    """
    path = folder / FILE
    folder.mkdir(parents=True, exist_ok=True)
    aside = sorted(folder.glob("pairs-*.jsonl"))
    if path.exists() and fresh:
        path.rename(folder / f"pairs-{len(aside) + 1}.jsonl")
        aside.append(path)
    if not path.exists():
        return Journal(head=head, targets=(pairs,), earlier=max(len(aside), before))
    found = read(folder)
    if differing := list(_differing(found.head, head)):
        raise BadInput(
            f"{path} was begun with {'; '.join(differing)}: that is fixed before the first launch. "
            "Go on as it was begun, or begin anew with --fresh, which the confirmation will tell"
        )
    if pairs > max(found.targets):
        return replace(found, targets=(*found.targets, pairs))
    return found


def _differing(then: Head, now: Head) -> Iterable[str]:
    if then.promotion != now.promotion:
        yield "another promotion"
    if then.claim != now.claim:
        yield f"claim {then.claim}, not {now.claim}"
    margins = [Margins(head.margin_pct, head.margins) for head in (then, now)]
    if margins[0] != margins[1]:
        yield f"margin {margins[0]}, not {margins[1]}"
    if then.aa_pairs not in (None, now.aa_pairs):
        yield f"--aa-pairs {then.aa_pairs}, not {now.aa_pairs}"
    if dict(then.workloads) != dict(now.workloads):
        same = [*then.workloads] == [*now.workloads]
        yield (
            "other traffic (--ladder, or the spec)"
            if same
            else f"held-out workloads {', '.join([*then.workloads][1:])}"
        )
    yield from (
        f"another {k}" for k in now.servers if then.servers.get(k, now.servers[k]) != now.servers[k]
    )
    if then.product != now.product or abs(then.total_mib / now.total_mib - 1) > 0.02:
        yield f"{then.product} with {then.total_mib:,} MiB"
