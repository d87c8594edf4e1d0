"""The exercise loads ready servers: each alone, by turns up a ramp, then all under the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from objectives.capacity.holds import Hold
from objectives.capacity.ramp_figures import limits_of, ramp_figures
from objectives.capacity.ramp_range import RampRange
from objectives.evaluation import OnPhase, Phase, Step
from objectives.figures import flat_name
from objectives.load.drive_hold import drive_hold
from objectives.load.drive_ramp import drive_ramp
from objectives.load.drive_turns import SentTurns
from objectives.load.figures_of_replies import interference, services_in, summarise
from objectives.load.generator import Generator
from objectives.load.open_loop import Progress, Window, drive, one_by_one
from objectives.load.replies import Fault, Reply
from objectives.load.segments import segment_figures
from objectives.load.sending.plan import Endpoints
from objectives.servers.blame import Suspects, failed_load, failed_reply
from objectives.speech.wer import WordErrors, wer_pct, word_errors
from objectives.traffic.clips import Clip
from objectives.traffic.replay import alone_requests
from objectives.traffic.segments import segments
from objectives.traffic.trace import trace
from objectives.traffic.workload import Request, Workload

WARM_UPS = 2


class Exercise:
    """An exercise replays one workload and remembers the word errors of each speech configuration.

    Args:
        workload: The traffic pattern.
        clips: The speech that is sent.
        requests: The requests to send in place of the workload's own trace.
        words: The speech whose words are counted; without it that is `clips`.
    """

    def __init__(
        self,
        workload: Workload,
        clips: tuple[Clip, ...],
        requests: tuple[Request, ...] = (),
        words: tuple[Clip, ...] = (),
    ) -> None:
        self.workload, self.clips, self.words = workload, clips, words or clips
        self.requests = requests or trace(workload, len(clips))
        self.ends_s = tuple(part.end_s for part in segments(workload))
        self.word_errors: dict[str, tuple[WordErrors, ...]] = {}
        self._salt = 0

    def alone(
        self,
        generator: Generator,
        endpoints: Endpoints,
        suspects: Suspects,
        on_phase: OnPhase,
        speech: str,
        *,
        is_scored: bool,
    ) -> list[Reply]:
        """Warm up both services, then load each alone; return the replies of the second part.

        The speech whose words are counted is sent once per speech configuration.

        Raises:
            TrialFailed: A request failed; it is the first that did.
        """
        clips = range(min(self.workload.alone_requests, len(self.clips)))
        requests = {
            service: self._clips(service, clips) if end.api.is_fed_audio else self._prompts(service)
            for service, end in reversed([*endpoints.items()])
        }
        replies: list[Reply] = []
        for step, part in (
            (Step.WARMING_UP, slice(WARM_UPS)),
            (Step.ALONE, slice(WARM_UPS, None)),
        ):
            on_phase(Phase(step))
            queue = [request for own in requests.values() for request in own[part]]
            replies = one_by_one(
                generator,
                endpoints,
                self.clips,
                queue,
                timeout_s=self.workload.request_timeout_s,
            )
            raise_first(replies, suspects)
        if is_scored and speech not in self.word_errors:
            on_phase(Phase(Step.WORDS))
            self.word_errors[speech] = self._count_words(generator, endpoints, suspects)
        return replies

    def _count_words(
        self, generator: Generator, endpoints: Endpoints, suspects: Suspects
    ) -> tuple[WordErrors, ...]:
        """Send the speech whose words are counted to the service that transcribes.

        One that hears nothing in a clip has missed all of its words.
        """
        service = next(name for name, end in endpoints.items() if end.api.is_fed_audio)
        requests = [Request(service, 0.0, clip=n) for n in range(len(self.words))]
        timeout_s, replies = self.workload.request_timeout_s, list[Reply]()
        while rest := requests[len(replies) :]:  # an empty answer ends what follows it
            heard = one_by_one(generator, endpoints, self.words, rest, timeout_s=timeout_s)
            is_empty = (r.error is not None and r.error.fault == Fault.EMPTY for r in heard)
            raise_first(
                [r for r, empty in zip(heard, is_empty, strict=True) if not empty], suspects
            )
            replies += heard
        return word_errors(
            [r.text or "" for r in replies],
            [c.references for c in self.words],
            [c.language for c in self.words],
        )

    def word_figures(self, endpoints: Endpoints, speech: str) -> dict[str, Any]:
        """Return the word errors of each service that transcribes; none where none were scored."""
        words = self.word_errors.get(speech, ())
        figures: dict[str, Any] = {}
        for service, endpoint in endpoints.items():
            if endpoint.api.is_fed_audio:
                figures[flat_name(service, "word_errors")] = words
                figures[flat_name(service, "wer_pct")] = wer_pct(words) if words else None
        return figures

    def _prompts(self, service: str) -> list[Request]:
        """Return warm-ups of the longest prompts, and what the service gets while it is alone."""
        workload = self.workload
        count = WARM_UPS + workload.alone_requests
        seeds = [workload.seed + 10_000_019 * (n + 1) for n in range(count)]
        warm_ups = [Request(service, 0.0, *workload.longest, seed=s) for s in seeds[:WARM_UPS]]
        return [*warm_ups, *alone_requests(workload, service, seeds[WARM_UPS:])]

    def _clips(self, service: str, numbers: range) -> list[Request]:
        """Return warm-ups with the first clip, and a request for each of these clips."""
        return [Request(service, 0.0, clip=n) for n in (*([0] * WARM_UPS), *numbers)]

    def window(
        self,
        generator: Generator,
        endpoints: Endpoints,
        suspects: Suspects,
        on_phase: OnPhase,
        is_worth: Callable[[Progress], bool] = lambda _: True,
    ) -> tuple[Window, dict[str, Any]]:
        """Replay the trace on all services at once, again where our own requests left late.

        Return the window with the figures of its replies by flat name. It ends early where the
        rest is not worth its time; that is asked at the end of each segment.

        Raises:
            TrialFailed: A service ended or ran out of memory under the load.
        """
        window, figures = Window(), dict[str, Any]()
        for step in (Step.LOADING, Step.LOADING_AGAIN):
            on_phase(Phase(step))
            window = drive(
                generator,
                endpoints,
                self.clips,
                self.requests,
                timeout_s=self.workload.request_timeout_s,
                broken=suspects.broken,
                ends_s=self.ends_s[:-1],
                is_worth=is_worth,
            )
            figures = summarise(window.replies)
            if window.aborted is not None:
                suspects.measured |= figures
                raise failed_load(suspects, window.aborted)
            if not figures["lag_exceeded"] or window.is_given_up:
                break
        return window, figures

    def ramp(
        self,
        generator: Generator,
        endpoints: Endpoints,
        suspects: Suspects,
        on_phase: OnPhase,
        limits_ms: Mapping[str, float],
        known: RampRange | None,
    ) -> tuple[SentTurns, RampRange, dict[str, Any]]:
        """Send turns at a rising rate until they miss their limits.

        The first ramp of a study begins far below what is expected. It finds the range of all
        others, and is measured again in that.

        Args:
            generator: What sends the requests.
            endpoints: Where the servers listen.
            suspects: What may have failed.
            on_phase: Called as each ramp begins.
            limits_ms: What a good turn meets, ms by name.
            known: The range of the study's ramps; None where this is the first.

        Returns:
            The ramp that counts, its range, and its figures by flat name.

        Raises:
            TrialFailed: A service ended or ran out of memory under the load.
        """
        workload, limits = self.workload, limits_of(limits_ms)
        here = known or RampRange.below(workload.least_per_s, workload.ramp_doubling_s)
        step = Step.RAMP
        while True:
            on_phase(Phase(step))
            self._salt += 1
            ramp = drive_ramp(
                generator,
                endpoints,
                self.clips,
                workload,
                here.rate,
                limits,
                salt=self._salt,
                broken=suspects.broken,
            )
            if ramp.aborted is not None:
                raise failed_load(suspects, ramp.aborted)
            figures = ramp_figures(
                ramp.replies,
                endpoints,
                here.rate,
                limits,
                pause_s=workload.pause_s,
                kv_full_s=ramp.kv_full_s,
            )
            capacity_per_s = figures["capacity_turns_per_s"]
            if known is not None or not capacity_per_s:
                return ramp, here, figures
            known = RampRange.around(capacity_per_s, workload.ramp_doubling_s, workload.ramp_s)
            if known == here:
                return ramp, here, figures
            here, step = known, Step.RAMP_AGAIN

    def hold(
        self,
        generator: Generator,
        endpoints: Endpoints,
        suspects: Suspects,
        on_phase: OnPhase,
        limits_ms: Mapping[str, float],
        rate_per_s: float,
    ) -> tuple[Hold, SentTurns]:
        """Send turns at a constant rate, and count those that meet their limits.

        Args:
            generator: What sends the requests.
            endpoints: Where the servers listen.
            suspects: What may have failed.
            on_phase: Called as the hold begins.
            limits_ms: What a good turn meets, ms by name.
            rate_per_s: The rate, turns/s.

        Returns:
            What the hold shows, and all that was sent.

        Raises:
            TrialFailed: A service ended or ran out of memory under the load.
        """
        on_phase(Phase(Step.HOLD))
        self._salt += 1
        hold, turns = drive_hold(
            generator,
            endpoints,
            self.clips,
            self.workload,
            rate_per_s,
            limits_of(limits_ms),
            salt=self._salt,
            broken=suspects.broken,
        )
        if turns.aborted is not None:
            raise failed_load(suspects, turns.aborted)
        return hold, turns


def raise_first(replies: Sequence[Reply], suspects: Suspects) -> None:
    """Raise what the first failure among replies means.

    Raises:
        TrialFailed: A request failed.
    """
    for reply in replies:
        if reply.error is not None:
            raise failed_reply(reply, suspects)


def window_figures(
    window: Window, ends_s: Sequence[float], alone: Sequence[Reply]
) -> dict[str, Any]:
    """Return what the figures of the replies lack of the joint load, by flat name.

    Args:
        window: The replies of all services under the trace, and the use of their KV caches.
        ends_s: When each segment of the window ends, seconds from its start.
        alone: The replies of each service while it was alone, for its interference.
    """
    figures: dict[str, Any] = {
        flat_name(s, "kv_peak_pct"): pct for s, pct in window.kv_peak_pct.items()
    }
    figures["segments"] = segment_figures(window.replies, window.started_s, ends_s)
    figures |= {flat_name(s, "preemptions"): count for s, count in window.preemptions.items()}
    return figures | {
        flat_name(s, "interference"): interference(window.replies, alone, s)
        for s in services_in(window.replies)
    }
