"""This module recognises and reads servers on faster-whisper that no study started."""

from __future__ import annotations

from objectives.engines.unit_form import Image, Known, UnitForm

FORM = UnitForm(
    known=(
        Known("faster-whisper-server", "stt", "faster-whisper-server", r"faster_whisper_server.*"),
        Known("speaches", "stt", "speaches", r"speaches(\..*)?"),
        Known("wyoming-faster-whisper", "stt", "wyoming-faster-whisper", "wyoming_faster_whisper"),
    ),
    images=(
        Image(r"faster-whisper-server", ("faster-whisper-server",)),
        Image(r"speaches", ("speaches",)),
        Image(r"wyoming-whisper|linuxserver/faster-whisper", ("wyoming-faster-whisper",)),
    ),
    commands=("faster-whisper-server", "wyoming-faster-whisper"),
    is_package=True,
)
