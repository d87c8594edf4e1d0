"""What the starts of a study have shown: whether another one would fit, and whether it came up like those before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from objectives.allocation import Allocation
from objectives.diagnosis.diagnose import Diagnosis
from objectives.errors import Disturbed
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from objectives.servers.lineup import Lineup

CONTAMINATED = 0.02  # KV tokens may differ by this much between two starts of one command


@dataclass(slots=True)
class Starts:
    """What is known so far; it grows with every start.

    known: this study's measurements; kv_tokens: by command of the LLM server
    """

    known: list[tuple[Allocation, Measurement]]
    kv_tokens: dict[str, int] = field(default_factory=dict)

    def verdict(
        self, allocation: Allocation, lineup: Lineup, speech: Measurement | None = None
    ) -> memory_budget.Verdict:
        """Whether it would fit, by this study's figures and what `speech`, just started, holds."""
        known = [*self.known, *([(allocation, speech)] if speech else [])]
        total_mib = lineup.device.identity.total_mib
        return memory_budget.check(
            allocation,
            memory_budget.figures(known),
            total_mib=total_mib,
            tenants_mib=total_mib - lineup.free_at_rest_mib,
            reserve_mib=lineup.reserve_mib,
        )

    def compare(self, command: str, tokens: int, measured: Mapping[str, object]) -> None:
        """Hold a KV cache against that of the command's first start.

        raises: Disturbed where its size is another: the engine's memory profile was disturbed
        """
        earlier = self.kv_tokens.setdefault(command, tokens)
        if abs(tokens - earlier) > CONTAMINATED * earlier:
            evidence = (
                f"KV cache of {tokens} tokens; an earlier start of this command had {earlier}"
            )
            raise Disturbed(Diagnosis("contaminated", None, "start", None, evidence), measured)
