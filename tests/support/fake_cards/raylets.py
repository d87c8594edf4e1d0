"""This module starts a Ray cluster of two machines on this one, each with a card of numbers.

`raylets.py SCRIPT ARGUMENT...` runs a script whose lanes are there.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from fake_cards.cards_here import PROGRAM
from fake_cards.fake_lane import NumberedCard
from fake_servers.fake_http import free_port
from processes.commands import ROOT, main_of

from objectives.devices.device_set import device_set
from study import run_machines
from study.bench.bench import Bench
from study.lanes.cards.sets import gpus_of
from study.lanes.cluster.host import ClusterHost
from study.lanes.cluster.join import joined

HERE = Path(__file__)
START_S = 120
PORTS = ("dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent", "metrics-export")
STORE = 80_000_000  # the least that Ray takes, bytes


class NumberedHost(ClusterHost):
    """A numbered host has a card of numbers, and its servers are fakes."""

    program = PROGRAM

    def bench(self, cards: list[str]) -> Bench:
        numbered = [NumberedCard(card) for card in sorted(cards)]
        named = gpus_of(self.spec.devices)
        by_name = dict(zip(named, numbered, strict=True)) if named else {}
        devices = by_name or device_set(*numbered)
        return Bench(devices, self.setting, {"llm": {}, "stt": {}}, ())


def with_token(folder: Path) -> dict[str, str]:
    """Return an environment with a token of Ray of its own."""
    token = folder / "token"
    token.write_text(secrets.token_hex(32))
    token.chmod(0o600)
    path = os.pathsep.join((str(ROOT), str(HERE.parents[1])))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_raylet_start_wait_time_s": str(START_S),  # cores may be busy with other tests
    }


class Machine:
    """A machine of a cluster is what `ray start` starts, until it is ended.

    Args:
        card: The UUID of its card, or several with commas.
        env: Its environment.
        head: The address of the cluster's head; None makes it the head.
    """

    def __init__(self, card: str, env: dict[str, str], head: str | None = None) -> None:
        self.port = free_port()
        where = [f"--address={head}"] if head else ["--head", f"--port={self.port}"]
        if head is None:
            where += ["--include-dashboard=false"]
        # of ports that are not given the raylet waits for its agents, 15 s at the most
        ports = [f"--{name}-port={free_port()}" for name in PORTS]
        command = [
            *(str(Path(sys.executable).with_name("ray")), "start", "--block", *where, *ports),
            *(
                "--min-worker-port=0",
                "--max-worker-port=0",
                "--num-cpus=2",
                f"--num-gpus={card.count(',') + 1}",
            ),
            *(f"--object-store-memory={STORE}", "--disable-usage-stats"),
        ]
        self.log = Path(env["RAY_AUTH_TOKEN_PATH"]).with_name(f"{card}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env={**env, "CUDA_VISIBLE_DEVICES": card},
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    def wait(self) -> None:
        """Wait until it has started."""
        until_s = time.monotonic() + START_S
        while "Ray runtime started" not in (text := self.log.read_text()):
            assert time.monotonic() < until_s and self.process.poll() is None, text
            time.sleep(0.1)

    @property
    def address(self) -> str:
        """Return the address of the cluster that it is the head of, by what Ray says of it."""
        (address,) = re.findall(r"ray start --address='(\S+)'", self.log.read_text())
        return str(address)

    def below(self) -> list[psutil.Process]:
        """Return all that it runs."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []

    def actors(self) -> list[psutil.Process]:
        """Return its hosts of lanes."""
        return [p for p in self.below() if "Host" in " ".join(p.cmdline())[:80]]

    def raylet(self) -> psutil.Process:
        """Return its raylet."""
        (raylet,) = [p for p in self.below() if p.name() == "raylet"]
        return raylet

    def end(self) -> None:
        """End it and all that it runs."""
        below = self.below()
        self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        for process in below:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


if __name__ == "__main__":
    script = sys.argv[1]
    sys.argv = sys.argv[1:]
    patch = pytest.MonkeyPatch()
    patch.setattr(run_machines, "joined", partial(joined, kind=NumberedHost))
    importlib.import_module("study.cli.startup")
    main_of(script)()
