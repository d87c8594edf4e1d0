"""Limits and rates are read, and the traffic of a window is made, such as the stress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from objectives.capacity.limits import DEFAULT_LIMITS, LIMIT_MS, limit_names
from objectives.capacity.ramp_range import TWICE, is_ramp_too_short
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload
from study.spec.choices import APIS
from study.spec.yaml_node import YamlEntry
from study.text import meant

LONGEST_WINDOW_S = 240.0
WORDS = "_wer_pct"  # ends the figures of word errors


@dataclass(frozen=True, slots=True)
class WindowTraffic:
    """The traffic of a window is what is sent in it.

    Args:
        name: The workload's name.
        workload: The rates and lengths of what is sent.
        requests: The captured ones, in place of the workload's own trace; none where it is its own.
    """

    name: str
    workload: Workload
    requests: tuple[Request, ...] = ()


def read_limits(entry: YamlEntry, apis: Mapping[str, str] = APIS) -> Mapping[str, float]:
    """Read the spec's `limits:`; those it does not name have their defaults.

    Raises:
        BadInput: A key or value is wrong; it has file, line and key.
    """
    limits_ms: dict[str, float] = dict(DEFAULT_LIMITS)
    names = limit_names(apis)
    for name, value in entry.items().items() if entry.is_present else ():
        if name not in names:
            way_out = meant(name, names)
            if name.endswith(WORDS):
                way_out = "words have a gate: `gates: {wer_points: 1.0}`"
            raise value.wrong("it is no limit", way_out)
        limit_ms = value.build(float | None, LIMIT_MS)
        if limit_ms is None:
            limits_ms.pop(name, None)
        else:
            limits_ms[name] = limit_ms
    if not limits_ms:
        raise entry.wrong("no limit is left", "write one, e.g. `llm_ttft_p95_ms: 2000`")
    return limits_ms


def check_traffic(entry: YamlEntry, workload: Workload, *, is_live: bool) -> None:
    """Refuse rates under which a service would get nothing in the window, or no end of requests.

    A window that is measured here is at most `LONGEST_WINDOW_S` long, and a ramp long enough to
    reach twice the baseline's capacity.

    Raises:
        BadInput: A rate, the window or the ramp is wrong; it has file, line and key.
    """
    if is_live and workload.window_s > LONGEST_WINDOW_S and workload.trace is not None:
        raise entry.at("for").wrong(
            f"{workload.trace.options.for_s:.12g} s of the trace are {workload.window_s:.12g} s, "
            f"more than {LONGEST_WINDOW_S:g}, which leave time for few configurations",
            f"write `for: {LONGEST_WINDOW_S * workload.trace.options.speed:g}` or less",
        )
    if is_live and workload.window_s > LONGEST_WINDOW_S:
        raise entry.at("window_s").wrong(
            f"{workload.window_s:.12g} s is more than {LONGEST_WINDOW_S:g}, which leaves time for "
            "few configurations",
            f"write at most {LONGEST_WINDOW_S:g} and today's rates, however rare: intervals tell "
            "what fewer requests cost",
        )
    if is_ramp_too_short(workload.ramp_s, workload.ramp_doubling_s):
        raise entry.at("ramp_s").wrong(
            f"a ramp reaches twice the baseline's capacity in {TWICE:g} times ramp_doubling_s, "
            f"{TWICE * workload.ramp_doubling_s:g} s, and not in {workload.ramp_s:g}",
            f"write at least {TWICE * workload.ramp_doubling_s:g}, a shorter ramp_doubling_s, or 0 "
            "to leave the ramp out",
        )
    needs_streams = workload.turns_per_s == 0
    rates = {
        "turns_per_s": (workload.turns_per_s, 1, "turns"),
        "llm_per_s": (workload.llm_per_s, workload.llm_burst, "requests"),
        "stt_per_s": (workload.stt_per_s, 1, "requests"),
    }
    for name, (per_s, burst, what) in rates.items():
        expected = per_s * workload.window_s
        is_sent = per_s > 0 or (needs_streams and name != "turns_per_s")
        if (is_sent and round(expected / burst) < 1) or expected > 1e6:
            instead = (
                " or name turns_per_s above 0" if name != "turns_per_s" and needs_streams else ""
            )
            raise entry.at(name).wrong(
                f"it sends {expected:g} {what} in window_s",
                f"write a rate of at least {burst / workload.window_s:g}, or another window_s"
                + instead,
            )
    if workload.llm_burst > 1 and workload.llm_per_s == 0:
        raise entry.at("llm_burst").wrong(
            "no burst is sent, as llm_per_s is not named beside turns_per_s",
            f"write llm_per_s, e.g. {workload.llm_burst / workload.window_s:.3g} for one of them",
        )


def stress(
    main: WindowTraffic,
    others: Sequence[WindowTraffic],
    clips: Sequence[Clip],
    kv_bound: int | None,
    seed: int,
) -> WindowTraffic:
    """Return the worst moment: a full cache of the longest prompts and every clip, all at once.

    Args:
        kv_bound: How many of the longest requests the KV cache holds; None where it is not known.
    """
    worst = max((main, *others), key=lambda t: sum(t.workload.longest)).workload
    longest, output = worst.longest
    count = min(256, max(main.workload.llm_burst, 4, (kv_bound or 0) + 1))
    llm = [Request("llm", 0.0, longest, output, seed=seed + n) for n in range(count)]
    stt = [Request("stt", 0.0, clip=n) for n in range(len(clips))]
    beside = [
        Request(t.service, 0.0, clip=n % len(clips))
        if t.api == "transcription"
        else Request(t.service, 0.0, t.tokens[1], t.output_tokens, seed=seed + n)
        for t in main.workload.beside
        for n in range(max(4, t.burst))
    ]
    quiet = replace(worst, ramp_s=0.0, alone_requests=0)
    return WindowTraffic("stress", quiet, (*llm, *stt, *beside))
