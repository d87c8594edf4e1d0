"""This module refuses what would override a share of the memory that a study searches."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from objectives.allocation import OF_MEMORY
from objectives.engines.engine import Engine
from study.spec.yaml_node import YamlEntry

BESIDE = "beside a searched share"


def refuse_overrides(
    entry: YamlEntry,
    engine: Engine,
    searched: Collection[str],
    named: Mapping[str, YamlEntry],
    *,
    is_live: bool,
) -> None:
    """Refuse a flag, a parameter or a variable beside which a server does not keep to its share.

    Args:
        entry: The service's.
        engine: What serves it.
        searched: The parameters of the search space, by name.
        named: Those of the search space and the baseline, by name.
        is_live: Whether servers are started, which have the variables of this shell too.
    """
    of_turns, own = {*OF_MEMORY} & {*searched}, f"{engine.prefix}{engine.share_option}"
    if not (of_turns if engine.has_share else engine.share_option and own in searched):
        return
    whose = "the LLM's memory" if engine.has_share else own
    way_out, service = f"remove it, or do not search {whose}", engine.service
    is_template = service.command is not None
    words = service.args if service.command is None else service.command.split()
    for word in words:
        if flag := engine.overriding(word):
            where = entry.at("command" if is_template else "args")
            raise where.wrong(f"{flag[0]} {BESIDE}: {flag[1]}", way_out)
    for name, at in named.items() if not is_template else ():
        option = name.removeprefix(engine.prefix)
        if option != name and (flag := engine.overriding(f"--{option}")):
            raise at.wrong(f"{BESIDE}, {flag[1]}", way_out)
    for name, value in service.env.items():
        if why := engine.overriding_variable(name, value):
            raise entry.at("env", name).wrong(f"{value} {BESIDE}: {why}", way_out)
    for name in engine.own_variables if is_live else ():
        if why := engine.overriding_variable(name, os.environ.get(name, "")):
            raise entry.at("env", name).wrong(
                f"this shell sets it, {BESIDE}: {why}", f"run `unset {name}`"
            )
