"""An engine is a program that serves one service; this module says what a launch needs of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar

from objectives.allocation import RESIDENT, Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.engines.command import Command, flag_value, option_of
from objectives.engines.places import PLACE
from objectives.fit.cell import CONTEXT_MIB, Host
from objectives.services import ApiName, DeviceKind, Service
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

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


class Engine(ABC):
    """An engine starts a server and knows when it is ready and what it tells of itself.

    What most servers have not stands here as none; an engine says what it has instead.

    Attributes:
        service: What it serves, and how it is started.
        name: The name of the service.
        server_packages: Those of its packages that are the server itself, the one that tells its
            own version first.
        share_option: The option that is its share of a device, where that is its own.
        context_option: The option that is the longest prompt with its answer.
        words_key: The key of an entry in which its options stand that are fixed.
        options_of_ours: The options of a server of ours, without the prefix; empty where any may
            be an option of it.
        stack_flags: The flags of its command by which the stack of a unit in production is
            compared with it, by their names there; empty where none is compared.
        quiet_death: Why a unit that is restarted only on failure would stay dead; empty where it
            would not.
        compiling: What its log says only where a start compiled, and so had another KV cache than
            later ones have; empty where none does.
        beyond_mib: On a CPU, what it takes outside of what it asks for, MiB.
        own_wakers: How it wakes by itself in production, with the variable that says when it
            sleeps.
        sleep_words: The flag and the variable that its sleep mode needs; empty: it has none.
        set_by_us: What to write instead of an option that the study sets; {name} stands for the
            service.
        least: The least of each option that is a whole number.
        idle_beside: By option the other one, and its value, beside which it does nothing.
        of_several_devices: The options that spread it over several devices.
        of_its_set: Those of them that its place says.
        own_variables: Those of a shell that a live study must look at.
    """

    __slots__ = ()

    service: Service
    name: str
    server_packages: ClassVar[tuple[str, ...]] = ()
    share_option: ClassVar[str] = ""
    context_option: ClassVar[str] = ""
    words_key: ClassVar[str] = "args"
    options_of_ours: ClassVar[tuple[str, ...]] = ()
    stack_flags: ClassVar[Mapping[str, str]] = {}
    quiet_death: ClassVar[str] = ""
    compiling: ClassVar[str] = ""
    beyond_mib: ClassVar[float] = 0.0
    own_wakers: ClassVar[Mapping[str, str]] = {}
    sleep_words: ClassVar[tuple[str, str]] = ("", "")
    set_by_us: ClassVar[Mapping[str, str]] = {}
    least: ClassVar[Mapping[str, int]] = {}
    idle_beside: ClassVar[Mapping[str, tuple[str, Scalar]]] = {}
    of_several_devices: ClassVar[frozenset[str]] = frozenset()
    of_its_set: ClassVar[tuple[str, ...]] = ()
    own_variables: ClassVar[tuple[str, ...]] = ()

    @property
    @abstractmethod
    def api(self) -> ApiName:
        """Return how it is spoken to."""

    @property
    @abstractmethod
    def symptoms(self) -> str:
        """Return by which API's symptoms its failures are named."""

    @property
    @abstractmethod
    def packages(self) -> tuple[str, ...]:
        """Return the packages whose versions matter."""

    @abstractmethod
    def conditions(self) -> dict[str, Any]:
        """Return what of the service changes figures, as plain data.

        A model counts by the name of its folder, with flags and precision; where things are
        installed does not count. Its place is told beside.
        """

    @abstractmethod
    def with_folders(self, folder_of: Callable[[str], str]) -> Service:
        """Return the service with the folder of each model that is a hub id."""

    @abstractmethod
    def may_change_answers(self, option: str) -> bool:
        """Return whether an option may change answers that nobody judges.

        Args:
            option: Its name without the prefix, with underscores.
        """

    @abstractmethod
    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence what is not installed; None where all is.

        Args:
            versions: What of its `packages` is installed, by name.
        """

    @abstractmethod
    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why these versions do not run on a driver; None where they do."""

    @abstractmethod
    def unable(self, compute: float, precision: str) -> str | None:
        """Return in a sentence what it cannot do on a card; None where it can.

        Args:
            compute: The compute capability of the card, e.g. 8.6.
            precision: The number format that a place names; empty for the usual one.
        """

    @abstractmethod
    def command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the command that serves this allocation on a device."""

    @abstractmethod
    def memory_key(self, allocation: Allocation) -> str | None:
        """Return as text what of its command the memory of a start depends on, but for a share.

        Starts with equal keys stand for each other. It is None where none does.
        """

    @abstractmethod
    def settings(self, allocation: Allocation) -> str:
        """Return what to set where it runs already, so that it serves this allocation."""

    @abstractmethod
    def is_random(self, allocation: Allocation) -> bool:
        """Return whether its model has random weights, so that nobody judges its answers."""

    @abstractmethod
    def is_ready(self, url: str, within_s: float, clip: Clip) -> bool:
        """Return whether it is healthy and has answered one real request, all within this time."""

    @abstractmethod
    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""

    @property
    def has_share(self) -> bool:
        """Return whether the share that is searched as the LLM's belongs to it."""
        return False

    @property
    def has_kv_cache(self) -> bool:
        """Return whether it may tell of a KV cache."""
        return False

    @property
    def version_command(self) -> tuple[str, ...]:
        """Return the command that prints its version; none where its packages tell it."""
        return ()

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

    def own_share_mib(self, allocation: Allocation, total_mib: float) -> float | None:  # noqa: ARG002
        """Return what it asks for as a share of its own, MiB; None where it takes what it needs.

        Args:
            allocation: The allocation.
            total_mib: The memory of its device, MiB.
        """
        return None

    def held_mib(self, allocation: Allocation, host: Host) -> float | None:
        """Return that with what its processes take beyond it, MiB."""
        share_mib = self.own_share_mib(allocation, host.total_mib)
        beyond_mib = self.beyond_mib if host.is_cpu else CONTEXT_MIB
        return None if share_mib is None else share_mib + beyond_mib

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

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002  it tells nothing
        """Return what it tells of itself once it is ready, by name without the service."""
        return {}

    def bounds(
        self,
        figures: Mapping[str, Any],  # noqa: ARG002
        workload: Workload,  # noqa: ARG002
        allocation: Allocation,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return what its figures bound under a workload, by flat name."""
        return {}
