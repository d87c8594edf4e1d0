"""Every server of llama.cpp, whatever it serves, has this command and these options."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from objectives.allocation import Allocation, Scalar
from objectives.apis.metrics_page import whole
from objectives.engines.command import Command, command_of, flag_value, flags, option_of
from objectives.engines.engine import Engine
from objectives.engines.llama_cpp.fit import PROGRAM
from objectives.services import LlmService, OtherService

USUAL_SLOTS = 4  # what it takes by itself too, but then with one cache for all (--kv-unified)
ALL_LAYERS = 999
SHORT = {"m": "model", "a": "alias", "c": "ctx_size", "np": "parallel", "ngl": "n_gpu_layers"}
SHORT |= {"gpu_layers": "n_gpu_layers", "kvu": "kv_unified", "fa": "flash_attn", "hf": "hf_repo"}
SHORT |= {"ctk": "cache_type_k", "ctv": "cache_type_v", "hfr": "hf_repo", "mu": "model_url"}
SHORT |= {"embedding": "embeddings", "rerank": "reranking"}
SET_BY_STUDY: Mapping[str, str] = {
    "host": "leave it to the study",
    "port": "leave it to the study",
    "model": "use services.{name}.model",
    "alias": "use services.{name}.served_model",
    "kv_unified": "write --kv-unified in services.{name}.args",
}
CHANGES_ANSWERS = frozenset(
    {"hf_repo", "hf_file", "model_url", "lora", "lora_scaled", "control_vector", "override_kv"}
    | {"cache_type_k", "cache_type_v", "rope_scaling", "rope_scale", "rope_freq_base"}
    | {"rope_freq_scale", "yarn_orig_ctx", "yarn_ext_factor", "yarn_attn_factor", "swa_full"}
    | {"chat_template", "chat_template_file", "jinja", "context_shift", "grammar", "json_schema"}
)
OF_NO_MEMORY = frozenset({"threads", "threads_batch", "threads_http", "prio", "poll", "seed"})
UNIFIED = {"-kvu", "--kv-unified"}


class LlamaCppServer(Engine):
    """A server of llama.cpp takes all its memory at the start, by its file and its context."""

    __slots__ = ()

    service: LlmService | OtherService
    least: ClassVar[Mapping[str, int]] = {"ctx_size": 0, "parallel": 1}
    context_option: ClassVar[str] = "ctx_size"
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        return super().set_by_study(in_full(option))

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""
        option = in_full(option_of(word))
        return word.startswith("-") and option != "kv_unified" and option in self.set_by_us

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its context, which it would take from the free memory."""
        if "ctx_size" in named or self.fixed_value("ctx_size"):
            return None
        what = "nothing says the context, which would follow from the memory that is free"
        return what, f"add `--ctx-size, 8192`, or search {self.prefix}ctx_size"

    def started(
        self, allocation: Allocation, device_env: Mapping[str, str], *serving: str
    ) -> Command:
        """Return the server's command; its parameters become `--<flag>`.

        Args:
            allocation: The allocation.
            device_env: The variables of its device.
            serving: The flags that say what it serves.
        """
        service, options = self.service, self.options(allocation)
        if isinstance(flash := options.get("flash_attn"), bool):
            options["flash_attn"] = "on" if flash else "off"
        usual = {"parallel": USUAL_SLOTS, "n_gpu_layers": ALL_LAYERS}
        argv: tuple[str, ...] = (service.program or PROGRAM, "--model", service.model)
        argv += ("--alias", service.served_model, "--host", "127.0.0.1", "--port", "{port}")
        unset = (k for k in usual if k not in options and not self.fixed_value(k))
        argv += flags({k: usual[k] for k in unset})
        argv += (*serving, *service.args, *flags(options))
        return command_of(service, argv, device_env, allocation, service.model)

    def memory_key(self, allocation: Allocation) -> str:
        """Return those of its options that may change what it holds."""
        options = sorted(self.options(allocation).items())
        return " ".join(f"{k}={v}" for k, v in options if k not in OF_NO_MEMORY)

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the smallest context of a slot; None where a template starts it."""
        if self.service.command is not None:
            return None
        own = self._number("ctx_size", {}), self._number("parallel", {}) or USUAL_SLOTS
        contexts = [int(v) for v in values.get("ctx_size", (own[0] or 0,))]
        slots = 1 if self._is_unified else max(int(v) for v in values.get("parallel", (own[1],)))
        return min(contexts) // slots or None

    @property
    def _is_unified(self) -> bool:
        return bool(UNIFIED & set(self.service.args))

    def _number(self, option: str, options: Mapping[str, Scalar]) -> int | None:
        return whole(str(options.get(option, self.fixed_value(option))))

    def fixed_value(self, option: str) -> str | None:
        """Return what `args` say of an option, by any of its names; None where they say nothing."""
        return flag_value(option, self.service.args, lambda w: in_full(option_of(w)))


def in_full(option: str) -> str:
    """Return the name of an option that has a shorter or an older one.

    >>> in_full("ngl"), in_full("threads")
    ('n_gpu_layers', 'threads')
    """
    return SHORT.get(option, option)
