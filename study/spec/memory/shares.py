"""A share of a device that is none is refused, of the services that have one of their own."""

from __future__ import annotations

from collections.abc import Iterable

from objectives.allocation import Scalar
from objectives.apis.metrics_page import amount
from objectives.engines.engine import Engine
from objectives.search_space.parameter import Parameter
from study.spec.yaml_node import YamlEntry


def refuse_shares(engine: Engine, parameters: Iterable[Parameter], top: YamlEntry) -> None:
    """Refuse values of an engine's share that are not above 0 and at most 1, or said twice.

    Args:
        engine: The engine.
        parameters: What is searched.
        top: The whole spec.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    name = f"{engine.prefix}{engine.share_option}"
    if not engine.share_option or engine.service.command is not None:
        return
    for p in parameters:
        if p.name == name and (wrong := _wrong(p.choices or (p.low, p.high))):
            raise top.at("search_space", name).wrong(*wrong)
    today = top.at("baseline", name)
    if today.is_present and (wrong := _wrong((today.scalar(),))):
        raise today.wrong(*wrong)
    args = top.at("services", engine.name, "args")
    if (text := engine.share_in_args()) is not None:
        for other in (top.at("search_space", name), today):
            if other.is_present:
                raise args.wrong(f"{'.'.join(other.path)} says its share too", "remove one")
        if wrong := _wrong((amount(text),), text):
            raise args.wrong(*wrong)


def _wrong(values: Iterable[Scalar | None], text: str | None = None) -> tuple[str, str] | None:
    """Return what is wrong with the values of a share, and the way out; None where nothing is."""
    for value in values:
        if isinstance(value, bool | str | None) or not 0 < value <= 1:
            what = value if text is None else text
            return f"{what!r} is no share of a device", "write numbers above 0 and at most 1"
    return None
