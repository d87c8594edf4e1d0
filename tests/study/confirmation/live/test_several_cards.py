"""These tests measure pairs on two cards at once: lanes are real processes, figures made up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_cards.cards_here import with_cards
from fake_cards.fake_lane import FOUR, PROGRAM, TOTAL_MIB, NumberedCard
from made.factories import cell
from made.live_confirmations import confirmed, folder_of, instantly, journal_of
from made.live_factories import FAKES, promotion, shelf
from processes.commands import run_script

from objectives.allocation import Allocation
from objectives.errors import SetupError
from objectives.measurement import Measurement
from study.bench import bench
from study.bench.bench import Bench
from study.confirmation.journal import read_journal
from study.confirmation.live import measured as measuring
from study.confirmation.live import several_cards
from study.confirmation.pairs.arrivals import STEP
from study.confirmation.pairs.launcher import Launcher
from study.confirmation.pairs.runner import Runner
from study.confirmation.records import PairLaunch, PairsJournal
from study.confirmation.subject import subject
from study.lanes import measuring as lanes_measuring
from study.lanes.cards import named
from study.lanes.lanes import Lanes
from study.lanes.losses import Patience
from study.lanes.process.lane_process import Here
from study.promotion.seal import verify
from study.rule.pairs import Role

pytestmark = pytest.mark.usefixtures("forked")
CARDS = "GPU-a,GPU-b"
JOBS = 4  # of a pair: two launches under two workloads
STEADY = 0.2  # seconds of a job, so that no lane measures all before the other has started


@pytest.fixture(autouse=True)
def _cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def first(_: object, spec: Any) -> Bench:
        return replace(
            shelf(tmp_path / "fakes.yaml"), devices=bench.opened(spec.device, spec.devices)
        )

    monkeypatch.setattr(measuring, "bench", first)
    monkeypatch.setattr(bench, "open_device", lambda name, **_: NumberedCard(name))
    monkeypatch.setattr(named, "every_gpu", lambda: [*FOUR])
    monkeypatch.setattr(lanes_measuring, "Here", partial(Here, PROGRAM))
    monkeypatch.setattr(several_cards, "Patience", partial(Patience, memory_s=1.0, end_s=10.0))
    instantly(monkeypatch)  # the stress; the launches are the lanes'


def candidate(folder: Path, moods: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Write a candidate whose winner has the larger share, and the moods of the lanes."""
    path = promotion(
        folder,
        {"device": "cuda", "baseline": FAKES["baseline"] | {"vllm_memory_util": 0.06}} | changes,
        parameters={"vllm_memory_util": 0.1, "whisper_model_size": "base"},
        baseline={"vllm_memory_util": 0.06, "whisper_model_size": "base"},
        device={"product": "Made-up card", "total_mib": round(TOTAL_MIB)},
    )
    folder_of(path).mkdir(parents=True)
    (folder_of(path) / "moods.json").write_text(json.dumps(moods or {}))
    return path


def together(*cards: str) -> dict[str, list[Any]]:
    """Return moods of two cards, each of which begins a pair when the other has begun one."""
    of = {cards[0]: cards[1], cards[1]: cards[0]}
    # the first job of all is measured alone
    return {o: [0.0, [other, 1], 0.0, 0.0, [other, JOBS + 1], 0.0] for o, other in of.items()}


def slower_than_b(jobs: int) -> list[Any]:
    """Return moods of a card whose second pair goes on after so many jobs of GPU-b."""
    return [["GPU-b", 1], *[0.0] * (JOBS - 1), ["GPU-b", jobs], STEADY]


def on_two(path: Path, **more: Any) -> tuple[int, list[str]]:
    return confirmed(path, options={"devices": CARDS, **more})


def begun(path: Path, card: str) -> list[tuple[str, str]]:
    """Return the share and the traffic of each job that a card began, in order."""
    log = (folder_of(path) / "lanes" / card / "orders.log").read_text()
    return re.findall(r"begun vllm_memory_util=([\d.]+) .* under=\((\d+), ", log)


def check_whole(journal: PairsJournal) -> None:
    """Check that pairs are what one card would have measured: order and seeds by number."""
    for stage, first_seed in (("aa", 1_000_000), ("ab", 2_000_000)):
        pairs = journal.of(stage)  # type: ignore[arg-type]
        assert [p.number for p in pairs] == [*range(1, len(pairs) + 1)]
        assert [p.launches[0].role for p in pairs] == [
            ("baseline", "winner")[n % 2] for n in range(len(pairs))
        ]
        assert [(p.seed or 0) - first_seed for p in pairs] == [
            pairs[0].seed - first_seed + 2_000_000 * n  # type: ignore[operator]
            for n in range(len(pairs))
        ]


def check_ranges(path: Path, journal: PairsJournal) -> None:
    """Check that the first launch found the range of ramps alone, and all others had it."""
    logs = [(folder_of(path) / "lanes" / c / "orders.log").read_text() for c in CARDS.split(",")]
    jobs = re.findall(r"under=\((\d+), (None|RampRange\([^)]*\))\)", "".join(logs))
    main = subject(path).spec.workload.seed  # the held-out workload has no ramp
    of_main = [ramp for seed, ramp in jobs if int(seed) % STEP == main]
    assert len(of_main) == 2 * len(journal.pairs) and of_main.count("None") == 1
    assert {*of_main} == {"None", str(journal.ramp_ranges["main"])}


def figures(path: Path) -> dict[str, Any]:
    """Return what a confirmation says, without when and where it was measured."""
    confirmation = verify(path)["confirmation"]
    where = ("cards", "written_at", "first_pair_at", "last_pair_at", "launches")
    return {k: v for k, v in confirmation.items() if k not in where}


def test_two_cards_come_to_the_verdict_of_one_with_the_same_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moods = together(*CARDS.split(","))
    workload = FAKES["workload"] | {"ramp_s": 75, "turns_per_s": 4}
    path = candidate(tmp_path, moods, workload=workload, claim="latency")
    code, lines = on_two(path)
    assert code == 0, lines
    journal = read_journal(journal_of(path))
    check_whole(journal)
    assert (len(journal.of("aa")), len(journal.of("ab"))) == (2, 6)
    assert {p.card for p in journal.of("ab")} == {"GPU-a", "GPU-b"}
    for card in ("GPU-a", "GPU-b"):  # each of its pairs is whole there, with equal arrivals
        jobs = begun(path, card)
        own = sum(p.card == card for p in journal.pairs)
        assert len(jobs) == JOBS * own
        for n in range(own):
            seeds = [seed for _, seed in jobs[JOBS * n : JOBS * (n + 1)]]
            assert seeds[:2] == seeds[2:] and len(set(seeds)) == 2
    assert lines[-1].startswith("confirmed by 6 pairs of fresh launches on 2 cards")
    words = r"AB pair 2 of 12 at most: winner then baseline, on GPU-[ab]"
    assert any(re.fullmatch(words, line) for line in lines)
    check_ranges(path, journal)
    of_two = figures(path)

    def launch(launcher: Launcher, role: Role, allocation: Allocation, *_: object) -> PairLaunch:
        m = cell(allocation.share, "base")
        assert isinstance(m, Measurement)
        return PairLaunch(role, dict.fromkeys(launcher.of.workloads, m.without_samples()))

    monkeypatch.setattr(Launcher, "launch", launch)
    assert confirmed(path, options={"devices": "GPU-a", "fresh": True})[0] == 0
    assert figures(path) == of_two | {"begun_anew": 1}


def test_pairs_are_whole_on_sets_of_cards(tmp_path: Path) -> None:
    sets = ("GPU-a GPU-b", "GPU-c GPU-d")
    services = {name: own | {"place": "gpu0"} for name, own in FAKES["services"].items()}
    moods = together(*sets)
    path = candidate(tmp_path, moods, services=services, claim="latency")
    spec = tmp_path / "fakes.yaml"
    devices = "devices: {gpu0: GPU-a, gpu1: GPU-b}"
    spec.write_text(spec.read_text().replace("device: cuda", devices))
    code, lines = confirmed(path, options={"devices": ",".join(FOUR)})
    assert code == 0, lines
    journal = read_journal(journal_of(path))
    check_whole(journal)
    assert {p.card for p in journal.of("ab")} == {*sets}
    assert lines[-1].startswith("confirmed by 6 pairs of fresh launches on 2 sets of cards")
    confirmation = verify(path)["confirmation"]
    assert sorted(confirmation["cards"]) == ["GPU-a", "GPU-c"]  # the LLM's, which a rollout has


def test_the_pair_of_a_killed_lane_is_begun_anew_on_the_other_card(tmp_path: Path) -> None:
    moods = ["well"] * (JOBS + 2) + ["is killed", "well"]  # in its second pair's second launch
    path = candidate(tmp_path, {"GPU-b": moods, "GPU-a": slower_than_b(JOBS + 3)})
    code, lines = on_two(path)
    assert code == 0, lines
    journal = read_journal(journal_of(path))
    check_whole(journal)
    assert len(journal.of("ab")) == 6
    [anew] = [line for line in lines if line.endswith("is begun anew")]
    stage, _, number = anew.lower().split()[:3]
    [left_out] = journal.left_out
    assert left_out == f"{stage} {number}: GPU-b: its process ended by signal SIGKILL"
    [pair] = [p for p in journal.pairs if (p.stage, p.number) == (stage, int(number))]
    assert pair.card == "GPU-a"
    assert any(
        "the lane on GPU-b was lost: its process ended by signal SIGKILL" in s for s in lines
    )
    done = JOBS * sum(p.card == "GPU-b" for p in journal.pairs)
    assert len(begun(path, "GPU-b")) == done + 3  # of the lost pair, three jobs


def test_a_pair_that_both_cards_lost_comes_back_to_the_first(tmp_path: Path) -> None:
    path = candidate(tmp_path, {card: ["is killed", "well"] for card in CARDS.split(",")})
    code, lines = confirmed(path, options={"devices": CARDS}, aa_pairs=1)
    assert code == 0, lines
    journal = read_journal(journal_of(path))
    check_whole(journal)
    assert [text[:4] for text in journal.left_out] == ["aa 1", "aa 1"]
    assert len({text[6:11] for text in journal.left_out}) == 2


def test_pairs_that_are_disturbed_on_two_cards_at_once_are_measured_again(tmp_path: Path) -> None:
    late = [*["well"] * JOBS, "is late", "well"]
    moods = {"GPU-a": [["GPU-b", 1], *late[1:]], "GPU-b": [["GPU-a", 1], *late[1:]]}
    path = candidate(tmp_path, moods)
    code, lines = on_two(path)
    assert code == 0, lines
    journal = read_journal(journal_of(path))
    check_whole(journal)
    assert [text[6:] for text in journal.left_out] == ["our own requests left late under main"] * 2


def test_a_card_on_which_all_is_disturbed_ends_the_run_once_the_others_have_ended_their_pairs(
    tmp_path: Path,
) -> None:
    path = candidate(tmp_path, {"GPU-a": ["is late"], "GPU-b": [["GPU-a", 2 * JOBS], STEADY]})
    with pytest.raises(SetupError, match="two in a row were disturbed"):
        on_two(path)
    assert [p.card for p in read_journal(journal_of(path)).pairs] == ["GPU-b"]


def test_a_card_that_is_used_no_more_has_neither_pairs_nor_the_stress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = candidate(tmp_path, {"GPU-a": ["is killed"]})
    monkeypatch.setattr(several_cards, "Patience", partial(several_cards.Patience, most_lost=1))
    stressed, stress = list[str](), Runner._stress

    def noted(runner: Runner, *arguments: Any) -> bool:
        stressed.append(runner.bench.identity.uuid)
        return stress(runner, *arguments)

    monkeypatch.setattr(Runner, "_stress", noted)
    code, lines = on_two(path)
    assert code == 0, lines
    assert stressed == ["GPU-b"]
    assert {p.card for p in read_journal(journal_of(path)).pairs} == {"GPU-b"}
    assert len(begun(path, "GPU-a")) == 1


def test_without_a_lane_whole_pairs_are_kept_and_one_card_goes_on(tmp_path: Path) -> None:
    path = candidate(tmp_path, {card: [0.1] * JOBS + ["is killed"] for card in CARDS.split(",")})
    with pytest.raises(SetupError, match=r"no lane is left|lost its lane 3 times"):
        on_two(path)
    journal = read_journal(journal_of(path))
    assert (len(journal.of("aa")), len(journal.of("ab"))) == (2, 0)
    (folder_of(path) / "moods.json").write_text("{}")
    assert on_two(path)[0] == 0
    check_whole(read_journal(journal_of(path)))


def test_a_launch_that_fails_in_a_lane_ends_the_confirmation(tmp_path: Path) -> None:
    moods = ["well"] * JOBS + ["needs a lot"]
    path = candidate(tmp_path, {"GPU-b": moods, "GPU-a": slower_than_b(JOBS + 1)})
    code, _ = on_two(path)
    failure = read_journal(journal_of(path)).failure
    assert failure is not None
    assert code == (4 if failure.role == "winner" else 5)
    assert f"the {failure.role} failed under main: oom_budget" in " ".join(
        verify(path)["confirmation"]["reasons"]
    )


def test_time_that_is_over_lets_what_is_measured_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "study.confirmation.pairs.runner.expected_step_s"
    monkeypatch.setattr(name, lambda *_: 1e9)
    path = candidate(tmp_path)
    code, lines = on_two(path, timeout_s=1.0)
    assert (code, len(read_journal(journal_of(path)).pairs)) == (5, 1)
    assert any("run the same command again" in line for line in lines)


def test_a_card_for_which_the_time_is_too_short_leaves_it_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needed_s(_step: object, _journal: object, _of: object, card: str, _: object) -> float:
        return 1e9 if card == "GPU-a" else 0.0

    monkeypatch.setattr("study.confirmation.pairs.runner.expected_step_s", needed_s)
    path = candidate(tmp_path)
    code, lines = on_two(path, timeout_s=1e6)
    journal = read_journal(journal_of(path))
    assert (code, {p.card for p in journal.pairs[1:]}) == (5, {"GPU-b"}), lines
    assert (len(journal.pairs), journal.stress) == (2, None), "the stress is the first card's"


def test_ctrl_c_ends_the_lanes_and_keeps_whole_pairs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, wait = candidate(tmp_path), Lanes.wait

    def stopped(lanes: Lanes) -> Any:
        ends = wait(lanes)
        if read_journal(journal_of(path)).of("ab"):
            raise KeyboardInterrupt
        return ends

    monkeypatch.setattr(Lanes, "wait", stopped)
    with pytest.raises(KeyboardInterrupt):
        on_two(path)
    kept = len(read_journal(journal_of(path)).of("ab"))
    monkeypatch.setattr(Lanes, "wait", wait)
    code, lines = on_two(path)
    goes_on = f"going on after 2 A/A and {kept} pairs"
    assert code == 0 and any(line.startswith(goes_on) for line in lines)
    check_whole(read_journal(journal_of(path)))


def test_a_lane_measures_a_pair_on_real_servers_under_each_workload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # its lanes are interpreters, those of all other tests forks
    with_cards(monkeypatch)
    path = candidate(tmp_path)
    options = ("--devices", "all", "--aa-pairs", "1", "--timeout", "1", "--out", tmp_path / "out")
    ran = run_script("confirm.py", path, *options, cwd=tmp_path)
    assert ran.returncode == 5, ran.stderr
    [pair] = read_journal(journal_of(path)).pairs
    for launch in pair.launches:
        main, held_out = (launch.measured[w] for w in ("main", "voice_assistant"))
        assert (main.figure("llm_offered"), held_out.figure("llm_offered")) == (6, 6)
        assert (main.figure("llm_start_s") or 0) > 0 == held_out.figure("llm_start_s")
        assert main.words
