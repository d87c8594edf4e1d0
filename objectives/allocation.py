"""This module holds one allocation, the names of its two main values, and the safety bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

Scalar = bool | int | float | str

SHARE = "vllm_memory_util"
MEMORY = "vllm_memory_mib"  # the same in MiB: a share of one device only
OF_MEMORY = (SHARE, MEMORY)
SPEECH = "whisper_model_size"
HEARER = "stt"  # the service that hears turns
RESIDENT = "resident"  # the option of a service that says whether it runs all the time
DEFAULT_BOUNDS: Mapping[str, tuple[float, float]] = {SHARE: (0.30, 0.70)}


def is_of_speech(parameter: str) -> bool:
    """Return whether a parameter is the speech server's.

    >>> is_of_speech(SPEECH), is_of_speech("whisper.beam_size"), is_of_speech(SHARE)
    (True, True, False)
    """
    return parameter == SPEECH or parameter.startswith(("whisper.", f"{HEARER}."))


def share_of(mib: float, total_mib: float) -> float:
    """Return the share of a device that so many MiB are, as exact as a flag writes it.

    >>> share_of(40_540, 143_771)
    0.281976
    """
    return round(mib / total_mib, 6)


@dataclass(frozen=True)
class Allocation:
    """An allocation divides the device: it holds a value for each parameter, fixed or searched.

    Args:
        values: Values by the names of their parameters; `SPEECH` is always among them, and so is
            `SHARE` where the LLM's engine has one, once the device is known. Where the memory is
            said in MiB, `SHARE` follows from that.

    >>> two = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
    >>> a = Allocation({**two, "vllm.max_num_seqs": 64})
    >>> a.share, a.speech, a.options("vllm.")
    (0.5, 'base', {'max_num_seqs': 64})
    >>> str(a)
    'vllm_memory_util=0.5 whisper_model_size=base vllm.max_num_seqs=64'
    >>> str(Allocation({**two, "vllm_memory_mib": 40540}))
    'vllm_memory_mib=40540 whisper_model_size=base'
    """

    values: Mapping[str, Scalar]

    @property
    def has_share(self) -> bool:
        """Return whether the LLM server gets a share of the device's memory.

        Else it takes what it needs.
        """
        return SHARE in self.values or MEMORY in self.values

    @property
    def share(self) -> float:
        """Return the share of the device's memory that the LLM server gets, 0 to 1.

        Raises:
            KeyError: It has none, or the device is not known yet.
        """
        return float(self.values[SHARE])

    @property
    def memory_mib(self) -> Scalar | None:
        """Return the memory that the LLM server gets, MiB; None where only its share is said."""
        return self.values.get(MEMORY)

    @property
    def own_values(self) -> dict[str, Scalar]:
        """Return the values without a share that follows from MiB, and so from the device."""
        is_derived = MEMORY in self.values
        return {k: v for k, v in self.values.items() if k != SHARE or not is_derived}

    @property
    def speech(self) -> str:
        """Return the size of the speech model, e.g. `base`."""
        return str(self.values[SPEECH])

    @cached_property
    def speech_key(self) -> str:
        """Return what the memory and the words of the speech server depend on while it is awake.

        >>> values = {"vllm_memory_util": 0.5, "whisper_model_size": "base"}
        >>> Allocation(values | {"whisper.beam_size": 5}).speech_key
        'base beam_size=5'
        """
        options = self.options("whisper.") | self._awake(HEARER)
        return " ".join([self.speech, *(f"{k}={v}" for k, v in sorted(options.items()))])

    def words_key(self, service: str) -> str:
        """Return what the words of a service that transcribes depend on.

        >>> Allocation({"whisper_model_size": "base", "notes.beams": 5}).words_key("notes")
        'notes beams=5'
        """
        if service == HEARER:
            return self.speech_key
        options = sorted(self._awake(service).items())
        return " ".join([service, *(f"{k}={v}" for k, v in options)])

    def _awake(self, service: str) -> dict[str, Scalar]:
        """Return the options of a service while it is awake."""
        return {k: v for k, v in self.options(f"{service}.").items() if k != RESIDENT}

    @property
    def all_options(self) -> dict[str, Scalar]:
        """Return the options of every server, server by server, by the names of parameters."""
        return {
            k: self.values[k]
            for k in sorted(self.values, key=lambda name: name.partition(".")[0])
            if "." in k
        }

    def options(self, prefix: str) -> dict[str, Scalar]:
        """Return the server options whose names begin with `prefix`, by the rest of their names."""
        return {k.removeprefix(prefix): v for k, v in self.values.items() if k.startswith(prefix)}

    def __str__(self) -> str:
        """Return one text for equal allocations, in whatever order a file holds their values."""
        return self._text

    @cached_property
    def _text(self) -> str:
        ordered = sorted(
            self.own_values.items(),
            key=lambda kv: (kv[0] not in OF_MEMORY, kv[0] != SPEECH, kv[0]),
        )
        return " ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in ordered)

    def __hash__(self) -> int:
        return hash(frozenset(self.values.items()))
