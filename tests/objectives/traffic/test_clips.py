"""Clips of one's own are checked to the last file, and every mistake has its line."""

import json
import math
import wave
from pathlib import Path

import numpy as np
import pytest

from objectives.apis.transcription import transcription
from objectives.errors import BadInput
from objectives.traffic.clips import Clip, digest, read_clips


def sound(path: Path, seconds: float = 1.0) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        tone = 9000 * np.sin(np.arange(round(16_000 * seconds)) * 0.1)
        file.writeframes(tone.astype(np.int16).tobytes())


def manifest(folder: Path, *lines: object) -> str:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "manifest.jsonl").write_text("\n".join(texts), encoding="utf-8")
    return str(folder)


def test_a_folder_needs_files_and_texts_only(tmp_path):
    sound(tmp_path / "a.wav", 1.25)
    sound(tmp_path / "b.wav", 2.0)
    first = {"file": "a.wav", "text": "Licht aus!", "language": "de", "speaker": "anyone"}
    second = {"file": "b.wav", "text": "At 6:45.", "refs": ["at 6.45", "At 6:45."], "seconds": 2.0}
    a, b = read_clips(manifest(tmp_path, first, "", second))
    assert (a.name, a.seconds, a.references, a.language) == ("a.wav", 1.25, ("Licht aus!",), "de")
    assert (b.seconds, b.references, b.language) == (2.0, ("At 6:45.", "at 6.45"), None)
    assert a.audio == (tmp_path / "a.wav").read_bytes()


GOOD = {"file": "a.wav", "text": "Lights off."}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("lights off", "it is not JSON"),
        ("[" * 10_000, "it is not JSON"),
        ("[1]", "it is no JSON object"),
        ({"text": "Lights off."}, "file is missing"),
        ({"file": "a.wav"}, "text is missing"),
        ({**GOOD, "file": 7}, "file is 7, no text"),
        ({**GOOD, "text": "  "}, "text is '  ', no text"),
        ({**GOOD, "text": "(laughter) ..."}, "holds no word once it is normalised"),
        ({**GOOD, "text": "(笑)", "language": "ja"}, "holds no word once it is normalised"),
        ({**GOOD, "refs": ["lights out", "?!"]}, "'?!' holds no word"),
        ({**GOOD, "refs": "lights out"}, "write a list of accepted texts"),
        ({**GOOD, "refs": ["lights out", ""]}, "write a list of accepted texts"),
        ({**GOOD, "file": "c.wav"}, "'c.wav' cannot be read"),
        ({**GOOD, "file": "."}, "'.' cannot be read"),
        ({**GOOD, "file": "a\0.wav"}, "cannot be read"),
        ({**GOOD, "file": "notes.txt"}, "'notes.txt' cannot be decoded as sound"),
        ({**GOOD, "file": "none.wav"}, "none.wav"),
        ({**GOOD, "file": "mute.wav"}, "'mute.wav' holds no sound (0 s)"),
        ({**GOOD, "seconds": 0}, "seconds is 0; write its length, or leave it out"),
        ({**GOOD, "seconds": -1.0}, "seconds is -1.0"),
        ({**GOOD, "seconds": "1"}, "seconds is '1'"),
        ({**GOOD, "seconds": True}, "seconds is True"),
        ({**GOOD, "seconds": math.inf}, "seconds is inf"),
        ({**GOOD, "seconds": 10**400}, "seconds is 1000"),
        ({**GOOD, "seconds": 9.5}, "seconds is 9.5, and 'a.wav' is 1.00 s long"),
        ({**GOOD, "language": "german"}, "language is 'german'; write its code"),
        ({**GOOD, "language": ["de"]}, "language is ['de']; write its code"),
        ({"file": "first.wav", "text": "Twice."}, "'first.wav' is in an earlier line already"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path, line, words):
    sound(tmp_path / "first.wav")
    sound(tmp_path / "a.wav")
    sound(tmp_path / "mute.wav", 0)
    (tmp_path / "none.wav").touch()
    (tmp_path / "notes.txt").write_text("Lights off.")
    source = manifest(tmp_path, {"file": "first.wav", "text": "Lights on."}, "", line)
    with pytest.raises(BadInput) as raised:
        read_clips(source)
    assert str(raised.value).startswith(f"{tmp_path}/manifest.jsonl:3: ")
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_manifest_that_is_none_is_told(tmp_path):
    with pytest.raises(BadInput, match=r"it cannot be read .* write assistant or dictation"):
        read_clips(str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match=r"it cannot be read .embedded null byte"):
        read_clips("a\0b")
    with pytest.raises(BadInput, match="lists no clip"):
        read_clips(manifest(tmp_path, ""))
    (tmp_path / "manifest.jsonl").write_bytes("Müller".encode("latin-1"))
    with pytest.raises(BadInput, match="not UTF-8"):
        read_clips(str(tmp_path))


def test_the_digest_tells_other_sound_and_other_words():
    clip = Clip("a.wav", b"sound", 1.0, ("lights off",))
    others = [
        Clip("b.wav", b"sound", 1.0, ("lights off",)),
        Clip("a.wav", b"noise", 1.0, ("lights off",)),
        Clip("a.wav", b"sound", 1.0, ("lights off", "light off")),
        Clip("a.wav", b"sound", 1.0, ("lights off",), "de"),
    ]
    assert len({digest([c]) for c in [clip, *others]}) == 5
    assert digest([clip]) == digest([Clip("a.wav", b"sound", 1.0, ("lights off",))])


def test_a_request_names_the_language_and_the_kind_of_sound_where_they_are_known():
    plain = transcription(Clip("a.flac", b"sound", 1.0, ("lights off",)))
    assert b"Content-Type: audio/flac\r\n\r\nsound\r\n" in plain
    assert b'name="language"' not in plain
    german = transcription(Clip("a.mp3", b"sound", 1.0, ("Licht aus",), "de"))
    assert b"Content-Type: audio/mpeg\r\n" in german
    assert b'name="language"\r\n\r\nde\r\n' in german
