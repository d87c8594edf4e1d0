"""The engines of an LLM know this of their own options, beside what any server knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from objectives.engines.engine import Engine
from objectives.engines.engine_options import KEEPS_ANSWERS
from objectives.services import LlmService, OtherService


@dataclass(frozen=True, slots=True)
class LlmOptions(Engine):
    """The options of an engine are checked before anything is launched.

    Args:
        service: Which model it serves, and how it is started.
        name: The service that it serves.
    """

    service: LlmService | OtherService
    name: str = "llm"
    own_prefix: ClassVar[str] = ""  # of the parameters of the LLM that answers turns
    # keys of an entry that it does not read, and why
    unread: ClassVar[Mapping[str, str]] = {}
    # options that change what it answers, with underscores
    changes_answers: ClassVar[frozenset[str]] = frozenset()

    @property
    def is_beside(self) -> bool:
        """Return whether it serves another LLM beside the one that answers turns."""
        return isinstance(self.service, OtherService)

    @property
    def prefix(self) -> str:
        """Return the beginning of the names of its parameters."""
        return f"{self.name}." if self.is_beside else self.own_prefix

    def may_change_answers(self, option: str) -> bool:
        """Return whether an option changes what it answers, which nobody judges.

        What one of a template beside the turn does nobody knows, but for some by their names.
        """
        if self.is_beside and self.service.command is not None:
            return option not in KEEPS_ANSWERS
        return option.partition(".")[0] in self.changes_answers

    def undivided(self, devices: int) -> str | None:  # noqa: ARG002
        """Return in a sentence why its model cannot be spread over so many devices.

        It is None where it can, or nobody knows.
        """
        return None
