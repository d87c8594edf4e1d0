"""Services beside the voice turn have entries in a spec, traffic, and weights."""

from __future__ import annotations

import re
from typing import get_args

from objectives.engines.registry import LLM_ENGINES, as_unnamed
from objectives.figures import STREAMED
from objectives.fitness import WHOLE, Weights
from objectives.services import ApiName, LlmApi, OtherService, Services, SttService
from objectives.traffic.workload import Traffic, Workload
from study.spec.search_space import OF_TURNS
from study.spec.services.engines_beside import check_engine
from study.spec.services.keys import check_keys, check_own_keys
from study.spec.yaml_node import YamlEntry

NAME = re.compile(r"[a-z][a-z0-9]{0,19}")
# other things have these names, or figures that begin with them, and parameters of engines do
OF_ENGINES = tuple(engine.own_prefix.removesuffix(".") for engine in LLM_ENGINES.values())
APIS: tuple[ApiName, ...] = get_args(ApiName)
OF_TURN = {"llm": get_args(LlmApi), "stt": (SttService().api,)}
TAKEN = (*OF_ENGINES, "whisper", "host", "tenant", "turn", "free", *WHOLE)


def read_beside(services: YamlEntry) -> dict[str, OtherService]:
    """Read the entries of `services:` beside `llm` and `stt`, by name.

    Raises:
        BadInput: A name or key is wrong; it has file, line and key.
    """
    entries = services.items() if services.is_present else {}
    others: dict[str, OtherService] = {}
    for name, entry in entries.items():
        check_keys(entry, name)
        if name in OF_TURNS:
            _check_api_of_turns(entry, name)
            continue
        if not entry.is_mapping or "api" not in entry.items():
            raise entry.wrong(
                "it is neither `llm` nor `stt`, and names no api",
                f"write `api:` {', '.join(APIS[:-1])} or {APIS[-1]}, and `command:` or `engine:`",
            )
        if not NAME.fullmatch(name) or name in TAKEN:
            raise entry.wrong(
                f"{name!r} cannot name a service",
                "use up to 20 small letters and digits that name nothing else, such as `embed`",
            )
        named: OtherService = entry.build(OtherService)
        service = as_unnamed(named)
        check_engine(entry, name, service, named.engine)
        check_own_keys(entry, service)
        others[name] = service
    return others


def _check_api_of_turns(entry: YamlEntry, name: str) -> None:
    """Refuse an API by which no turn asks this service.

    Raises:
        BadInput: It is another service's; it has file, line and key.
    """
    own, api = OF_TURN[name], entry.at("api")
    if api.is_present and api.text in APIS and api.text not in own:
        raise api.wrong(
            f"a turn asks {name} by {' or '.join(own)}, and not by {api.text}",
            f"remove it, or give what speaks {api.text} a name of its own in services",
        )


def check_rates(entry: YamlEntry, workload: Workload) -> None:
    """Refuse a rate that sends nothing in the window, or no end of requests.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    for of in workload.beside:
        expected = of.per_s * workload.window_s
        if of.service in workload.turn and not of.per_s:
            continue  # it gets those of turns
        if round(expected / of.burst) < 1 or expected > 1e6:
            raise entry.at(of.service, "per_s").wrong(
                f"it sends {expected:g} requests in window_s",
                f"write at least {of.burst / workload.window_s:g}, or another window_s",
            )


def traffic_beside(services: Services) -> tuple[Traffic, ...]:
    """Return what the services beside a turn get."""
    return tuple(
        Traffic(name, s.api, s.per_s, s.burst, s.tokens, s.output_tokens * (s.api in STREAMED))
        for name, s in services.items()
        if isinstance(s, OtherService)
    )


def shared_weights(weights: Weights, services: Services) -> Weights:
    """Return the weights of a preset, with what it gives to latency shared equally among more.

    Args:
        weights: The weights of the preset.
        services: The services that it does not know.

    >>> more = {"embed": OtherService(api="embeddings", command="serve {port}")}
    >>> shared_weights({"stt": 0.3, "llm": 0.3, "capacity": 0.4}, more)
    {'stt': 0.2, 'llm': 0.2, 'embed': 0.2, 'capacity': 0.4}
    """
    names = [*(n for n in weights if n not in WHOLE), *services]
    each = round(sum(weights.get(name, 0.0) for name in names) / len(names), 12)
    return dict.fromkeys(names, each) | {n: w for n, w in weights.items() if n in WHOLE}
