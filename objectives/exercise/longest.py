"""The longest time that a measurement may take is summed from its parts before it begins.

It is no estimate: each part may use up its own limit. Beyond the sum something hangs or crawls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from objectives.capacity.ramp_range import DOUBLINGS, TWICE
from objectives.diagnosis.patterns import patterns
from objectives.engines.registry import hearers
from objectives.services import Service
from objectives.traffic.clips import Clip
from objectives.traffic.workload import Workload

STOP_S = 50.0  # of a server: its end, and until its memory is back
STARTS = 2  # of a server: once more where it compiled
PATIENCE_S = 60.0  # of a start: a neighbour that passes, figures that are asked
PART_S = 60.0  # of a part under load: bodies are made, what is open is hung up
SETTLE_S = 300.0  # after a load that servers could not follow, until they are idle again
WARM_UPS = 4  # of each service, with some room
SLOWEST = 10.0  # speech recognition takes so many times the length of a clip at most


def longest_measurement_s(
    services: Mapping[str, Service], workload: Workload, words: Sequence[Clip]
) -> float:
    """Return the longest time of one measurement with all its launches, seconds."""
    retries = max(int(o.get("retries", 0)) for o in patterns()["outcomes"].values())
    loads_s = 2 * _load_s(services, workload, workload.window_s)  # again where we left late
    if workload.ramp_s > 0:  # also again in the range that the first one found, and again late
        doubling_s = max(workload.ramp_doubling_s, workload.ramp_s / TWICE)
        loads_s += 4 * _load_s(services, workload, DOUBLINGS * doubling_s)
    words_s = len(hearers(services)) * _words_s(workload, words)
    return (1 + retries) * (launch_s(services, workload) + words_s + loads_s)


def longest_hold_s(services: Mapping[str, Service], workload: Workload) -> float:
    """Return the longest time of one constant rate with all its launches, seconds."""
    retries = max(int(o.get("retries", 0)) for o in patterns()["outcomes"].values())
    hold_s = 2 * _load_s(services, workload, workload.hold_s)
    return (1 + retries) * (launch_s(services, workload) + hold_s)


def launch_s(services: Mapping[str, Service], workload: Workload) -> float:
    """Return the longest time until servers that ran are stopped, others started and warm."""
    starts_s = sum(STARTS * (s.start_timeout_s + STOP_S) + PATIENCE_S for s in services.values())
    starts_s += sum(s.start_timeout_s for s in services.values() if s.woken_by)  # to be warm
    requests = len(services) * (WARM_UPS + workload.alone_requests)
    return starts_s + requests * workload.request_timeout_s + PART_S


def _words_s(workload: Workload, words: Sequence[Clip]) -> float:
    each_s = (min(workload.request_timeout_s, SLOWEST * clip.seconds) for clip in words)
    return sum(each_s) + workload.request_timeout_s + PART_S


def _load_s(services: Mapping[str, Service], workload: Workload, seconds: float) -> float:
    """Return the longest time of a load: its last turn passes all services one by one."""
    return seconds + (1 + len(services)) * workload.request_timeout_s + PART_S + SETTLE_S
