"""The command of a template is read down to the server's own words, through its container."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from objectives.allocation import SHARE, Allocation
from objectives.apis.metrics_page import amount
from objectives.engines.command import flag_value
from objectives.engines.every import arithmetic_of
from objectives.engines.registry import LLM_ENGINES
from objectives.errors import SetupError
from objectives.fit.arithmetic import Arithmetic
from objectives.services import LlmService, OtherService
from study.fit.model_folder import HUB_ID, in_cache
from study.server_words.docker_run import PROGRAMS, bound_folders, host_path, run_at, run_words
from study.server_words.images import words_in
from study.server_words.programs import program_of

CACHES = ("", "hub", "huggingface/hub", ".cache/huggingface/hub")  # in a folder that is bound
TAG = re.compile(r":v?([0-9]+\.[0-9]+[0-9.]*)")


@dataclass(frozen=True, slots=True)
class OwnWords:
    """The own words of a server have its files as this machine has them.

    Args:
        argv: The words; of a known server from its name on, with `--model` before its model.
        key: Its engine's name as `services.llm.engine`; empty where it is none of those.
        image: The image that it runs in; empty outside a container.
        folders: The folders of this machine that its container sees.
        lost: The files that only its container has.
    """

    argv: tuple[str, ...]
    key: str = ""
    image: str = ""
    folders: tuple[Path, ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def version(self) -> str | None:
        """Return its version as the tag of its image has it; None where that has none."""
        tag = TAG.search(self.image)
        return tag[1] if tag else None

    def placed(self, model: str) -> str:
        """Return a model where it lies on this machine, as far as its container tells.

        Raises:
            SetupError: It is a file that only the container has.
        """
        if model in self.lost:
            raise SetupError(
                f"{model} is a path in the LLM's container, and no --volume or --mount of its "
                "`command:` says which folder of this machine that is; add the one it has"
            )
        if HUB_ID.fullmatch(model):
            caches = [folder / name for folder in self.folders for name in CACHES]
            return str(in_cache(model, caches) or model)
        return model

    def with_share(self, allocation: Allocation) -> Allocation:
        """Return an allocation with the share that the words say, or the engine's own without."""
        kind = LLM_ENGINES.get(self.key)
        if kind is None or not kind.asks_for_share or kind.unit_form is None:
            return allocation
        said = flag_value(kind.unit_form.share_flag.strip("-").replace("-", "_"), self.argv)
        share = amount(said or "") or kind.default_share
        return Allocation({**allocation.values, SHARE: share})


def own_words(service: LlmService | OtherService, argv: Sequence[str]) -> OwnWords:
    """Return the own words of a server; of one that no template starts they are all its words.

    Args:
        service: The service.
        argv: The command that starts it.
    """
    if service.command is None:
        return OwnWords(tuple(argv))
    place = run_at(argv) if argv and Path(argv[0]).name in PROGRAMS else None
    if place is None or argv[place] != "run":
        return _known(OwnWords(tuple(argv)))
    run = run_words(argv[place + 1 :])
    entry = run.values("--entrypoint")
    words = _apart(words_in(run.image, entry[-1].split() if entry else None, run.command))
    placed = {w: host_path(run.options, Path(w)) for w in words if w.startswith("/")}
    return _known(
        OwnWords(
            tuple(str(placed.get(word) or word) for word in words),
            image=run.image,
            folders=tuple(bound_folders(run.options)),
            lost=tuple(word for word, path in placed.items() if path is None),
        )
    )


def _known(words: OwnWords) -> OwnWords:
    """Return the words of a known server from its name on, with `--model` before its model."""
    program = program_of(words.argv)
    kind = LLM_ENGINES.get(program.key) if program else None
    if program is None or kind is None or kind.unit_form is None:
        return words
    behind = _apart(words.argv[program.start :])
    if behind[:1] and not behind[0].startswith("-"):  # `vllm serve MODEL`
        behind.insert(0, "--model")
    argv = (kind.program or program.key, *behind)
    return replace(words, argv=argv, key=program.key)


def _apart(words: Iterable[str]) -> list[str]:
    """Return words with a model as a word of its own."""
    pairs = (w.split("=", 1) if w.startswith("--model=") else [w] for w in words)
    return [part for pair in pairs for part in pair]


def known_arithmetic(service: LlmService, words: OwnWords) -> Arithmetic:
    """Return the arithmetic of what serves an LLM, also where a template starts it.

    Raises:
        SetupError: What it takes is not known by its files.
    """
    kind = LLM_ENGINES.get(words.key)
    own = kind.arithmetic if kind else None
    if own is not None and (service.model or own.model_of(words.argv)):
        return own
    return arithmetic_of(service, words.argv)
