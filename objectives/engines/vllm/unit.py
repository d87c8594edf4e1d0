"""This module reads a vLLM that no study started, by its commands, images, variables and flags."""

from __future__ import annotations

from objectives.engines.unit_form import Image, Known, UnitForm

SHARE_FLAG = "--gpu-memory-utilization"
FORM = UnitForm(
    known=(
        Known("vLLM", "llm", "vllm", verb="serve", key="vllm", ranks=True),
        Known("vLLM", "llm", module=r"vllm(\..*)?", key="vllm", ranks=True),
    ),
    images=(
        Image(
            r"vllm/vllm-openai|vllm-openai|public\.ecr\.aws/.*/vllm.*|vllm-cpu-release-repo",
            ("vllm", "serve"),
        ),
    ),
    commands=("vllm",),
    is_package=True,
    variables="VLLM_",
    kept=r"VLLM_(?!HOST$|PORT$|MODEL|\w*(?:ARGS|OPTS|FLAGS|PARAMS|OPTIONS))[A-Z0-9_]+",
    unset=("VLLM_ENABLE_STARTUP_PLAN",),  # it would hand one trial another's KV cache
    share_flag=SHARE_FLAG,
    own_flags=(SHARE_FLAG, "--model", "--served-model-name", "--host", "--port", "--uds"),
    alone=(
        *("--enforce-eager", "--trust-remote-code", "--enable-prefix-caching", "--enable-lora"),
        *("--enable-auto-tool-choice", "--enable-chunked-prefill", "--disable-log-requests"),
        *("--disable-log-stats", "--no-enable-prefix-caching", "--enable-sleep-mode"),
    ),
)
