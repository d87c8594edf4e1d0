"""A change that has begun has a record on disk and a lock; a log keeps how earlier ones ended."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from objectives import waiting
from objectives.errors import BadInput
from objectives.plain_data.atomic import write_atomic
from objectives.plain_data.by_type import ODD_DATA, from_plain, mapping_of
from study.deploy.errors import nothing_changed
from study.deploy.state.dead_man_timer import DeadMan
from study.deploy.state.process_id import ProcessId
from study.deploy.state.version import author


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending change leads from one version to another; its process may have died since.

    Args:
        kind: `apply` or `rollback`.
        source: The number of the version in force before.
        target: The number of the version that is tried.
        promotion_sha256: The seal of the promotion, where there is one.
        dead_man: The armed timer; None: not armed yet.
        until_s: When that timer fires, Unix time in s.
        pid: The process that makes the change.
        pid_since_s: When that process started, s after the boot.
        boot: The boot of the machine in which the change began.
        command: The words of that process's command line.
        dependents: Units that stop with ours and must run again after.
        step: What is being done now.
        held: Whether it is on trial until somebody commits it, or the timer ends it.
    """

    kind: str
    source: int
    target: int
    promotion_sha256: str | None
    dead_man: DeadMan | None
    until_s: float
    pid: int
    pid_since_s: float
    boot: str
    command: tuple[str, ...] = ()
    dependents: tuple[str, ...] = ()
    step: str = "begun"
    held: bool = False

    @property
    def is_alive(self) -> bool:
        """Tell whether the process that began it still runs."""
        return not self.held and self.process.is_running

    @property
    def process(self) -> ProcessId:
        """Return the process that began it."""
        return ProcessId(self.pid, self.pid_since_s, self.boot, self.command)


class UnreadableRecord(BadInput):
    """The record of a change cannot be read.

    Args:
        path: The record's file.
        reason: What keeps it from being read.
    """

    def __init__(self, path: Path, reason: object) -> None:
        self.finding = f"{path}: it cannot be read ({reason})"
        super().__init__(f"{self.finding}; run `scripts/promote.py rollback`")


def path_of(folder: Path) -> Path:
    """Return where the record of a change lies."""
    return folder / "pending.json"


def read(folder: Path) -> Pending | None:
    """Read the change that has begun and not ended; None where there is none.

    Raises:
        UnreadableRecord: It is damaged.
    """
    try:
        data = mapping_of(json.loads(path_of(folder).read_text("utf-8")))
        if isinstance(timer := data.get("dead_man"), str):  # 0.1 wrote it as one text
            # a process of which it noted the number alone is never ended: it may be another's now
            data = {**data, "dead_man": None if timer.startswith("pid ") else {"unit": timer}}
        pending: Pending = from_plain(Pending, data)
    except FileNotFoundError:
        return None
    except (OSError, *ODD_DATA) as error:
        raise UnreadableRecord(path_of(folder), error) from error
    return pending


def put_aside(folder: Path) -> bool:
    """Move a record that cannot be read aside, with the lock held; tell whether there was one."""
    try:
        read(folder)
    except UnreadableRecord:
        path_of(folder).replace(path_of(folder).with_suffix(".unreadable"))
        return True
    return False


def write(folder: Path, pending: Pending) -> None:
    """Write the record of a change, whole."""
    text = json.dumps(asdict(pending), indent=1) + "\n"
    write_atomic(path_of(folder), text, mode=0o644, durable=True)


@contextmanager
def locked(
    folder: Path, *, take_over: Pending | None = None, wait_s: float = 0.0
) -> Iterator[None]:
    """Hold the only lock; it is released when this process ends, however that is.

    Args:
        take_over: End the process of this change first, for the dead-man timer.

    Raises:
        BadInput: Another process holds it.
        SetupError: It cannot be made.
    """
    try:
        handle = _opened(folder / "lock")
    except OSError as error:
        raise nothing_changed(error) from error
    try:
        if take_over is not None and take_over.is_alive:
            take_over.process.send(signal.SIGKILL)
        until = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise BadInput(
                        f"another promote.py is at work on {folder}; "
                        "wait for it, or see `scripts/promote.py status`"
                    ) from error
                waiting.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _opened(lock: Path) -> int:
    """Open the lock; one on a disk that became read-only holds as well, for who undoes a change."""
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno != errno.EROFS or not lock.exists():
            raise
    return os.open(lock, os.O_RDONLY | os.O_CLOEXEC)


def note(folder: Path, event: str, more: Mapping[str, object]) -> None:
    """Append a line to events.jsonl; on a full disk it is left out, never a reason to fail."""
    with suppress(OSError):
        write_note(folder, event, more)


def write_note(folder: Path, event: str, more: Mapping[str, object]) -> None:
    """Append a line to events.jsonl.

    Raises:
        OSError: The disk refuses.
    """
    line = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "event": event,
        "author": author(),
        **more,
    }
    with (folder / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def events(folder: Path) -> list[dict[str, object]]:
    """Read what `note` has written, without lines that are damaged, as a full disk leaves them."""
    records = []
    with suppress(FileNotFoundError):
        for line in (folder / "events.jsonl").read_text("utf-8", errors="replace").splitlines():
            with suppress(ValueError, TypeError, RecursionError):
                records.append(dict(mapping_of(json.loads(line))))
    return records
