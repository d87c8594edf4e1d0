"""Measures a whole space live into one recording; resumable, each repeat a separate launch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from objectives.allocation import Allocation
from objectives.colocation import Colocation
from objectives.errors import BadInput
from objectives.evaluation import Job
from objectives.load.ladder import Slo
from objectives.recording import Entry, Provenance, Recording, conditions, entry, read, write
from objectives.setting import Anchor
from study.bench.bench import Bench, bench, borrowed
from study.bench.commands import llm_key, order_by_llm
from study.bench.run_lock import alone
from study.provenance import git_commit
from study.recording.export_study import gather, refuse_other_conditions
from study.recording.sobol import spread
from study.search.schedule import guess_s
from study.service_pause.options import Lending
from study.spec.model import Spec
from study.spec.setting import setting_of
from study.wording import phase_in_words


def record(
    spec: Spec,
    out: Path,
    repeats: int,
    tell: Callable[[str], None],
    *,
    timeout_s: float | None = None,
    take: Sequence[Path] = (),
    points: int | None = None,
    part: tuple[int, int] = (1, 1),
    lending: Lending = Lending(),  # noqa: B008  frozen
) -> Recording:
    """Every configuration of the space, `repeats` times, baseline first; what `out` already holds is kept.

    Each round ends with the baseline, launched afresh, so that a drift of the device can be seen: it has twice as
    many entries. A card that goes on with what another began measures the baseline before all else. A launch that was
    disturbed is said and left out, so that the next run tries it again.
    timeout_s: nothing is begun that would not end within it
    lending: the units that lend their GPU meanwhile
    points: only so many configurations, spread over the space; later rounds measure a quarter of them again
    part: which of how many parts, for as many cards at once: (1, 2) is the first half; no LLM command is in two
    take: recordings and databases of live studies whose evaluations count too; with `repeats` 0 nothing is launched
    raises: BadInput where the space is not countable or `out` was made under other conditions; SetupError
    """
    if spec.measure != "live":
        raise BadInput(f"{spec.name}: a recording needs `measure: live`")
    if spec.search_space.size is None:
        raise BadInput(
            f"{spec.name}: a recording needs lists or stepped ranges, not a continuous range"
        )
    if not out.suffix or out.is_dir():
        raise BadInput(f"--out {out} names no file; write one such as {out}.jsonl")
    if not repeats:
        return _merge(spec, out, take)
    with alone(out.with_suffix("")) as reaped:
        for said in reaped:
            tell(said)
        return _record(
            spec, out, [*rounds(spec, repeats, points, part)], tell, timeout_s, take, lending
        )


def _merge(spec: Spec, out: Path, take: Sequence[Path]) -> Recording:
    """What other recordings hold, in one; no device is needed. The header is that of the first."""
    files = [*([out] if out.exists() else []), *take]
    if not files or any(f.suffix != ".jsonl" for f in files):
        raise BadInput("--repeats 0 launches nothing: name recordings (.jsonl) with --take")
    provenance = read(files[0]).provenance
    write(out, provenance, gather(files, spec, provenance, []))
    return read(out)


def _record(
    spec: Spec,
    out: Path,
    wanted: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    timeout_s: float | None,
    take: Sequence[Path],
    lending: Lending,
) -> Recording:
    began = time.monotonic()
    made = bench(
        replace(spec, precheck="report")
    )  # launch even what the arithmetic rules out: evidence is recorded
    lent_at = time.monotonic()
    with borrowed(spec, made, lending, tell) as made:
        if lending.max_outage_s is not None:
            began, timeout_s = lent_at, min(timeout_s or math.inf, lending.left_s(lent_at))
        return _launched(spec, out, wanted, tell, began, timeout_s, take, made)


def _launched(
    spec: Spec,
    out: Path,
    wanted: Sequence[tuple[Allocation, int]],
    tell: Callable[[str], None],
    began: float,
    timeout_s: float | None,
    take: Sequence[Path],
    made: Bench,
) -> Recording:
    entries: list[Entry] = []
    provenance = _provenance(made, spec)
    if out.exists():
        earlier = read(out)
        refuse_other_conditions(earlier, provenance)
        entries, provenance = list(earlier.entries), earlier.provenance
    if take:
        entries = gather(take, spec, provenance, entries)
        write(out, provenance, entries)
    anchor = None
    if provenance.slo and provenance.first_rung:
        anchor = Anchor(Slo(**provenance.slo), provenance.first_rung)
    folder, card = out.with_suffix(""), made.device.identity.uuid
    todo = remaining(wanted, entries, spec.baseline, card)
    with Colocation(
        made.setting,
        made.device,
        folder,
        on_phase=lambda phase: tell(f"    {phase_in_words(phase)}"),
        anchor=anchor,
    ) as colocation:
        before: tuple[Allocation, int] | None = None
        for done, (allocation, repeat) in enumerate(todo, start=1):
            expected_s = _expected_s(spec, entries, allocation)
            if timeout_s is not None and time.monotonic() - began + expected_s > timeout_s:
                tell(
                    f"{allocation} takes about {expected_s:.0f} s and would not end in time; run again to go on"
                )
                break
            if before is not None and (
                repeat != before[1] or str(allocation) == str(spec.baseline)
            ):
                colocation.restart()
            before = (allocation, repeat)
            tell(f"[{done}/{len(todo)}] {allocation}, repeat {repeat}")
            name = f"{str(allocation).replace(' ', '_')}-{repeat}"
            job = Job(allocation, repeat, folder / name)
            job.folder.mkdir(parents=True, exist_ok=True)
            started = time.monotonic()
            outcome = colocation.measure(job)
            if (failure := outcome.failure) is not None and not failure.is_ruled_out:
                tell(f"    left out, run again for it: {failure}")
                continue
            entries.append(entry(job, repeat, time.monotonic() - started, outcome, card))
            if failure is not None:
                tell(f"    {failure}")
            if colocation.anchor is not None and provenance.slo is None:
                slo = colocation.anchor.slo
                provenance = _anchored(provenance, slo, colocation.anchor.first_rung)
            write(out, provenance, entries)
    return read(out)


def rounds(
    spec: Spec, repeats: int, points: int | None = None, part: tuple[int, int] = (1, 1)
) -> Iterator[tuple[Allocation, int]]:
    """What is measured, in order: each round begins and ends with the baseline, whose repeats are 1, 2; 3, 4; ..."""
    chosen = list(spec.search_space.grid()) if points is None else spread(spec.search_space, points)
    rest = [a for a in chosen if str(a) != str(spec.baseline)]
    for repeat in range(1, repeats + 1):
        again = rest if points is None or repeat == 1 else rest[: points // 4]
        yield spec.baseline, 2 * repeat - 1
        for allocation in order_by_llm(_part(again, *part), spec.baseline):
            yield allocation, repeat
        yield spec.baseline, 2 * repeat


def remaining(
    wanted: Sequence[tuple[Allocation, int]],
    entries: Sequence[Entry],
    baseline: Allocation,
    card: str,
) -> list[tuple[Allocation, int]]:
    """What is not measured yet; first the baseline, once more, where this card has not measured it."""
    held = {(e.key, e.repeat) for e in entries}
    todo = [(a, repeat) for a, repeat in wanted if (str(a), repeat) not in held]
    has_it = any(e.key == str(baseline) and e.card == card for e in entries)
    if todo and str(todo[0][0]) != str(baseline) and not has_it:
        taken = [r for key, r in {*held, *((str(a), r) for a, r in wanted)} if key == str(baseline)]
        todo.insert(0, (baseline, 1 + max(taken, default=0)))
    return todo


def _part(of: Sequence[Allocation], number: int, parts: int) -> list[Allocation]:
    """Every so manieth LLM command with all that is measured under it."""
    commands = list(dict.fromkeys(llm_key(a) for a in of))[number - 1 :: parts]
    return [a for a in of if llm_key(a) in commands]


def _expected_s(spec: Spec, entries: Sequence[Entry], allocation: Allocation) -> float:
    """What an evaluation may take: as long as this one did at most, or the median of the others and some."""
    own = [e.wall_s for e in entries if e.key == str(allocation)]
    known = [e.wall_s for e in entries if e.measurement is not None]
    return max(own) if own else 1.4 * median(known) if known else guess_s(spec)


def _provenance(made: Bench, spec: Spec) -> Provenance:
    return Provenance(
        device=made.device.identity,
        versions=made.versions,
        conditions=conditions(
            setting_of(spec)
        ),  # models as the spec names them, which a replay looks for
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        git_commit=git_commit(Path(__file__).parent),
    )


def _anchored(provenance: Provenance, slo: Slo, first_rung: int) -> Provenance:
    return replace(provenance, slo=asdict(slo), first_rung=first_rung)
