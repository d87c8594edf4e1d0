"""Keys of a service's entry are refused that nothing reads, or no program can be started with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from objectives.allocation import RESIDENT
from objectives.engines.command import option_of
from objectives.engines.engine import Engine
from objectives.engines.llm_options import LlmOptions
from objectives.engines.places import PLACE
from objectives.figures import STREAMED
from objectives.services import OtherService
from study.spec.services.shell_words import check_flag
from study.spec.yaml_node import YamlEntry

OF_SEVERAL = ("embeddings", "rerank")  # texts in a request
OF_LLMS = ("metrics_path", "vocabulary", "output_tokens")
OF_TEXTS = ("texts", "tokens")  # keys of what is sent no clips
NUL = "\0"
GLUED = re.compile(r"(--?[A-Za-z][\w-]*)\s+(.*)", re.DOTALL)


def check_keys(entry: YamlEntry, name: str) -> None:
    """Refuse what no service may say: of turns, or beside them.

    Args:
        entry: The service's.
        name: Its name.

    Raises:
        BadInput: There is something; it has file, line and key.
    """
    for key in (PLACE, RESIDENT):
        if entry.at(key).is_list:
            way_out = f"write one value, or the list as {name}.{key} in search_space"
            raise entry.at(key).wrong("a list stands where a single value belongs", way_out)
    for key in ("health_path", "metrics_path"):
        page = entry.at(key)
        if page.is_present and page.text and not page.text.startswith("/"):
            what = f"{page.quotation} is no path of the server"
            raise page.wrong(what, "begin it with /, as in /health")
    for value in _texts(entry):
        if NUL in value.text:
            raise value.wrong("no program is started with a NUL in its words", "remove it")
    for variable in entry.at("env").entries():
        key = variable.path[-1]
        if not key or "=" in key or NUL in key:
            what = f"{key!r} cannot name a variable"
            raise entry.at("env").wrong(what, "write `NAME: value`, without = in the name")


def _texts(entry: YamlEntry) -> Iterator[YamlEntry]:
    if not entry.is_list and not entry.is_mapping:
        yield entry
    for below in entry.elements() if entry.is_list else entry.entries():
        yield from _texts(below)


def check_own_keys(entry: YamlEntry, service: OtherService) -> None:
    """Refuse keys of a service beside the turn that its API has no use for.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    if service.tokens[0] > service.tokens[1]:
        what = "the shortest is longer than the longest"
        raise entry.at("tokens").wrong(what, "write [low, high]")
    for key in OF_TEXTS if service.api == "transcription" else ():
        if entry.at(key).is_present:
            raise entry.at(key).wrong("clips are sent, and no texts", "remove it")
    if service.api not in OF_SEVERAL and service.texts != 1:
        what = f"{service.texts} texts, where {service.api} takes one at a time"
        raise entry.at("texts").wrong(what, "leave it out")
    for key in OF_LLMS if service.api not in STREAMED else ():
        if entry.at(key).is_present:
            raise entry.at(key).wrong("only an LLM has it", "remove it")
    if service.api != "transcription" and entry.at("language").is_present:
        raise entry.at("language").wrong("only what transcribes has it", "remove it")


def refuse_unread(entry: YamlEntry, engine: Engine) -> None:
    """Refuse keys of an LLM that its engine, or its API, does not read.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    if not isinstance(engine, LlmOptions):
        return
    unread = dict(engine.unread)
    if engine.service.api == "chat":
        unread.setdefault("vocabulary", "a chat is sent words, and no token ids")
    for key, why in unread.items():
        if entry.at(key).is_present:
            raise entry.at(key).wrong(f"nothing reads it: {why}", "remove it")


def check_words(entry: YamlEntry, engine: Engine, named: Iterable[str]) -> None:
    """Refuse a flag that the study sets or no server reads, and what nothing tells an engine.

    Args:
        entry: The service's.
        engine: What serves it; a template is not read here.
        named: The parameters of the search space and the baseline.

    Raises:
        BadInput: There is one; it has file, line and key.
    """
    if engine.service.command is not None:
        return
    if (first := next(iter(engine.service.args), "-"))[:1] != "-":
        raise entry.at("args").wrong(f"{first!r} is no flag", "begin each flag with --")
    for word in engine.service.args:
        check_flag(entry.at("args"), word)
        if glued := GLUED.fullmatch(word):
            what = f"{word!r} is one word to the server"
            raise entry.at("args").wrong(what, f'write two: {glued[1]}, "{glued[2]}"')
        if engine.sets_itself(word):
            flag = word.partition("=")[0]
            raise entry.at("args").wrong(f"{flag} is set by the study itself", "remove it")
    ours = [n.removeprefix(engine.prefix) for n in named if n.startswith(engine.prefix)]
    if wrong := engine.missing([option_of(option) for option in ours]):
        raise entry.at(engine.words_key).wrong(*wrong)
