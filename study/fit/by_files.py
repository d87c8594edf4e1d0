"""Ask the files of a spec's models which allocations would start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path

from objectives.allocation import Allocation
from objectives.engines.engine import Engine, llm_engine, other_engine, speech_engine
from objectives.engines.every import arithmetic_of
from objectives.engines.places import Place, place_of
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.fit.beside_memory import Claim, claim
from objectives.fit.cell import CONTEXT_MIB, Cell, Host, SpeechMemory
from objectives.model_files.model import Model
from objectives.servers.tenants import Tenant
from objectives.servers.versions import cached
from objectives.services import LlmService, OtherService, Services, SttService
from study.fit.together import together

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
SHIPPED = "recordings/models"  # the config.json of each model of the recordings that ship
LITTLE = "`hf download {} config.json`, a few KB, is enough to say what fits"


@dataclass(frozen=True, slots=True)
class ByFiles:
    """The files of a spec's models, ready to be asked.

    Args:
        llm: The LLM server.
        stt: The speech server.
        model: The LLM's model.
        speech_parameters: Those of each speech model by its size; None where they are not known.
        host: The device.
        version: That of its engine; None takes it for a new one.
        request_tokens: The longest request of the workload, with its answer.
        arithmetic: That of its engine.
        beside: The services beside a voice turn, by name.
        folders: Where a model that one of their commands names is looked for.
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
    beside: Mapping[str, OtherService] = field(default_factory=dict)
    folders: Sequence[Path] = ()
    folder: Path = Path()
    others: Mapping[str, Host] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """Return what serves the LLM, for a person."""
        return self.arithmetic.server(self.version)

    def token_bytes(self, allocation: Allocation) -> float | str:
        """Return what a token of the KV cache takes, or why that is not known."""
        return self.arithmetic.token_bytes(_argv(self.llm, allocation), self.model, self.host)

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
        host = replace(host, beside=self._beside(allocation, name))
        cell = self._cell(allocation, host, name)
        if not host.unknown or cell.is_ruled_out:
            return cell
        return replace(cell, is_close=True, why="; ".join(filter(None, (host.unknown, cell.why))))

    def _cell(self, allocation: Allocation, host: Host, name: str) -> Cell:
        return self.arithmetic.cell(
            allocation,
            _argv(self.llm, allocation),
            self.model,
            self._speech(allocation, host, name),
            host,
            request_tokens=self.request_tokens,
            version=self.version,
        )

    def unknown(self, allocation: Allocation) -> list[str]:
        """Return in sentences what is not known of the services beside a turn."""
        place = self._place(allocation)
        names = place.devices if place else ("",)
        claims = (c for name in names for c in self._beside(allocation, name))
        return list(dict.fromkeys(c.unknown for c in claims if c.unknown))

    def _beside(self, allocation: Allocation, name: str) -> tuple[Claim, ...]:
        """Return what the services beside a turn take of a device of the LLM."""
        engines = (other_engine(service, name) for name, service in self.beside.items())
        return tuple(
            claim(e.name, self.beside[e.name], e.command(allocation, {}).argv, self.folders)
            for e in engines
            if _is_there(e, allocation, name)
        )

    def _speech(self, allocation: Allocation, host: Host, name: str) -> SpeechMemory:
        """Return what speech takes of a device of the LLM."""
        stt = speech_engine(self.stt)
        if not _is_there(stt, allocation, name):
            return SpeechMemory(0.0)
        parameters = self.speech_parameters.get(allocation.speech)
        return stt.memory(allocation, parameters, host)


def _is_there(engine: Engine, allocation: Allocation, name: str) -> bool:
    """Return whether an engine is on the device of a name; all are where it has none."""
    place = place_of(engine.name, engine.service, allocation)
    return place is None or not name or name in place.devices


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
    argv = _argv(llm, baseline)
    arithmetic = arithmetic_of(llm, argv)
    try:
        path = _folder(
            arithmetic.model_of(argv) or llm.model, (*shipped, *beside), is_shipped=is_shipped
        )
        return ByFiles(
            llm=llm,
            stt=stt,
            model=arithmetic.read(path, argv, host),
            speech_parameters={
                size: speech_engine(stt).parameters(size, _speech_folder(model, beside))
                for size, model in stt.models.items()
            },
            host=host,
            version=version,
            request_tokens=request_tokens,
            arithmetic=arithmetic,
            beside={n: s for n, s in services.items() if isinstance(s, OtherService)},
            folders=beside,
            folder=path,
            others=others or {},
        )
    except OSError as error:
        raise SetupError(f"a model's folder cannot be read: {error}") from error


def held_by(tenants: Sequence[Tenant], total_mib: float, *, is_cpu: bool) -> float:
    """Return what tenants hold of a device, MiB, each with its own process."""
    context_mib = 0.0 if is_cpu else CONTEXT_MIB
    return sum(tenant.held_mib(total_mib) + context_mib for tenant in tenants)


def _argv(llm: LlmService, allocation: Allocation) -> tuple[str, ...]:
    return llm_engine(llm).resident_command(allocation, {}).argv


def _folder(model: str, folders: Sequence[Path], *, is_shipped: bool = False) -> Path:
    """Return the folder or GGUF file of a model, in one of some folders or in the hub's cache.

    Raises:
        SetupError: It is in none.
    """
    for name in (model, *([Path(model).name] if is_shipped else [])):
        for folder in folders:
            path = folder / Path(name).expanduser()
            if path.is_dir() or (path.suffix == ".gguf" and path.is_file()):
                return path
    if HUB_ID.fullmatch(model):
        try:
            return Path(cached(model))
        except SetupError as error:
            raise SetupError(f"{error}; {LITTLE.format(model)}") from error
    raise SetupError(
        f"there is no folder {model}; name one of a model, a GGUF file, or a hub id that is in the "
        "local cache"
    )


def _speech_folder(model: str, beside: Sequence[Path]) -> Path | None:
    """Return the folder of a speech model; None where it is not on this machine."""
    try:
        return _folder(model, beside)
    except SetupError:
        return None
