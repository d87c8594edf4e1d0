"""These tests confirm live on fake servers: launches in ABBA order, and going on after a cut."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made.factories import measurement
from made.live_confirmations import confirmed, folder_of, instantly, journal_of, sooner
from made.live_factories import FAKES, promotion, shelf
from processes.commands import ROOT, run_script

from objectives.capacity.ramp_range import RampRange
from objectives.colocation.colocation import Colocation
from objectives.errors import BadInput, SetupError
from objectives.evaluation import Job, Outcome
from objectives.exercise.exercise import Exercise
from objectives.servers import blame
from study.confirmation import journal
from study.confirmation.confirm import EXIT
from study.confirmation.live import measured as measuring
from study.confirmation.pairs.launcher import Launcher, scored_words
from study.confirmation.pairs.next_step import Next
from study.confirmation.pairs.part import Part
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import PairLaunch
from study.confirmation.subject import subject
from study.promotion.seal import verify
from study.rule.pairs import Role
from study.rule.rule import Claim


@pytest.fixture(autouse=True)
def _shelf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, one_generator: None) -> None:
    monkeypatch.setattr(blame, "DYING_S", 0.3)
    monkeypatch.setattr(blame, "PATIENCE_S", 0.5)
    monkeypatch.setattr(measuring, "bench", lambda *_: shelf(tmp_path / "fakes.yaml"))


@pytest.fixture
def instant(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Launches that take no time, told by role: the winner's LLM answers sooner."""
    return instantly(monkeypatch)


def test_a_launch_is_fresh_for_the_studys_workload_and_serves_the_held_out_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_time, steps = Runner.has_time, []

    def three(runner: Runner, step: Next, *time: Any) -> bool:
        steps.append(step.step)
        return len(steps) <= 3 and has_time(runner, step, *time)

    under, sent = Colocation.under, []

    def noted(colocation: Colocation, exercise: Exercise, anchor: Any) -> None:
        sent.append((exercise.workload.seed, hash(exercise.requests)))
        under(colocation, exercise, anchor)

    monkeypatch.setattr(Runner, "has_time", three)
    monkeypatch.setattr(Colocation, "under", noted)
    path = promotion(tmp_path)
    confirmed(path, aa_pairs=1)
    assert steps == ["aa", "stress", "ab", "ab"]
    pairs_journal = journal.read_journal(journal_of(path))
    of_pairs = sent[:4] + sent[6:]  # between them is the stress
    assert of_pairs[::4] == of_pairs[2::4] and of_pairs[1::4] == of_pairs[3::4]  # in both arms
    assert len({requests for _, requests in of_pairs}) == 2 * len(pairs_journal.pairs)
    assert [p.seed for p in pairs_journal.pairs] == [seed for seed, _ in of_pairs[::4]]
    assert subject(path).spec.workload.seed not in {seed for seed, _ in of_pairs}
    for p in pairs_journal.pairs:
        for launch in p.launches:
            main, held_out = launch.measured["main"], launch.measured["voice_assistant"]
            assert min(main.figure("llm_start_s") or 0, main.figure("stt_start_s") or 0) > 0
            assert (held_out.figure("llm_start_s"), held_out.figure("stt_start_s")) == (0, 0)
            assert (
                main.figure("llm_offered"),
                main.figure("stt_offered"),
                held_out.figure("llm_offered"),
                held_out.figure("stt_offered"),
            ) == (6, 6, 6, 6)
    assert set(scored_words(pairs_journal, subject(path))) == {
        "base"
    }  # which are not transcribed again
    confirmation = verify(path)["confirmation"]
    assert confirmation["figures"]["voice_assistant"]["llm_latency_ms"]["pairs"] == 1
    assert "turn_ttft_ms" not in confirmation["figures"]["main"]
    assert "turn_ttft_ms" in confirmation["not_measured"]["main"]
    # without a ramp there is nothing else to claim
    assert confirmation["rule"]["claim"] == "latency"
    assert confirmation["stress"] == {
        "llm_requests_at_once": 81,
        "prompt_tokens": 16,
        "clips_at_once": 24,
        "least_free_memory_mib": 8000,
        "failure": None,
    }
    assert confirmation["restart_order"]["speech_restarted_beside_the_llm_server"] == "works"


@pytest.mark.usefixtures("instant")
def test_how_long_it_will_take_is_said_before_anything_is_launched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Runner, "has_time", lambda *_, **__: False)
    path = promotion(tmp_path)
    _, lines = confirmed(path)
    [line] = [x for x in lines if x.startswith("to measure: ")]
    assert line.startswith("to measure: 2 A/A pairs, the stress, 6 pairs; about ")
    assert "; 6 more pairs where they do not decide, " in line
    assert "a guess from the workload" in line


@pytest.mark.usefixtures("instant")
def test_a_winner_that_answers_sooner_is_confirmed_by_six_pairs_and_sealed(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    code, lines = confirmed(path)
    data = verify(path)
    confirmation = data["confirmation"]
    assert (code, data["status"], confirmation["verdict"], confirmation["pairs"]) == (
        0,
        "confirmed",
        "confirmed",
        6,
    ), lines
    assert confirmation["says"].startswith("latency at today's load: at least 3")
    assert confirmation["says"] in lines
    won = confirmation["claims"]["latency"]
    assert won["is_won"]
    for part in ("main", "mean_of_held_out"):
        assert 35 < won[part]["low_pct"] <= won[part]["gain_pct"] <= won[part]["high_pct"] < 45
    assert confirmation["limits"]["main"]["llm_tpot_p95_ms"]["standing"] == "inside"
    figures = confirmation["figures"]["voice_assistant"]["llm_latency_p95_ms"]
    assert 35 < figures["low_pct"] <= figures["gain_pct"] <= figures["high_pct"] < 45
    pairs_journal = journal.read_journal(journal_of(path))
    assert [[launch.role for launch in p.launches] for p in pairs_journal.of("ab")] == [
        ["baseline", "winner"],
        ["winner", "baseline"],
    ] * 3
    assert len({p.seed for p in pairs_journal.pairs}) == len(pairs_journal.pairs) == 8
    before = (journal_of(path)).read_text()
    assert confirmed(path)[0] == 0  # nothing is left to do, and nothing is measured again
    assert (journal_of(path)).read_text() == before


def test_where_the_baseline_wins_against_itself_again_nothing_can_be_concluded(
    tmp_path: Path, instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def drifting(launcher: Launcher, role: Role, *_: object) -> PairLaunch:
        instant.append(role)
        ms = (1000.0 if role == "baseline" else 900.0) + len(instant)
        return PairLaunch(role, dict.fromkeys(launcher.of.workloads, sooner(ms)))

    monkeypatch.setattr(Launcher, "launch", drifting)
    path = promotion(tmp_path)
    code, _ = confirmed(path)
    data = verify(path)
    assert (code, data["status"], len(instant)) == (5, "inconclusive", 8)
    assert data["confirmation"]["aa"]["pairs"] == 4
    assert any(
        "the baseline against itself seems better or worse" in r
        for r in data["confirmation"]["reasons"]
    )


def test_a_run_that_is_cut_goes_on_with_whole_pairs(
    tmp_path: Path, instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = promotion(tmp_path)
    launch = Launcher.launch

    def cut(launcher: Launcher, *arguments: Any) -> Any:
        outcome = launch(launcher, *arguments)
        if len(instant) == 6:
            raise KeyboardInterrupt
        return outcome

    monkeypatch.setattr(Launcher, "launch", cut)
    with pytest.raises(KeyboardInterrupt):
        confirmed(path)
    pairs_journal = journal.read_journal(journal_of(path))
    assert (
        len(pairs_journal.of("aa")),
        len(pairs_journal.of("ab")),
        pairs_journal.stress is not None,
    ) == (2, 0, True)
    assert verify(path)["status"] == "candidate"
    code, lines = confirmed(path)
    assert code == 0
    assert len(instant) == 6 + 12
    assert any(line.startswith("going on after 2 A/A and 0 pairs") for line in lines)


def test_a_first_pair_that_is_cut_keeps_the_ranges_of_ramps_that_it_has_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = promotion(tmp_path), list[RampRange | None]()
    main, held_out = RampRange(0.7, 25.0), RampRange(1.1, 30.0)

    def measure(colocation: Colocation, _: Job) -> Outcome:
        known.append(colocation.ramp_range)
        if len(known) in {3, 6}:
            raise KeyboardInterrupt
        colocation.ramp_range = colocation.ramp_range or (main, held_out)[len(known) - 1]
        return Outcome(measurement())

    monkeypatch.setattr(Colocation, "measure", measure)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            confirmed(path, claim=Claim.EITHER, ramp_s=75)
    assert known == [None, None, main, main, held_out, main]
    pairs_journal = journal.read_journal(journal_of(path))
    assert pairs_journal.ramp_ranges == {"main": main, "voice_assistant": held_out}
    assert pairs_journal.pairs == ()


def test_a_range_that_a_disturbed_launch_has_found_is_found_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, known = promotion(tmp_path), list[RampRange | None]()

    def measure(colocation: Colocation, _: Job) -> Outcome:
        known.append(colocation.ramp_range)
        colocation.ramp_range = RampRange(0.01, 40.0)
        return Outcome(measurement(lag_exceeded=True))

    monkeypatch.setattr(Colocation, "measure", measure)
    with pytest.raises(SetupError, match="two in a row were disturbed"):
        confirmed(path, claim=Claim.EITHER, ramp_s=75)
    assert len(known) == 8 and set(known) == {None}
    assert journal.read_journal(journal_of(path)).ramp_ranges == {}


@pytest.fixture
def one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run has time for no step, and begins the first alone."""
    monkeypatch.setattr("study.confirmation.pairs.runner.expected_step_s", lambda *_: 1e9)


@pytest.mark.usefixtures("instant", "one_step")
def test_with_too_little_time_the_first_step_is_taken_and_the_verdict_says_how_many_are_missing(
    tmp_path: Path,
) -> None:
    path = promotion(tmp_path)
    for count in (1, 2):
        code, lines = confirmed(path, options={"timeout_s": 1.0})
        assert any("it is measured all the same, and nothing after it" in line for line in lines)
        assert any("run the same command again" in line for line in lines)
        pairs_journal = journal.read_journal(journal_of(path))
        assert [p.stage for p in pairs_journal.pairs] == ["aa"] * count
    data = verify(path)
    assert (code, data["status"], data["confirmation"]["pairs_more"]) == (5, "candidate", 6)
    assert data["note"] == "its confirmation is not finished: 0 of 12 pairs at most"


@pytest.mark.usefixtures("instant")
def test_a_step_a_run_comes_to_the_same_verdict_as_all_at_once(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, path = promotion(tmp_path / "whole"), promotion(tmp_path)
    code, _ = confirmed(whole, aa_pairs=1)
    counts, last = [], None
    while last is None or verify(path)["status"] == "candidate":
        last, _ = confirmed(path, options={"steps": 1}, aa_pairs=1)
        counts.append(len(journal.read_journal(journal_of(path)).pairs))
    assert counts[:4] == [1, 1, 2, 3], "an A/A pair, the stress, and then pairs"
    assert (last, verify(path)["status"]) == (code, verify(whole)["status"])


def test_a_winner_that_leaves_too_little_memory_under_stress_is_rejected_before_the_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instantly(monkeypatch, is_stressed=True)
    path = promotion(tmp_path, {"gates": {"free_memory_mib": 8_100}})
    code, _ = confirmed(path, aa_pairs=1)
    data = verify(path)
    assert (code, data["status"], data["confirmation"]["pairs"]) == (
        EXIT["rejected"],
        "rejected",
        0,
    )
    assert data["confirmation"]["reasons"] == [
        "under stress only 8,000 MiB stayed free, the gate asks for 8100"
    ]


def test_a_winner_that_does_not_start_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instantly(monkeypatch, is_stressed=True)
    starts = f"{FAKES['services']['llm']['command']} --oom-label 0.06 --label {{vllm_memory_util}}"
    services = {**FAKES["services"], "llm": {"command": starts, "vocabulary": 2048}}
    path = promotion(tmp_path, {"services": services})
    code, _ = confirmed(path, aa_pairs=1)
    data = verify(path)
    assert (code, data["status"]) == (4, "rejected")
    assert "the winner failed under stress: oom_budget" in data["confirmation"]["reasons"][0]


@pytest.mark.parametrize(
    ("question", "refusal"),
    [
        ({"ramp_s": 75, "claim": Claim.EITHER}, "was begun with claim latency, not either"),
        ({"aa_pairs": 3}, "was begun with --aa-pairs 2, not 3"),
        ({"workloads": ["multi_user"]}, "was begun with held-out workloads voice_assistant"),
    ],
)
@pytest.mark.usefixtures("instant", "one_step")
def test_what_is_fixed_before_the_first_launch_stays_fixed(
    tmp_path: Path, question: dict[str, Any], refusal: str
) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    with pytest.raises(BadInput, match=refusal):
        confirmed(path, **question)
    confirmed(path, options={"timeout_s": 1.0, "fresh": True}, **question)
    assert verify(path)["confirmation"]["begun_anew"] == 1


@pytest.mark.usefixtures("instant", "one_step")
def test_pairs_that_all_had_the_studys_arrivals_are_not_continued(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    pairs_journal = journal.read_journal(journal_of(path))
    older = [replace(p, seed=None) for p in pairs_journal.pairs]
    journal.write_journal(replace(pairs_journal, pairs=tuple(older)), folder_of(path))
    with pytest.raises(BadInput, match="begun with the study's arrivals in all pairs"):
        confirmed(path)


@pytest.mark.usefixtures("instant", "one_step")
def test_pairs_that_a_promotion_tells_of_and_are_not_here_are_asked_for(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    judged, elsewhere = path.read_text(), {"timeout_s": 1.0, "out": tmp_path / "elsewhere"}
    with pytest.raises(BadInput, match=r"pairs\.jsonl is not here, .* begin anew with --fresh"):
        confirmed(path, options=elsewhere, aa_pairs=3)
    assert path.read_text() == judged
    confirmed(path, options=elsewhere | {"fresh": True}, aa_pairs=3)
    assert verify(path)["confirmation"]["begun_anew"] == 1


@pytest.mark.parametrize(
    "changed", [{"gates": {"free_memory_mib": 1}}, {"fitness": {"preset": "latency"}}]
)
@pytest.mark.usefixtures("instant", "one_step")
def test_by_what_the_pairs_are_judged_stays_fixed_too(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    promotion(tmp_path, changed)
    with pytest.raises(BadInput, match="was begun with another fitness or gates in the spec"):
        confirmed(path)


@pytest.mark.usefixtures("instant", "one_step")
def test_the_limits_of_the_owner_stay_fixed_too(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    promotion(tmp_path, {"limits": {"llm_tpot_p95_ms": 50}})
    with pytest.raises(BadInput, match=r"was begun with limits .*llm_tpot_p95_ms 100, .*not"):
        confirmed(path)


@pytest.mark.usefixtures("one_step")
def test_pairs_of_the_rule_of_0_1_can_be_read_and_are_not_continued(
    tmp_path: Path, instant: list[str]
) -> None:
    path = promotion(tmp_path)
    folder_of(path).mkdir(parents=True)
    of_0_1 = (ROOT / "tests/data/h100/h100_pairs.jsonl").read_text()
    journal_of(path).write_text(of_0_1)
    pairs_journal = journal.read_journal(journal_of(path))
    assert (pairs_journal.format, pairs_journal.head.claim, len(pairs_journal.of("ab"))) == (
        1,
        "llm_latency_ms",
        4,
    )
    with pytest.raises(
        BadInput, match=r"holds pairs of 0\.1, which were .* begin anew with --fresh"
    ):
        confirmed(path)
    assert not instant
    confirmed(path, options={"timeout_s": 1.0, "fresh": True})
    assert verify(path)["confirmation"]["begun_anew"] == 1
    assert (folder_of(path) / "pairs-1.jsonl").read_text() == of_0_1


def test_what_nobody_can_tell_after_six_pairs_is_measured_in_twelve_unless_six_are_asked_for(
    tmp_path: Path, instant: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def noisy(launcher: Launcher, role: Role, *_: object) -> PairLaunch:
        instant.append(role)
        ms = 100 * (1 + 0.3 * math.sin(7 * len(instant) ** 2))
        return PairLaunch(role, dict.fromkeys(launcher.of.workloads, sooner(ms)))

    monkeypatch.setattr(Launcher, "launch", noisy)
    path = promotion(tmp_path)
    assert confirmed(path, options={"pairs": 6})[0] == 5
    data = verify(path)
    assert (data["status"], data["confirmation"]["pairs_more"]) == ("inconclusive", 6)
    assert data["note"].startswith("inconclusive after 6 pairs, 6 more may tell: ")
    assert confirmed(path)[0] == 5
    confirmation = verify(path)["confirmation"]
    assert (confirmation["pairs"], confirmation["rule"]["look"], confirmation["pairs_more"]) == (
        12,
        2,
        None,
    )
    assert confirmation["claims"]["latency"]["confidence"] == 0.975


def test_two_cards_measure_pairs_of_their_own_and_all_are_judged_together(
    tmp_path: Path, instant: list[str]
) -> None:
    path = promotion(tmp_path)
    before = path.read_text()
    journals = []
    for number in (1, 2):
        out, part = tmp_path / f"card{number}", Part(number, 2)
        code, lines = confirmed(path, options={"out": out, "part": part, "pairs": 6})
        assert (code, path.read_text()) == (5, before)
        assert "when all are done: " in lines[-1]
        journals.append(out / journal_of(path).relative_to(path.parent / "out"))
        pairs_journal = journal.read_journal(journals[-1])
        assert [p.number for p in pairs_journal.of("ab")] == [number, number + 2, number + 4]
        assert [p.launches[0].role for p in pairs_journal.of("ab")] == [
            "baseline",
            "winner",
            "baseline",
        ]
    launched = len(instant)
    code, _ = confirmed(path, options={"take": tuple(journals)})
    confirmation = verify(path)["confirmation"]
    assert (code, confirmation["verdict"], confirmation["pairs"], confirmation["aa"]["pairs"]) == (
        0,
        "confirmed",
        6,
        4,
    )
    assert len(instant) == launched  # nothing is launched for it
    merged = journal.read_journal(journal_of(path))
    assert [p.number for p in merged.of("ab")] == [1, 2, 3, 4, 5, 6]
    assert len({p.seed for p in merged.pairs}) == len(merged.pairs) == 10
    assert confirmed(path, options={"take": tuple(journals)})[0] == 0  # each counts once
    assert journal.read_journal(journal_of(path)) == merged


def test_the_journal_of_another_confirmation_is_not_taken(
    tmp_path: Path, instant: list[str]
) -> None:
    path = promotion(tmp_path)
    out = tmp_path / "card1"
    confirmed(path, options={"out": out, "part": Part(1, 2), "pairs": 6}, aa_pairs=1)
    other = out / journal_of(path).relative_to(path.parent / "out")
    with pytest.raises(BadInput, match="was begun with --aa-pairs 1, not 2"):
        confirmed(path, options={"take": (other,)})
    assert not folder_of(path).exists() and instant


@pytest.mark.parametrize(
    ("arguments", "successor"),
    [
        (["--part", "3/2"], "--part: '3/2' is no part; write e.g. 1/2 and 2/2 on two cards"),
        (["--part", "1/2", "--take", "a.jsonl"], "--take launches nothing; leave --part"),
        (["--part", "1/2", "--devices", "all"], "shares the pairs out itself; leave --part out"),
        (["--cluster", "auto"], "--cluster is for run_study.py: a confirmation measures on one"),
        (["--margin", "5"], "--margin is a word of 0.1; write `limits:` in the spec"),
        (["--margin"], "--margin is a word of 0.1"),
        (["--claim", "fitness"], "--claim fitness is a claim of 0.1; write --claim either"),
        (["--claim", "turn_ttft_ms"], "write --claim latency"),
        (["--claim", "speed"], "'speed' is not known; choose capacity, latency, either"),
        (["--pairs", "9"], "invalid choice: 9"),
    ],
)
def test_the_words_of_0_1_are_refused_with_their_successors(
    tmp_path: Path, arguments: list[str], successor: str
) -> None:
    ran = run_script("confirm.py", promotion(tmp_path), *arguments, cwd=tmp_path)
    assert (ran.returncode, successor in " ".join(ran.stderr.split())) == (2, True), ran.stderr


def test_capacity_is_not_claimed_where_nothing_measures_it(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    with pytest.raises(BadInput, match="measured by a ramp, and ramp_s is 0; claim latency"):
        subject(path, claim=Claim.CAPACITY)
    assert subject(path).rule.claim is Claim.LATENCY


@pytest.mark.parametrize("ramp_s", [30.0, 74.9, -1.0, float("nan"), float("inf")])
def test_a_ramp_that_would_not_reach_twice_the_capacity_is_refused(
    tmp_path: Path, ramp_s: float
) -> None:
    with pytest.raises(BadInput, match=r"--ramp .*; write 75 to 100000, or 0 to leave"):
        subject(promotion(tmp_path), ramp_s=ramp_s)


def test_held_out_workloads_have_a_ramp_only_where_capacity_may_be_claimed(tmp_path: Path) -> None:
    path = promotion(tmp_path)

    def ramps(claim: Claim) -> list[float]:
        return [t.workload.ramp_s for t in subject(path, claim=claim, ramp_s=75).traffics]

    assert ramps(Claim.EITHER) == ramps(Claim.CAPACITY) == [75, 75]
    assert ramps(Claim.LATENCY) == [75, 0]


def test_what_is_disturbed_twice_in_a_row_ends_the_run_and_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(launcher: Launcher, *arguments: Any) -> PairLaunch:
        return PairLaunch(
            arguments[0], {n: measurement(lag_exceeded=True) for n in launcher.of.workloads}
        )

    monkeypatch.setattr(Launcher, "launch", late)
    path = promotion(tmp_path)
    with pytest.raises(
        SetupError, match=r"two in a row were disturbed .*our own requests left late"
    ):
        confirmed(path)
    pairs_journal = journal.read_journal(journal_of(path))
    assert (len(pairs_journal.pairs), len(pairs_journal.left_out)) == (0, 2)


def test_another_device_or_another_version_is_another_question(tmp_path: Path) -> None:
    path = promotion(tmp_path, device={"product": "Another card", "total_mib": 10_000})
    with pytest.raises(BadInput, match="was found on Another card with 10000 MiB, this is Shelf"):
        confirmed(path)
    path = promotion(tmp_path, versions={"llm": {"vllm": "0.11"}, "stt": {}})
    with pytest.raises(BadInput, match="other versions of the servers"):
        confirmed(path)


def test_a_promotion_that_was_edited_is_refused(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    data = yaml.safe_load(path.read_text())
    path.write_text(
        yaml.safe_dump(
            data | {"parameters": {"vllm_memory_util": 0.1, "whisper_model_size": "base"}}
        )
    )
    with pytest.raises(BadInput, match="changed after it was sealed"):
        confirmed(path)


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"status": "great"}, "no promotion of this project"),
        (
            {"parameters": {"vllm_memory_util": 0.99, "whisper_model_size": "base"}},
            "do not lie in the search space",
        ),
        (
            {"parameters": {"vllm_memory_util": "x\ny", "whisper_model_size": "base"}},
            "do not lie in the search space",
        ),
        ({"parameters": ["0.06"]}, "do not lie in the search space"),
        (
            {"parameters": {"vllm_memory_util": 0.06, "whisper_model_size": "base", "a": 1}},
            "do not lie in the search",
        ),
        ({"spec": {"file": "/no/such\nspec.yaml"}}, "name it with --spec FILE"),
        ({"name": "other"}, "it is of study 'other'"),
        (
            {"baseline": {"vllm_memory_util": 0.06, "whisper_model_size": "base"}},
            "name the right --spec",
        ),
    ],
)
def test_a_hostile_promotion_is_one_line(
    tmp_path: Path, more: dict[str, Any], refusal: str
) -> None:
    path = promotion(tmp_path, **more)
    with pytest.raises(BadInput, match=refusal) as caught:
        subject(path)
    assert str(caught.value).isprintable()


@pytest.mark.usefixtures("instant", "one_step")
def test_a_journal_that_cannot_be_read_says_where(tmp_path: Path) -> None:
    path = promotion(tmp_path)
    confirmed(path, options={"timeout_s": 1.0})
    file = journal_of(path)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, json.dumps({"stage": "ab"})]))
    with pytest.raises(
        BadInput, match=rf"{journal.JOURNAL_FILE}:3: cannot read these pairs .*--fresh"
    ):
        confirmed(path)
