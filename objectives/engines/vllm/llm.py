"""The engine vLLM: this module knows its command line, KV cache and preemptions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from objectives.allocation import OF_MEMORY, SHARE, Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import CachePage
from objectives.engines.command import (
    Command,
    command_of,
    flag_value,
    placeholders,
)
from objectives.engines.llm_server import LlmServer, engine_page, flags
from objectives.engines.places import PLACE, devices_of, place_of
from objectives.engines.unit_form import UnitForm
from objectives.engines.vllm import flags as vllm_flags
from objectives.engines.vllm.fit.arithmetic import VllmArithmetic
from objectives.engines.vllm.flags import (
    SHARE_OPTION,
    flag_name,
    is_share,
    memory_options,
    missing_share,
)
from objectives.engines.vllm.kv_cache import cache_on, kv_cache, usage
from objectives.engines.vllm.needs import (
    LEAST_COMPUTE,
    PACKAGES,
    SERVER_PACKAGES,
    missing_package,
    odd_heads,
    old_driver,
    weak_card,
)
from objectives.engines.vllm.unit import FORM
from objectives.fit.arithmetic import Arithmetic
from objectives.on_demand.resident import sleeps
from objectives.services import DeviceKind, LlmService, OtherService

SET_BY_STUDY: Mapping[str, str] = {
    "host": "leave it to the study",
    "port": "leave it to the study",
    "served_model_name": "use services.{name}.served_model",
}
CHANGES_ANSWERS = frozenset(
    {"model", "model_impl", "tokenizer", "tokenizer_mode", "revision", "tokenizer_revision"}
    | {"quantization", "kv_cache_dtype", "calculate_kv_scales", "dtype", "load_format"}
    | {"max_model_len", "rope_scaling", "rope_theta", "hf_overrides", "runner", "convert"}
    | {"chat_template", "generation_config", "override_generation_config"}
    | {"enable_lora", "lora_modules", "speculative_config"}
)
SERVER = ("-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--port", "{port}")
OWN_ENV: Mapping[str, str] = {"VLLM_ENABLE_STARTUP_PLAN": "0", "VLLM_NO_USAGE_STATS": "1"}
SLEEP_PATHS = ("/sleep?level=1", "/wake_up")


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
    # without the variable it has no pages for it
    return (*argv, "--enable-sleep-mode"), {**env, "VLLM_SERVER_DEV_MODE": "1"}


def longest_request(args: Sequence[str]) -> int | None:
    """Return the tokens of one request that a vLLM command allows; None where it does not say.

    >>> [longest_request(args) for args in (["--max-model-len", "4096"], ["--max-model-len=1024"])]
    [4096, 1024]
    >>> longest_request([]) is None
    True
    """
    for word, value in pairwise([*args, ""]):
        name, _, own = word.partition("=")
        if name == "--max-model-len" and (text := own or value).isdecimal():
            return int(text)
    return None


@dataclass(frozen=True, slots=True)
class Vllm(LlmServer):
    """This engine is vLLM, or another server of the completions API that a template starts.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    asks_for_share: ClassVar[bool] = True
    title: ClassVar[str] = "vLLM"
    share_option: ClassVar[str] = SHARE_OPTION
    default_share: ClassVar[float] = vllm_flags.DEFAULT_SHARE
    own_prefix: ClassVar[str] = "vllm."
    arithmetic: ClassVar[Arithmetic | None] = VllmArithmetic()
    unit_form: ClassVar[UnitForm | None] = FORM
    changes_answers: ClassVar[frozenset[str]] = CHANGES_ANSWERS
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY
    server_packages: ClassVar[tuple[str, ...]] = SERVER_PACKAGES
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    idle_beside: ClassVar[Mapping[str, tuple[str, Scalar]]] = vllm_flags.IDLE_BESIDE
    of_its_set: ClassVar[tuple[str, ...]] = ("tensor_parallel_size", "tp")
    of_several_devices: ClassVar[frozenset[str]] = frozenset(
        {*of_its_set, "pipeline_parallel_size", "pp", "data_parallel_size", "dp"}
        | {"prefill_context_parallel_size", "pcp"}
    )
    own_variables: ClassVar[tuple[str, ...]] = ("VLLM_CPU_KVCACHE_SPACE",)  # we set the other one
    quiet_death: ClassVar[str] = "vLLM exits with 0 when its engine dies, and would stay dead"
    compiling: ClassVar[str] = "saved AOT compiled function"  # 0.26 to 0.32
    compile_cache: ClassVar[tuple[str, str]] = ("VLLM_CACHE_ROOT", "vllm")
    latencies: ClassVar[str] = "vllm:e2e_request_latency_seconds"
    at_once_flag: ClassVar[str] = "--max-num-seqs"
    sleep_paths: ClassVar[tuple[str, str]] = SLEEP_PATHS

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        way_out = super(Vllm, self).set_by_study(option)
        if self.is_beside and option == "model":
            return f"use services.{self.name}.model"
        is_its_own = self.is_beside and option == SHARE_OPTION
        is_other_share = is_share(f"--{option}") and not is_its_own
        return way_out or (f"use {self.share_name}" if is_other_share else None)

    @property
    def share_name(self) -> str:
        """Return the parameter that is its share."""
        return f"{self.prefix}{SHARE_OPTION}" if self.is_beside else SHARE

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its share, which would be nearly all; None where something does.

        Args:
            named: The options that the search space or the baseline names.
        """
        if not self.is_beside:
            return None
        return missing_share(self.share_name, named, self.service.args)

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""
        option = (flag_name(word) or "").replace("-", "_")
        return word.partition("=")[0] == "--model" or self.set_by_study(option) is not None

    def is_share(self, word: str) -> bool:
        """Return whether a word of a command sets its share of the device's memory."""
        return is_share(word)

    def overriding(self, word: str) -> tuple[str, str] | None:
        """Return the flag that a word is, and why vLLM does not keep to its share beside it."""
        return vllm_flags.overriding(word)

    def overriding_variable(self, name: str, value: str) -> str | None:
        """Return why a variable of the environment does so; None where it does not."""
        return vllm_flags.overriding_variable(name, value)

    def useless_on(self, kind: DeviceKind, option: str) -> str | None:
        """Return in a sentence why an option does nothing on a device; None where it may."""
        is_of_graphs = option in self.idle_beside
        return "vLLM captures no graphs on a CPU" if is_of_graphs and kind == "cpu" else None

    def disagreement(self, values: Mapping[str, Sequence[Scalar]]) -> tuple[str, str, str] | None:
        """Return which option vLLM would refuse or cut, why, and the way out; None where none."""
        return vllm_flags.disagreement(values, self.service.args)

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that vLLM is not installed; None where it is."""
        return missing_package(self.name, self.service.python, versions)

    def misfit(self, versions: Mapping[str, str], driver: str) -> str | None:
        """Return in a sentence why a driver is too old for vLLM; None where it is not."""
        return old_driver(versions, driver)

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return in a sentence that vLLM does not run on a card; None where it may."""
        return None if self.service.command is not None else weak_card(self.name, compute)

    def note_on(self, compute: float) -> str | None:
        """Return what a person must know of it on a card; None where nothing is."""
        if self.service.command is not None or compute >= LEAST_COMPUTE:
            return None
        return f"vLLM's wheels need {LEAST_COMPUTE} since 0.21: only an older vLLM runs on it"

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `vllm.<flag>` parameters become `--<flag>`."""
        service = self.service
        argv: tuple[str, ...] = (service.python, *SERVER, "--model", service.model)
        argv += ("--served-model-name", service.served_model)
        if self.has_share:
            argv += ("--gpu-memory-utilization", f"{allocation.share:g}")
        argv += (*service.args, *flags(self._spread(allocation) | self.options(allocation)))
        env = {**OWN_ENV, **device_env}
        argv, env = with_sleep_mode(argv, env, self.name, service, allocation)
        return command_of(service, argv, env, allocation, service.model)

    def memory_key(self, allocation: Allocation) -> str | None:
        """Return the options that the memory of a start depends on, but for the share.

        It is None where a flag sets the KV cache whatever the share is. Of a template it has every
        value that the template names.
        """
        template = self.service.command
        options = self._spread(allocation) | memory_options(self.options(allocation))
        if template is not None:
            named = placeholders(template) - {*OF_MEMORY}
            options = {k: v for k, v in sorted(allocation.values.items()) if k in named}
        place = place_of(self.name, self.service, allocation)
        if place is not None and len(place.devices) > 1:
            options = {**options, "on": place.on}  # cards of another set may be of another size
        words = self.service.args if template is None else template.split()
        if any(map(vllm_flags.overriding, (*words, *(f"--{name}" for name in options)))):
            return None
        return " ".join(f"{name}={value}" for name, value in options.items())

    def own_settings(self, allocation: Allocation) -> str:
        """Return the flags to set; of a template only its values."""
        if self.service.command is not None:
            return self.values_of(allocation)
        words = [f"--gpu-memory-utilization {allocation.share:g}"] if self.has_share else []
        options = self._spread(allocation) | self.options(allocation)
        words += [f"--{k.replace('_', '-')} {v}" for k, v in options.items()]
        return " ".join(words) or "as it is"

    def _spread(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return the option that spreads it over its devices.

        There is none where it is on one that is not searched, or says it itself.
        """
        devices = devices_of(self.name, self.service, allocation)
        options = {n.replace("-", "_"): [v] for n, v in self.options(allocation).items()}
        said = self.spread_by(options)
        is_said = any(option in self.of_its_set for option, _ in said)
        is_usual = devices == 1 and f"{self.name}.{PLACE}" not in allocation.values
        return {} if is_usual or is_said else {self.of_its_set[0]: devices}

    def undivided(self, devices: int) -> str | None:
        """Return in a sentence why its model cannot be spread over so many devices, or None."""
        return None if self.service.command else odd_heads(self.service.model, devices)

    @staticmethod
    def on_page(page: str) -> CachePage:
        """Return what a Prometheus page tells of its KV cache."""
        return cache_on(page)

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache."""
        cache = kv_cache(engine_page(url, self.service.metrics_path), log)
        return {
            "kv_tokens": cache.tokens,
            "kv_cache_mib": cache.mib,
            "max_model_len": cache.max_model_len,
        }

    def at_once(self, allocation: Allocation) -> int | None:
        """Return how many requests it takes at once at most; None where nothing says."""
        limit = self.options(allocation).get("max_num_seqs")
        if limit is None:
            limit = flag_value(self.at_once_flag, self.service.args)
        return None if limit is None else int(limit)

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the tokens of prompt and answer that it takes whatever its options are."""
        lengths = [int(v) for v in values.get("max_model_len", ()) if isinstance(v, int | float)]
        words = (self.service.command or "").split()
        return min(lengths) if lengths else longest_request([*self.service.args, *words])

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken(), self.service.metrics_path, usage)
