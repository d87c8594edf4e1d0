"""The arithmetic of an engine says what it takes of a device, by the files of its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from objectives.allocation import Allocation
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.model_files.model import Model


class Arithmetic(Protocol):
    """An arithmetic knows one engine.

    Attributes:
        title: The engine, as people write it.
        template: What a template must start so that it is known; empty where none is.
    """

    @property
    def title(self) -> str: ...

    @property
    def template(self) -> str: ...

    def server(self, version: str | None) -> str:
        """Return what serves the LLM, for a person."""

    def knows(self, argv: Sequence[str]) -> bool:
        """Return whether the command of a template starts this engine."""

    def model_of(self, argv: Sequence[str]) -> str | None:
        """Return the file or folder of the model that a command names; None where none."""

    def read(self, path: Path, argv: Sequence[str], host: Host) -> Model:
        """Return the model in a file or folder, as a command loads it.

        Raises:
            SetupError: It cannot be read.
        """

    def token_bytes(self, argv: Sequence[str], model: Model, host: Host) -> float | str:
        """Return what a token of the KV cache takes, or why that is not known."""

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
        """Return what the files say of an allocation.

        Args:
            allocation: The allocation.
            argv: The command of its LLM server.
            model: The model that it serves.
            speech: What the speech server takes.
            host: The device.
            request_tokens: The longest request of the workload, with its answer.
            version: That of the engine; None takes it for a new one.
        """
