"""This module asks the files of other services than those of a turn what these take of a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from objectives.allocation import SHARE, Allocation
from objectives.engines.any_command import AnyCommand
from objectives.engines.engine import Engine
from objectives.engines.llm_server import LlmServer
from objectives.engines.places import place_of
from objectives.engines.registry import other_engine
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.fit.beside_memory import SHARE_SLACK_MIB, MemoryNeed, memory_need
from objectives.fit.cell import Cell, Host, SpeechMemory
from objectives.fit.fits import Fits
from objectives.model_files.model import Model
from objectives.services import OtherService, Services
from study.fit.model_folder import folder_of
from study.fit.own_words import own_words


@dataclass(frozen=True, slots=True)
class BesideFiles:
    """These are the files of the services beside a turn, ready to be asked.

    Args:
        services: Those services, by name.
        models: Those of other LLMs, each with the arithmetic of its engine, by service.
        folders: Where a model that one of their commands names is looked for.
        versions: Those of what serves an LLM, by its interpreter.
    """

    services: Mapping[str, OtherService]
    models: Mapping[str, tuple[Arithmetic, Model]]
    folders: Sequence[Path]
    versions: Mapping[str, str | None]

    def memory_needs(self, allocation: Allocation, host: Host, name: str) -> tuple[MemoryNeed, ...]:
        """Return what the services beside a turn take of a device of the LLM."""
        return tuple(self._memory_need(e, allocation, host) for e in self._there(allocation, name))

    def _there(self, allocation: Allocation, name: str) -> list[AnyCommand | LlmServer]:
        """Return the engines of the services beside a turn that are on a device."""
        engines = [other_engine(service, name) for name, service in self.services.items()]
        return [e for e in engines if is_there(e, allocation, name)]

    def _memory_need(
        self, engine: AnyCommand | LlmServer, allocation: Allocation, host: Host
    ) -> MemoryNeed:
        service = self.services[engine.name]
        held_mib = engine.held_mib(allocation, host)
        if service.memory_mib is None and held_mib is not None:
            return MemoryNeed(engine.name, held_mib, is_whole=True, off_mib=SHARE_SLACK_MIB)
        if service.memory_mib is None and engine.name in self.models:
            own_mib = self._alone(engine, allocation, host).own_mib
            mib, off_mib = own_mib or (None, None)
            return MemoryNeed(engine.name, mib, is_whole=own_mib is not None, off_mib=off_mib)
        argv = own_words(service, engine.command(allocation, {}).argv).argv
        return memory_need(engine.name, service, argv, self.folders)

    def _alone(self, engine: AnyCommand | LlmServer, allocation: Allocation, host: Host) -> Cell:
        """Return what the files say of another LLM that is alone on a device."""
        service, (arithmetic, model) = self.services[engine.name], self.models[engine.name]
        share_mib = engine.own_share_mib(allocation, host.total_mib)
        share = {} if share_mib is None else {SHARE: share_mib / host.total_mib}
        return arithmetic.cell(
            Allocation({**allocation.values, **share}),
            engine.resident_command(allocation, {}).argv,
            model,
            SpeechMemory(0.0),
            replace(host, held_mib=0.0, reserve_mib=0.0, beside=()),
            request_tokens=service.tokens[1] + service.output_tokens,
            version=self.versions.get(service.python),
        )

    def too_narrow(self, allocation: Allocation, host: Host, name: str) -> dict[str, Any] | None:
        """Return what of a cell says that another LLM does not start in its share, or None."""
        for engine in self._there(allocation, name):
            if engine.name not in self.models or engine.held_mib(allocation, host) is None:
                continue
            cell = self._alone(engine, allocation, host)
            if cell.outcome is Fits.PREDICTED_KV_TOO_SMALL:
                names = ("outcome", "is_close", "missing_mib", "margin_mib")
                figures = {field: getattr(cell, field) for field in names}
                return {**figures, "why": f"{engine.name}: {cell.why}"}
        return None


def is_there(engine: Engine, allocation: Allocation, name: str) -> bool:
    """Return whether an engine is on the device of a name; all are where it has none."""
    place = place_of(engine.name, engine.service, allocation)
    return place is None or not name or name in place.devices


def read_beside(
    services: Services,
    baseline: Allocation,
    host: Host,
    folders: Sequence[Path],
    versions: Mapping[str, str | None],
) -> BesideFiles:
    """Return the files of the services beside a turn.

    Args:
        services: The servers of a spec.
        baseline: The allocation in use today.
        host: The LLM's device.
        folders: The folders in which a model is looked for, before the hub's cache.
        versions: Those of what serves an LLM, by its interpreter.
    """
    beside = {n: s for n, s in services.items() if isinstance(s, OtherService)}
    return BesideFiles(beside, dict(_models(beside, baseline, host, folders)), folders, versions)


def _models(
    services: Mapping[str, OtherService], baseline: Allocation, host: Host, folders: Sequence[Path]
) -> Iterator[tuple[str, tuple[Arithmetic, Model]]]:
    """Yield the models of other LLMs that are on this machine, with their arithmetic."""
    for name, service in services.items():
        if service.command is not None:
            continue
        engine = other_engine(service, name)
        if not isinstance(engine, LlmServer) or (arithmetic := engine.arithmetic) is None:
            continue
        argv = engine.resident_command(baseline, {}).argv
        with suppress(SetupError):
            path = folder_of(arithmetic.model_of(argv) or service.model, folders)
            yield name, (arithmetic, arithmetic.read(path, argv, host))
