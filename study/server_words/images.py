"""Well-known images start these programs, where nothing names another entrypoint."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from objectives.engines.every import unit_forms
from objectives.engines.unit_form import Image

# the first whose pattern a name without its tag matches; an engine's own are in its room
IMAGES = (
    *(image for form in unit_forms() for image in form.images),
    Image(r"whisper\.cpp", ("bash", "-c")),
    Image(r"text-generation-inference", ("text-generation-launcher",)),
    Image(r"text-embeddings-inference", ("text-embeddings-router",)),
    Image(r"michaelf34/infinity|infinity_emb", ("infinity_emb",)),
    Image(r"wyoming-piper|linuxserver/piper", ("wyoming-piper",)),
    Image(r"openai-whisper-asr-webservice", ("whisper-asr-webservice",)),
    Image(r"kokoro-fastapi", ("kokoro-fastapi",)),
    Image(r"openedai-speech", ("openedai-speech",)),
    Image(r"chatterbox-tts", ("chatterbox-tts",)),
    Image(r"aphrodite", ("aphrodite", "run")),
)

# commands that stand behind an image in place of flags of its entrypoint
STARTERS = {"python", "python3", "bash", "sh", "exec", "env", "uvicorn", "uv", "nice", "tini"}
STARTERS |= {"infinity_emb", "text-embeddings-router", "whisper-server", "numactl"}
STARTERS |= {"text-generation-launcher", *(c for form in unit_forms() for c in form.commands)}


def words_in(image: str, entry: Sequence[str] | None, command: Sequence[str]) -> tuple[str, ...]:
    """Return the words that run in a container: its entrypoint and those behind the image.

    Args:
        image: The image.
        entry: What replaces the image's entrypoint; None: nothing.
        command: The words behind the image, as written.
    """
    own, words = entrypoint(image), tuple(command)
    first = own if entry is None else tuple(entry)
    if not words and first == own:
        words = usual_words(image)
    if entry is None and words[:1] and not words[0].startswith("-"):
        # an image's entrypoint takes flags, or a command of its own: `IMAGE vllm serve MODEL`
        is_command = PurePath(words[0]).name in STARTERS or "/bin/" in words[0]
        first = () if is_command else first[:-1] if words[:1] == first[-1:] else first
    return (*first, *words)


def entrypoint(image: str) -> tuple[str, ...]:
    """Return the words that an image puts before the container's own; empty where not known.

    >>> entrypoint("docker.io/vllm/vllm-openai:v0.11.0"), entrypoint("registry:5000/mine@sha256:ab")
    (('vllm', 'serve'), ())
    """
    known = _known(image)
    return known.words if known else ()


def usual_words(image: str) -> tuple[str, ...]:
    """Return the words of a container of an image that has none of its own."""
    known = _known(image)
    return known.usual if known else ()


def _known(image: str) -> Image | None:
    name = bare(image)
    return next((known for known in IMAGES if re.search(known.pattern, name)), None)


def bare(image: str) -> str:
    """Return the name of an image without its tag and digest.

    >>> bare("registry:5000/a/b:1.0@sha256:ab")
    'registry:5000/a/b'
    """
    name = image.partition("@")[0]
    head, sep, tail = name.rpartition(":")
    return head if sep and "/" not in tail else name
