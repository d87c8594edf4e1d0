"""This module reads how the speech server of turns is started, and what its engine needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from objectives.engines.registry import SPEECH_ENGINES, as_unnamed, speech_engine
from objectives.services import COMPUTE_TYPES, SttService
from study.spec.files import interpreter
from study.spec.yaml_node import YamlEntry


def read_speech(entry: YamlEntry, device: str, folder: Path | None) -> SttService:
    """Return the speech server of turns, checked.

    Args:
        entry: Its entry.
        device: The study's.
        folder: The spec's, for a live study, whose interpreter must exist; else None.

    Raises:
        BadInput: Something is wrong; it has file, line and key.
    """
    stt: SttService = entry.build(SttService) if entry.is_present else SttService()
    if not entry.at("device").is_present:
        stt = replace(stt, device="cpu" if device == "cpu" else "cuda")
    elif stt.device == "cuda" and device == "cpu":
        raise entry.at("device").wrong("cuda, where the study's device is cpu", "write cpu")
    if not entry.at("compute_type").is_present:
        stt = replace(stt, compute_type=COMPUTE_TYPES[stt.device])
    if stt.engine:
        _check_engine(entry, stt)
        stt = as_unnamed(stt)
    if stt.command is not None or folder is None:
        return stt
    return replace(stt, python=interpreter(entry.at("python"), stt.python, folder))


def _check_engine(entry: YamlEntry, stt: SttService) -> None:
    """Refuse what the engine of speech does not have."""
    engine = speech_engine(stt)
    if stt.command is not None:
        raise entry.at("command").wrong(f"{stt.engine} has its own", "remove one of them")
    for key in {key for kind in SPEECH_ENGINES.values() for key in kind.own_keys}:
        if entry.at(key).is_present and key not in engine.own_keys:
            way_out = f"remove it; its flags are {engine.prefix}<flag> and args"
            raise entry.at(key).wrong(f"{stt.engine} has no such key", way_out)
