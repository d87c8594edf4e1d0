"""Sets of devices that a service cannot be spread over are refused before anything is launched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from objectives.engines.places import AND, HOST, PLACE, Place
from objectives.engines.registry import llm_engine
from objectives.services import LlmService, Service
from study.spec.yaml_node import YamlEntry

MIG = "MIG-"


def check_set(
    entry: YamlEntry, place: Place, name: str, service: Service, by_name: Mapping[str, str]
) -> None:
    """Refuse a set of devices that its service cannot have.

    Args:
        entry: Where it stands.
        place: The place, whose devices have names.
        name: The service's name.
        service: The service.
        by_name: The devices.
    """
    names = place.devices
    if len(names) == 1:
        return
    if not isinstance(service, LlmService) or not _spreads(service):
        what = f"{name} is on one device, and this names {len(names)}"
        if isinstance(service, LlmService):
            what = f"{service.engine} is not spread over several devices here"
        raise entry.wrong(what, f"write {names[0]}")
    if len(set(names)) < len(names):
        raise entry.wrong("it names a device twice", f"write {AND.join(dict.fromkeys(names))}")
    if HOST in names:
        raise entry.wrong("cpu is no part of a set", "name GPUs alone")
    if mig := next((n for n in names if by_name[n].startswith(MIG)), None):
        raise entry.wrong(
            f"{mig} is a MIG slice, of which CUDA shows a process one alone", f"write {mig}"
        )


def _spreads(llm: LlmService) -> bool:
    """Return whether an LLM may be spread; what a template starts says so by flags of its own."""
    return llm.command is not None or bool(llm_engine(llm).of_its_set)


def llm_places(top: YamlEntry, name: str) -> Iterator[YamlEntry]:
    """Yield the places of the LLM that candidates have, whatever its service says."""
    searched, now = (top.at(key, f"{name}.{PLACE}") for key in ("search_space", "baseline"))
    yield from searched.elements() if searched.is_list else ()
    if now.is_present:
        yield now


def check_llm_places(top: YamlEntry, name: str, llm: LlmService, main: str) -> None:
    """Refuse a place of the LLM that changes the device which its share is told of.

    Args:
        top: The file.
        name: The LLM's name.
        llm: The LLM.
        main: The name of its first device.
    """
    counts, orders = set[int](), dict[frozenset[str], str]()
    for entry in llm_places(top, name):
        place = Place.of(str(entry.scalar()))
        counts.add(len(place.devices))
        if (first := place.devices[0]) != main:
            example = "" if first == HOST else f", as in {main}{AND}{first}"
            raise entry.wrong(
                "its share is told of one device, the first of its place",
                f"let each begin with {main}{example}",
            )
        if (other := orders.setdefault(frozenset(place.devices), place.on)) != place.on:
            raise entry.wrong(f"{place.on} is the same set as {other}", f"write {other} once")
        if len(counts) > 1 and llm.command is not None:
            raise entry.wrong(
                "a template says itself over how many devices it is spread",
                "list places of as many devices each",
            )
