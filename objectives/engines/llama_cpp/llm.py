"""The engine llama.cpp: this module knows the command line of its server, and what it tells.

It serves a GGUF file, takes all its memory at the start, and its KV cache has the size of its
context (`llama.ctx_size`), which its slots (`llama.parallel`) share. On a GPU so many layers lie as
`llama.n_gpu_layers` says, all without it. Read in builds b1697 to b11434 (tools/server/README.md),
run as b11434 and in xllamacpp 2026.10.11549 on a CPU.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from objectives.allocation import Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import amount, whole
from objectives.engines.command import Command, command_of, option_of, said
from objectives.engines.llama_cpp.fit import PROGRAM, LlamaCppArithmetic
from objectives.engines.llama_cpp.unit import FORM
from objectives.engines.llm_server import LlmServer, engine_page, flags, told_by
from objectives.engines.unit_form import UnitForm
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.model_files.model import read_model

SLOTS = "/slots"  # its page of what each slot holds; there unless --no-slots
USUAL_SLOTS = 4  # what it takes by itself too, but then with one cache for all (--kv-unified)
ALL_LAYERS = 999
SHORT = {"m": "model", "a": "alias", "c": "ctx_size", "np": "parallel", "ngl": "n_gpu_layers"}
SHORT |= {"gpu_layers": "n_gpu_layers", "kvu": "kv_unified", "fa": "flash_attn", "hf": "hf_repo"}
SHORT |= {"ctk": "cache_type_k", "ctv": "cache_type_v", "hfr": "hf_repo", "mu": "model_url"}
SET_BY_STUDY = {
    "host": "leave it to the study",
    "port": "leave it to the study",
    "model": "use services.{name}.model",
    "alias": "use services.{name}.served_model",
    "kv_unified": "write --kv-unified in services.{name}.args",
    "slots": "leave it to the study, which reads them",
}
CHANGES_ANSWERS = frozenset(
    {"hf_repo", "hf_file", "model_url", "lora", "lora_scaled", "control_vector", "override_kv"}
    | {"cache_type_k", "cache_type_v", "rope_scaling", "rope_scale", "rope_freq_base"}
    | {"rope_freq_scale", "yarn_orig_ctx", "yarn_ext_factor", "yarn_attn_factor", "swa_full"}
    | {"chat_template", "chat_template_file", "jinja", "context_shift", "grammar", "json_schema"}
)
OF_NO_MEMORY = frozenset({"threads", "threads_batch", "threads_http", "prio", "poll", "seed"})
UNIFIED = {"-kvu", "--kv-unified"}
SLOT_LINE = re.compile(
    r"n_slots = (\d+)(?:, n_ctx_slot = (\d+)(?:, kv_unified = '(true|false)')?)?"
)
CACHE_LINE = re.compile(r"llama_kv_cache\w*: size = +([\d.]+) MiB \( *(\d+) cells")


@cache
def _vocabulary(file: str) -> int | None:
    try:
        return read_model(Path(file)).shape.vocab
    except SetupError:
        return None


@dataclass(frozen=True, slots=True)
class LlamaCpp(LlmServer):
    """This engine is llama.cpp's server, `llama-server`.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    unread: ClassVar[Mapping[str, str]] = {"metrics_path": "the use of its cache is on /slots"}
    least: ClassVar[Mapping[str, int]] = {"ctx_size": 0, "parallel": 1}
    context_option: ClassVar[str] = "ctx_size"
    own_prefix: ClassVar[str] = "llama."
    changes_answers: ClassVar[frozenset[str]] = CHANGES_ANSWERS
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "file"
    program: ClassVar[str] = PROGRAM
    arithmetic: ClassVar[Arithmetic | None] = LlamaCppArithmetic()
    unit_form: ClassVar[UnitForm | None] = FORM
    at_once_flag: ClassVar[str] = "--parallel"
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY

    def set_by_study(self, option: str) -> str | None:
        """Return what to write in place of an option that the study sets; None for any other."""
        return super(LlamaCpp, self).set_by_study(SHORT.get(option, option))

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option changes what it answers, by its short name too."""
        return super(LlamaCpp, self).may_change_answers(SHORT.get(option, option))

    def sets_itself(self, word: str) -> bool:
        """Return whether the study sets what this word of `args` does."""
        option = SHORT.get(option_of(word), option_of(word))
        return word.startswith("-") and option != "kv_unified" and option in SET_BY_STUDY

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its context, which it would take from the free memory."""
        if "ctx_size" in named or self.said("ctx_size"):
            return None
        what = "nothing says the context, which would follow from the memory that is free"
        return what, f"add `--ctx-size, 8192`, or search {self.prefix}ctx_size"

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `llama.<flag>` parameters become `--<flag>`."""
        service, options = self.service, self.options(allocation)
        if isinstance(flash := options.get("flash_attn"), bool):
            options["flash_attn"] = "on" if flash else "off"
        usual = {"parallel": USUAL_SLOTS, "n_gpu_layers": ALL_LAYERS}
        argv: tuple[str, ...] = (self.executable, "--model", service.model)
        argv += ("--alias", service.served_model, "--host", "127.0.0.1", "--port", "{port}")
        argv += flags({k: v for k, v in usual.items() if k not in options and not self.said(k)})
        argv += (*service.args, *flags(options))
        return command_of(service, argv, device_env, allocation, service.model)

    def memory_key(self, allocation: Allocation) -> str:
        """Return those of its options that may change what it holds."""
        options = sorted(self.options(allocation).items())
        return " ".join(f"{k}={v}" for k, v in options if k not in OF_NO_MEMORY)

    def vocabulary(self) -> int | None:
        """Return how many token ids prompts may use, from the spec or the header of its file."""
        service = self.service
        if service.vocabulary is not None or service.command is not None:
            return service.vocabulary
        return _vocabulary(service.model)

    def figures(self, url: str, log: str) -> dict[str, Any]:
        """Return its own account of its KV cache: by its log, and by its page of slots."""
        line, cache_line = SLOT_LINE.search(log), CACHE_LINE.search(log)
        longest = _longest(engine_page(url, SLOTS))
        tokens = whole(cache_line[2]) if cache_line else None
        if tokens is None and line is not None and (each := whole(line[2]) or longest):
            tokens = each if line[3] == "true" else each * int(line[1])
        return {
            "kv_tokens": tokens,
            "kv_cache_mib": amount(cache_line[1]) if cache_line else None,
            "max_model_len": longest,
        }

    def at_once(self, allocation: Allocation) -> int | None:
        """Return its slots."""
        return self._number("parallel", allocation.options(self.prefix)) or USUAL_SLOTS

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the smallest context of a slot; None where a template starts it."""
        if self.service.command is not None:
            return None
        own = self._number("ctx_size", {}), self._number("parallel", {}) or USUAL_SLOTS
        contexts = [int(v) for v in values.get("ctx_size", (own[0] or 0,))]
        slots = 1 if self._is_unified else max(int(v) for v in values.get("parallel", (own[1],)))
        return min(contexts) // slots or None

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken(), SLOTS, partial(usage, is_unified=self._is_unified))

    @property
    def _is_unified(self) -> bool:
        return bool(UNIFIED & set(self.service.args))

    def _number(self, option: str, options: Mapping[str, Scalar]) -> int | None:
        return whole(str(options.get(option, self.said(option))))

    def said(self, option: str) -> str | None:
        """Return what `args` say of an option, by any of its names; None where they say nothing."""
        return said(option, self.service.args, lambda w: SHORT.get(option_of(w), option_of(w)))


def usage(page: str, *, is_unified: bool) -> tuple[float | None, int | None]:
    """Return the usage of the KV cache in percent, by a page of slots; no preemptions: it has none.

    Args:
        page: What the server says of its slots, as JSON.
        is_unified: Whether each slot may have the whole cache.

    >>> usage('[{"n_ctx": 100, "is_processing": true, "n_prompt_tokens": 50}]', is_unified=False)
    (50.0, None)
    """
    slots = _slots(page)
    sizes = [size for slot in slots if (size := whole(str(slot.get("n_ctx")))) is not None]
    if not sizes:
        return None, None
    used = sum(_tokens(slot) for slot in slots if slot.get("is_processing") is True)
    return min(100.0, 100.0 * used / (max(sizes) if is_unified else sum(sizes))), None


def _tokens(slot: Mapping[str, Any]) -> float:
    """Return the tokens that a slot holds; in new builds its answer is counted as prompt too."""
    decoded = slot.get("next_token")
    rows = decoded if isinstance(decoded, list) else [decoded]
    answer = sum(amount(str(r.get("n_decoded"))) or 0.0 for r in rows if isinstance(r, dict))
    counted = ("n_prompt_tokens_processed", "n_prompt_tokens_cache")
    parts = sum(amount(str(slot.get(name))) or 0.0 for name in counted) + answer
    return max(parts, amount(str(slot.get("n_prompt_tokens"))) or 0.0)


def _longest(page: str) -> int | None:
    return max((n for s in _slots(page) if (n := whole(str(s.get("n_ctx"))))), default=None)


def _slots(page: str) -> list[Mapping[str, Any]]:
    slots = told_by(page)
    return [s for s in slots if isinstance(s, dict)] if isinstance(slots, list) else []
