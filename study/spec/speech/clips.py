"""Read which speech a study sends, and which it counts the words of; refuse what cannot be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from objectives.services import Services, SttService
from objectives.traffic.clips import SHIPPED, read_clips
from objectives.traffic.workload import Workload
from study.spec.services import file_at, speech
from study.spec.yaml_node import YamlEntry


def place_clips(
    top: YamlEntry,
    plain: dict[str, Any],
    folder: Path,
    services: Services,
    sizes: Iterable[str],
    *,
    is_live: bool,
) -> None:
    """Make the folders of the user's own clips absolute, and read them for a live study.

    Its words are those of `dictation`, where the spec names neither them nor clips of its own.

    Args:
        folder: The spec's.
        services: One of them transcribes.
        sizes: The sizes of its model that may be launched.
        is_live: Whether they are sent, so that they must be here.

    Raises:
        BadInput: Clips are missing or malformed, or in another language than the service's.
    """
    workload, stt = plain.get("workload", Workload()), speech(services)
    if is_live and workload.words is None and workload.clips == "assistant":
        workload = replace(workload, words="dictation")
    for key in ("clips", "words"):
        source = getattr(workload, key)
        if source is None:
            continue
        entry = top.at("workload", key)
        if source not in SHIPPED:
            path = file_at(source, (folder, Path()), lambda f: (f / "manifest.jsonl").is_file())
            if path is not None:
                source = str(path)
                workload = replace(workload, **{key: source})
            elif is_live:
                raise entry.wrong(
                    f"there is no folder {source!r} with a manifest.jsonl",
                    f"name one, or write {' or '.join(SHIPPED)}",
                )
        if is_live:
            _check_language(entry, source, stt, sizes)
    is_one_set = workload.words == workload.clips
    plain["workload"] = replace(workload, words=None) if is_one_set else workload


def _check_language(entry: YamlEntry, source: str, stt: SttService, sizes: Iterable[str]) -> None:
    """Refuse clips in a language that the server is not asked for, or has no words of."""
    languages = {c.language for c in read_clips(source)}
    if None in languages and stt.language != "en":
        raise entry.wrong(
            f"the clips of {source} are English, and services.stt.language is {stt.language}",
            f'name a folder of your own whose lines have `"language": "{stt.language}"`',
        )
    others = sorted(str(code) for code in languages - {None, "en"})
    english = [size for size in sizes if size.endswith(".en")]
    if others and english:
        raise entry.wrong(
            f"clips of {source} are in {others[0]}, and {english[0]} knows English only",
            f"search {english[0].removesuffix('.en')} instead",
        )
