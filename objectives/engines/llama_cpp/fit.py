"""A server of llama.cpp takes no share, but its GGUF file's weights and its whole context.

It takes all its memory at the start, and the KV cache has the size of the context. Of its other
buffers the largest holds the logits of one step (`n_ubatch` tokens), as its own log tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path, PurePath
from typing import ClassVar

from objectives.allocation import Allocation
from objectives.fit.cell import CONTEXT_MIB, Cell, Host, SpeechMemory
from objectives.fit.fits import Fits
from objectives.model_files.json_file import whole
from objectives.model_files.model import Model, read_model
from objectives.plain_data.units import MIB

PROGRAM = "llama-server"
MODEL = ("-m", "--model")
CONTEXT = ("-c", "--ctx-size")
SLOTS = ("-np", "--parallel")
STEP = ("-ub", "--ubatch-size")
ON_DEVICE = ("-ngl", "--gpu-layers", "--n-gpu-layers")
KEYS, VALUES = ("-ctk", "--cache-type-k"), ("-ctv", "--cache-type-v")
USUAL_STEP, USUAL_SLOTS = 512, 1
OTHER_MIB = 32.0  # a process on a CPU: 153 MiB with 131 of weights and cache
SLACK_MIB = 256.0
CACHE_BYTES = {"f32": 4.0, "f16": 2.0, "bf16": 2.0, "q8_0": 34 / 32, "q4_0": 18 / 32}
CACHE_BYTES |= {"q4_1": 20 / 32, "q5_0": 22 / 32, "q5_1": 24 / 32, "iq4_nl": 18 / 32}


class LlamaCppArithmetic:
    """This arithmetic is that of llama.cpp's server, also where a template starts it."""

    title: ClassVar[str] = "llama.cpp"
    template: ClassVar[str] = f"`{PROGRAM} -m FILE.gguf`"

    def server(self, version: str | None) -> str:  # noqa: ARG002
        """Return what serves the LLM, for a person."""
        return self.title

    def knows(self, argv: Sequence[str]) -> bool:
        """Return whether the command of a template starts it."""
        return is_llama_cpp(argv)

    def model_of(self, argv: Sequence[str]) -> str | None:
        """Return the GGUF file that a command names; None where it names none."""
        return _value(argv, MODEL)

    def read(self, path: Path, argv: Sequence[str], host: Host) -> Model:  # noqa: ARG002
        """Return the model in a file."""
        return read_model(path)

    def token_bytes(self, argv: Sequence[str], model: Model, host: Host) -> float | str:  # noqa: ARG002
        """Return what a token of the KV cache takes, or why that is not known."""
        each, attention = _cache_bytes(argv), model.shape.attention
        if attention.unknown or each is None:
            return attention.unknown or "the number format of its cache is not known"
        return attention.numbers * model.shape.layers * each

    def cell(
        self,
        allocation: Allocation,
        argv: Sequence[str],
        model: Model,
        speech: SpeechMemory,
        host: Host,
        *,
        request_tokens: int,
        version: str | None,  # noqa: ARG002
    ) -> Cell:
        """Return what the files say of an allocation."""
        shape = model.shape
        why = shape.attention.unknown or (model.why if model.weights_mib is None else speech.why)
        if set(shape.attention.windows) - {None}:
            why = why or "how much of its sliding layers llama.cpp keeps is not known"
        each = _cache_bytes(argv)
        context = _number(argv, CONTEXT) or shape.max_positions
        if each is None or context is None:
            why = why or "its context, or the number format of its cache, is not known"
        if (
            why
            or each is None
            or context is None
            or model.weights_mib is None
            or speech.mib is None
        ):
            return Cell(allocation=allocation, outcome=Fits.UNKNOWN, why=why)
        slots = _number(argv, SLOTS) or USUAL_SLOTS
        own = {
            "weights": model.weights_mib,
            "KV cache": context * shape.attention.numbers * shape.layers * each / MIB,
            "other": OTHER_MIB + (_number(argv, STEP) or USUAL_STEP) * shape.vocab * 4 / MIB,
            "process": 0.0 if host.is_cpu else CONTEXT_MIB,
        }
        parts = {**own, "speech": speech.mib, **host.parts}
        need_mib = sum(parts.values())
        missing_mib, margin_mib = need_mib - host.total_mib, SLACK_MIB + speech.slack_mib
        margin_mib += host.slack_mib
        on_device = _number(argv, ON_DEVICE, least=0)
        is_split = not host.is_cpu and on_device is not None and on_device <= shape.layers
        text = " + ".join(f"{mib:,.0f} {part}" for part, mib in parts.items())
        text += f" = {need_mib:,.0f} of {host.total_mib:,.0f} MiB"
        if is_split:
            text = f"only {on_device} layers are on the device, which is not counted; {text}"
        longest = context // slots
        return Cell(
            allocation=allocation,
            outcome=Fits.PREDICTED_OOM if missing_mib > 0 else Fits.STARTS,
            is_close=is_split or abs(missing_mib) <= margin_mib,
            missing_mib=missing_mib,
            margin_mib=margin_mib,
            kv_tokens=context,
            longest_tokens=longest,
            at_once=slots if request_tokens <= longest else 0,
            free_mib=-missing_mib,
            own_mib=None if is_split else (sum(own.values()), SLACK_MIB),
            why=text,
        )


def is_llama_cpp(argv: Sequence[str]) -> bool:
    """Return whether a command starts a server of llama.cpp."""
    return any(PurePath(word).name == PROGRAM for word in argv[:3])


def _cache_bytes(argv: Sequence[str]) -> float | None:
    """Return the bytes of a number of the KV cache, over keys and values; None: not known."""
    keys, values = (CACHE_BYTES.get(_value(argv, flag) or "f16") for flag in (KEYS, VALUES))
    return None if keys is None or values is None else (keys + values) / 2


def _value(argv: Sequence[str], names: Sequence[str]) -> str | None:
    """Return the word behind the last of some flags; None where there is none."""
    value = None
    for word, following in pairwise(argv):
        if word in names:
            value = following
    return value


def _number(argv: Sequence[str], names: Sequence[str], *, least: int = 1) -> int | None:
    text = _value(argv, names) or ""
    return (
        whole(int(text), least=least, most=10**9) if text.isdecimal() and len(text) < 10 else None
    )
