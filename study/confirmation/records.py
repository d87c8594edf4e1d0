"""These records hold what a confirmation has measured: launches, pairs, stress and failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from objectives.capacity.holds import Hold
from objectives.capacity.ramp_range import RampRange
from objectives.diagnosis.diagnosis import Diagnosis
from objectives.measurement import Measurement
from study.rule.pairs import Role

JOURNAL_FORMAT = 2  # 1, of 0.1, was judged by margins
Stage = Literal["aa", "ab"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The head is fixed before the first launch; a run that differs in it confirms anew.

    Args:
        promotion: The digest of what is promoted.
        claim: What must be better.
        workloads: The digest of the traffic by name, the study's own first.
        servers: Both commands of baseline and winner, and the servers' versions.
        product: The name of the device.
        total_mib: Its memory, MiB.
        driver: The version of its driver; None without one.
        limits: The owner's limits by flat name, ms; none in journals of 0.1.
        aa_pairs: Pairs of the baseline against itself; None in older journals, which did not say.
    """

    promotion: str
    claim: str
    workloads: Mapping[str, str]
    servers: Mapping[str, str]
    product: str
    total_mib: int
    driver: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    aa_pairs: int | None = None


@dataclass(frozen=True, slots=True)
class PairLaunch:
    """A launch starts all servers afresh, and measures them under each workload in turn.

    Args:
        role: Whose launch it is; in an A/A pair, both are the baseline's.
        measured: The measurements by workload.
    """

    role: Role
    measured: Mapping[str, Measurement]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair is two launches one after the other.

    Args:
        stage: "aa" for the baseline against itself, "ab" for baseline and winner.
        number: Its number in its stage, from 1.
        launches: Both launches in the order of time.
        at: When it began, ISO 8601.
        wall_s: How long it took, s.
        card: The UUID of the device, which both launches had.
        driver: The version of its driver.
        seed: The seed of the arrivals of the study's own workload, in both launches; None where
            all pairs had the study's, in recordings and older journals.
        code: The digest of the code that measured it; None in recordings and older journals.
    """

    stage: Stage
    number: int
    launches: tuple[PairLaunch, PairLaunch]
    at: str
    wall_s: float
    card: str
    driver: str | None = None
    seed: int | None = None
    code: str | None = None

    def of(self, role: Role) -> PairLaunch:
        """Return the launch of one role."""
        return next(launch for launch in self.launches if launch.role == role)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stress:
    """The stress is the winner's worst moment, and again after speech restarted beside the LLM.

    Args:
        requests: How many LLM requests were sent at once.
        clips: How many clips were sent at once.
        prompt_tokens: The length of the longest prompt, tokens.
        free_memory_mib: The least free device memory of the first half, MiB; None if it failed.
        after_restart_mib: The same of the second half.
        failure: What failed, where something did.
        in_restart: Whether it failed in the second half.
        at: When it began, ISO 8601.
        wall_s: How long it took, s.
    """

    requests: int
    clips: int
    prompt_tokens: int
    free_memory_mib: float | None
    after_restart_mib: float | None
    failure: Diagnosis | None
    in_restart: bool
    at: str
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TodayLaunch:
    """This launch starts what is in use today afresh, where its study could not start it.

    Args:
        failure: Why it failed again; None where it works.
        at: When it began, ISO 8601.
        wall_s: How long it took, s.
    """

    failure: Diagnosis | None
    at: str
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleHold:
    """A hold keeps a constant rate on the servers of one role.

    Args:
        role: Whose servers they are.
        hold: What it shows.
        at: When it began, ISO 8601.
        wall_s: How long it took, the starts of the servers included, s.
        card: The UUID of the device.
        driver: The version of its driver.
        seed: The seed of its arrivals; the n-th hold of either role has the same.
    """

    role: Role
    hold: Hold
    at: str
    wall_s: float
    card: str
    driver: str | None
    seed: int


@dataclass(frozen=True, slots=True)
class FailedLaunch:
    """A failed launch ends the confirmation, whether it is the winner's or the baseline's.

    Args:
        role: Whose launch it was.
        workload: What it was measured under.
        diagnosis: Why it failed.
    """

    role: Role
    workload: str
    diagnosis: Diagnosis


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsJournal:
    """The journal is everything that a confirmation has measured so far.

    Args:
        head: What is fixed before the first launch.
        ramp_ranges: The range of ramps by workload, from its first launch.
        pairs: The pairs of both stages.
        holds: The constant rates that prove a capacity, in the order of time.
        stress: The stress of the winner, once it has run.
        today: The launch of what is in use, where the study could not start it.
        failure: The launch that failed, where one did.
        left_out: Pairs that were disturbed, and why.
        earlier: How many confirmations were begun anew with --fresh.
        format: The version of the file it was read from.
    """

    head: Head
    ramp_ranges: Mapping[str, RampRange] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    holds: tuple[RoleHold, ...] = ()
    stress: Stress | None = None
    today: TodayLaunch | None = None
    failure: FailedLaunch | None = None
    left_out: tuple[str, ...] = ()
    earlier: int = 0
    format: int = JOURNAL_FORMAT

    def of(self, stage: Stage) -> tuple[Pair, ...]:
        """Return the pairs of one stage, in order."""
        return tuple(p for p in self.pairs if p.stage == stage)

    def holds_of(self, role: Role) -> tuple[RoleHold, ...]:
        """Return the holds of one role, in order."""
        return tuple(h for h in self.holds if h.role == role)
