"""Checks the rotation, with turns that only take time on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from made.dream import dream_file, entry

from study.dream.rotation.runner import Runner
from study.dream.schedule.options import RunnerOptions
from study.dream.schedule.progress import RunnerState
from study.dream.turns.log import TurnLog
from study.dream.turns.turn_job import Report, TurnEnding, TurnJob

NOON = datetime(2026, 3, 2, 12).timestamp()


class Rig:
    """It runs a runner whose turns take a second, or what the test says."""

    def __init__(self, folder: Path, *entries: dict[str, Any], **top: Any) -> None:
        self.folder, self.now = folder, NOON
        self.path = dream_file(folder, *entries, **top)
        self.set_by_s = 0.0
        self.began: list[str] = []
        self.most_at_once = 0
        self.living: list[Any] = []
        self.seconds = dict.fromkeys([e["name"] for e in entries], 1.0)
        self.report: Callable[[TurnJob], Report] = lambda _: Report(
            ending=TurnEnding.RAN, evaluated=1, best=0.1
        )
        self.at_pause: Callable[[], None] = lambda: None

    def start(self, job: TurnJob) -> Any:
        rig, ends = self, self.now + self.seconds[job.name]

        class Turn:
            seconds = rig.seconds[job.name]
            is_stopped = False

            def poll(self) -> Report | None:
                if not self.is_stopped and rig.now < ends:
                    return None
                rig.living.remove(self)
                return Report(ending=TurnEnding.INTERRUPTED) if self.is_stopped else rig.report(job)

            def stop(self, grace_s: float) -> None:
                self.is_stopped = True

            def kill(self) -> None: ...

        self.began.append(job.name)
        self.jobs = [*getattr(self, "jobs", []), job]
        self.living.append(turn := Turn())
        self.most_at_once = max(self.most_at_once, len(self.living))
        return turn

    def pause(self, seconds: float) -> None:
        self.now += max(0.25, seconds)
        self.at_pause()

    def run(self, **options: Any) -> Runner:
        chosen = RunnerOptions(
            config=self.path, logdir=self.folder / "log", **{"cycles": 1, **options}
        )
        chosen.logdir.mkdir(exist_ok=True)
        log = TurnLog(chosen.logdir / "runner.log")
        cores, clock = tuple(range(8)), lambda: self.now + self.set_by_s
        runner = Runner(chosen, log, self.start, self.pause, clock, cores, lambda: self.now)
        self.runner = runner
        runner.run()
        return runner

    def log(self) -> str:
        return (self.folder / "log/runner.log").read_text()


def three(**changes: Any) -> list[dict[str, Any]]:
    return [entry(name=name, **changes) for name in "abc"]


def test_the_least_recently_run_comes_first(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    rig.run(epochs_per_cycle=2, cycles=2)
    assert "".join(rig.began) == "abcabc" * 2
    assert [job.generation for job in rig.jobs[:6]] == [0, 0, 0, 1, 1, 1]


def test_a_runner_that_comes_after_goes_on_in_the_rotation(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three(), run={"cycle_wallclock_sec": 2})
    for _ in range(3):
        rig.run()
    assert "".join(rig.began) == "abcabc"
    assert RunnerState.read(tmp_path / "log/state.json").cycle == 3


def test_a_clock_that_is_set_back_makes_no_pause_longer(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"))
    began_s = rig.now

    def set_back() -> None:
        rig.set_by_s = -86_400.0

    rig.at_pause = set_back
    rig.run(cycles=3, sleep_s=10.0)
    assert rig.began == ["a"] * 3 and rig.now - began_s < 60.0


def test_with_little_time_nobody_has_more_than_its_share(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three(), run={"cycle_wallclock_sec": 30})
    rig.seconds["a"] = 11.0
    rig.run(epochs_per_cycle=4)
    assert rig.began.count("a") == 2 and rig.began.count("b") == rig.began.count("c") == 4
    assert rig.began[-1] == "a"


def test_max_generations_limits_a_cycle_and_disabled_ones_have_no_turn(tmp_path: Path) -> None:
    rig = Rig(
        tmp_path, entry(name="a", budget={"max_generations": 2}), entry(name="b", enabled=False)
    )
    rig.run(epochs_per_cycle=4)
    assert rig.began == ["a", "a"]


def test_one_that_is_named_runs_alone_also_where_it_is_not_enabled(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"), entry(name="b", enabled=False))
    rig.run(experiment="b")
    assert rig.began == ["b"]


def test_at_most_so_many_at_once_and_one_a_device(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    rig.run(max_parallel=2, epochs_per_cycle=2)
    assert rig.most_at_once == 2 and sorted(rig.began) == sorted("abcabc")
    gpu = Rig(tmp_path, *three(budget={"allow_gpu": True}))
    gpu.run(max_parallel=3)
    assert gpu.most_at_once == 1 and sorted(gpu.began) == ["a", "b", "c"]


def test_a_measurement_has_all_cores_unless_others_run_beside_it(tmp_path: Path) -> None:
    gpu, cpu = entry(name="a", budget={"allow_gpu": True}), entry(name="b")
    for entries, most, cores in (((gpu,), 2, ()), ((gpu, cpu), 1, ()), ((gpu, cpu), 2, range(6))):
        folder = tmp_path / f"{len(entries)}{most}"
        folder.mkdir()
        rig = Rig(folder, *entries)
        rig.run(max_parallel=most, cycles=2)
        assert {job.cores for job in rig.jobs if job.name == "a"} == {tuple(cores)}


def test_the_files_own_max_parallel_holds_unless_the_option_says_more(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three(), run={"scheduling": {"max_parallel": 3}})
    rig.run()
    assert rig.most_at_once == 3


def test_a_broken_one_is_named_and_tried_again_later_while_others_go_on(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"), entry(name="b"), entry(name="c", budget={"nonsense": 1}))

    def report(job: TurnJob) -> Report:
        if job.name == "a":
            return Report(ending=TurnEnding.FAILED, reason="no GPU is there")
        return Report(ending=TurnEnding.RAN, best=0.1, is_better=True)

    rig.report = report
    rig.run(cycles=8, sleep_s=50.0)
    assert rig.began.count("b") == 8 and rig.began.count("a") == 3
    assert rig.log().count("[a] failed: no GPU is there") == 3
    assert rig.log().count("[c] skipped: ") == 1 and "budget.nonsense: unknown key" in rig.log()


def test_the_file_is_read_anew_and_a_torn_one_leaves_the_last_in_force(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    texts = iter(["experiments: [", dream_file(tmp_path, entry(name="c")).read_text()])
    dream_file(tmp_path, *three())
    seen = []

    def at_pause() -> None:
        if rig.now > NOON + 90 * (len(seen) + 1):
            seen.append(rig.now)
            rig.path.write_text(next(texts, rig.path.read_text()))

    rig.at_pause = at_pause
    rig.run(cycles=3, sleep_s=100.0)
    assert "".join(rig.began) == "abcabcc"
    assert "the file before stays in force" in rig.log()


def test_nothing_runs_in_quiet_hours(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three(), quiet_hours=["12:01-12:30"])
    rig.seconds = dict.fromkeys("abc", 40.0)
    rig.run()
    assert "".join(rig.began) == "abcb"  # b was interrupted, and comes last
    assert rig.now >= NOON + 30 * 60
    assert "quiet hours until 12:30" in rig.log()


def test_a_reload_in_quiet_hours_has_the_file_read_anew(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"), quiet_hours=["11:00-18:00"])

    def at_pause() -> None:
        dream_file(tmp_path, entry(name="a"))
        rig.runner.is_reloading = True

    rig.at_pause = at_pause
    rig.run()
    assert rig.began == ["a"] and rig.now < NOON + 3600


def test_a_cycle_in_which_nothing_may_run_does_not_spin(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"))
    rig.report = lambda _: Report(ending=TurnEnding.FINISHED, best=0.1)
    rig.run(cycles=5)
    assert rig.began == ["a"] and rig.now >= NOON + 1 + 2 + 4
    rig.run(cycles=12)
    assert NOON + 8 * 60 > rig.now > NOON + 4 * 60, "at most a minute each"


def test_one_that_waits_for_its_device_holds_up_nobody_else(tmp_path: Path) -> None:
    gpu = {"budget": {"allow_gpu": True}}
    rig = Rig(tmp_path, entry(name="a", **gpu), entry(name="b", **gpu), entry(name="c"))
    rig.run(max_parallel=2)
    assert rig.began == ["a", "c", "b"]


def test_a_turn_has_what_the_budgets_of_experiment_and_cycle_leave(tmp_path: Path) -> None:
    budget = {"wallclock_sec": 9, "max_candidates": 3}
    limited = entry(name="b", budget={**budget, "total_sec": 5})
    rig = Rig(tmp_path, entry(name="a", budget=budget), limited, run={"cycle_wallclock_sec": 60})
    rig.seconds = {"a": 1.0, "b": 2.0}
    rig.run(epochs_per_cycle=4)
    left = {name: [j.left_s for j in rig.jobs if j.name == name] for name in "ab"}
    assert left["b"] == [5.0, 3.0, 1.0], "and then it has none"
    assert left["a"][0] == 60.0 and left["a"] == sorted(left["a"], reverse=True)
    assert "budget is used" in (tmp_path / "log/status.html").read_text()


def test_time_in_which_a_turn_stood_still_is_not_its_own(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"))
    rig.seconds = {"a": 90.0}
    rig.report = lambda _: Report(ending=TurnEnding.RAN, best=0.1, held_s=80.0)
    runner = rig.run()
    state = RunnerState.read(runner.options.state_file)
    assert state.progress["a"].seconds == 10.0
    assert "held off 80 s by measuring windows" in rig.log()


def test_a_full_disk_ends_no_runner(tmp_path: Path, monkeypatch) -> None:
    rig = Rig(tmp_path, *three())

    def full(self: RunnerState, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunnerState, "write", full)
    rig.run(cycles=2)
    assert "".join(rig.began) == "abcabc"
    assert rig.log().count("cannot be written (No space left on device)") == 1


def test_a_reload_ends_the_pause(tmp_path: Path) -> None:
    rig = Rig(tmp_path, entry(name="a"))

    def at_pause() -> None:
        rig.runner.is_reloading = rig.now > NOON + 5

    rig.at_pause = at_pause
    rig.run(cycles=2, sleep_s=10_000.0)
    assert rig.began == ["a", "a"] and rig.now > NOON + 10_000

    def step(seconds: float) -> None:
        rig.now += 1
        at_pause()

    rig.pause = step  # type: ignore[method-assign]
    before = rig.now
    rig.run(cycles=2, sleep_s=10_000.0)
    assert rig.now < before + 20


def test_a_page_shows_what_the_state_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    rig.run()
    page = (tmp_path / "log/status.html").read_text()
    assert page.count("<td>cycle 2</td>") == 3 and "experiment" in page and "<html" in page


def test_every_line_of_the_log_names_its_experiment(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    rig.run()
    lines = rig.log().splitlines()
    assert lines and all(line.split("] ")[0].split(" [")[1] in (*"abc", "runner") for line in lines)


def test_one_that_is_told_to_stop_ends_its_turns(tmp_path: Path) -> None:
    rig = Rig(tmp_path, *three())
    rig.seconds = dict.fromkeys("abc", 1e6)

    def at_pause() -> None:
        rig.runner.is_stopping = True

    rig.at_pause = at_pause
    rig.run(max_parallel=2, cycles=None)
    assert rig.began == ["a", "b"] and not rig.living
    assert rig.log().count("interrupted; it goes on where it was") == 2
