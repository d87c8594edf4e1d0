"""What the pictures show, before anybody draws them: tiles, spots, bars and lines of one study. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from objectives.allocation import SHARE, SPEECH, Scalar
from objectives.measurement import INFINITE
from study.analysis.category import Category, category
from study.analysis.configurations import Configuration
from study.analysis.decision import Decision
from study.analysis.pareto import pareto
from study.analysis.study_cost import seconds
from study.report.answer import launches
from study.storage.context import StudyContext
from study.storage.trials import Trial
from study.wording import PHASES, SHORT, failure_in_words, pair, short


@dataclass(frozen=True, slots=True)
class Tile:
    """One place of the heat map: the best configuration there, and its text line by line."""

    cell: Configuration
    kind: Category
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """The space as a table: tiles by (x, y); `others` are searched too, and the best of them is shown."""

    x_name: str
    y_name: str
    xs: tuple[str, ...]
    ys: tuple[str, ...]
    tiles: Mapping[tuple[str, str], Tile]
    others: tuple[str, ...]


def spelled(name: str, value: Scalar) -> str:
    """A value of a parameter as an axis shows it.

    >>> spelled("vllm_memory_util", 0.375), spelled("whisper.beam_size", 5)
    ('37.5 %', '5')
    """
    if name == SHARE:
        return f"{100 * float(value):g} %"
    return f"{value:g}" if isinstance(value, float) else str(value)


def heat(found: Sequence[Configuration], decision: Decision, asked: StudyContext) -> Heat:
    """The space over its first two searched parameters."""
    names = sorted(asked.searched, key=lambda n: (n != SHARE, n != SPEECH))
    x_name = names[0]
    y_name = names[1] if len(names) > 1 else next(n for n in (SPEECH, SHARE) if n != x_name)
    at: dict[tuple[str, str], list[Configuration]] = {}
    for c in found:
        x, y = (spelled(name, c.allocation.values[name]) for name in (x_name, y_name))
        at.setdefault((x, y), []).append(c)
    tiles = {
        place: _tile(
            max(here, key=lambda c: (decision.is_winner(c), c.is_feasible, c.fitness or 0.0)),
            len(here),
            decision,
            asked,
        )
        for place, here in at.items()
    }
    xs, ys = (_axis(n, found, asked) for n in (x_name, y_name))
    return Heat(
        SHORT.get(x_name, x_name), SHORT.get(y_name, y_name), xs, ys, tiles, tuple(names[2:])
    )


def turned(shown: Heat) -> Heat:
    """The same with its axes exchanged: a phone has room for more rows, not for more columns."""
    tiles = {(y, x): tile for (x, y), tile in shown.tiles.items()}
    return Heat(shown.y_name, shown.x_name, shown.ys, shown.xs, tiles, shown.others)


def _axis(name: str, found: Sequence[Configuration], asked: StudyContext) -> tuple[str, ...]:
    values = asked.searched.get(name) or sorted(
        {c.allocation.values[name] for c in found}, key=_order
    )
    return tuple(spelled(name, v) for v in values)


def _order(value: Scalar) -> tuple[bool, float, str]:
    return (True, 0.0, value) if isinstance(value, str) else (False, float(value), "")


def _tile(c: Configuration, of: int, decision: Decision, asked: StudyContext) -> Tile:
    what = category(c, decision, asked)
    lines = (
        [f"{c.fitness:.3f}", *reversed(launches(c).split(", "))] if c.fitness is not None else []
    )
    if c.failed:
        diagnosis = c.failed[-1].diagnosis
        deficit_mib = diagnosis.deficit_mib if diagnosis else None
        lines.append(failure_in_words(diagnosis.failure_class) if diagnosis else "failed")
        if c.measured:
            lines[-1] += f" in {len(c.failed)} of {len(c.failed) + len(c.measured)}"
        elif deficit_mib:
            lines.append(f"{deficit_mib:,.0f} MiB short")
    if what not in (Category.WORKS, Category.FAILED):
        lines.append(what)
    return Tile(c, what, (*lines, *([f"best of {of}"] if of > 1 else [])))


@dataclass(frozen=True, slots=True)
class Spot:
    """One configuration between latency and capacity; `sessions` None where no rung was decided."""

    label: str
    kind: Category
    on_pareto: bool
    sessions: float | None
    is_lower_bound: bool
    stt_ms: float
    llm_ms: float

    @property
    def capacity(self) -> str:
        """The sessions in words."""
        if self.sessions is None:
            return "not measured"
        return f"{'at least ' * self.is_lower_bound}{self.sessions:g} sessions"


def limit_text(limit_ms: float) -> str:
    """The name of the line at the limit of a latency."""
    return f"limit of a session {limit_ms:,.0f} ms"


def spots(found: Sequence[Configuration], decision: Decision, asked: StudyContext) -> list[Spot]:
    """Every configuration whose latencies are finite."""
    best = pareto(found, asked)
    made = []
    for c in found:
        stt_ms, llm_ms = c.mean("stt_latency_p95_ms"), c.mean("llm_latency_p95_ms")
        if stt_ms is None or llm_ms is None or INFINITE in (stt_ms, llm_ms):
            continue
        sessions = c.mean("concurrent_capacity")
        what = category(c, decision, asked)
        made.append(
            Spot(short(c.allocation), what, c in best, sessions, c.is_lower_bound, stt_ms, llm_ms)
        )
    return made


@dataclass(frozen=True, slots=True)
class Bar:
    """Where the time of one trial went, seconds by phase; the label leaves out what `configuration` says."""

    trial: int
    label: str
    configuration: str
    seconds: Mapping[str, float]


def bars(rows: Sequence[Trial]) -> list[Bar]:
    """Every launched trial; from older recordings what their starts and window tell."""
    return [
        Bar(
            r.number,
            f"{r.number}: {pair(r.allocation)}",
            short(r.allocation),
            {PHASES.get(phase, phase): s for phase, s in by_phase.items()},
        )
        for r in rows
        if r.repeat_of is None and (by_phase := seconds(r.measurement, r.measured, r.wall_s))
    ]


@dataclass(frozen=True, slots=True)
class Line:
    """Device memory in use, second by second, during one trial."""

    label: str
    used_mib: tuple[int, ...]
    total_mib: float


def total_text(line: Line) -> str:
    """The name of the line at all the memory that the device has."""
    return f"total {line.total_mib:,.0f} MiB"


def memory(r: Trial | None) -> Line | None:
    """Memory over time of a trial; None where it was not recorded."""
    m = r.measurement if r else None
    if r is None or m is None or not m.device.used_mib_by_s or not m.device.device_total_mib:
        return None
    return Line(
        f"trial {r.number}: {short(r.allocation)}",
        m.device.used_mib_by_s,
        m.device.device_total_mib,
    )
