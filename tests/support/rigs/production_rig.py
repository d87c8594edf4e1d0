"""`production()` is a rig with two units of production, their deployment file and promotions."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from fake_servers.fake_http import free_port
from processes import fork_server
from processes.fork_server import ForkedScript
from rigs.systemd_rig import REPOSITORY, UNITS, Rig, rig, wait_until

from study.promotion.seal import put

PROMOTE = str(REPOSITORY / "scripts/promote.py")
LLM, STT = "judge.service", "whisper.service"


@cache
def forking() -> str:
    """Return the socket of this process's fork server, which ends with it."""
    folder = Path(tempfile.mkdtemp(prefix="gpu-allocation-fork-"))
    path, script = str(folder / "socket"), str(Path(fork_server.__file__))
    server = subprocess.Popen(
        [sys.executable, script, path],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert server.stdin is not None and server.stdout is not None
    assert server.stdout.readline() == b"ready\n"

    def end() -> None:
        server.communicate()
        shutil.rmtree(folder)

    atexit.register(end)
    return path


def begin_forked(machine: Rig, *line: str, folder: str = "/", umask: int = 0o022) -> ForkedScript:
    """Begin a script inside a rig, by the fork server.

    Args:
        folder: Where it runs.
        umask: Its umask.
    """
    own = {"ALLOCATION_STUDY_LOCKS": "", "PYTHONPATH": str(REPOSITORY)}
    wanted = {"rig": machine.pid, "folder": folder, "words": line, "umask": umask}
    return ForkedScript(forking(), {**wanted, "env": {**os.environ, **own}})


@dataclass(frozen=True, slots=True)
class Machine(Rig):
    """A machine is a rig with both units.

    Args:
        ports: The ports of the stand-ins, by service.
    """

    ports: Mapping[str, int]

    def begin_promote(self, *words: str, umask: int = 0o022) -> ForkedScript:
        """Begin promote.py inside, as `begin_forked` does."""
        line = (PROMOTE, *words, "--deployment", "/etc/deployment.yaml")
        return begin_forked(self, *line, umask=umask)

    def promote(self, *words: str) -> tuple[int, str]:
        """Run promote.py inside; return its exit code and all that it printed."""
        process = self.begin_promote(*words)
        text, _ = process.communicate(timeout=90)
        return process.wait(0), text

    def kill_when(self, words: str, *, apply: list[str], umask: int = 0o022) -> str:
        """Begin an apply and kill it by SIGKILL when it prints this; return all that it printed."""
        process = self.begin_promote("apply", *apply, umask=umask)
        text = ""
        for line in process.stdout:
            text += line
            if words in line:
                break
        else:
            process.communicate()
            raise AssertionError(f"never said {words!r}: {text}")
        process.kill()
        process.communicate(timeout=10)
        return text

    def moods(self, *lines: str) -> None:
        self.write("/etc/moods", "\n".join(lines) + "\n")

    def running(self) -> tuple[str, str]:
        """Return the share and the speech model of the running processes; "" before the exec."""
        settings, root = [], self.root
        pids = self.systemctl("show", LLM, STT, "--property=MainPID", "--value").split()
        for unit, pid in zip((LLM, STT), pids, strict=True):
            command = (root / "proc" / pid / "cmdline").read_text().split("\0")
            env = dict(
                e.partition("=")[::2]
                for e in (root / "proc" / pid / "environ").read_text().split("\0")
            )
            # the command is systemd's own until it execs
            share = dict(pairwise(command)).get("--gpu-memory-utilization", "")
            settings.append(share if unit == LLM else env.get("WHISPER_MODEL", ""))
        return settings[0], settings[1]

    def drop_ins(self) -> list[str]:
        folders = ("run/systemd/system", "etc/systemd/system")
        return sorted(
            p.name
            for f in folders
            for u in (LLM, STT)
            for p in (self.root / f / f"{u}.d").glob("zzz-*")
        )

    def wait(self, seconds: float, what: Callable[[], object]) -> None:
        wait_until(what, seconds)

    def units(self, **more: str) -> None:
        """Write both units as a user would have them; `more` goes into the LLM's [Service]."""
        python = shutil.which("python3", path="/usr/bin:/usr/local/bin") or sys.executable
        server = f"{python} -IS {REPOSITORY / 'tests/support/fake_servers/fakes.py'}"
        extra = "\n".join(f"{k}={v}" for k, v in more.items())
        common = "Environment=MOODS=/etc/moods\nTimeoutStopSec=infinity\n"
        self.write(
            f"{UNITS}/{LLM}",
            f"[Service]\nExecStart={server} llm --port {self.ports['llm']} \\\n"
            f"  --gpu-memory-utilization 0.5\n{common}{extra}\n"
            "[Install]\nWantedBy=multi-user.target\n",
        )
        self.write(
            f"{UNITS}/{STT}",
            f"[Service]\nExecStart={server} stt --port {self.ports['stt']}\n"
            f"Environment=WHISPER_MODEL=base\n{common}"
            "[Install]\nWantedBy=multi-user.target\n",
        )

    def deployment(self, *, windows: int = 2, **more: str) -> None:
        """Write the deployment file, short in everything."""
        llm, stt = (f"http://127.0.0.1:{self.ports[s]}" for s in ("llm", "stt"))
        extra = "\n".join(f"{k}: {v}" for k, v in more.items())
        self.write(
            "/etc/deployment.yaml",
            f"""
name: voice
device: none
services:
  llm:
    unit: {LLM}
    set: {{vllm_memory_util: {{flag: --gpu-memory-utilization, low: 0.3, high: 0.7}}}}
    health_url: {llm}/health
    metrics_url: {llm}/metrics
    version_url: {llm}/version
    probe: {{kind: completion, url: {llm}/v1/completions, model: judge, timeout_s: 5}}
    start_timeout_s: 5
    stop_timeout_s: 2
  stt:
    unit: {STT}
    set: {{whisper_model_size: {{variable: WHISPER_MODEL, choices: {{tiny: tiny, base: base}}}}}}
    health_url: {stt}/health
    probe: {{kind: transcription, url: {stt}/v1/audio/transcriptions, timeout_s: 5}}
    start_timeout_s: 5
    stop_timeout_s: 2
thresholds:
  {{baseline_windows: 1, windows: {windows}, window_s: 0.2, min_requests: 3, max_failed_windows: 1}}
memory_timeout_s: 3
{extra or "dead_man_s: 60"}
""",
        )

    def promotion(self, name: str = "p", share: Any = 0.55, size: Any = "tiny", **more: Any) -> str:
        """Write a sealed, confirmed promotion inside; return its path."""
        data = {
            "schema": 2,
            "status": "confirmed",
            "measured_elsewhere": False,
            "parameters": {"vllm_memory_util": share, "whisper_model_size": size},
            "metrics": {
                "winner": {"kv_tokens": 55_000, "free_memory_mib": 2_000.0, "stt_memory_mib": 600.0}
            },
            "device": {"uuid": "GPU-1", "driver": "580.1"},
            "versions": {"llm": {"vllm": "0.26.0"}, "stt": {}},
            "commands": {"stt": "python transcriber.py --compute-type int8 --beam-size 5"},
            "confirmation": {"verdict": "confirmed"},
            "written_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **more,
        }
        path = self.root / "etc/promotions" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        put(data, path)
        return f"/etc/promotions/{name}.yaml"


@contextmanager
def production() -> Iterator[Machine]:
    """Yield a rig of its own with both units enabled and running, gone at the end."""
    with rig() as bare:
        machine = Machine(bare.state, {"llm": free_port(), "stt": free_port()})
        machine.units()
        machine.deployment()
        machine.systemctl("daemon-reload")
        machine.systemctl("enable", "--now", LLM, STT)
        yield machine
