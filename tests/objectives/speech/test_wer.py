"""Word errors are counted, and the gate decides about them as often right as it says."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import decode_audio

from objectives.speech.wer import (
    Gate,
    WordErrors,
    WordVerdict,
    gate,
    wer_pct,
    word_errors,
    worst_gate,
)
from objectives.traffic.clips import read_clips
from objectives.transcriber import Whisper, options

TINY = Path(__file__).resolve().parents[3] / ".servers/models/whisper/tiny.en"


def clips_with(rate: float, *, clips: int = 400, words: int = 8, seed: int = 0) -> list[WordErrors]:
    errors = np.random.default_rng(seed).binomial(words, rate, size=clips)
    return [WordErrors(int(count), words) for count in errors]


def test_case_punctuation_and_numbers_are_no_errors():
    sentences = ["Wake me up at 645 tomorrow morning."]
    assert word_errors(sentences, [["Wake me up at six forty-five tomorrow morning!"]]) == (
        WordErrors(0, 7),
    )


def test_substitutions_deletions_and_insertions_all_count():
    (words,) = word_errors(["call martha on mobile now"], [["call margaret on her mobile"]])
    assert words == WordErrors(3, 5)


def test_the_nearest_accepted_reference_counts():
    (words,) = word_errors(["two hundred grams"], [["two hundred and one grams", "200 grams"]])
    assert words.errors == 0


def test_no_answer_at_all_is_every_word_missed():
    assert word_errors([""], [["lights off"]]) == (WordErrors(2, 2),)


def test_more_insertions_than_words_exceed_100_pct():
    assert wer_pct(word_errors(["thanks for watching see you"], [["stop"]])) == 500.0


def test_a_reference_without_words_is_refused():
    with pytest.raises(ValueError, match="holds no word"):
        word_errors(["hello"], [["(laughter)"]])


def test_answers_and_references_must_pair_up():
    with pytest.raises(ValueError, match="zip"):
        word_errors(["a", "b"], [["a"]])


def test_nothing_measured_is_none_not_zero():
    assert wer_pct([]) is None
    assert gate([], [WordErrors(0, 5)]) == Gate(WordVerdict.NOT_MEASURED)
    assert gate([WordErrors(0, 5)], []) == Gate(WordVerdict.NOT_MEASURED)


def test_a_configuration_passes_against_itself():
    words = [WordErrors(3, 5)]
    assert gate(words, words).verdict == "pass"
    assert gate(words, list(words), same_configuration=True) == Gate(
        WordVerdict.PASS, 0.0, 0.0, 0.0
    )


def test_of_several_services_the_worst_answers():
    good, bad = clips_with(0.03), clips_with(0.12, seed=1)
    old = {"stt": good, "notes": good}
    assert worst_gate({"stt": good, "notes": bad}, old, same={"stt"}).verdict == "fail"
    assert worst_gate({"stt": bad, "notes": good}, old, same={"stt", "notes"}).verdict == "pass"
    assert worst_gate({"stt": good}, old, same={"stt"}) == Gate(WordVerdict.NOT_MEASURED)
    assert worst_gate({}, {}, same=()) == Gate(WordVerdict.NOT_MEASURED)


def test_a_much_worse_model_fails():
    verdict = gate(clips_with(0.12, seed=1), clips_with(0.03))
    assert verdict.verdict == "fail"
    assert verdict.lower_points is not None
    assert verdict.lower_points > 1.0


def test_a_better_model_passes():
    assert gate(clips_with(0.02, seed=1), clips_with(0.10)).verdict == "pass"


def test_an_equal_model_passes_once_there_are_words_enough():
    assert (
        gate(clips_with(0.03, clips=6000, seed=1), clips_with(0.03, clips=6000)).verdict == "pass"
    )


def test_few_words_order_no_models():
    candidate, baseline = clips_with(0.03, clips=24, seed=1), clips_with(0.02, clips=24)
    verdict = gate(candidate, baseline, clip_seconds=[2.6] * 24)
    assert verdict.verdict == "cannot_tell"
    assert verdict.minutes_more_audio is not None
    assert verdict.minutes_more_audio > 0


def test_a_few_flawless_clips_prove_nothing():
    flawless = [WordErrors(0, 7)] * 24
    assert gate(list(flawless), list(flawless)).verdict == "cannot_tell"
    assert gate([WordErrors(0, 7)] * 60, [WordErrors(0, 7)] * 60).verdict == "pass"


def test_as_much_more_audio_as_named_does_decide():
    candidate, baseline = clips_with(0.04, clips=60, seed=1), clips_with(0.05, clips=60, seed=2)
    few = gate(candidate, baseline, clip_seconds=[3.0] * 60)
    assert few.verdict == "cannot_tell"
    assert few.minutes_more_audio is not None
    as_often = 1 + few.minutes_more_audio / 3
    more, less = math.ceil(1.2 * as_often), math.floor(0.8 * as_often)
    assert gate(more * candidate, more * baseline).verdict == "pass"
    assert gate(less * candidate, less * baseline).verdict == "cannot_tell"


def test_without_the_clips_seconds_the_minutes_are_unknown():
    assert (
        gate(clips_with(0.03, clips=24, seed=1), clips_with(0.02, clips=24)).minutes_more_audio
        is None
    )


def test_the_same_seed_gives_the_same_interval():
    candidate, baseline = clips_with(0.05, seed=1), clips_with(0.04)
    assert gate(candidate, baseline, seed=3) == gate(candidate, baseline, seed=3)
    assert gate(candidate, baseline, seed=3) != gate(candidate, baseline, seed=4)


def test_pairing_narrows_the_interval():
    hard = np.random.default_rng(0).integers(0, 5, size=200)
    baseline = [WordErrors(int(count), 8) for count in hard]
    candidate = [WordErrors(int(count) + (clip % 40 == 0), 8) for clip, count in enumerate(hard)]
    paired, shuffled = gate(candidate, baseline), gate(candidate[7:] + candidate[:7], baseline)
    assert paired.upper_points is not None
    assert shuffled.upper_points is not None
    assert paired.upper_points < shuffled.upper_points


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    misses = 0
    for seed in range(100):
        interval = gate(
            clips_with(0.06, seed=2 * seed), clips_with(0.04, seed=2 * seed + 1), resamples=300
        )
        assert interval.lower_points is not None
        assert interval.upper_points is not None
        misses += not interval.lower_points <= 2.0 <= interval.upper_points
    assert misses <= 12


@pytest.mark.live
def test_word_errors_rise_as_noise_rises():
    arguments = options(["--model", str(TINY), "--port", "0", "--device", "cpu", "--threads", "2"])
    whisper, rng = Whisper(arguments), np.random.default_rng(0)
    clips = read_clips("assistant")[::3]
    rates = []
    for noise_db in (None, 0, -5):  # far enough apart that eight clips show it
        heard = []
        for clip in clips:
            sound = decode_audio(io.BytesIO(clip.audio))
            if noise_db is not None:
                level = np.sqrt(np.mean(sound**2) / 10 ** (noise_db / 10))
                sound = (sound + rng.normal(0, level, len(sound))).astype(np.float32)
            heard.append(whisper.transcribe(sound, "en")[0]["text"])
        rates.append(wer_pct(word_errors(heard, [clip.references for clip in clips])))
    clean, some, loud = rates
    assert clean < some < loud, rates
