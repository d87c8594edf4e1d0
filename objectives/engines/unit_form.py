"""A form says how a server that runs today is recognised and read; each engine has its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from objectives.allocation import Scalar

Role = Literal["llm", "stt", "embeddings", "rerank", "speech"]


@dataclass(frozen=True, slots=True)
class Known:
    """A known server is told by its command or its Python module.

    Args:
        engine: Its name, as people write it.
        role: What it serves, where its flags and its model do not say otherwise.
        command: A pattern of its command's name.
        module: A pattern of its module, or of a script of its own.
        verb: The word that must follow; empty: none.
        key: Its name as `services.llm.engine`; empty where a template starts it.
        ranks: Whether a model's name alone makes it rank.
    """

    engine: str
    role: Role
    command: str = ""
    module: str = ""
    verb: str = ""
    key: str = ""
    ranks: bool = False


@dataclass(frozen=True, slots=True)
class Image:
    """A well-known image starts a program, where nothing names another entrypoint.

    Args:
        pattern: Of its name without its tag.
        words: The words before the container's own.
        usual: The container's own words where it has none.
    """

    pattern: str
    words: tuple[str, ...]
    usual: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Words:
    """These words of an LLM server are filled in by the study.

    Args:
        model: The flags that name the model, the first one as the study writes it.
        host: The flag of its address; None: it has none.
        ports: The flags of its port.
        memory: The flags of its memory, by the study's parameter.
        usual: Its memory where no flag says it, by the study's parameter.
        port: Its own default port.
        health_path: The path that says 200 once it is ready.
        has_metrics: Whether it has Prometheus' page.
        variables: By the study's parameter, the variable that sets its memory instead.
        is_free: Whether its model may be a word of its own.
        first: The word before all others; empty: none.
        own: By the study's parameter of a template, that of the engine.
        set_by_study: Its flags that the study sets itself.
        files: Of the flags of `model` those that name what the engine takes; empty: all do.
        address: The variable of its address, where it has no flag for it; empty: none.
        prefix: The beginning of its variables, all of which are kept; empty: none are.
        loaded: Asks the server at a port for its model, which a request names; None: it has one.
    """

    model: tuple[str, ...]
    ports: tuple[str, ...] = ("--port",)
    host: str | None = "--host"
    memory: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    usual: Mapping[str, Scalar] = field(default_factory=dict)
    port: int = 8000
    health_path: str = "/health"
    has_metrics: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    is_free: bool = False
    first: str = ""
    own: Mapping[str, str] = field(default_factory=dict)
    set_by_study: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    address: str = ""
    prefix: str = ""
    loaded: Callable[[int], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Speaks:
    """An engine of a third service is started and asked like this.

    Args:
        port: Its own default port.
        ports: The flag of its port.
        host: The flag of its address; None: it has none.
        health_path: The path that says 200 once it is ready.
        more: Words that the study adds, so that it speaks as OpenAI's API does.
        is_searched: Whether its batch may be searched.
        inside: The port in its image, where no flag moves it; None: a flag does.
    """

    port: int = 8000
    ports: str = "--port"
    host: str | None = "--host"
    health_path: str = "/health"
    more: tuple[str, ...] = ()
    is_searched: bool = False
    inside: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitForm:
    """A form is how the servers of an engine run where no study started them.

    Args:
        known: What their commands are.
        images: Their well-known images.
        commands: The names of their commands, which may stand behind an image.
        is_package: Whether a Python package installs those beside its interpreter.
        words: How the command of an LLM server is read, by its name; none for one with a share.
        speaks: How a third service is read; None: it serves none.
        transcribes: Whether a template starts it for speech recognition, by the words of its LLM.
        variables: The beginning of its own variables; empty: none are its own.
        kept: A pattern of the variables of its own that the study keeps.
        unset: Those that the study sets itself.
        share_flag: The flag of its share; empty: it has none.
        own_flags: Its flags that the study sets itself.
        alone: Its flags that take no value.
    """

    known: tuple[Known, ...]
    images: tuple[Image, ...] = ()
    commands: tuple[str, ...] = ()
    is_package: bool = False
    words: Mapping[str, Words] = field(default_factory=dict)
    speaks: Speaks | None = None
    transcribes: bool = False
    variables: str = ""
    kept: str = ""
    unset: tuple[str, ...] = ()
    share_flag: str = ""
    own_flags: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
