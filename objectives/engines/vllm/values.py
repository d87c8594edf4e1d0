"""vLLM refuses these values as it starts, each by itself or together. Pure.

Read in vLLM 0.26 and 0.32: engine/arg_utils.py, config/scheduler.py, config/cache.py,
utils/argparse_utils.py; what its parser of 0.32 takes each flag for was asked of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

from objectives.allocation import Scalar
from objectives.engines.command import flag_value, option_of
from objectives.engines.engine_options import no_whole_number
from objectives.engines.vllm.flags import read_number

TOKENS, SEQS, CAPTURE = "max_num_batched_tokens", "max_num_seqs", "max_cudagraph_capture_size"
LONGEST = "max_model_len"
# of a Whisper of any size: a clip of 30 s goes in at once, and a text is no longer
SOUND_TOKENS, TEXT_TOKENS = 1500, 448
# the least that a whole number may be
LEAST: Mapping[str, int] = {
    TOKENS: 1,
    SEQS: 1,
    LONGEST: 1,
    CAPTURE: 0,
    "block_size": 1,
    "stream_interval": 1,
}
SHORTENED = (TOKENS, LONGEST)  # that may be written as in 4k
FITTING = ("-1", "auto")  # lengths that vLLM finds itself
SWITCHES = ("enforce_eager", "async_scheduling", "trust_remote_code", "language_model_only")
NO_SWITCHES = ("disable_access_log_for_endpoints",)  # it has a value
ONE_WAY = ("disable_log_stats",)  # with no --no- of their own


def disagreement(
    values: Mapping[str, Iterable[Scalar]], args: tuple[str, ...]
) -> tuple[str, str, str] | None:
    """Return which option vLLM would refuse or cut, why, and the way out; None where none.

    Args:
        values: The values that each option may have, by its name with underscores.
        args: More flags, that count where an option is not among the values.

    >>> disagreement({"max_num_batched_tokens": [256, 1024], "max_num_seqs": [512]}, ())[0]
    'max_num_batched_tokens'
    """
    wrong = _of_another_kind(values, args)
    return _refused_together(values, args) if wrong is None else wrong


def too_little_for_sound(
    values: Mapping[str, Iterable[Scalar]], args: tuple[str, ...]
) -> tuple[str, str, str] | None:
    """Return which option leaves a Whisper no batch for a clip, why, and the way out.

    >>> too_little_for_sound({"max_num_seqs": [2, 8]}, ())[:2]
    ('max_num_seqs', 'vLLM makes 896 tokens a batch of it, and a clip of Whisper takes 1500')
    """
    tokens, seqs, longest = (_numbers(name, values, args) for name in (TOKENS, SEQS, LONGEST))
    enough = f"{SOUND_TOKENS} at least"
    if tokens and min(tokens) < SOUND_TOKENS:
        why = f"vLLM refuses {min(tokens)} of them, since a clip of Whisper takes {SOUND_TOKENS}"
        return TOKENS, why, f"raise it to {enough}"
    made = min(seqs, default=SOUND_TOKENS) * min(longest, default=TEXT_TOKENS)
    if tokens or made >= SOUND_TOKENS:
        return None
    why = f"vLLM makes {made} tokens a batch of it, and a clip of Whisper takes {SOUND_TOKENS}"
    return SEQS, why, f"raise it, or set {TOKENS} to {enough}"


def _of_another_kind(
    values: Mapping[str, Iterable[Scalar]], args: tuple[str, ...]
) -> tuple[str, str, str] | None:
    """Return which option has a value that is no number, or no yes or no, where one belongs."""
    texts = {name: flag_value(name, args) for name in LEAST if name not in values}
    written = {name: [text] for name, text in texts.items() if text is not None}
    for name, several in {**values, **written}.items():
        for value in several:
            if (wrong := _misread(name, value)) is not None:
                what, way_out = wrong
                return name, what if name in values else f"{name}: {what}", way_out
    for word, following in pairwise((*args, "-")):
        option = option_of(word) if word.startswith("--") else ""
        if is_switch(option.removeprefix("no_")) and ("=" in word or following[:1] != "-"):
            return option, f"vLLM's {word.partition('=')[0]} takes no value", "write it alone"
    return None


def _misread(name: str, value: Scalar) -> tuple[str, str] | None:
    """Return why vLLM takes no such value for an option, and the way out; None where it may."""
    if is_switch(name):
        if not isinstance(value, bool):
            return f"{value!r} is neither true nor false", "write one of them"
        is_missing = name in ONE_WAY and not value
        flag = name.replace("_", "-")
        return (f"vLLM has no --no-{flag}", "write true, or leave it out") if is_missing else None
    if name not in LEAST or (name == LONGEST and str(value) in FITTING):
        return None
    number = None if isinstance(value, bool) else value
    if isinstance(value, str):
        number = read_number(value) if name in SHORTENED or value.isdecimal() else None
    if isinstance(number, int | float) and number >= LEAST[name] and number == int(number):
        return None
    return no_whole_number(value, LEAST[name])


def is_switch(option: str) -> bool:
    """Return whether an option is true or false.

    >>> is_switch("enable_prefix_caching"), is_switch("max_num_seqs")
    (True, False)
    """
    is_named_so = option.startswith(("enable_", "disable_")) and option not in NO_SWITCHES
    return is_named_so or option in SWITCHES


def _refused_together(
    values: Mapping[str, Iterable[Scalar]], args: tuple[str, ...]
) -> tuple[str, str, str] | None:
    tokens, seqs, capture, longest = (
        _numbers(name, values, args) for name in (TOKENS, SEQS, CAPTURE, LONGEST)
    )
    if not tokens:
        return None
    least = min(tokens)
    if seqs and least < max(seqs):
        return (
            TOKENS,
            f"vLLM refuses {least} of them for {max(seqs)} requests at once ({SEQS})",
            f"raise it to {max(seqs)} at least, or lower {SEQS}",
        )
    is_chunked = "--no-enable-chunked-prefill" not in [a.replace("_", "-") for a in args]
    is_chunked = is_chunked and False not in values.get("enable_chunked_prefill", ())
    if longest and least < max(longest) and not is_chunked:
        return (
            TOKENS,
            f"without chunked prefill vLLM refuses {least} of them, "
            f"fewer than max_model_len, {max(longest)}",
            f"raise it to {max(longest)} at least, or enable chunked prefill",
        )
    if len(cut := sorted({c for c in capture if c >= least})) > 1:
        return (
            CAPTURE,
            f"vLLM cuts {' and '.join(map(str, cut))} to the {least} tokens of a batch ({TOKENS}): "
            "they are one server",
            f"name one of {least} at most",
        )
    return None


def _numbers(name: str, values: Mapping[str, Iterable[Scalar]], args: tuple[str, ...]) -> list[int]:
    """Return the numbers that an option may be; none where it is nowhere or spelt otherwise."""
    choices: Iterable[Scalar | None] = values.get(name) or [flag_value(name, args)]
    read = (v if isinstance(v, int) else read_number(str(v)) for v in choices if v is not None)
    return [number for number in read if number is not None and number >= 0]
