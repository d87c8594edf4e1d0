"""A unit that a real socket wakes gets a promotion while it sleeps, and lends its GPU."""

from __future__ import annotations

from fake_servers.fake_http import free_port
from rigs.production_rig import STT, Machine
from rigs.scenarios import beside
from rigs.scenarios import scenarios as scenarios  # noqa: PLC0414  a fixture
from rigs.systemd_rig import REPOSITORY, UNITS

SOCKET, PROXY = "whisper-proxy.socket", "whisper-proxy.service"
FILES = {
    SOCKET: """[Socket]
ListenStream=127.0.0.1:{port}
""",
    PROXY: """[Unit]
Requires=whisper.service
After=whisper.service
[Service]
ExecStart=/usr/lib/systemd/systemd-socket-proxyd --exit-idle-time=3s 127.0.0.1:{own}
""",
    STT: """[Unit]
StopWhenUnneeded=true
[Service]
Type=exec
Environment=WHISPER_MODEL=base MOODS=/etc/moods
ExecStart=/usr/bin/python3 -IS {fake} stt --port {own}
ExecStartPost=/bin/bash -c 'until (exec 3<>/dev/tcp/127.0.0.1/{own}); do sleep 0.05; done'
""",
}
LEND = """
import socket
from study.service_pause.pause import lent
with lent(("whisper.service",), print):
    try:
        socket.create_connection(("127.0.0.1", PORT))
    except ConnectionRefusedError:
        print("nobody listens")
"""
BY_SOCKET = {"on_demand": {"stt": {"woken_by": "socket_activation", "idle_s": 3}}}


def let_sleep(machine: Machine) -> None:
    """Put speech behind a socket, and wait until it sleeps."""
    machine.moods()
    machine.systemctl("disable", "--now", STT)
    own, fake = free_port(), REPOSITORY / "tests/support/fake_servers/fakes.py"
    for name, text in FILES.items():
        whole = text.format(port=machine.ports["stt"], own=own, fake=fake)
        machine.write(f"{UNITS}/{name}", whole)
    machine.systemctl("daemon-reload")
    machine.systemctl("start", SOCKET)
    machine.wait(30, lambda: is_asleep(machine))


def is_asleep(machine: Machine) -> bool:
    states = machine.systemctl("is-active", SOCKET, PROXY, STT, check=False).split()
    return states == ["active", "inactive", "inactive"]


@beside
def test_a_unit_that_sleeps_is_lent_with_the_socket_that_would_wake_it(machine: Machine) -> None:
    let_sleep(machine)
    words = LEND.replace("PORT", str(machine.ports["stt"]))
    output, _ = machine.begin("-c", words).communicate(timeout=60)
    assert f"lent to this study: {STT} (was off), {SOCKET}; they come back" in output, output
    assert "nobody listens" in output
    assert is_asleep(machine), machine.systemctl("status", SOCKET, check=False)


@beside
def test_a_unit_that_sleeps_gets_a_promotion_and_sleeps_again(machine: Machine) -> None:
    let_sleep(machine)
    code, output = machine.promote("apply", machine.promotion(**BY_SOCKET))
    assert code == 0 and "committed: production runs version 1" in output, output
    assert "pass     stt runs with WHISPER_MODEL=tiny: so say its processes" in output
    assert f"stt sleeps until it is asked: {SOCKET} starts {PROXY} then" in output
    assert f"{STT} sleeps until {SOCKET} wakes it: whether it slept or ended" in output
    machine.wait(30, lambda: is_asleep(machine))
    machine.systemctl("stop", SOCKET)
    code, output = machine.promote("plan", machine.promotion("q", **BY_SOCKET))
    assert code == 2 and f"no socket that runs starts {STT}" in output, output
