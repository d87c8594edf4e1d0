"""The engine llama.cpp beside the turn: it embeds texts, or ranks them by a model made for that.

A text has to fit one step (`ubatch_size`, 512 tokens where nothing says it). Its embeddings were
run in xllamacpp 2026.10.11549 on a CPU; ranking was read in tools/server/README.md and never run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from objectives.allocation import Allocation
from objectives.engines.any_command import AnyCommand
from objectives.engines.command import Command
from objectives.engines.llama_cpp.fit import PROGRAM
from objectives.engines.llama_cpp.server import (
    CHANGES_ANSWERS,
    SET_BY_STUDY,
    LlamaCppServer,
    in_full,
)
from objectives.services import ApiName, OtherService

SERVING: Mapping[ApiName, str] = {"embeddings": "--embeddings", "rerank": "--reranking"}
OF_POOLING = {"pooling", "attention", "embd_normalize"}  # they change answers too


@dataclass(frozen=True, slots=True)
class LlamaCppBeside(LlamaCppServer, AnyCommand):
    """This engine is llama.cpp's server with a model that embeds or ranks.

    Args:
        service: The service that it serves.
    """

    service: OtherService
    set_by_us: ClassVar[Mapping[str, str]] = {
        **SET_BY_STUDY,
        **dict.fromkeys(("embeddings", "reranking"), "leave it to services.{name}.api"),
    }
    apis: ClassVar[tuple[ApiName, ...]] = tuple(SERVING)
    model_kind: ClassVar[Literal["folder", "file", "name"]] = "file"
    program: ClassVar[str] = PROGRAM

    @property
    def version_command(self) -> tuple[str, ...]:
        """Return the command that prints its version."""
        return (self.service.program or PROGRAM, "--version")

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option changes its answers, by its short name too."""
        return in_full(option) in CHANGES_ANSWERS | OF_POOLING

    def resident_command(self, allocation: Allocation, device_env: Mapping[str, str]) -> Command:
        """Return the server's command; `NAME.<flag>` parameters become `--<flag>`."""
        return self.started(allocation, device_env, SERVING[self.api])
