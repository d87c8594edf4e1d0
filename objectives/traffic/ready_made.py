"""Ready-made kinds of traffic follow from a study's own workload. Pure."""

from __future__ import annotations

from dataclasses import replace

from objectives.traffic.workload import Workload

READY_MADE = ("voice_assistant", "multi_user", "long_context")


def ready_made(name: str, main: Workload) -> Workload:
    """Return a kind of traffic made from the study's own, so that it fits models and machine.

    voice_assistant: one short prompt to each utterance, no bursts; multi_user: twice as many
    requests of half the length, and half as much more speech; long_context: the longest prompts
    only, as many tokens a second. Where the study's own has turns, they have too: of the first,
    every utterance begins one, and of the others what turns do not bring comes beside them.
    """
    main = drawn_like(main)
    low, high = main.prompt_tokens
    mean = (low + high) / 2
    turns_per_s = main.turns_per_s
    match name:
        case "voice_assistant":
            return replace(
                main,
                seed=main.seed + 1000,
                turns_per_s=turns_per_s + main.stt_per_s if turns_per_s else 0.0,
                llm_burst=1,
                llm_per_s=0.0 if turns_per_s else main.stt_per_s,
                stt_per_s=0.0 if turns_per_s else main.stt_per_s,
                prompt_tokens=(max(1, low // 2), max(1, low)),
            )
        case "multi_user":
            return replace(
                main,
                seed=main.seed + 2000,
                turns_per_s=1.5 * turns_per_s,
                llm_burst=max(2, main.llm_burst // 2),
                llm_per_s=2 * main.llm_per_s + 0.5 * turns_per_s,
                stt_per_s=1.5 * main.stt_per_s,
                prompt_tokens=(max(1, low // 2), max(1, high // 2)),
            )
        case "long_context":
            longer = (max(1, 3 * high // 4), high)
            less = 2 * mean / sum(longer)
            burst = max(1, round(main.llm_burst * less))
            least_per_s = burst / main.window_s if main.llm_per_s else 0.0
            fewer_per_s = max(turns_per_s * less, 1 / main.window_s) if turns_per_s else 0.0
            return replace(
                main,
                seed=main.seed + 3000,
                turns_per_s=fewer_per_s,
                llm_burst=burst,
                llm_per_s=max(main.llm_per_s * less, least_per_s),
                stt_per_s=main.stt_per_s + turns_per_s - fewer_per_s,
                prompt_tokens=longer,
            )
    raise ValueError(name)


def drawn_like(main: Workload) -> Workload:
    """Return a workload that draws its rates and lengths, about as a trace has them.

    Prompts have the lengths between the shortest quarter of the trace and its longest twentieth.
    """
    if main.trace is None:
        return main
    facts = main.trace.facts
    return replace(
        main,
        trace=None,
        prompt_tokens=(facts.prompt_p25, facts.prompt_p95),
        output_tokens=max(1, round(facts.output_mean)),
    )
