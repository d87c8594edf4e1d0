"""What an engine of an LLM knows of its own options; by default it knows nothing."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

from objectives.allocation import Scalar
from objectives.services import DeviceKind, LlmService, OtherService

DIGITS = 9  # of a number of devices; what has more is no number that a machine has


def option_of(word: str) -> str:
    """Return the option that a word of a command line sets, with underscores.

    >>> option_of("--ctx-size=8192"), option_of("-c")
    ('ctx_size', 'c')
    """
    return word.lstrip("-").partition("=")[0].replace("-", "_")


@dataclass(frozen=True, slots=True)
class LlmOptions:
    """The options of an engine are checked before anything is launched.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    service: LlmService | OtherService
    name: str = "llm"
    own_prefix: ClassVar[str] = ""  # of the parameters of the LLM that answers turns
    # what to write instead, by option; {name} stands for the service
    set_by_us: ClassVar[Mapping[str, str]] = {}
    # options that change what it answers, with underscores
    changes_answers: ClassVar[frozenset[str]] = frozenset()
    # option: the other option, and its value, beside which it does nothing
    idle_beside: ClassVar[Mapping[str, tuple[str, Scalar]]] = {}
    of_several_devices: ClassVar[frozenset[str]] = frozenset()  # over which they spread it
    of_its_set: ClassVar[tuple[str, ...]] = ()  # those of them that its place says
    own_variables: ClassVar[tuple[str, ...]] = ()  # of a shell, that a live study must look at

    @property
    def is_beside(self) -> bool:
        """Return whether it serves another LLM beside the one that answers turns."""
        return isinstance(self.service, OtherService)

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of its parameters."""
        return f"{self.name}." if self.is_beside else self.own_prefix

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        return self.set_by_us.get(option, "").format(name=self.name) or None

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option changes what it answers, which nobody judges."""
        return option.partition(".")[0] in self.changes_answers

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""
        is_flag = word.startswith("-")
        return is_flag and self.set_by_study(option_of(word)) is not None

    def is_share(self, word: str) -> bool:  # noqa: ARG002
        """Return whether a word of a command sets its share of the device's memory."""
        return False

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

    def disagreement(
        self,
        values: Mapping[str, Sequence[Scalar]],  # noqa: ARG002
    ) -> tuple[str, str, str] | None:
        """Return which option it would refuse or cut, why, and the way out; None where none.

        Args:
            values: The values that each option may have, by its name with underscores.
        """
        return None

    def spread_by(self, values: Mapping[str, Sequence[Scalar]]) -> list[tuple[str, int]]:
        """Return each option that says over how many devices it is spread, with the number."""
        said = dict[str, str]()
        for word, value in pairwise([*self.service.args, ""]):
            option = self._in_full(word)
            if option in self.of_its_set:  # the last of them counts
                said = {o: number for o, number in said.items() if o not in self.of_its_set}
            said[option] = word.partition("=")[2] or value
        return [
            (option, int(number[:DIGITS]))
            for option in sorted(self.of_several_devices)
            for number in map(str, (*values.get(option, ()), said.get(option, "")))
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

    def undivided(self, devices: int) -> str | None:  # noqa: ARG002
        """Return in a sentence why its model cannot be spread over so many devices.

        It is None where it can, or nobody knows.
        """
        return None

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:  # noqa: ARG002
        """Return what `args` must say and does not, and the way out; None where nothing is.

        Args:
            named: The options that the search space or the baseline names.
        """
        return None
