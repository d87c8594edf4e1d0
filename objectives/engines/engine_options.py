"""An engine knows its own options: what each does, and which of them it would refuse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import ClassVar

from objectives.allocation import RESIDENT, Allocation, Scalar
from objectives.engines.command import flag_value, option_of
from objectives.engines.places import PLACE
from objectives.services import DeviceKind, Service

# options of a template by these names change no answer; what another does nobody knows
KEEPS_ANSWERS = frozenset(
    {PLACE, RESIDENT, "batch_size", "max_batch_size", "max_num_seqs", "max_num_batched_tokens"}
    | {"threads", "num_threads", "workers", "num_workers", "parallel", "concurrency"}
    | {"max_concurrency", "max_concurrent_requests", "share", "gpu_memory_utilization"}
    | {"max_batch_tokens", "max_batch_requests", "tokenization_workers"}  # of Hugging Face's TEI
    | {"ctx_size", "n_gpu_layers", "gpu_layers", "ubatch_size"}
)
DIGITS = 9  # of a number of devices; what has more is no number that a machine has


def no_whole_number(value: Scalar, least: int) -> tuple[str, str]:
    """Return that a value is no whole number as an option needs it, and the way out."""
    return f"{str(value) or 'nothing'} is no whole number from {least}", "write one"


class EngineOptions(ABC):
    """The options of an engine are checked before anything is launched.

    What most servers have not stands here as none; an engine says what it has instead.

    Attributes:
        service: What it serves, and how it is started.
        name: The name of the service.
        share_option: The option that is its share of a device, where that is its own.
        context_option: The option that is the longest prompt with its answer.
        words_key: The key of an entry in which its options stand that are fixed.
        options_of_ours: The options of a server of ours, without the prefix; empty where any may
            be an option of it.
        set_by_us: What to write instead of an option that the study sets; {name} stands for the
            service.
        least: The least of each option that is a whole number.
        idle_beside: By option the other one, and its value, beside which it does nothing.
        of_several_devices: The options that spread it over several devices.
        of_its_set: Those of them that its place says.
    """

    __slots__ = ()

    service: Service
    name: str
    share_option: ClassVar[str] = ""
    context_option: ClassVar[str] = ""
    words_key: ClassVar[str] = "args"
    options_of_ours: ClassVar[tuple[str, ...]] = ()
    set_by_us: ClassVar[Mapping[str, str]] = {}
    least: ClassVar[Mapping[str, int]] = {}
    idle_beside: ClassVar[Mapping[str, tuple[str, Scalar]]] = {}
    of_several_devices: ClassVar[frozenset[str]] = frozenset()
    of_its_set: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def may_change_answers(self, option: str) -> bool:
        """Return whether an option may change answers that nobody judges.

        Args:
            option: Its name without the prefix, with underscores.
        """

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of its parameters."""
        return f"{self.name}."

    def options(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return the values of its parameters, by their names without its own."""
        options = allocation.options(self.prefix)
        return {name: value for name, value in options.items() if name not in (PLACE, RESIDENT)}

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        return self.set_by_us.get(option, "").format(name=self.name) or None

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""
        return word.startswith("-") and self.set_by_study(option_of(word)) is not None

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:  # noqa: ARG002
        """Return what `args` must say and does not, and the way out; None where nothing is.

        Args:
            named: The options that the search space or the baseline names.
        """
        return None

    def is_share(self, word: str) -> bool:  # noqa: ARG002
        """Return whether a word of a command sets its share of the device's memory."""
        return False

    def share_in_args(self) -> str | None:
        """Return what `args` say of its share, as it is written; None where they say nothing."""
        words = pairwise((*self.service.args, ""))
        shares = [w.partition("=")[2] or v for w, v in words if self.is_share(w)]
        return shares[-1] if shares else None

    def overriding(self, word: str) -> tuple[str, str] | None:  # noqa: ARG002
        """Return the flag that a word of a command is, and why it overrides a searched memory.

        It is None where it overrides nothing.
        """
        return None

    def overriding_variable(self, name: str, value: str) -> str | None:  # noqa: ARG002
        """Return why a variable of the environment does so; None where it does not."""
        return None

    def useless_on(self, kind: DeviceKind, option: str) -> str | None:  # noqa: ARG002
        """Return in a sentence why an option does nothing on a device; None where it may."""
        return None

    def fixed_value(self, option: str) -> str | None:
        """Return what `args` say of an option; None where they say nothing."""
        return flag_value(option, self.service.args)

    def disagreement(self, values: Mapping[str, Sequence[Scalar]]) -> tuple[str, str, str] | None:
        """Return which option it would refuse or cut, why, and the way out; None where none.

        Args:
            values: The values that each option may have, by its name with underscores.
        """
        for option, least in self.least.items():
            text = self.fixed_value(option)
            for value in values.get(option, () if text is None else (text,)):
                number = str(value).removesuffix(".0")
                is_whole = not isinstance(value, bool) and number.isdecimal()
                if not is_whole or int(number[:DIGITS]) < least:
                    what, way_out = no_whole_number(value, least)
                    return option, what if option in values else f"{option}: {what}", way_out
        return None

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:  # noqa: ARG002
        """Return the tokens of prompt and answer that it takes whatever its options are.

        It is None where nothing says.

        Args:
            values: The values that each of its options may have, by name.
        """
        return None

    def spread_by(self, values: Mapping[str, Sequence[Scalar]]) -> list[tuple[str, int]]:
        """Return each option that says over how many devices it is spread, with the number."""
        texts = dict[str, str]()
        for word, value in pairwise([*self.service.args, ""]):
            option = self._in_full(word)
            if option in self.of_its_set:  # the last of them counts
                texts = {o: number for o, number in texts.items() if o not in self.of_its_set}
            texts[option] = word.partition("=")[2] or value
        return [
            (option, int(number[:DIGITS]))
            for option in sorted(self.of_several_devices)
            for number in map(str, (*values.get(option, ()), texts.get(option, "")))
            if number.isdecimal()
        ]

    def _in_full(self, word: str) -> str:
        """Return the option that a flag sets; of those of several devices also one cut short.

        It is empty for a word that is no flag.
        """
        name = option_of(word) if word.startswith("-") else ""
        if name in self.of_several_devices or not word.startswith("--"):
            return name
        for option in sorted(self.of_several_devices):
            if option.startswith(name) and name.startswith(option.partition("_")[0]):
                return option
        return name
