"""Whatever fails on a real systemd, production ends on the old version or on the new."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from queue import SimpleQueue
from typing import TypeVar

import pytest
from rigs.production_rig import LLM, STT, Machine, begin_forked
from rigs.scenarios import NEW, OLD, Scenarios, beside, booted
from rigs.scenarios import scenarios as scenarios  # noqa: PLC0414  a fixture
from rigs.systemd_rig import REPOSITORY, UNITS

Case = TypeVar("Case")
TRIAL = "zzz-gpu-allocation-2-trial.conf"


@pytest.fixture
def machines(request: pytest.FixtureRequest, scenarios: Scenarios) -> Iterator[list[Machine]]:
    """Return two machines, on which cases that mostly wait run at once."""
    scenarios.begin(request.node.name)
    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as pool:
            both = [*pool.map(lambda _: booted(), range(2))]
        for ends, _ in both:
            stack.enter_context(ends)
        yield [rigged for _, rigged in both]


def at_once(
    machines: list[Machine], cases: Iterable[Case], act: Callable[[Machine, Case], None]
) -> None:
    """Try each case on the machine that is free next; a failure names its case."""
    free: SimpleQueue[Machine] = SimpleQueue()
    for rigged in machines:
        free.put(rigged)

    def one(case: Case) -> None:
        rigged = free.get()
        try:
            act(rigged, case)
        except BaseException as error:
            error.add_note(f"the case: {case}")
            raise
        finally:
            free.put(rigged)

    with ThreadPoolExecutor(len(machines)) as pool:
        for _ in pool.map(one, cases):
            pass


def in_force(machine: Machine) -> int:
    return int((machine.root / "etc/gpu-allocation/voice/current").readlink().name)


def is_settled(machine: Machine, values: tuple[str, str]) -> None:
    """Check that nothing is left of a change, and production runs exactly these values."""
    assert machine.running() == values
    assert TRIAL not in machine.drop_ins()
    assert not (machine.root / "etc/gpu-allocation/voice/pending.json").exists()
    assert "dead-man" not in machine.systemctl("list-timers", "--all")
    assert machine.systemctl("is-active", LLM, STT).split() == ["active", "active"]


@beside
def test_from_running_units_to_an_applied_promotion_and_back(machine: Machine) -> None:
    promotion, before = machine.promotion(), machine.read(f"{UNITS}/{LLM}")
    code, output = machine.promote("plan", promotion)
    assert (
        code == 0 and '+Environment="WHISPER_MODEL=tiny"' in output and "0.5 -> 0.55" in output
    ), output
    assert (
        "Restart=no: vLLM exits with 0" in output
        and "would be stopped: judge.service, whisper.service" in output
    )
    assert machine.drop_ins() == [] and not (machine.root / "etc/gpu-allocation").exists()

    code, output = machine.promote("apply", promotion)
    assert code == 0 and "committed: production runs version 1" in output, output
    is_settled(machine, NEW)
    assert machine.read(f"{UNITS}/{LLM}") == before
    assert machine.promote("status")[0] == 0

    code, output = machine.promote("apply", promotion)
    assert code == 0 and "version 1 already is this promotion" in output, output
    is_settled(machine, NEW)

    code, output = machine.promote("rollback")
    assert code == 0 and "rolled back: production runs version 2" in output, output
    is_settled(machine, OLD)
    code, output = machine.promote("rollback")
    assert code == 0 and "nothing to roll back: version 2 is in force" in output, output
    is_settled(machine, OLD)

    code, output = machine.promote("rollback", "--to", "1")
    assert code == 0, output
    is_settled(machine, NEW)
    code, output = machine.promote("history")
    assert [line.split()[0] for line in output.splitlines() if "(" in line] == ["*", "2", "1", "0"]
    code, output = machine.promote("rollback", "--to", "9")
    assert code == 2 and "no version 9" in output, output
    is_settled(machine, NEW)


def test_a_trial_that_misbehaves_is_rolled_back(machines: list[Machine]) -> None:
    def misbehaves(machine: Machine, case: tuple[str, str]) -> None:
        mood, why = case
        machine.moods(mood)
        code, output = machine.promote("apply", machine.promotion())
        assert (
            code == 5
            and why in output
            and "rolled back to version 0" in output
            and "its probes pass" in output
        ), output
        is_settled(machine, OLD)
        assert in_force(machine) == 0

    moods = (
        ("0.55 never-ready", "was not ready within"),
        ("tiny wrong", "its transcription failed: HTTP 500"),
        ("0.55 slow", "p95"),
        ("0.55 oom", "torch.OutOfMemoryError"),
        ("tiny dies", "died"),
        ("0.55 small-cache", "50.0 % off"),
    )
    at_once(machines, moods, misbehaves)


@beside
def test_a_unit_that_will_not_stop_is_killed_and_the_change_or_its_end_goes_on(
    machine: Machine,
) -> None:
    machine.moods("0.55 stuck", "tiny slow")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 5 and "judge.service would not stop, and was killed" in output, output
    is_settled(machine, OLD)

    machine.moods("0.5 stuck")
    machine.systemctl("restart", LLM)
    machine.wait(
        5, lambda: "stuck" in machine.read("/etc/moods") and machine.promote("status")[0] == 0
    )
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "judge.service would not stop, and was killed" in output, output
    is_settled(machine, NEW)


def test_a_killed_apply_is_ended_by_one_command(machines: list[Machine]) -> None:
    def killed(machine: Machine, step: str) -> None:
        machine.kill_when(f"step: {step}", apply=[machine.promotion()])
        code, output = machine.promote("rollback")
        assert code == 0, output
        values = OLD if in_force(machine) == 0 else NEW
        assert values == OLD or step == "commit"
        is_settled(machine, values)

    steps = ("write", "stop", "start whisper", "start judge", "gates", "soak", "commit")
    at_once(machines, steps, killed)


@beside
def test_the_timer_ends_what_a_killed_apply_left_and_the_next_apply_works(machine: Machine) -> None:
    machine.deployment(dead_man_s="18")
    machine.kill_when("soak window 1", apply=[machine.promotion()])
    assert machine.running() == NEW
    output = machine.promote("status")[1]
    assert "died in step: soak" in output and "the timer rolls it back in" in output, output
    machine.wait(40, lambda: not (machine.root / "etc/gpu-allocation/voice/pending.json").exists())
    is_settled(machine, OLD)
    assert "the dead-man timer fired" in machine.promote("history")[1]
    machine.kill_when("step: start judge", apply=[machine.promotion()])
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "an earlier apply did not end (step: start judge.service)" in output, (
        output
    )
    is_settled(machine, NEW)


@beside
def test_a_held_trial_is_committed_by_hand_or_undone_by_the_timer(machine: Machine) -> None:
    code, output = machine.promote("apply", machine.promotion(), "--hold")
    assert code == 0 and "version 1 is on trial until" in output, output
    assert machine.running() == NEW and TRIAL in machine.drop_ins() and in_force(machine) == 0
    code, output = machine.promote("apply", machine.promotion())
    assert code == 2 and "version 1 is on trial" in output, output
    assert machine.promote("commit")[0] == 0
    is_settled(machine, NEW)
    assert machine.promote("commit")[0] == 2

    code, output = machine.promote("apply", machine.promotion("q", share=0.6, metrics={}), "--hold")
    assert code == 0 and machine.running() == ("0.6", "tiny"), output
    # as its timer does, a minute later
    machine.systemctl("start", "gpu-allocation-voice-dead-man.service")
    machine.wait(30, lambda: not (machine.root / "etc/gpu-allocation/voice/pending.json").exists())
    is_settled(machine, NEW)


@beside
def test_a_rollback_ends_an_apply_that_is_at_work_and_a_second_apply_is_refused(
    machine: Machine,
) -> None:
    machine.deployment(windows=60, dead_man_s="99")
    first = machine.begin_promote("apply", machine.promotion())
    for line in first.stdout:
        if "soak window 1" in line:
            break
    code, output = machine.promote("apply", machine.promotion("q", share=0.6))
    assert code == 2 and "another promote.py is at work" in output, output
    code, output = machine.promote("rollback")
    assert code == 0 and "production runs version 0" in output, output
    assert "rolled back to version 0" in first.communicate(timeout=30)[0] and first.returncode == 5
    is_settled(machine, OLD)


@beside
def test_a_reboot_undoes_a_trial_and_keeps_a_commit_and_starts_in_the_tuned_order(
    machine: Machine,
) -> None:
    assert machine.promote("apply", machine.promotion(), "--hold")[0] == 0
    machine.boot_again()
    machine.wait(10, lambda: machine.running() == OLD)
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "an earlier apply did not end (step: on trial)" in output, output
    is_settled(machine, NEW)

    speech = machine.read(f"{UNITS}/{STT}").replace(" stt ", " stt --start-s 1.5 ")
    machine.write(f"{UNITS}/{STT}", speech)
    machine.boot_again()
    machine.wait(10, lambda: machine.running() == NEW)
    comes_after_the_other(machine)
    machine.systemctl("stop", LLM, STT)
    machine.systemctl("start", LLM, STT)
    comes_after_the_other(machine)


def comes_after_the_other(machine: Machine) -> None:
    """Check that the LLM server began only when speech, which takes 1.5 s, was ready."""
    began = {}
    for unit in (LLM, STT):
        machine.wait(10, lambda u=unit: machine.systemctl("is-active", u, check=False) == "active")
        stamp = machine.systemctl(
            "show", unit, "--property=ExecMainStartTimestampMonotonic", "--value"
        )
        began[unit] = int(stamp) / 1e6
    assert began[LLM] > began[STT] + 1.5


@beside
def test_a_full_disk_ends_on_the_old_version(machine: Machine) -> None:
    machine.run("mkdir", "-p", "/etc/gpu-allocation")
    machine.run("mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", "/etc/gpu-allocation")
    machine.run("sh", "-c", "head -c 15000 /dev/zero > /etc/gpu-allocation/junk; true")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 3 and "nothing was changed" in output, output
    assert machine.running() == OLD and machine.drop_ins() == []
    machine.run("umount", "/etc/gpu-allocation")

    folder = f"/run/systemd/system/{LLM}.d"
    machine.run("mkdir", "-p", folder)
    machine.run("mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=1", "tmpfs", folder)
    code, output = machine.promote("apply", machine.promotion())
    assert (
        code == 5 and "No space left on device" in output and "rolled back to version 0" in output
    ), output
    is_settled(machine, OLD)
    machine.run("umount", folder)

    folder = f"/etc/systemd/system/{LLM}.d"
    machine.run("mkdir", "-p", folder)
    machine.run("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", folder)
    code, output = machine.promote("apply", machine.promotion())
    assert code == 5 and "step: commit" in output and "No space left" in output, output
    is_settled(machine, OLD)
    machine.run("umount", folder)


@beside
def test_an_apply_whose_terminal_has_gone_ends_well(machine: Machine) -> None:
    process = machine.begin_promote("apply", machine.promotion())
    assert process.stdout.readline()
    process.stdout.close()
    process.wait(60)
    is_settled(machine, NEW)


@beside
def test_when_not_even_the_old_version_answers_it_says_what_to_do(machine: Machine) -> None:
    machine.moods("0.55 wrong")
    process = machine.begin_promote("apply", machine.promotion())
    output = ""
    for line in process.stdout:
        output += line
        if "step: start judge" in line:
            machine.moods("0.55 wrong", "0.5 never-ready")
    process.communicate(timeout=60)
    assert process.returncode == 6
    assert (
        "production is down" in output and "Do this:" in output and "rolled back to" not in output
    ), output
    assert machine.promote("status")[0] == 6
    machine.moods("0.55 wrong")
    code, output = machine.promote("rollback")
    assert code == 0, output
    is_settled(machine, OLD)


@beside
def test_a_version_that_no_longer_works_leaves_production_where_it_was(machine: Machine) -> None:
    assert machine.promote("apply", machine.promotion())[0] == 0
    machine.moods("0.5 never-ready")
    code, output = machine.promote("rollback")
    assert code == 5 and "version 0 does not work here any more" in output, output
    is_settled(machine, NEW)
    assert in_force(machine) == 1


@beside
def test_a_unit_that_is_not_there_masked_or_off_is_refused(machine: Machine) -> None:
    machine.systemctl("stop", LLM)
    code, output = machine.promote("apply", machine.promotion())
    assert code == 2 and "judge.service: it is inactive" in output, output
    machine.systemctl("stop", STT)
    machine.run("ln", "-sf", "/dev/null", f"{UNITS}/{STT}")
    machine.systemctl("daemon-reload")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 2 and "whisper.service: its state is 'masked'" in output, output
    machine.write(
        "/etc/deployment.yaml", machine.read("/etc/deployment.yaml").replace(STT, "wisper.service")
    )
    code, output = machine.promote("apply", machine.promotion())
    assert code == 2 and "wisper.service: there is no such unit" in output, output
    assert not (machine.root / "etc/gpu-allocation/voice/versions").exists()


@beside
def test_a_unit_that_changed_underneath_is_told_and_the_next_version_is_made_from_it(
    machine: Machine,
) -> None:
    machine.units(Restart="always")
    machine.systemctl("daemon-reload")
    assert machine.promote("apply", machine.promotion())[0] == 0
    machine.units(Restart="always", RestartSec="7")
    unit = machine.read(f"{UNITS}/{LLM}").replace("  --gpu", "  --start-s 0.1 --gpu")
    machine.write(f"{UNITS}/{LLM}", unit)
    machine.systemctl("daemon-reload")
    code, output = machine.promote("status")
    assert (
        code == 0
        and "judge.service changed since version 1 was made from it, which hides that change"
        in output
    ), output
    assert "Restart=" not in output
    code, output = machine.promote("apply", machine.promotion("q", share=0.6, metrics={}))
    assert code == 0, output
    is_settled(machine, ("0.6", "tiny"))
    assert "--start-s 0.1" in machine.run(
        "cat", f"/etc/systemd/system/{LLM}.d/zzz-gpu-allocation-1-committed.conf"
    )


HOSTILE = [
    "0.5\nExecStartPre=/bin/touch /pwned",
    "$(touch /pwned) ; %n",
    "\uff10.\uff15",
    10**400,
    {"a": 1},
]


@beside
def test_a_hostile_promotion_never_reaches_a_unit(machine: Machine) -> None:
    for n, value in enumerate(HOSTILE):
        code, output = machine.promote("apply", machine.promotion(f"h{n}", share=value))
        assert code == 2 and output.startswith("error: ") and output.count("\n") == 1, (
            value,
            output,
        )
    for n, value in enumerate(("../../etc/shadow", "tiny\nUser=root")):
        code, output = machine.promote("apply", machine.promotion(f"s{n}", size=value))
        assert code == 2 and output.startswith("error: "), (value, output)
    bomb = "a: &a [x,x]\nb: &b [*a,*a]\nparameters: {vllm_memory_util: *b}\n"
    machine.write("/etc/promotions/bomb.yaml", bomb)
    assert machine.promote("apply", "/etc/promotions/bomb.yaml")[0] == 2
    machine.run("ln", "-s", machine.promotion(), "/etc/promotions/link.yaml")
    assert machine.promote("apply", "/etc/promotions/link.yaml")[0] == 2
    assert machine.drop_ins() == [] and not (machine.root / "etc/gpu-allocation").exists()
    assert not (machine.root / "pwned").exists() and machine.running() == OLD


def of_the_guide() -> list[str]:
    """Return the commands of the guide, in their order."""
    text = (REPOSITORY / "study/guides/deployment.md").read_text()
    return [
        line.strip()
        for line in text.splitlines()
        if line.startswith("    ") and "scripts/confirm.py" not in line
    ]


@beside
def test_the_commands_of_the_guide_lead_to_production_and_back(machine: Machine) -> None:
    folder = "/root/study"
    machine.run("mkdir", "-p", f"{folder}/artifacts")
    machine.run(
        "ln", "-s", *(f"{REPOSITORY}/{name}" for name in ("scripts", "study", "objectives")), folder
    )
    machine.run("ln", "-s", "/etc/promotions", f"{folder}/artifacts/promotions")
    machine.promotion("voice")
    commands = of_the_guide()
    assert len(commands) == 13
    for command in commands:
        program, *words = command.removeprefix("sudo ").split("#")[0].split()
        if program == "cp":
            machine.run("sh", "-c", f"cd {folder} && {command}")
            # and what the guide says of it: edit units, addresses and bounds
            machine.run("cp", "/etc/deployment.yaml", f"{folder}/deployment.yaml")
            continue
        assert program == "python"
        if " plan " in command:  # one by an interpreter of its own, as its user does
            line = f"cd {folder} && {sys.executable} -B {' '.join(words)}"
            machine.run("env", f"PYTHONPATH={REPOSITORY}", "sh", "-c", line)
            continue
        process = begin_forked(machine, *words, folder=folder)
        output, _ = process.communicate(timeout=90)
        assert process.returncode == 0, output
        if " apply " in command:
            assert machine.running() == NEW
        if command.endswith(" rollback"):
            is_settled(machine, OLD)
    is_settled(machine, NEW)
    assert machine.systemctl("is-enabled", "gpu-allocation-watch.service") == "enabled"
    machine.wait(
        30,
        lambda: '"started"' in machine.run("journalctl", "-u", "gpu-allocation-watch", "-o", "cat"),
    )


@beside
def test_what_stops_with_a_unit_runs_again_after_it(machine: Machine) -> None:
    machine.write(
        f"{UNITS}/front.service",
        f"[Unit]\nRequires={LLM}\nAfter={LLM}\n[Service]\nExecStart=/bin/sleep 1000\n",
    )
    machine.systemctl("daemon-reload")
    machine.systemctl("start", "front.service")
    machine.moods("0.55 wrong")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 5 and "front.service stops together with them" in output, output
    machine.wait(
        5, lambda: machine.systemctl("is-active", "front.service", check=False) == "active"
    )


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


@beside
def test_the_watch_says_what_is_due_and_applies_only_where_it_may(machine: Machine) -> None:
    promotion = machine.promotion()
    machine.promotion("older", share=0.6, written_at="2020-01-01T00:00:00+00:00")
    machine.deployment(watch="{promotions: promotions, auto: false, every_s: 0.5}", dead_man_s="60")
    code, output = machine.promote("watch", "--once")
    events = {str(e["event"]): e for e in lines(output)}
    assert code == 0 and events["review_due"]["promotion"] == "p.yaml", output
    assert (
        "days old" in str(events["refused"]["why"])
        and events["refused"]["promotion"] == "older.yaml"
    )

    machine.deployment(watch="{promotions: promotions, auto: true, every_s: 0.5}", dead_man_s="60")
    code, output = machine.promote("watch", "--once")
    assert "holding" in output and machine.running() == OLD, output

    machine.deployment(
        watch="{promotions: promotions, auto: true, hold_days: 0, every_s: 0.5}", dead_man_s="60"
    )
    assert machine.promote("watch", "--install")[0] == 0
    machine.wait(
        120,
        lambda: '"applied"' in machine.run("journalctl", "-u", "gpu-allocation-watch", "-o", "cat"),
    )
    is_settled(machine, NEW)
    machine.systemctl("stop", "gpu-allocation-watch.service")

    machine.moods("0.6 wrong")
    machine.promotion("worse", share=0.6, metrics={})
    output = machine.promote("watch", "--once")[1]
    assert '"rolled_back"' in output and machine.running() == NEW, output
    assert '"applying"' not in machine.promote("watch", "--once")[1]
    machine.systemctl("stop", LLM)
    assert "not_as_applied" in machine.promote("watch", "--once")[1]
    assert promotion


@beside
def test_an_env_file_with_a_restart_command_goes_the_same_way(machine: Machine) -> None:
    for unit, line in ((LLM, "--gpu-memory-utilization ${SHARE}"), (STT, None)):
        text = machine.read(f"{UNITS}/{unit}").replace("Environment=WHISPER_MODEL=base\n", "")
        text = text.replace("[Install]", "EnvironmentFile=/etc/voice.env\n[Install]")
        text = f"[Unit]\nStartLimitIntervalSec=0\n{text}"  # five restarts in ten seconds are few
        machine.write(
            f"{UNITS}/{unit}", text.replace("--gpu-memory-utilization 0.5", line) if line else text
        )
    machine.write("/etc/voice.env", "# ours\nSHARE=0.5\nWHISPER_MODEL=base\nKEY=kept\n")
    machine.systemctl("daemon-reload")
    machine.systemctl("restart", LLM, STT)
    text = machine.read("/etc/deployment.yaml").replace(
        "flag: --gpu-memory-utilization", "variable: SHARE"
    )
    text = text.replace(f"    unit: {LLM}\n", "").replace(f"    unit: {STT}\n", "")
    command = f"[systemctl, restart, {STT}, {LLM}]"
    machine.write(
        "/etc/deployment.yaml", text + f"env_file: {{path: /etc/voice.env, restart: {command}}}\n"
    )

    machine.moods("0.55 wrong")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 5 and "rolled back to version 0" in output, output
    assert (
        machine.running() == OLD and machine.read("/etc/voice.env").splitlines()[1] == "SHARE=0.5"
    )

    machine.moods("")
    machine.kill_when("step: soak", apply=[machine.promotion()])
    code, output = machine.promote("rollback")
    assert code == 0 and machine.running() == OLD, output

    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "that gate does not run" in output, output
    assert machine.running() == NEW
    assert machine.read("/etc/voice.env") == "# ours\nSHARE=0.55\nWHISPER_MODEL=tiny\nKEY=kept\n"
    assert machine.promote("rollback")[0] == 0
    assert machine.running() == OLD
