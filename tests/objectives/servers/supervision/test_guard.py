"""Nothing of a server outlives the study, whoever is killed, where the kernel lets us."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fake_servers import hiders
from rigs.systemd_rig import missing, rig

from objectives.servers.process import marked, reap_left_behind
from objectives.servers.supervision import cgroup
from objectives.servers.supervision.guard import Guard, guard_in_words, permits

REPOSITORY = Path(__file__).resolve().parents[4]
GONE_S = 10.0


@pytest.fixture
def token() -> Iterator[str]:
    token = f"hidden-{uuid.uuid4().hex}"
    yield token
    hiders.end(token)


@pytest.mark.parametrize("kind", ["CGROUP", "NAMESPACE"])
@pytest.mark.parametrize("victims", ["study", "supervisor", "both", "both, study first"])
def test_what_hides_ends_with_whoever_is_killed(
    kind: str, victims: str, tmp_path: Path, token: str
) -> None:
    if not permits(Guard[kind]):
        pytest.skip(f"this machine does not permit {Guard[kind].value}")
    with hiders.study(tmp_path, kind, token) as (study, supervisor):
        assert len(hiders.hidden(token)) >= 2, (tmp_path / "llm.log").read_text()
        [record] = tmp_path.glob("*.running.json")
        mark = json.loads(record.read_text())["mark"]
        pids = {"study": [study.pid], "supervisor": [supervisor], "both": [supervisor, study.pid]}
        for pid in pids.get(victims, [study.pid, supervisor]):
            os.kill(pid, signal.SIGKILL)
        assert hiders.are_gone(token, GONE_S), victims
        study.kill()
        until = time.monotonic() + GONE_S
        while marked(mark) and time.monotonic() < until:  # a supervisor that sees to its end
            time.sleep(0.05)
    assert reap_left_behind(tmp_path) == []
    assert not list(tmp_path.glob("*.running.json"))
    assert cgroup.of_name(mark) == []


@pytest.mark.parametrize("kind", [g.name for g in Guard if g is not Guard.SCOPE])
def test_what_hides_ends_when_the_study_ends_well(kind: str, tmp_path: Path, token: str) -> None:
    if not permits(Guard[kind]):
        pytest.skip(f"this machine does not permit {Guard[kind].value}")
    with hiders.study(tmp_path, kind, token) as (study, _):
        study.send_signal(signal.SIGINT)
        study.wait(20)
        assert hiders.are_gone(token, GONE_S)
    assert not list(tmp_path.glob("*.running.json"))


def test_the_next_run_ends_what_not_even_a_keeper_could(tmp_path: Path, token: str) -> None:
    if not permits(Guard.CGROUP):
        pytest.skip("this machine does not permit a cgroup")
    with hiders.study(tmp_path, "CGROUP", token) as (study, supervisor):
        alive = (p.info for p in psutil.process_iter(["pid", "ppid", "cmdline"]))
        own = {p["pid"]: " ".join(p["cmdline"] or ()) for p in alive if p["ppid"] == supervisor}
        [keeper] = [pid for pid, line in own.items() if "keeper.py" in line]
        for pid in (keeper, supervisor, study.pid):
            os.kill(pid, signal.SIGKILL)
        study.wait()
        assert hiders.hidden(token)
        [sentence] = reap_left_behind(tmp_path)
        assert sentence.startswith("ended a server left behind by an earlier run (process")
        assert hiders.are_gone(token, GONE_S)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_an_ordinary_user_has_a_pid_namespace_where_no_cgroup_can_be_had() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from objectives.servers.supervision.guard import guard\nprint(guard().name)"
    )
    done = subprocess.run(
        [shutil.which("python3", path="/usr/bin") or sys.executable, "-I", "-c", code],
        user=65534,
        group=65534,
        cwd="/",
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    may = subprocess.run(
        ["unshare", "--user", "--map-current-user", "--pid", "--fork", "--mount-proc", "true"],
        user=65534,
        cwd="/",
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert done.stdout.strip() == ("NONE" if may.returncode else "NAMESPACE"), done.stderr


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_a_scope_of_systemds_ends_with_study_and_supervisor(token: str) -> None:
    with rig() as machine:
        line = [hiders.STUDY, "/var/tmp", "SCOPE", sys.executable, hiders.__file__, token]
        study = machine.begin("-c", *line)
        try:
            assert study.stdout is not None
            supervisor = study.stdout.readline().strip()
            assert supervisor.isdecimal(), supervisor + study.stdout.read()
            assert len(hiders.hidden(token)) >= 2
            assert ".scope" in machine.run("cat", f"/proc/{supervisor}/cgroup")
            inner = machine.run("ps", "-o", "ppid=", "-p", supervisor)
            machine.run("kill", "-KILL", inner, supervisor, check=False)
            assert hiders.are_gone(token, GONE_S)
        finally:
            study.kill()
            assert study.stdout is not None
            study.stdout.close()


def test_the_dry_run_can_say_which_guard_is_in_force() -> None:
    sentences = {guard_in_words(kind) for kind in Guard}
    assert len(sentences) == len(Guard)
    assert all("nothing of it outlives the study" in s for s in sentences if "alone" not in s)


def test_what_a_killed_try_left_empty_is_removed_by_a_later_one() -> None:
    folder = cgroup.made(f"probe-{uuid.uuid4().hex}")
    if folder is None:
        pytest.skip("this machine does not permit a cgroup")
    assert folder not in cgroup.forgotten("probe-", 60.0)
    assert folder in cgroup.forgotten("probe-", 0.0)
    cgroup.end(folder, 1.0)
    assert not folder.exists()
