"""This script gives lent units back, and waits outside the study to do so.

    restore.py PROMISE PID STARTED TOKEN END_S GRACE_S SERVERS_END_S [--user]

A transient unit of systemd's runs it as a plain file; it needs the standard library only. It waits
until the study's process has ended, or ends it when its time is over; then it ends what the study
left running, and gives the units back.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

# in the environment of everything that the study starts while it borrows
BORROWER = "ALLOCATION_STUDY_LENT"
SCOPE = ("--scope", "--quiet", "--collect", "--")  # of `systemd-run`


def read(promise: Path) -> dict[str, list[str]]:
    """Read the promise's own section.

    Its keys are `On` and `Off` (units, in the order in which they came up), `Mask` and `Want`
    (links), and `Container` (an engine's command and the name of a container that ran).
    """
    entries: dict[str, list[str]] = {}
    ours = False
    for line in promise.read_text().splitlines():
        if line.startswith("["):
            ours = line == "[X-Lent]"
        elif ours and "=" in line:
            key, _, value = line.partition("=")
            entries.setdefault(key, []).append(value)
    return entries


def give_back(promise: Path, systemctl: list[str]) -> list[str]:
    """Lift the masks, start what ran and nothing else, and remove the promise.

    Return a sentence for each unit that did not start. Where the promise has been kept already,
    nothing happens. A start with its requirements would also start units that were off: those that
    were on are on still, or in the promise themselves.
    """
    try:
        entries = read(promise)
    except FileNotFoundError:
        return []
    for link in entries.get("Mask", []):
        if Path(link).is_symlink():
            Path(link).unlink(missing_ok=True)
    problems = [*_run(*systemctl, "daemon-reload")]
    for unit in entries.get("On", []):
        _run(*systemctl, "reset-failed", "--", unit)
        problems += _run(
            *systemctl, "start", "--no-block", "--job-mode=ignore-requirements", "--", unit
        )
    for line in entries.get("Container", []):
        problems += _start_container(systemctl[1:], *line.rsplit(" ", 1))
    if not problems:
        try:
            for link in entries.get("Want", []):
                Path(link).unlink(missing_ok=True)
            promise.unlink(missing_ok=True)
        except OSError as error:  # all runs again, and a disk that is read-only keeps the promise
            problems.append(f"{error.filename} cannot be removed ({error.strerror})")
        _run(*systemctl, "daemon-reload")
    return problems


def _start_container(flags: list[str], program: str, name: str) -> list[str]:
    """Start a container in a scope, which lives with what watches it.

    One whose stop was killed halfway is stopped for good before.
    """
    start = ("systemd-run", *flags, *SCOPE, program, "start", name)
    if not _run(*start):
        return []
    _run(program, "stop", name)
    return _run(*start)


def _run(*argv: str) -> list[str]:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:  # the other units still get their start
        return [str(error)]
    if done.returncode == 0:
        return []
    return [f"`{' '.join(argv)}`: {done.stderr.strip() or done.returncode}"]


def started(pid: int) -> str | None:
    """Return when a process started, in the kernel's ticks; None where it has ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    return stat[stat.rindex(")") + 2 :].split()[19]


def wait(pid: int, since: str, end_s: float, grace_s: float) -> None:
    """Wait until the process has ended.

    Args:
        end_s: Seconds of the monotonic clock at which it gets SIGTERM.
        grace_s: How much later it gets SIGKILL, s.
    """
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if started(pid) != since:
            return  # another process has its number by now
        for number, until_s in ((signal.SIGTERM, end_s), (signal.SIGKILL, end_s + grace_s)):
            if _ended(process, until_s):
                return
            print(f"time is over: signal {number.name} to process {pid}", flush=True)
            signal.pidfd_send_signal(process, number)
        _ended(process, float("inf"))
    except ProcessLookupError:
        return
    finally:
        os.close(process)


def _ended(process: int, until_s: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    while (left_s := until_s - time.monotonic()) > 0:
        if poll.poll(min(left_s, 3600.0) * 1000):
            return True
    return bool(poll.poll(0))


def end_left_behind(token: str, servers_end_s: float) -> None:
    """Kill what carries the token and does not end with the study, to free the units' memory.

    Its supervisors have so many seconds to end it; after as many more it is left alone.
    """
    needle = f"{BORROWER}={token}".encode()
    deadline = time.monotonic() + servers_end_s
    while pids := _carrying(needle):
        if time.monotonic() > deadline + servers_end_s:
            return
        if time.monotonic() > deadline:
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        time.sleep(0.1)


def _carrying(needle: bytes) -> list[int]:
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if needle in (entry / "environ").read_bytes().split(b"\0"):
                    pids.append(int(entry.name))
            except OSError:
                continue  # ended, or another user's
    return pids


def main(promise: Path, pid: int, since: str, token: str, *words: str) -> int:
    """Wait, tidy up and give back; return 0 once every unit has begun to start.

    The last words are END_S, GRACE_S, SERVERS_END_S and the flags of systemctl.
    """
    end_s, grace_s, servers_end_s = map(float, words[:3])
    flags = words[3:]
    wait(pid, since, end_s, grace_s)
    end_left_behind(token, servers_end_s)
    problems = give_back(promise, ["systemctl", *flags])
    print(*problems, sep="\n", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    a = sys.argv
    sys.exit(main(Path(a[1]), int(a[2]), *a[3:]))
