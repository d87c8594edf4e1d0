"""This module checks the options of our speech server: its arithmetic, and its whole numbers."""

from __future__ import annotations

from collections.abc import Mapping

from objectives.engines.registry import SpeechEngine
from objectives.plain_data.ranges import Range
from objectives.services import SttService
from study.spec.yaml_node import YamlEntry
from study.text import meant

PREFIX = "whisper."
ARITHMETIC = "compute_type"
ARITHMETICS = SpeechEngine.precisions
BY_ITSELF = ("auto", "default")  # it takes what the device does best, or the model's file has
WHOLE: Mapping[str, Range] = {
    "beam_size": Range(1, 10_000),
    "extra_mib": Range(0, 1e7),
    "threads": Range(0, 10_000),
    "max_new_tokens": Range(4, 224),
}


def check_speech_options(top: YamlEntry, stt: SttService) -> None:
    """Refuse values that our speech server cannot be started with.

    Another server, of an engine or a template, is not known here.

    Args:
        top: The spec.
        stt: Its speech server.

    Raises:
        BadInput: A value is wrong; the error has its line.
    """
    if stt.command is not None or stt.engine:
        return
    entries = [(top.at("services", "stt", ARITHMETIC), ARITHMETIC)]
    entries += [
        (entry, entry.path[-1].removeprefix(PREFIX).replace("-", "_"))
        for key in ("search_space", "baseline")
        for entry in top.at(key).entries()
        if entry.path[-1].startswith(PREFIX)
    ]
    for entry, option in entries:
        for value in _values(entry):
            if option in WHOLE:
                value.build(int, WHOLE[option])
            elif option == ARITHMETIC and value.scalar() not in (*ARITHMETICS, *BY_ITSELF):
                what = f"{value.quotation} is no arithmetic of CTranslate2"
                raise value.wrong(what, meant(str(value.scalar()), ARITHMETICS))
        if option in WHOLE and entry.is_mapping and (step := entry.at("step")).is_present:
            step.build(int, Range(1, WHOLE[option].high))


def _values(entry: YamlEntry) -> list[YamlEntry]:
    """Return each value of a searched option, of one in use today, or of a key; none of nothing."""
    if not entry.is_present:
        return []
    if entry.is_mapping:  # a range
        return [entry.at("low"), entry.at("high")]
    return entry.elements() if entry.is_list else [entry]
