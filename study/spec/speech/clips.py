"""This module reads which speech a study sends, and which it counts the words of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from objectives.services import SttService
from objectives.traffic.clips import SHIPPED, read_clips
from objectives.traffic.workload import Workload
from study.spec.files import file_at
from study.spec.yaml_node import YamlEntry


def place_clips(
    top: YamlEntry,
    workload: Workload,
    folder: Path,
    stt: SttService,
    sizes: Sequence[str],
    *,
    is_live: bool,
    is_here: bool,
) -> Workload:
    """Return the workload with absolute folders of the user's own clips, which are checked.

    A live study counts the words of `dictation`, where the spec names neither words nor clips of
    its own.

    Args:
        top: The spec.
        workload: Its traffic.
        folder: The spec's.
        stt: Its speech server.
        sizes: The sizes of its model that may be launched.
        is_live: Whether speech is sent.
        is_here: Whether it is sent on this machine, so that it must be here.

    Raises:
        BadInput: Clips are missing or malformed, or in another language than the service's.
    """
    clips, words = workload.clips, workload.words
    if is_live and words is None and clips == "assistant":
        words = "dictation"
    must_exist = is_live and is_here

    def placed(source: str, key: str) -> str:
        entry = top.at("workload", key)
        if source not in SHIPPED:
            path = file_at(source, (folder, Path()), lambda f: (f / "manifest.jsonl").is_file())
            if path is None and must_exist:
                raise entry.wrong(
                    f"there is no folder {source!r} with a manifest.jsonl",
                    f"name one, or write {' or '.join(SHIPPED)}",
                )
            source = str(path or source)
        if must_exist:
            _check_language(entry, source, stt, sizes)
        return source

    clips, words = placed(clips, "clips"), words and placed(words, "words")
    return replace(workload, clips=clips, words=None if words == clips else words)


def _check_language(entry: YamlEntry, source: str, stt: SttService, sizes: Sequence[str]) -> None:
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
