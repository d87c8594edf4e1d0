"""Live measurement: both servers on one device, loaded at once; servers that the next trial needs are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from objectives import budget, engine
from objectives.allocation import Allocation
from objectives.clips import read_clips
from objectives.command import Command, Services, llm_command, stt_command
from objectives.device import Device
from objectives.diagnosis import Diagnosis, outcome
from objectives.errors import Disturbed, OutOfMemory, SetupError, TrialFailed
from objectives.exchange import Endpoints
from objectives.exercise import Exercise
from objectives.failure import Suspects, prechecked
from objectives.ladder import Slo
from objectives.measurement import (
    INFINITE,
    Measurement,
    Reply,
    interference,
    summarise,
    word_error_rate,
)
from objectives.neighbours import yielding
from objectives.pair import Pair
from objectives.phases import Phases
from objectives.readiness import engine_metrics, llm_ready, stt_ready, vocabulary_of
from objectives.sampling import Watch, watching
from objectives.server import Server
from objectives.telemetry import Occupancy, memory, used_by_second
from objectives.tenants import Tenant, holding
from objectives.workload import Workload

FIRST_RUNG = 8
CONTAMINATED = 0.02  # KV tokens may differ by this much between two starts of one command


@dataclass(frozen=True, slots=True)
class Run:
    """One evaluation: its seed, the folder for its logs, and who is told about its phases.

    is_fresh: launch both servers anew, also where they run already: a replicate must not share a launch
    """

    seed: int
    folder: Path
    on_phase: Callable[[str], None] = lambda _: None
    is_fresh: bool = False


Measure = Callable[[Allocation, Run], Measurement]


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the baseline fixes for the whole study: the SLO in ms and the rung where ladders start."""

    slo: Slo
    first_rung: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Everything that is the same for all trials of a study.

    slo_multiple: the SLO as a multiple of the first measurement's p95, unless `slo` gives it in ms
    precheck: whether the arithmetic may spare a launch
    """

    services: Services
    workload: Workload
    tenants: Sequence[Tenant] = ()
    reserve_mib: float = 512.0
    slo_multiple: float = 1.5
    slo: Slo | None = None
    precheck: bool = True


class Colocation:
    """Measures allocations on one device; a context manager that holds the tenants and stops every server.

    anchor: set by the first measurement unless given; known: this study's measurements, for the arithmetic
    """

    def __init__(
        self,
        setting: Setting,
        device: Device,
        folder: Path,
        *,
        anchor: Anchor | None = None,
        known: Sequence[tuple[Allocation, Measurement]] = (),
    ) -> None:
        self.setting, self.device, self.folder, self.anchor = setting, device, folder, anchor
        self._known = list(known)
        self._exercise = Exercise(setting.workload, read_clips(setting.workload.clips))
        self._kv_tokens: dict[str, int] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._open()
        return self

    def _open(self) -> None:
        with ExitStack() as stack:
            self._tenants: list[Server] = stack.enter_context(holding(self.setting.tenants, self.device, self.folder))
            self._pair = Pair(self.device, self.setting.reserve_mib)
            stack.callback(self._pair.close)
            self._stack = stack.pop_all()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def restart(self) -> None:
        """Stop both servers, so that the next measurement launches afresh."""
        self._pair.stop("llm", "stt")

    def under(self, exercise: Exercise, anchor: Anchor | None) -> None:
        """Measure under this traffic from now on; servers that run are kept for it.

        anchor: what the first measurement under it fixed; None where there was none yet
        """
        self.setting = replace(self.setting, workload=exercise.workload)
        self._exercise, self.anchor = exercise, anchor

    def restart_speech(self, allocation: Allocation, run: Run) -> None:
        """Start the speech server anew beside the LLM server that runs, which no trial does.

        raises: OutOfMemory, Disturbed or SetupError, diagnosed from its log
        """
        run.on_phase("stopping")
        self._pair.stop("stt")
        self._start_speech(run, stt_command(allocation, self.setting.services.stt, self.device.server_env), {})

    def occupancy(self) -> Occupancy:
        """Who holds the device's memory now: tenants what they asked for, servers what they had taken when ready."""
        total_mib = self.device.identity.total_mib
        tenants = {t.name: float(t.held_mib(total_mib)) for t in self.setting.tenants}
        others_mib = max(0.0, total_mib - self._pair.free_at_rest_mib - sum(tenants.values()))
        return Occupancy(total_mib, self.device.sample().free_mib, tenants | self._pair.taken_mib, others_mib)

    def measure(self, allocation: Allocation, run: Run) -> Measurement:
        """One allocation, launched again as often as its failure's class allows.

        raises: OutOfMemory where the allocation does not work; Disturbed after the last retry; SetupError
        """
        attempt, phases = 0, Phases(run.on_phase)
        run = replace(run, on_phase=phases)
        if run.is_fresh:
            phases("stopping")
            self.restart()
        while True:
            if not all(tenant.alive for tenant in self._tenants):
                self._stack.close()
                self._open()  # a tenant that died is there again for the next launch
            try:
                measured = self._undisturbed(allocation, run)
            except TrialFailed as failed:
                if failed.diagnosis.phase != "precheck":
                    phases("stopping")
                    self._pair.stop("llm", "stt")
                rule = outcome(failed.diagnosis.failure_class)
                failed.measured["phase_s"] = phases.seconds()
                if isinstance(failed, OutOfMemory):
                    raise
                if attempt >= rule.retries:
                    if rule.then == "infeasible":
                        raise OutOfMemory(failed.diagnosis, failed.measured) from failed
                    raise
                attempt += 1
                who = f": {failed.diagnosis.evidence}" if failed.diagnosis.failure_class == "foreign_tenant" else ""
                run.on_phase(f"once more after {failed.diagnosis.failure_class}{who}")
            else:
                self._known.append((allocation, measured))
                return replace(measured, phase_s=phases.seconds())

    def _undisturbed(self, allocation: Allocation, run: Run) -> Measurement:
        """One launch, given up as soon as another process needs the device's memory."""
        with yielding(self.device, self.setting.reserve_mib) as neighbours:
            try:
                return self._once(allocation, run)
            except (TrialFailed, SetupError) as failed:
                if neighbours.seen is None:
                    raise
                measured = failed.measured if isinstance(failed, TrialFailed) else {}
                raise Disturbed(neighbours.seen.diagnosis(self.setting.reserve_mib), measured) from failed

    def _once(self, allocation: Allocation, run: Run) -> Measurement:
        setting, pair = self.setting, self._pair
        run.on_phase("checking")
        total_mib = self.device.identity.total_mib
        held_mib = total_mib - pair.free_at_rest_mib
        verdict = self._arithmetic(allocation)
        if setting.precheck and verdict.fits.startswith("predicted"):
            raise prechecked(verdict)
        stt = stt_command(allocation, setting.services.stt, self.device.server_env)
        llm = llm_command(allocation, setting.services.llm, self.device.server_env)
        measured: dict[str, Any] = {"device_total_mib": total_mib}
        with watching(self.device) as watch:
            measured |= self._make_room(allocation, run, stt, llm, verdict)
            endpoints, suspects = self._launch(allocation, run, stt, llm, measured)
            measured |= self._loads(allocation, run, endpoints, suspects, watch, held_mib)
        measured["used_mib_by_s"] = used_by_second(watch.samples, total_mib)
        return Measurement(**measured)

    def _arithmetic(self, allocation: Allocation, speech: Measurement | None = None) -> budget.Verdict:
        """Whether it would fit, by this study's figures and what `speech`, just started, holds."""
        known = [*self._known, *([(allocation, speech)] if speech else [])]
        total_mib = self.device.identity.total_mib
        return budget.check(
            allocation,
            budget.figures(known),
            total_mib=total_mib,
            tenants_mib=total_mib - self._pair.free_at_rest_mib,
            reserve_mib=self.setting.reserve_mib,
        )

    def _make_room(
        self, allocation: Allocation, run: Run, stt: Command, llm: Command, verdict: budget.Verdict
    ) -> dict[str, Any]:
        """Stop what this trial does not need; what the start of speech showed, where that took one.

        The LLM server is kept while speech is swapped only where the figures are sure that a speech-first start
        would fit too; a speech model that was never measured is started beside it, for its memory.
        """
        pair = self._pair
        run.on_phase("stopping")
        if not pair.runs("llm", llm):
            pair.stop("llm")
        if pair.runs("stt", stt):
            return {}
        pair.stop("stt")
        if not pair.runs("llm", llm) or verdict.is_sure:
            return {}
        if verdict.fits == "unknown":
            with suppress(TrialFailed):  # beside the LLM server this says nothing about a speech-first start
                started = self._start_speech(run, stt, {})
                if self._arithmetic(allocation, Measurement(stt_memory_mib=started["stt_memory_mib"])).is_sure:
                    return started
        run.on_phase("stopping")
        pair.stop("llm", "stt")
        return {}

    def _start_speech(self, run: Run, command: Command, measured: dict[str, Any]) -> dict[str, Any]:
        if not self._pair.runs("stt", command):
            run.on_phase("starting speech")
        health, clip = self.setting.services.stt.health_path, self._exercise.clips[0]
        log = run.folder / "stt.log"
        return self._pair.start("stt", command, lambda u: stt_ready(u, health, clip), log, measured)

    def _launch(
        self, allocation: Allocation, run: Run, stt: Command, llm: Command, measured: dict[str, Any]
    ) -> tuple[Endpoints, Suspects]:
        """Both servers, ready; speech first, unless the LLM server was kept."""
        pair, services = self._pair, self.setting.services
        measured |= self._start_speech(run, stt, measured) | measured
        measured["started_first"] = pair.started_first
        run.on_phase("starting LLM")
        ready = partial(llm_ready, service=services.llm)
        total_mib = self.device.identity.total_mib
        entitled_mib = budget.share_mib(allocation, total_mib) + budget.MARGIN * total_mib  # kernels loaded under load
        measured |= pair.start("llm", llm, ready, run.folder / "llm.log", measured, entitled_mib)
        measured |= self._kv_cache(allocation, str(llm), pair.server("llm"), measured)
        endpoints = Endpoints(
            pair.server("llm").url,
            pair.server("stt").url,
            services.llm.served_model,
            vocabulary_of(services.llm),
            services.llm.metrics_path,
        )
        return endpoints, Suspects(pair.server("llm"), pair.server("stt"), self._tenants, measured)

    def _loads(
        self,
        allocation: Allocation,
        run: Run,
        endpoints: Endpoints,
        suspects: Suspects,
        watch: Watch,
        held_mib: float,
    ) -> dict[str, Any]:
        """Each service alone, both under the trace, the ladder."""
        measured, speech = suspects.measured, budget.speech_key(allocation)
        is_random = allocation.speech in self.setting.services.stt.random_weights
        alone = self._exercise.alone(endpoints, suspects, run.on_phase, speech, is_scored=not is_random)
        window = self._exercise.window(endpoints, suspects, run.on_phase)
        samples = watch.since(window.started_s)
        _write_replies(run.folder, window.replies)
        measured |= summarise(window.replies)
        measured |= {"kv_peak_pct": window.kv_peak_pct, "preemptions": window.preemptions}
        measured |= {f"interference_{s}": interference(window.replies, alone, s) for s in ("llm", "stt")}
        measured |= memory(samples, self.device.identity.total_mib, held_mib)
        measured |= self._ladder(endpoints, suspects, run, measured)
        measured["word_errors"] = self._exercise.word_errors.get(speech, ())
        measured["stt_wer_pct"] = word_error_rate(measured["word_errors"])
        return measured

    def _kv_cache(
        self, allocation: Allocation, command: str, server: Server, measured: dict[str, Any]
    ) -> dict[str, Any]:
        """The engine's own account of its KV cache; a size unlike an earlier start's means a disturbed profile."""
        service = self.setting.services.llm
        cache = engine.kv_cache(engine_metrics(server.url, service.metrics_path), server.log_text())
        if cache.tokens is not None:
            earlier = self._kv_tokens.setdefault(command, cache.tokens)
            if abs(cache.tokens - earlier) > CONTAMINATED * earlier:
                evidence = f"KV cache of {cache.tokens} tokens; an earlier start of this command had {earlier}"
                raise Disturbed(Diagnosis("contaminated", None, "start", None, evidence), measured)
        bound = engine.kv_capacity_bound(cache.tokens, self.setting.workload, allocation, service.args)
        return {
            "kv_tokens": cache.tokens,
            "kv_cache_mib": cache.mib,
            "max_model_len": cache.max_model_len,
            "kv_capacity_bound": bound,
        }

    def _ladder(self, endpoints: Endpoints, suspects: Suspects, run: Run, measured: dict[str, Any]) -> dict[str, Any]:
        """The capacity ladder; the first measurement with finite latencies fixes the SLO for the study."""
        p95 = (measured["stt_latency_p95_ms"], measured["llm_latency_p95_ms"])
        is_first = self.anchor is None
        if is_first and None not in p95 and INFINITE not in p95:
            slo = self.setting.slo or Slo(*(x * self.setting.slo_multiple for x in p95))
            self.anchor = Anchor(slo, min(FIRST_RUNG, self.setting.workload.ladder_max_sessions))
        if self.anchor is None or self.setting.workload.ladder_s <= 0:
            return {}
        found = self._exercise.ladder(endpoints, suspects, run.on_phase, self.anchor.slo, self.anchor.first_rung)
        if is_first and found["concurrent_capacity"]:
            self.anchor = replace(self.anchor, first_rung=found["concurrent_capacity"])
        return found


def _write_replies(folder: Path, replies: Sequence[Reply]) -> None:
    """Every request of the window with its times, whole or not at all."""
    draft = folder / "replies.draft"
    draft.write_text("".join(json.dumps(asdict(r)) + "\n" for r in replies))
    draft.replace(folder / "replies.jsonl")
