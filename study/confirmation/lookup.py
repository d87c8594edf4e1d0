"""Finds what a confirmation said of a winner: among the promotions of its study, or beside a recording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.errors import BadInput
from objectives.recording import Recording
from study.confirmation.verdict_file import Confirmation, read_confirmation
from study.promotion import seal
from study.promotion.seal import moment
from study.storage.context import StudyContext

MOST_MIB = 1e9


def confirmation_of(study: str, winner: Allocation, folders: Sequence[Path]) -> Confirmation | None:
    """The newest confirmation of this winner among the promotions of these folders; None where there is none.

    raises: BadInput where a promotion with one was changed after it was sealed
    """
    path = _chosen(
        (p, data) for p, data in _confirmations(folders, winner) if data.get("study") == study
    )
    return _read(path) if path else None


def confirmation_beside(
    recording: Recording, winner: Allocation, context: StudyContext
) -> Path | None:
    """The promotion beside a recording that says what fresh launches showed of this winner, on such a device.

    Against the same baseline, with the commands and the versions of the servers that were recorded.
    """
    device, versions = recording.provenance.device, asdict(recording.provenance.versions)
    commands = _bare({name: str(command) for name, command in context.commands(winner).items()})

    def is_same(data: Mapping[str, Any]) -> bool:
        found = data.get("device")
        if not isinstance(found, dict) or not isinstance(
            total_mib := found.get("total_mib"), int | float
        ):
            return False
        is_of_it = (
            data.get("baseline") == dict(context.baseline.values)
            and data.get("versions") == versions
        )
        is_here = 0 < total_mib < MOST_MIB and device.is_like(found.get("product"), total_mib)
        return is_of_it and is_here and _bare(data.get("commands")) == commands

    return _chosen(
        (path, data)
        for path, data in _confirmations([recording.path.parent], winner)
        if is_same(data)
    )


def _chosen(found: Iterable[tuple[Path, Mapping[str, Any]]]) -> Path | None:
    """The newest that is whole; but beside one that is not, only a rejection stands, and else that one is the answer.

    So an edited file neither takes back a rejection nor lets an older confirmation pass for the newest.
    """
    broken = None
    for path, _ in sorted(found, key=_written, reverse=True):
        try:
            verdict = _read(path).verdict
        except BadInput:
            broken = broken or path
            continue
        if broken is None or verdict == "rejected":
            return path
    return broken


def _bare(commands: object) -> dict[str, list[str]] | None:
    """The words of each command without interpreter and folders; None of what is no commands.

    >>> _bare({"llm": "/venv/bin/python -m serve --model /models/llm-19b"})
    {'llm': ['-m', 'serve', '--model', 'llm-19b']}
    """
    if not isinstance(commands, dict):
        return None
    return {
        name: [word.rpartition("/")[2] for word in str(text).split()][1:]
        for name, text in commands.items()
    }


def confirmation_in(path: Path, winner: Allocation) -> Confirmation | None:
    """What a promotion says of this winner; None where it is of another.

    raises: BadInput where it was changed after it was sealed, or is gone
    """
    if not path.is_file():
        raise BadInput(
            f"{path}, which says what fresh launches showed of this winner, is gone; run the replay again"
        )
    return _read(path) if _judged(path, winner) else None


def _confirmations(
    folders: Sequence[Path], winner: Allocation
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The promotions of this winner that a confirmation has judged; their seals are not looked at."""
    for path in (p for folder in folders for p in sorted(folder.glob("*.yaml"))):
        if (data := _judged(path, winner)) is not None:
            yield path, data


def _judged(path: Path, winner: Allocation) -> Mapping[str, Any] | None:
    """A promotion of this winner that a confirmation has judged; None for somebody else's file."""
    try:
        data = seal.read(path)
    except BadInput:
        return None
    is_of_it = data.get("parameters") == dict(winner.values) and isinstance(
        data.get("confirmation"), dict
    )
    return data if is_of_it else None


def _read(path: Path) -> Confirmation:
    data = seal.verify(path)
    try:
        return read_confirmation(data, path.name)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        way_out = "confirm it anew with scripts/confirm.py, or move it away"
        raise BadInput(
            f"{path}: its confirmation is not as this version writes it ({error!r}); {way_out}"
        ) from error


def _written(found: tuple[Path, Mapping[str, Any]]) -> datetime:
    """When a confirmation was written; one that does not say it is older than all."""
    return moment(found[1]["confirmation"].get("written_at")) or datetime.min.replace(tzinfo=UTC)
