"""What is done to a ready pair of servers: each alone, both under the trace, then the capacity ladder."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from objectives.capacity.estimate import capacity
from objectives.evaluation import OnPhase, Phase, Step
from objectives.load.client import Endpoints
from objectives.load.ladder import Slo, climb
from objectives.load.open_loop import Window, drive, one_by_one
from objectives.load.replies import Reply, summarise
from objectives.servers.blame import Suspects, failed_load, failed_reply
from objectives.speech.wer import WordErrors, score
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Request, Workload, trace

WARM_UPS = 2


class Exercise:
    """One workload with its clips; remembers the word errors of each speech configuration.

    requests: sent in place of the workload's own trace
    """

    def __init__(
        self, workload: Workload, clips: tuple[Clip, ...], requests: tuple[Request, ...] = ()
    ) -> None:
        self.workload, self.clips = workload, clips
        self.requests = requests or trace(workload, len(clips))
        self.word_errors: dict[str, tuple[WordErrors, ...]] = {}

    def alone(
        self,
        endpoints: Endpoints,
        suspects: Suspects,
        on_phase: OnPhase,
        speech: str,
        *,
        is_scored: bool,
    ) -> list[Reply]:
        """Warm up both services, then load each alone; all clips once per speech configuration, for its words.

        raises: TrialFailed at the first request that fails
        """
        workload = self.workload
        longest, tokens, count = (
            workload.prompt_tokens[1],
            workload.output_tokens,
            workload.alone_requests,
        )
        seeds = (workload.seed + 10_000_019 * (n + 1) for n in range(WARM_UPS + count))
        llm = [Request("llm", 0.0, longest, tokens, seed=seed) for seed in seeds]
        scoring = is_scored and speech not in self.word_errors
        clips = range(len(self.clips)) if scoring else range(min(count, len(self.clips)))
        stt = [Request("stt", 0.0, clip=n) for n in (*([0] * WARM_UPS), *clips)]
        answered: list[Reply] = []
        for step, part in (
            (Step.WARMING_UP, slice(WARM_UPS)),
            (Step.ALONE, slice(WARM_UPS, None)),
        ):
            on_phase(Phase(step))
            answered = [
                reply
                for requests in (llm[part], stt[part])
                for reply in one_by_one(
                    endpoints, self.clips, requests, timeout_s=workload.request_timeout_s
                )
            ]
            for reply in answered:
                if reply.error is not None:
                    raise failed_reply(reply, suspects)
        said, heard = answered[:count], answered[count:]
        if scoring:
            self.word_errors[speech] = score(
                [r.text or "" for r in heard], [c.references for c in self.clips]
            )
        return [*said, *heard[:count]]

    def window(self, endpoints: Endpoints, suspects: Suspects, on_phase: OnPhase) -> Window:
        """The trace on both services at once; once more where our own requests left late.

        raises: TrialFailed where a service ended or ran out of memory under it
        """
        window = Window()
        for step in (Step.LOADING, Step.LOADING_AGAIN):
            on_phase(Phase(step))
            window = drive(
                endpoints,
                self.clips,
                self.requests,
                timeout_s=self.workload.request_timeout_s,
                broken=suspects.broken,
            )
            found = summarise(window.replies)
            if window.aborted is not None:
                suspects.measured |= found
                raise failed_load(suspects, window.aborted)
            if not found["lag_exceeded"]:
                break
        return window

    def ladder(
        self, endpoints: Endpoints, suspects: Suspects, on_phase: OnPhase, slo: Slo, first_rung: int
    ) -> dict[str, Any]:
        """Capacity under the SLO, with the whole ladder and what a user feels at its highest passed rung."""
        top = self.workload.ladder_max_sessions
        rungs, aborted = climb(
            endpoints,
            self.clips,
            self.workload,
            slo,
            start=first_rung,
            broken=suspects.broken,
            on_rung=lambda n: on_phase(Phase(Step.LADDER, sessions=n)),
        )
        if aborted is not None:
            raise failed_load(suspects, aborted)
        found = capacity(rungs, top)
        felt = next((r for r in rungs if r.sessions == found.sessions), rungs[0] if rungs else None)
        return {
            "concurrent_capacity": found.sessions,
            "capacity_is_lower_bound": found.is_lower_bound,
            "capacity_bound_by": found.bound_by,
            "ladder": tuple(asdict(r) for r in rungs),
            "turn_ttft_ms": felt.turn_ttft_ms if felt else None,
            "turn_ttft_p95_ms": felt.turn_ttft_p95_ms if felt else None,
        }
