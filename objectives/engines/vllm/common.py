"""Every server of vLLM, whatever it serves, has these options and these needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from objectives.allocation import SHARE, Allocation, Scalar
from objectives.apis.metrics_page import amount
from objectives.apis.pages import engine_page
from objectives.engines.command import flag_value, option_of
from objectives.engines.engine import Engine
from objectives.engines.vllm import flags
from objectives.engines.vllm.fit.reserve import FRONT_ENDS_MIB
from objectives.engines.vllm.flags import (
    IDLE_BESIDE,
    SHARE_OPTION,
    is_share,
    missing_share,
    read_number,
)
from objectives.engines.vllm.kv_cache import kv_cache
from objectives.engines.vllm.requirements import (
    SERVER_PACKAGES,
    missing_package,
    missing_sound,
    old_driver,
    own_length,
    weak_card,
)
from objectives.engines.vllm.values import (
    LONGEST,
    disagreement,
    too_little_for_sound,
)
from objectives.figures import STREAMED
from objectives.on_demand.resident import sleeps
from objectives.services import DeviceKind, LlmService, OtherService, SttService, hears

OURS = "leave it to the study"
UNHEARD = "remove it: the study sends its requests without it"  # and each would be refused
SET_BY_STUDY: Mapping[str, str] = {
    "host": OURS,
    "port": OURS,
    "uds": OURS,
    "served_model_name": "use services.{name}.served_model",
    **dict.fromkeys(("api_key", "ssl_keyfile", "ssl_certfile"), UNHEARD),
}
SERVER = ("-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", "{port}")
OWN_ENV: Mapping[str, str] = {"VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1"}
STRETCHING = {"hf_overrides", "rope_scaling", "rope_theta"}  # what a model was made for
ALLOWS_LONGER = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"
SLEEP_PATHS = ("/sleep?level=1", "/wake_up")
SLEEP_WORDS = ("--enable-sleep-mode", "VLLM_SERVER_DEV_MODE")


class VllmServer(Engine):
    """A server of vLLM asks for a share of its device, and refuses some options as it starts."""

    __slots__ = ()

    server_packages: ClassVar[tuple[str, ...]] = SERVER_PACKAGES
    share_option: ClassVar[str] = SHARE_OPTION
    context_option: ClassVar[str] = LONGEST
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY
    idle_beside: ClassVar[Mapping[str, tuple[str, Scalar]]] = IDLE_BESIDE
    of_its_set: ClassVar[tuple[str, ...]] = ("tensor_parallel_size", "tp")
    of_several_devices: ClassVar[frozenset[str]] = frozenset(
        {*of_its_set, "pipeline_parallel_size", "pp", "data_parallel_size", "dp"}
        | {"prefill_context_parallel_size", "pcp"}
    )
    own_variables: ClassVar[tuple[str, ...]] = ("VLLM_CPU_KVCACHE_SPACE",)  # we set the other one
    beyond_mib: ClassVar[float] = FRONT_ENDS_MIB
    sleep_paths: ClassVar[tuple[str, str]] = SLEEP_PATHS
    sleep_words: ClassVar[tuple[str, str]] = SLEEP_WORDS

    @property
    def share_name(self) -> str:
        """Return the parameter that is its share."""
        return SHARE if self.has_share else f"{self.prefix}{SHARE_OPTION}"

    @property
    def is_whisper(self) -> bool:
        """Return whether its model is a Whisper, as far as its name tells."""
        service = self.service
        is_named_so = isinstance(service, SttService) or "whisper" in service.model.lower()
        return is_named_so and hears(service)

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        if option == "language" and hears(self.service):  # of a request, and no flag
            return f"use services.{self.name}.language"
        if is_share(f"--{option}") and (self.has_share or option != SHARE_OPTION):
            return f"use {self.share_name}"
        return super().set_by_study(option)

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does, in full or cut short."""
        if self.is_share(word) and not self.has_share:
            return False
        option = (flags.flag_name(word) or "").replace("-", "_")
        known = (*self.set_by_us, "model")
        is_short = option != "" and any(full.startswith(option) for full in known)
        return is_short or self.set_by_study(option) is not None

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its share, which would be nearly all; None where something does.

        Args:
            named: The options that the search space or the baseline names.
        """
        if self.has_share:
            return None
        return missing_share(self.share_name, named, self.service.args)

    def is_share(self, word: str) -> bool:
        """Return whether a word of a command sets its share of the device's memory."""
        return is_share(word)

    def overriding(self, word: str) -> tuple[str, str] | None:
        """Return the flag that a word is, and why vLLM does not keep to its share beside it."""
        return flags.overriding(word)

    def overriding_variable(self, name: str, value: str) -> str | None:
        """Return why a variable of the environment does so; None where it does not."""
        return flags.overriding_variable(name, value)

    def useless_on(self, kind: DeviceKind, option: str) -> str | None:
        """Return in a sentence why an option does nothing on a device; None where it may."""
        is_of_graphs = option in self.idle_beside
        return "vLLM captures no graphs on a CPU" if is_of_graphs and kind == "cpu" else None

    def disagreement(self, values: Mapping[str, Sequence[Scalar]]) -> tuple[str, str, str] | None:
        """Return which option vLLM would refuse or cut, why, and the way out; None where none."""
        wrong = disagreement(values, self.service.args) or self._longer_than_made_for(values)
        if wrong is None and self.is_whisper:
            wrong = too_little_for_sound(values, self.service.args)
        return wrong

    def _longer_than_made_for(
        self, values: Mapping[str, Sequence[Scalar]]
    ) -> tuple[str, str, str] | None:
        service, most = self.service, self._own_length(values)
        choices = values.get(LONGEST) or [flag_value(LONGEST, service.args) or ""]
        longest = max((n for n in map(read_number, map(str, choices)) if n), default=0)
        if most is None or longest <= most or ALLOWS_LONGER in service.env:
            return None
        what = f"vLLM refuses {longest}, where the model was made for {most} (its config.json)"
        return LONGEST, what, f"write at most {most}"

    def _own_length(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the longest request that its model was made for, as its files have it; or None."""
        service = self.service
        named = {*values, *map(option_of, service.args)}
        if isinstance(service, SttService) or service.command is not None or named & STRETCHING:
            return None
        return own_length(service.model)

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the tokens of prompt and answer that it takes whatever its options are.

        Where no option says it, that is what the model was made for.
        """
        words = [*self.service.args, *(self.service.command or "").split()]
        choices = values.get(LONGEST) or [text for text in [flag_value(LONGEST, words)] if text]
        lengths = [n for n in map(read_number, map(str, choices)) if n]
        return min(lengths, default=None) if choices else self._own_length(values)

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that vLLM, or what it reads sound with, is not installed."""
        lacks = missing_sound if hears(self.service) else missing_package
        return lacks(self.name, self.service.python, versions)

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why a driver is too old for vLLM; None where it is not."""
        return old_driver(versions, driver)

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return in a sentence that vLLM does not run on a card; None where it may."""
        return None if self.service.command is not None else weak_card(self.name, compute)

    def own_share_mib(self, allocation: Allocation, total_mib: float) -> float | None:
        """Return what it asks for as a share of its own, MiB.

        It is None where nothing says the share, or something overrides it, and of a model that
        pools: such a one may take less.
        """
        service = self.service
        is_held = isinstance(service, SttService) or hears(service) or service.api in STREAMED
        words = (*service.args, *(f"--{name}" for name in allocation.options(self.prefix)))
        if self.has_share or service.command is not None or not is_held:
            return None
        if any(map(flags.overriding, words)):
            return None
        named = allocation.values.get(self.share_name, self.share_in_args())
        share = None if named is None else amount(str(named))
        return None if share is None else share * total_mib


def cache_figures(url: str, metrics_path: str, log: str) -> dict[str, Any]:
    """Return the figures of a server's KV cache, as its page and its log tell them."""
    cache = kv_cache(engine_page(url, metrics_path), log)
    return {
        "kv_tokens": cache.tokens,
        "kv_cache_mib": cache.mib,
        "max_model_len": cache.max_model_len,
    }


def with_sleep_mode(
    argv: tuple[str, ...],
    env: Mapping[str, str],
    name: str,
    service: LlmService | OtherService,
    allocation: Allocation,
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return a command and its environment, with vLLM's sleep mode where the service uses it."""
    if not (service.sleep_mode and sleeps(name, service, allocation)):
        return argv, dict(env)
    flag, variable = SLEEP_WORDS  # without the variable it has no pages for it
    return (*argv, flag), {**env, variable: "1"}
