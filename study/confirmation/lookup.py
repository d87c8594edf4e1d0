"""This module finds what a confirmation said of a winner.

It looks among the promotions of its study, or beside a recording.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from objectives.allocation import Allocation
from objectives.engines.command import words_of
from objectives.errors import BadInput
from objectives.recording import Recording
from study.confirmation.verdict_file import Confirmation, read_confirmation
from study.promotion import seal
from study.promotion.seal import moment
from study.promotion.status import Status
from study.storage.context import StudyContext

MOST_MIB = 1e9


def confirmation_of(study: str, winner: Allocation, folders: Sequence[Path]) -> Confirmation | None:
    """Return the newest confirmation of this winner among the promotions of these folders, if any.

    Raises:
        BadInput: A promotion with one was changed after it was sealed.
    """
    path = _newest(
        (p, data) for p, data in _confirmations(folders, winner) if data.get("study") == study
    )
    return _read(path) if path else None


def confirmation_beside(
    recording: Recording, winner: Allocation, context: StudyContext
) -> Path | None:
    """Return the promotion beside a recording that a confirmation of this winner was written to.

    It was confirmed on a device like the recorded one, against the same baseline, with the commands
    and the versions of the servers that were recorded. None where there is none.
    """
    device, versions = recording.provenance.device, recording.provenance.versions
    commands = _bare({name: str(command) for name, command in context.commands(winner).items()})

    def is_same(data: Mapping[str, Any]) -> bool:
        other = data.get("device")
        total_mib = other.get("total_mib") if isinstance(other, dict) else None
        if not isinstance(other, dict) or not isinstance(total_mib, int | float):
            return False
        in_use = dict(context.baseline.values) if context.has_today else None
        is_of_it = data.get("baseline") == in_use and data.get("versions") == versions
        is_here = 0 < total_mib < MOST_MIB and device.is_like(other.get("product"), total_mib)
        return is_of_it and is_here and _bare(data.get("commands")) == commands

    return _newest(
        (path, data)
        for path, data in _confirmations([recording.path.parent], winner)
        if is_same(data)
    )


def _newest(promotions: Iterable[tuple[Path, Mapping[str, Any]]]) -> Path | None:
    """Return the newest that is whole.

    Beside one that is not, only a rejection stands, and else that one is the answer. So an edited
    file neither takes back a rejection nor lets an older confirmation pass for the newest.
    """
    broken = None
    for path, _ in sorted(promotions, key=_written, reverse=True):
        try:
            verdict = _read(path).verdict
        except BadInput:
            broken = broken or path
            continue
        if broken is None or verdict is Status.REJECTED:
            return path
    return broken


def _bare(commands: object) -> dict[str, list[str]] | None:
    """Return the words of each command without interpreter and folders; None of other data.

    >>> _bare({"llm": "/venv/bin/python -m serve --model '/my models/llm-19b'"})
    {'llm': ['-m', 'serve', '--model', 'llm-19b']}
    """
    if not isinstance(commands, dict):
        return None
    return {
        name: [word.rpartition("/")[2] for word in words_of(str(text))][1:]
        for name, text in commands.items()
    }


def confirmation_in(path: Path, winner: Allocation) -> Confirmation | None:
    """Return what a promotion says of this winner; None where it is of another.

    Raises:
        BadInput: It was changed after it was sealed, or is gone.
    """
    if not path.is_file():
        raise BadInput(
            f"{path}, which says what fresh launches showed of this winner, is gone; "
            "run the replay again"
        )
    return _read(path) if _judged(path, winner) else None


def _confirmations(
    folders: Sequence[Path], winner: Allocation
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """Yield the promotions of this winner that a confirmation has judged, seals unchecked."""
    for path in (p for folder in folders for p in sorted(folder.glob("*.yaml"))):
        if (data := _judged(path, winner)) is not None:
            yield path, data


def _judged(path: Path, winner: Allocation) -> Mapping[str, Any] | None:
    """Read a promotion of this winner that a confirmation has judged; None for any other file."""
    try:
        data = seal.read_unsealed(path)
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


def _written(promotion: tuple[Path, Mapping[str, Any]]) -> datetime:
    """Return when a confirmation was written; one that does not say it is older than all."""
    _, data = promotion
    return moment(data["confirmation"].get("written_at")) or datetime.min.replace(tzinfo=UTC)
