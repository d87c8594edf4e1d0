"""Refuse flags that the study sets itself, and that an engine is not told what it must be."""

from __future__ import annotations

from collections.abc import Iterable

from objectives.engines.command import option_of
from objectives.engines.engine import Engine
from study.spec.yaml_node import YamlEntry


def check_words(entry: YamlEntry, engine: Engine, named: Iterable[str]) -> None:
    """Refuse a flag that the study sets itself, or that nothing says what an engine must be told.

    Args:
        entry: The service's.
        engine: What serves it; a template is not read here.
        named: The parameters of the search space and the baseline.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    if engine.service.command is not None:
        return
    for word in engine.service.args:
        if engine.sets_itself(word):
            flag = word.partition("=")[0]
            raise entry.at("args").wrong(f"{flag} is set by the study itself", "remove it")
    ours = [n.removeprefix(engine.prefix) for n in named if n.startswith(engine.prefix)]
    if wrong := engine.missing([option_of(option) for option in ours]):
        raise entry.at("args").wrong(*wrong)
