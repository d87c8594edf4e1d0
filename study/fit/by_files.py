"""This module asks the files of a spec's models which allocations would start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from objectives.allocation import Allocation
from objectives.engines.places import Place, place_of
from objectives.engines.registry import llm_engine, speech_engine
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.fit.cell import CONTEXT_MIB, Cell, Host, SpeechMemory
from objectives.model_files.model import Model
from objectives.servers.tenants import Tenant
from objectives.services import LlmService, Services, SttService
from study.fit.beside import BesideFiles, is_there, read_beside
from study.fit.model_folder import folder_of
from study.fit.own_words import OwnWords, known_arithmetic, own_words
from study.fit.together import together

SHIPPED = "recordings/models"  # the config.json of each model of the recordings that ship


@dataclass(frozen=True, slots=True)
class ByFiles:
    """These are the files of a spec's models, ready to be asked.

    Args:
        llm: The LLM server.
        stt: The speech server.
        model: The LLM's model.
        speech_parameters: Those of each speech model by its size; None where they are not known.
        host: The device.
        version: That of its engine; None takes it for a new one.
        request_tokens: The longest request of the workload, with its answer.
        arithmetic: That of its engine.
        beside: The services beside a voice turn.
        folder: The folder or file of the LLM's model.
        others: The devices over which the LLM may be spread beside its first, by name.
    """

    llm: LlmService
    stt: SttService
    model: Model
    speech_parameters: Mapping[str, int | None]
    host: Host
    version: str | None
    request_tokens: int
    arithmetic: Arithmetic
    beside: BesideFiles
    folder: Path = Path()
    others: Mapping[str, Host] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """Return what serves the LLM, for a person."""
        return self.arithmetic.server(self.version)

    def token_bytes(self, allocation: Allocation) -> float | str:
        """Return what a token of the KV cache takes, or why that is not known."""
        words = _words(self.llm, allocation)
        return self.arithmetic.token_bytes(words.argv, self.model, self.host)

    def cell(self, allocation: Allocation) -> Cell:
        """Return what the files say of an allocation: on all devices of the LLM together."""
        place = self._place(allocation)
        if place is None:
            return self._on(allocation, self.host, "")
        hosts = {name: self.others.get(name, self.host) for name in place.devices}
        cells = {name: self._on(allocation, host, name) for name, host in hosts.items()}
        totals_mib = {name: host.total_mib for name, host in hosts.items()}
        cell = together(cells, totals_mib) if len(cells) > 1 else cells[place.devices[0]]
        return replace(cell, place=place.on)

    def _place(self, allocation: Allocation) -> Place | None:
        llm = llm_engine(self.llm)
        return place_of(llm.name, self.llm, allocation)

    def _on(self, allocation: Allocation, host: Host, name: str) -> Cell:
        """Return what the files say of an allocation on one device of the LLM, by its name."""
        bare, host = host, replace(host, beside=self.beside.memory_needs(allocation, host, name))
        cell = self._cell(allocation, host, name)
        if not cell.is_ruled_out and (narrow := self.beside.too_narrow(allocation, bare, name)):
            return replace(cell, **narrow)
        if not host.unknown:
            return cell
        if cell.most_mib is not None:
            cell = replace(cell, most_mib=(0.0, cell.most_mib[1]))  # no share is sure to fit
        if cell.is_ruled_out:
            return cell
        return replace(cell, is_close=True, why="; ".join(filter(None, (host.unknown, cell.why))))

    def _cell(self, allocation: Allocation, host: Host, name: str) -> Cell:
        words = _words(self.llm, allocation)
        cell = self.arithmetic.cell(
            words.with_share(allocation),
            words.argv,
            self.model,
            self._speech(allocation, host, name),
            host,
            request_tokens=self.request_tokens,
            version=self.version,
        )
        return replace(cell, allocation=allocation)

    def unknown(self, allocation: Allocation) -> list[str]:
        """Return in sentences what is not known of the services beside a turn."""
        place = self._place(allocation)
        names = place.devices if place else ("",)
        hosts = {name: self.others.get(name, self.host) for name in names}
        beside = self.beside
        needs = (n for name in names for n in beside.memory_needs(allocation, hosts[name], name))
        return list(dict.fromkeys(n.unknown for n in needs if n.unknown))

    def _speech(self, allocation: Allocation, host: Host, name: str) -> SpeechMemory:
        """Return what speech takes of a device of the LLM."""
        stt = speech_engine(self.stt)
        if not is_there(stt, allocation, name):
            return SpeechMemory(0.0)
        parameters = self.speech_parameters.get(allocation.speech)
        return stt.memory(allocation, parameters, host)


def by_files(
    services: Services,
    baseline: Allocation,
    host: Host,
    request_tokens: int,
    *,
    version: str | None,
    beside: Sequence[Path] = (),
    is_shipped: bool = False,
    others: Mapping[str, Host] | None = None,
) -> ByFiles:
    """Return the files of the models of some services.

    Args:
        services: The servers of a spec.
        baseline: The allocation in use today.
        host: The device.
        request_tokens: The longest request of the workload, with its answer.
        version: That of what serves the LLM; None takes it for a new one.
        beside: The folders in which a model is looked for, before the hub's cache.
        is_shipped: Whether a recording that ships is asked, whose models it describes itself.
        others: The devices over which the LLM may be spread beside its first, by name.

    Raises:
        SetupError: The LLM's model is not on this machine, or the files of one cannot be read.
    """
    llm = next(s for s in services.values() if isinstance(s, LlmService))
    stt = next(s for s in services.values() if isinstance(s, SttService))
    shipped = (Path(str(files("objectives"))) / SHIPPED,) if is_shipped else ()
    words = _words(llm, baseline)
    arithmetic, version = known_arithmetic(llm, words), version or words.version
    try:
        model = words.placed(arithmetic.model_of(words.argv) or llm.model)
        path = folder_of(model, (*shipped, *beside), is_shipped=is_shipped)
        return ByFiles(
            llm=llm,
            stt=stt,
            model=arithmetic.read(path, words.argv, host),
            speech_parameters={
                size: speech_engine(stt).parameters(size, _speech_folder(model, beside))
                for size, model in stt.models.items()
            },
            host=host,
            version=version,
            request_tokens=request_tokens,
            arithmetic=arithmetic,
            beside=read_beside(services, baseline, host, beside, {llm.python: version}),
            folder=path,
            others=others or {},
        )
    except OSError as error:
        raise SetupError(f"a model's folder cannot be read: {error}") from error


def held_by(tenants: Sequence[Tenant], total_mib: float, *, is_cpu: bool) -> float:
    """Return what tenants hold of a device, MiB, each with its own process."""
    context_mib = 0.0 if is_cpu else CONTEXT_MIB
    return sum(tenant.held_mib(total_mib) + context_mib for tenant in tenants)


def _words(llm: LlmService, allocation: Allocation) -> OwnWords:
    return own_words(llm, llm_engine(llm).resident_command(allocation, {}).argv)


def _speech_folder(model: str, beside: Sequence[Path]) -> Path | None:
    """Return the folder of a speech model; None where it is not on this machine."""
    try:
        return folder_of(model, beside)
    except SetupError:
        return None
