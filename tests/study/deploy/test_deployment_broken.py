"""A deployment on real systemd survives a umask, a damaged record, an order no boot can keep."""

from __future__ import annotations

from rigs.production_rig import LLM, STT, Machine
from rigs.scenarios import NEW, OLD, beside
from rigs.scenarios import scenarios as scenarios  # noqa: PLC0414  a fixture

PENDING = "/etc/gpu-allocation/voice/pending.json"
DEAD_MAN = "gpu-allocation-voice-dead-man.service"
TRIAL = "zzz-gpu-allocation-2-trial.conf"


def fire(machine: Machine) -> None:
    """Do what the timer does when its time has come."""
    machine.systemctl("start", DEAD_MAN, check=False)
    machine.wait(
        20,
        lambda: (
            machine.systemctl("is-active", DEAD_MAN, check=False) not in ("active", "activating")
        ),
    )


@beside
def test_the_timer_rolls_back_whatever_the_umask_of_the_apply_was(machine: Machine) -> None:
    machine.kill_when("step: soak", apply=[machine.promotion()], umask=0)
    assert machine.running() == NEW
    fire(machine)
    assert machine.running() == OLD
    assert machine.drop_ins() == []


def damaged(machine: Machine) -> None:
    machine.kill_when("step: soak", apply=[machine.promotion()])
    machine.write(PENDING, machine.read(PENDING)[:40])
    assert machine.running() == NEW


@beside
def test_a_rollback_ends_a_trial_whose_record_was_damaged(machine: Machine) -> None:
    damaged(machine)
    code, output = machine.promote("status")
    assert code == 2 and "run `scripts/promote.py rollback`" in output, output
    code, output = machine.promote("rollback")
    assert code == 0 and "rolled back: production runs version 0" in output, output
    assert machine.running() == OLD
    assert "dead-man" not in machine.systemctl("list-timers", "--all")
    assert machine.promote("status")[0] == 0


@beside
def test_the_timer_ends_a_trial_whose_record_was_damaged(machine: Machine) -> None:
    damaged(machine)
    fire(machine)
    assert machine.running() == OLD
    assert machine.drop_ins() == []


@beside
def test_an_order_that_a_boot_could_not_keep_is_refused(machine: Machine) -> None:
    """A boot ends a cycle of After= by leaving one unit out, and says so only in its log."""
    order = f"/etc/systemd/system/{STT}.d/order.conf"
    middle = "/etc/systemd/system/middle.service"
    machine.write(middle, f"[Unit]\nAfter={LLM}\n[Service]\nExecStart=/bin/true\n")
    for first in (LLM, "middle.service"):
        machine.write(order, f"[Unit]\nAfter={first}\n")
        machine.systemctl("daemon-reload")
        for verb in ("plan", "apply"):
            code, output = machine.promote(verb, machine.promotion())
            assert (
                code == 2
                and f"{STT}: it is ordered After={LLM}" in output
                and "[llm, stt]" in output
            ), output
    machine.deployment(start_order="[llm, stt]")
    code, output = machine.promote("apply", machine.promotion())
    assert code == 0 and "committed" in output, output
    machine.systemctl("stop", LLM, STT)
    machine.systemctl("start", LLM, STT)  # one transaction, as at boot
    machine.wait(20, lambda: machine.running() == NEW)
    assert machine.promote("rollback")[0] == 0
    assert machine.running() == OLD


@beside
def test_drop_ins_and_env_files_of_the_user_are_all_read_whatever_their_names(
    machine: Machine,
) -> None:
    folder, promotion = "/etc/systemd/system", machine.promotion()
    machine.write(f"{folder}/{LLM}.d/10 my own.conf", "[Service]\nEnvironment=A=1\n")
    machine.systemctl("daemon-reload")
    code, output = machine.promote("plan", promotion)
    assert code == 0, output
    later = f"{folder}/{STT}.d/zzzz-mine.conf"
    machine.write("/etc/my own.env", "WHISPER_MODEL=base\n")
    machine.write("/etc/b.env", "B=1\n")
    sets = {
        "Environment=WHISPER_MODEL=base": f"{later}: it sets WHISPER_MODEL",
        "EnvironmentFile=/etc/my own.env\nEnvironmentFile=/etc/b.env": "/etc/my own.env: it sets",
        "EnvironmentFile=/etc/m*.env": "/etc/my own.env: it sets",
    }
    for text, refusal in sets.items():
        machine.write(later, f"[Service]\n{text}\n")
        machine.systemctl("daemon-reload")
        code, output = machine.promote("plan", promotion)
        assert code == 2 and refusal in output, output


@beside
def test_a_disk_that_becomes_read_only_in_a_trial_does_not_keep_it(machine: Machine) -> None:
    state = "/etc/gpu-allocation"
    assert machine.promote("apply", machine.promotion(), "--hold")[0] == 0
    machine.run("mount", "--bind", state, state)
    machine.run("mount", "-o", "remount,bind,ro", state)
    fire(machine)
    assert machine.running() == OLD and machine.drop_ins() == []
    code, output = machine.promote("rollback")
    assert code == 0 and "once the disk takes it" in output, output
    code, output = machine.promote("apply", machine.promotion())
    assert code != 0 and "Traceback" not in output and machine.running() == OLD, output
    machine.run("umount", state)
    code, output = machine.promote("rollback")
    assert code == 0 and "rolled back: production runs version 0" in output, output
    assert machine.promote("apply", machine.promotion())[0] == 0


@beside
def test_a_watch_that_is_stopped_in_its_own_apply_takes_it_back_at_once(machine: Machine) -> None:
    """systemd starts nothing that the unit it stops is ordered after."""
    watch = "{promotions: /etc/promotions, auto: true, hold_days: 0, every_s: 1}"
    machine.deployment(windows=200, dead_man_s="120", watch=watch)
    machine.promotion()
    code, output = machine.promote("watch", "--install")
    assert code == 0, output
    record = machine.root / PENDING.lstrip("/")
    machine.wait(60, lambda: record.exists() and "soak" in record.read_text())
    assert machine.running() == NEW
    machine.systemctl("stop", "gpu-allocation-watch")
    assert machine.running() == OLD and machine.drop_ins() == []
    assert not record.exists()
    said = machine.run("journalctl", "-u", "gpu-allocation-watch", "-o", "cat", "--no-pager")
    assert said.index('"applying"') < said.index("step: stop"), said


@beside
def test_a_deployment_that_names_other_units_cannot_end_a_trial(machine: Machine) -> None:
    """What it no longer names would stay on the values that were tried."""
    code, output = machine.promote("apply", machine.promotion(), "--hold")
    assert code == 0, output
    edited = machine.read("/etc/deployment.yaml").replace(LLM, "judge2.service")
    machine.write("/etc/systemd/system/judge2.service", machine.read(f"/etc/systemd/system/{LLM}"))
    machine.write("/etc/deployment.yaml", edited)
    for verb in ("commit", "rollback"):
        code, output = machine.promote(verb)
        assert code == 2 and "names other services, units" in output, output
    assert machine.running() == NEW
    copy = "/etc/gpu-allocation/voice/deployment-of-change.yaml"
    assert f"rollback --deployment {copy}" in output
    machine.write("/etc/deployment.yaml", machine.read(copy))
    code, output = machine.promote("rollback")
    assert code == 0 and machine.running() == OLD and machine.drop_ins() == [], output


@beside
def test_a_timer_that_is_killed_while_it_rolls_back_begins_again(machine: Machine) -> None:
    machine.kill_when("step: soak", apply=[machine.promotion()])
    machine.systemctl("start", "--no-block", DEAD_MAN)
    machine.wait(20, lambda: TRIAL not in machine.drop_ins())  # the trial is off, and still runs
    machine.systemctl("kill", "--signal=KILL", DEAD_MAN, check=False)
    machine.wait(30, lambda: not (machine.root / PENDING.lstrip("/")).exists())
    assert machine.running() == OLD
