"""The engine llama.cpp: this module knows the command line of its server, and what it tells.

It serves a GGUF file, takes all its memory at the start, and its KV cache has the size of its
context (`llama.ctx_size`), which its slots (`llama.parallel`) share. On a GPU so many layers lie as
`llama.n_gpu_layers` says, all without it. Read in builds b1697 to b11434 (tools/server/README.md),
run as b11434 and in xllamacpp 2026.10.11549 on a CPU.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, ClassVar, Literal

from objectives.allocation import Allocation
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import amount, whole
from objectives.apis.pages import engine_page, page_data
from objectives.engines.command import Command
from objectives.engines.llama_cpp.fit import PROGRAM, LlamaCppArithmetic
from objectives.engines.llama_cpp.server import (
    CHANGES_ANSWERS,
    SET_BY_STUDY,
    USUAL_SLOTS,
    LlamaCppServer,
    in_full,
)
from objectives.engines.llama_cpp.unit import FORM
from objectives.engines.llm_server import LlmServer
from objectives.engines.unit_form import UnitForm
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.model_files.model import read_model

SLOTS = "/slots"  # its page of what each slot holds; there unless --no-slots
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
class LlamaCpp(LlamaCppServer, LlmServer):
    """This engine is llama.cpp's server, `llama-server`.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    unread: ClassVar[Mapping[str, str]] = {"metrics_path": "the use of its cache is on /slots"}
    own_prefix: ClassVar[str] = "llama."
    changes_answers: ClassVar[frozenset[str]] = CHANGES_ANSWERS
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "file"
    program: ClassVar[str] = PROGRAM
    arithmetic: ClassVar[Arithmetic | None] = LlamaCppArithmetic()
    unit_form: ClassVar[UnitForm | None] = FORM
    at_once_flag: ClassVar[str] = "--parallel"
    set_by_us: ClassVar[Mapping[str, str]] = {
        **SET_BY_STUDY,
        "slots": "leave it to the study, which reads them",
    }

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option changes what it answers, by its short name too."""
        return super(LlamaCpp, self).may_change_answers(in_full(option))

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `llama.<flag>` parameters become `--<flag>`."""
        return self.started(allocation, device_env)

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

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken(), SLOTS, partial(usage, is_unified=self._is_unified))


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
    slots = page_data(page)
    return [s for s in slots if isinstance(s, dict)] if isinstance(slots, list) else []
