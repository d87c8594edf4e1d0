"""A change that has begun: its record on disk, the lock that keeps others out, and what became of earlier ones."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from study.deploy.state.versions import author

BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class Pending:
    """A change from one version to another, by a process (pid and start time, s) that may have died since.

    dependents: units that stop with ours and must run again after
    held: on trial until somebody commits it, or the dead-man timer ends it; until_s: when that timer fires, Unix time
    """

    kind: str  # apply or rollback
    source: int
    target: int
    promotion_sha256: str | None
    dead_man: str | None
    until_s: float
    pid: int
    pid_since_s: float
    boot: str
    dependents: tuple[str, ...] = ()
    step: str = "begun"
    held: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether the process that began it still runs."""
        return not self.held and process_is(self.pid, self.pid_since_s)


def process_is(pid: int, since_s: float) -> bool:
    """Whether a process runs and is the same that started then."""
    try:
        return abs(psutil.Process(pid).create_time() - since_s) < 1.0
    except psutil.Error:
        return False


def path_of(folder: Path) -> Path:
    """Where the record of a change lies."""
    return folder / "pending.json"


def read(folder: Path) -> Pending | None:
    """The change that has begun and not ended; None where there is none."""
    try:
        data = json.loads(path_of(folder).read_text("utf-8"))
        return Pending(**{**data, "dependents": tuple(data["dependents"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            f"{path_of(folder)}: it cannot be read ({error}); run `scripts/promote.py rollback`"
        ) from error


def put_aside(folder: Path) -> bool:
    """Move a record that cannot be read aside; whether there was one. Only with the lock held."""
    try:
        read(folder)
    except BadInput:
        path_of(folder).replace(path_of(folder).with_suffix(".unreadable"))
        return True
    return False


def write(folder: Path, pending: Pending) -> None:
    """Record it, whole."""
    text = json.dumps(asdict(pending), indent=1) + "\n"
    write_atomic(path_of(folder), text, mode=0o644, durable=True)


def boot_id() -> str:
    """This boot of the machine: the kernel's own, and when process 1 began, which a container's reboot changes too."""
    began = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    return f"{BOOT.read_text().strip()}/{began}"


@contextmanager
def locked(
    folder: Path, *, take_over: Pending | None = None, wait_s: float = 0.0
) -> Iterator[None]:
    """Hold the only lock; it ends with this process, however that ends.

    take_over: end the process of this change first, for the dead-man timer
    raises: BadInput where another process holds it
    """
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if take_over is not None and take_over.is_alive:
            with suppress(ProcessLookupError):
                os.kill(take_over.pid, 9)
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise BadInput(
                        f"another promote.py is at work on {folder}; wait for it, or see `scripts/promote.py status`"
                    ) from error
                time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def note(folder: Path, event: str, more: Mapping[str, object]) -> None:
    """One line into events.jsonl; what does not fit on a full disk is left out, never a reason to fail."""
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": event,
        "author": author(),
        **more,
    }
    with suppress(OSError), (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def events(folder: Path) -> list[dict[str, object]]:
    """What `note` has kept; lines that a full disk cut short are left out."""
    found = []
    with suppress(FileNotFoundError):
        for line in (folder / "events.jsonl").read_text("utf-8", errors="replace").splitlines():
            with suppress(ValueError):
                found.append(dict(json.loads(line)))
    return found
