"""The engine vLLM: this module knows its command line, KV cache and preemptions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from objectives.allocation import OF_MEMORY, Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import CachePage, whole
from objectives.engines.command import Command, command_of, flags, placeholders
from objectives.engines.llm_server import LlmServer
from objectives.engines.places import PLACE, devices_of, place_of
from objectives.engines.unit_form import UnitForm
from objectives.engines.vllm import flags as vllm_flags
from objectives.engines.vllm.common import (
    OWN_ENV,
    SERVER,
    VllmServer,
    cache_figures,
    with_sleep_mode,
)
from objectives.engines.vllm.fit.arithmetic import VllmArithmetic
from objectives.engines.vllm.flags import memory_options
from objectives.engines.vllm.kv_cache import cache_on, usage
from objectives.engines.vllm.requirements import LEAST_COMPUTE, PACKAGES, odd_heads
from objectives.engines.vllm.unit import FORM
from objectives.fit.arithmetic import Arithmetic

CHANGES_ANSWERS = frozenset(
    {"model", "model_impl", "tokenizer", "tokenizer_mode", "revision", "tokenizer_revision"}
    | {"quantization", "kv_cache_dtype", "calculate_kv_scales", "dtype", "load_format"}
    | {"max_model_len", "rope_scaling", "rope_theta", "hf_overrides", "runner", "convert"}
    | {"chat_template", "generation_config", "override_generation_config"}
    | {"enable_lora", "lora_modules", "speculative_config"}
)


@dataclass(frozen=True, slots=True)
class Vllm(VllmServer, LlmServer):
    """This engine is vLLM, or another server of the completions API that a template starts.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    asks_for_share: ClassVar[bool] = True
    title: ClassVar[str] = "vLLM"
    default_share: ClassVar[float] = vllm_flags.DEFAULT_SHARE
    own_prefix: ClassVar[str] = "vllm."
    arithmetic: ClassVar[Arithmetic | None] = VllmArithmetic()
    unit_form: ClassVar[UnitForm | None] = FORM
    changes_answers: ClassVar[frozenset[str]] = CHANGES_ANSWERS
    packages: ClassVar[tuple[str, ...]] = PACKAGES
    quiet_death: ClassVar[str] = "vLLM exits with 0 when its engine dies, and would stay dead"
    compiling: ClassVar[str] = "saved AOT compiled function"  # 0.26 to 0.32
    compile_cache: ClassVar[tuple[str, str]] = ("VLLM_CACHE_ROOT", "vllm")
    latencies: ClassVar[str] = "vllm:e2e_request_latency_seconds"
    at_once_flag: ClassVar[str] = "--max-num-seqs"

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        if self.is_beside and option == "model":
            return f"use services.{self.name}.model"
        return super(Vllm, self).set_by_study(option)

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
        argv += (*service.args, *flags(self._all_options(allocation)))
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
        options = self._all_options(allocation)
        words += [f"--{k.replace('_', '-')} {v}" for k, v in options.items()]
        return " ".join(words) or "as it is"

    def _all_options(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return its options, with the one that spreads it over its devices."""
        return self._spread(allocation) | self.options(allocation)

    def _spread(self, allocation: Allocation) -> dict[str, Scalar]:
        """Return the option that spreads it over its devices.

        There is none where it is on one that is not searched, or says it itself.
        """
        devices = devices_of(self.name, self.service, allocation)
        options = {n.replace("-", "_"): [v] for n, v in self.options(allocation).items()}
        spread = self.spread_by(options)
        is_said = any(option in self.of_its_set for option, _ in spread)
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
        return cache_figures(url, self.service.metrics_path, log)

    def at_once(self, allocation: Allocation) -> int | None:
        """Return how many requests it takes at once at most; None where nothing says."""
        in_args = self.fixed_value("max_num_seqs")
        return whole(str(self.options(allocation).get("max_num_seqs", in_args)))

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken(), self.service.metrics_path, usage)
