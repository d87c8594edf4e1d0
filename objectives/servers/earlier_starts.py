"""Earlier starts of a study show whether another would fit, and whether it came up like them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from objectives.allocation import Allocation
from objectives.devices.device_set import Room
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.diagnosis.log import FailurePhase
from objectives.engines.engine import Engine
from objectives.engines.places import Place, place_of
from objectives.errors import Disturbed
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from objectives.servers.lineup import Lineup
from objectives.servers.process import Server

CONTAMINATED = 0.02  # KV tokens may be fewer by this much than an earlier start of a command had


def predicted(
    allocation: Allocation,
    launches: Sequence[tuple[Allocation, Measurement]],
    engines: Sequence[Engine],
    rooms: Mapping[str, Room],
    reserve_mib: float,
) -> memory_budget.Prediction:
    """Return whether an allocation would fit on every device: the answer of the tightest one.

    Args:
        allocation: The allocation.
        launches: What was launched before, with what was measured of it.
        engines: One a service.
        rooms: The devices by name, the LLM's first, with what others hold.
        reserve_mib: The memory that must stay free, MiB.
    """
    predictions, first = [], next(iter(rooms))
    places = {e.name: place_of(e.name, e.service, allocation) or Place(first) for e in engines}
    for name, room in rooms.items():
        there = [e for e in engines if name in places[e.name].devices]
        total_mib = room.identity.total_mib
        prediction = memory_budget.check(
            allocation,
            memory_budget.figures(allocation, launches, there, room.identity.uuid, total_mib),
            has_share=any(e.has_share for e in there),
            total_mib=total_mib,
            tenants_mib=room.held_mib,
            reserve_mib=reserve_mib,
        )
        if len(rooms) > 1 and name != room.identity.uuid:
            prediction = replace(prediction, explanation=f"{name}: {prediction.explanation}")
        predictions.append(prediction)
    return max(predictions, key=lambda p: (p.is_ruled_out, not p.is_sure))


@dataclass(slots=True)
class Starts:
    """The starts of a study show its memory; what they show grows with every start.

    Args:
        engines: One a service.
        launches: The study's measurements.
        kv_tokens: The largest KV cache that each command had, tokens.
        always_compile: Whether a second start compiled as the first one had: nothing is kept.
        accounts: What the last server of each service told of itself once it was ready, by the
            service: one that sleeps is not asked again.
    """

    engines: Sequence[Engine]
    launches: list[tuple[Allocation, Measurement]]
    kv_tokens: dict[str, int] = field(default_factory=dict)
    always_compile: bool = False
    accounts: dict[str, tuple[Server, dict[str, Any]]] = field(default_factory=dict)

    def prediction(
        self, allocation: Allocation, lineup: Lineup, beside: Measurement | None = None
    ) -> memory_budget.Prediction:
        """Return whether an allocation would fit on every device, by the study's figures.

        Args:
            allocation: The allocation.
            lineup: The servers that run, and their devices.
            beside: What starts beside running servers, just now, showed; None without any.
        """
        launches = [*self.launches, *([(allocation, beside)] if beside else [])]
        rooms = {
            name: Room(d.identity, d.identity.total_mib - lineup.free_at_rest_mib[name])
            for name, d in lineup.devices.items()
        }
        return predicted(allocation, launches, self.engines, rooms, lineup.reserve_mib)

    def compare(self, command: str, tokens: int, measured: Mapping[str, object]) -> None:
        """Compare the size of a KV cache with the largest that the command has had.

        A neighbour that allocates during the engine's memory profile makes it smaller, and one that
        frees ends the engine, so none makes it larger. A start that compiles may have less than all
        others, and is made again.

        Raises:
            Disturbed: It is smaller: the engine's memory profile was disturbed.
        """
        earlier = self.kv_tokens.get(command, 0)
        self.kv_tokens[command] = max(earlier, tokens)
        if earlier - tokens > CONTAMINATED * earlier:
            evidence = (
                f"KV cache of {tokens} tokens; an earlier start of this command had {earlier}"
            )
            raise Disturbed(
                Diagnosis("contaminated", None, FailurePhase.START, None, evidence), measured
            )
