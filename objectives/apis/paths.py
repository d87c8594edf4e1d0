"""The path of each API's requests stands here by the API's name."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.apis.chat import Chat
from objectives.apis.completions import Completions
from objectives.apis.texts import Embeddings, Rerank, Speech
from objectives.apis.transcription import Transcriptions
from objectives.services import ApiName

PATHS: Mapping[ApiName, str] = {
    "completions": Completions.path,
    "chat": Chat.path,
    "transcription": Transcriptions.path,
    "embeddings": Embeddings.path,
    "rerank": Rerank.path,
    "speech": Speech.path,
}
