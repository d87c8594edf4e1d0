"""A spec says which speech is sent and which words are counted; what cannot be is refused."""

import json
import sys
import wave
from pathlib import Path

import pytest

from objectives.errors import BadInput
from study.spec.load import load
from study.spec.setting import conditions_of

SPEC = """\
name: small
{measure}
device: cpu
search_space: {{vllm_memory_util: [0.40, 0.50], whisper_model_size: [{sizes}]}}
baseline: {{vllm_memory_util: 0.40, whisper_model_size: base}}
services: {{llm: {{command: "serve {{vllm_memory_util}} --port {{port}}"}}, stt: {{{stt}}}}}
{workload}
"""
LIVE, REPLAY = "measure: live", "measure: {recorded: some.jsonl}"
HEAR = 'command: "hear {whisper_model_size} --port {port}"'


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "some.jsonl").touch()

    def loaded(workload="", *, measure=LIVE, sizes="base", stt=HEAR):
        text = SPEC.format(measure=measure, sizes=sizes, stt=stt, workload=workload)
        (tmp_path / "spec.yaml").write_text(text)
        return load(tmp_path / "spec.yaml")

    return loaded


def folder(path: Path, language: str | None = None, text: str = "Licht aus.") -> Path:
    path.mkdir(exist_ok=True)
    with wave.open(str(path / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(b"\1\0" * 16_000)
    line = {"file": "a.wav", "text": text} | ({"language": language} if language else {})
    (path / "manifest.jsonl").write_text(json.dumps(line))
    return path


@pytest.mark.parametrize(
    ("workload", "measure", "clips", "words"),
    [
        ("", LIVE, "assistant", "dictation"),
        ("workload: {window_s: 30}", LIVE, "assistant", "dictation"),
        ("workload: {clips: assistant}", LIVE, "assistant", "dictation"),
        ("workload: {words: assistant}", LIVE, "assistant", None),
        ("workload: {clips: dictation}", LIVE, "dictation", None),
        ("", REPLAY, "assistant", None),  # its words are those of the recording
        ("workload: {words: dictation}", REPLAY, "assistant", "dictation"),
    ],
)
def test_what_ships_is_counted_where_nothing_else_is_named(spec, workload, measure, clips, words):
    loaded = spec(workload, measure=measure).workload
    assert (loaded.clips, loaded.words) == (clips, words)
    assert loaded.scored_clips == (words or clips)


def test_clips_of_ones_own_are_counted_too_where_no_words_are_named(spec, tmp_path):
    own = folder(tmp_path / "own")
    loaded = spec("workload: {clips: own}").workload
    assert (loaded.clips, loaded.words, loaded.scored_clips) == (str(own), None, str(own))
    loaded = spec("workload: {words: own}").workload
    assert (loaded.clips, loaded.scored_clips) == ("assistant", str(own))


def test_other_speech_in_the_same_folder_is_another_study(spec, tmp_path):
    folder(tmp_path / "own")
    first = conditions_of(spec("workload: {words: own}"))
    assert conditions_of(spec("workload: {words: own}")) == first
    folder(tmp_path / "own", text="Licht an.")
    assert conditions_of(spec("workload: {words: own}")) != first
    assert conditions_of(spec())["clips"] is None  # as studies of before have it


def test_folders_and_manifests_that_are_wrong_are_told_before_anything_runs(spec, tmp_path):
    with pytest.raises(
        BadInput, match=r"spec.yaml:\d+: workload.words: there is no folder 'nowhere'"
    ):
        spec("workload: {words: nowhere}")
    folder(tmp_path / "own", text="...")
    with pytest.raises(BadInput, match=r"own/manifest.jsonl:1: '...' holds no word"):
        spec("workload: {words: own}")
    assert spec("workload: {words: nowhere}", measure=REPLAY).workload.words == "nowhere"


def test_a_language_needs_speech_in_it(spec, tmp_path):
    german = f"{HEAR}, language: de"
    with pytest.raises(BadInput, match=r"workload.clips: the clips of assistant are English"):
        spec(stt=german)
    folder(tmp_path / "own", "de")
    with pytest.raises(BadInput, match=r"workload.words: the clips of dictation are English"):
        spec("workload: {clips: own, words: dictation}", stt=german)
    assert spec("workload: {clips: own}", stt=german).services["stt"].language == "de"
    assert spec("workload: {clips: own}").services["stt"].language == "en"  # requests name it


def test_a_model_that_knows_english_only_gets_no_other_language(spec, tmp_path):
    folder(tmp_path / "own", "de")
    models = ", ".join(f"{size}: {tmp_path}" for size in ("base", "base.en"))
    stt = f"python: {sys.executable}, models: {{{models}}}"
    with pytest.raises(BadInput, match=r"in de, and base.en knows English only; search base inst"):
        spec("workload: {words: own}", stt=stt, sizes="base, base.en")
    spec("workload: {words: own}", stt=stt)
    spec(stt=stt, sizes="base, base.en")
