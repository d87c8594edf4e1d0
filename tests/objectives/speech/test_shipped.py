"""The speech that ships is whole: every file is there, decodes, and is as long as told."""

import io
import json
from importlib.resources import files

import av
import pytest

from objectives.speech.power import arm_points, spoken_words
from objectives.traffic.clips import SHIPPED, read_clips

SPEECH = files("objectives") / "speech"
SAID = {"assistant": (24, 159, 1.05), "dictation": (105, 1737, 9.70)}  # clips, words, minutes


@pytest.mark.parametrize("name", SHIPPED)
def test_every_file_that_ships_is_listed_once_and_holds_what_is_told(name):
    listed = [c.name for c in read_clips(name)]
    there = {p.name for p in (SPEECH / name).iterdir()} - {"manifest.jsonl"}
    assert sorted(listed) == sorted(there)
    for clip in read_clips(str(SPEECH / name)):  # as if it were one's own: decoded and checked
        with av.open(io.BytesIO(clip.audio)) as container:
            (stream,) = container.streams.audio
            assert (stream.rate, stream.layout.name) == (16_000, "mono")
        assert 1 < clip.seconds < 30  # Whisper hears 30 s at a time
    assert [c.seconds for c in read_clips(name)] == pytest.approx(
        [c.seconds for c in read_clips(str(SPEECH / name))], abs=0.01
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_as_much_is_said_as_the_guide_says(name):
    clips = read_clips(name)
    words = spoken_words([c.references for c in clips], [c.language for c in clips])
    minutes = sum(c.seconds for c in clips) / 60
    assert (len(clips), words, round(minutes, 2)) == SAID[name]
    guide = (files("study") / "guides" / "speech.md").read_text()
    assert f"| `{name}` | {len(clips)} | {words:,} | {minutes:.1f} min |" in guide


def test_dictation_can_show_one_point_and_assistant_cannot():
    assert arm_points(SAID["dictation"][1]) < 0.7
    assert arm_points(SAID["assistant"][1]) > 2


def test_the_recipe_of_each_clip_is_in_its_line():
    lines = (SPEECH / "dictation" / "manifest.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert {len({row["file"] for row in rows}), len({row["text"] for row in rows})} == {105}
    assert len({row["voice"] for row in rows}) >= 20
    assert {row["noise"] for row in rows} == {"none", "fan", "babble", "room", "phone"}
    assert all((row["noise"] == "none") is ("snr_db" not in row) for row in rows)
