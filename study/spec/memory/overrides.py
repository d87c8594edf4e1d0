"""Refuse what would override the share of the memory that a study searches."""

from __future__ import annotations

import os
from collections.abc import Mapping

from objectives.engines.engine import llm_engine
from objectives.services import LlmService
from study.spec.yaml_node import YamlEntry

BESIDE = "beside a searched share"
WAY_OUT = "remove it, or do not search the LLM's memory"


def refuse_overrides(
    entry: YamlEntry, llm: LlmService, named: Mapping[str, YamlEntry], *, is_live: bool
) -> None:
    """Refuse a flag, a parameter or a variable beside which a server does not keep to its share.

    Args:
        entry: The service's.
        llm: What it says.
        named: The parameters of the search space and the baseline, by name.
        is_live: Whether servers are started, which have the variables of this shell too.
    """
    is_template, engine = llm.command is not None, llm_engine(llm)
    words = llm.args if llm.command is None else llm.command.split()
    for word in words:
        if flag := engine.overriding(word):
            where = entry.at("command" if is_template else "args")
            raise where.wrong(f"{flag[0]} {BESIDE}: {flag[1]}", WAY_OUT)
    for name, at in named.items() if not is_template else ():
        option = name.removeprefix(engine.prefix)
        if option != name and (flag := engine.overriding(f"--{option}")):
            raise at.wrong(f"{BESIDE}, {flag[1]}", WAY_OUT)
    for name, value in llm.env.items():
        if why := engine.overriding_variable(name, value):
            raise entry.at("env", name).wrong(f"{value} {BESIDE}: {why}", WAY_OUT)
    for name in engine.own_variables if is_live else ():
        if why := engine.overriding_variable(name, os.environ.get(name, "")):
            raise entry.at("env", name).wrong(
                f"this shell sets it, {BESIDE}: {why}", f"run `unset {name}`"
            )
