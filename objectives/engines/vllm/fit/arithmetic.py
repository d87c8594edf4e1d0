"""The arithmetic of vLLM answers what any engine's is asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from objectives.allocation import Allocation
from objectives.engines.vllm.fit.cell import cell_of
from objectives.engines.vllm.fit.kv_layout import kv_layout
from objectives.engines.vllm.fit.options import VllmOptions, vllm_options
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.model_files.model import Model, read_model
from objectives.model_files.shape import Shape


class VllmArithmetic:
    """This arithmetic is vLLM's; a template's command is not read."""

    title: ClassVar[str] = "vLLM"
    template: ClassVar[str] = ""

    def server(self, version: str | None) -> str:
        """Return what serves the LLM, for a person."""
        return f"vLLM {version}" if version else "a new vLLM (0.27 or later)"

    def knows(self, argv: Sequence[str]) -> bool:  # noqa: ARG002
        """Return False: what a template starts is not known."""
        return False

    def model_of(self, argv: Sequence[str]) -> str | None:
        """Return the folder or hub id that a command names."""
        return next((model for word, model in pairwise(argv) if word == "--model"), None)

    def read(self, path: Path, argv: Sequence[str], host: Host) -> Model:
        """Return the model in a folder, as a command loads it."""
        options = _options(argv, read_model(path, is_random=True).shape, host)
        return read_model(path, is_random=options.is_random, dtype=options.dtype)

    def token_bytes(self, argv: Sequence[str], model: Model, host: Host) -> float | str:
        """Return what a token of the KV cache takes, or why that is not known."""
        layout = kv_layout(model.shape, _options(argv, model.shape, host))
        return layout if isinstance(layout, str) else layout.token_bytes

    def cell(
        self,
        allocation: Allocation,
        argv: Sequence[str],
        model: Model,
        speech: SpeechMemory,
        host: Host,
        *,
        request_tokens: int,
        version: str | None,
    ) -> Cell:
        """Return what the files say of an allocation."""
        options = _options(argv, model.shape, host)
        return cell_of(
            allocation,
            model,
            options,
            speech,
            host,
            request_tokens=request_tokens,
            version=version,
        )


def _options(argv: Sequence[str], shape: Shape, host: Host) -> VllmOptions:
    return vllm_options(
        argv, shape, total_mib=host.total_mib, product=host.product, is_cpu=host.is_cpu
    )
