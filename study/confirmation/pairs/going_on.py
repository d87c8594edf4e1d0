"""This module goes on with a journal, also on another card: what counts, what is begun anew."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from objectives.devices.device import Identity
from study.confirmation.records import PairsJournal
from study.provenance import measuring_code


def going_on(journal: PairsJournal, devices: Sequence[Identity], folder: Path) -> Iterator[str]:
    """Say what is measured so far, and what has changed since: the card, or the code.

    Args:
        journal: What is measured so far; nothing is said where that is none.
        devices: The cards that it goes on on.
        folder: Where the journal lies.
    """
    if not journal.pairs:
        return
    aa, ab = len(journal.of("aa")), len(journal.of("ab"))
    yield f"going on after {aa} A/A and {ab} pairs, in {folder}"
    here = [device.uuid for device in devices]
    others = {p.card for p in journal.pairs} - {*here}
    if others:
        yield (
            f"those of {', '.join(sorted(others))} count beside those of {', '.join(here)}, as "
            "each is measured whole on one card; A/A pairs and the stress are not repeated"
        )
    if {p.code for p in journal.pairs} - {None, measuring_code()}:
        yield (
            "the code that measures (objectives/) is not that of all pairs so far; each pair is "
            "measured whole by one, and the confirmation lists them"
        )


def holds_on(journal: PairsJournal, device: Identity) -> PairsJournal:
    """Return the journal without holds of another card: those of baseline and winner share one.

    Args:
        journal: What is measured so far, with holds to come.
        device: Where the next hold is measured.
    """
    others = [h for h in journal.holds if h.card != device.uuid]
    if not others:
        return journal
    reason = f"{len(others)} holds of {others[0].card}: begun anew on {device.uuid}"
    return replace(journal, holds=(), left_out=(*journal.left_out, reason))
