"""This module asks every engine of an LLM, where nobody knows which one a server has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from objectives.apis.metrics_page import CachePage
from objectives.engines.registry import (
    LLM_ENGINES,
    SpeechEngine,
    llm_engine,
    llm_of_turns,
)
from objectives.engines.unit_form import UnitForm
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.services import LlmService, Services

LATENCIES = "e2e_request_latency_seconds"  # of whole requests, where a page names no engine


def cache_on(page: str) -> CachePage:
    """Return what a Prometheus page tells of a KV cache, whichever engine wrote it."""
    caches = (kind.on_page(page) for kind in LLM_ENGINES.values())
    return next((cache for cache in caches if cache != CachePage()), CachePage())


def latency_histograms() -> tuple[str, ...]:
    """Return the names of the histograms of whole requests' latencies."""
    return (LATENCIES, *(kind.latencies for kind in LLM_ENGINES.values() if kind.latencies))


def compile_caches() -> dict[str, str]:
    """Return the folders in ~/.cache in which engines compile, by the variable that moves each."""
    return dict(kind.compile_cache for kind in LLM_ENGINES.values() if all(kind.compile_cache))


def arithmetic_of(service: LlmService, argv: Sequence[str]) -> Arithmetic:
    """Return the arithmetic of what serves an LLM, which a template's command tells.

    Args:
        service: The service.
        argv: The command that starts it.

    Raises:
        SetupError: What it takes is not known by its files.
    """
    known = [kind.arithmetic for kind in LLM_ENGINES.values() if kind.arithmetic is not None]
    titles = " and ".join(arithmetic.title for arithmetic in known)
    if service.command is None:
        if (own := llm_engine(service).arithmetic) is not None:
            return own
        raise SetupError(
            f"services.llm.engine: what {service.engine} takes is not known by its files; only "
            f"what {titles} take is"
        )
    named = next((a for a in known if a.knows(argv)), None)
    if named is None or named.model_of(argv) is None:
        forms = " and of ".join(a.template or a.title for a in known)
        raise SetupError(
            "services.llm.command: a template starts the LLM server, whose memory is not known "
            f"here; only that of {forms} is"
        )
    return named


def version_in(services: Services, versions: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return the version of what serves the LLM; None where it is not known.

    Args:
        services: The services.
        versions: The versions of packages, by service.
    """
    llm = llm_of_turns(services)
    return None if llm is None else llm.version_in(versions.get(llm.name, {}))


def unit_forms() -> tuple[UnitForm, ...]:
    """Return how the servers of each engine run where no study started them."""
    of_llms = [kind.unit_form for kind in LLM_ENGINES.values() if kind.unit_form is not None]
    return (*of_llms, SpeechEngine.unit_form)


def wakes_itself(argv: Sequence[str]) -> dict[str, str]:
    """Return how what a command starts wakes by itself, with the variable that says when it sleeps.

    >>> wakes_itself(("env", "A=1", "/usr/bin/ollama", "serve")), wakes_itself(("vllm", "serve"))
    ({'keep_alive': 'OLLAMA_KEEP_ALIVE'}, {})
    """
    names, wakers = {PurePath(word).name for word in argv}, dict[str, str]()
    for kind in LLM_ENGINES.values():
        if kind.unit_form is not None and names.intersection(kind.unit_form.commands):
            wakers |= kind.own_wakers
    return wakers


def sleep_modes() -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the paths of each sleep mode, and the flag and the variable that it needs."""
    kinds = LLM_ENGINES.values()
    return [(kind.sleep_paths, kind.sleep_words) for kind in kinds if kind.sleep_paths[0]]


def form_of(engine: str) -> UnitForm | None:
    """Return the form of a server by its name, as people write it; None for one of no engine."""
    forms = (f for f in unit_forms() if any(known.engine == engine for known in f.known))
    return next(forms, None)
