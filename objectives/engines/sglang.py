"""The engine SGLang: this module knows its command line, KV cache and retractions.

Written from its documentation and sources of 0.4 to 0.5 (server_args.py, managers/scheduler.py,
docs on production metrics), and compared with a start of 0.5.23 on a CPU (guide engines.md);
nobody has run it on a GPU here.
`sglang.mem_fraction_static` is a fraction of what is free as it starts, for weights and KV cache.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from objectives.allocation import SHARE, Allocation, Scalar
from objectives.apis.api import Endpoint
from objectives.apis.metrics_page import CachePage, amount, samples, whole
from objectives.engines.command import Command, command_of, flags, option_of
from objectives.engines.llm_server import LlmServer
from objectives.engines.unit_form import Known, Speaks, UnitForm, Words

FRACTION = "mem_fraction_static"
LEAST_COMPUTE = 7.5  # it ends with "SGLang only supports sm75 and above" (reports)
SET_BY_STUDY = {
    "host": "leave it to the study",
    "port": "leave it to the study",
    "model_path": "use services.{name}.model",
    "model": "use services.{name}.model",
    "served_model_name": "use services.{name}.served_model",
    "enable_metrics": "leave it to the study, which reads them",
}
CHANGES_ANSWERS = frozenset(
    {"tokenizer_path", "tokenizer_mode", "revision", "load_format", "dtype", "quantization"}
    | {"kv_cache_dtype", "quantization_param_path", "context_length", "json_model_override_args"}
    | {"chat_template", "completion_template", "lora_paths", "enable_lora", "is_embedding"}
    | {"sampling_defaults", "preferred_sampling_params", "speculative_algorithm", "torchao_config"}
)
SIZE = re.compile(r"\bmax_total_num_tokens=(\d+)\b.*?\bcontext_len=(\d+)")
CACHE = re.compile(r"K size: ([\d.]+) GB, V size: ([\d.]+) GB")


FORM = UnitForm(
    known=(
        Known("SGLang", "llm", "sglang", verb="serve", key="sglang"),
        Known(
            "SGLang",
            "llm",
            module=r"sglang\.launch_server|sglang_router\.launch_server",
            key="sglang",
        ),
    ),
    commands=("sglang",),
    is_package=True,
    words={
        "SGLang": Words(
            model=("--model-path", "--model"),
            memory={SHARE: ("--mem-fraction-static",)},
            port=30000,
            is_free=True,
            own={SHARE: f"sglang.{FRACTION}"},
            set_by_study=("--model-path", "--model", "--served-model-name"),
        )
    },
    speaks=Speaks(port=30000, more=("--served-model-name", "model")),
    transcribes=True,
)


@dataclass(frozen=True, slots=True)
class SGLang(LlmServer):
    """This engine is SGLang.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    share_option: ClassVar[str] = FRACTION
    least: ClassVar[Mapping[str, int]] = {"context_length": 1, "max_running_requests": 1}
    context_option: ClassVar[str] = "context_length"
    own_prefix: ClassVar[str] = "sglang."
    unit_form: ClassVar[UnitForm | None] = FORM
    changes_answers: ClassVar[frozenset[str]] = CHANGES_ANSWERS
    set_by_us: ClassVar[Mapping[str, str]] = SET_BY_STUDY
    of_several_devices: ClassVar[frozenset[str]] = frozenset(
        {"tp", "tp_size", "tensor_parallel_size", "pp", "pp_size", "pipeline_parallel_size"}
        | {"dp", "dp_size", "data_parallel_size"}
    )
    latencies: ClassVar[str] = "sglang:e2e_request_latency_seconds"
    at_once_flag: ClassVar[str] = "--max-running-requests"
    server_packages: ClassVar[tuple[str, ...]] = ("sglang",)
    packages: ClassVar[tuple[str, ...]] = (*server_packages, "torch", "transformers")

    @staticmethod
    def on_page(page: str) -> CachePage:
        """Return what a Prometheus page tells of its KV cache."""
        used_pct, retractions = usage(page)
        queues = [value for _, value in samples(page, "sglang:num_queue_reqs")]
        return CachePage(None, used_pct, retractions, max(queues, default=None))

    def missing(self, named: Collection[str]) -> tuple[str, str] | None:
        """Return that nothing says its memory, which would be nearly all that is free."""
        if FRACTION in named or self.share_in_args() is not None:
            return None
        what = "nothing says its memory, which would be nearly all"
        return what, f"search {self.prefix}{FRACTION}"

    def is_share(self, word: str) -> bool:
        """Return whether a word of a command sets its share of the device's memory."""
        return word.startswith("--") and option_of(word) == FRACTION

    def lack(self, versions: Mapping[str, str]) -> str | None:
        """Return in a sentence that SGLang is not installed; None where it is."""
        if "sglang" in versions:
            return None
        python = self.service.python
        return (
            f"services.{self.name}.python: {python} has no SGLang; "
            f"run `{python} -m pip install sglang`, or name the interpreter that has it"
        )

    def unable(self, compute: float, precision: str) -> str | None:  # noqa: ARG002
        """Return in a sentence that SGLang does not run on a card; None where it may."""
        if self.service.command is not None or compute >= LEAST_COMPUTE:
            return None
        return (
            f"SGLang needs a card of compute capability {LEAST_COMPUTE}; "
            f"place {self.name} on another card, or take another engine"
        )

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `sglang.<flag>` parameters become `--<flag>`."""
        service = self.service
        argv: tuple[str, ...] = (service.python, "-m", "sglang.launch_server", "--host")
        argv += ("127.0.0.1", "--port", "{port}", "--model-path", service.model)
        argv += ("--served-model-name", service.served_model, "--enable-metrics", *service.args)
        for option, value in self.options(allocation).items():
            if value is not False:  # its flags of true and false have no --no-
                argv += flags({option: value})
        return command_of(service, argv, device_env, allocation, service.model)

    def memory_key(self, allocation: Allocation) -> None:
        """Return None: what it takes follows from what is free as it starts."""

    def figures(self, url: str, log: str) -> dict[str, Any]:  # noqa: ARG002  its log tells all
        """Return its own account of its KV cache, by its log."""
        size, cache = SIZE.search(log), CACHE.search(log)
        parts = [amount(part) for part in cache.groups()] if cache else []
        gib = None if None in parts or not parts else sum(p for p in parts if p is not None)
        return {
            "kv_tokens": whole(size[1]) if size else None,
            "kv_cache_mib": None if gib is None else gib * 1024,
            "max_model_len": whole(size[2]) if size else None,
        }

    def at_once(self, allocation: Allocation) -> int | None:
        """Return how many requests it takes at once at most; None where nothing says."""
        in_args = self.fixed_value("max_running_requests")
        return whole(str(self.options(allocation).get("max_running_requests", in_args)))

    def longest_taken(self, values: Mapping[str, Sequence[Scalar]]) -> int | None:
        """Return the tokens of prompt and answer that it takes whatever its options are."""
        in_args = self.fixed_value("context_length") or ""
        lengths = [whole(str(v)) for v in values.get("context_length", (in_args,))]
        return min((n for n in lengths if n is not None), default=None)

    def endpoint(self, url: str) -> Endpoint:
        """Return where it listens, and how it is spoken to."""
        return Endpoint(url, self.spoken(), self.service.metrics_path, usage)


def usage(metrics: str) -> tuple[float | None, int | None]:
    """Return KV cache usage in percent and retractions so far; None where the page lacks them.

    The count of retractions is on the page from the first one on, beside those of the moment, which
    always are.

    >>> usage('sglang:token_usage{model_name="m"} 0.25')
    (25.0, None)
    >>> usage('sglang:token_usage 0.25\\nsglang:num_retracted_reqs{tp_rank="0"} 0.0')
    (25.0, 0)
    """
    shares = [value for _, value in samples(metrics, "sglang:token_usage")]
    now, so_far = (
        [value for _, value in samples(metrics, f"sglang:num_retracted_{name}")]
        for name in ("reqs", "requests_total")
    )
    usage_pct = 100.0 * max(shares) if shares and max(shares) <= 1 else None
    return usage_pct, int(sum(so_far)) if so_far or now else None
