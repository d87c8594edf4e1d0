"""The end of a run: what was measured, today's against the winner, what is ruled out and why, what to type next."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.box import HEAVY_HEAD
from rich.console import JustifyMethod
from rich.markup import escape
from rich.table import Table

from objectives.allocation import Allocation
from objectives.devices.device import Occupant
from objectives.diagnosis.diagnose import Diagnosis
from objectives.figures import FIGURES, FITNESS
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from study.analysis.compare import contrast, rival
from study.analysis.configurations import Cell, merged, of
from study.analysis.decision import Decision
from study.analysis.eligibility import barred, over
from study.promotion import seal
from study.report.trial_words import outcome
from study.spec.model import Spec
from study.storage.context import StudyContext
from study.storage.find import DEFAULT
from study.storage.trials import Row
from study.storage.url import shown, sqlite_file
from study.wording import FAILURES, failure_in_words, label, number, short

WIDE = 120  # a narrower terminal gets fewer columns rather than broken ones
COLUMNS = tuple(
    FIGURES[name].narrow_head
    for name in (
        "stt_latency_p95_ms",
        "llm_latency_p95_ms",
        "concurrent_capacity",
        "stt_wer_pct",
        "free_memory_mib",
    )
)
OUTCOME = 9  # columns: "held back", "baseline"
EVIDENCE = 160  # characters of a log's line


def measured(
    rows: Sequence[Row], decision: Decision, asked: Spec | StudyContext, width: int
) -> Table:
    """Every configuration once, best first, with what failed and why."""
    own = [r for r in rows if r.repeat_of is None]
    groups: dict[str, list[Row]] = {}
    for r in own:
        groups.setdefault(str(r.allocation), []).append(r)
    several = len(groups) < len(own)
    told = len(rows) - len(own)
    counted = f"{len(groups)} configurations in {len(own)} measurements"
    counted += f", {told} asked again and told what is known" if told else ""
    means = "; figures of several measurements are their means" if several else ""
    means += "" if width >= WIDE else f"; {WIDE} columns show sessions, words and free memory too"
    searched = [label(name).replace("_", " ") for name in own[0].allocation.values] if own else []
    more = COLUMNS[2:] if width >= WIDE else ()
    figures = [*(("n",) if several else ()), FITNESS.short, *COLUMNS[:2], *more]
    lines: list[list[str]] = []
    found = [(group, merged(group)) for group in groups.values()]
    for group, r in sorted(
        found, key=lambda g: (not g[1].is_feasible, -(g[1].fitness or 0.0), g[1].number)
    ):
        m = r.measurement
        rest = (
            sessions(group),
            number(m.stt_wer_pct if m else None, 1),
            number(m.free_memory_mib if m else None),
        )
        lines.append([
            *(str(v) for v in r.allocation.values.values()),
            *((str(len(group)),) if several else ()),
            "-" if r.fitness is None else f"{r.fitness:.4f}",
            number(m.stt_latency_p95_ms if m else None),
            number(m.llm_latency_p95_ms if m else None),
            *(rest if more else ()),
            _mark(r, decision) or _outcome(group, r, asked, is_wide=bool(more)),
        ])  # fmt: skip
    heads = [*searched, *figures]
    widest = [max((len(line[n]) for line in lines), default=0) for n in range(len(heads))]
    needed = [
        max(least, *map(len, head.split())) for head, least in zip(heads, widest, strict=True)
    ]
    is_ample = sum(map(max, widest, map(len, heads))) + 3 * len(heads) + OUTCOME + 4 <= width
    is_tight = (
        sum(needed) + 3 * len(needed) + OUTCOME + 4 > width
    )  # then no lines between columns, rather than cut
    if is_tight and sum(needed) + len(needed) + OUTCOME > width:
        needed = widest  # then a head's words are broken
    drawn = Table(
        title="What was measured, best first; - was not measured", caption=counted + means,
        title_justify="left", caption_justify="left", box=None if is_tight else HEAVY_HEAD,
        padding=(0, 1, 0, 0) if is_tight else (0, 1), pad_edge=not is_tight,
    )  # fmt: skip
    for n, (name, least) in enumerate(zip(heads, needed, strict=True)):
        justify: JustifyMethod = "left" if n < len(searched) else "right"
        drawn.add_column(name, overflow="fold", justify=justify, width=None if is_ample else least)
    drawn.add_column("outcome", min_width=OUTCOME)
    for line in lines:
        drawn.add_row(*map(escape, line))
    return drawn


def sessions(group: Sequence[Row]) -> str:
    """Mean capacity of the launches of one configuration, `≥` where the ladder of any ended before it was known."""
    launched = _cell(group)
    mean = launched.figure("concurrent_capacity")
    return f"{'≥ ' * launched.is_lower_bound}{number(mean)}" if mean is not None else "-"


def _cell(group: Sequence[Row]) -> Cell:
    return Cell(group[0].allocation, tuple(r for r in group if r.measurement is not None), ())


def _outcome(group: Sequence[Row], r: Row, asked: Spec | StudyContext, *, is_wide: bool) -> str:
    """What became of it; in a narrow table in two words, since `failures` says the rest."""
    if r.is_feasible:
        return "held back" if barred(_cell(group), asked) else ""
    return (
        failure_in_words(r.diagnosis.failure_class) if r.diagnosis and not is_wide else outcome(r)
    )


def _mark(row: Row, decision: Decision) -> str | None:
    if decision.winner is not None and row.number == decision.winner.number:
        return "winner"
    if decision.baseline is not None and row.number == decision.baseline.number and row.is_feasible:
        return "baseline"
    return None


def against(
    found: Sequence[Cell], decision: Decision, asked: Spec | StudyContext, standing: str
) -> Table | None:
    """The baseline's figures beside the winner's, or beside what came closest; None where one of them has none.

    standing: what the winner is: a replay, a candidate, confirmed
    """
    today, other = of(asked.baseline, found), rival(found, decision, asked)
    if today is None or other is None or not (today.measured and other.measured):
        return None
    if decision.winner is not None:
        title, what = "Today's against the winner", standing
    else:
        title, what = (
            "Today's against what came closest",
            "held back" if decision.against(other.allocation) else "not better",
        )
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("")
    drawn.add_column(
        f"{escape(short(today.allocation))}\n(in use today)", justify="right", overflow="fold"
    )
    drawn.add_column(
        f"{escape(short(other.allocation))}\n({escape(what)})", justify="right", overflow="fold"
    )
    drawn.add_column("difference")
    old, new = today.fitness, other.fitness
    drawn.add_row("fitness, 1 is best", number(old, 4), number(new, 4), _gain(old, new))
    style = {"better": "green", "worse": "red"}
    for c in contrast(today, other, found):
        drawn.add_row(
            c.title, c.old, c.new, c.change, style=style.get(c.sense) if c.sense else None
        )
    return drawn


def _gain(old: float | None, new: float | None) -> str:
    return "-" if old is None or new is None else f"{new - old:+.4f}"


def failures(found: Sequence[Cell]) -> list[str]:
    """What is ruled out, by reason, with one line of a server's log for each; nothing where all of it works."""
    reasons: dict[str, list[str]] = {}
    evidence: dict[str, str] = {}
    bad = [c for c in found if not c.is_feasible]
    for c in bad:
        for r in c.failed[:1]:
            if (d := r.diagnosis) is None:
                reasons.setdefault(r.status, []).append(short(c.allocation))
                continue
            why = f"{FAILURES.get(d.failure_class, ('', d.failure_class))[1]} ({d.failure_class})"
            deficit = f" ({d.deficit_mib:,.0f} MiB short)" if d.deficit_mib else ""
            reasons.setdefault(why, []).append(f"{short(c.allocation)}{deficit}")
            evidence.setdefault(why, re.sub(r"^.*?(?=\w+Error: )", "", d.evidence.strip()))
        if not c.failed:
            reasons.setdefault(f"over a limit: {', '.join(over(c.measured))}", []).append(
                short(c.allocation)
            )
    said = [f"{len(bad)} of {len(found)} configurations are ruled out:"] if bad else []
    for why, which in reasons.items():
        said.append(f"  {why}: {'; '.join(which)}")
        if line := evidence.get(why, ""):
            said.append(f"    by its log: {line[:EVIDENCE]}{'...' if len(line) > EVIDENCE else ''}")
    return said


def next_commands(
    storage: str, study: str, promotion: Path | None, *, is_replay: bool
) -> list[str]:
    """What to type next, each with what it does; promotion: the winner's file, if there is one."""
    file = sqlite_file(storage)
    place = [] if file == DEFAULT else [str(file) if file is not None else shown(storage)]
    lines = [
        (["scripts/report.py", *place, "--study", study], "the whole answer as one file to send"),
        (["scripts/dashboard.py", *place], "look at every trial in the browser"),
    ]
    match (
        seal.read(promotion).get("status")
        if promotion is not None and promotion.is_file()
        else None
    ):
        case "candidate" | "inconclusive":
            what = "is it really better? fresh launches of both, in turn"
            lines.append((["scripts/confirm.py", str(promotion)], what))
        case "confirmed":
            lines.append(
                (["scripts/promote.py", "plan", str(promotion)], "what applying it would change")
            )
    if is_replay:
        if Path(".servers/vllm").is_dir():
            words, what = (
                ["scripts/run_study.py", "study/specs/cpu.yaml", "--dry-run"],
                "what measuring this machine takes",
            )
        else:
            words, what = (
                ["scripts/install_cpu_servers.py"],
                "real servers without a GPU, to measure this machine",
            )
        lines.append((words, what))
    own = [
        "  cp study/specs/gpu.yaml my_gpu.yaml    # your own GPU: three things to edit in it, as README says"
    ]
    if Path("my_gpu.yaml").exists():
        own = [
            "  python scripts/run_study.py my_gpu.yaml --dry-run    # your own GPU: what would be launched"
        ]
    return [
        "Next:",
        *(f"  python {shlex.join(words)}    # {what}" for words, what in lines),
        *own * is_replay,
    ]


def advice(
    failed: Sequence[tuple[Allocation, Diagnosis]],
    known: Sequence[tuple[Allocation, Measurement]],
    total_mib: float,
    occupants: Sequence[Occupant],
) -> list[str]:
    """The reason for each configuration, then what would have to change; what was not measured is not guessed."""
    said = [f"{a}: {d.failure_class}: {d.evidence[:160]}" for a, d in failed]
    figures = memory_budget.figures(known)
    if figures.non_kv_mib is not None and figures.one_request_mib is not None:
        least = (figures.non_kv_mib + figures.one_request_mib) / total_mib
        said.append(f"the smallest share that starts is about {math.ceil(least * 100) / 100:.2f}")
    too_small = [
        (a, d) for a, d in failed if d.failure_class in ("kv_too_small", "predicted_kv_too_small")
    ]
    if too_small and figures.non_kv_mib is None:
        shares = sorted({a.share for a, _ in too_small})
        short = [d.deficit_mib for _, d in too_small if d.deficit_mib]
        more = f", by at least {min(short) / total_mib:.2f}" if short else ""
        said.append(
            f"shares {', '.join(f'{s:g}' for s in shares)} are too small for one request: give more{more}"
        )
    longest = {a.share: m.kv_tokens for a, m in known if m.kv_tokens}
    said += [
        f"at share {s:g} the largest max_model_len is about {n:,}"
        for s, n in sorted(longest.items())
    ]
    short = [d.deficit_mib for _, d in failed if d.deficit_mib and "oom" in d.failure_class]
    if short:
        held = sorted((o for o in occupants if o.mib), key=lambda o: -(o.mib or 0))[:3]
        who = "; ".join(
            f"{o.command[:50]} holds {o.mib:,.0f} MiB ({o.unit or f'process {o.pid}'})"
            for o in held
        )
        said.append(
            f"freeing {min(short):,.0f} MiB would let the nearest one start"
            + (f": {who}" if who else "")
        )
    return said
