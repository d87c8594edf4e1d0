"""Lines say what a capture holds and what it does not, how a mirror did, and what to type next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from objectives.capture.lengths import Lengths, Missing
from objectives.capture.tally import MirroredPair, Tally, Timing, quantile
from objectives.services import ApiName
from objectives.traffic.clips import read_clips
from study.text import one_line

KINDS: dict[ApiName, tuple[str, str]] = {
    "completions": ("LLM request", "LLM requests"),
    "transcription": ("clip of speech", "clips of speech"),
}
REASONS = {
    Missing.REFUSED: "refused by the server",
    Missing.FAILED: "failed",
    Missing.LEFT: "given up by the client before their length was known",
    Missing.TOO_LARGE: "too large to be read",
    Missing.UNREADABLE: "not in OpenAI's form, or not sound that can be read",
    Missing.UNCOUNTED: "of a length that the server did not tell",
    Missing.SEVERAL: "of several prompts or answers in one",
    Missing.UNREAD: "not read, as too much came at once or what passed was not HTTP",
    Missing.FULL: "after the trace was full",
}
TELL_USAGE = (
    "the server tells a stream's length to clients that ask for "
    "stream_options.include_usage, and to all with vLLM's --enable-force-include-usage"
)


def ending(tally: Tally, path: Path) -> list[str]:
    """Return the lines at the end of a capture."""
    count = {api: len(tally.kept[api]) for api in KINDS}
    if not any(count.values()):
        return [
            f"no request was captured, and {path} is not written",
            *_beside(tally),
            *_mirrored(tally),
        ]
    what = " and ".join(_counted(n, *KINDS[api]) for api, n in count.items() if n)
    return [
        f"{path}: {what}",
        *_sizes(tally.kept),
        *_beside(tally),
        *_mirrored(tally),
        "a study replays a part of it in its window (guide traces.md), a confirmation all of it "
        "beside that, with these in the spec:",
        f"    workload: {{trace: {_quoted(path.absolute())}, format: timed_trace}}",
        f"    workloads: [{{name: {_name(path)}, replay: {_quoted(path.absolute())}}}]",
    ]


def _sizes(kept: Mapping[ApiName, list[Lengths]]) -> list[str]:
    lines = []
    for name, field in (("prompts", "prompt_tokens"), ("answers", "output_tokens")):
        if values := [getattr(one, field) for one in kept["completions"]]:
            median = quantile(values, 0.5)
            lines.append(f"  {name}: {median:,} tokens in the middle, {max(values):,} at most")
    if seconds := [one.seconds or 0.0 for one in kept["transcription"]]:
        shipped = [clip.seconds for clip in read_clips("assistant")]
        sent_s = sum(min(shipped, key=lambda s: abs(s - own)) for own in seconds)
        share = 100 * sent_s / sum(seconds)
        lines.append(
            f"  speech: {quantile(seconds, 0.5):.1f} s in the middle, {max(seconds):.1f} s at "
            f"most; the shipped clips nearest in length are {share:.0f} % as long together"
        )
    return lines


def _beside(tally: Tally) -> list[str]:
    """Return what is not in the trace, or less surely."""
    lines = [
        f"  not in it: {_counted(n, *KINDS[api])} {REASONS[why]}"
        for (api, why), n in sorted(tally.missing.items(), key=str)
    ]
    if any(why is Missing.UNCOUNTED for _, why in tally.missing):
        lines.append(f"  {TELL_USAGE}")
    llm = tally.kept["completions"]
    notes = (
        (
            sum(one.in_pieces for one in llm),
            ("answer", "answers"),
            "counted in the pieces of a stream, of which one may hold several tokens",
        ),
        (
            sum(one.by_tokenize for one in llm),
            ("prompt", "prompts"),
            "counted by the server's /tokenize afterwards",
        ),
        (tally.left, ("answer", "answers"), "as long as it was when the client hung up"),
        (tally.others, ("request", "requests"), "of other paths, passed and not captured"),
        (
            tally.unreadable,
            ("connection", "connections"),
            "not captured, which changed to something else than HTTP/1",
        ),
    )
    lines += [f"  {_counted(count, *words)} {note}" for count, words, note in notes if count]
    return lines


def _mirrored(tally: Tally) -> list[str]:
    """Return how a mirror did beside the server, under the same requests."""
    lines = []
    for api, words in KINDS.items():
        pairs = [pair for pair in tally.pairs if pair.api == api]
        if pairs:
            lines += [f"  {_counted(len(pairs), *words)} to both: server, mirror", *_table(pairs)]
    for count, why in (
        (tally.dropped, "without a copy, as the mirror was behind"),
        (tally.left_out, "not compared, as the client hung up or the capture ended first"),
    ):
        if count:
            lines.append(f"  {count:,} {why}")
    if lines:
        lines.append("  one traffic, seen once: scripts/confirm.py tells whether one is better")
    return lines


def _table(pairs: Sequence[MirroredPair]) -> list[str]:
    """Return a line a figure; a failed request is infinitely late."""
    sides: tuple[list[Timing], ...] = ([p.server for p in pairs], [p.mirror for p in pairs])
    begun = [p for p in pairs if None not in (p.server.first_ms, p.mirror.first_ms)]
    firsts = [[p.server.first_ms or 0.0 for p in begun], [p.mirror.first_ms or 0.0 for p in begun]]
    wholes = [[t.latency_ms for t in side] for side in sides]
    lines = []
    for name, values in (("begun", firsts), ("answered", wholes)):
        for share in (0.5, 0.95):
            if values[0]:
                texts = [_ms(quantile(side, share)) for side in values]
                lines.append(f"    {share:.0%} {name} within  {texts[0]:>12} {texts[1]:>12}")
    failed = [f"{sum(t.has_failed for t in side):,}" for side in sides]
    return [*lines, f"    failed  {failed[0]:>12} {failed[1]:>12}"]


def _counted(count: int, one: str, many: str) -> str:
    """Return a number with what it counts.

    >>> _counted(1, "clip", "clips"), _counted(1200, "clip", "clips")
    ('1 clip', '1,200 clips')
    """
    return f"{count:,} {one if count == 1 else many}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return "never" if math.isinf(value) else f"{value:,.1f} ms"


def _name(path: Path) -> str:
    """Return a name for the workload: the file's, in plain letters."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in path.stem)
    return plain.strip("-")[:40] or "captured"


def _quoted(path: Path) -> str:
    return '"' + one_line(str(path)).replace("\\", "\\\\").replace('"', '\\"') + '"'
