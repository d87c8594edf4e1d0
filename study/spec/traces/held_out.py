"""A spec's own traffic and the held-out one are ready-made kinds, captures or slices of traces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from objectives.plain_data.ranges import Range
from objectives.traffic.clips import Clip
from objectives.traffic.ready_made import READY_MADE, ready_made
from objectives.traffic.workload import Workload
from study.spec.model import HeldOut
from study.spec.services.lengths import fitting
from study.spec.traces.captured_requests import captured
from study.spec.traces.options import TRACE_KEYS, TraceEntry, check_beside, read_trace
from study.spec.traces.replaying import with_trace
from study.spec.traffic import WindowTraffic, check_traffic
from study.spec.yaml_node import YamlEntry
from study.text import meant

# far from the seeds of the study's own workload, of ready-made ones, and of pairs
FIRST_SEED, NEXT_SEED = 10_000, 1_000

# what a workload has of its trace, and not of the study's own
OF_TRACES = (
    "seed",
    "window_s",
    "turns_per_s",
    "llm_per_s",
    "stt_per_s",
    "llm_burst",
    "prompt_tokens",
    "output_tokens",
    "trace",
)
# from a workload and what is asked of a trace
Replaying = Callable[[Workload, TraceEntry], Workload]


def read_traffic(
    top: YamlEntry,
    main: Workload,
    trace_entry: TraceEntry | None,
    folder: Path,
    longest: int | None,
    *,
    is_live: bool,
) -> tuple[Workload, tuple[HeldOut, ...]]:
    """Return the study's own workload and the held-out ones, with the traces that they replay.

    Args:
        top: The spec.
        main: What its `workload:` says.
        trace_entry: The trace that it names; None where rates and lengths are drawn.
        folder: The folder of the spec, from which files are named.
        longest: The tokens of prompt and answer that the server takes; None where nobody says.
        is_live: Whether it is measured here.

    Raises:
        BadInput: Something is wrong with it; the error has file, line and key.
    """

    def replaying(workload: Workload, of: TraceEntry) -> Workload:
        made = with_trace(workload, of, longest)
        check_traffic(of.entry, made, is_live=is_live)
        return made

    if trace_entry is None:
        main = fitting(top.at("workload"), main, longest)
        check_traffic(top.at("workload"), main, is_live=is_live)
    else:
        main = replaying(main, trace_entry)
    return main, _held_out(top.at("workloads"), folder, main, replaying)


def _held_out(
    entry: YamlEntry, folder: Path, main: Workload, replaying: Replaying
) -> tuple[HeldOut, ...]:
    """Read the spec's `workloads:`: names, and mappings with `replay:` or `trace:`.

    Args:
        entry: The list.
        folder: The folder of the spec, from which files are named.
        main: The study's own workload.
        replaying: It returns the workload that replays a trace.

    Raises:
        BadInput: A workload is wrong; it has file, line and key.
    """
    workloads: list[HeldOut] = []
    for n, e in enumerate(entry.elements() if entry.is_present else []):
        path, workload = None, None
        if e.is_mapping and "trace" in e.items():
            e.only(("name", "stt_per_s", *TRACE_KEYS))
            trace_entry = read_trace(e, folder, None, main.window_s)
            check_beside(e, trace_entry)
            own = replace(main, seed=main.seed + FIRST_SEED + n * NEXT_SEED)
            if "stt_per_s" in e.items():
                own = replace(own, stt_per_s=e.at("stt_per_s").build(float, Range(0, 1000)))
            workload = replaying(own, trace_entry)
            name = Path(trace_entry.options.file).stem
        elif e.is_mapping:
            e.only(("name", "replay"), ("name", "replay", *TRACE_KEYS))
            file = str(e.at("replay").build(str))
            path = next((p for p in (folder / file, Path(file)) if p.is_file()), None)
            if path is None:
                raise e.at("replay").wrong(
                    f"there is no file {file!r}", "name a captured trace (JSON lines)"
                )
            name = path.stem
        else:
            name = str(e.build(str))
            if name not in READY_MADE:
                raise e.wrong(
                    f"{e.quotation} is no workload",
                    f"{meant(name, READY_MADE)}, {{replay: FILE}} or {{trace: FILE, format: ...}}",
                )
        if e.is_mapping and e.at("name").is_present:
            name = str(e.at("name").build(str))
        if (
            name in ("main", *(h.name for h in workloads))
            or not name.isprintable()
            or not 0 < len(name) <= 40
        ):
            raise e.wrong(
                f"{name!r} is no name of its own",
                "give each workload another short name, not `main`",
            )
        workloads.append(HeldOut(name, path.absolute() if path else None, workload))
    return tuple(workloads)


def held_out_traffic(
    held_out: HeldOut, main: Workload, clips: Sequence[Clip], longest: int | None
) -> WindowTraffic:
    """Return a held-out workload's traffic, without a ramp and without the services alone.

    Args:
        longest: Tokens of prompt and answer that the LLM server takes; None where it is not known.
    """
    main = replace(main, ramp_s=0.0, alone_requests=0)
    if held_out.trace is not None:
        of_spec = held_out.trace
        own = replace(main, **{f: getattr(of_spec, f) for f in OF_TRACES})
        return WindowTraffic(held_out.name, own)
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
