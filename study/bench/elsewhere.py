"""A study is planned here for a card that is not in this machine; nothing is measured there."""

from __future__ import annotations

from collections.abc import Callable

from objectives.devices.device import Identity
from objectives.errors import BadInput
from study.bench.source import Source, say_notes
from study.fit.hosts import named_device
from study.spec.model import Spec
from study.spec.setting import setting_of


def planned_elsewhere(
    spec: Spec, card_name: str | None, total_mib: float | None, say: Callable[[str], None]
) -> Source:
    """Return what is known of a device elsewhere, whose servers and neighbours are not.

    Args:
        spec: A live spec.
        card_name: The name of its card; None where its memory alone is known.
        total_mib: Its memory, MiB, where no card is named.
        say: It is given a line each.

    Raises:
        BadInput: The card is not known, or the spec has a device that is no card.
        SetupError: An engine does not run on the card.
    """
    if spec.measure != "live":
        raise BadInput(
            f"--card, --total-mib: {spec.path.name} is a replay, which has the device of its "
            "recording; leave them out"
        )
    say_notes(spec, say)
    product, total_mib, notes = named_device(spec, card_name, total_mib)
    say(f"device: {product}, {total_mib:,.0f} MiB, not of this machine: nobody looked at it")
    for note in notes:
        say(f"note: {note}")
    cuda = None if spec.device == "cpu" else "unknown"
    identity = Identity(product, "", total_mib, driver=None, cuda=cuda)
    return Source(identity, {}, setting_of(spec), bench=None, recording=None)
