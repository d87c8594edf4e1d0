"""Held-out traffic: ready-made kinds that follow from the study's own workload, and captured traces of arrivals."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.clips import Clip
from objectives.errors import BadInput
from objectives.workload import Request, Workload
from study.entry import Entry, meant, one_line

READY_MADE = ("voice_assistant", "multi_user", "long_context")
MAX_BYTES = 16 * 2**20
MAX_REQUESTS = 100_000
MAX_S = 86_400.0
FIELDS = {"llm": ("at_s", "service", "prompt_tokens", "output_tokens"), "stt": ("at_s", "service", "clip")}


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One entry of a spec's `workloads:`: a ready-made kind, or the file of a captured trace."""

    name: str
    replay: Path | None = None


@dataclass(frozen=True, slots=True)
class Traffic:
    """What is sent in one window: a workload, and the captured requests that take the place of its trace."""

    name: str
    workload: Workload
    requests: tuple[Request, ...] = ()


def read_workloads(entry: Entry, folder: Path) -> tuple[HeldOut, ...]:
    """The spec's `workloads:`: names, and mappings with `replay: FILE.jsonl`.

    raises: BadInput with file, line and key
    """
    found: list[HeldOut] = []
    for e in entry.elements() if entry.given else []:
        if e.is_mapping:
            e.only(("name", "replay"))
            file = str(e.at("replay").build(str, {}))
            path = next((p for p in (folder / file, Path(file)) if p.is_file()), None)
            if path is None:
                raise e.at("replay").wrong(f"there is no file {file!r}", "name a captured trace (JSON lines)")
            name = str(e.at("name").build(str, {})) if e.at("name").given else path.stem
        else:
            path, name = None, str(e.build(str, {}))
            if name not in READY_MADE:
                raise e.wrong(f"{e.shown} is no workload", f"{meant(name, READY_MADE)}, or {{replay: FILE}}")
        if name in ("main", *(h.name for h in found)) or not name.isprintable() or not 0 < len(name) <= 40:
            raise e.wrong(f"{name!r} is no name of its own", "give each workload another short name, not `main`")
        found.append(HeldOut(name, path.absolute() if path else None))
    return tuple(found)


def traffic(held_out: HeldOut, main: Workload, clips: Sequence[Clip], longest: int | None) -> Traffic:
    """The traffic of a held-out workload, which neither climbs a ladder nor loads the services alone.

    longest: tokens of prompt and answer that the LLM server takes; None where it is not known
    """
    main = replace(main, ladder_s=0.0, alone_requests=0)
    if held_out.replay is None:
        return Traffic(held_out.name, ready_made(held_out.name, main))
    requests = captured(held_out.replay, clips, longest)
    llm = [r for r in requests if r.service == "llm"]
    prompts = [r.prompt_tokens for r in llm] or list(main.prompt_tokens)
    workload = replace(
        main,
        window_s=max(1.0, requests[-1].at_s),
        prompt_tokens=(min(prompts), max(prompts)),
        output_tokens=max((r.output_tokens for r in llm), default=main.output_tokens),
    )
    return Traffic(held_out.name, workload, requests)


def ready_made(name: str, main: Workload) -> Workload:
    """A kind of traffic made from the study's own, so that it fits the same models and the same machine.

    voice_assistant: one short prompt to each utterance, no bursts; multi_user: twice as many requests of half the
    length, and half as much more speech; long_context: the longest prompts only, as many tokens a second
    """
    low, high = main.prompt_tokens
    mean = (low + high) / 2
    match name:
        case "voice_assistant":
            return replace(
                main, seed=main.seed + 1000, llm_burst=1, llm_per_s=main.stt_per_s,
                prompt_tokens=(max(1, low // 2), max(1, low)),
            )  # fmt: skip
        case "multi_user":
            return replace(
                main, seed=main.seed + 2000, llm_burst=max(2, main.llm_burst // 2), llm_per_s=2 * main.llm_per_s,
                stt_per_s=1.5 * main.stt_per_s, prompt_tokens=(max(1, low // 2), max(1, high // 2)),
            )  # fmt: skip
        case "long_context":
            longer = (max(1, 3 * high // 4), high)
            less = 2 * mean / sum(longer)
            burst = max(1, round(main.llm_burst * less))
            rate = max(main.llm_per_s * less, burst / main.window_s)
            return replace(main, seed=main.seed + 3000, llm_burst=burst, llm_per_s=rate, prompt_tokens=longer)
    raise ValueError(name)


def captured(path: Path, clips: Sequence[Clip], longest: int | None) -> tuple[Request, ...]:
    """The requests of a captured trace, sorted by time; every line is checked.

    A line is {"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64} or
    {"at_s": 0.7, "service": "stt", "clip": 3}, with the number of a clip, or its file name.
    raises: BadInput, one line, with file and line
    """

    def wrong(number: int, what: str) -> BadInput:
        example = '{"at_s": 0.5, "service": "llm", "prompt_tokens": 900, "output_tokens": 64}'
        return BadInput(one_line(f"{path}:{number}: {what}; a line is such as {example}"))

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise BadInput(one_line(f"{path}: {error.strerror}; name a trace that can be read")) from error
    if len(data) > MAX_BYTES:
        raise wrong(1, f"the trace is larger than {MAX_BYTES // 2**20} MiB")
    found = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_refused)
        except (ValueError, RecursionError) as error:
            raise wrong(number, f"not JSON ({str(error)[:80]})") from error
        try:
            found.append(_request(line, number, clips, longest))
        except ValueError as error:
            raise wrong(number, str(error)) from error
        if len(found) > MAX_REQUESTS:
            raise wrong(number, f"more than {MAX_REQUESTS:,} requests")
    if not found:
        raise wrong(1, "the trace holds no request")
    return tuple(sorted(found, key=lambda r: r.at_s))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key is there twice")
    return dict(pairs)


def _refused(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _request(line: object, number: int, clips: Sequence[Clip], longest: int | None) -> Request:
    """One line as a request; ValueError says what is wrong with it."""
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  one kind of error for a line
    service = line.get("service")
    if service not in ("llm", "stt"):
        raise ValueError(f"service is {_short(service)}, not llm or stt")
    wanted = FIELDS[service]
    if unknown := sorted(line.keys() - set(wanted)):
        raise ValueError(f"unknown key {_short(unknown[0])}, {meant(unknown[0], wanted)}")
    if missing := [k for k in wanted if k not in line]:
        raise ValueError(f"{missing[0]} is missing")
    at_s = line["at_s"]
    if isinstance(at_s, bool) or not isinstance(at_s, int | float) or not (0 <= at_s <= MAX_S and math.isfinite(at_s)):
        raise ValueError(f"at_s is {_short(at_s)}, not seconds from 0 to {MAX_S:,.0f}")
    if service == "stt":
        return Request("stt", float(at_s), clip=_clip(line["clip"], clips))
    tokens = []
    for name in ("prompt_tokens", "output_tokens"):
        value = line[name]
        if type(value) is not int or not 1 <= value <= 10_000_000:
            raise ValueError(f"{name} is {_short(value)}, not a whole number from 1")
        tokens.append(value)
    if longest is not None and sum(tokens) > longest:
        raise ValueError(f"{sum(tokens)} tokens of prompt and answer, and the LLM server takes {longest}")
    prompt_tokens, output_tokens = tokens
    return Request("llm", float(at_s), prompt_tokens, output_tokens, seed=7_000_003 + number)


def _clip(named: object, clips: Sequence[Clip]) -> int:
    names = [c.name for c in clips]
    if type(named) is int and 0 <= named < len(clips):
        return named
    if isinstance(named, str) and named in names:
        return names.index(named)
    raise ValueError(f"clip is {_short(named)}, not a number from 0 to {len(clips) - 1} or a file name of the clips")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def stress(main: Traffic, others: Sequence[Traffic], clips: Sequence[Clip], kv_bound: int | None, seed: int) -> Traffic:
    """The worst moment: a full cache of the longest prompts and every clip, all at once.

    kv_bound: how many of the longest requests the KV cache holds; None where it is not known
    """
    worst = max((main, *others), key=lambda t: t.workload.prompt_tokens[1] + t.workload.output_tokens).workload
    longest, output = worst.prompt_tokens[1], worst.output_tokens
    count = min(256, max(main.workload.llm_burst, 4, (kv_bound or 0) + 1))
    llm = [Request("llm", 0.0, longest, output, seed=seed + n) for n in range(count)]
    stt = [Request("stt", 0.0, clip=n) for n in range(len(clips))]
    quiet = replace(worst, ladder_s=0.0, alone_requests=0)
    return Traffic("stress", quiet, (*llm, *stt))


def longest_request(args: Sequence[str]) -> int | None:
    """Tokens of one request that a vLLM command allows; None where it does not say.

    >>> longest_request(["--max-model-len", "4096"]), longest_request(["--max-model-len=1024"]), longest_request([])
    (4096, 1024, None)
    """
    for flag, value in itertools.pairwise([*args, ""]):
        name, _, own = flag.partition("=")
        if name == "--max-model-len" and (text := own or value).isdecimal():
            return int(text)
    return None
