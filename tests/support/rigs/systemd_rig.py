"""`rig()` is a real systemd for tests: PID 1 of namespaces with their own /etc, /run and /var.

The host's /usr is there read-only. `with rig() as machine` starts one in 0.4 s and takes it away at
the end, also where several tests run at once: each has a control group of its own, since two
systemds that share one end each other's units of the same name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from processes import fork_server
from processes.forked import Forked, run_code

from objectives.servers.retries import IMPATIENT_VARIABLE

REPOSITORY = Path(__file__).resolve().parents[3]
SCRIPT = REPOSITORY.parent / "shared/systemd-rig/rig.sh"
UNITS = "/etc/systemd/system"
GENERATORS = Path("/usr/lib/systemd/system-generators")
INSIDE = "from rigs import systemd_rig; systemd_rig.be_inside()"
SPEC = """
name: lend
device: cpu
search_space: {{vllm_memory_util: [0.3, 0.35], whisper_model_size: [tiny]}}
baseline: {{vllm_memory_util: 0.3, whisper_model_size: tiny}}
services:
  llm:
    command: "{server} --label {{vllm_memory_util}}"
    model: m
    start_timeout_s: 20
    vocabulary: 2048
  stt: {{command: "{server}", health_path: /health, start_timeout_s: 20}}
workload:
  window_s: 1
  words: assistant
  llm_per_s: 4
  stt_per_s: 4
  ramp_s: 0
  prompt_tokens: [8, 16]
  output_tokens: 4
gates: {{free_memory_mib: 0, wer_points: 100}}
reserve_mib: 20000
precheck: report
"""


def missing() -> str | None:
    """Say why there can be no rig here; None where there can."""
    if not SCRIPT.is_file():
        return f"{SCRIPT} is not there: ../shared does not lie beside this repository"
    if os.geteuid() != 0:
        return "a rig needs root"
    lacking = [
        c for c in ("unshare", "nsenter", "systemctl", "dbus-daemon") if shutil.which(c) is None
    ]
    return (
        f"not installed: {', '.join(lacking)} (apt-get install systemd dbus)" if lacking else None
    )


@dataclass(frozen=True, slots=True)
class Rig:
    """A rig is a running systemd; paths are those inside it, `state` is its folder outside."""

    state: Path

    def _run(self, *words: str, check: bool = True) -> str:
        env = {**os.environ, "RIG_STATE": str(self.state)}
        done = subprocess.run(
            words, env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    @property
    def pid(self) -> int:
        """Return its PID 1 as seen from outside."""
        outer = (self.state / "pid").read_text().strip()
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())

    @property
    def enter(self) -> tuple[str, ...]:
        """Return what runs a command inside: what `rig.sh exec` does, without a shell."""
        return ("nsenter", "-t", str(self.pid), "-m", "-p", "-i", "-u", "chroot", "/mnt")

    @property
    def group(self) -> Path:
        """Return its control group."""
        mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
        return next(Path(m[1]) for m in mounts if m[2] == "cgroup2") / self.state.name

    def start(self) -> None:
        """Boot it, with this checkout and the interpreter of the tests visible inside."""
        packages = (p for p in sys.path if p.endswith("site-packages"))  # maybe another prefix's
        binds = {str(REPOSITORY), sys.prefix, sys.base_prefix, *packages}
        self.group.mkdir()
        into = 'echo $$ > "$0/cgroup.procs"; exec unshare --cgroup bash "$@"'
        folders = sorted(b for b in binds if not b.startswith("/usr/"))
        self._run("sh", "-c", into, str(self.group), str(SCRIPT), "start", *folders)
        # each would run at every daemon-reload, which then takes twice as much of a core
        masked = self.root / "etc/systemd/system-generators"
        masked.mkdir(exist_ok=True)
        for generator in GENERATORS.glob("*"):
            (masked / generator.name).symlink_to("/dev/null")
        self.systemctl(
            "set-environment", f"{IMPATIENT_VARIABLE}=1"
        )  # units inherit nothing of ours

    def stop(self) -> None:
        """End it with everything in it."""
        self._run("bash", str(SCRIPT), "stop", check=False)
        wait_until(lambda: "populated 0" in (self.group / "cgroup.events").read_text())
        for folder, _, _ in os.walk(self.group, topdown=False):
            Path(folder).rmdir()

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command inside; return its standard output."""
        return self._run(*self.enter, *words, check=check)

    def systemctl(self, *words: str, check: bool = True) -> str:
        """Return what systemctl answers inside."""
        return self.run("systemctl", *words, check=check)

    def show(self, unit: str, key: str, *flags: str) -> str:
        """Return one property of a unit."""
        return self.systemctl(*flags, "show", unit, f"--property={key}", "--value")

    def begin(self, *words: str, site: str = "", **env: str) -> subprocess.Popen[str]:
        """Start Python inside with these words, as a process whose lines can be read.

        `site` is one more folder of packages.
        """
        env_inside = {
            "ALLOCATION_STUDY_LOCKS": "",
            "PYTHONPATH": f"{REPOSITORY}:{site}".strip(":"),
            "PYTHONUNBUFFERED": "1",
        }
        return subprocess.Popen(
            [*self.enter, sys.executable, *words],
            env={**os.environ, **env_inside, **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def fork(self, code: str, *arguments: object, **env: str) -> subprocess.Popen[str]:
        """Begin as `begin("-c", code, argument...)`, by a fork of this process, which has imported.

        The process inside is a child of the one that is returned, and gives it its exit code.
        """
        process: Any = Forked(  # which is typed as one of bytes
            [sys.executable, "-c", INSIDE, str(self.pid), code, *map(str, arguments)],
            env={**os.environ, "ALLOCATION_STUDY_LOCKS": "", **env},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return process  # type: ignore[no-any-return]

    @property
    def root(self) -> Path:
        """Return where its files are reached from outside."""
        return Path(f"/proc/{self.pid}/root")

    def write(self, path: str, text: str) -> None:
        """Write a file inside."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def read(self, path: str) -> str:
        """Return the text of a file inside."""
        return (self.root / path.lstrip("/")).read_text()

    def boot_again(self) -> None:
        """Start another systemd with the same /etc, as after a reboot.

        What was in /run, all processes and all timers are gone.
        """
        copy_of_etc = self.state / "etc"
        copying = ("cp", "-a", "--remove-destination")
        subprocess.run([*copying, str(self.root / "etc"), str(copy_of_etc)], check=True)
        (copy_of_etc / "machine-id").unlink()
        self.stop()
        self.start()
        subprocess.run([*copying, f"{copy_of_etc}/.", str(self.root / "etc")], check=True)
        shutil.rmtree(copy_of_etc)
        self.systemctl("daemon-reload")
        self.systemctl("start", "multi-user.target")


def be_inside() -> None:
    """Run the code of `Rig.fork` in a child of this process, and end as it does."""
    rig_pid, code, *arguments = sys.argv[1:]
    fork_server.enter(int(rig_pid))
    child = os.fork()
    if child == 0:
        os._exit(run_code(code, arguments))
    _, status = os.waitpid(child, 0)
    code_of_child = os.waitstatus_to_exitcode(status)
    sys.exit(code_of_child if code_of_child >= 0 else 128 - code_of_child)


def wait_until(what: Callable[[], object], seconds: float = 30.0) -> None:
    """Wait for something to become true; a look may cost a command, so they become seldom."""
    began = time.monotonic()
    while not what():
        waited = time.monotonic() - began
        assert waited < seconds, "it took too long"
        time.sleep(min(0.25, max(0.05, waited / 10)))


@contextmanager
def rig() -> Iterator[Rig]:
    """Yield a rig of this test's own; skip where there can be none, and fail in CI."""
    if why := missing():
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must run the tests on a real systemd: {why}", pytrace=False)
        pytest.skip(why)
    state = Path(tempfile.mkdtemp(prefix="gpu-allocation-rig-", dir="/var/tmp"))
    machine = Rig(state)
    try:
        machine.start()
        yield machine
    finally:
        machine.stop()
        shutil.rmtree(state, ignore_errors=True)
