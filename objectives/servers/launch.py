"""The launch of a trial's two servers: what it needs stays, the rest is stopped, and speech is started first."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from objectives.engines.command import Command
from objectives.engines.faster_whisper import stt_command, stt_ready
from objectives.engines.vllm import engine_metrics, kv_cache, llm_command, llm_ready, vocabulary_of
from objectives.errors import TrialFailed
from objectives.evaluation import Job, OnPhase, Phase, Step
from objectives.load.client import Endpoints
from objectives.measurement import Measurement
from objectives.servers import memory_budget
from objectives.servers.blame import Suspects
from objectives.servers.earlier_starts import Starts
from objectives.servers.lineup import Pair
from objectives.servers.process import Server
from objectives.services import Services
from objectives.traffic.clips import Clip


@dataclass(frozen=True, slots=True)
class Launcher:
    """Launches both servers for one allocation after another, by what earlier starts have shown.

    clip: what a speech server transcribes before it counts as ready
    """

    services: Services
    pair: Pair
    tenants: Sequence[Server]
    starts: Starts
    clip: Clip

    def launch(
        self, job: Job, on_phase: OnPhase, verdict: memory_budget.Verdict
    ) -> tuple[Endpoints, Suspects]:
        """Both servers, ready; what their starts showed is what the suspects have measured.

        raises: OutOfMemory, Disturbed or SetupError, diagnosed from a server's log
        """
        pair, services, device = self.pair, self.services, self.pair.device
        allocation = job.allocation
        stt = stt_command(allocation, services.stt, device.server_env)
        llm = llm_command(allocation, services.llm, device.server_env)
        total_mib = device.identity.total_mib
        measured: dict[str, Any] = {"device_total_mib": total_mib}
        measured |= self._make_room(job, on_phase, stt, llm, verdict)
        measured |= self.start_speech(job, on_phase, stt, measured) | measured
        measured["started_first"] = pair.started_first
        on_phase(Phase(Step.STARTING, "llm"))
        ready = partial(llm_ready, service=services.llm)
        entitled_mib = (
            memory_budget.share_mib(allocation, total_mib) + memory_budget.MARGIN * total_mib
        )  # kernels loaded under load
        measured |= pair.start("llm", llm, ready, job.folder / "llm.log", measured, entitled_mib)
        measured |= self._kv_cache(str(llm), measured)
        endpoints = Endpoints(
            pair.server("llm").url,
            pair.server("stt").url,
            services.llm.served_model,
            vocabulary_of(services.llm),
            services.llm.metrics_path,
        )
        return endpoints, Suspects(pair.server("llm"), pair.server("stt"), self.tenants, measured)

    def start_speech(
        self, job: Job, on_phase: OnPhase, command: Command, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """The speech server, unless this command runs already: its `stt_start_s` and `stt_memory_mib`.

        raises: OutOfMemory, Disturbed or SetupError, diagnosed from its log
        """
        if not self.pair.runs("stt", command):
            on_phase(Phase(Step.STARTING, "stt"))
        ready = partial(stt_ready, health_path=self.services.stt.health_path, clip=self.clip)
        return self.pair.start("stt", command, ready, job.folder / "stt.log", measured)

    def _make_room(
        self,
        job: Job,
        on_phase: OnPhase,
        stt: Command,
        llm: Command,
        verdict: memory_budget.Verdict,
    ) -> dict[str, Any]:
        """Stop what this trial does not need; what the start of speech showed, where that took one.

        The LLM server is kept while speech is swapped only where the figures are sure that a speech-first start
        would fit too; a speech model that was never measured is started beside it, for its memory.
        """
        pair = self.pair
        on_phase(Phase(Step.STOPPING))
        if not pair.runs("llm", llm):
            pair.stop("llm")
        if pair.runs("stt", stt):
            return {}
        pair.stop("stt")
        if not pair.runs("llm", llm) or verdict.is_sure:
            return {}
        if verdict.fits == "unknown":
            with suppress(
                TrialFailed
            ):  # beside the LLM server this says nothing about a speech-first start
                started = self.start_speech(job, on_phase, stt, {})
                speech = Measurement.from_flat(started)
                if self.starts.verdict(job.allocation, pair, speech).is_sure:
                    return started
        on_phase(Phase(Step.STOPPING))
        pair.stop("llm", "stt")
        return {}

    def _kv_cache(self, command: str, measured: dict[str, Any]) -> dict[str, Any]:
        """The engine's own account of its KV cache.

        raises: Disturbed where an earlier start of this command had another size
        """
        server = self.pair.server("llm")
        cache = kv_cache(
            engine_metrics(server.url, self.services.llm.metrics_path), server.log_text()
        )
        if cache.tokens is not None:
            self.starts.compare(command, cache.tokens, measured)
        return {
            "llm_kv_tokens": cache.tokens,
            "llm_kv_cache_mib": cache.mib,
            "llm_max_model_len": cache.max_model_len,
        }
