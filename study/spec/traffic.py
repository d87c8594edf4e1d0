"""Make held-out traffic: kinds that follow from the study's own, captured traces, the stress."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from objectives.capacity.limits import DEFAULT_LIMITS
from objectives.plain_data.ranges import Range
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload
from study.spec.choices import APIS
from study.spec.model import HeldOut
from study.spec.traffic_trace import captured
from study.spec.yaml_node import YamlEntry
from study.text import meant

LIMIT = re.compile(rf"({'|'.join(APIS)})_(latency|ttft|tpot)_p95_ms")
READY_MADE = ("voice_assistant", "multi_user", "long_context")


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


def read_limits(entry: YamlEntry) -> Mapping[str, float]:
    """Read the spec's `limits:`; those it does not name have their defaults.

    Raises:
        BadInput: A key or value is wrong; it has file, line and key.
    """
    limits_ms: dict[str, float] = dict(DEFAULT_LIMITS)
    for name, value in entry.items().items() if entry.is_present else ():
        parts = LIMIT.fullmatch(name)
        if parts is None or (parts[1] == "stt" and parts[2] != "latency"):
            raise value.wrong(
                "it is no limit", f"{meant(name, DEFAULT_LIMITS)}, or llm_latency_p95_ms"
            )
        limit_ms = value.build(float | None, Range(1, 1e7))
        if limit_ms is None:
            limits_ms.pop(name, None)
        else:
            limits_ms[name] = limit_ms
    if not limits_ms:
        raise entry.wrong("no limit is left", "write one, e.g. `llm_ttft_p95_ms: 2000`")
    return limits_ms


def read_workloads(entry: YamlEntry, folder: Path) -> tuple[HeldOut, ...]:
    """Read the spec's `workloads:`: names, and mappings with `replay: FILE.jsonl`.

    Raises:
        BadInput: A workload is wrong; it has file, line and key.
    """
    workloads: list[HeldOut] = []
    for e in entry.elements() if entry.is_present else []:
        if e.is_mapping:
            e.only(("name", "replay"))
            file = str(e.at("replay").build(str))
            path = next((p for p in (folder / file, Path(file)) if p.is_file()), None)
            if path is None:
                raise e.at("replay").wrong(
                    f"there is no file {file!r}", "name a captured trace (JSON lines)"
                )
            name = str(e.at("name").build(str)) if e.at("name").is_present else path.stem
        else:
            path, name = None, str(e.build(str))
            if name not in READY_MADE:
                raise e.wrong(
                    f"{e.quotation} is no workload",
                    f"{meant(name, READY_MADE)}, or {{replay: FILE}}",
                )
        if (
            name in ("main", *(h.name for h in workloads))
            or not name.isprintable()
            or not 0 < len(name) <= 40
        ):
            raise e.wrong(
                f"{name!r} is no name of its own",
                "give each workload another short name, not `main`",
            )
        workloads.append(HeldOut(name, path.absolute() if path else None))
    return tuple(workloads)


def held_out_traffic(
    held_out: HeldOut, main: Workload, clips: Sequence[Clip], longest: int | None
) -> WindowTraffic:
    """Return a held-out workload's traffic, without a ramp and without the services alone.

    Args:
        longest: Tokens of prompt and answer that the LLM server takes; None where it is not known.
    """
    main = replace(main, ramp_s=0.0, alone_requests=0)
    if held_out.replay is None:
        return WindowTraffic(held_out.name, ready_made(held_out.name, main))
    requests = captured(held_out.replay, clips, longest)
    llm = [r for r in requests if r.service == "llm"]
    prompts = [r.prompt_tokens for r in llm] or list(main.prompt_tokens)
    workload = replace(
        main,
        window_s=max(1.0, requests[-1].at_s),
        prompt_tokens=(min(prompts), max(prompts)),
        output_tokens=max((r.output_tokens for r in llm), default=main.output_tokens),
    )
    return WindowTraffic(held_out.name, workload, requests)


def ready_made(name: str, main: Workload) -> Workload:
    """Return a kind of traffic made from the study's own, so that it fits models and machine.

    voice_assistant: one short prompt to each utterance, no bursts; multi_user: twice as many
    requests of half the length, and half as much more speech; long_context: the longest prompts
    only, as many tokens a second.
    """
    low, high = main.prompt_tokens
    mean = (low + high) / 2
    match name:
        case "voice_assistant":
            return replace(
                main,
                seed=main.seed + 1000,
                llm_burst=1,
                llm_per_s=main.stt_per_s,
                prompt_tokens=(max(1, low // 2), max(1, low)),
            )
        case "multi_user":
            return replace(
                main,
                seed=main.seed + 2000,
                llm_burst=max(2, main.llm_burst // 2),
                llm_per_s=2 * main.llm_per_s,
                stt_per_s=1.5 * main.stt_per_s,
                prompt_tokens=(max(1, low // 2), max(1, high // 2)),
            )
        case "long_context":
            longer = (max(1, 3 * high // 4), high)
            less = 2 * mean / sum(longer)
            burst = max(1, round(main.llm_burst * less))
            rate = max(main.llm_per_s * less, burst / main.window_s)
            return replace(
                main, seed=main.seed + 3000, llm_burst=burst, llm_per_s=rate, prompt_tokens=longer
            )
    raise ValueError(name)


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
    worst = max(
        (main, *others), key=lambda t: t.workload.prompt_tokens[1] + t.workload.output_tokens
    ).workload
    longest, output = worst.prompt_tokens[1], worst.output_tokens
    count = min(256, max(main.workload.llm_burst, 4, (kv_bound or 0) + 1))
    llm = [Request("llm", 0.0, longest, output, seed=seed + n) for n in range(count)]
    stt = [Request("stt", 0.0, clip=n) for n in range(len(clips))]
    quiet = replace(worst, ramp_s=0.0, alone_requests=0)
    return WindowTraffic("stress", quiet, (*llm, *stt))


def longest_request(args: Sequence[str]) -> int | None:
    """Return the tokens of one request that a vLLM command allows; None where it does not say.

    >>> [longest_request(args) for args in (["--max-model-len", "4096"], ["--max-model-len=1024"])]
    [4096, 1024]
    >>> longest_request([]) is None
    True
    """
    for flag, value in itertools.pairwise([*args, ""]):
        name, _, own = flag.partition("=")
        if name == "--max-model-len" and (text := own or value).isdecimal():
            return int(text)
    return None
