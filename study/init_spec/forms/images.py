"""Well-known images start these programs, where nothing names another entrypoint."""

from __future__ import annotations

import re

# the first pattern that a name without its tag matches, and the words before the container's own
ENTRYPOINTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        r"vllm/vllm-openai|vllm-openai|public\.ecr\.aws/.*/vllm.*|vllm-cpu-release-repo",
        ("vllm", "serve"),
    ),
    (r"llama\.cpp|llama-cpp", ("llama-server",)),
    (r"whisper\.cpp", ("bash", "-c")),
    (r"ollama", ("ollama",)),
    (r"text-generation-inference", ("text-generation-launcher",)),
    (r"text-embeddings-inference", ("text-embeddings-router",)),
    (r"michaelf34/infinity|infinity_emb", ("infinity_emb",)),
    (r"faster-whisper-server", ("faster-whisper-server",)),
    (r"speaches", ("speaches",)),
    (r"wyoming-whisper|linuxserver/faster-whisper", ("wyoming-faster-whisper",)),
    (r"wyoming-piper|linuxserver/piper", ("wyoming-piper",)),
    (r"openai-whisper-asr-webservice", ("whisper-asr-webservice",)),
    (r"kokoro-fastapi", ("kokoro-fastapi",)),
    (r"openedai-speech", ("openedai-speech",)),
    (r"chatterbox-tts", ("chatterbox-tts",)),
    (r"aphrodite", ("aphrodite", "run")),
)


def entrypoint(image: str) -> tuple[str, ...]:
    """Return the words that an image puts before the container's own; empty where not known.

    >>> entrypoint("docker.io/vllm/vllm-openai:v0.11.0"), entrypoint("registry:5000/mine@sha256:ab")
    (('vllm', 'serve'), ())
    """
    name = bare(image)
    return next((words for pattern, words in ENTRYPOINTS if re.search(pattern, name)), ())


def bare(image: str) -> str:
    """Return the name of an image without its tag and digest.

    >>> bare("registry:5000/a/b:1.0@sha256:ab")
    'registry:5000/a/b'
    """
    name = image.partition("@")[0]
    head, sep, tail = name.rpartition(":")
    return head if sep and "/" not in tail else name
