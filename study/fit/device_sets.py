"""This module says before a launch what is true of an LLM that is spread over several devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from objectives.devices.device import TOTAL_TOLERANCE
from objectives.devices.device_set import DeviceSet
from objectives.engines.places import Place
from objectives.engines.registry import llm_engine
from objectives.services import LlmService, Services

Places = Mapping[str, Sequence[Place]]


def undivided(services: Services, places: Places) -> list[str]:
    """Return in sentences which models cannot be spread over as many devices as their places have.

    Args:
        services: The servers, with models as they lie on this machine.
        places: Where each service may run.
    """
    llms = {name: s for name, s in services.items() if isinstance(s, LlmService)}
    sizes = {(name, len(place.devices)): None for name in llms for place in places.get(name, ())}
    sentences = (llm_engine(llms[name], name).undivided(size) for name, size in sizes if size > 1)
    return [sentence for sentence in sentences if sentence is not None]


def uneven(devices: DeviceSet, places: Places) -> Iterator[str]:
    """Yield what a person must know of sets whose devices differ, a sentence each."""
    sets = dict.fromkeys(place for of in places.values() for place in of)
    for place in (p for p in sets if len(p.devices) > 1):
        identities = [devices[name].identity for name in place.devices]
        totals = [identity.total_mib for identity in identities]
        if max(totals) > (1 + TOTAL_TOLERANCE) * min(totals):
            sizes = " and ".join(f"{total:,.0f}" for total in totals)
            yield (
                f"{place.on} are of {sizes} MiB: the LLM has its share of each, and the smallest "
                "bounds its KV cache on all"
            )
        if len({identity.product for identity in identities}) > 1:
            names = " and ".join(identity.product for identity in identities)
            yield f"{place.on} are {names}: each step of the LLM waits for the slower one"
