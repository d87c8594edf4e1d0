"""This module reads the services that a turn passes: a clip and then the LLM, or more of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from objectives.services import OtherService
from objectives.traffic.workload import Workload
from study.spec.search_space import OF_TURNS
from study.spec.yaml_node import YamlEntry
from study.text import meant

HEARD_FIRST = "the words of a clip are there before an LLM answers them"


def of_chain(
    top: YamlEntry, workload: Workload, beside: Mapping[str, OtherService]
) -> dict[str, OtherService]:
    """Return the services beside the LLM and speech, each with its rate of requests outside turns.

    One that is of a turn and names no rate has none.

    Raises:
        BadInput: The turn is none; it has file, line and key.
    """
    entry, turn = top.at("workload", "turn"), workload.turn
    if not entry.is_present:
        return dict(beside)
    for element, name in zip(entry.elements(), turn, strict=True):
        if name not in (*OF_TURNS, *beside):
            raise element.wrong(f"there is no service {name!r}", meant(name, (*OF_TURNS, *beside)))
        if turn.count(name) > 1:
            raise element.wrong(f"{name} is there twice", "name each service once")
    llm, stt = OF_TURNS
    if not {llm, stt} <= {*turn} or turn.index(stt) > turn.index(llm):
        raise entry.wrong(f"{HEARD_FIRST}", f"name {stt} and then {llm}, as in [{stt}, {llm}]")
    if not workload.turns_per_s:
        raise entry.wrong("no turns are sent", "name `turns_per_s:`")
    rates = {n: top.at("services", n, "per_s").is_present for n in beside}
    return {
        n: replace(s, per_s=0.0) if n in turn and not rates[n] else s for n, s in beside.items()
    }
