"""The exercise loads ready servers: each alone, by turns up a ramp, then all under the trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

from objectives.capacity.ramp_figures import limits_of
from objectives.evaluation import Phase, Step
from objectives.exercise.idle import (
    IdleProbe,
    has_left_work,
    probes_of,
    still_busy,
    wait_until_idle,
)
from objectives.exercise.ready_servers import ReadyServers
from objectives.exercise.words import count_words, raise_first
from objectives.figures import flat_name
from objectives.load.drive_turns import TurnSource
from objectives.load.figures_of_replies import summarise
from objectives.load.open_loop import Window, WindowProgress, drive, one_by_one
from objectives.load.replies import Reply, Symptom
from objectives.load.sending.plan import Endpoints
from objectives.on_demand import sleeping
from objectives.servers.blame import failed_load
from objectives.speech.wer import WordErrors, wer_pct
from objectives.traffic.clips import Clip
from objectives.traffic.replay import alone_requests
from objectives.traffic.segments import segments
from objectives.traffic.trace import trace
from objectives.traffic.turns import passed
from objectives.traffic.workload import Request, Workload

WARM_UPS = 2


class Exercise:
    """An exercise replays one workload, and remembers the word errors of what transcribes.

    They are kept by what the words of a service depend on (`Allocation.words_key`).

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
        self._salts = count(1)
        self._probes: list[IdleProbe] = []

    def of(self, workload: Workload, requests: tuple[Request, ...] = ()) -> Exercise:
        """Return one of other traffic with the same speech, whose words are counted once."""
        other = Exercise(workload, self.clips, requests, self.words)
        other.word_errors = self.word_errors
        return other

    def alone(self, servers: ReadyServers, word_keys: Mapping[str, str]) -> list[Reply]:
        """Warm up all services, then load each alone; return the replies of the second part.

        The speech whose words are counted is sent once to each configuration of a service that
        transcribes. What sleeps is kept awake from here on, until a window begins.

        Args:
            servers: The servers.
            word_keys: What the words of each service depend on whose words are counted.

        Raises:
            TrialFailed: A request failed; it is the first that did. Or a server does not wake.
        """
        for service in servers.sleepers:
            servers.on_phase(Phase(Step.WARMING_UP))
            if sleeping.keep_awake(servers.endpoints[service].url) is None:
                raise failed_load(servers.suspects, Symptom("it does not wake", service))
        clips = range(min(self.workload.alone_requests, len(self.clips)))
        requests = {
            service: self._clips(service, clips) if end.api.is_fed_audio else self._texts(service)
            for service, end in reversed([*servers.endpoints.items()])
        }
        replies: list[Reply] = []
        for step, part in (
            (Step.WARMING_UP, slice(WARM_UPS)),
            (Step.ALONE, slice(WARM_UPS, None)),
        ):
            servers.on_phase(Phase(step))
            queue = [request for own in requests.values() for request in own[part]]
            replies = one_by_one(
                servers.generator,
                servers.endpoints,
                self.clips,
                queue,
                timeout_s=self.workload.request_timeout_s,
            )
            raise_first(replies, servers.suspects)
            self._probes = probes_of(queue, replies) or self._probes
        for service, key in word_keys.items():
            if key not in self.word_errors:
                servers.on_phase(Phase(Step.WORDS))
                self.word_errors[key] = count_words(
                    servers, service, self.words, self.workload.request_timeout_s
                )
        return replies

    def word_figures(self, endpoints: Endpoints, word_keys: Mapping[str, str]) -> dict[str, Any]:
        """Return the word errors of each service that transcribes; none where none were scored."""
        figures: dict[str, Any] = {}
        for service, endpoint in endpoints.items():
            if endpoint.api.is_fed_audio:
                words = self.word_errors.get(word_keys.get(service, ""), ())
                figures[flat_name(service, "word_errors")] = words
                figures[flat_name(service, "wer_pct")] = wer_pct(words) if words else None
        return figures

    def _texts(self, service: str) -> list[Request]:
        """Return warm-ups of the longest prompts, and what the service gets while it is alone."""
        workload = self.workload
        most = WARM_UPS + workload.alone_requests
        seeds = [workload.seed + 10_000_019 * (n + 1) for n in range(most)]
        if (own := next((t for t in workload.beside if t.service == service), None)) is not None:
            sizes = own.tokens[1], own.output_tokens
            return [Request(service, 0.0, *sizes, seed=seed) for seed in seeds]
        warm_ups = [Request(service, 0.0, *workload.longest, seed=s) for s in seeds[:WARM_UPS]]
        return [*warm_ups, *alone_requests(workload, service, seeds[WARM_UPS:])]

    def _clips(self, service: str, numbers: range) -> list[Request]:
        """Return warm-ups with the first clip, and a request for each of these clips."""
        return [Request(service, 0.0, clip=n) for n in (*([0] * WARM_UPS), *numbers)]

    def window(
        self,
        servers: ReadyServers,
        is_worth: Callable[[WindowProgress], bool] = lambda _: True,
    ) -> tuple[Window, dict[str, Any]]:
        """Replay the trace on all services at once, again where our own requests left late.

        Return the window with the figures of its replies by flat name. It ends early where the
        rest is not worth its time; that is asked at the end of each segment.

        Raises:
            TrialFailed: A service ended or ran out of memory under the load.
        """
        window, figures, suspects = Window(), dict[str, Any](), servers.suspects
        for step in (Step.LOADING, Step.LOADING_AGAIN):
            servers.on_phase(Phase(step))
            urls = {s: servers.endpoints[s].url for s in servers.sleepers}
            asleep = sleeping.SleepWatch(urls)
            window = drive(
                servers.generator,
                servers.endpoints,
                self.clips,
                self.requests,
                timeout_s=self.workload.request_timeout_s,
                broken=suspects.broken,
                ends_s=self.ends_s[:-1],
                is_worth=is_worth,
            )
            figures = summarise(window.replies) | asleep.figures()
            if window.aborted is not None:
                suspects.measured |= figures
                raise failed_load(suspects, window.aborted)
            if not figures["lag_exceeded"] or window.is_given_up or step is Step.LOADING_AGAIN:
                break
            if has_left_work(r.error for r in window.replies) and not self.settle(servers):
                raise still_busy()
        return window, figures

    def settle(self, servers: ReadyServers) -> bool:
        """Wait until the servers are idle, by what each was asked alone; return whether they are.

        Raises:
            TrialFailed: One fails.
        """
        return wait_until_idle(self._probes, servers, self.clips)

    def turns(self, servers: ReadyServers, limits_ms: Mapping[str, float]) -> TurnSource:
        """Return what sends turns to these servers, for a ramp or a hold.

        Args:
            servers: The servers.
            limits_ms: What a good turn meets, ms by name.
        """
        return TurnSource(
            servers.generator,
            {s: servers.endpoints[s] for s in passed(self.workload)},
            self.clips,
            self.workload,
            limits_of(limits_ms),
            servers.suspects.broken,
            partial(self.settle, servers),
            self._salts,
            {t.service: servers.endpoints[t.service] for t in self.workload.beside},
        )
